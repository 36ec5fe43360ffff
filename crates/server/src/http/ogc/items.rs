//! Features as GeoJSON: pages of a collection, and one by its key.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;
use chrono::{SecondsFormat, Utc};
use city::CityError;
use serde_json::{Value, json};

use super::collections::{seen, spec};
use super::crs::Crs;
use super::page::{Page, Reading};
use super::query::ItemsQuery;
use super::{GEOJSON, encoded, link, typed};
use crate::fault::{Code, Fault};
use crate::http::Http;
use crate::http::input::{Asked, Named, Who};
use crate::http::problem::Problem;

/// The coordinate system of an answer, in angle brackets.
const CONTENT_CRS: &str = "content-crs";

type Parameters = Vec<(String, String)>;

/// A page of a collection's features.
#[utoipa::path(
    get, path = "/ogc/collections/{id}/items", tag = "ogc", security(("token" = [])),
    params(
        ("id" = String, Path, example = "place.facility"),
        ("limit" = Option<u32>, Query, description = "features on the page, 100 where it is left out, 5,000 at most"),
        ("offset" = Option<u32>, Query, description = "features before the page"),
        ("bbox" = Option<String>, Query, description = "only features that meet this box: four numbers"),
        ("bbox-crs" = Option<String>, Query, description = "the box's coordinate system"),
        ("crs" = Option<String>, Query, description = "the coordinate system of the answer"),
        ("datetime" = Option<String>, Query, description = "a moment, or from/to, open with .."),
    ),
    responses(
        (status = 200, body = Object, content_type = "application/geo+json"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
    )
)]
pub async fn list(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
    Asked(given): Asked<Parameters>,
) -> Result<Response, Fault> {
    let (contract, sight) = seen(&http, &who, &id).await?;
    let query = ItemsQuery::of(&given, contract, |field| sight.shows(field))?;
    let packed = match http.city.features(&who.session(), &spec(contract)).await {
        Ok(packed) => packed,
        // What is too large to be packed is read row by row.
        Err(CityError::TooLarge(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let session = who.session();
    let reading = Reading { http: &http, session, contract, sight: &sight, crs: query.crs };
    let page = reading.page(&query, packed).await?;
    let own = format!("{}/ogc/collections/{id}", http.base_url);
    Ok(with_crs(typed(collection(&page, &own, &given, &query), GEOJSON), query.crs))
}

fn with_crs(mut response: Response, crs: Crs) -> Response {
    if let Ok(value) = HeaderValue::from_str(&format!("<{}>", crs.uri())) {
        response.headers_mut().insert(CONTENT_CRS, value);
    }
    response
}

fn collection(page: &Page, own: &str, given: &Parameters, query: &ItemsQuery) -> Vec<u8> {
    let at = |offset: usize| {
        let kept = given.iter().filter(|(name, _)| name != "offset" && name != "limit");
        let mut parameters: Vec<String> =
            kept.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        parameters.push(format!("limit={}", query.limit));
        parameters.push(format!("offset={offset}"));
        format!("{own}/items?{}", parameters.join("&"))
    };
    let mut links = vec![
        link(at(query.offset), "self", GEOJSON, "this page"),
        link(own.to_owned(), "collection", "application/json", "the collection"),
    ];
    let end = query.offset.saturating_add(query.limit);
    if end < page.matched {
        links.push(link(at(end), "next", GEOJSON, "the next page"));
    }
    if query.offset > 0 {
        let before = query.offset.saturating_sub(query.limit);
        links.push(link(at(before), "prev", GEOJSON, "the page before"));
    }
    let head = json!({
        "type": "FeatureCollection",
        "timeStamp": Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        "numberMatched": page.matched,
        "numberReturned": page.features.len(),
        "links": links,
    });
    joined(&head, "features", &format!("[{}]", page.features.join(",")))
}

/// A JSON object with one more member, given as text.
fn joined(head: &Value, name: &str, member: &str) -> Vec<u8> {
    let head = head.to_string();
    let open = head.strip_suffix('}').unwrap_or(&head);
    format!("{open},\"{name}\":{member}}}").into_bytes()
}

/// One feature by its key.
#[utoipa::path(
    get, path = "/ogc/collections/{id}/items/{key}", tag = "ogc", security(("token" = [])),
    params(
        ("id" = String, Path, example = "place.facility"), ("key" = String, Path),
        ("crs" = Option<String>, Query, description = "the coordinate system of the answer"),
    ),
    responses(
        (status = 200, body = Object, content_type = "application/geo+json"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
    )
)]
pub async fn one(
    State(http): State<Arc<Http>>,
    who: Who,
    Named((id, key)): Named<(String, String)>,
    Asked(given): Asked<Parameters>,
) -> Result<Response, Fault> {
    let (contract, sight) = seen(&http, &who, &id).await?;
    let mut crs = Crs::Crs84;
    for (name, value) in &given {
        match name.as_str() {
            "crs" => crs = Crs::of(value)?,
            "f" if value == "json" || value == "geojson" => {}
            _ => return Err(Fault::new(Code::Invalid, "the parameters here are crs and f")),
        }
    }
    let unknown = || Fault::new(Code::NotFound, "there is no such feature");
    let key = pack::keys::split(&key, contract.key.len()).ok_or_else(unknown)?;
    let reading = Reading { http: &http, session: who.session(), contract, sight: &sight, crs };
    let feature = reading.one(&key).await?.ok_or_else(unknown)?;
    let own = format!("{}/ogc/collections/{id}", http.base_url);
    let links = json!([
        link(
            format!("{own}/items/{}", encoded(&pack::keys::join(&key))),
            "self",
            GEOJSON,
            "this feature"
        ),
        link(own, "collection", "application/json", "its collection"),
    ]);
    let open = feature.strip_suffix('}').unwrap_or(&feature);
    let body = format!("{open},\"links\":{links}}}").into_bytes();
    Ok(with_crs(typed(body, GEOJSON), crs))
}
