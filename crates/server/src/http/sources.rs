//! `GET /api/sensing/sources`: how the pack's sources of devices are doing, for those who answer
//! for them and for who administers the platform.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use city::{SourceStanding, SourceState, SourceTally};
use serde::Serialize;
use utoipa::ToSchema;

use super::Http;
use super::datasets::Names;
use super::input::Who;
use super::problem::Problem;

/// Sources that one answers for.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceList {
    pub items: Vec<SourceItem>,
}

/// A source, and what happened since the server began.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceItem {
    #[schema(example = "water_level")]
    pub id: String,
    pub title: Names,
    /// The organisation whose Things its devices are.
    pub owner: String,
    /// `mqtt` or `poll`.
    pub way: String,
    /// The topic, or the address without its parameters.
    pub from: String,
    /// `waiting`: nothing came yet; `well`; `failing`: tried again later and later; `stopped`: its
    /// user may not bring anything in.
    pub state: String,
    /// When a message came, or the endpoint was asked, last.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<DateTime<Utc>>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_good_at: Option<DateTime<Utc>>,
    /// When the endpoint is asked next.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<DateTime<Utc>>,
    /// Failures in a row.
    pub failures: u32,
    /// Seconds that it waits after them.
    pub back_off_s: Option<u64>,
    /// Why it failed last.
    pub error: Option<String>,
    pub messages: u64,
    /// Answers that said that nothing has changed.
    pub unchanged: u64,
    /// Readings that became observations.
    pub taken: u64,
    /// Readings that had come before.
    pub duplicates: u64,
    pub refused: u64,
}

/// How devices that speak something else than SensorThings are doing, source by source.
#[utoipa::path(
    get, path = "/api/sensing/sources", tag = "sensing", operation_id = "sources",
    security(("token" = [])),
    responses((status = 200, body = SourceList), (status = 401, body = Problem))
)]
pub async fn list(State(http): State<Arc<Http>>, who: Who) -> Json<SourceList> {
    let states = http.city.source_states(&who.session());
    Json(SourceList { items: states.into_iter().map(item).collect() })
}

fn item(state: SourceState) -> SourceItem {
    let SourceState { id, title, owner, way, from, tally } = state;
    let SourceTally {
        state,
        last_at,
        last_good_at,
        next_at,
        failures,
        back_off_s,
        error,
        messages,
        unchanged,
        taken,
        duplicates,
        refused,
    } = tally;
    SourceItem {
        id,
        title: Names::from(&title),
        owner,
        way: way.to_owned(),
        from,
        state: word(state).to_owned(),
        last_at,
        last_good_at,
        next_at,
        failures,
        back_off_s,
        error,
        messages,
        unchanged,
        taken,
        duplicates,
        refused,
    }
}

fn word(state: SourceStanding) -> &'static str {
    match state {
        SourceStanding::Waiting => "waiting",
        SourceStanding::Well => "well",
        SourceStanding::Failing => "failing",
        SourceStanding::Stopped => "stopped",
    }
}
