//! POST: an entity with all that comes with it, and observations in bulk.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use city::StaDeed;
use sensing::entity::Writer;

use super::change::{alone, deed};
use super::{JSON, path_of, root};
use crate::fault::{Code, Fault};
use crate::http::Http;
use crate::http::input::Who;
use crate::http::ogc::typed;
use crate::http::problem::Problem;

pub(super) fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Fault> {
    body.map_err(|rejection| {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
            _ => Code::Invalid,
        };
        Fault::new(code, rejection.body_text())
    })
}

/// Makes an entity, and with it the entities that its body holds.
#[utoipa::path(
    post, path = "/sta/v1.1/{*path}", tag = "sensorthings", security(("token" = [])),
    params(
        ("*path" = String, Path, example = "Things", description = "a collection"),
        ("reason" = Option<String>, Query, description = "why, to be kept beside what is made"),
    ),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 201, description = "`location` says where it is"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    )
)]
pub async fn create(
    State(http): State<Arc<Http>>,
    who: Who,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    let deed = deed(&who.session(), &uri)?;
    let answer = made(&http, &deed, &uri, &whole(body)?).await;
    alone(&http, &deed, answer).await
}

/// Makes an entity as a part of a deed.
pub(super) async fn made(
    http: &Http,
    deed: &StaDeed,
    uri: &Uri,
    body: &[u8],
) -> Result<Response, Fault> {
    let path = path_of(uri)?;
    let made = http.city.sta_create_in(deed, &path, body).await?;
    let root = root(http);
    let link = Writer::new(&root).self_link(made.kind, &made.id);
    let mut response = typed(format!("{{\"@iot.selfLink\":\"{link}\"}}").into_bytes(), JSON);
    *response.status_mut() = StatusCode::CREATED;
    let location = HeaderValue::from_str(&link).map_err(Fault::internal)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Takes observations in bulk: for each row, in order, the link to it or `"error"`.
#[utoipa::path(
    post, path = "/sta/v1.1/CreateObservations", tag = "sensorthings", security(("token" = [])),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 201, body = Vec<String>),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem),
    )
)]
pub async fn create_observations(
    State(http): State<Arc<Http>>,
    who: Who,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    let made = http.city.sta_create_observations(&who.session(), &whole(body)?).await?;
    let root = root(&http);
    let mut response = typed(Writer::new(&root).created(made).into_bytes(), JSON);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}
