//! The gate: who asks, by bearer token or by a session's cookie, before any handler hears of it.
//!
//! ```text
//!  Authorization: Bearer … ──► principal
//!  cookie ──► seat ──► unsafe method? x-csrf-token ──► second factor owed? ──► principal
//! ```
//!
//! What is refused on the other side of the gate is noted here, once for each user, action and
//! minute.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalog::Principal;
use catalog::audit::{Event, Outcome};
use chrono::Utc;
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use registry::secret::same;
use registry::{RegistryError, Seat};
use serde_json::json;
use sha2::Sha256;

use super::input::Who;
use super::{Http, events};
use crate::fault::{Code, Fault};
use crate::limits::DENIALS_A_MINUTE_MAX;

/// The header by which a page shows that it was the one that sent a request.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// What a page asks by itself while nobody touches it: such requests do not make a session last.
pub const UNATTENDED: &str = "x-unattended";
const COOKIE: &str = "shujin_session";
/// The prefix makes browsers refuse one that another host of the domain has set.
const SECURE_COOKIE: &str = "__Host-shujin_session";
/// Longer is no cookie of ours.
const COOKIE_BYTES_MAX: usize = 128;

/// The session that a request came in by, and its CSRF token. Programs with tokens have none.
#[derive(Debug, Clone)]
pub struct Seated {
    pub seat: Arc<Seat>,
    pub csrf: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Seated {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        let seated = parts.extensions.get::<Self>().cloned();
        seated.ok_or_else(|| {
            Fault::new(Code::Refused, "this is for people who have signed in, not for tokens")
                .hint("sign in by POST /api/session")
        })
    }
}

/// Lets in who shows a valid token or has signed in.
pub async fn authenticate(
    State(http): State<Arc<Http>>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let found = asker(&http, request.method(), request.headers(), path.as_deref()).await;
    let (principal, seated) = match found {
        Ok(found) => found,
        Err(fault) => return fault.into_response(),
    };
    let action = format!("{} {}", request.method(), path.as_deref().unwrap_or("(nothing)"));
    if let Some(seated) = seated {
        request.extensions_mut().insert(seated);
    }
    request.extensions_mut().insert(Who(principal.clone()));
    let response = next.run(request).await;
    if response.status() == StatusCode::FORBIDDEN {
        http.denials.note(&http, &principal, &action).await;
    }
    response
}

/// Whether who asked by these headers would be let in again, to read, as the very same: neither
/// shut out since nor given other rights.
pub async fn still_good(http: &Http, headers: &HeaderMap, path: &str, who: &Principal) -> bool {
    let now = asker(http, &Method::GET, headers, Some(path)).await;
    now.is_ok_and(|(principal, _)| *principal == *who)
}

async fn asker(
    http: &Http,
    method: &Method,
    headers: &HeaderMap,
    path: Option<&str>,
) -> Result<(Arc<Principal>, Option<Seated>), Fault> {
    match bearer(headers) {
        Some(token) => by_token(http, token).await,
        None => by_cookie(http, method, headers, path).await,
    }
}

async fn by_token(http: &Http, token: &str) -> Result<(Arc<Principal>, Option<Seated>), Fault> {
    let principal = http.backend.authenticate_token(token).await?;
    Ok((principal.ok_or_else(nobody)?, None))
}

async fn by_cookie(
    http: &Http,
    method: &Method,
    headers: &HeaderMap,
    path: Option<&str>,
) -> Result<(Arc<Principal>, Option<Seated>), Fault> {
    let cookie = cookie(headers, http.doors.secure).ok_or_else(nobody)?;
    let (registry, pack) = (http.city.registry(), http.city.pack());
    let seat = match headers.contains_key(UNATTENDED) || path == Some(events::PATH) {
        false => registry.seat(cookie, pack, Utc::now()).await,
        true => registry.empty_seat(cookie, pack, Utc::now()).await,
    };
    let seat = match seat {
        Ok(seat) => seat,
        Err(RegistryError::NotAuthentic) => return Err(nobody()),
        Err(error) => return Err(error.into()),
    };
    let csrf = csrf_of(cookie);
    if !method.is_safe() {
        let shown = headers.get(CSRF_HEADER).map(HeaderValue::as_bytes);
        if !shown.is_some_and(|shown| same(shown, csrf.as_bytes())) {
            let fault = Fault::new(Code::Csrf, "the request does not show its page's token");
            return Err(fault.hint(format!("send `{CSRF_HEADER}`: GET /api/session tells it")));
        }
    }
    if http.owes_second_factor(&seat) && !leads_to_second_factor(method, path) {
        let fault = Fault::new(Code::Refused, "your role asks for a second factor first");
        return Err(fault.hint("enrol one by POST /api/session/second-factor"));
    }
    Ok((seat.principal.clone(), Some(Seated { seat, csrf })))
}

/// What somebody may do who has yet to get a second factor: get it, or leave.
fn leads_to_second_factor(method: &Method, path: Option<&str>) -> bool {
    match path {
        Some("/api/session") => [Method::GET, Method::DELETE].contains(method),
        Some("/api/session/second-factor") => true,
        _ => false,
    }
}

fn nobody() -> Fault {
    Fault::new(Code::Unauthenticated, "sign in, or show a valid bearer token")
        .hint("send `authorization: Bearer <token>`; `shujin token` makes one")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// The value of our cookie.
pub fn cookie(headers: &HeaderMap, secure: bool) -> Option<&str> {
    named_cookie(headers, if secure { SECURE_COOKIE } else { COOKIE })
}

pub fn named_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| found.trim() == name)?;
    Some(value.trim()).filter(|value| !value.is_empty() && value.len() <= COOKIE_BYTES_MAX)
}

/// The header that gives a browser its cookie, or with none takes it away.
pub fn set_cookie(value: Option<&str>, secure: bool) -> HeaderValue {
    let name = if secure { SECURE_COOKIE } else { COOKIE };
    let mut text = match value {
        Some(value) => format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax"),
        None => format!("{name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"),
    };
    if secure {
        text.push_str("; Secure");
    }
    HeaderValue::from_str(&text).expect("a cookie of ours is base64")
}

/// A session's CSRF token: made from its cookie, so that it is bound to it and nobody keeps it.
pub fn csrf_of(cookie: &str) -> String {
    let mut keyed = <Hmac<Sha256> as Mac>::new_from_slice(cookie.as_bytes())
        .expect("HMAC takes keys of any length");
    keyed.update(b"requests of its own pages");
    URL_SAFE_NO_PAD.encode(keyed.finalize().into_bytes())
}

/// Refusals of the present minute that are in the audit already.
#[derive(Debug, Default)]
pub struct Denials {
    noted: Mutex<(i64, HashSet<(String, String)>)>,
}

impl Denials {
    pub(super) async fn note(&self, http: &Http, principal: &Principal, action: &str) {
        if !self.is_new(&principal.user, action, Utc::now().timestamp() / 60) {
            return;
        }
        let event = Event::new(&principal.user, &principal.organisation, "http.denied", action)
            .outcome(Outcome::Denied)
            .detail(json!({ "roles": principal.roles }));
        // The answer does not wait for the disk.
        if let Err(error) = http.city.audit().submit(event).await {
            tracing::error!(%error, user = %principal.user, action, "a denial is not in the audit");
        }
    }

    fn is_new(&self, user: &str, action: &str, minute: i64) -> bool {
        let mut noted = self.noted.lock();
        if noted.0 != minute {
            *noted = (minute, HashSet::new());
        }
        noted.1.len() < DENIALS_A_MINUTE_MAX && noted.1.insert((user.to_owned(), action.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; shujin_session = xyz ;c=d"));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-shujin_session=other"));
        assert_eq!(cookie(&headers, false), Some("xyz"));
        assert_eq!(cookie(&headers, true), Some("other"));
        let long = format!("shujin_session={}", "x".repeat(COOKIE_BYTES_MAX + 1));
        for bad in ["", "shujin_session", "shujin_session=", "xshujin_session=y", &long] {
            let mut headers = HeaderMap::new();
            headers.append(header::COOKIE, HeaderValue::from_str(bad).unwrap());
            assert_eq!(cookie(&headers, false), None, "{bad}");
        }
    }

    #[test]
    fn a_secure_cookie_is_one_that_browsers_keep_to_this_host() {
        let plain = set_cookie(Some("abc"), false);
        assert_eq!(plain, "shujin_session=abc; Path=/; HttpOnly; SameSite=Lax");
        let secure = set_cookie(Some("abc"), true);
        assert_eq!(secure, "__Host-shujin_session=abc; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert!(set_cookie(None, true).to_str().unwrap().contains("Max-Age=0"));
    }

    #[test]
    fn a_csrf_token_is_its_sessions_own() {
        assert_eq!(csrf_of("one"), csrf_of("one"));
        assert_ne!(csrf_of("one"), csrf_of("other"));
        assert!(!csrf_of("one").contains("one"));
    }

    #[test]
    fn denials_are_noted_once_a_minute_and_not_without_end() {
        let denials = Denials::default();
        assert!(denials.is_new("lin", "POST /api/backup", 7));
        assert!(!denials.is_new("lin", "POST /api/backup", 7));
        assert!(denials.is_new("lin", "GET /api/audit", 7));
        assert!(denials.is_new("zhao", "POST /api/backup", 7));
        assert!(denials.is_new("lin", "POST /api/backup", 8));
        let new = (0..2 * DENIALS_A_MINUTE_MAX).filter(|n| denials.is_new(&n.to_string(), "", 9));
        assert_eq!(new.count(), DENIALS_A_MINUTE_MAX);
    }
}
