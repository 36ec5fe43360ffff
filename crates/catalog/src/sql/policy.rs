//! Row filters: from the text of a policy to an expression that holds for one session.
//!
//! The session functions stand for facts about the principal and are replaced by them when the
//! policy is planned; nothing of a session is left to look up while rows are read.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

use super::functions::Functions;
use super::names::Names;
use crate::Principal;

const IN_AREA: &str = "in_area";
const IN_ORGANISATION: &str = "in_organisation";
const MY_ORGANISATION: &str = "my_organisation";
const HAS_ROLE: &str = "has_role";

/// Plans `sql` over the dataset's raw fields for one principal.
pub(super) fn row_filter(
    sql: &str,
    schema: &Schema,
    principal: &Principal,
    functions: &Functions,
    state: &SessionState,
) -> Result<Expr> {
    let dialect = PostgreSqlDialect {};
    let parsed = DFParserBuilder::new(sql).with_dialect(&dialect).build()?.parse_into_expr()?;
    let names = Names { tables: HashMap::new(), functions, session_functions: stubs(), state };
    let schema = DFSchema::try_from(schema.clone())?;
    let planner = SqlToRel::new(&names);
    let expr = planner.sql_to_expr(parsed.expr, &schema, &mut PlannerContext::new())?;
    let expr = expr.transform_up(|expr| substitute(expr, principal))?.data;
    let found = expr.get_type(&schema)?;
    if found != DataType::Boolean {
        return plan_err!("a row filter must be boolean, this one is {found}");
    }
    Ok(expr)
}

fn substitute(expr: Expr, principal: &Principal) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(ScalarFunction { func, mut args }) = expr else {
        return Ok(Transformed::no(expr));
    };
    let fact = match (func.name(), args.len()) {
        (IN_AREA, 1) => in_area(args.remove(0), &principal.area_prefixes),
        (IN_ORGANISATION, 1) => member(args.remove(0), principal.organisations.iter()),
        (MY_ORGANISATION, 0) => lit(principal.organisation.clone()),
        (HAS_ROLE, 1) => member(args.remove(0), principal.roles.iter()),
        _ => return Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }))),
    };
    Ok(Transformed::yes(fact))
}

/// Official codes that start with one of the prefixes. Said as ranges, which file statistics can
/// prune by; digits sort as their numbers do, so `5101` ≤ code < `5102` is the prefix test.
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

fn stubs() -> HashMap<String, Arc<ScalarUDF>> {
    let one = |name| Stub::new(name, Signature::string(1, Volatility::Stable), DataType::Boolean);
    let none = Signature::exact(Vec::new(), Volatility::Stable);
    [
        one(IN_AREA),
        one(IN_ORGANISATION),
        one(HAS_ROLE),
        Stub::new(MY_ORGANISATION, none, DataType::Utf8),
    ]
    .into_iter()
    .map(|stub| (stub.name.to_owned(), Arc::new(ScalarUDF::from(stub))))
    .collect()
}

/// A session function before a session is known: it has a type and no value.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Stub {
    name: &'static str,
    signature: Signature,
    gives: DataType,
}

impl Stub {
    fn new(name: &'static str, signature: Signature, gives: DataType) -> Self {
        Self { name, signature, gives }
    }
}

impl ScalarUDFImpl for Stub {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(self.gives.clone())
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Reached only if a policy was not substituted: shows nothing.
        Ok(ColumnarValue::Scalar(ScalarValue::try_from(&self.gives)?))
    }
}
