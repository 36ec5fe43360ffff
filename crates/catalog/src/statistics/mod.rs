//! What a dataset holds and how fresh it is: counts, ranges, shares; computed over all rows by
//! the house itself, shown to each principal only as far as its rights go.
//!
//! Distinct counts are estimates (HyperLogLog, about 2 % off); everything else is exact.

mod freshness;
pub mod records;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::common::cast::{as_int64_array, as_uint64_array};
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::expr_fn::{approx_distinct, count, max, min};
use datafusion::logical_expr::{Expr, cast, ident, lit};
use datafusion::prelude::SessionContext;
use pack::model::{Contract, Field, FieldType};
use serde::{Deserialize, Serialize};

use crate::knowledge::{Access, Known, Shown};
use crate::quality::share;

pub use freshness::{Freshness, newest};

/// Statistics of a dataset at one moment. [`records`] keeps the newest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    pub dataset: String,
    pub computed_at: DateTime<Utc>,
    pub rows: u64,
    /// The range of the contract's time column.
    pub oldest: Option<DateTime<Utc>>,
    pub newest: Option<DateTime<Utc>>,
    pub fields: BTreeMap<String, FieldStatistics>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldStatistics {
    pub null_share: f64,
    /// Distinct values by rows, estimated; 0 for an empty dataset.
    pub distinct_share: f64,
    pub distinct: u64,
    /// As text; none for geometry and yes-or-no fields.
    pub min: Option<String>,
    pub max: Option<String>,
}

/// Statistics as one principal may see them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownStatistics {
    pub computed_at: DateTime<Utc>,
    pub rows: Option<u64>,
    pub oldest: Option<DateTime<Utc>>,
    pub newest: Option<DateTime<Utc>>,
    pub fields: BTreeMap<String, ShownFieldStatistics>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownFieldStatistics {
    pub null_share: f64,
    pub distinct_share: Option<f64>,
    pub distinct: Option<u64>,
    pub min: Option<String>,
    pub max: Option<String>,
}

impl Statistics {
    /// Computes the statistics of a contract's dataset in one pass over its raw, ungoverned rows.
    pub async fn compute(
        contract: &Contract,
        provider: Arc<dyn TableProvider>,
        now: DateTime<Utc>,
    ) -> Result<Self, DataFusionError> {
        let mut asked = vec![count(lit(1)).alias("rows")];
        for (index, field) in contract.fields.iter().enumerate() {
            asked.extend(questions(index, field));
        }
        let frame = SessionContext::new().read_table(provider)?.aggregate(Vec::new(), asked)?;
        let answer = frame.collect().await?;
        let Some(answer) = answer.into_iter().find(|batch| batch.num_rows() == 1) else {
            return Err(DataFusionError::Internal(
                "an aggregate without groups gave no row".into(),
            ));
        };
        let answer = Answer { batch: &answer };
        let rows = answer.count("rows")?;
        let fields = contract.fields.iter().enumerate().map(|(index, field)| {
            let filled = answer.count(&format!("filled_{index}"))?;
            let distinct = answer.estimate(&format!("distinct_{index}"), filled)?;
            let statistics = FieldStatistics {
                null_share: share(rows.saturating_sub(filled), rows),
                distinct_share: share(distinct, rows),
                distinct,
                min: answer.text(&format!("min_{index}"))?,
                max: answer.text(&format!("max_{index}"))?,
            };
            Ok((field.name.clone(), statistics))
        });
        let fields = fields.collect::<Result<_, DataFusionError>>()?;
        let time = contract.fields.iter().position(|f| Some(&f.name) == contract.time.as_ref());
        let moment = |which: &str| {
            let index = time?;
            answer.batch.column_by_name(&format!("{which}_{index}")).and_then(newest)
        };
        Ok(Self {
            dataset: contract.id.clone(),
            computed_at: now,
            rows,
            oldest: moment("min"),
            newest: moment("max"),
            fields,
        })
    }

    /// What of these a principal may see. Who does not see every row one by one sees no figure
    /// about all of them; of a masked field only how much of it is filled, since even its number
    /// of distinct values can give a small group away.
    pub fn shown(&self, known: &Known) -> Option<ShownStatistics> {
        if known.access != Access::Readable || !known.whole {
            return None;
        }
        let fields = self.fields.iter().filter_map(|(name, field)| {
            let plain = match known.fields.get(name)? {
                Shown::Plain => true,
                Shown::Masked(_) => false,
                Shown::Named => return None,
            };
            let shown = ShownFieldStatistics {
                null_share: field.null_share,
                distinct_share: plain.then_some(field.distinct_share),
                distinct: plain.then_some(field.distinct),
                min: field.min.clone().filter(|_| plain),
                max: field.max.clone().filter(|_| plain),
            };
            Some((name.clone(), shown))
        });
        Some(ShownStatistics {
            computed_at: self.computed_at,
            rows: Some(self.rows),
            oldest: self.oldest,
            newest: self.newest,
            fields: fields.collect(),
        })
    }
}

fn questions(index: usize, field: &Field) -> Vec<Expr> {
    let column = || ident(&field.name);
    // Floats have no estimate of their own; their text forms do.
    let counted = match field.ty {
        FieldType::Number => cast(column(), arrow::datatypes::DataType::Utf8),
        _ => column(),
    };
    let mut asked = vec![
        count(column()).alias(format!("filled_{index}")),
        approx_distinct(counted).alias(format!("distinct_{index}")),
    ];
    if !matches!(field.ty, FieldType::Geometry | FieldType::Boolean) {
        asked.push(min(column()).alias(format!("min_{index}")));
        asked.push(max(column()).alias(format!("max_{index}")));
    }
    asked
}

/// One row of answers, by name.
struct Answer<'a> {
    batch: &'a RecordBatch,
}

impl Answer<'_> {
    fn column(&self, name: &str) -> Result<&ArrayRef, DataFusionError> {
        self.batch
            .column_by_name(name)
            .ok_or_else(|| DataFusionError::Internal(format!("statistics lack {name}")))
    }

    fn count(&self, name: &str) -> Result<u64, DataFusionError> {
        Ok(as_int64_array(self.column(name)?)?.value(0).unsigned_abs())
    }

    /// An estimate may be a little over what is possible.
    fn estimate(&self, name: &str, at_most: u64) -> Result<u64, DataFusionError> {
        Ok(as_uint64_array(self.column(name)?)?.value(0).min(at_most))
    }

    fn text(&self, name: &str) -> Result<Option<String>, DataFusionError> {
        let Some(column) = self.batch.column_by_name(name) else { return Ok(None) };
        Ok(crate::quality::text_of(column, 0)?)
    }
}
