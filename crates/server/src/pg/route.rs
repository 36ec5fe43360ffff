//! Where a query is answered: over datasets, by the governed catalogue; or over `pg_catalog` and
//! `information_schema`, by a small context that holds this principal's names and no rows.
//!
//! The division is by name alone. A query that names both is refused: the one has rules for rows
//! that the other does not know.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, Statement, TableFactor, Visit, Visitor,
};

use super::meta::functions;
use crate::fault::{Code, Fault};

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The governed catalogue.
    Data,
    /// The session's own picture of the system catalogues.
    Meta,
}

/// Decides by the names of tables, and where there are none by the names of functions.
pub fn route(statement: &Statement) -> Result<Route, Fault> {
    let mut names = Names::default();
    let _ = statement.visit(&mut names);
    match (names.meta_tables, names.data_tables) {
        (true, true) => Err(Fault::new(
            Code::Unsupported,
            "a query cannot join pg_catalog or information_schema with datasets",
        )),
        (true, false) => Ok(Route::Meta),
        (false, true) => Ok(Route::Data),
        (false, false) if names.system_functions => Ok(Route::Meta),
        (false, false) => Ok(Route::Data),
    }
}

#[derive(Default)]
struct Names {
    meta_tables: bool,
    data_tables: bool,
    system_functions: bool,
    /// Names that `WITH` gives. Collected on the way down, so that a reference finds them.
    common: BTreeSet<String>,
}

impl Names {
    fn function(&mut self, name: &ObjectName) {
        let system = match last_two(name) {
            (Some(schema), _) if schema == "pg_catalog" || schema == "information_schema" => true,
            (_, Some(function)) => functions::is_system(&function),
            _ => false,
        };
        self.system_functions |= system;
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            self.common.extend(with.cte_tables.iter().map(|cte| lower(&cte.alias.name)));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (name, call) = match factor {
            TableFactor::Table { name, args, .. } => (name, args.is_some()),
            TableFactor::Function { name, .. } => (name, true),
            _ => return ControlFlow::Continue(()),
        };
        if call {
            self.function(name);
            return ControlFlow::Continue(());
        }
        match last_two(name) {
            (Some(schema), _) => {
                let system = schema == "pg_catalog" || schema == "information_schema";
                self.meta_tables |= system;
                self.data_tables |= !system;
            }
            (None, Some(table)) if self.common.contains(&table) => {}
            (None, Some(table)) => {
                let system = table.starts_with("pg_");
                self.meta_tables |= system;
                self.data_tables |= !system;
            }
            (None, None) => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => self.function(&function.name),
            // `'air.pm25'::regclass` and its kin look a name up.
            Expr::Cast { data_type, .. } => {
                let name = data_type.to_string().to_ascii_lowercase();
                self.system_functions |= name.trim_start_matches("pg_catalog.").starts_with("reg");
            }
            Expr::Identifier(word) if word.quote_style.is_none() => {
                self.system_functions |= functions::is_session_word(&lower(word));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The schema and name of a dotted name, in lower case.
fn last_two(name: &ObjectName) -> (Option<String>, Option<String>) {
    let mut parts = name.0.iter().rev().filter_map(ObjectNamePart::as_ident).map(lower);
    let last = parts.next();
    (parts.next(), last)
}

fn lower(word: &Ident) -> String {
    word.value.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::command::{Command, parse};
    use super::*;

    fn of(sql: &str) -> Route {
        match parse(sql) {
            Ok(Some(Command::Rows { route, .. })) => route,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn names_decide() {
        for sql in [
            "select * from air.pm25",
            "select 1",
            "select count(*) from shujin.air.pm25 p join place.area a on a.code = p.site",
            "with recent as (select * from air.pm25) select * from recent",
            "select upper('x')",
        ] {
            assert_eq!(of(sql), Route::Data, "{sql}");
        }
        for sql in [
            "select * from pg_catalog.pg_class",
            "select relname from pg_class c, pg_namespace n where n.oid = c.relnamespace",
            "select * from information_schema.tables",
            "select version()",
            "select pg_catalog.version()",
            "select current_user",
            "select current_schema()",
        ] {
            assert_eq!(of(sql), Route::Meta, "{sql}");
        }
        assert_eq!(of("select 'air.pm25'::regclass"), Route::Meta);
        assert_eq!(of("with c as (select * from pg_class) select * from c"), Route::Meta);
    }

    #[test]
    fn the_two_do_not_mix() {
        let fault = parse("select * from pg_class, air.pm25").unwrap_err();
        assert_eq!(fault.code, Code::Unsupported);
        let inner = "select * from air.pm25 where site in (select relname from pg_class)";
        assert_eq!(parse(inner).unwrap_err().code, Code::Unsupported);
    }
}
