//! The census of devices.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use city::{CensusBy, Tally};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Http, area, invalid};
use crate::fault::Fault;
use crate::http::datasets::Names;
use crate::http::input::{Asked, Who};
use crate::http::problem::Problem;

/// What is counted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CensusQuery {
    /// `department` (also where it is left out), `area` or `kind`.
    by: Option<String>,
    /// Code of an area: its devices; by area, those of the areas below it.
    area: Option<String>,
}

/// Devices by state.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceCounts {
    pub devices: u64,
    /// Nothing ever came in.
    pub registered: u64,
    /// Something came in; nothing says how often it should.
    pub connected: u64,
    pub reporting: u64,
    pub silent: u64,
    pub retired: u64,
    /// Connected, reporting and silent ones of all that are not retired.
    pub connected_share: Option<f64>,
    /// Readings that no rule flagged; the mean over devices that are not retired and of which it is
    /// known.
    pub valid_share: Option<f64>,
    /// Expected readings that came; the mean over devices that are not retired and of which it is
    /// known.
    pub uptime_share: Option<f64>,
    /// Not retired, and to be maintained by today.
    pub maintenance_due: u64,
}

/// A department, an area or a kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct CensusRowView {
    /// Empty for devices that say none, or lie in none of the areas.
    pub key: String,
    pub title: Names,
    #[serde(flatten)]
    pub counts: DeviceCounts,
}

/// How many devices there are of each state.
#[derive(Debug, Serialize, ToSchema)]
pub struct CensusView {
    #[schema(value_type = String, format = DateTime)]
    pub at: DateTime<Utc>,
    /// False for a while after a start: states are still being made up.
    pub whole: bool,
    pub total: DeviceCounts,
    pub rows: Vec<CensusRowView>,
}

impl From<&Tally> for DeviceCounts {
    fn from(tally: &Tally) -> Self {
        Self {
            devices: tally.devices,
            registered: tally.registered,
            connected: tally.connected,
            reporting: tally.reporting,
            silent: tally.silent,
            retired: tally.retired,
            connected_share: tally.connected_share(),
            valid_share: tally.valid_share(),
            uptime_share: tally.uptime_share(),
            maintenance_due: tally.maintenance_due,
        }
    }
}

/// The census of the devices that one sees.
#[utoipa::path(
    get, path = "/api/sensing/census", tag = "sensing", security(("token" = [])),
    params(CensusQuery),
    responses((status = 200, body = CensusView), (status = 400, body = Problem), (status = 401, body = Problem))
)]
pub async fn census(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<CensusQuery>,
) -> Result<Json<CensusView>, Fault> {
    let by = match asked.by.as_deref() {
        None | Some("department") => CensusBy::Department,
        Some("area") => CensusBy::Area,
        Some("kind") => CensusBy::Kind,
        Some(_) => return Err(invalid("the census is by `department`, by `area` or by `kind`")),
    };
    let area = area(asked.area)?;
    let census = http.city.census(&who.session(), by, area.as_deref()).await?;
    let rows = census.rows.iter().map(|row| CensusRowView {
        key: row.key.clone(),
        title: (&row.title).into(),
        counts: (&row.tally).into(),
    });
    Ok(Json(CensusView {
        at: census.at,
        whole: census.whole,
        total: (&census.total).into(),
        rows: rows.collect(),
    }))
}
