//! Scenarios over HTTP: make one, change rows of datasets in it, ask `POST /api/sql` under it,
//! forget it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catalog::scenario::{Change, Scenario};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Http;
use super::input::{Input, Named, Who};
use super::problem::Problem;
use crate::fault::Fault;

/// A scenario about to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewScenario {
    /// 1 to 64 of a–z, 0–9, `-` and `_`.
    #[schema(example = "new-school-2027")]
    pub name: String,
    #[serde(default)]
    pub title: String,
}

/// A scenario that one may use.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScenarioView {
    pub name: String,
    pub title: String,
    pub owner: String,
    pub organisation: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: DateTime<Utc>,
}

impl From<Scenario> for ScenarioView {
    fn from(scenario: Scenario) -> Self {
        Self {
            name: scenario.name,
            title: scenario.title,
            owner: scenario.owner,
            organisation: scenario.organisation,
            created_at: scenario.created_at,
        }
    }
}

/// Scenarios on a page.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScenarioList {
    pub scenarios: Vec<ScenarioView>,
}

/// Rows of one dataset to change. All are taken or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChanges {
    #[schema(example = "air.pm25")]
    pub dataset: String,
    /// Whole rows that are added, or stand in for the stored ones of the same key.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub put: Vec<Map<String, Value>>,
    /// Keys of stored rows that are taken away.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub remove: Vec<Map<String, Value>>,
}

/// How many rows were changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changed {
    pub rows: usize,
}

/// The scenarios that one may use.
#[utoipa::path(
    get, path = "/api/scenarios", tag = "scenarios", security(("token" = [])),
    responses((status = 200, body = ScenarioList), (status = 401, body = Problem))
)]
pub async fn list(State(http): State<Arc<Http>>, who: Who) -> Result<Json<ScenarioList>, Fault> {
    let scenarios = http.city.scenarios().list(&who.0).await?;
    Ok(Json(ScenarioList { scenarios: scenarios.into_iter().map(Into::into).collect() }))
}

/// Makes an empty scenario: until it changes something, its answers are the baseline's.
#[utoipa::path(
    post, path = "/api/scenarios", tag = "scenarios", security(("token" = [])),
    request_body = NewScenario,
    responses((status = 201, body = ScenarioView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem))
)]
pub async fn create(
    State(http): State<Arc<Http>>,
    who: Who,
    Input(new): Input<NewScenario>,
) -> Result<(StatusCode, Json<ScenarioView>), Fault> {
    let made = http.city.scenarios().create(&who.0, &new.name, &new.title, Utc::now()).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// Changes rows of a dataset in a scenario. A later change of a row takes the place of an
/// earlier one.
#[utoipa::path(
    post, path = "/api/scenarios/{name}/changes", tag = "scenarios", security(("token" = [])),
    params(("name" = String, Path)), request_body = NewChanges,
    responses((status = 200, body = Changed), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn change(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(name): Named<String>,
    Input(new): Input<NewChanges>,
) -> Result<Json<Changed>, Fault> {
    let puts = new.put.into_iter().map(Change::Put);
    let changes: Vec<_> = puts.chain(new.remove.into_iter().map(Change::Remove)).collect();
    let (city, session) = (&http.city, who.session());
    let (catalog, now) = (city.catalog(), Utc::now());
    let rows =
        city.scenarios().change(catalog, &session, &name, &new.dataset, &changes, now).await?;
    Ok(Json(Changed { rows }))
}

/// Forgets a scenario and all that it changes.
#[utoipa::path(
    delete, path = "/api/scenarios/{name}", tag = "scenarios", security(("token" = [])),
    params(("name" = String, Path)),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn delete(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(name): Named<String>,
) -> Result<StatusCode, Fault> {
    http.city.scenarios().delete(&who.0, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
