//! Around every request: its id, where it comes from, what is measured and logged of it, and the
//! headers that every answer carries.
//!
//! A request is logged by its route's template, never by its path and query: keys and searches in
//! those can be people's names and numbers.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tracing::Instrument as _;
use uuid::Uuid;

use super::figures::{FIGURES, OpenBody};
use super::listen::Held;
use super::{Http, headers};
use crate::limits::REQUEST_ID_CHARS_MAX;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// What stands for a route where none was met.
const NO_ROUTE: &str = "unmatched";

/// The other end of the connection, put there by the listener.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Where a request comes from: the peer, or whom a proxy that is trusted says it speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client(pub IpAddr);

impl Client {
    fn of(request: &Request, behind_proxy: bool) -> Option<Self> {
        let forwarded = || forwarded(request.headers()).filter(|_| behind_proxy);
        let peer = || request.extensions().get::<Peer>().map(|peer| peer.0);
        forwarded().or_else(peer).map(|address| Self(address.to_canonical()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    /// A request that no listener brought is nobody's in particular.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let client = parts.extensions.get::<Self>().copied();
        Ok(client.unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// The last address of the last header: that one the proxy in front wrote, all before it anybody
/// could have.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim();
    last.parse().or_else(|_| last.parse::<SocketAddr>().map(|address| address.ip())).ok()
}

/// Takes down who asks, once that is known.
#[derive(Debug, Clone, Default)]
pub struct Noted(Arc<OnceLock<String>>);

impl Noted {
    pub fn user(&self, name: &str) {
        // The first to know is right: a request has one asker.
        let _ = self.0.set(name.to_owned());
    }
}

/// The outermost layer.
pub async fn watch(State(http): State<Arc<Http>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(request.headers(), http.options.behind_proxy);
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| NO_ROUTE.to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let closed = !["/healthz", "/readyz"].contains(&route.as_str());
    let client = Client::of(&request, http.options.behind_proxy);
    let held = request.extensions().get::<Arc<Held>>().cloned();
    let noted = Noted::default();
    request.extensions_mut().insert(noted.clone());
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    let span = tracing::info_span!(
        "request", %id, %method, route, otel.name = %format_args!("{method} {route}"),
        otel.kind = "server", http.response.status_code = tracing::field::Empty,
        user = tracing::field::Empty,
    );
    let in_flight = FIGURES.request_begins();
    let rated = client.map_or(Ok(()), |client| http.rates.address(client.0));
    let mut response = match rated {
        Ok(()) => next.run(request).instrument(span.clone()).await,
        Err(fault) => fault.into_response(),
    };
    drop(in_flight);
    let status = response.status().as_u16();
    FIGURES.request_ended(&route, &method, status, begun.elapsed());
    headers::complete(response.headers_mut(), http.options.secure, closed);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let user = noted.0.get().map_or("", String::as_str);
    span.record("http.response.status_code", status).record("user", user);
    let address = client.map_or_else(String::new, |client| client.0.to_string());
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(target: "server::http::request", id, %method, route, status, ms, user, address);
    let open = FIGURES.body_opens();
    response.map(|body| Body::new(Watched { body, _open: open, _held: held }))
}

/// The id that a proxy gave the request, where it is one; else a new one.
fn request_id(headers: &HeaderMap, behind_proxy: bool) -> String {
    let plain = |id: &&str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !id.is_empty() && id.len() <= REQUEST_ID_CHARS_MAX && id.bytes().all(good)
    };
    let given = headers.get(REQUEST_ID).filter(|_| behind_proxy);
    let given = given.and_then(|id| id.to_str().ok()).filter(plain);
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// A body that counts as open until it is sent or let go.
struct Watched {
    body: Body,
    _open: OpenBody,
    _held: Option<Arc<Held>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &'static str)]) -> Request {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        request.extensions_mut().insert(Peer("::ffff:10.1.2.3".parse().unwrap()));
        request
    }

    #[test]
    fn only_the_proxy_is_believed_and_only_where_there_is_one() {
        let client = |headers: &[(&'static str, &'static str)], behind_proxy| {
            Client::of(&asked(headers), behind_proxy).unwrap().0.to_string()
        };
        let forged = [("x-forwarded-for", "127.0.0.1")];
        assert_eq!(client(&forged, false), "10.1.2.3");
        assert_eq!(client(&[], true), "10.1.2.3");
        assert_eq!(client(&[("x-forwarded-for", "127.0.0.1, 203.0.113.9")], true), "203.0.113.9");
        let two = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "[2001:db8::1]:80")];
        assert_eq!(client(&two, true), "2001:db8::1");
        assert_eq!(client(&[("x-forwarded-for", "somebody")], true), "10.1.2.3");
    }

    #[test]
    fn an_id_that_could_break_a_log_line_is_replaced() {
        let id = |value: &'static str, behind_proxy| {
            request_id(asked(&[("x-request-id", value)]).headers(), behind_proxy)
        };
        assert_eq!(id("abc-1.2_Z", true), "abc-1.2_Z");
        assert_ne!(id("abc-1.2_Z", false), "abc-1.2_Z");
        assert_ne!(id("a b", true), "a b");
        assert_ne!(id("", true), "");
    }
}
