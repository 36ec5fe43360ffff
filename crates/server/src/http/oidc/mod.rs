//! Signing in by an OpenID provider: authorization code with PKCE, state and nonce (OpenID
//! Connect Core 1.0, 3.1; RFC 7636; RFC 9700).
//!
//! ```text
//!  /api/oidc/{id}/start ─► provider ─► /api/oidc/{id}/callback ─► code for tokens ─► ID token
//!                                        │ verified: signature, issuer, audience, nonce, time
//!                                        └─► a claim names a user that is here ─► session
//! ```
//!
//! A provider says who somebody is and never what they may: the user must be here already, with
//! roles that a security officer gave. Each try is bound to its browser by a cookie, so that
//! nobody can be signed in as somebody else by following a link.

pub mod config;
mod provider;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::{CsrfToken, Nonce, PkceCodeVerifier};
use parking_lot::Mutex;
use registry::secret::{random, same};
use registry::{Origin, RegistryError};
use serde::Deserialize;
use utoipa::IntoParams;

pub use self::provider::Provider;
use super::Http;
use super::gate::{named_cookie, set_cookie};
use super::input::{Asked, Named};
use super::problem::Problem;
use super::session::origin;
use super::watch::Client;
use crate::fault::{Code, Fault};
use crate::limits::{
    OIDC_MINUTES_MAX, OIDC_PENDING_MAX, OIDC_PENDING_OF_NETWORK_MAX, SIGN_IN_TEXT_BYTES_MAX,
    seconds,
};
use crate::throttle::network;

/// Where people are sent who could not be signed in; the page reads `problem`.
const SIGN_IN_PAGE: &str = "/sign-in";
const BINDING_COOKIE: &str = "shujin_oidc";
const SECURE_BINDING_COOKIE: &str = "__Host-shujin_oidc";
const BINDING_BYTES: usize = 32;

/// Sign-ins that are with their provider at the moment.
#[derive(Default)]
pub struct Pending {
    by_state: Mutex<HashMap<String, Try>>,
}

struct Try {
    provider: String,
    /// Where it was asked from.
    network: IpAddr,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    /// What the browser holds, so that the answer comes to where the question was asked.
    binding: String,
    to: String,
    until: Instant,
}

impl Pending {
    fn put(&self, state: &CsrfToken, new: Try, now: Instant) -> Result<(), Fault> {
        let mut by_state = self.by_state.lock();
        let of_network = by_state.iter().filter(|(_, waiting)| waiting.network == new.network);
        if of_network.clone().count() >= OIDC_PENDING_OF_NETWORK_MAX {
            // Nobody keeps others out by asking again and again; most of these were given up.
            let oldest = of_network.min_by_key(|(_, waiting)| waiting.until);
            if let Some(oldest) = oldest.map(|(state, _)| state.clone()) {
                by_state.remove(&oldest);
            }
        }
        if by_state.len() >= OIDC_PENDING_MAX {
            by_state.retain(|_, waiting| waiting.until > now);
        }
        if by_state.len() >= OIDC_PENDING_MAX {
            return Err(Fault::new(Code::Busy, "too many sign-ins at once"));
        }
        by_state.insert(state.secret().clone(), new);
        Ok(())
    }

    /// Each state is good once.
    fn take(&self, state: &str, now: Instant) -> Option<Try> {
        self.by_state.lock().remove(state).filter(|found| found.until > now)
    }
}

/// Where to go after signing in.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StartQuery {
    /// A path of this server; `/` where it is left out.
    to: Option<String>,
}

/// What a provider sends a browser back with.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallbackQuery {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    /// Who says so (RFC 9207).
    iss: Option<String>,
}

/// Goes to an OpenID provider.
#[utoipa::path(
    get, path = "/api/oidc/{id}/start", tag = "session",
    params(("id" = String, Path), StartQuery),
    responses((status = 302), (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub async fn start(
    State(http): State<Arc<Http>>,
    Client(address): Client,
    Named(id): Named<String>,
    Asked(asked): Asked<StartQuery>,
) -> Result<Response, Fault> {
    let provider = http.provider(&id)?;
    let to = asked.to.unwrap_or_else(|| "/".to_owned());
    if !is_local(&to) {
        return Err(Fault::new(Code::Invalid, "`to` is a path of this server"));
    }
    let asked = provider.ask(&http.base_url).await?;
    let binding = URL_SAFE_NO_PAD.encode(random::<BINDING_BYTES>()?);
    let now = Instant::now();
    let new = Try {
        provider: id,
        network: network(address),
        nonce: asked.nonce,
        verifier: asked.verifier,
        binding: binding.clone(),
        to,
        until: now + seconds(OIDC_MINUTES_MAX * 60),
    };
    http.pending.put(&asked.state, new, now)?;
    let cookie = binding_cookie(Some(&binding), http.doors.secure);
    Ok(redirect(asked.url.as_str(), [cookie]))
}

/// Comes back from an OpenID provider; goes to where one wanted to, or to the sign-in page with
/// `?problem=` `expired`, `refused`, `failed`, `unknown` or `second_factor`.
#[utoipa::path(
    get, path = "/api/oidc/{id}/callback", tag = "session",
    params(("id" = String, Path), CallbackQuery),
    responses((status = 302), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn callback(
    State(http): State<Arc<Http>>,
    Client(address): Client,
    headers: HeaderMap,
    Named(id): Named<String>,
    Asked(asked): Asked<CallbackQuery>,
) -> Result<Response, Fault> {
    http.provider(&id)?;
    let (secure, throttle) = (http.doors.secure, &http.doors.throttle);
    if throttle.wait_to_return(address, Instant::now()).is_some() {
        tracing::debug!(provider = id, %address, "too many OpenID sign-ins in vain from here");
        return Ok(redirect(&format!("{SIGN_IN_PAGE}?problem=failed"), []));
    }
    let gone = binding_cookie(None, secure);
    let came_from = origin(address, &headers, &id);
    match finish(&http, &headers, &id, asked, came_from).await {
        Ok((cookie, to)) => Ok(redirect(&to, [set_cookie(Some(&cookie), secure), gone])),
        Err(Refusal { problem, reason, name }) => {
            throttle.returned_in_vain(address, Instant::now());
            tracing::warn!(provider = id, problem, reason, %address, "OpenID sign-in refused");
            // Whom no provider has named is for the log alone: anybody can come back here with
            // nothing, and the audit keeps all that it is told.
            if let Some(name) = name {
                let reason = format!("OpenID provider {id}: {reason}");
                let address = address.to_string();
                http.city.registry().note_refused_sign_in(&name, &address, &reason).await?;
            }
            Ok(redirect(&format!("{SIGN_IN_PAGE}?problem={problem}"), [gone]))
        }
    }
}

/// Why somebody could not be signed in: a word for the page, a reason for the log and, where the
/// provider has named somebody, the audit.
struct Refusal {
    problem: &'static str,
    reason: String,
    name: Option<String>,
}

fn refusal(problem: &'static str, reason: impl Into<String>) -> Refusal {
    Refusal { problem, reason: reason.into(), name: None }
}

/// The session's cookie, and where its owner wanted to go.
async fn finish(
    http: &Http,
    headers: &HeaderMap,
    id: &str,
    asked: CallbackQuery,
    mut came_from: Origin,
) -> Result<(String, String), Refusal> {
    let state = asked.state.filter(|state| state.len() <= SIGN_IN_TEXT_BYTES_MAX);
    let found = state.and_then(|state| http.pending.take(&state, Instant::now()));
    let held = named_cookie(headers, binding_name(http.doors.secure)).unwrap_or_default();
    let bound =
        |found: &Try| found.provider == id && same(found.binding.as_bytes(), held.as_bytes());
    let found = found.filter(bound);
    let found = found.ok_or_else(|| refusal("expired", "no such sign-in is under way here"))?;
    let provider = http.provider(id).map_err(|_| refusal("failed", "no such provider"))?;
    if asked.iss.is_some_and(|issuer| !provider.is(&issuer)) {
        return Err(refusal("failed", "the answer is another provider's"));
    }
    let code = match (asked.code, asked.error) {
        (Some(code), None) => code,
        (_, Some(_)) => return Err(refusal("refused", "the provider refused")),
        (None, None) => return Err(refusal("failed", "the provider sent no code")),
    };
    let name = provider
        .name_of(&http.base_url, code, found.verifier, &found.nonce)
        .await
        .map_err(|reason| refusal("failed", reason))?;
    let refuse =
        |problem, reason: &str| Refusal { name: Some(name.clone()), ..refusal(problem, reason) };
    let registry = http.city.registry();
    let user = match registry.user(&name).await {
        Ok(user) if user.active => user,
        Ok(_) => return Err(refuse("unknown", "the user is disabled")),
        Err(RegistryError::UnknownUser(_)) => {
            return Err(refuse("unknown", "the claim names nobody here"));
        }
        Err(error) => return Err(refuse("failed", &error.to_string())),
    };
    came_from.strong = provider.config.second_factor;
    let wanted = user.second_factor || registry.wants_second_factor(&user.roles, http.city.pack());
    if wanted && !came_from.strong {
        return Err(refuse("second_factor", "the provider asks for no second factor"));
    }
    match http.seat(&name, came_from).await {
        Ok((cookie, _)) => Ok((cookie, found.to)),
        Err(fault) => Err(refuse("failed", &fault.to_string())),
    }
}

impl Http {
    fn provider(&self, id: &str) -> Result<&Provider, Fault> {
        let found = self.doors.oidc.iter().find(|provider| provider.config.id == id);
        found.ok_or_else(|| Fault::new(Code::NotFound, "there is no such OpenID provider here"))
    }
}

/// A path of this server: nothing that a browser takes for another host's.
fn is_local(to: &str) -> bool {
    let plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    to.starts_with('/') && !to.starts_with("//") && plain && to.len() <= SIGN_IN_TEXT_BYTES_MAX
}

fn binding_name(secure: bool) -> &'static str {
    if secure { SECURE_BINDING_COOKIE } else { BINDING_COOKIE }
}

fn binding_cookie(value: Option<&str>, secure: bool) -> HeaderValue {
    let lives = if value.is_some() { OIDC_MINUTES_MAX * 60 } else { 0 };
    let mut text = format!(
        "{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={lives}",
        binding_name(secure),
        value.unwrap_or_default(),
    );
    if secure {
        text.push_str("; Secure");
    }
    HeaderValue::from_str(&text).expect("a cookie of ours is base64")
}

fn redirect<const N: usize>(to: &str, cookies: [HeaderValue; N]) -> Response {
    let Ok(to) = HeaderValue::from_str(to) else {
        return Fault::internal("a redirection's target is no header").into_response();
    };
    let mut response = StatusCode::FOUND.into_response();
    response.headers_mut().insert(header::LOCATION, to);
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// How long a provider may take to answer.
pub(crate) const PROVIDER_TIME_MAX: Duration = seconds(crate::limits::OIDC_ANSWER_SECONDS_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_sent_nowhere_else() {
        for good in ["/", "/map?area=5101#x", "/a//b"] {
            assert!(is_local(good), "{good}");
        }
        let long = format!("/{}", "x".repeat(SIGN_IN_TEXT_BYTES_MAX));
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/地图",
            &long,
        ] {
            assert!(!is_local(bad), "{bad}");
        }
    }

    fn from(number: usize, until: Instant) -> Try {
        let number = u32::try_from(number).unwrap();
        Try {
            provider: "city".to_owned(),
            network: IpAddr::V4(std::net::Ipv4Addr::from_bits(number)),
            nonce: Nonce::new_random(),
            verifier: PkceCodeVerifier::new("x".repeat(43)),
            binding: String::new(),
            to: "/".to_owned(),
            until,
        }
    }

    fn state(text: impl ToString) -> CsrfToken {
        CsrfToken::new(text.to_string())
    }

    #[test]
    fn a_state_is_good_once_and_for_a_while() {
        let (pending, now) = (Pending::default(), Instant::now());
        let later = now + seconds(9);
        pending.put(&state("a"), from(0, later), now).unwrap();
        pending.put(&state("b"), from(0, later), now).unwrap();
        assert!(pending.take("a", now).is_some());
        assert!(pending.take("a", now).is_none(), "once");
        assert!(pending.take("b", later).is_none(), "too late");
        for number in 0..OIDC_PENDING_MAX {
            pending.put(&state(number), from(number, later), now).unwrap();
        }
        let stranger = || from(OIDC_PENDING_MAX, later);
        assert!(pending.put(&state("c"), stranger(), now).is_err());
        assert!(pending.put(&state("c"), stranger(), later).is_ok());
    }

    #[test]
    fn one_network_keeps_nobody_else_out() {
        let (pending, now) = (Pending::default(), Instant::now());
        let until = |number: usize| now + seconds(600 + u64::try_from(number).unwrap());
        pending.put(&state("other"), from(1, until(0)), now).unwrap();
        for number in 0..OIDC_PENDING_MAX {
            pending.put(&state(number), from(7, until(number)), now).unwrap();
        }
        assert_eq!(pending.by_state.lock().len(), 1 + OIDC_PENDING_OF_NETWORK_MAX);
        assert!(pending.take("other", now).is_some());
        assert!(pending.take("0", now).is_none(), "the oldest gave way");
        assert!(pending.take(&(OIDC_PENDING_MAX - 1).to_string(), now).is_some());
    }
}
