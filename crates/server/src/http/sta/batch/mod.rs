//! `POST $batch`: many requests in one (OGC 18-088, batch-request; OData 4.0 part 1, 11.7).
//!
//! ```text
//!  multipart/mixed ─► multipart ─┐                        ┌─► one: the rules, then the handler
//!  application/json ─► json ─────┴─► Vec<Part> ─► run ────┤
//!                                       links: $id        └─► a change set: one deed, all or none
//! ```
//!
//! Parts are carried out in order, each as if it had come alone: the access rules are asked for
//! each, and the handlers are the same. All are answered, also those behind one that failed, unless
//! the client says `Prefer: continue-on-error=false`.
//!
//! **A change set is all or none by taking back.** Its requests are written one after the other,
//! and seen meanwhile; where one fails, the ones before it are taken back, in versions of their own.
//! Where somebody else has changed one of their rows meanwhile, or the process ends between, they
//! stay: the first is said in the answer.
//!
//! A batch goes on to its end whoever hangs up.

mod json;
mod links;
mod multipart;
mod run;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use tracing::Instrument as _;

use super::change::deed;
use super::write::whole;
use crate::fault::{Code, Fault};
use crate::http::Http;
use crate::http::input::Who;
use crate::http::problem::Problem;

/// Requests of one batch, those of its change sets included.
const PARTS_MAX: usize = 1_000;
/// Bytes of all answers of a batch. The parts behind are not carried out.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Time for all of it; the parts behind are not carried out. Less than the route has.
const SECONDS_MAX: u64 = 300;

/// A request of a batch.
#[derive(Debug)]
struct Inner {
    /// By which others refer to what it makes.
    id: Option<String>,
    method: Method,
    url: String,
    media: Option<String>,
    body: Bytes,
}

/// What a batch is made of. A part that cannot be read is answered in its place.
#[derive(Debug)]
enum Part {
    One(Box<Result<Inner, Fault>>),
    Set(Vec<Result<Inner, Fault>>),
}

impl Part {
    fn requests(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Set(requests) => requests.len(),
        }
    }
}

/// The answer to one request.
#[derive(Debug)]
struct Reply {
    id: Option<String>,
    status: StatusCode,
    media: Option<String>,
    location: Option<String>,
    body: Bytes,
}

/// The answer to a part.
#[derive(Debug)]
enum Answered {
    One(Reply),
    Set(Vec<Reply>),
    /// A change set that failed, by the answer to the request that did, and the ids of the others.
    Failed(Reply, Vec<Option<String>>),
}

impl Answered {
    fn is_well(&self) -> bool {
        match self {
            Self::One(reply) => reply.status.is_success(),
            Self::Set(_) => true,
            Self::Failed(..) => false,
        }
    }
}

/// How the batch is written, and so its answer.
enum Form {
    /// By this boundary.
    Multipart(String),
    Json,
}

/// Carries out many requests, one after the other.
#[utoipa::path(
    post, path = "/sta/v1.1/$batch", tag = "sensorthings", security(("token" = [])),
    params(("reason" = Option<String>, Query, description = "why, to be kept beside what change sets change")),
    request_body(content((Object = "application/json"), (String = "multipart/mixed"))),
    responses(
        (status = 200, description = "An answer to each part, in order, in the form of the request",
            content((Object = "application/json"), (String = "multipart/mixed"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem),
    )
)]
pub async fn batch(
    State(http): State<Arc<Http>>,
    who: Who,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    let body = whole(body)?;
    // Said before anything is done, not in the midst of it.
    deed(&who.session(), &uri)?;
    let form = form(&headers)?;
    let parts = match &form {
        Form::Multipart(boundary) => multipart::read(&body, boundary)?,
        Form::Json => json::read(&body)?,
    };
    let requests: usize = parts.iter().map(Part::requests).sum();
    if requests > PARTS_MAX {
        let reason = format!("a batch of {requests} requests: at most {PARTS_MAX}");
        return Err(Fault::new(Code::TooLarge, reason));
    }
    let goes_on = goes_on(&headers);
    // What a change set has begun is brought to an end.
    let running = run::Running::new(http, who, uri).all(parts, goes_on);
    let answered = tokio::spawn(running.in_current_span()).await;
    let answered = answered.map_err(Fault::internal)?;
    let (media, text) = match form {
        Form::Multipart(_) => multipart::written(&answered),
        Form::Json => ("application/json".to_owned(), json::written(&answered)),
    };
    let mut response = Response::new(text.into());
    let media = HeaderValue::from_str(&media).map_err(Fault::internal)?;
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    Ok(response)
}

fn form(headers: &HeaderMap) -> Result<Form, Fault> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let media = media.unwrap_or_default();
    let kind = media.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(Form::Json);
    }
    match multipart::boundary(media) {
        Some(boundary) => Ok(Form::Multipart(boundary)),
        None => {
            let reason = "a batch is multipart/mixed with a boundary, or application/json";
            Err(Fault::new(Code::Invalid, reason))
        }
    }
}

/// Whether parts behind one that failed are carried out.
fn goes_on(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    !preferences.flat_map(|value| value.split([',', ';'])).any(|preference| {
        let preference = preference.trim().trim_start_matches("odata.");
        preference.eq_ignore_ascii_case("continue-on-error=false")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            header::HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn a_batch_is_known_by_its_media_type() {
        let of = |value| form(&headers("content-type", value));
        assert!(matches!(of("application/json;charset=utf-8"), Ok(Form::Json)));
        let quoted = of("multipart/mixed; boundary=\"a b\"");
        assert!(matches!(quoted, Ok(Form::Multipart(boundary)) if boundary == "a b"));
        for wrong in ["text/plain", "multipart/mixed", "multipart/form-data; boundary=x"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_batch_goes_on_unless_it_is_told_not_to() {
        assert!(goes_on(&HeaderMap::new()));
        assert!(goes_on(&headers("prefer", "odata.continue-on-error")));
        assert!(!goes_on(&headers("prefer", "respond-async, odata.continue-on-error=false")));
    }
}
