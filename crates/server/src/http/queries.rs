//! Saved queries over HTTP. Saving one runs nothing, and who runs it runs it as themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catalog::saved::{Draft, SavedQuery, Shared};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Http;
use super::input::{Input, Named, Who};
use super::problem::Problem;
use crate::fault::Fault;

/// A query to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryDraft {
    pub title: String,
    pub sql: String,
    /// How it is drawn, as the screens have it.
    #[schema(value_type = Option<Object>)]
    pub chart: Option<Map<String, Value>>,
    /// `private`, `organisation` or `everyone`.
    #[schema(value_type = String)]
    pub shared: Shared,
}

impl From<QueryDraft> for Draft {
    fn from(QueryDraft { title, sql, chart, shared }: QueryDraft) -> Self {
        Self { title, sql, chart, shared }
    }
}

/// A saved query.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryView {
    #[schema(value_type = String)]
    pub id: Uuid,
    pub title: String,
    pub sql: String,
    #[schema(value_type = Option<Object>)]
    pub chart: Option<Map<String, Value>>,
    #[schema(value_type = String)]
    pub shared: Shared,
    pub owner: String,
    pub organisation: String,
    /// Whether one may change it.
    pub mine: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: DateTime<Utc>,
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: DateTime<Utc>,
}

/// Saved queries.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryList {
    pub items: Vec<QueryView>,
}

fn view(query: SavedQuery, who: &Who) -> QueryView {
    QueryView {
        id: query.id,
        title: query.title,
        sql: query.sql,
        chart: query.chart,
        shared: query.shared,
        mine: query.owner == who.0.user,
        owner: query.owner,
        organisation: query.organisation,
        created_at: query.created_at,
        changed_at: query.changed_at,
    }
}

/// One's own queries and those that one is lent.
#[utoipa::path(
    get, path = "/api/queries", tag = "sql", security(("token" = [])),
    responses((status = 200, body = QueryList), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn list(State(http): State<Arc<Http>>, who: Who) -> Result<Json<QueryList>, Fault> {
    let found = http.city.saved_queries().list(&who.0).await?;
    Ok(Json(QueryList { items: found.into_iter().map(|query| view(query, &who)).collect() }))
}

/// Keeps a query.
#[utoipa::path(
    post, path = "/api/queries", tag = "sql", security(("token" = [])), request_body = QueryDraft,
    responses((status = 201, body = QueryView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 413, body = Problem))
)]
pub async fn create(
    State(http): State<Arc<Http>>,
    who: Who,
    Input(draft): Input<QueryDraft>,
) -> Result<(StatusCode, Json<QueryView>), Fault> {
    let saved = http.city.saved_queries().save(&who.0, draft.into(), Utc::now()).await?;
    Ok((StatusCode::CREATED, Json(view(saved, &who))))
}

/// Changes one's own query.
#[utoipa::path(
    put, path = "/api/queries/{id}", tag = "sql", security(("token" = [])),
    params(("id" = String, Path)), request_body = QueryDraft,
    responses((status = 200, body = QueryView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn change(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<Uuid>,
    Input(draft): Input<QueryDraft>,
) -> Result<Json<QueryView>, Fault> {
    let saved = http.city.saved_queries().change(&who.0, id, draft.into(), Utc::now()).await?;
    Ok(Json(view(saved, &who)))
}

/// Forgets one's own query.
#[utoipa::path(
    delete, path = "/api/queries/{id}", tag = "sql", security(("token" = [])),
    params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn remove(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<Uuid>,
) -> Result<StatusCode, Fault> {
    http.city.saved_queries().delete(&who.0, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
