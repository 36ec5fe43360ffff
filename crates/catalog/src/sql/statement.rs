//! Is this text one statement that reads? Judged on tokens and syntax, before anything is planned.
//!
//! Long chains of operators are cut off on the tokens, for the reason that [`pack::sql`] gives.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, TableReference};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    ObjectName, Query, SetExpr, ShowStatementOptions, Statement as SqlStatement, TableFactor,
    Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{TokenWithSpan, Tokenizer};
use pack::sql::overlong_chain;

use super::{LimitKind, Limits, SqlError};
use crate::Principal;

/// Parentheses, subqueries and prefix operators nest no deeper.
const NESTING_MAX: usize = 64;
/// Operators, joins and set operations in one list item.
const CHAIN_MAX: usize = 400;
/// Tables, subqueries and table functions in one statement.
const RELATIONS_MAX: usize = 100;
/// The same, where each name of a WITH counts for all that it stands for.
const PLANNED_RELATIONS_MAX: usize = 1_000;
const TOKENS_MAX: usize = 60_000;

/// A statement that may be planned.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) statement: Statement,
    /// What it reads, and what it asks about: all of these must exist for the principal.
    pub(super) tables: Vec<TableReference>,
}

pub(super) fn check(
    sql: &str,
    principal: &Principal,
    limits: &Limits,
) -> Result<Checked, SqlError> {
    if sql.len() > limits.statement_bytes_max {
        return Err(SqlError::limit(
            LimitKind::StatementBytes,
            format!("{} bytes, at most {} allowed", sql.len(), limits.statement_bytes_max),
        ));
    }
    let Readable { statement, about } = readable(parse_one(sql)?, principal)?;
    bounded_relations(&statement)?;
    let (mut tables, _) = resolve_table_references(&statement, true)
        .map_err(|error| SqlError::Invalid { reason: error.strip_backtrace() })?;
    tables.extend(about);
    Ok(Checked { statement, tables })
}

fn parse_one(sql: &str) -> Result<Statement, SqlError> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| {
        SqlError::Syntax {
            line: error.location.line,
            column: error.location.column,
            message: error.message,
        }
    })?;
    bounded_chains(&tokens)?;
    let mut statements = DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(NESTING_MAX)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| syntax(&error))?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(SqlError::Syntax { line: 1, column: 1, message: "no statement".into() }),
        (Some(_), false) => {
            Err(SqlError::refused("one statement at a time; send the others on their own"))
        }
    }
}

/// Turns the parser's "… at Line: 3, Column: 7" into numbers.
pub(super) fn syntax(error: &DataFusionError) -> SqlError {
    let DataFusionError::SQL(parse, _) = error.find_root() else {
        return SqlError::Syntax { line: 0, column: 0, message: error.strip_backtrace() };
    };
    let text = match parse.as_ref() {
        ParserError::RecursionLimitExceeded => {
            return SqlError::limit(
                LimitKind::PlanDepth,
                format!("the statement nests deeper than {NESTING_MAX} levels"),
            );
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let (message, place) = text.rsplit_once(" at Line: ").unwrap_or((text, ""));
    let (line, column) = place.split_once(", Column: ").unwrap_or_default();
    SqlError::Syntax {
        line: line.parse().unwrap_or(0),
        column: column.parse().unwrap_or(0),
        message: message.to_owned(),
    }
}

/// A deep tree overflows a stack; too many tokens are too many nodes.
fn bounded_chains(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    if tokens.len() > TOKENS_MAX {
        return Err(SqlError::limit(
            LimitKind::PlanNodes,
            format!("{} tokens, at most {TOKENS_MAX} allowed", tokens.len()),
        ));
    }
    if overlong_chain(tokens, CHAIN_MAX).is_none() {
        return Ok(());
    }
    Err(SqlError::limit(
        LimitKind::PlanDepth,
        format!("more than {CHAIN_MAX} operators or joins in one expression; use IN or split it"),
    ))
}

/// A statement that reads, and the table that it is about where it is not `FROM` it.
struct Readable {
    statement: Statement,
    about: Option<TableReference>,
}

impl From<Statement> for Readable {
    fn from(statement: Statement) -> Self {
        Self { statement, about: None }
    }
}

/// The allow-list of statements.
fn readable(statement: Statement, principal: &Principal) -> Result<Readable, SqlError> {
    match statement {
        Statement::Statement(statement) => match *statement {
            SqlStatement::Query(query) => {
                plain_query(&query)?;
                Ok(Statement::Statement(Box::new(SqlStatement::Query(query))).into())
            }
            SqlStatement::ShowTables { show_options, .. } => Ok(show_tables(&show_options)?.into()),
            SqlStatement::ShowColumns { show_options, .. } => {
                unfiltered(&show_options)?;
                let table = show_options.show_in.and_then(|show_in| show_in.parent_name);
                show_columns(table.as_ref())
            }
            SqlStatement::ExplainTable { table_name, .. } => show_columns(Some(&table_name)),
            other => Err(refused_statement(&other.to_string())),
        },
        Statement::Explain(explain) => {
            if !principal.may("administer") {
                return Err(SqlError::refused(
                    "EXPLAIN shows policies and row counts: it needs the permission 'administer'",
                ));
            }
            match explain.statement.as_ref() {
                Statement::Statement(inner) if matches!(**inner, SqlStatement::Query(_)) => {
                    Ok(Statement::Explain(explain).into())
                }
                other => Err(refused_statement(&other.to_string())),
            }
        }
        other => Err(refused_statement(&other.to_string())),
    }
}

fn refused_statement(text: &str) -> SqlError {
    let verb: String =
        text.chars().take_while(|c| c.is_ascii_alphabetic()).take(20).collect::<String>();
    SqlError::refused(format!(
        "{} is not allowed: this interface reads; use SELECT, WITH, VALUES, SHOW TABLES or SHOW COLUMNS",
        verb.to_uppercase()
    ))
}

/// What a query may carry that is more than reading.
fn plain_query(query: &Query) -> Result<(), SqlError> {
    let mut visitor = Plain(None);
    let _ = query.visit(&mut visitor);
    match visitor.0 {
        Some(reason) => Err(SqlError::refused(reason)),
        None => Ok(()),
    }
}

struct Plain(Option<&'static str>);

impl Visitor for Plain {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let recursive = query.with.as_ref().is_some_and(|with| with.recursive);
        let reason = if recursive {
            Some("WITH RECURSIVE is not allowed: it has no bound")
        } else if !query.locks.is_empty() {
            Some("FOR UPDATE and FOR SHARE are not allowed: this interface reads")
        } else if query.settings.is_some() || query.format_clause.is_some() {
            Some("SETTINGS and FORMAT are not allowed")
        } else {
            writes(&query.body)
        };
        self.0 = reason;
        if reason.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn writes(body: &SetExpr) -> Option<&'static str> {
    match body {
        SetExpr::Select(select) if select.into.is_some() => {
            Some("SELECT INTO is not allowed: this interface reads")
        }
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            Some("INSERT, UPDATE, DELETE and MERGE are not allowed: this interface reads")
        }
        SetExpr::SetOperation { left, right, .. } => writes(left).or_else(|| writes(right)),
        _ => None,
    }
}

/// What would be passed over in silence is refused.
fn unfiltered(options: &ShowStatementOptions) -> Result<(), SqlError> {
    let ShowStatementOptions { filter_position, starts_with, limit, limit_from, .. } = options;
    if filter_position.is_none() && starts_with.is_none() && limit.is_none() && limit_from.is_none()
    {
        return Ok(());
    }
    Err(SqlError::refused(
        "SHOW takes no filter: SELECT from information_schema.tables or information_schema.columns",
    ))
}

fn show_tables(options: &ShowStatementOptions) -> Result<Statement, SqlError> {
    unfiltered(options)?;
    let schema = options.show_in.as_ref().and_then(|show_in| show_in.parent_name.as_ref());
    let filter = match schema {
        Some(name) => format!("WHERE table_schema = '{}'", last_part(name).replace('\'', "''")),
        None => String::new(),
    };
    parse_one(&format!(
        "SELECT table_catalog, table_schema, table_name, table_type \
         FROM information_schema.tables {filter} ORDER BY 2, 3"
    ))
}

fn show_columns(table: Option<&ObjectName>) -> Result<Readable, SqlError> {
    let parts: Vec<&str> = table
        .map(|name| {
            name.0.iter().filter_map(|part| Some(part.as_ident()?.value.as_str())).collect()
        })
        .unwrap_or_default();
    let [.., schema, table] = parts.as_slice() else {
        return Err(SqlError::refused(
            "name the table with its schema: SHOW COLUMNS FROM air.pm25",
        ));
    };
    let quoted = |name: &str| name.replace('\'', "''");
    let statement = parse_one(&format!(
        "SELECT table_catalog, table_schema, table_name, column_name, data_type, is_nullable \
         FROM information_schema.columns \
         WHERE table_schema = '{}' AND table_name = '{}' ORDER BY ordinal_position",
        quoted(schema),
        quoted(table)
    ))?;
    Ok(Readable { statement, about: Some(TableReference::partial(*schema, *table)) })
}

fn last_part(name: &ObjectName) -> String {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map(|ident| ident.value.clone()).unwrap_or_default()
}

/// A name that is used twice is planned twice, and so is all that it stands for: thirty names that
/// each use the one before twice are a plan of a thousand million steps, and planning it would
/// take the process's memory before its size could be judged.
fn bounded_relations(statement: &Statement) -> Result<(), SqlError> {
    let inner = match statement {
        Statement::Statement(statement) => statement,
        Statement::Explain(explain) => return bounded_relations(&explain.statement),
        _ => return Ok(()),
    };
    let mut count = Relations::default();
    let _ = inner.visit(&mut count);
    let planned = count.levels.iter().copied().fold(count.planned, usize::saturating_add);
    for (found, most, what) in [
        (count.written, RELATIONS_MAX, "tables and subqueries"),
        (planned, PLANNED_RELATIONS_MAX, "tables and subqueries behind the names of WITH"),
    ] {
        if found > most {
            let reason = format!("{found} {what}, at most {most} allowed");
            return Err(SqlError::limit(LimitKind::PlanNodes, reason));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Relations {
    /// As the text has them.
    written: usize,
    /// As they will be planned, outside of all queries.
    planned: usize,
    /// As they will be planned, for each query that is being walked, the innermost last.
    levels: Vec<usize>,
    /// What each name of a WITH stands for. Where two have one name, the larger: it is not looked
    /// at which of them is meant.
    named: HashMap<String, usize>,
    /// The queries of WITHs, known by where they stand in memory.
    with: HashMap<*const Query, String>,
}

impl Relations {
    fn plan(&mut self, relations: usize) {
        let level = self.levels.last_mut().unwrap_or(&mut self.planned);
        *level = level.saturating_add(relations);
    }
}

impl Visitor for Relations {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = cte.alias.name.value.to_lowercase();
            self.with.insert(std::ptr::from_ref(cte.query.as_ref()), name);
        }
        self.levels.push(0);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let planned = self.levels.pop().unwrap_or(0);
        if let Some(name) = self.with.remove(&std::ptr::from_ref(query)) {
            let known = self.named.entry(name).or_insert(1);
            *known = planned.max(*known);
        }
        self.plan(planned);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.written += 1;
        let named = match factor {
            TableFactor::Table { name, .. } => self.named.get(&last_part(name).to_lowercase()),
            _ => None,
        };
        self.plan(named.copied().unwrap_or(1));
        ControlFlow::Continue(())
    }
}
