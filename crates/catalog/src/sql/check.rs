//! The allow-list of plan nodes, expressions and functions, and the plan's size.
//!
//! Names are the first gate ([`Names`](super::names::Names) hands out nothing else); this is the
//! second, over what the planner really made of the statement, so that a rewrite which brings in
//! a node or a function of its own is met as well.

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{
    BinaryExpr, Expr, LogicalPlan, Operator, WindowFrame, WindowFunctionDefinition,
};

use super::bounded::{JOIN_TEXT, PATTERN_BYTES_MAX};
use super::functions::Functions;
use super::{LimitKind, Limits, SqlError};

/// Expressions of one statement, all nodes counted: long IN lists are welcome.
const EXPRESSIONS_MAX: usize = 100_000;

pub(super) fn check(
    plan: &LogicalPlan,
    functions: &Functions,
    limits: &Limits,
) -> Result<(), SqlError> {
    let mut checker = Checker { functions, limits, nodes: 0, expressions: 0 };
    checker.plan(plan, 0)
}

struct Checker<'a> {
    functions: &'a Functions,
    limits: &'a Limits,
    nodes: usize,
    expressions: usize,
}

impl Checker<'_> {
    fn plan(&mut self, plan: &LogicalPlan, depth: usize) -> Result<(), SqlError> {
        self.nodes += 1;
        if self.nodes > self.limits.plan_nodes_max {
            let reason = format!("more than {} steps", self.limits.plan_nodes_max);
            return Err(SqlError::limit(LimitKind::PlanNodes, reason));
        }
        if depth > self.limits.plan_depth_max {
            let reason = format!("more than {} steps deep", self.limits.plan_depth_max);
            return Err(SqlError::limit(LimitKind::PlanDepth, reason));
        }
        node(plan)?;
        let mut failed = Ok(());
        let walked = plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                failed = self.expression(expr, depth);
                Ok(if failed.is_ok() {
                    TreeNodeRecursion::Continue
                } else {
                    TreeNodeRecursion::Stop
                })
            })
        });
        failed?;
        walked.map_err(unreadable)?;
        plan.inputs().into_iter().try_for_each(|input| self.plan(input, depth + 1))
    }

    fn expression(&mut self, expr: &Expr, depth: usize) -> Result<(), SqlError> {
        self.expressions += 1;
        if self.expressions > EXPRESSIONS_MAX {
            let reason = format!("more than {EXPRESSIONS_MAX} expressions");
            return Err(SqlError::limit(LimitKind::PlanNodes, reason));
        }
        let subquery = match expr {
            Expr::Alias(_)
            | Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Like(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::InList(_)
            | Expr::GroupingSet(_)
            | Expr::Placeholder(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::Unnest(_) => return Ok(()),
            Expr::BinaryExpr(BinaryExpr { op, right, .. }) => {
                return if matches_pattern(*op) { pattern(right) } else { Ok(()) };
            }
            Expr::SimilarTo(similar) => return pattern(&similar.pattern),
            Expr::ScalarFunction(call) => {
                let name = call.name();
                let known = name == JOIN_TEXT || self.functions.scalar.contains_key(name);
                return self.listed(known, name);
            }
            Expr::AggregateFunction(call) => {
                let name = call.func.name();
                return self.listed(self.functions.aggregate.contains_key(name), name);
            }
            Expr::WindowFunction(call) => {
                let name = call.fun.name();
                framed(name, &call.params.window_frame)?;
                let known = match &call.fun {
                    WindowFunctionDefinition::AggregateUDF(_) => {
                        self.functions.aggregate.contains_key(name)
                    }
                    WindowFunctionDefinition::WindowUDF(_) => {
                        self.functions.window.contains_key(name)
                    }
                };
                return self.listed(known, name);
            }
            Expr::Exists(exists) => &exists.subquery,
            Expr::InSubquery(within) => &within.subquery,
            Expr::SetComparison(comparison) => &comparison.subquery,
            Expr::ScalarSubquery(subquery) => subquery,
            Expr::ScalarVariable(..) => {
                return Err(SqlError::refused("variables such as @@version are not readable"));
            }
            _ => {
                return Err(SqlError::refused(
                    "an expression of this kind is not allowed: lambdas and wildcards",
                ));
            }
        };
        self.plan(&subquery.subquery, depth + 1)
    }

    fn listed(&self, known: bool, name: &str) -> Result<(), SqlError> {
        if known {
            return Ok(());
        }
        Err(SqlError::refused(format!("function '{name}' is not on the list of allowed functions")))
    }
}

fn matches_pattern(op: Operator) -> bool {
    matches!(
        op,
        Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch
    )
}

/// The pattern of an operator: one for all rows, since each is compiled and kept.
fn pattern(expr: &Expr) -> Result<(), SqlError> {
    match expr {
        Expr::Alias(alias) => pattern(&alias.expr),
        Expr::Cast(cast) => pattern(&cast.expr),
        Expr::Placeholder(_) => Ok(()),
        Expr::Literal(value, _) => {
            let bytes = value.try_as_str().flatten().map_or(0, str::len);
            if bytes <= PATTERN_BYTES_MAX {
                return Ok(());
            }
            let reason = format!("a pattern of {bytes} bytes, at most {PATTERN_BYTES_MAX} allowed");
            Err(SqlError::limit(LimitKind::ArgumentSize, reason))
        }
        _ => Err(SqlError::refused(
            "a pattern is written out as text; for one that is computed use regexp_like",
        )),
    }
}

/// Aggregates that give back many rows in one value would, over a window, do so for each row: a
/// list of all rows for each of a million. Those that sort what they have seen do it for each
/// row, too, unless the frame is the same for all.
fn framed(name: &str, frame: &WindowFrame) -> Result<(), SqlError> {
    let whole = frame.start_bound.is_unbounded() && frame.end_bound.is_unbounded();
    match name {
        "array_agg" | "string_agg" => Err(SqlError::refused(format!(
            "{name} is not allowed over a window: it would hold all rows once for each row"
        ))),
        "median" | "percentile_cont" if !whole => Err(SqlError::refused(format!(
            "{name} over a moving window sorts it anew for each row: leave ORDER BY out of OVER"
        ))),
        _ => Ok(()),
    }
}

fn node(plan: &LogicalPlan) -> Result<(), SqlError> {
    let what = match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_)
        // Statements with EXPLAIN were admitted or refused before planning.
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_) => return Ok(()),
        LogicalPlan::Dml(_) => "writing",
        LogicalPlan::Ddl(_) => "creating, altering and dropping",
        LogicalPlan::Copy(_) => "COPY",
        LogicalPlan::Statement(_) => "SET, PREPARE and transactions",
        LogicalPlan::RecursiveQuery(_) => "recursion",
        LogicalPlan::DescribeTable(_) => "DESCRIBE of a query",
        LogicalPlan::Repartition(_) | LogicalPlan::Extension(_) => "a step of this kind",
    };
    Err(SqlError::refused(format!("{what} is not allowed: this interface reads")))
}

fn unreadable(error: DataFusionError) -> SqlError {
    SqlError::Invalid { reason: error.strip_backtrace() }
}
