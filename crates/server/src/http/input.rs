//! Requests as handlers want them: a JSON body or query that fits, or a problem that says why
//! not; and who asks.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use catalog::{Principal, Session, Surface};
use serde::de::DeserializeOwned;

use crate::fault::{Code, Fault};

/// A JSON body.
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(body_fault(&rejection)),
        }
    }
}

fn body_fault(rejection: &JsonRejection) -> Fault {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Fault::new(Code::TooLarge, "the request's body is too long");
    }
    let hint = match rejection {
        JsonRejection::MissingJsonContentType(_) => Some("send content-type: application/json"),
        _ => None,
    };
    let fault = Fault::new(Code::Invalid, rejection.body_text());
    match hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// What the path names.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let named = Path::<T>::from_request_parts(parts, state).await;
        let Path(value) = named
            .map_err(|rejection: PathRejection| Fault::new(Code::Invalid, rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// The parameters behind the `?`.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let asked = Query::<T>::from_request_parts(parts, state).await;
        let Query(value) = asked.map_err(|rejection: QueryRejection| {
            Fault::new(Code::Invalid, rejection.body_text())
        })?;
        Ok(Self(value))
    }
}

/// Who asks, put there by the authentication in front of every handler.
#[derive(Debug, Clone)]
pub struct Who(pub Arc<Principal>);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        let who = parts.extensions.get::<Self>().cloned();
        who.ok_or_else(|| Fault::new(Code::Unauthenticated, "sign in, or show a bearer token"))
    }
}

impl Who {
    /// The present baseline.
    pub fn session(&self) -> Session {
        Session { principal: self.0.clone(), as_of: None, scenario: None, surface: Surface::Http }
    }
}
