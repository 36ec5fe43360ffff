//! Faults over HTTP: a status and an `application/problem+json` body (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault::{Code, Fault};

/// What went wrong, for people and for programs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of failure, stable across releases.
    #[schema(example = "not_found")]
    pub code: String,
    /// The status, as in the response's head.
    #[schema(example = 404)]
    pub status: u16,
    /// The reason in words.
    pub title: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The action that the city's access rules do not permit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "audit.read")]
    pub action: Option<String>,
    /// Where in the statement, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// Under this id the server's log knows more.
    pub correlation_id: String,
}

/// When to come again where all places are taken.
const BUSY_SECONDS: u64 = 1;
/// The media type of a problem.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

pub fn status(code: Code) -> StatusCode {
    match code {
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Syntax | Code::Invalid | Code::ColumnNotFound => StatusCode::BAD_REQUEST,
        Code::Unauthenticated | Code::SecondFactor => StatusCode::UNAUTHORIZED,
        Code::Refused | Code::Csrf => StatusCode::FORBIDDEN,
        Code::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Code::Conflict => StatusCode::CONFLICT,
        Code::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Memory | Code::Busy | Code::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<&Fault> for Problem {
    fn from(fault: &Fault) -> Self {
        Self {
            code: fault.code.name().to_owned(),
            status: status(fault.code).as_u16(),
            title: fault.message.clone(),
            hint: fault.hint.clone(),
            action: fault.action.map(|action| action.name().to_owned()),
            line: fault.position.map(|position| position.line),
            column: fault.position.map(|position| position.column),
            correlation_id: fault.correlation.to_string(),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = (status(self.code), Json(Problem::from(&self))).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if matches!(self.code, Code::Unauthenticated | Code::SecondFactor) {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        let wait_s = self.retry_after_s.or((self.code == Code::Busy).then_some(BUSY_SECONDS));
        if let Some(wait_s) = wait_s {
            response.headers_mut().insert(header::RETRY_AFTER, wait_s.into());
        }
        response
    }
}
