//! OGC API Features (parts 1 and 2) and Tiles over every dataset with places that whoever asks may
//! read: what desktop programs such as QGIS, and libraries such as GDAL, open as a layer.
//!
//! ```text
//!  /ogc ─► conformance, api
//!       ─► collections ─► {id} ─► items ─► {key}      items
//!                              ─► tiles                tiles
//! ```

pub mod collections;
mod crs;
pub mod describe;
pub mod items;
mod page;
mod query;
pub mod tiles;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Http;
use super::input::Who;
use super::problem::Problem;
use crate::fault::Fault;

/// What is claimed, and tested.
const CONFORMS: &[&str] = &[
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
];

pub(super) const GEOJSON: &str = "application/geo+json";

/// A link as OGC's interfaces want it.
pub(super) fn link(href: String, rel: &str, media: &str, title: &str) -> Value {
    json!({ "href": href, "rel": rel, "type": media, "title": title })
}

/// A text as a part of an address: all but RFC 3986's unreserved characters percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            part.push(char::from(byte));
        } else {
            part.push('%');
            part.push(char::from(DIGITS[usize::from(byte >> 4)]));
            part.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    part
}

/// JSON under a media type of its own.
pub(super) fn typed(body: Vec<u8>, media: &'static str) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// Where everything is.
#[utoipa::path(
    get, path = "/ogc", tag = "ogc", security(("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem))
)]
pub async fn landing(State(http): State<Arc<Http>>, _who: Who) -> Result<Json<Value>, Fault> {
    let at = |path: &str| format!("{}/ogc{path}", http.base_url);
    let city = &http.city.pack().city.name;
    const OPENAPI: &str = "application/vnd.oai.openapi+json;version=3.0";
    const TILING: &str = "http://www.opengis.net/def/rel/ogc/1.0/tiling-schemes";
    Ok(Json(json!({
        "title": format!("{} {}", city.zh, city.en),
        "description": "Datasets with places, as far as the bearer of the token may see them.",
        "links": [
            link(at(""), "self", "application/json", "this page"),
            link(at("/api"), "service-desc", OPENAPI, "the interface"),
            link(at("/conformance"), "conformance", "application/json", "what is kept to"),
            link(at("/collections"), "data", "application/json", "the datasets"),
            link(at("/tileMatrixSets"), TILING, "application/json", "how tiles are cut"),
        ],
    })))
}

/// Which classes of which standards are kept to.
#[utoipa::path(
    get, path = "/ogc/conformance", tag = "ogc", security(("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem))
)]
pub async fn conformance(_who: Who) -> Json<Value> {
    Json(json!({ "conformsTo": CONFORMS }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_address_has_no_character_with_a_meaning_of_its_own() {
        assert_eq!(encoded("S-0001_a.b~c"), "S-0001_a.b~c");
        assert_eq!(encoded("1号/?#&=% "), "1%E5%8F%B7%2F%3F%23%26%3D%25%20");
    }
}
