//! A dataset as one principal sees it, as a table that DataFusion can plan over.
//!
//! ```text
//!  inner scan ─► FilterExec (row filter, over stored values)
//!             ─► ProjectionExec (masks)
//!             ─► BarrierExec (lets no parent through)
//! ```
//!
//! Where the principal sees every row and no field is masked there is nothing to hide below, and
//! the scan is the inner one over the visible columns: its statistics, limits and filters serve.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Between, BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType, col, expr::InList,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use pack::Mask;

use super::barrier::BarrierExec;
use super::masks::{self, TokenKey};

/// A visible column: where it is stored, and how it is shown.
#[derive(Debug, Clone)]
struct Column {
    stored: usize,
    mask: Option<Mask>,
}

#[derive(Debug)]
pub struct GovernedTable {
    dataset: Arc<str>,
    inner: Arc<dyn TableProvider>,
    stored: SchemaRef,
    schema: SchemaRef,
    columns: Vec<Column>,
    row_filter: Option<Expr>,
    min_cell: Option<u32>,
    key: TokenKey,
}

impl GovernedTable {
    /// `fields` are names and masks; a field that the stored table lacks is a failure, since a
    /// policy over it would mean nothing.
    pub(super) fn try_new(
        dataset: &str,
        inner: Arc<dyn TableProvider>,
        fields: &[(String, Option<Mask>)],
        row_filter: Option<Expr>,
        min_cell: Option<u32>,
        key: TokenKey,
    ) -> Result<Self> {
        let stored = inner.schema();
        let mut columns = Vec::with_capacity(fields.len());
        let mut shown = Vec::with_capacity(fields.len());
        for (name, mask) in fields {
            let index = stored.index_of(name)?;
            shown.push(masks::field(stored.field(index), mask.as_ref()));
            columns.push(Column { stored: index, mask: mask.clone() });
        }
        let schema = Arc::new(Schema::new(shown));
        let dataset = dataset.into();
        Ok(Self { dataset, inner, stored, schema, columns, row_filter, min_cell, key })
    }

    /// The dataset's id, for lineage and the audit.
    pub fn dataset(&self) -> &str {
        &self.dataset
    }

    pub(super) fn min_cell(&self) -> Option<u32> {
        self.min_cell
    }

    /// Whether there is nothing to hide below.
    fn open(&self) -> bool {
        self.row_filter.is_none() && self.columns.iter().all(|column| column.mask.is_none())
    }

    fn plain(&self, name: &str) -> bool {
        let index = self.schema.index_of(name);
        index.is_ok_and(|index| self.columns[index].mask.is_none())
    }

    /// A user's filter that may run below the barrier, to prune files by: comparisons of unmasked
    /// columns with literals. They cannot fail, so they cannot tell of a row that they met.
    fn prunes(&self, filter: &Expr) -> bool {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
                self.prunes(left) && self.prunes(right)
            }
            Expr::Not(inner) => self.prunes(inner),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                matches!(
                    op,
                    Operator::Eq
                        | Operator::NotEq
                        | Operator::Lt
                        | Operator::LtEq
                        | Operator::Gt
                        | Operator::GtEq
                ) && (self.plain_column(left) && literal(right)
                    || literal(left) && self.plain_column(right))
            }
            Expr::Between(Between { expr, low, high, .. }) => {
                self.plain_column(expr) && literal(low) && literal(high)
            }
            Expr::InList(InList { expr, list, .. }) => {
                self.plain_column(expr) && list.iter().all(literal)
            }
            Expr::IsNull(expr) | Expr::IsNotNull(expr) => self.plain_column(expr),
            _ => false,
        }
    }

    fn plain_column(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Column(column) if self.plain(&column.name))
    }

    /// What of these filters the inner table makes use of.
    fn useful(&self, filters: Vec<Expr>) -> Result<Vec<Expr>> {
        let support = self.inner.supports_filters_pushdown(&filters.iter().collect::<Vec<_>>())?;
        let kept = filters.into_iter().zip(support);
        let kept = kept.filter(|(_, how)| *how != TableProviderFilterPushDown::Unsupported);
        Ok(kept.map(|(filter, _)| filter).collect())
    }

    async fn open_scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let stored = self.shown(projection).map(|column| column.stored).collect();
        self.inner.scan(state, Some(&stored), filters, limit).await
    }

    async fn guarded_scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let needed = self.needed(projection)?;
        let policy = self.row_filter.iter().flat_map(split_conjunction);
        let users = filters.iter().filter(|filter| self.prunes(filter));
        let pruning = self.useful(policy.chain(users).cloned().collect())?;
        let scan = self.inner.scan(state, Some(&needed), &pruning, None).await?;
        let schema = DFSchema::try_from(scan.schema().as_ref().clone())?;
        let kept: Arc<dyn ExecutionPlan> = match &self.row_filter {
            Some(filter) => {
                let predicate = state.create_physical_expr(filter.clone(), &schema)?;
                Arc::new(FilterExec::try_new(predicate, scan)?)
            }
            None => scan,
        };
        let shown = self
            .shown(projection)
            .map(|column| {
                let field = self.stored.field(column.stored);
                let value = col(datafusion::common::Column::new_unqualified(field.name()));
                let value = match &column.mask {
                    Some(mask) => masks::expression(field, value, mask, &self.key)?,
                    None => value,
                };
                let expr = state.create_physical_expr(value, &schema)?;
                Ok(ProjectionExpr { expr, alias: field.name().clone() })
            })
            .collect::<Result<Vec<_>>>()?;
        let masked = Arc::new(ProjectionExec::try_new(shown, kept)?);
        Ok(Arc::new(BarrierExec::new(Arc::clone(&self.dataset), masked)))
    }

    fn shown<'a>(
        &'a self,
        projection: Option<&'a Vec<usize>>,
    ) -> Box<dyn Iterator<Item = &'a Column> + Send + 'a> {
        match projection {
            Some(indices) => Box::new(indices.iter().map(|index| &self.columns[*index])),
            None => Box::new(self.columns.iter()),
        }
    }

    /// Stored columns that the shown ones and the row filter read, in stored order.
    fn needed(&self, projection: Option<&Vec<usize>>) -> Result<Vec<usize>> {
        let mut needed: Vec<usize> = self
            .shown(projection)
            .filter(|column| column.mask != Some(Mask::Redact))
            .map(|column| column.stored)
            .collect();
        if let Some(filter) = &self.row_filter {
            for column in filter.column_refs() {
                needed.push(self.stored.index_of(&column.name)?);
            }
        }
        needed.sort_unstable();
        needed.dedup();
        Ok(needed)
    }
}

fn literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..))
}

#[async_trait]
impl TableProvider for GovernedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if projection.is_some_and(|indices| indices.iter().any(|i| *i >= self.columns.len())) {
            return Err(DataFusionError::Internal("projection past the visible columns".into()));
        }
        if self.open() {
            return self.open_scan(state, projection, filters, limit).await;
        }
        self.guarded_scan(state, projection, filters).await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        if self.open() {
            return self.inner.supports_filters_pushdown(filters);
        }
        let support = filters.iter().map(|filter| {
            if self.prunes(filter) {
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        });
        Ok(support.collect())
    }
}
