//! How a running query is made to stop.
//!
//! Dropping a stream cancels what is waiting. A join of two large tables whose condition holds
//! for no pair waits for nothing: it can compare for minutes before it next looks up. So each join
//! condition gets a conjunct that fails once the query is over its time or nobody wants it any
//! more, and steps that make many rows of few take a breath after each batch.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::unnest::UnnestExec;
use tokio::time::Instant;

use super::{Limits, SqlError, stream};

/// Whether a query may go on.
#[derive(Debug)]
pub(super) struct Watch {
    deadline: Instant,
    unwanted: AtomicBool,
    too_late: SqlError,
}

impl Watch {
    pub(super) fn new(deadline: Instant, limits: &Limits) -> Arc<Self> {
        let too_late = stream::too_late(limits);
        Arc::new(Self { deadline, unwanted: AtomicBool::new(false), too_late })
    }

    fn check(&self) -> Result<()> {
        if self.unwanted.load(Ordering::Relaxed) || Instant::now() >= self.deadline {
            return Err(DataFusionError::External(Box::new(self.too_late.clone())));
        }
        Ok(())
    }
}

/// Ends the work of an answer that nobody reads any more.
#[derive(Debug)]
pub(super) struct StopOnDrop(pub(super) Arc<Watch>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.unwanted.store(true, Ordering::Relaxed);
    }
}

/// Adds the check to the condition of each join of an optimised plan.
pub(super) fn watched(plan: LogicalPlan, watch: &Arc<Watch>) -> Result<LogicalPlan> {
    let check = ScalarUDF::from(StillWanted {
        watch: Arc::clone(watch),
        signature: Signature::nullary(Volatility::Volatile),
    });
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(mut join) => {
            let Some(condition) = join.filter.take() else {
                return Ok(Transformed::no(LogicalPlan::Join(join)));
            };
            join.filter = Some(check.call(Vec::new()).and(condition));
            Ok(Transformed::yes(LogicalPlan::Join(join)))
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(plan.data)
}

/// Puts a step that takes breaths above each that makes many rows of few.
pub(super) fn cooperative(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let multiplies = |step: &Arc<dyn ExecutionPlan>| {
        step.is::<CrossJoinExec>()
            || step.is::<NestedLoopJoinExec>()
            || step.is::<HashJoinExec>()
            || step.is::<SortMergeJoinExec>()
            || step.is::<PiecewiseMergeJoinExec>()
            || step.is::<UnnestExec>()
    };
    let plan = plan.transform_up(|step| {
        if multiplies(&step) {
            return Ok(Transformed::yes(Arc::new(CooperativeExec::new(step)) as _));
        }
        Ok(Transformed::no(step))
    })?;
    Ok(plan.data)
}

/// Always true, for as long as anybody waits for the answer.
#[derive(Debug)]
struct StillWanted {
    watch: Arc<Watch>,
    signature: Signature,
}

impl PartialEq for StillWanted {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.watch, &other.watch)
    }
}

impl Eq for StillWanted {}

impl Hash for StillWanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.watch).hash(state);
    }
}

impl ScalarUDFImpl for StillWanted {
    fn name(&self) -> &str {
        "still_wanted"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.watch.check()?;
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))))
    }
}
