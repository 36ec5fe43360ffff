//! Turns clients' catalogue queries into what the planner takes, and checks their functions.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Statement, TableFactor, Value, Visit, VisitMut, Visitor,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;

use super::functions::is_allowed;
use super::names::Directory;
use crate::fault::{Code, Fault, parser_position};

static COMPATIBILITY: LazyLock<PostgresCompatibilityParser> =
    LazyLock::new(PostgresCompatibilityParser::new);

/// Reads a catalogue query as the planner wants it.
pub fn rewrite(sql: &str, directory: &Directory) -> Result<Statement, Fault> {
    let numbered = with_numbers(sql, directory)?;
    let sql = with_look_ups(&numbered)?;
    let mut statements = COMPATIBILITY.parse(&sql).map_err(syntax)?;
    if statements.len() != 1 {
        let reason = format!("one statement is wanted, not {}", statements.len());
        return Err(Fault::new(Code::Syntax, reason));
    }
    let mut statement = statements.remove(0);
    let _ = VisitMut::visit(&mut statement, &mut RegclassCasts);
    let _ = VisitMut::visit(&mut statement, &mut Forms);
    // Checked after the rewriting, which knows whole queries of clients by heart and answers
    // them without the functions they call.
    let mut forbidden = Forbidden(None);
    let _ = Visit::visit(&statement, &mut forbidden);
    match forbidden.0 {
        None => Ok(statement),
        Some(name) => {
            let reason =
                format!("function {name} is not allowed in a query of the system catalogues");
            Err(Fault::new(Code::Refused, reason))
        }
    }
}

/// Puts a relation's number for each `'name'::regclass`, and a look-up for each `$1::regclass`. Done on the tokens, because the rewriting
/// that follows looks for known queries token by token.
fn with_numbers(sql: &str, directory: &Directory) -> Result<String, Fault> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize()
        .map_err(|error| Fault::new(Code::Syntax, error.to_string()))?;
    let mut text = String::with_capacity(sql.len());
    let mut rest = tokens.as_slice();
    while let [first, after @ ..] = rest {
        rest = after;
        let Some(end) = regclass_cast(after) else {
            text.push_str(&first.to_string());
            continue;
        };
        let name = match first {
            Token::SingleQuotedString(name) => name,
            Token::Placeholder(name) => {
                text.push_str(&format!("to_regclass({name}::text)"));
                rest = &after[end..];
                continue;
            }
            _ => {
                text.push_str(&first.to_string());
                continue;
            }
        };
        let number = name.parse().ok().or_else(|| directory.number(name)).ok_or_else(|| {
            Fault::new(Code::NotFound, format!("relation \"{name}\" does not exist"))
        })?;
        text.push_str(&number.to_string());
        rest = &after[end..];
    }
    Ok(text)
}

/// Turns `CAST(… AS regclass)` into look-ups. This writes the statement anew, after which none of
/// the queries known token by token would be known: none of them holds such a cast.
fn with_look_ups(sql: &str) -> Result<Cow<'_, str>, Fault> {
    let lower = sql.to_ascii_lowercase();
    if !["as regclass", "as pg_catalog.regclass"].iter().any(|cast| lower.contains(cast)) {
        return Ok(Cow::Borrowed(sql));
    }
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).map_err(syntax)?;
    let _ = VisitMut::visit(&mut statements, &mut RegclassCasts);
    let texts: Vec<_> = statements.iter().map(ToString::to_string).collect();
    Ok(Cow::Owned(texts.join("; ")))
}

/// How many tokens `::regclass` or `::pg_catalog.regclass` takes at the start of `tokens`.
fn regclass_cast(tokens: &[Token]) -> Option<usize> {
    let is = |token: &Token, name: &str| match token {
        Token::Word(word) => word.value.eq_ignore_ascii_case(name),
        _ => false,
    };
    match tokens {
        [Token::DoubleColon, word, ..] if is(word, "regclass") => Some(2),
        [Token::DoubleColon, schema, Token::Period, word, ..]
            if is(schema, "pg_catalog") && is(word, "regclass") =>
        {
            Some(4)
        }
        _ => None,
    }
}

/// Casts of anything else to `regclass` become look-ups: of a name's number, or of a number's
/// name where the cast goes on to text.
struct RegclassCasts;

fn casts_to(expr: &Expr, types: &[&str]) -> bool {
    let Expr::Cast { data_type, .. } = expr else { return false };
    let name = data_type.to_string().to_ascii_lowercase();
    types.contains(&name.trim_start_matches("pg_catalog."))
}

impl VisitorMut for RegclassCasts {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let shows_name = casts_to(expr, &["text", "varchar", "name"])
            && matches!(expr, Expr::Cast { expr: inner, .. } if casts_to(inner, &["regclass"]));
        let function = match (shows_name, casts_to(expr, &["regclass"])) {
            (true, _) => "pg_regclass_name",
            (false, true) => "to_regclass",
            (false, false) => return ControlFlow::Continue(()),
        };
        let mut operand = expr.clone();
        for _ in 0..=usize::from(shows_name) {
            if let Expr::Cast { expr: inner, .. } = operand {
                operand = *inner;
            }
        }
        *expr = call(function, vec![operand]);
        ControlFlow::Continue(())
    }
}

/// Forms of PostgreSQL that the planner does not have, as ones that it has.
struct Forms;

impl VisitorMut for Forms {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            // The planner's LIKE escapes by the backslash alone.
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                let escape = escape_char.take().and_then(|value| value.value.into_string());
                if let Some(escape) = escape.filter(|escape| escape != "\\") {
                    let texts = [escape, "\\".to_owned()].map(text);
                    let arguments = [vec![pattern.as_ref().clone()], texts.into()].concat();
                    **pattern = call("replace", arguments);
                }
            }
            // Subqueries inside a CASE look up defaults, sequences and collations, which datasets
            // do not have.
            Expr::Case { .. } => {
                let _ = VisitMut::visit(expr, &mut NoSubqueries);
            }
            // An array of what a subquery finds: members of roles, roles of row policies. There
            // are none of either.
            Expr::Function(function)
                if named(function, "array")
                    && matches!(function.args, FunctionArguments::Subquery(_)) =>
            {
                *expr = call("string_to_array", vec![text(String::new()), text(",".to_owned())]);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(better) = expanded(expr) {
            *expr = better;
        }
        ControlFlow::Continue(())
    }
}

/// Puts null for scalar subqueries.
struct NoSubqueries;

impl VisitorMut for NoSubqueries {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Subquery(_)) {
            *expr = Expr::Value(Value::Null.with_empty_span());
        }
        ControlFlow::Continue(())
    }
}

/// `generate_subscripts(a, 1)` and the `n` of `_pg_expandarray(a)` count an array's places; its
/// `x`, and the pair itself where only its `x` is asked for later, are the elements.
fn expanded(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Function(function) if named(function, "generate_subscripts") => {
            Some(places(first_argument(function)?))
        }
        Expr::Function(function) if named(function, "_pg_expandarray") => {
            Some(call("unnest", vec![first_argument(function)?]))
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            let [AccessExpr::Dot(Expr::Identifier(part))] = access_chain.as_slice() else {
                return None;
            };
            let inner = match root.as_ref() {
                Expr::Nested(inner) => inner.as_ref(),
                other => other,
            };
            match (part.value.as_str(), inner) {
                // The root was visited before: it is an `unnest` by now, or a column of one.
                ("x", _) => Some(inner.clone()),
                ("n", Expr::Function(function)) if named(function, "unnest") => {
                    Some(places(first_argument(function)?))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn places(array: Expr) -> Expr {
    let one = Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
    let length = call("array_length", vec![array]);
    call("unnest", vec![call("generate_series", vec![one, length])])
}

fn named(function: &Function, name: &str) -> bool {
    let last = function.name.0.last().and_then(|part| part.as_ident());
    last.is_some_and(|word| word.value.eq_ignore_ascii_case(name))
}

fn first_argument(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.first()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => Some(argument.clone()),
        _ => None,
    }
}

fn text(value: String) -> Expr {
    Expr::Value(Value::SingleQuotedString(value).with_empty_span())
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments
                .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)))
                .collect(),
            clauses: Vec::new(),
        }),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn syntax(error: datafusion::sql::sqlparser::parser::ParserError) -> Fault {
    let (message, position) = parser_position(&error.to_string());
    Fault::new(Code::Syntax, message).at(position)
}

/// The first function that is not on the lists.
struct Forbidden(Option<String>);

impl Forbidden {
    fn check(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let last = name.0.last().and_then(|part| part.as_ident());
        let last = last.map(|word| word.value.to_ascii_lowercase()).unwrap_or_default();
        if is_allowed(&last) {
            return ControlFlow::Continue(());
        }
        self.0 = Some(last);
        ControlFlow::Break(())
    }
}

impl Visitor for Forbidden {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => self.check(&function.name),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.check(name)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
