//! PATCH, PUT, JSON Patch and DELETE of an entity. Each answers 200 (OGC 18-088, 10.3 and 10.4).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use catalog::Session;
use city::{StaAnswer, StaCreated, StaDeed, StaUpdate};
use sensing::entity::Writer;
use sensing::odata::{QueryOptions, ResourcePath};
use sensing::plan::{Extras, Request, reason};
use sensing::schema::SENSORTHINGS_1_1;

use super::write::whole;
use super::{JSON, path_of, root};
use crate::fault::Fault;
use crate::http::Http;
use crate::http::input::Who;
use crate::http::ogc::typed;
use crate::http::problem::Problem;

/// The media type of operations (RFC 6902).
const JSON_PATCH: &str = "application/json-patch+json";

/// Changes what the body gives of an entity, or applies its operations.
#[utoipa::path(
    patch, path = "/sta/v1.1/{*path}", tag = "sensorthings", security(("token" = [])),
    params(
        ("*path" = String, Path, example = "Things(1)", description = "an entity"),
        ("reason" = Option<String>, Query, description = "why, to be kept beside what changes"),
    ),
    request_body(
        content((Object = "application/json"), (Vec<Object> = "application/json-patch+json"))
    ),
    responses(
        (status = 200, body = Object, description = "The entity as it is now"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    )
)]
pub async fn patch(
    State(http): State<Arc<Http>>,
    who: Who,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    update(&http, &who, &uri, patch_of(media), &whole(body)?).await
}

/// Puts the body in place of an entity.
#[utoipa::path(
    put, path = "/sta/v1.1/{*path}", tag = "sensorthings", security(("token" = [])),
    params(
        ("*path" = String, Path, example = "Things(1)", description = "an entity"),
        ("reason" = Option<String>, Query, description = "why, to be kept beside what changes"),
    ),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 200, body = Object, description = "The entity as it is now"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    )
)]
pub async fn put(
    State(http): State<Arc<Http>>,
    who: Who,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    update(&http, &who, &uri, StaUpdate::Put, &whole(body)?).await
}

/// Takes an entity away, and what cannot be without it.
#[utoipa::path(
    delete, path = "/sta/v1.1/{*path}", tag = "sensorthings", security(("token" = [])),
    params(
        ("*path" = String, Path, example = "Things(1)", description = "an entity"),
        ("reason" = Option<String>, Query, description = "why, to be kept beside what goes"),
    ),
    responses(
        (status = 200, description = "It is gone"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
    )
)]
pub async fn delete(State(http): State<Arc<Http>>, who: Who, uri: Uri) -> Result<Response, Fault> {
    let deed = deed(&who.session(), &uri)?;
    let gone = removed(&http, &deed, &uri).await;
    alone(&http, &deed, gone).await
}

async fn update(
    http: &Http,
    who: &Who,
    uri: &Uri,
    how: StaUpdate,
    body: &[u8],
) -> Result<Response, Fault> {
    let session = who.session();
    let deed = deed(&session, uri)?;
    let answer = changed(http, &session, &deed, uri, how, body).await;
    alone(http, &deed, answer).await
}

/// A body of PATCH is what is given of an entity, unless it says that it is operations.
pub(super) fn patch_of(media: Option<&str>) -> StaUpdate {
    let media = media.and_then(|media| media.split(';').next()).unwrap_or_default();
    match media.trim().eq_ignore_ascii_case(JSON_PATCH) {
        true => StaUpdate::JsonPatch,
        false => StaUpdate::Patch,
    }
}

/// What a request does, with the reason that it gives.
pub(super) fn deed(session: &Session, uri: &Uri) -> Result<StaDeed, Fault> {
    let reason = reason(uri.query().unwrap_or_default());
    Ok(StaDeed::new(session, reason.as_deref())?)
}

/// What came of a request that stands for itself: where it failed, what it did is taken back.
pub(super) async fn alone(
    http: &Http,
    deed: &StaDeed,
    answer: Result<Response, Fault>,
) -> Result<Response, Fault> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(fault) => {
            if let Err(stays) = http.city.sta_undo(deed).await {
                tracing::error!(%fault, %stays, "what failed could not be taken back");
            }
            Err(fault)
        }
    }
}

/// Changes an entity as a part of a deed.
pub(super) async fn changed(
    http: &Http,
    session: &Session,
    deed: &StaDeed,
    uri: &Uri,
    how: StaUpdate,
    body: &[u8],
) -> Result<Response, Fault> {
    let path = path_of(uri)?;
    let changed = http.city.sta_change(deed, &path, how, body).await?;
    let text = match shown(http, session, &changed).await {
        Some(text) => text,
        // It is changed, whoever may see it now.
        None => {
            let root = root(http);
            let link = Writer::new(&root).self_link(changed.kind, &changed.id);
            format!("{{\"@iot.selfLink\":\"{link}\"}}")
        }
    };
    Ok(typed(text.into_bytes(), JSON))
}

/// An entity as it is now.
async fn shown(http: &Http, session: &Session, changed: &StaCreated) -> Option<String> {
    let path = Writer::new("").self_link(changed.kind, &changed.id);
    let path = ResourcePath::parse(&SENSORTHINGS_1_1, &path).ok()?;
    let (options, extras) = (QueryOptions::default(), Extras::default());
    let request = Request { path: &path, options: &options, extras };
    let root = root(http);
    match http.city.sta_get(session, &request, &root).await.ok()? {
        StaAnswer::Entity(item) => Some(Writer::new(&root).entity(&item, &options)),
        StaAnswer::Page(_) | StaAnswer::Groups(_) => None,
    }
}

/// Takes an entity away as a part of a deed.
pub(super) async fn removed(http: &Http, deed: &StaDeed, uri: &Uri) -> Result<Response, Fault> {
    http.city.sta_remove(deed, &path_of(uri)?).await?;
    Ok(StatusCode::OK.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_told_by_their_media_type() {
        assert_eq!(patch_of(Some("application/json-patch+json")), StaUpdate::JsonPatch);
        let with_charset = "Application/JSON-Patch+JSON; charset=utf-8";
        assert_eq!(patch_of(Some(with_charset)), StaUpdate::JsonPatch);
        assert_eq!(patch_of(Some("application/json")), StaUpdate::Patch);
        assert_eq!(patch_of(None), StaUpdate::Patch);
    }
}
