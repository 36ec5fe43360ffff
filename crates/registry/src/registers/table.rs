//! A register's newest rows as a table that finds rows by their values without looking through the
//! others.
//!
//! Comparisons of a column with written-out numbers or texts choose the rows that a scan hands on.
//! They are hints: whoever asks for them compares again, so a row too many is no harm. So a row of
//! a register of a million is met before policies are asked of it, and not after.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{and, filter_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType,
};
use datafusion::physical_plan::ExecutionPlan;

#[derive(Debug)]
pub(super) struct RegisterTable {
    schema: SchemaRef,
    rows: Vec<RecordBatch>,
}

/// Values that a column is wanted to have one of.
#[derive(Debug)]
enum Wanted {
    Integers(HashSet<i64>),
    Texts(HashSet<String>),
}

impl RegisterTable {
    pub fn new(schema: SchemaRef, rows: Vec<RecordBatch>) -> Self {
        Self { schema, rows }
    }

    /// The column that a filter compares, and the values that it may have; none where it says
    /// something else.
    fn wanted(&self, filter: &Expr) -> Option<(usize, Wanted)> {
        let (column, values): (&Expr, Vec<&Expr>) = match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match left.as_ref() {
                Expr::Column(_) => (left, vec![right]),
                _ => (right, vec![left]),
            },
            Expr::InList(InList { expr, list, negated: false }) => (expr, list.iter().collect()),
            _ => return None,
        };
        let Expr::Column(column) = column else { return None };
        let index = self.schema.index_of(&column.name).ok()?;
        let literals = values.into_iter().map(|value| match value {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        });
        let literals: Vec<&ScalarValue> = literals.collect::<Option<_>>()?;
        let integer = |value: &&ScalarValue| match value {
            ScalarValue::Int64(Some(value)) => Some(*value),
            _ => None,
        };
        let text = |value: &&ScalarValue| match value {
            ScalarValue::Utf8(Some(value)) => Some(value.clone()),
            _ => None,
        };
        let integers = literals.iter().map(integer).collect::<Option<HashSet<i64>>>();
        let wanted = match integers {
            Some(integers) => Wanted::Integers(integers),
            None => Wanted::Texts(literals.iter().map(text).collect::<Option<_>>()?),
        };
        Some((index, wanted))
    }

    /// The rows that may be wanted, over these columns.
    fn chosen(
        &self,
        wanted: &[(usize, Wanted)],
        columns: &[usize],
    ) -> Result<Vec<RecordBatch>, ArrowError> {
        let mut chosen = Vec::new();
        for rows in &self.rows {
            let mut marks: Option<BooleanArray> = None;
            for (column, values) in wanted {
                let Some(found) = values.found(rows.column(*column).as_ref())? else { continue };
                marks = Some(match marks {
                    Some(marks) => and(&marks, &found)?,
                    None => found,
                });
            }
            let shown = || rows.project(columns);
            match marks {
                Some(marks) if marks.true_count() == 0 => {}
                Some(marks) if marks.true_count() < rows.num_rows() => {
                    chosen.push(filter_record_batch(&shown()?, &marks)?);
                }
                _ => chosen.push(shown()?),
            }
        }
        Ok(chosen)
    }
}

impl Wanted {
    /// Which rows of a column have one of the values; none where the column is of another type.
    fn found(&self, column: &dyn Array) -> Result<Option<BooleanArray>, ArrowError> {
        Ok(match self {
            Self::Integers(values) => {
                let Some(cells) = column.as_primitive_opt::<Int64Type>() else { return Ok(None) };
                Some(match one(values) {
                    Some(value) => eq(cells, &Int64Array::new_scalar(*value))?,
                    None => cells
                        .iter()
                        .map(|cell| Some(cell.is_some_and(|cell| values.contains(&cell))))
                        .collect(),
                })
            }
            Self::Texts(values) => {
                let Some(cells) = column.as_string_opt::<i32>() else { return Ok(None) };
                Some(match one(values) {
                    Some(value) => eq(cells, &StringArray::new_scalar(value))?,
                    None => cells
                        .iter()
                        .map(|cell| Some(cell.is_some_and(|cell| values.contains(cell))))
                        .collect(),
                })
            }
        })
    }
}

fn one<T>(values: &HashSet<T>) -> Option<&T> {
    values.iter().next().filter(|_| values.len() == 1)
}

#[async_trait]
impl TableProvider for RegisterTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<_> = filters.iter().filter_map(|filter| self.wanted(filter)).collect();
        if wanted.is_empty() {
            let rows = [self.rows.clone()];
            let schema = Arc::clone(&self.schema);
            return Ok(MemorySourceConfig::try_new_exec(&rows, schema, projection.cloned())?);
        }
        let all = || (0..self.schema.fields().len()).collect();
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let rows = [self.chosen(&wanted, &columns)?];
        let schema = Arc::new(self.schema.project(&columns)?);
        Ok(MemorySourceConfig::try_new_exec(&rows, schema, None)?)
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = filters.iter().map(|filter| match self.wanted(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        });
        Ok(support.collect())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;
    use datafusion::prelude::{SessionContext, col, lit};

    use super::*;

    fn table() -> RegisterTable {
        let batch = |ids: Vec<Option<i64>>, names: Vec<Option<&str>>| {
            RecordBatch::try_from_iter_with_nullable([
                ("id", Arc::new(Int64Array::from(ids)) as ArrayRef, true),
                ("name", Arc::new(StringArray::from(names)) as ArrayRef, true),
            ])
            .unwrap()
        };
        let rows = vec![
            batch(vec![Some(1), Some(2), None], vec![Some("a"), None, Some("a")]),
            batch(vec![Some(3), Some(1)], vec![Some("b"), Some("b")]),
        ];
        RegisterTable::new(rows[0].schema(), rows)
    }

    /// Rows that a scan hands on, and rows that a question has in the end.
    async fn counts(filter: Expr) -> (usize, usize) {
        let (table, context) = (table(), SessionContext::new());
        let wanted: Vec<_> = table.wanted(&filter).into_iter().collect();
        let handed = table.chosen(&wanted, &[0]).unwrap();
        let found = context.read_table(Arc::new(table)).unwrap().filter(filter).unwrap();
        let handed = handed.iter().map(RecordBatch::num_rows).sum();
        (handed, found.count().await.unwrap())
    }

    #[tokio::test]
    async fn a_scan_hands_on_what_is_wanted() {
        assert_eq!(counts(col("id").eq(lit(1i64))).await, (2, 2));
        assert_eq!(counts(lit(3i64).eq(col("id"))).await, (1, 1));
        assert_eq!(counts(col("id").eq(lit(9i64))).await, (0, 0));
        assert_eq!(counts(col("id").in_list(vec![lit(1i64), lit(3i64)], false)).await, (3, 3));
        assert_eq!(counts(col("name").eq(lit("a"))).await, (2, 2));
        assert_eq!(counts(col("name").in_list(vec![lit("a"), lit("b")], false)).await, (4, 4));
    }

    #[tokio::test]
    async fn what_says_something_else_is_no_hint() {
        assert_eq!(counts(col("id").gt(lit(1i64))).await, (5, 2));
        assert_eq!(counts(col("id").in_list(vec![lit(1i64)], true)).await, (5, 2));
        let null = lit(ScalarValue::Int64(None));
        assert_eq!(counts(col("id").eq(null)).await, (5, 0));
        let either = col("id").eq(lit(1i64)).or(col("name").eq(lit("b")));
        assert_eq!(counts(either).await, (5, 3));
    }
}
