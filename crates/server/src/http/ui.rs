//! The web UI's files over HTTP. Where they come from is the program's business: it hands over
//! something that knows them by name.
//!
//! Files under `assets/` have their content's hash in their name and are kept by browsers for
//! good; every other path that is no file's is the application's own and answers its page. A
//! packed form that lies beside a file (`.br`, `.gz`) is sent to who takes it.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Http;
use crate::fault::{Code, Fault};

/// The page that the application starts from.
const PAGE: &str = "index.html";
/// Where files with hashed names are.
const HASHED: &str = "assets/";
/// Parts of the address space that are programs': a wrong path there is a problem, never a page.
const PROGRAMS: [&str; 7] = ["api", "tiles", "ogc", "sta", "metrics", "healthz", "readyz"];

const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// One file of the web UI.
#[derive(Debug, Clone)]
pub struct UiFile {
    pub content: Cow<'static, [u8]>,
    pub sha256: [u8; 32],
}

/// The web UI's files by name, as `index.html` or `assets/index-1a2b3c.js`.
pub trait Ui: Send + Sync + 'static {
    fn file(&self, name: &str) -> Option<UiFile>;
}

/// A city without a web UI: a program that was built without one, and tests of other things.
#[derive(Debug)]
pub struct NoUi;

impl Ui for NoUi {
    fn file(&self, _name: &str) -> Option<UiFile> {
        None
    }
}

/// What is under a path that no route has.
pub async fn serve(State(http): State<Arc<Http>>, request: Request) -> Response {
    answer(&*http.ui, request.method(), request.uri().path(), request.headers())
}

fn answer(ui: &dyn Ui, method: &Method, path: &str, headers: &HeaderMap) -> Response {
    let name = path.trim_start_matches('/');
    let first = name.split('/').next().unwrap_or_default();
    let nothing = || Fault::new(Code::NotFound, "there is nothing under this path").into_response();
    if PROGRAMS.contains(&first) || !(method == Method::GET || method == Method::HEAD) {
        return nothing();
    }
    let (name, file) = match ui.file(name) {
        Some(file) => (name, file),
        // A hashed file that is not there belongs to another release: the page would not help.
        None if name.starts_with(HASHED) => return nothing(),
        None => match ui.file(PAGE) {
            Some(page) => (PAGE, page),
            None => return not_built(),
        },
    };
    let (file, encoding) = packed(ui, name, headers).unwrap_or((file, None));
    let tag = tag(&file, encoding);
    let mut response = if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = match file.content {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Response::new(Body::from(body))
    };
    let head = response.headers_mut();
    head.insert(header::ETAG, tag);
    head.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    head.insert(header::CONTENT_TYPE, media_type(name));
    head.insert(header::CACHE_CONTROL, if name.starts_with(HASHED) { FOREVER } else { ASK_AGAIN });
    if let Some(encoding) = encoding {
        head.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// The packed form that the browser takes, if there is one.
fn packed(ui: &dyn Ui, name: &str, headers: &HeaderMap) -> Option<(UiFile, Option<&'static str>)> {
    let accepted = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    let takes = |coding: &str| {
        accepted.split(',').any(|item| {
            let mut parts = item.split(';');
            let named = parts.next().is_some_and(|name| name.trim().eq_ignore_ascii_case(coding));
            named && !parts.any(|part| matches!(part.trim(), "q=0" | "q=0.0"))
        })
    };
    let forms = [("br", ".br"), ("gzip", ".gz")];
    forms
        .into_iter()
        .filter(|(coding, _)| takes(coding))
        .find_map(|(coding, ending)| Some((ui.file(&format!("{name}{ending}"))?, Some(coding))))
}

/// Different for each form of a file, as caches want it.
fn tag(file: &UiFile, encoding: Option<&str>) -> HeaderValue {
    use std::fmt::Write as _;
    let mut text = String::from("\"");
    for byte in &file.sha256[..16] {
        write!(text, "{byte:02x}").expect("writing to a text does not fail");
    }
    text.push_str(encoding.unwrap_or_default());
    text.push('"');
    HeaderValue::from_str(&text).expect("hexadecimal digits make a header")
}

fn media_type(name: &str) -> HeaderValue {
    let ending = name.rsplit('.').next().unwrap_or_default();
    HeaderValue::from_static(match ending {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "pbf" => "application/x-protobuf",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}

/// Said to who opens a program in a browser that was built without the web UI.
fn not_built() -> Response {
    let text = "This program was built without the web UI: `make build` builds both.\n\
                此程序未包含网页界面：请用 make build 重新构建。\n";
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text)
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two;

    impl Ui for Two {
        fn file(&self, name: &str) -> Option<UiFile> {
            let content: &'static [u8] = match name {
                "index.html" => b"<!doctype html>",
                "assets/a-1.js" => b"let a = 1;",
                "assets/a-1.js.br" => b"packed",
                _ => return None,
            };
            let mut sha256 = [0; 32];
            sha256[0] = u8::try_from(content.len()).unwrap();
            Some(UiFile { content: Cow::Borrowed(content), sha256 })
        }
    }

    fn get(path: &str, headers: &[(header::HeaderName, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        answer(&Two, &Method::GET, path, &headers.collect())
    }

    fn head(response: &Response, name: header::HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn a_path_of_the_application_answers_its_page() {
        for path in ["/", "/map/510104000000", "/datasets/air.pm25"] {
            let response = get(path, &[]);
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(head(&response, header::CONTENT_TYPE), "text/html; charset=utf-8");
            assert_eq!(head(&response, header::CACHE_CONTROL), "no-cache");
        }
    }

    #[test]
    fn a_wrong_path_of_a_program_is_no_page() {
        for path in ["/api/nothing", "/tiles/x", "/ogc/x", "/sta/x", "/assets/gone-2.js"] {
            assert_eq!(get(path, &[]).status(), StatusCode::NOT_FOUND, "{path}");
        }
        let posted = answer(&Two, &Method::POST, "/", &HeaderMap::new());
        assert_eq!(posted.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer(&NoUi, &Method::GET, "/", &HeaderMap::new()).status(), 404);
    }

    #[test]
    fn hashed_files_are_kept_and_packed_ones_preferred() {
        let plain = get("/assets/a-1.js", &[]);
        assert!(head(&plain, header::CACHE_CONTROL).contains("immutable"));
        assert_eq!(head(&plain, header::CONTENT_ENCODING), "");
        let packed = get("/assets/a-1.js", &[(header::ACCEPT_ENCODING, "gzip, br")]);
        assert_eq!(head(&packed, header::CONTENT_ENCODING), "br");
        assert_eq!(head(&packed, header::CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert_ne!(head(&packed, header::ETAG), head(&plain, header::ETAG));
        let refused = get("/assets/a-1.js", &[(header::ACCEPT_ENCODING, "br;q=0")]);
        assert_eq!(head(&refused, header::CONTENT_ENCODING), "");
    }

    #[test]
    fn who_has_a_file_already_gets_no_copy() {
        let tag = head(&get("/", &[]), header::ETAG).to_owned();
        let again = get("/", &[(header::IF_NONE_MATCH, &tag)]);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }
}
