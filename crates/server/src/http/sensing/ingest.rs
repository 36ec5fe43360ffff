//! How ingest goes: each producer's rate, lag and losses.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use city::ProducerRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Http, moment};
use crate::fault::Fault;
use crate::http::input::Who;
use crate::http::problem::Problem;

/// Who sends, by which face.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProducerView {
    pub producer: String,
    /// `http`, `mqtt` or `poll`.
    pub face: String,
    pub owner: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<DateTime<Utc>>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<DateTime<Utc>>,
    pub rows: u64,
    pub refused: u64,
    pub flagged: u64,
    pub duplicates: u64,
    /// By the sequence that it counts; null where it counts none.
    pub lost: Option<u64>,
    /// Of the last minute.
    pub rate_per_s: Option<f64>,
    /// From the time of a reading to when it came in.
    pub lag_p50_ms: Option<f64>,
    pub lag_p99_ms: Option<f64>,
}

/// How what comes in comes in.
#[derive(Debug, Serialize, ToSchema)]
pub struct IngestView {
    #[schema(value_type = String, format = DateTime)]
    pub at: DateTime<Utc>,
    /// Of all producers that one sees.
    pub rate_per_s: f64,
    pub rows_minute: f64,
    /// Of the last minute's rows, what a rule found implausible.
    pub flagged_minute: f64,
    /// What was refused in the last minute.
    pub refused_minute: f64,
    /// The busiest first.
    pub producers: Vec<ProducerView>,
}

impl From<ProducerRow> for ProducerView {
    fn from(row: ProducerRow) -> Self {
        Self {
            producer: row.producer,
            face: row.face,
            owner: row.owner,
            since: moment(row.since_us),
            last_at: moment(row.last_us),
            rows: row.rows,
            refused: row.refused,
            flagged: row.flagged,
            duplicates: row.duplicates,
            lost: row.lost,
            rate_per_s: row.rate_per_s,
            lag_p50_ms: row.lag_p50_ms,
            lag_p99_ms: row.lag_p99_ms,
        }
    }
}

/// How ingest goes, of the producers that one sees.
#[utoipa::path(
    get, path = "/api/sensing/ingest", tag = "sensing", security(("token" = [])),
    responses((status = 200, body = IngestView), (status = 401, body = Problem))
)]
pub async fn ingest(State(http): State<Arc<Http>>, who: Who) -> Result<Json<IngestView>, Fault> {
    let ingest = http.city.ingest(&who.session()).await?;
    Ok(Json(IngestView {
        at: ingest.at,
        rate_per_s: ingest.rate_per_s,
        rows_minute: ingest.rows_minute,
        flagged_minute: ingest.flagged_minute,
        refused_minute: ingest.refused_minute,
        producers: ingest.producers.into_iter().map(Into::into).collect(),
    }))
}
