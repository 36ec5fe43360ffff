//! Coverage of key areas, and where the next sensors would help most.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use city::{AreaCovered, Coverage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{Http, code, invalid};
use crate::fault::Fault;
use crate::http::datasets::Names;
use crate::http::input::{Asked, Who};
use crate::http::problem::Problem;

/// Places where nothing is said.
const PLACES_DEFAULT: usize = 5;

/// Of which sensors.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CoverageQuery {
    /// A kind of which the pack says how far it reaches.
    #[param(example = "air")]
    kind: String,
}

/// Of which sensors, and how many more.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NextQuery {
    /// A kind of which the pack says how far it reaches.
    #[param(example = "air")]
    kind: String,
    /// Up to 50; 5 where it is left out.
    k: Option<usize>,
}

/// A key area and how much of it is covered.
#[derive(Debug, Serialize, ToSchema)]
pub struct AreaCoveredView {
    pub id: String,
    pub title: Names,
    pub area_km2: f64,
    /// Null where nothing is known of people.
    pub population: Option<f64>,
    pub covered_km2: f64,
    /// Null where the area has no outline.
    pub covered_share: Option<f64>,
    pub covered_population: Option<f64>,
    pub population_share: Option<f64>,
}

/// How much of the key areas the sensors of a kind cover.
#[derive(Debug, Serialize, ToSchema)]
pub struct CoverageView {
    pub kind: String,
    pub range_m: f64,
    /// The side of the cells that are counted.
    pub cell_m: f64,
    pub areas: Vec<AreaCoveredView>,
    /// A GeoJSON FeatureCollection: for each area the MultiPolygon that is not covered.
    #[schema(value_type = Object)]
    pub blind: Value,
    /// Each `[longitude, latitude, state]`; connected and reporting ones cover.
    #[schema(value_type = Vec<Vec<Object>>)]
    pub devices: Vec<(f64, f64, String)>,
    /// There are more devices than are listed.
    pub cut: bool,
}

/// A place for one more sensor.
#[derive(Debug, Serialize, ToSchema)]
pub struct NextPlaceView {
    pub lon: f64,
    pub lat: f64,
    /// People that it adds to those before it; null where nothing is known of people.
    pub gain_population: Option<f64>,
    pub gain_km2: f64,
    /// Which share is covered with it and those before it.
    pub total_share: f64,
}

/// Where the next sensors would help most.
#[derive(Debug, Serialize, ToSchema)]
pub struct NextView {
    pub kind: String,
    /// What is gained: `population`, or `area` where nothing is known of people.
    pub by: &'static str,
    /// Which share is covered today.
    pub covered_share: f64,
    /// The best first.
    pub chosen: Vec<NextPlaceView>,
    /// No other so many of the places weighed cover a larger share.
    pub bound_share: f64,
    /// Places weighed.
    pub candidates: usize,
}

fn area(area: &AreaCovered) -> AreaCoveredView {
    AreaCoveredView {
        id: area.id.clone(),
        title: (&area.title).into(),
        area_km2: area.area_km2,
        population: area.population,
        covered_km2: area.covered_km2,
        covered_share: area.covered_share,
        covered_population: area.covered_population,
        population_share: area.population_share,
    }
}

/// What is blind, as a FeatureCollection.
fn blind(coverage: &Coverage) -> Value {
    let features = coverage.areas.iter().filter(|area| !area.blind.polygons.is_empty());
    let features = features.map(|area| {
        json!({
            "type": "Feature",
            "id": area.id,
            "properties": {
                "id": area.id,
                "km2": area.area_km2 - area.covered_km2,
                "people": area.population.zip(area.covered_population).map(|(all, of)| all - of),
            },
            "geometry": { "type": "MultiPolygon", "coordinates": area.blind.polygons },
        })
    });
    json!({ "type": "FeatureCollection", "features": features.collect::<Vec<_>>() })
}

fn kind(given: String) -> Result<String, Fault> {
    code("kind", Some(given))?.ok_or_else(|| invalid("say of which `kind`"))
}

/// How much of the key areas the sensors of a kind cover that one sees, and where they leave it
/// blind.
#[utoipa::path(
    get, path = "/api/sensing/coverage", tag = "sensing", security(("token" = [])),
    params(CoverageQuery),
    responses((status = 200, body = CoverageView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn coverage(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<CoverageQuery>,
) -> Result<Json<CoverageView>, Fault> {
    let coverage = http.city.coverage(&who.session(), &kind(asked.kind)?).await?;
    Ok(Json(CoverageView {
        kind: coverage.kind.clone(),
        range_m: coverage.range_m,
        cell_m: coverage.cell_m,
        areas: coverage.areas.iter().map(area).collect(),
        blind: blind(&coverage),
        devices: coverage.devices.clone(),
        cut: coverage.cut,
    }))
}

/// Where the next sensors of a kind would help most, and how much better any other choice could be.
#[utoipa::path(
    get, path = "/api/sensing/coverage/next", tag = "sensing", security(("token" = [])),
    params(NextQuery),
    responses((status = 200, body = NextView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn next(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<NextQuery>,
) -> Result<Json<NextView>, Fault> {
    let k = asked.k.unwrap_or(PLACES_DEFAULT);
    let found = http.city.next_places(&who.session(), &kind(asked.kind)?, k).await?;
    let chosen = found.chosen.into_iter().map(|place| NextPlaceView {
        lon: place.lon,
        lat: place.lat,
        gain_population: place.gain_population,
        gain_km2: place.gain_km2,
        total_share: place.total_share,
    });
    Ok(Json(NextView {
        kind: found.kind,
        by: found.by,
        covered_share: found.covered_share,
        chosen: chosen.collect(),
        bound_share: found.bound_share,
        candidates: found.candidates,
    }))
}
