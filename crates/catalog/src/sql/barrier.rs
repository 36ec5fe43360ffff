//! The node that no parent sees through.
//!
//! `FilterExec` and `ProjectionExec` hand their parents' predicates, limits and sort wishes on to
//! their children, and let statistics through: a user's predicate could so run over rows that the
//! policy hides, and a MIN could be answered from a file's footer. This node does none of that.
//! It costs one virtual call a batch.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};

#[derive(Debug)]
pub(super) struct BarrierExec {
    dataset: Arc<str>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl BarrierExec {
    pub(super) fn new(dataset: Arc<str>, input: Arc<dyn ExecutionPlan>) -> Self {
        // Only the order of the rows is passed on: it is over columns as they are shown. What
        // the policy's filter made constant, and how rows were hashed, stays below.
        let mut known = EquivalenceProperties::new(input.schema());
        if let Some(ordering) = input.output_ordering() {
            known.add_ordering(ordering.iter().cloned());
        }
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            known,
            Partitioning::UnknownPartitioning(partitions),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self { dataset, input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for BarrierExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BarrierExec: dataset={}", self.dataset)
    }
}

impl ExecutionPlan for BarrierExec {
    fn name(&self) -> &str {
        "BarrierExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self::new(Arc::clone(&self.dataset), input))),
            _ => internal_err!("a barrier has one child"),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    // Left as the trait has them, on purpose: parent filters unsupported, statistics unknown, no
    // limit, no projection and no sort pushed down. The tests of attacks hold this.
}
