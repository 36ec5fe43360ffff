//! Runs one understood command in a session: rows to send, or a change and its tag.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::scalar::ScalarValue;
use futures::stream;
use pgwire::api::portal::Format;
use pgwire::error::PgWireResult;

use super::command::{Command, CopyFormat, Titles, parse};
use super::encode::Shape;
use super::errors::{plain, state};
use super::params::literals;
use super::route::Route;
use super::session::PgSession;
use super::settings::REPORTED;
use crate::backend::Rows;
use crate::fault::{Code, Fault};

/// What a command leads to.
pub enum Outcome {
    /// Rows of this shape, under this tag.
    Rows {
        shape: Shape,
        rows: Rows,
        tag: &'static str,
    },
    CopyOut {
        shape: Shape,
        rows: Rows,
        format: CopyFormat,
    },
    /// Done; the tag says what. A setting that clients are told of comes with its new value.
    Done {
        tag: &'static str,
        changed: Vec<(&'static str, String)>,
    },
    Begin,
    Commit,
    Rollback,
}

impl Outcome {
    fn done(tag: &'static str) -> Self {
        Self::Done { tag, changed: Vec::new() }
    }
}

/// The columns that a command will answer, where it answers rows.
pub async fn schema(session: &PgSession, command: &Command) -> PgWireResult<Option<SchemaRef>> {
    Ok(match command {
        Command::Rows { sql, route, .. } => {
            Some(session.describe(*route, sql).await.map_err(plain)?.schema)
        }
        Command::Show { name } => Some(show_schema(session, name.as_deref())?),
        Command::Execute { name, .. } => {
            let (sql, route, _) = prepared(session, name)?;
            Some(session.describe(route, &sql).await.map_err(plain)?.schema)
        }
        _ => None,
    })
}

pub async fn run(
    session: &PgSession,
    command: &Command,
    parameters: Vec<ScalarValue>,
    format: &Format,
) -> PgWireResult<Outcome> {
    Ok(match command {
        Command::Rows { sql, route, titles } => {
            let answer = session.query(*route, sql, parameters).await.map_err(plain)?;
            let zone = session.settings().get("TimeZone");
            let shape = Shape::titled(&answer.schema, titles, format, &zone)?;
            Outcome::Rows { shape, rows: answer.rows, tag: "SELECT" }
        }
        Command::Execute { name, arguments } => {
            let (sql, route, titles) = prepared(session, name)?;
            let wanted = session.describe(route, &sql).await.map_err(plain)?.parameters;
            let values = literals(arguments, &wanted)?;
            let answer = session.query(route, &sql, values).await.map_err(plain)?;
            let zone = session.settings().get("TimeZone");
            let shape = Shape::titled(&answer.schema, &titles, format, &zone)?;
            Outcome::Rows { shape, rows: answer.rows, tag: "SELECT" }
        }
        Command::CopyOut { sql, route, titles, format } => {
            let answer = session.query(*route, sql, parameters).await.map_err(plain)?;
            let zone = session.settings().get("TimeZone");
            let shape = Shape::titled(&answer.schema, titles, &Format::UnifiedText, &zone)?;
            Outcome::CopyOut { shape, rows: answer.rows, format: format.clone() }
        }
        Command::Show { name } => show(session, name.as_deref(), format)?,
        Command::Set { name, value } => set(session, name, value.as_deref(), "SET")?,
        Command::Reset { name: Some(name) } => set(session, name, None, "RESET")?,
        Command::Reset { name: None } => reset(session, "RESET"),
        Command::DiscardAll => {
            session.deallocate(None);
            reset(session, "DISCARD ALL")
        }
        Command::Deallocate { name } => {
            if !session.deallocate(name.as_deref()) {
                let name = name.as_deref().unwrap_or_default();
                return Err(unknown_prepared(name));
            }
            Outcome::done(if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" })
        }
        Command::Prepare { name, sql } => {
            // Planned once to refuse what is wrong now; planned anew at each EXECUTE, so that it
            // always runs under today's policies.
            if let Some(Command::Rows { sql, route, .. }) = parse(sql).map_err(plain)? {
                session.describe(route, &sql).await.map_err(plain)?;
            }
            session.prepare(name.clone(), sql.clone()).map_err(|fault| match fault.code {
                Code::Conflict => state("42P05", fault.message),
                _ => plain(fault),
            })?;
            Outcome::done("PREPARE")
        }
        Command::Begin => Outcome::Begin,
        Command::Commit => Outcome::Commit,
        Command::Rollback => Outcome::Rollback,
        Command::Nothing(tag) => Outcome::done(tag),
    })
}

fn unknown_prepared(name: &str) -> pgwire::error::PgWireError {
    state("26000", format!("prepared statement \"{name}\" does not exist"))
}

fn prepared(session: &PgSession, name: &str) -> PgWireResult<(String, Route, Titles)> {
    let sql = session.prepared(name).ok_or_else(|| unknown_prepared(name))?;
    match parse(&sql).map_err(plain)? {
        Some(Command::Rows { sql, route, titles }) => Ok((sql, route, titles)),
        _ => Err(plain(Fault::internal("a prepared statement is no query"))),
    }
}

fn set(
    session: &PgSession,
    name: &str,
    value: Option<&str>,
    tag: &'static str,
) -> PgWireResult<Outcome> {
    let mut settings = session.settings();
    let name = settings.set(name, value)?;
    let changed = match REPORTED.contains(&name) {
        true => vec![(name, settings.get(name))],
        false => Vec::new(),
    };
    Ok(Outcome::Done { tag, changed })
}

fn reset(session: &PgSession, tag: &'static str) -> Outcome {
    let mut settings = session.settings();
    settings.reset();
    let changed = REPORTED.iter().map(|name| (*name, settings.get(name))).collect();
    Outcome::Done { tag, changed }
}

fn show_schema(session: &PgSession, name: Option<&str>) -> PgWireResult<SchemaRef> {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Ok(Arc::new(Schema::new(match name {
        Some(name) => vec![text(session.settings().show(name)?.0)],
        None => vec![text("name"), text("setting"), text("description")],
    })))
}

fn show(session: &PgSession, name: Option<&str>, format: &Format) -> PgWireResult<Outcome> {
    let schema = show_schema(session, name)?;
    let settings = session.settings();
    let columns: Vec<Vec<String>> = match name {
        Some(name) => vec![vec![settings.show(name)?.1]],
        None => {
            let all = settings.all();
            let names = all.iter().map(|(name, _)| (*name).to_owned()).collect();
            let empty = vec![String::new(); all.len()];
            vec![names, all.into_iter().map(|(_, value)| value).collect(), empty]
        }
    };
    let columns = columns.into_iter().map(|column| Arc::new(StringArray::from(column)) as _);
    let batch = RecordBatch::try_new(schema.clone(), columns.collect())
        .map_err(|error| plain(Fault::internal(error)))?;
    let shape = Shape::new(&schema, format, "UTC")?;
    Ok(Outcome::Rows { shape, rows: Box::pin(stream::iter([Ok(batch)])), tag: "SHOW" })
}
