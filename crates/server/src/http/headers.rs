//! What every answer's head says to browsers and caches: believe the media type, frame nothing,
//! tell nobody where you come from, keep nothing.
//!
//! A header that a handler has set stands. The policies are those of the OWASP HTTP headers cheat
//! sheet, narrowed to what the web UI needs.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};

/// Pages: scripts, styles and data of our own and nothing else. Maps paint tiles and work in
/// blobs.
pub const PAGE_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
     img-src 'self' data: blob:; worker-src 'self' blob:; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
/// What loads other things. A worker is held to its own script's policy, not to its page's.
const LOADING: [&str; 2] = ["text/html", "text/javascript"];
/// Everything else is data: it loads nothing and is framed by nobody.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'none'; sandbox";
/// A phone may say where it is and take a photograph, for our own pages alone.
const PERMISSIONS: &str = "geolocation=(self), camera=(self), microphone=(), payment=(), usb=(), \
     interest-cohort=()";
/// A year, as browsers want it of a site that means it.
const TRANSPORT: &str = "max-age=31536000";

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Completes an answer's head. `secure`: it goes out over TLS. `closed`: it is about somebody's
/// data, and no cache keeps it unless its handler says so.
pub fn complete(headers: &mut HeaderMap, secure: bool, closed: bool) {
    let media = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let loads = LOADING.iter().any(|kind| media.starts_with(kind.as_bytes()));
    let policy = if loads { PAGE_POLICY } else { DATA_POLICY };
    let mut add = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(CONTENT_SECURITY_POLICY, policy);
    add(X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(REFERRER_POLICY, "no-referrer");
    add(PERMISSIONS_POLICY, PERMISSIONS);
    add(OPENER_POLICY, "same-origin");
    add(RESOURCE_POLICY, "same-origin");
    if secure {
        add(STRICT_TRANSPORT_SECURITY, TRANSPORT);
    }
    if closed {
        add(CACHE_CONTROL, "no-store");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(media: &'static str, secure: bool, closed: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        complete(&mut headers, secure, closed);
        headers
    }

    #[test]
    fn pages_may_run_their_own_scripts_and_data_none() {
        let page = completed("text/html; charset=utf-8", true, false);
        assert_eq!(page[CONTENT_SECURITY_POLICY], PAGE_POLICY);
        assert!(!PAGE_POLICY.contains("unsafe"), "no unsafe-inline, no unsafe-eval");
        assert_eq!(page[STRICT_TRANSPORT_SECURITY], TRANSPORT);
        assert!(!page.contains_key(CACHE_CONTROL));
        let worker = completed("text/javascript", true, false);
        assert_eq!(worker[CONTENT_SECURITY_POLICY], PAGE_POLICY, "it fetches the map's tiles");
        let data = completed("application/json", false, true);
        assert_eq!(data[CONTENT_SECURITY_POLICY], DATA_POLICY);
        assert_eq!(data[CACHE_CONTROL], "no-store");
        assert!(!data.contains_key(STRICT_TRANSPORT_SECURITY), "in clear it would be a lie");
    }

    #[test]
    fn what_a_handler_said_stands() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
        complete(&mut headers, false, true);
        assert_eq!(headers[CACHE_CONTROL], "private, max-age=60");
    }
}
