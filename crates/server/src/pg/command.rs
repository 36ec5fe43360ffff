//! What a client's statement asks of the face: rows, or a change of its session.
//!
//! Statements that return rows pass on as text, to be planned and governed elsewhere. Session
//! statements are understood here, from an allow-list; anything else is refused by name.

use datafusion::sql::sqlparser::ast::{
    self, CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, CopyTarget, Expr, Reset,
    Set, Statement, UnaryOperator, Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::route::{Route, route};
use super::titles::titles;
use crate::fault::{Code, Fault, parser_position};
use crate::limits::STATEMENT_BYTES_MAX;

/// A statement, understood as far as this face needs to.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Rows {
        sql: String,
        route: Route,
        titles: Titles,
    },
    CopyOut {
        sql: String,
        route: Route,
        titles: Titles,
        format: CopyFormat,
    },
    Set {
        name: String,
        value: Option<String>,
    },
    Show {
        name: Option<String>,
    },
    Reset {
        name: Option<String>,
    },
    Begin,
    Commit,
    Rollback,
    /// Accepted and without effect; the word is the completion tag.
    Nothing(&'static str),
    DiscardAll,
    Deallocate {
        name: Option<String>,
    },
    Prepare {
        name: String,
        sql: String,
    },
    Execute {
        name: String,
        arguments: Vec<Literal>,
    },
}

/// Names of an answer's columns, where they are not the planner's own.
pub type Titles = Option<Vec<String>>;

/// A constant argument of `EXECUTE`: its text, to be read as the parameter's type. `None`: null.
pub type Literal = Option<String>;

/// How `COPY … TO STDOUT` writes rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFormat {
    pub csv: bool,
    pub header: bool,
    pub delimiter: char,
    pub quote: char,
    pub null: String,
}

/// Reads one statement. `None`: there is none, only blanks and comments.
pub fn parse(sql: &str) -> Result<Option<Command>, Fault> {
    if sql.len() > STATEMENT_BYTES_MAX {
        return Err(Fault::new(
            Code::TooLarge,
            format!("the statement is longer than {STATEMENT_BYTES_MAX} bytes"),
        ));
    }
    let mut statements = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements())
        .map_err(syntax)?;
    match statements.len() {
        0 => Ok(None),
        1 => command(statements.remove(0), sql).map(Some),
        _ => Err(Fault::new(
            Code::Syntax,
            "cannot insert multiple commands into a prepared statement",
        )),
    }
}

fn syntax(error: ParserError) -> Fault {
    match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            let (message, position) = parser_position(&text);
            Fault::new(Code::Syntax, message).at(position)
        }
        ParserError::RecursionLimitExceeded => {
            Fault::new(Code::TooLarge, "the statement is nested too deeply")
        }
    }
}

fn command(statement: Statement, sql: &str) -> Result<Command, Fault> {
    Ok(match statement {
        Statement::Query(_) | Statement::Explain { .. } => {
            let (route, titles) = (route(&statement)?, titles(&statement));
            Command::Rows { sql: sql.to_owned(), route, titles }
        }
        Statement::Copy { source, to, target, options, legacy_options, .. } => {
            copy(source, to, &target, &options, &legacy_options)?
        }
        Statement::Set(set) => set_command(set)?,
        Statement::Reset(reset) => match reset.reset {
            Reset::ALL => Command::Reset { name: None },
            Reset::ConfigurationParameter(name) => Command::Reset { name: Some(setting(&name)) },
        },
        Statement::ShowVariable { variable } => show(&variable),
        Statement::StartTransaction { .. } => Command::Begin,
        Statement::Commit { .. } => Command::Commit,
        Statement::Rollback { savepoint: None, .. } => Command::Rollback,
        Statement::Rollback { savepoint: Some(_), .. } => Command::Nothing("ROLLBACK"),
        Statement::Savepoint { .. } => Command::Nothing("SAVEPOINT"),
        Statement::ReleaseSavepoint { .. } => Command::Nothing("RELEASE"),
        Statement::UNLISTEN { .. } => Command::Nothing("UNLISTEN"),
        Statement::Discard { object_type: ast::DiscardObject::ALL } => Command::DiscardAll,
        Statement::Discard { .. } => Command::Nothing("DISCARD"),
        Statement::Close { .. } => Command::Nothing("CLOSE CURSOR"),
        Statement::Deallocate { name, .. } => Command::Deallocate {
            name: (!name.value.eq_ignore_ascii_case("all")).then_some(name.value),
        },
        Statement::Prepare { name, statement, .. } => {
            let sql = statement.to_string();
            match command(*statement, &sql)? {
                Command::Rows { .. } => Command::Prepare { name: name.value, sql },
                _ => return Err(refused("PREPARE of anything but a query")),
            }
        }
        Statement::Execute { name: Some(name), parameters, .. } => Command::Execute {
            name: setting(&name),
            arguments: parameters.iter().map(literal).collect::<Result<_, _>>()?,
        },
        other => return Err(refused(&verb(&other))),
    })
}

/// The first word or two of a statement, for a refusal.
fn verb(statement: &Statement) -> String {
    let text = statement.to_string();
    let words: Vec<_> = text.split_whitespace().take(2).collect();
    let second_matters = matches!(
        words.first().map(|word| word.to_ascii_uppercase()).as_deref(),
        Some("CREATE" | "ALTER" | "DROP")
    );
    words[..words.len().min(if second_matters { 2 } else { 1 })].join(" ").to_uppercase()
}

fn refused(what: &str) -> Fault {
    Fault::new(Code::Refused, format!("{what} is not allowed: this database is read-only"))
}

fn set_command(set: Set) -> Result<Command, Fault> {
    Ok(match set {
        Set::SingleAssignment { variable, values, .. } => {
            let name = setting(&variable);
            let value = values.iter().map(set_value).collect::<Result<Vec<_>, _>>()?.join(", ");
            let default = matches!(values.as_slice(), [Expr::Identifier(word)]
                if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default"));
            Command::Set { name, value: (!default).then_some(value) }
        }
        Set::SetTimeZone { value, .. } => {
            let value = set_value(&value)?;
            let default = ["local", "default"].iter().any(|word| value.eq_ignore_ascii_case(word));
            Command::Set { name: "TimeZone".to_owned(), value: (!default).then_some(value) }
        }
        Set::SetNames { charset_name, .. } => {
            Command::Set { name: "client_encoding".to_owned(), value: Some(charset_name.value) }
        }
        Set::SetNamesDefault {} => Command::Set { name: "client_encoding".to_owned(), value: None },
        // Every statement reads one snapshot and writes nothing: any isolation is kept.
        Set::SetTransaction { .. } => Command::Nothing("SET"),
        Set::SetRole { role_name: None, .. } => Command::Nothing("SET"),
        _ => return Err(Fault::new(Code::Refused, "this form of SET is not allowed")),
    })
}

fn set_value(value: &Expr) -> Result<String, Fault> {
    match value {
        Expr::Identifier(word) => Ok(word.value.clone()),
        other => literal(other)?
            .ok_or_else(|| Fault::new(Code::Invalid, "a setting cannot be set to null")),
    }
}

/// A constant's text.
fn literal(value: &Expr) -> Result<Literal, Fault> {
    match value {
        Expr::Value(value) => match &value.value {
            Value::Null => Ok(None),
            Value::Boolean(value) => Ok(Some(value.to_string())),
            Value::Number(text, _) => Ok(Some(text.clone())),
            other => other.clone().into_string().map(Some).ok_or_else(not_constant),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            Ok(literal(expr)?.map(|text| format!("-{text}")))
        }
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } | Expr::Nested(expr) => literal(expr),
        Expr::Cast { expr, .. } => literal(expr),
        Expr::TypedString(typed) => {
            typed.value.value.clone().into_string().map(Some).ok_or_else(not_constant)
        }
        _ => Err(not_constant()),
    }
}

fn not_constant() -> Fault {
    Fault::new(Code::Unsupported, "only constants are allowed here")
}

fn show(variable: &[ast::Ident]) -> Command {
    let words: Vec<_> = variable.iter().map(|word| word.value.as_str()).collect();
    let is = |text: &str| words.join(" ").eq_ignore_ascii_case(text);
    let name = match () {
        () if is("all") => None,
        () if is("time zone") => Some("TimeZone".to_owned()),
        () if is("transaction isolation level") => Some("transaction_isolation".to_owned()),
        () if is("session authorization") => Some("session_authorization".to_owned()),
        () => Some(words.join(".")),
    };
    Command::Show { name }
}

/// `a.b` of a dotted name, as settings and prepared statements are named.
fn setting(name: &ast::ObjectName) -> String {
    let parts = name.0.iter().map(|part| match part.as_ident() {
        Some(word) => word.value.clone(),
        None => part.to_string(),
    });
    parts.collect::<Vec<_>>().join(".")
}

fn copy(
    source: CopySource,
    to: bool,
    target: &CopyTarget,
    options: &[CopyOption],
    legacy: &[CopyLegacyOption],
) -> Result<Command, Fault> {
    if !to {
        return Err(refused("COPY FROM"));
    }
    if *target != CopyTarget::Stdout {
        return Err(refused("COPY to a file or program of the server")
            .hint("use COPY … TO STDOUT, or psql's \\copy"));
    }
    let sql = match source {
        CopySource::Query(query) => query.to_string(),
        CopySource::Table { table_name, columns } if columns.is_empty() => {
            format!("SELECT * FROM {table_name}")
        }
        CopySource::Table { table_name, columns } => {
            let columns: Vec<_> = columns.iter().map(ToString::to_string).collect();
            format!("SELECT {} FROM {table_name}", columns.join(", "))
        }
    };
    let format = copy_format(options, legacy)?;
    match parse(&sql)? {
        Some(Command::Rows { sql, route, titles }) => {
            Ok(Command::CopyOut { sql, route, titles, format })
        }
        _ => Err(Fault::new(Code::Syntax, "COPY wants a query")),
    }
}

fn copy_format(options: &[CopyOption], legacy: &[CopyLegacyOption]) -> Result<CopyFormat, Fault> {
    let unsupported =
        |what: &str| Fault::new(Code::Unsupported, format!("COPY option {what} is not supported"));
    let mut csv = false;
    let (mut header, mut delimiter, mut quote, mut null) = (false, None, None, None);
    for option in options {
        match option {
            CopyOption::Format(name) if name.value.eq_ignore_ascii_case("csv") => csv = true,
            CopyOption::Format(name) if name.value.eq_ignore_ascii_case("text") => csv = false,
            CopyOption::Delimiter(char) => delimiter = Some(*char),
            CopyOption::Null(text) => null = Some(text.clone()),
            CopyOption::Header(on) => header = *on,
            CopyOption::Quote(char) | CopyOption::Escape(char) => quote = Some(*char),
            CopyOption::Encoding(name) if name.eq_ignore_ascii_case("utf8") => {}
            other => return Err(unsupported(&other.to_string())),
        }
    }
    for option in legacy {
        match option {
            CopyLegacyOption::Csv(parts) => {
                csv = true;
                for part in parts {
                    match part {
                        CopyLegacyCsvOption::Header => header = true,
                        CopyLegacyCsvOption::Quote(char) | CopyLegacyCsvOption::Escape(char) => {
                            quote = Some(*char)
                        }
                        other => return Err(unsupported(&other.to_string())),
                    }
                }
            }
            CopyLegacyOption::Delimiter(char) => delimiter = Some(*char),
            CopyLegacyOption::Null(text) => null = Some(text.clone()),
            CopyLegacyOption::Header => header = true,
            other => return Err(unsupported(&other.to_string())),
        }
    }
    let ascii = |char: char| (char.is_ascii() && !matches!(char, '\n' | '\r')).then_some(char);
    let one_byte = |char: Option<char>, default: char| {
        ascii(char.unwrap_or(default)).ok_or_else(|| {
            Fault::new(Code::Invalid, "COPY delimiter must be a single one-byte character")
        })
    };
    Ok(CopyFormat {
        csv,
        header,
        delimiter: one_byte(delimiter, if csv { ',' } else { '\t' })?,
        quote: one_byte(quote, '"')?,
        null: null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sql: &str) -> Command {
        parse(sql).unwrap_or_else(|fault| panic!("{sql}: {fault}")).expect("a statement")
    }

    fn set(name: &str, value: Option<&str>) -> Command {
        Command::Set { name: name.to_owned(), value: value.map(str::to_owned) }
    }

    #[test]
    fn settings_are_set_in_all_their_forms() {
        assert_eq!(one("SET statement_timeout = 1500"), set("statement_timeout", Some("1500")));
        assert_eq!(one("set timezone to 'Asia/Shanghai'"), set("TIMEZONE", Some("Asia/Shanghai")));
        assert_eq!(one("SET TIME ZONE 'UTC'"), set("TimeZone", Some("UTC")));
        assert_eq!(one("SET TIME ZONE LOCAL"), set("TimeZone", None));
        assert_eq!(one("SET extra_float_digits = DEFAULT"), set("extra_float_digits", None));
        assert_eq!(one("SET shujin.as_of = '2020-01-01'"), set("shujin.as_of", Some("2020-01-01")));
        assert_eq!(one("SET NAMES 'UTF8'"), set("client_encoding", Some("UTF8")));
        assert_eq!(one("SET search_path TO air, public"), set("search_path", Some("air, public")));
        assert_eq!(
            one("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"),
            Command::Nothing("SET")
        );
    }

    #[test]
    fn session_statements_are_understood() {
        assert_eq!(one("BEGIN TRANSACTION READ ONLY"), Command::Begin);
        assert_eq!(one("START TRANSACTION ISOLATION LEVEL REPEATABLE READ"), Command::Begin);
        assert_eq!(one("COMMIT"), Command::Commit);
        assert_eq!(one("ROLLBACK"), Command::Rollback);
        assert_eq!(one("DISCARD ALL"), Command::DiscardAll);
        assert_eq!(one("DEALLOCATE ALL"), Command::Deallocate { name: None });
        assert_eq!(one("SHOW ALL"), Command::Show { name: None });
        let isolation = Some("transaction_isolation".to_owned());
        assert_eq!(one("SHOW TRANSACTION ISOLATION LEVEL"), Command::Show { name: isolation });
        let as_of = Some("shujin.as_of".to_owned());
        assert_eq!(one("SHOW shujin.as_of"), Command::Show { name: as_of });
        assert_eq!(
            one("EXECUTE p(1, 'it''s', NULL, -2.5, true)"),
            Command::Execute {
                name: "p".to_owned(),
                arguments: vec![
                    Some("1".to_owned()),
                    Some("it's".to_owned()),
                    None,
                    Some("-2.5".to_owned()),
                    Some("true".to_owned()),
                ],
            }
        );
    }

    #[test]
    fn copy_out_takes_queries_and_tables() {
        let Command::CopyOut { sql, format, .. } =
            one("COPY ( select site from air.pm25 ) TO STDOUT csv header")
        else {
            panic!("not a copy");
        };
        assert_eq!(sql, "SELECT site FROM air.pm25");
        assert!(format.csv && format.header);
        let Command::CopyOut { sql, format, .. } =
            one("COPY air.pm25 (site) TO STDOUT WITH (FORMAT text, DELIMITER '|', NULL 'NA')")
        else {
            panic!("not a copy");
        };
        assert_eq!(sql, "SELECT site FROM air.pm25");
        assert_eq!((format.delimiter, format.null.as_str()), ('|', "NA"));
    }

    #[test]
    fn what_writes_is_refused_by_name() {
        for (sql, word) in [
            ("CREATE TABLE t (a int)", "CREATE TABLE"),
            ("DROP TABLE air.pm25", "DROP TABLE"),
            ("INSERT INTO air.pm25 VALUES (1)", "INSERT"),
            ("UPDATE air.pm25 SET pm25 = 0", "UPDATE"),
            ("DELETE FROM air.pm25", "DELETE"),
            ("COPY air.pm25 FROM STDIN", "COPY FROM"),
            ("COPY air.pm25 TO '/etc/passwd'", "COPY to a file"),
            ("COPY air.pm25 TO PROGRAM 'sh'", "COPY to a file"),
            ("SET ROLE admin", "SET"),
            ("PREPARE p AS DELETE FROM air.pm25", "DELETE"),
            ("VACUUM", "VACUUM"),
        ] {
            let fault = parse(sql).expect_err(sql);
            assert_eq!(fault.code, Code::Refused, "{sql}");
            assert!(fault.message.contains(word), "{sql}: {}", fault.message);
        }
    }

    #[test]
    fn errors_have_their_place() {
        let fault = parse("select site\nfrom air.pm25 wher x = = 1").unwrap_err();
        assert_eq!((fault.code, fault.position.map(|p| p.line)), (Code::Syntax, Some(2)));
        let deep = format!("select {}1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert_eq!(parse(&deep).unwrap_err().code, Code::TooLarge);
        assert_eq!(parse("select 1; select 2").unwrap_err().code, Code::Syntax);
        assert_eq!(parse(" -- nothing\n").unwrap(), None);
    }
}
