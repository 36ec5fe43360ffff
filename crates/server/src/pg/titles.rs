//! Names of an answer's columns as PostgreSQL would give them: `count`, not `count(*)`;
//! `?column?` for a bare expression. Clients and people's scripts rely on them.

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr, Statement};

/// What PostgreSQL calls a column that has no name of its own.
const UNNAMED: &str = "?column?";

/// The names of a query's columns; `None` where they cannot be told from the text alone, as for
/// `SELECT *`, which names its columns itself.
pub fn titles(statement: &Statement) -> Option<Vec<String>> {
    match statement {
        Statement::Query(query) => of_query(query),
        _ => None,
    }
}

fn of_query(query: &Query) -> Option<Vec<String>> {
    // The first branch of a UNION names the columns.
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return select.projection.iter().map(of_item).collect(),
            SetExpr::Query(query) => return of_query(query),
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    }
}

fn of_item(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(expr) => Some(of_expr(expr).unwrap_or_else(|| UNNAMED.to_owned())),
        _ => None,
    }
}

fn folded(word: &Ident) -> String {
    match word.quote_style {
        Some(_) => word.value.clone(),
        None => word.value.to_lowercase(),
    }
}

/// PostgreSQL's rules (`FigureColname` of its parser), as far as they show in queries.
fn of_expr(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(word) => Some(folded(word)),
        Expr::CompoundIdentifier(words) => words.last().map(folded),
        Expr::Function(function) => function.name.0.last()?.as_ident().map(folded),
        Expr::Nested(inner) => of_expr(inner),
        Expr::Cast { expr, data_type, .. } => of_expr(expr).or_else(|| {
            let name = data_type.to_string().to_lowercase();
            Some(alias_of_type(name.split(['(', ' ']).next().unwrap_or_default()))
        }),
        Expr::Case { else_result, .. } => {
            let named = else_result.as_deref().and_then(of_expr);
            Some(named.unwrap_or_else(|| "case".to_owned()))
        }
        Expr::Subquery(query) => of_query(query)?.into_iter().next().filter(|name| name != UNNAMED),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Trim { .. } => Some("btrim".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::Interval(_) => Some("interval".to_owned()),
        Expr::TypedString(typed) => {
            Some(alias_of_type(&typed.data_type.to_string().to_lowercase()))
        }
        _ => None,
    }
}

/// A type's name in the system tables, by which a cast of a constant is called.
fn alias_of_type(name: &str) -> String {
    match name {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "double" => "float8",
        "real" => "float4",
        "decimal" => "numeric",
        "character" | "char" => "bpchar",
        "string" => "text",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn check(sql: &str, expected: Option<&[&str]>) {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        let names = titles(&statements[0]);
        let names = names.as_ref().map(|names| names.iter().map(String::as_str).collect());
        assert_eq!(names, expected.map(<[&str]>::to_vec), "{sql}");
    }

    #[test]
    fn columns_are_called_as_in_postgresql() {
        check("select 1, 'a', 1 + 2", Some(&["?column?", "?column?", "?column?"]));
        check("select count(*), AVG(pm25), site from t", Some(&["count", "avg", "site"]));
        check(
            "select t.site, t.\"Site\", x AS \"Y\", x as Z from t",
            Some(&["site", "Site", "Y", "z"]),
        );
        check("select now(), current_user", Some(&["now", "current_user"]));
        check("select '1'::int, x::text, cast(1 as bigint) from t", Some(&["int4", "x", "int8"]));
        check("select case when a then 1 end, (select max(b) from t)", Some(&["case", "max"]));
        check("select extract(year from a) from t", Some(&["extract"]));
        check("select a from t union select b from u", Some(&["a"]));
        check("with w as (select 1) select x from w", Some(&["x"]));
        check("select * from t", None);
        check("values (1)", None);
    }
}
