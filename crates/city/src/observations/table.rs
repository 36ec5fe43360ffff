//! The lake's table of observations with corrections over it, as DataFusion sees it.

use std::fmt;
use std::sync::Arc;

use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::StreamExt;

use super::{DECIDED_BY, Keys, Over};

/// Rows of the lake with corrections over them.
#[derive(Debug)]
pub(super) struct LaidOver {
    pub plain: Arc<dyn TableProvider>,
    pub over: Arc<Over>,
}

#[async_trait]
impl TableProvider for LaidOver {
    fn schema(&self) -> SchemaRef {
        self.plain.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Files are pruned by them below; corrections come whole.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let shown: Vec<usize> =
            projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let mut columns = shown.clone();
        let mut decided_by = [0; DECIDED_BY.len()];
        for (place, name) in decided_by.iter_mut().zip(DECIDED_BY) {
            let column = schema.index_of(name)?;
            *place = columns.iter().position(|known| *known == column).unwrap_or(columns.len());
            if *place == columns.len() {
                columns.push(column);
            }
        }
        let rows = self.plain.scan(session, Some(&columns), filters, None).await?;
        let kept = HideExec::try_new(rows, Arc::clone(&self.over), decided_by, shown.len())?;
        let kept: Arc<dyn ExecutionPlan> = Arc::new(kept);
        let shown = Arc::new(schema.project(&shown)?);
        let corrected = self.over.rows(&shown)?;
        if corrected.is_empty() {
            return Ok(kept);
        }
        let corrected = MemorySourceConfig::try_new(&[corrected], shown, None)?;
        let corrected: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(corrected);
        UnionExec::try_new(vec![kept, corrected])
    }
}

/// Drops rows that no longer stand, then the columns that only served to know them by.
struct HideExec {
    input: Arc<dyn ExecutionPlan>,
    over: Arc<Over>,
    /// Where [`DECIDED_BY`] are in the input.
    decided_by: [usize; DECIDED_BY.len()],
    /// How many of the input's columns, from the first, are passed on.
    columns: usize,
    properties: Arc<PlanProperties>,
}

impl HideExec {
    fn try_new(
        input: Arc<dyn ExecutionPlan>,
        over: Arc<Over>,
        decided_by: [usize; DECIDED_BY.len()],
        columns: usize,
    ) -> Result<Self> {
        let schema = input.schema().project(&(0..columns).collect::<Vec<_>>())?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(schema)),
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Ok(Self { input, over, decided_by, columns, properties: Arc::new(properties) })
    }
}

impl fmt::Debug for HideExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HideExec").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl DisplayAs for HideExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let streams = (self.over.corrected.len(), self.over.gone_streams.len());
        write!(f, "HideExec: corrected_datastreams={}, gone_datastreams={}", streams.0, streams.1)
    }
}

impl ExecutionPlan for HideExec {
    fn name(&self) -> &str {
        "HideExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| {
            DataFusionError::Internal("HideExec is rebuilt with its one child".to_owned())
        })?;
        let over = Arc::clone(&self.over);
        Ok(Arc::new(Self::try_new(input, over, self.decided_by, self.columns)?))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (over, decided_by, columns) = (Arc::clone(&self.over), self.decided_by, self.columns);
        let rows = self.input.execute(partition, context)?;
        let rows = rows.map(move |batch| standing(&over, &batch?, decided_by, columns));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// The rows of a batch that stand, in their first columns.
fn standing(
    over: &Over,
    batch: &RecordBatch,
    decided_by: [usize; DECIDED_BY.len()],
    columns: usize,
) -> Result<RecordBatch> {
    let [streams, times, ordinals, features] = decided_by.map(|place| batch.column(place));
    let stand = over.stand(&Keys::in_columns(streams, times, ordinals, features)?);
    let passed: Vec<usize> = (0..columns).collect();
    if stand.false_count() == 0 {
        return Ok(batch.project(&passed)?);
    }
    Ok(filter_record_batch(batch, &stand)?.project(&passed)?)
}
