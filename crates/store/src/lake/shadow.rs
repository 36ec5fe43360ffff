//! A plan node that hides rows of older files whose keys are decided in memory.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::StreamExt;

use super::hot::KeyEncoder;
use super::spec::Spec;

/// Drops rows with a shadowed key, then drops the columns that only served to know the key.
pub(crate) struct ShadowExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Arc<Spec>,
    keys: Arc<HashSet<Box<[u8]>>>,
    /// Where the key columns are in the input.
    key: Vec<usize>,
    /// How many of the input's columns, from the first, are passed on.
    columns: usize,
    properties: Arc<PlanProperties>,
}

impl ShadowExec {
    pub fn try_new(
        input: Arc<dyn ExecutionPlan>,
        spec: Arc<Spec>,
        keys: Arc<HashSet<Box<[u8]>>>,
        key: Vec<usize>,
        columns: usize,
    ) -> Result<Self> {
        let schema = input.schema().project(&(0..columns).collect::<Vec<_>>())?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(schema)),
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Ok(Self { input, spec, keys, key, columns, properties: Arc::new(properties) })
    }
}

impl fmt::Debug for ShadowExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowExec").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl DisplayAs for ShadowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShadowExec: table={}, keys={}", self.spec.name(), self.keys.len())
    }
}

impl ExecutionPlan for ShadowExec {
    fn name(&self) -> &str {
        "ShadowExec"
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
            DataFusionError::Internal("ShadowExec is rebuilt with its one child".to_owned())
        })?;
        let (spec, keys, key) = (self.spec.clone(), self.keys.clone(), self.key.clone());
        Ok(Arc::new(Self::try_new(input, spec, keys, key, self.columns)?))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let encoder =
            KeyEncoder::new(&self.spec).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let hide =
            Hide { encoder, keys: self.keys.clone(), key: self.key.clone(), schema: self.schema() };
        let rows = self.input.execute(partition, context)?;
        let rows = rows.map(move |batch| hide.apply(&batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

struct Hide {
    encoder: KeyEncoder,
    keys: Arc<HashSet<Box<[u8]>>>,
    key: Vec<usize>,
    schema: SchemaRef,
}

impl Hide {
    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let keys = self
            .encoder
            .encode(batch, &self.key)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let keep: BooleanArray =
            keys.iter().map(|key| Some(!self.keys.contains(key.as_ref()))).collect();
        let columns: Vec<usize> = (0..self.schema.fields().len()).collect();
        let passed = batch.project(&columns)?;
        if keep.false_count() == 0 {
            return Ok(passed);
        }
        Ok(filter_record_batch(&passed, &keep)?)
    }
}
