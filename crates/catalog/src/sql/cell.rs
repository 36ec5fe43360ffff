//! Minimum cell size: answers over a guarded dataset tell of groups, never of rows.
//!
//! Every path from a guarded scan to the output must pass an aggregate. That aggregate gets a
//! `count(*)` and a count of what it sums up, and groups where any of them is under `k`
//! are left out. Below it nothing may multiply rows (a join would make one row into many and the
//! count worthless), and what is aggregated must be a stored column as it is, or one row could
//! be singled out inside a large group (`sum(CASE WHEN id = 7 THEN income END)`). What is asked of
//! rows below it must have a value for each, or whether it fails would tell of one ([`quiet`]);
//! what is computed of groups above it meets none that is left out ([`Closed`]).
//!
//! What this does **not** stop, and no rule over single queries can: differencing. Two answers
//! that each pass — the total, and the total without one person — give that person away by
//! subtraction; so does a group that was left out when its siblings and their sum are known.
//! `avg` of a group whose members all have one value tells that value. Who must not be able to
//! do this needs a coarser dataset or noise, not this rule; the usage log shows who tried.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::datasource::source_as_provider;
use datafusion::functions_aggregate::count::count;
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, LogicalPlan, Projection, TableScan, lit, when,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;

use super::barrier::Closed;
use super::functions::GROUP_AGGREGATES;
use super::governed::GovernedTable;
use super::{SqlError, quiet};

/// Puts the rule into a plan that is about to run, or says why the plan cannot keep it.
pub(super) fn guard(plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
    if !touches_guarded(&plan)? {
        return Ok(plan);
    }
    // Types first: a cast that coercion would put in later must be seen here.
    guarded(TypeCoercion::new().analyze(plan, options)?, Check::Values)
}

/// As [`guard`] for a plan that is only described: its parameters need not have types yet.
pub(super) fn guard_shape(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !touches_guarded(&plan)? {
        return Ok(plan);
    }
    guarded(plan, Check::Shape)
}

/// What is looked at: the steps alone, or also whether their expressions could fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Shape,
    Values,
}

fn guarded(plan: LogicalPlan, check: Check) -> Result<LogicalPlan> {
    let (plan, exposed) = rewrite(plan, check)?;
    match exposed {
        None => Ok(plan),
        Some(k) => refuse(format!(
            "this dataset is answered in groups of at least {k} rows: aggregate it, for example \
             SELECT …, count(*) … GROUP BY …"
        )),
    }
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(DataFusionError::External(Box::new(SqlError::refused(reason))))
}

/// `Some(k)`: rows of a dataset with that minimum reach this step ungrouped.
type Exposed = Option<u32>;

fn rewrite(plan: LogicalPlan, check: Check) -> Result<(LogicalPlan, Exposed)> {
    correlated(&plan)?;
    let plan = plan.map_subqueries(|plan| closed_subquery(plan, check))?.data;
    if let LogicalPlan::TableScan(scan) = &plan {
        let exposed = min_cell(scan)?;
        return Ok((plan, exposed));
    }
    let mut exposed: Exposed = None;
    let plan = plan
        .map_children(|child| {
            let (child, below) = rewrite(child, check)?;
            exposed = exposed.max(below);
            Ok(Transformed::yes(child))
        })?
        .data;
    let Some(k) = exposed else { return Ok((plan, None)) };
    let what = match plan {
        LogicalPlan::Aggregate(_) => {
            never_fails(&plan, k, check)?;
            let LogicalPlan::Aggregate(aggregate) = plan else { unreachable!("matched above") };
            return Ok((suppress(aggregate, k)?, None));
        }
        LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Projection(_) => {
            never_fails(&plan, k, check)?;
            return Ok((plan, exposed));
        }
        LogicalPlan::Sort(ref sort) if sort.fetch.is_none() => {
            never_fails(&plan, k, check)?;
            return Ok((plan, exposed));
        }
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => return Ok((plan, exposed)),
        LogicalPlan::Join(_) => "join it after aggregating it, not before",
        LogicalPlan::Window(_) => "window functions tell of single rows",
        LogicalPlan::Distinct(_) => "DISTINCT tells of single values; use GROUP BY with count(*)",
        LogicalPlan::Union(_) => "UNION would count rows twice; unite aggregated answers",
        LogicalPlan::Limit(_) | LogicalPlan::Sort(_) => "LIMIT belongs after the aggregate",
        _ => "aggregate it first",
    };
    refuse(format!("this dataset is answered in groups of at least {k} rows: {what}"))
}

fn never_fails(plan: &LogicalPlan, k: u32, check: Check) -> Result<()> {
    if check == Check::Shape {
        return Ok(());
    }
    match quiet::loud(plan)? {
        None => Ok(()),
        Some(part) => refuse(format!(
            "{part} could fail for single rows, and this dataset is answered in groups of at \
             least {k}; compare columns with values, or write TRY_CAST"
        )),
    }
}

/// A subquery that runs once for each row of another table asks as many questions as that has
/// rows. In an expression or in a lateral join, it is refused.
fn correlated(plan: &LogicalPlan) -> Result<()> {
    match plan {
        LogicalPlan::Subquery(subquery)
            if !subquery.outer_ref_columns.is_empty() && touches_guarded(plan)? =>
        {
            refuse(
                "a dataset with a minimum cell size cannot stand in a correlated subquery".into(),
            )
        }
        _ => Ok(()),
    }
}

/// A subquery in an expression is a small answer of its own: nothing ungrouped may leave it.
fn closed_subquery(plan: LogicalPlan, check: Check) -> Result<Transformed<LogicalPlan>> {
    if !touches_guarded(&plan)? {
        return Ok(Transformed::no(plan));
    }
    let (plan, exposed) = rewrite(plan, check)?;
    match exposed {
        None => Ok(Transformed::yes(plan)),
        Some(k) => refuse(format!(
            "this dataset is answered in groups of at least {k} rows: aggregate it in the subquery"
        )),
    }
}

fn min_cell(scan: &TableScan) -> Result<Exposed> {
    let provider = source_as_provider(&scan.source)?;
    Ok(provider.downcast_ref::<GovernedTable>().and_then(GovernedTable::min_cell))
}

fn touches_guarded(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found |= min_cell(scan)?.is_some();
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// The aggregate with its counts, without the groups under `k`, in the schema it had.
fn suppress(aggregate: Aggregate, k: u32) -> Result<LogicalPlan> {
    let mut counts = vec![count(lit(1_i64)).alias("__cell")];
    for call in &aggregate.aggr_expr {
        let columns = aggregated_columns(call, &aggregate.input, k)?;
        // Aggregates of two columns are over the rows that have both: those are counted.
        let all_there = columns.into_iter().map(|column| Expr::Column(column).is_not_null());
        let Some(all_there) = all_there.reduce(Expr::and) else { continue };
        let name = format!("__cell_{}", counts.len());
        counts.push(count(when(all_there, lit(1_i64)).end()?).alias(name));
    }
    // The id of the grouping set is the planner's own and is resolved later.
    let own = |name: &str| name == Aggregate::INTERNAL_GROUPING_ID;
    let shown = aggregate.schema.iter().filter(|(_, field)| !own(field.name()));
    let shown: Vec<Expr> = shown.map(Expr::from).collect();
    let large_enough = (0..counts.len())
        .map(|index| if index == 0 { "__cell".to_owned() } else { format!("__cell_{index}") })
        .map(|name| Expr::Column(Column::new_unqualified(name)).gt_eq(lit(i64::from(k))))
        .reduce(Expr::and)
        .unwrap_or_else(|| lit(false));
    let mut calls = aggregate.aggr_expr;
    calls.extend(counts);
    let counted = Aggregate::try_new(aggregate.input, aggregate.group_expr, calls)?;
    let kept = Filter::try_new(large_enough, LogicalPlan::Aggregate(counted).into())?;
    let shown = Projection::try_new(shown, LogicalPlan::Filter(kept).into())?;
    Ok(Closed::over(LogicalPlan::Projection(shown)))
}

/// The columns that one aggregate is made of; refuses what could single out a row.
fn aggregated_columns(call: &Expr, input: &LogicalPlan, k: u32) -> Result<Vec<Column>> {
    let call = match call {
        Expr::Alias(alias) => alias.expr.as_ref(),
        call => call,
    };
    let Expr::AggregateFunction(call) = call else {
        return refuse(format!("only aggregates are allowed in groups of at least {k} rows"));
    };
    let name = call.func.name();
    if !GROUP_AGGREGATES.contains(&name) {
        return refuse(format!(
            "{name} gives back values of single rows, and this dataset is answered in groups of \
             at least {k}; use count, sum, avg or stddev"
        ));
    }
    if call.params.filter.is_some() {
        return refuse(format!("FILTER in {name} can single out a row; use WHERE"));
    }
    let mut columns = Vec::new();
    for argument in &call.params.args {
        match unwrap_cast(argument) {
            Expr::Literal(..) => {}
            Expr::Column(column) if stored_as_is(column, input) => columns.push(column.clone()),
            _ if name == "grouping" => {}
            _ => {
                return refuse(format!(
                    "{name} over an expression can single out a row of a dataset that is answered \
                     in groups of at least {k}; aggregate the column as it is"
                ));
            }
        }
    }
    Ok(columns)
}

fn unwrap_cast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => unwrap_cast(&cast.expr),
        expr => expr,
    }
}

/// Whether the column comes from the scan without having been computed on the way.
fn stored_as_is(column: &Column, plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Filter(filter) => stored_as_is(column, &filter.input),
        LogicalPlan::Sort(sort) => stored_as_is(column, &sort.input),
        LogicalPlan::SubqueryAlias(alias) => {
            let Ok(index) = alias.schema.index_of_column(column) else { return false };
            let below = alias.input.schema().columns().into_iter().nth(index);
            below.is_some_and(|below| stored_as_is(&below, &alias.input))
        }
        LogicalPlan::Projection(projection) => {
            let Ok(index) = projection.schema.index_of_column(column) else { return false };
            let mut expr = &projection.expr[index];
            while let Expr::Alias(alias) = expr {
                expr = &alias.expr;
            }
            matches!(expr, Expr::Column(below) if stored_as_is(below, &projection.input))
        }
        _ => false,
    }
}
