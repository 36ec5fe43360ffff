//! From an expression's text to a typed plan, or to a fault with its line and column.
//!
//! Sub-expressions are planned from the innermost outwards; the first that does not plan is the
//! one to blame, and the parser knows where it stands. Knows no files: whoever read the text maps
//! the position on.

use std::fmt;
use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Schema};
use chrono::{DateTime, Utc};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::sqlparser::ast::{
    self, Expr as SqlExpr, ExprWithAlias, ObjectNamePart, Spanned, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Tokenizer};

use super::chains::overlong_chain;
use super::types::{mismatch, names, word};
use super::{EXPRESSION_CHAIN_MAX, EXPRESSION_CHARS_MAX, SESSION_FUNCTIONS, Scope, planning_state};
use crate::diagnostics::nearest;
use crate::model::Contract;

/// Line and column within the expression's text, from 1, counting characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlPosition {
    pub line: u32,
    pub column: u32,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SqlFault {
    /// `None` where the fault is the expression as a whole.
    pub position: Option<SqlPosition>,
    pub problem: String,
    pub expected: Option<String>,
    pub found: Option<String>,
    pub mend: Option<String>,
}

impl SqlFault {
    pub(super) fn new(position: Option<SqlPosition>, problem: impl Into<String>) -> Self {
        Self { position, problem: problem.into(), expected: None, found: None, mend: None }
    }

    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    pub(super) fn types(mut self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self.found = Some(found.into());
        self
    }
}

impl fmt::Display for SqlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(SqlPosition { line, column }) = self.position {
            write!(f, "line {line}, column {column}: ")?;
        }
        write!(f, "{}", self.problem)?;
        if let (Some(expected), Some(found)) = (&self.expected, &self.found) {
            write!(f, ": expected {expected}, found {found}")?;
        }
        match &self.mend {
            Some(mend) => write!(f, "; {mend}"),
            None => Ok(()),
        }
    }
}

/// Plans a Boolean expression over a dataset's rows, types coerced.
pub fn plan_predicate(contract: &Contract, sql: &str, scope: Scope) -> Result<Expr, SqlFault> {
    plan_predicate_over(&contract.arrow_schema(), sql, scope)
}

/// Plans a Boolean expression over rows of any schema, e.g. a file's columns as texts.
pub fn plan_predicate_over(schema: &Schema, sql: &str, scope: Scope) -> Result<Expr, SqlFault> {
    faults(schema, sql, scope).map_err(|mut faults| faults.swap_remove(0))
}

/// A planned expression with what it takes from the clock (`now()`, `current_date`) settled: these
/// have no value for a row, only for a run.
pub fn at_moment(expr: Expr, now: DateTime<Utc>) -> Result<Expr, DataFusionError> {
    let context = SimplifyContext::builder().with_query_execution_start_time(Some(now)).build();
    let settled = expr.transform_up(|expr| {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else {
            return Ok(Transformed::no(expr));
        };
        if !args.is_empty() {
            return Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })));
        }
        Ok(match func.simplify(args, &context)? {
            ExprSimplifyResult::Simplified(value) => Transformed::yes(value),
            ExprSimplifyResult::Original(args) => {
                Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }))
            }
        })
    })?;
    Ok(settled.data)
}

/// As [`plan_predicate_over`], with every unknown name at once. The error is never empty.
pub(crate) fn faults(schema: &Schema, sql: &str, scope: Scope) -> Result<Expr, Vec<SqlFault>> {
    let length_chars = sql.chars().count();
    if length_chars > EXPRESSION_CHARS_MAX {
        return Err(vec![SqlFault::new(None, "the expression is too long").types(
            format!("at most {EXPRESSION_CHARS_MAX} characters"),
            length_chars.to_string(),
        )]);
    }
    if let Some(fault) = overlong(sql) {
        return Err(vec![fault]);
    }
    let state = planning_state(scope);
    let dialect = state.config().options().sql_parser.dialect;
    let parsed = state.sql_to_expr(sql, &dialect).map_err(|error| vec![syntax_fault(&error)])?;
    let planner = Planner {
        state,
        schema,
        df_schema: DFSchema::try_from(schema.clone())
            .map_err(|error| vec![SqlFault::new(None, one_line(&error))])?,
    };

    let mut names = Names { planner: &planner, faults: Vec::new() };
    let _: ControlFlow<()> = parsed.visit(&mut names);
    if !names.faults.is_empty() {
        return Err(names.faults);
    }
    if let ControlFlow::Break(fault) = parsed.visit(&mut Types { planner: &planner }) {
        return Err(vec![fault]);
    }
    planner.predicate(parsed).map_err(|fault| vec![fault])
}

/// A chain so long that whoever walks its tree would run out of stack. What is no token at all is
/// the parser's to blame.
fn overlong(sql: &str) -> Option<SqlFault> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().ok()?;
    let place = overlong_chain(&tokens, EXPRESSION_CHAIN_MAX)?;
    let problem = "the expression is too long a chain";
    let fault = SqlFault::new(position_of(place), problem);
    let expected = format!("at most {EXPRESSION_CHAIN_MAX} operators");
    Some(fault.types(expected, "more").mend("use IN, or split it"))
}

struct Planner<'a> {
    state: &'a SessionState,
    schema: &'a Schema,
    df_schema: DFSchema,
}

impl Planner<'_> {
    fn plan(&self, expr: SqlExpr) -> Result<Expr, DataFusionError> {
        let expr = ExprWithAlias { expr, alias: None };
        self.state.create_logical_expr_from_sql_expr(expr, &self.df_schema)
    }

    fn predicate(&self, expr: SqlExpr) -> Result<Expr, SqlFault> {
        let position = position(&expr);
        let whole = |error: DataFusionError| SqlFault::new(position, one_line(&error));
        let planned = self.plan(expr).map_err(whole)?;
        let context = SimplifyContext::builder().with_schema(self.df_schema.clone().into()).build();
        let coerced =
            ExprSimplifier::new(context).coerce(planned, &self.df_schema).map_err(whole)?;
        match coerced.get_type(&self.df_schema).map_err(whole)? {
            DataType::Boolean => Ok(coerced),
            other => Err(SqlFault::new(position, "the expression does not say yes or no")
                .types("boolean", word(&other))
                .mend("compare it with something")),
        }
    }
}

/// Finds names that are not there and syntax that has no place over one row.
struct Names<'a> {
    planner: &'a Planner<'a>,
    faults: Vec<SqlFault>,
}

impl Visitor for Names<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &SqlExpr) -> ControlFlow<()> {
        match expr {
            SqlExpr::Identifier(name) => self.field(name),
            SqlExpr::CompoundIdentifier(parts) => {
                let position = parts.first().and_then(|part| position_of(part.span.start));
                let field = parts.last().map_or("", |part| part.value.as_str());
                self.faults.push(
                    SqlFault::new(position, format!("`{expr}` names a table"))
                        .mend(format!("write `{field}` alone: the row is the only one there")),
                );
            }
            SqlExpr::Function(function) => self.function(function),
            SqlExpr::Value(value) if matches!(value.value, ast::Value::Placeholder(_)) => {
                let position = position_of(value.span.start);
                self.faults.push(
                    SqlFault::new(position, format!("`{expr}` is a parameter"))
                        .mend("write the value itself"),
                );
            }
            SqlExpr::Subquery(_) | SqlExpr::Exists { .. } | SqlExpr::InSubquery { .. } => {
                self.faults.push(
                    SqlFault::new(position(expr), "a subquery reads other rows")
                        .mend("write a condition on the fields of one row"),
                );
                return ControlFlow::Break(());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Names<'_> {
    fn field(&mut self, ident: &ast::Ident) {
        let name = match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_lowercase(),
        };
        if names(self.planner.schema).any(|known| known == name) {
            return;
        }
        let position = position_of(ident.span.start);
        let fault = SqlFault::new(position, format!("unknown field `{}`", ident.value));
        let known = || names(self.planner.schema);
        let fault = if known().any(|known| known == ident.value) {
            fault.mend(format!("write it in double quotes: \"{}\"", ident.value))
        } else if let Some(near) = nearest(&name, known()) {
            fault.mend(format!("did you mean `{near}`?"))
        } else {
            fault.mend(format!("use one of: {}", known().collect::<Vec<_>>().join(", ")))
        };
        self.faults.push(fault);
    }

    fn function(&mut self, function: &ast::Function) {
        let state = self.planner.state;
        let name = function.name.to_string().to_lowercase();
        let position = match function.name.0.first() {
            Some(ObjectNamePart::Identifier(ident)) => position_of(ident.span.start),
            _ => None,
        };
        let scalar = state.scalar_functions().contains_key(&name);
        if scalar && function.over.is_none() {
            return;
        }
        let of_many_rows = scalar
            || state.aggregate_functions().contains_key(&name)
            || state.window_functions().contains_key(&name);
        if of_many_rows {
            self.faults.push(
                SqlFault::new(position, format!("`{name}` is about many rows"))
                    .mend("write a condition on the fields of one row"),
            );
            return;
        }
        if SESSION_FUNCTIONS.iter().any(|function| function.name == name) {
            self.faults.push(
                SqlFault::new(position, format!("`{name}` asks who reads, which no row knows"))
                    .mend("use it in a policy's row filter"),
            );
            return;
        }
        let fault = SqlFault::new(position, format!("unknown or disallowed function `{name}`"));
        let known = state.scalar_functions().keys().map(String::as_str);
        self.faults.push(match nearest(&name, known) {
            Some(near) => fault.mend(format!("did you mean `{near}`?")),
            None => fault.mend("use a function of the allow-list in pack::sql"),
        });
    }
}

/// Finds the innermost sub-expression whose types do not fit.
struct Types<'a> {
    planner: &'a Planner<'a>,
}

impl Visitor for Types<'_> {
    type Break = SqlFault;

    fn post_visit_expr(&mut self, expr: &SqlExpr) -> ControlFlow<SqlFault> {
        let position = position(expr);
        let schema = &self.planner.df_schema;
        let planned = match self.planner.plan(expr.clone()) {
            Ok(planned) => planned,
            Err(error) => return ControlFlow::Break(plan_fault(position, &error)),
        };
        if let Some(found) = mismatch(&planned, schema) {
            return ControlFlow::Break(
                SqlFault::new(position, found.problem).types(found.expected, found.found),
            );
        }
        match planned.get_type(schema) {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(plan_fault(position, &error)),
        }
    }
}

fn position(expr: &SqlExpr) -> Option<SqlPosition> {
    position_of(expr.span().start)
}

/// The parser says line 0 where it does not know.
fn position_of(location: Location) -> Option<SqlPosition> {
    let line = u32::try_from(location.line).ok().filter(|&line| line > 0)?;
    Some(SqlPosition { line, column: u32::try_from(location.column).ok()? })
}

/// The parser writes its position into the message: `… at Line: 1, Column: 5`.
pub(super) fn syntax_fault(error: &DataFusionError) -> SqlFault {
    let message = one_line(error);
    let (problem, place) = message.rsplit_once(" at Line: ").unwrap_or((&message, ""));
    let position = place.split_once(", Column: ").and_then(|(line, column)| {
        let digits: String = column.chars().take_while(char::is_ascii_digit).collect();
        Some(SqlPosition { line: line.parse().ok()?, column: digits.parse().ok()? })
    });
    match problem.strip_prefix("Expected: ").and_then(|rest| rest.split_once(", found: ")) {
        Some((expected, "EOF")) => {
            SqlFault::new(position, "bad syntax").types(format!("`{expected}`"), "the end")
        }
        Some((expected, found)) => {
            SqlFault::new(position, "bad syntax").types(expected, format!("`{found}`"))
        }
        None => SqlFault::new(position, format!("bad syntax: {problem}")),
    }
}

/// A sub-expression whose operands are sound and that does not plan. DataFusion answers a call
/// with the wrong arguments by a list of every type that the function takes, pages of it for a
/// spatial one; the call is enough.
fn plan_fault(position: Option<SqlPosition>, error: &DataFusionError) -> SqlFault {
    let message = one_line(error);
    let call = message
        .split_once("argument types '")
        .and_then(|(_, rest)| rest.split_once("'. "))
        .and_then(|(call, _)| call.split_once('('));
    let Some((name, arguments)) = call else { return SqlFault::new(position, message) };
    let arguments: Vec<&str> = arguments
        .trim_end_matches(')')
        .split(", ")
        .map(|ty| match ty {
            "Utf8" | "Utf8View" | "LargeUtf8" => "text",
            "Int64" => "integer",
            "Float64" => "number",
            "Boolean" => "boolean",
            "Binary" => "geometry",
            "Date32" => "date",
            ty if ty.starts_with("Timestamp") => "timestamp",
            ty => ty,
        })
        .collect();
    SqlFault::new(position, format!("`{name}` does not take ({})", arguments.join(", ")))
        .mend("give it arguments of the types that it takes")
}

/// DataFusion's message without its prefixes, hints about its own settings and line breaks.
pub(super) fn one_line(error: &DataFusionError) -> String {
    let message = match error.find_root() {
        DataFusionError::SQL(error, _) => error.to_string(),
        error => error.strip_backtrace(),
    };
    let message = message.lines().next().unwrap_or_default();
    let prefixes =
        ["Error during planning: ", "SQL error: ", "sql parser error: ", "Schema error: "];
    prefixes.into_iter().fold(message, |text, prefix| text.trim_start_matches(prefix)).to_owned()
}
