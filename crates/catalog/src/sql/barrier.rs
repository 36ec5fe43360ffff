//! The node that no parent sees through.
//!
//! `FilterExec` and `ProjectionExec` hand their parents' predicates, limits and sort wishes on to
//! their children, and let statistics through: a user's predicate could so run over rows that the
//! policy hides, and a MIN could be answered from a file's footer. This node does none of that.
//! It costs one virtual call a batch.
//!
//! [`Closed`] is the same in a plan that is still to be optimised: it stands above groups that
//! are left out for being small, so that nothing which the asker computes of groups (`HAVING 1 /
//! (sum(income) - 8000) > 0`) is computed of those.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

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

/// What is below is not seen through from above. That no predicate passes is the default of such
/// a node: all of its columns prevent it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub(super) struct Closed {
    input: LogicalPlan,
}

impl Closed {
    pub(super) fn over(input: LogicalPlan) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(Self { input }) })
    }
}

impl UserDefinedLogicalNodeCore for Closed {
    fn name(&self) -> &str {
        "Closed"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.is_empty()) {
            (Some(input), true) => Ok(Self { input }),
            _ => internal_err!("a barrier has one child"),
        }
    }
}

/// Plans like DataFusion, and a barrier where a plan says [`Closed`].
#[derive(Debug)]
pub(super) struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Self)]);
        planner.create_physical_plan(plan, session).await
    }
}

#[async_trait]
impl ExtensionPlanner for Planner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match (node.as_any().is::<Closed>(), physical_inputs) {
            (true, [input]) => {
                Ok(Some(Arc::new(BarrierExec::new("groups".into(), Arc::clone(input)))))
            }
            _ => Ok(None),
        }
    }
}
