//! Row filters: from the text of a policy to an expression that holds for one session.
//!
//! The text is planned by the pack's own planner, with the registry that it was checked with. The
//! session functions in it stand for facts about the principal and are replaced by those here;
//! nothing of a session is left to look up while rows are read.

use arrow::datatypes::Schema;
use chrono::Utc;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, lit};
use pack::sql::{SESSION_FUNCTIONS, Scope, at_moment, plan_predicate_over};

use crate::Principal;

/// Plans `sql` over the dataset's stored fields for one principal.
pub(super) fn row_filter(sql: &str, stored: &Schema, principal: &Principal) -> Result<Expr> {
    at_moment(standing_filter(sql, stored, principal)?, Utc::now())
}

/// As [`row_filter`], with the clock still in it: the same for as long as the principal's scopes
/// are.
pub(super) fn standing_filter(sql: &str, stored: &Schema, principal: &Principal) -> Result<Expr> {
    let planned = plan_predicate_over(stored, sql, Scope::Session)
        .map_err(|fault| DataFusionError::Plan(fault.to_string()))?;
    Ok(planned.transform_up(|expr| substitute(expr, principal))?.data)
}

fn substitute(expr: Expr, principal: &Principal) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(ScalarFunction { func, mut args }) = expr else {
        return Ok(Transformed::no(expr));
    };
    let fact = match (func.name(), args.len()) {
        ("in_area", 1) => in_area(args.remove(0), &principal.area_prefixes),
        ("in_organisation", 1) => member(args.remove(0), principal.organisations.iter()),
        ("my_organisation", 0) => lit(principal.organisation.clone()),
        ("has_role", 1) => member(args.remove(0), principal.roles.iter()),
        (name, _) if SESSION_FUNCTIONS.iter().any(|known| known.name == name) => {
            // A session function that this catalogue does not know yet must close, not pass.
            return plan_err!("the session function {name} is not answered here");
        }
        _ => return Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }))),
    };
    Ok(Transformed::yes(fact))
}

/// Official codes that start with one of the prefixes. Said as ranges, which file statistics can
/// prune by: texts sort by their bytes, so `5101` ≤ code < `5102` is the prefix test.
fn in_area(code: Expr, prefixes: &[String]) -> Expr {
    let ranges = prefixes.iter().filter_map(|prefix| {
        let end = after_prefix(prefix)?;
        Some(code.clone().gt_eq(lit(prefix.clone())).and(code.clone().lt(lit(end))))
    });
    ranges.reduce(Expr::or).unwrap_or_else(|| lit(false))
}

/// The least text that is greater than every text with this prefix. None for a prefix that is
/// empty or no code: it opens nothing.
fn after_prefix(prefix: &str) -> Option<String> {
    let (head, last) = prefix.split_at_checked(prefix.len().checked_sub(1)?)?;
    let last = last.chars().next().filter(char::is_ascii_alphanumeric)?;
    Some(format!("{head}{}", char::from_u32(u32::from(last) + 1)?))
}

fn member<'a>(value: Expr, set: impl Iterator<Item = &'a String>) -> Expr {
    value.in_list(set.map(|item| lit(item.clone())).collect(), false)
}
