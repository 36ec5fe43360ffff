//! Turns clients' catalogue queries into what the planner takes, and checks their functions.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Statement, TableFactor, Visit, Visitor};
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;

use super::functions::is_allowed;
use crate::fault::{Code, Fault, parser_position};

static COMPATIBILITY: LazyLock<PostgresCompatibilityParser> =
    LazyLock::new(PostgresCompatibilityParser::new);

/// Reads a catalogue query as the planner wants it.
pub fn rewrite(sql: &str) -> Result<Statement, Fault> {
    let mut statements = COMPATIBILITY.parse(sql).map_err(syntax)?;
    if statements.len() != 1 {
        let reason = format!("one statement is wanted, not {}", statements.len());
        return Err(Fault::new(Code::Syntax, reason));
    }
    let statement = statements.remove(0);
    // Checked after the rewriting, which knows whole queries of clients by heart and answers
    // them without the functions they call.
    let mut forbidden = Forbidden(None);
    let _ = statement.visit(&mut forbidden);
    match forbidden.0 {
        None => Ok(statement),
        Some(name) => {
            let reason =
                format!("function {name} is not allowed in a query of the system catalogues");
            Err(Fault::new(Code::Refused, reason))
        }
    }
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
