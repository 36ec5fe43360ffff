//! Sharing requests over HTTP: ask, grant, refuse, withdraw, revoke. Who may take which step is
//! the catalogue's to say; here is only the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catalog::sharing::{Ask, Cursor, Grant, Listed, PAGE_REQUESTS_MAX, Request, Terms};
use chrono::{DateTime, Utc};
use pack::Mask;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Http;
use super::datasets::knowledge_of;
use super::input::{Asked, Input, Named, Who};
use super::problem::Problem;
use crate::fault::Fault;

/// What is asked for, why, and until when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    #[schema(example = "people.census_2020")]
    pub dataset: String,
    pub fields: Vec<String>,
    /// Boolean SQL over the dataset's fields; all rows where it is left out.
    pub rows: Option<String>,
    pub purpose: String,
    pub legal_ground: String,
    #[schema(value_type = String, format = DateTime)]
    pub until: DateTime<Utc>,
}

/// A sharing request and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequestView {
    #[schema(value_type = String)]
    pub id: Uuid,
    pub dataset: String,
    pub fields: Vec<String>,
    pub rows: Option<String>,
    pub purpose: String,
    pub legal_ground: String,
    #[schema(value_type = String, format = DateTime)]
    pub until: DateTime<Utc>,
    pub organisation: String,
    pub requested_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: DateTime<Utc>,
    /// `requested`, `granted`, `refused`, `withdrawn`, `revoked` or `expired`.
    pub state: String,
    pub decided_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<DateTime<Utc>>,
    pub reason: Option<String>,
    /// What was granted, which may be less than what was asked; none where nothing was.
    pub granted: Option<GrantedView>,
}

/// The terms of a grant.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantedView {
    pub fields: Vec<String>,
    /// The rows that were asked for, narrowed by the owner.
    pub row_filter: Option<String>,
    /// Field → `redact`, `last_four`, `year_only` or `token`.
    #[schema(value_type = BTreeMap<String, String>)]
    pub masks: BTreeMap<String, Mask>,
    /// When it ends, unless it is ended before.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: DateTime<Utc>,
}

impl From<Grant> for GrantedView {
    fn from(grant: Grant) -> Self {
        let Grant { fields, row_filter, masks, expires_at, .. } = grant;
        Self { fields, row_filter, masks, expires_at }
    }
}

impl From<Listed> for RequestView {
    fn from(Listed { request, grant }: Listed) -> Self {
        Self { granted: grant.map(Into::into), ..Self::from(request) }
    }
}

impl From<Request> for RequestView {
    /// As it is when it is made.
    fn from(request: Request) -> Self {
        Self {
            id: request.id,
            dataset: request.dataset,
            fields: request.fields,
            rows: request.rows,
            purpose: request.purpose,
            legal_ground: request.legal_ground,
            until: request.until,
            organisation: request.organisation,
            requested_by: request.requested_by,
            requested_at: request.requested_at,
            state: request.state.to_string(),
            decided_by: request.decided_by,
            decided_at: request.decided_at,
            reason: request.reason,
            granted: None,
        }
    }
}

/// What the owner is ready to give. What is left out is what was asked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTerms {
    pub fields: Option<Vec<String>>,
    /// Narrows the rows that were asked for.
    pub row_filter: Option<String>,
    /// Field → `redact`, `last_four`, `year_only` or `token`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub masks: BTreeMap<String, Mask>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A grant as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantView {
    /// The request's id.
    #[schema(value_type = String)]
    pub id: Uuid,
    pub dataset: String,
    pub organisation: String,
    pub fields: Vec<String>,
    pub row_filter: Option<String>,
    #[schema(value_type = BTreeMap<String, String>)]
    pub masks: BTreeMap<String, Mask>,
    pub granted_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub granted_at: DateTime<Utc>,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: DateTime<Utc>,
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    pub reason: String,
}

/// Which requests.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RequestQuery {
    /// Where the page begins: `next` of the page before it; the first page where it is left out.
    after: Option<String>,
    /// Requests on the page; 1,000, the most there can be, where it is left out.
    limit: Option<u64>,
}

/// Sharing requests on a page.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequestList {
    pub requests: Vec<RequestView>,
    /// Where the next page begins, to be given as `after`; none on the last one.
    pub next: Option<String>,
}

/// The requests that one's organisation made, and those that it decides about: first those that
/// wait for a decision, the newest first of each.
#[utoipa::path(
    get, path = "/api/sharing-requests", tag = "sharing", security(("token" = [])),
    params(RequestQuery),
    responses((status = 200, body = RequestList), (status = 400, body = Problem), (status = 401, body = Problem))
)]
pub async fn list(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<RequestQuery>,
) -> Result<Json<RequestList>, Fault> {
    let after = asked.after.map(|text| text.parse::<Cursor>()).transpose()?;
    let limit = asked.limit.unwrap_or(PAGE_REQUESTS_MAX);
    let page = http.city.sharing().page(&who.0, after, limit).await?;
    Ok(Json(RequestList {
        requests: page.items.into_iter().map(Into::into).collect(),
        next: page.next.map(|cursor| cursor.to_string()),
    }))
}

/// Asks for a dataset.
#[utoipa::path(
    post, path = "/api/sharing-requests", tag = "sharing", security(("token" = [])),
    request_body = NewRequest,
    responses((status = 201, body = RequestView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn create(
    State(http): State<Arc<Http>>,
    who: Who,
    Input(new): Input<NewRequest>,
) -> Result<(StatusCode, Json<RequestView>), Fault> {
    // Whoever may not know of a dataset may not learn of it by asking for it.
    knowledge_of(&http, &who, &new.dataset).await?;
    let ask = Ask {
        dataset: new.dataset,
        fields: new.fields,
        rows: new.rows,
        purpose: new.purpose,
        legal_ground: new.legal_ground,
        until: new.until,
    };
    let request = http.city.sharing().request(&who.0, ask, Utc::now()).await?;
    Ok((StatusCode::CREATED, Json(request.into())))
}

/// Grants a request, on terms no wider than what was asked.
#[utoipa::path(
    post, path = "/api/sharing-requests/{id}/grant", tag = "sharing", security(("token" = [])),
    params(("id" = String, Path)), request_body = NewTerms,
    responses((status = 200, body = GrantView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn grant(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<Uuid>,
    Input(terms): Input<NewTerms>,
) -> Result<Json<GrantView>, Fault> {
    let terms = Terms {
        fields: terms.fields,
        row_filter: terms.row_filter,
        masks: terms.masks,
        expires_at: terms.expires_at,
    };
    let grant = http.city.sharing().grant(&who.0, id, terms, Utc::now()).await?;
    Ok(Json(GrantView {
        id: grant.id,
        dataset: grant.dataset,
        organisation: grant.organisation,
        fields: grant.fields,
        row_filter: grant.row_filter,
        masks: grant.masks,
        granted_by: grant.granted_by,
        granted_at: grant.granted_at,
        expires_at: grant.expires_at,
    }))
}

/// Refuses a request, and says why.
#[utoipa::path(
    post, path = "/api/sharing-requests/{id}/refuse", tag = "sharing", security(("token" = [])),
    params(("id" = String, Path)), request_body = Reason,
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn refuse(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<Uuid>,
    Input(why): Input<Reason>,
) -> Result<StatusCode, Fault> {
    http.city.sharing().refuse(&who.0, id, &why.reason, Utc::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a grant before its time, and says why.
#[utoipa::path(
    post, path = "/api/sharing-requests/{id}/revoke", tag = "sharing", security(("token" = [])),
    params(("id" = String, Path)), request_body = Reason,
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn revoke(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<Uuid>,
    Input(why): Input<Reason>,
) -> Result<StatusCode, Fault> {
    http.city.sharing().revoke(&who.0, id, &why.reason, Utc::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a request back, or gives its grant up.
#[utoipa::path(
    post, path = "/api/sharing-requests/{id}/withdraw", tag = "sharing", security(("token" = [])),
    params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn withdraw(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<Uuid>,
) -> Result<StatusCode, Fault> {
    http.city.sharing().withdraw(&who.0, id, Utc::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
