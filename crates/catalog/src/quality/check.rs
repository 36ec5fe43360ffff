//! The rules over one batch: vectorised, and nearly free where every row is good.

use arrow::array::{Array, BooleanArray, BooleanBufferBuilder, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, filter_record_batch};
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_boolean_array, as_string_array};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use pack::model::Severity;

use super::rules::Test;
use super::{Checked, QualityError, RowFailure, RowRules};

impl RowRules {
    /// Checks every rule on every row of a batch in the contract's schema.
    pub fn check(&self, batch: &RecordBatch) -> Result<Checked, QualityError> {
        let batch = &self.conform(batch)?;
        let mut failures = Vec::new();
        let mut bad: Option<BooleanBuffer> = None;
        for rule in &self.rules {
            let Some(failing) = failing(&rule.test, batch) else { continue };
            failures.extend(failing.set_indices().map(|row| RowFailure {
                row,
                rule: rule.id.clone(),
                field: rule.field.clone(),
                severity: rule.severity,
            }));
            if rule.severity == Severity::Error {
                bad = Some(bad.map_or_else(|| failing.clone(), |bad| &bad | &failing));
            }
        }
        let good = match bad {
            None => batch.clone(),
            Some(bad) => filter_record_batch(batch, &BooleanArray::new(!&bad, None))
                .map_err(|cause| QualityError::Arrow { dataset: self.dataset.clone(), cause })?,
        };
        Ok(Checked { good, failures })
    }

    /// The batch with the contract's columns in the contract's types. Import hands in exactly
    /// that; a scan of Parquet may give texts in another representation.
    pub(super) fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, QualityError> {
        let same = |(a, b): (&arrow::datatypes::FieldRef, &arrow::datatypes::FieldRef)| {
            a.name() == b.name() && a.data_type() == b.data_type()
        };
        let fields = self.schema.fields();
        let found = batch.schema_ref().fields();
        if fields.len() == found.len() && fields.iter().zip(found).all(same) {
            return Ok(batch.clone());
        }
        let shape = |field: &arrow::datatypes::Field, found: String| QualityError::Shape {
            dataset: self.dataset.clone(),
            field: field.name().clone(),
            expected: field.data_type().to_string(),
            found,
        };
        let columns = fields.iter().map(|field| {
            let column =
                batch.column_by_name(field.name()).ok_or_else(|| shape(field, "nothing".into()))?;
            cast(column, field.data_type())
                .map_err(|_| shape(field, column.data_type().to_string()))
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        // Nullability is a rule of its own here, so the loose schema takes what there is.
        let loose: Vec<_> = fields.iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let schema = arrow::datatypes::Schema::new(loose);
        RecordBatch::try_new(std::sync::Arc::new(schema), columns)
            .map_err(|cause| QualityError::Arrow { dataset: self.dataset.clone(), cause })
    }
}

/// The rows that fail, or `None` when all pass.
pub(super) fn failing(test: &Test, batch: &RecordBatch) -> Option<BooleanBuffer> {
    match test {
        Test::Filled(index) => {
            let nulls = batch.column(*index).logical_nulls()?;
            (nulls.null_count() > 0).then(|| !nulls.inner())
        }
        Test::Coded(index, codes) => {
            let texts = as_string_array(batch.column(*index))
                .expect("the batch conforms to the contract, whose coded field is text");
            uncoded(texts, codes)
        }
        Test::Predicate(predicate) => {
            let verdicts = verdicts(predicate.as_ref(), batch);
            let failed = !verdicts.values();
            let failed = match verdicts.nulls() {
                None => failed,
                Some(nulls) => &failed & nulls.inner(),
            };
            (failed.count_set_bits() > 0).then_some(failed)
        }
    }
}

/// Texts that are not among the sorted codes. Neighbouring rows mostly share their code, so the
/// last one found is tried first.
fn uncoded(texts: &StringArray, codes: &[String]) -> Option<BooleanBuffer> {
    let mut failed: Option<BooleanBufferBuilder> = None;
    let mut last = codes.first()?.as_str();
    for row in 0..texts.len() {
        if texts.is_null(row) {
            continue;
        }
        let text = texts.value(row);
        if text == last {
            continue;
        }
        if codes.binary_search_by(|code| code.as_str().cmp(text)).is_ok() {
            last = text;
            continue;
        }
        let failed = failed.get_or_insert_with(|| {
            let mut none = BooleanBufferBuilder::new(texts.len());
            none.append_n(texts.len(), false);
            none
        });
        failed.set_bit(row, true);
    }
    failed.map(|mut failed| failed.finish())
}

/// The predicate's value for each row. Where it cannot be computed for the batch, the batch is
/// halved until the rows that are to blame stand alone; those count as false.
fn verdicts(predicate: &dyn PhysicalExpr, batch: &RecordBatch) -> BooleanArray {
    let rows = batch.num_rows();
    let value = predicate.evaluate(batch).ok();
    let computed = value.and_then(|value| match value {
        ColumnarValue::Array(array) => as_boolean_array(&array).ok().cloned(),
        ColumnarValue::Scalar(ScalarValue::Boolean(Some(verdict))) => {
            let all =
                if verdict { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
            Some(BooleanArray::new(all, None))
        }
        ColumnarValue::Scalar(ScalarValue::Boolean(None)) => Some(BooleanArray::new_null(rows)),
        ColumnarValue::Scalar(_) => None,
    });
    match computed {
        Some(verdicts) => verdicts,
        None if rows <= 1 => BooleanArray::new(BooleanBuffer::new_unset(rows), None),
        None => {
            let half = rows / 2;
            let first = verdicts(predicate, &batch.slice(0, half));
            let second = verdicts(predicate, &batch.slice(half, rows - half));
            joined(&first, &second)
        }
    }
}

fn joined(first: &BooleanArray, second: &BooleanArray) -> BooleanArray {
    let mut values = BooleanBufferBuilder::new(first.len() + second.len());
    let mut valid = BooleanBufferBuilder::new(first.len() + second.len());
    for part in [first, second] {
        values.append_buffer(part.values());
        match part.nulls() {
            None => valid.append_n(part.len(), true),
            Some(nulls) => valid.append_buffer(nulls.inner()),
        }
    }
    BooleanArray::new(values.finish(), Some(valid.finish().into()))
}
