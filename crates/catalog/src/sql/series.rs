//! `generate_series` and `range` as tables, with a bound on how many rows they make.

use std::sync::Arc;

use datafusion::catalog::TableFunctionArgs;
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::functions_table::all_default_table_functions;
use datafusion::logical_expr::{Expr, TableSource};

use super::{LimitKind, SqlError};

/// Rows that one call may make.
pub const SERIES_ROWS_MAX: i128 = 1_000_000;

/// Nanoseconds in the shortest month.
const MONTH_NS_MIN: i128 = 28 * DAY_NS;
const DAY_NS: i128 = 86_400_000_000_000;

pub(super) fn table(
    name: &str,
    args: Vec<Expr>,
    state: &SessionState,
) -> Result<Arc<dyn TableSource>> {
    let args = literals(args, state)?;
    let rows = rows(&args)?;
    if rows > SERIES_ROWS_MAX {
        let reason = format!("{name} would make {rows} rows, at most {SERIES_ROWS_MAX} allowed");
        return Err(DataFusionError::External(Box::new(SqlError::limit(
            LimitKind::ArgumentSize,
            reason,
        ))));
    }
    let functions = all_default_table_functions();
    let Some(function) = functions.iter().find(|function| function.name() == name) else {
        return plan_err!("there is no table function '{name}'");
    };
    let args = TableFunctionArgs::new(&args, state);
    Ok(provider_as_source(function.create_table_provider_with_args(args)?))
}

/// Folds `-5` or `now() - interval '1 day'` down to values.
fn literals(args: Vec<Expr>, state: &SessionState) -> Result<Vec<Expr>> {
    use datafusion::common::DFSchema;
    use datafusion::logical_expr::simplify::SimplifyContext;
    use datafusion::optimizer::simplify_expressions::ExprSimplifier;

    let schema = Arc::new(DFSchema::empty());
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(&schema))
        .with_config_options(Arc::clone(state.config_options()))
        .with_query_execution_start_time(state.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(context);
    args.into_iter()
        .map(|arg| simplifier.coerce(arg, &schema).and_then(|arg| simplifier.simplify(arg)))
        .collect()
}

fn rows(args: &[Expr]) -> Result<i128> {
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        let Expr::Literal(value, _) = arg else {
            return plan_err!("generate_series takes literal values only");
        };
        if value.is_null() {
            return Ok(0);
        }
        values.push(value);
    }
    let (start, end, step) = match values.as_slice() {
        [end] => (0, instant(end)?, 1),
        [start, end] => (instant(start)?, instant(end)?, 1),
        [start, end, step] => (instant(start)?, instant(end)?, instant(step)?),
        _ => return plan_err!("generate_series takes one to three arguments"),
    };
    // A step of zero is refused by the function itself.
    Ok((end - start).checked_div(step).unwrap_or(0).max(0) + 1)
}

fn instant(value: &ScalarValue) -> Result<i128> {
    Ok(match value {
        ScalarValue::Int64(Some(value)) => i128::from(*value),
        ScalarValue::Date32(Some(days)) => i128::from(*days) * DAY_NS,
        ScalarValue::TimestampNanosecond(Some(ns), _) => i128::from(*ns),
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            i128::from(interval.months) * MONTH_NS_MIN
                + i128::from(interval.days) * DAY_NS
                + i128::from(interval.nanoseconds)
        }
        other => {
            return plan_err!("generate_series does not take a {}", other.data_type());
        }
    })
}
