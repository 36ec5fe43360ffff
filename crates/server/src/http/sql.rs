//! `POST /api/sql`: one statement in, rows out as they are made — JSON, CSV or an Arrow stream.
//!
//! The answer's head is sent when its first rows are there, so that what fails before that fails
//! with a status of its own. What fails later ends a JSON answer with an `error` member, and
//! breaks off a CSV or Arrow answer without its proper end, which every client notices.

use std::sync::Arc;

use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, WriterBuilder as JsonBuilder};
use arrow::record_batch::RecordBatch;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use catalog::Session;
use chrono::{DateTime, Utc};
use datafusion::scalar::ScalarValue;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Http;
use super::input::{Input, Who};
use super::problem::Problem;
use crate::backend::{Answer, Rows};
use crate::fault::{Code, Fault};
use crate::limits::{HTTP_ANSWER_BYTES_MAX, HTTP_ROWS_MAX, PARAMETERS_MAX, STATEMENT_BYTES_MAX};
use crate::values::fit;

/// The header that names the query in the usage log.
const QUERY_ID: HeaderName = HeaderName::from_static("shujin-query-id");
const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// A statement and what it is asked about.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlRequest {
    /// One `SELECT`.
    #[schema(example = "SELECT site, avg(pm25) FROM air.pm25 WHERE pm25 > $1 GROUP BY site")]
    pub sql: String,
    /// Values of `$1`, `$2`, …: texts, numbers, truth values or null. A text is read as the type
    /// that the statement wants.
    #[serde(default)]
    #[schema(value_type = Vec<Object>, example = json!([75]))]
    pub params: Vec<Value>,
    /// The moment asked about; now where it is left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub as_of: Option<DateTime<Utc>>,
    /// The scenario asked under; the baseline where it is left out.
    pub scenario: Option<String>,
}

impl SqlRequest {
    pub fn session(&self, who: &Who) -> Session {
        let scenario = self.scenario.clone().filter(|name| !name.is_empty());
        Session { as_of: self.as_of, scenario, ..who.session() }
    }

    pub fn check(&self) -> Result<(), Fault> {
        if self.sql.len() > STATEMENT_BYTES_MAX {
            let reason = format!("the statement is longer than {STATEMENT_BYTES_MAX} bytes");
            return Err(Fault::new(Code::TooLarge, reason));
        }
        if self.params.len() > PARAMETERS_MAX {
            let reason = format!("a statement may have {PARAMETERS_MAX} parameters");
            return Err(Fault::new(Code::TooLarge, reason));
        }
        Ok(())
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Arrow,
}

impl Format {
    /// The first format of `Accept` that is known; JSON where nothing is asked for.
    fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let asked = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let Some(asked) = asked.filter(|asked| !asked.trim().is_empty()) else {
            return Ok(Self::Json);
        };
        let known = |media: &str| match media.split(';').next().unwrap_or_default().trim() {
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            "text/csv" | "text/*" => Some(Self::Csv),
            ARROW_STREAM => Some(Self::Arrow),
            _ => None,
        };
        asked.split(',').find_map(known).ok_or_else(|| {
            Fault::new(Code::Invalid, "none of the formats in Accept is served")
                .hint(format!("ask for application/json, text/csv or {ARROW_STREAM}"))
        })
    }

    fn media(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => ARROW_STREAM,
        })
    }
}

/// Answers one statement.
#[utoipa::path(
    post, path = "/api/sql", tag = "sql", security(("token" = [])),
    request_body = SqlRequest,
    responses(
        (status = 200, description = "The rows, in the format of `Accept`", content(
            (Object = "application/json",
             example = json!({"columns": [{"name": "site", "type": "Utf8"}],
                              "rows": [{"site": "草堂寺"}], "row_count": 1})),
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
        )),
        (status = 400, description = "The statement cannot be read or makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Understood and not allowed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such dataset for this principal", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Over a limit of size", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Over a limit of memory or of queries at once", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Over the limit of time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn sql(
    State(http): State<Arc<Http>>,
    who: Who,
    headers: HeaderMap,
    Input(request): Input<SqlRequest>,
) -> Result<Response, Fault> {
    let format = Format::of(&headers)?;
    request.check()?;
    let session = request.session(&who);
    let parameters = match request.params.is_empty() {
        true => Vec::new(),
        false => {
            let wanted = http.backend.describe(&session, &request.sql).await?.parameters;
            parameters(&request.params, &wanted)?
        }
    };
    let answer = http.backend.query(&session, &request.sql, parameters).await?;
    respond(answer, format).await
}

fn parameters(given: &[Value], wanted: &[Option<DataType>]) -> Result<Vec<ScalarValue>, Fault> {
    if given.len() != wanted.len() {
        let reason =
            format!("the statement has {} parameters, {} were given", wanted.len(), given.len());
        return Err(Fault::new(Code::Invalid, reason));
    }
    given
        .iter()
        .zip(wanted)
        .map(|(value, wanted)| {
            let value = match value {
                Value::Null => ScalarValue::Utf8(None),
                Value::Bool(value) => ScalarValue::Boolean(Some(*value)),
                Value::String(text) => ScalarValue::Utf8(Some(text.clone())),
                Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                    (Some(integer), _) => ScalarValue::Int64(Some(integer)),
                    (None, Some(float)) => ScalarValue::Float64(Some(float)),
                    (None, None) => return Err(Fault::new(Code::Invalid, "a number is too large")),
                },
                Value::Array(_) | Value::Object(_) => {
                    return Err(Fault::new(
                        Code::Invalid,
                        "a parameter cannot be a list or object",
                    ));
                }
            };
            fit(value, wanted.as_ref())
        })
        .collect()
}

async fn respond(answer: Answer, format: Format) -> Result<Response, Fault> {
    let Answer { id, schema, rows } = answer;
    // The first batch decides whether this is an answer or a problem. Where there is none, the
    // ended stream is asked once more below.
    let mut rows = rows.fuse();
    let first = rows.next().await.transpose()?;
    let rows: Rows = Box::pin(stream::iter(first.map(Ok)).chain(rows));
    let parts = stream::try_unfold(Encoding::new(schema, format, rows), Encoding::next);
    let mut response = Body::from_stream(parts).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, format.media());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(QUERY_ID, id);
    }
    Ok(response)
}

/// An answer being written.
struct Encoding {
    schema: SchemaRef,
    format: Format,
    rows: Option<Rows>,
    arrow: Option<StreamWriter<Vec<u8>>>,
    started: bool,
    row_count: u64,
    bytes: u64,
}

impl Encoding {
    fn new(schema: SchemaRef, format: Format, rows: Rows) -> Self {
        let (arrow, started) = (None, false);
        Self { schema, format, rows: Some(rows), arrow, started, row_count: 0, bytes: 0 }
    }

    /// The next piece of the body.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Fault> {
        if !self.started {
            self.started = true;
            let head = self.head()?;
            if !head.is_empty() {
                return Ok(Some((head.into(), self)));
            }
        }
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let piece = match rows.next().await {
            Some(Ok(batch)) => self.batch(&batch),
            Some(Err(fault)) => Err(fault),
            None => {
                self.rows = None;
                self.end()
            }
        };
        match piece {
            Ok(piece) => Ok(Some((piece.into(), self))),
            Err(fault) if self.format == Format::Json => {
                self.rows = None;
                let problem = serde_json::to_string(&Problem::from(&fault)).unwrap_or_default();
                Ok(Some((format!("],\"error\":{problem}}}").into(), self)))
            }
            Err(fault) => Err(fault),
        }
    }

    fn head(&mut self) -> Result<Vec<u8>, Fault> {
        match self.format {
            Format::Json => Ok(json_head(&self.schema).into_bytes()),
            // The header line goes with the first rows; without any it is written here.
            Format::Csv => csv(&RecordBatch::new_empty(self.schema.clone()), true),
            Format::Arrow => {
                let writer = StreamWriter::try_new(Vec::new(), &self.schema);
                let mut writer = writer.map_err(Fault::internal)?;
                let head = std::mem::take(writer.get_mut());
                self.arrow = Some(writer);
                Ok(head)
            }
        }
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, Fault> {
        let before = self.row_count;
        self.row_count += batch.num_rows() as u64;
        if self.row_count > HTTP_ROWS_MAX {
            let reason = format!("an answer may have {HTTP_ROWS_MAX} rows at most");
            return Err(Fault::new(Code::TooLarge, reason));
        }
        let piece = match self.format {
            Format::Json => json_rows(batch, before > 0),
            Format::Csv => csv(batch, false),
            Format::Arrow => {
                let writer = self.arrow.as_mut().ok_or_else(|| Fault::internal("no head"))?;
                writer.write(batch).map_err(Fault::internal)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }?;
        self.bytes += piece.len() as u64;
        if self.bytes > HTTP_ANSWER_BYTES_MAX {
            let reason = format!("an answer may have {HTTP_ANSWER_BYTES_MAX} bytes at most");
            return Err(Fault::new(Code::TooLarge, reason));
        }
        Ok(piece)
    }

    fn end(&mut self) -> Result<Vec<u8>, Fault> {
        match self.format {
            Format::Json => Ok(format!("],\"row_count\":{}}}", self.row_count).into_bytes()),
            Format::Csv => Ok(Vec::new()),
            Format::Arrow => {
                let writer = self.arrow.as_mut().ok_or_else(|| Fault::internal("no head"))?;
                writer.finish().map_err(Fault::internal)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

fn json_head(schema: &Schema) -> String {
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| json!({ "name": field.name(), "type": field.data_type().to_string() }))
        .collect();
    format!("{{\"columns\":{},\"rows\":[", Value::from(columns))
}

/// A batch's rows as the inside of a JSON list.
fn json_rows(batch: &RecordBatch, more: bool) -> Result<Vec<u8>, Fault> {
    if batch.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let mut writer = JsonBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    writer.write(batch).map_err(Fault::internal)?;
    writer.finish().map_err(Fault::internal)?;
    let list = writer.into_inner();
    let inside = list.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let inside = inside.ok_or_else(|| Fault::internal("the JSON writer wrote no list"))?;
    let comma: &[u8] = if more { b"," } else { b"" };
    Ok([comma, inside].concat())
}

fn csv(batch: &RecordBatch, header: bool) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    let mut writer = CsvBuilder::new().with_header(header).build(&mut text);
    writer.write(batch).map_err(Fault::internal)?;
    drop(writer);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &'static str) -> Result<Format, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        Format::of(&headers).map_err(|fault| fault.code)
    }

    #[test]
    fn the_first_known_format_is_taken() {
        assert_eq!(Format::of(&HeaderMap::new()).unwrap(), Format::Json);
        assert_eq!(format("*/*"), Ok(Format::Json));
        assert_eq!(format("text/html, text/csv;q=0.9"), Ok(Format::Csv));
        assert_eq!(format("application/vnd.apache.arrow.stream"), Ok(Format::Arrow));
        assert_eq!(format("image/png"), Err(Code::Invalid));
    }

    #[test]
    fn parameters_are_read_as_what_is_wanted() {
        let wanted = [Some(DataType::Float64), Some(DataType::Date32), None];
        let given = [json!(75), json!("2010-01-31"), json!(null)];
        let values = parameters(&given, &wanted).unwrap();
        assert_eq!(values[0], ScalarValue::Float64(Some(75.0)));
        assert_eq!(values[1], ScalarValue::Date32(Some(14_640)));
        assert!(parameters(&given[..2], &wanted).is_err());
        assert!(parameters(&[json!([1])], &[None]).is_err());
        assert!(parameters(&[json!("soon")], &[Some(DataType::Date32)]).is_err());
    }
}
