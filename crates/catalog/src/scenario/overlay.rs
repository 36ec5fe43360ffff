//! A dataset's stored rows with a scenario's changes over them, as one table.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::{Column, JoinType, Result};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType, col};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use pack::Contract;

use super::{Change, rows};

#[derive(Debug)]
pub(crate) struct Overlay {
    stored: Arc<dyn TableProvider>,
    key: Vec<String>,
    /// Every changed row; of a removed one only the key is there.
    changed: RecordBatch,
    put: RecordBatch,
    schema: SchemaRef,
}

impl Overlay {
    pub(crate) fn try_new(
        stored: Arc<dyn TableProvider>,
        contract: &Contract,
        changes: &[Change],
    ) -> Result<Self> {
        let all: Vec<_> = changes.iter().map(Change::row).collect();
        let put: Vec<_> = changes
            .iter()
            .filter(|change| matches!(change, Change::Put(_)))
            .map(Change::row)
            .collect();
        Ok(Self {
            stored,
            key: contract.key.clone(),
            changed: rows::batch(contract, &all)?,
            put: rows::batch(contract, &put)?,
            schema: rows::schema(contract),
        })
    }

    /// `stored` without the changed keys, and the rows put, over the wanted columns.
    fn plan(&self, wanted: &[String]) -> Result<LogicalPlan> {
        let scan = |name: &str, batch: &RecordBatch| {
            let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]])?;
            LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(table)), None)
        };
        let key = |table: &str| -> Vec<Column> {
            self.key.iter().map(|name| Column::new(Some(table.to_owned()), name)).collect()
        };
        let wanted: Vec<Expr> =
            wanted.iter().map(|name| col(Column::new_unqualified(name.as_str()))).collect();
        let changed = scan("changed", &self.changed)?.build()?;
        let stored = provider_as_source(Arc::clone(&self.stored));
        let unchanged = LogicalPlanBuilder::scan("stored", stored, None)?
            .join(changed, JoinType::LeftAnti, (key("stored"), key("changed")), None)?
            .project(unqualified(&wanted, "stored"))?;
        let put = scan("put", &self.put)?.project(unqualified(&wanted, "put"))?.build()?;
        unchanged.union(put)?.build()
    }
}

/// The columns of one table under their bare names, so that two tables' can be united.
fn unqualified(columns: &[Expr], table: &str) -> Vec<Expr> {
    let bare = |expr: &Expr| {
        let Expr::Column(column) = expr else { return expr.clone() };
        col(Column::new(Some(table.to_owned()), &column.name)).alias(&column.name)
    };
    columns.iter().map(bare).collect()
}

#[async_trait]
impl TableProvider for Overlay {
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
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let fields = self.schema.fields();
        let wanted: Vec<String> = match projection {
            // Rows are counted over the key, which is always there.
            Some(indices) if indices.is_empty() => self.key.clone(),
            Some(indices) => indices.iter().map(|index| fields[*index].name().clone()).collect(),
            None => fields.iter().map(|field| field.name().clone()).collect(),
        };
        let plan = self.plan(&wanted)?;
        let plan = state.create_physical_plan(&plan).await?;
        if projection.is_some_and(|indices| indices.is_empty()) {
            return empty_columns(plan);
        }
        Ok(plan)
    }
}

fn empty_columns(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let none: Vec<ProjectionExpr> = Vec::new();
    Ok(Arc::new(ProjectionExec::try_new(none, plan)?))
}
