//! The collections: every dataset with places that whoever asks may read one by one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use catalog::Sight;
use city::LayerSpec;
use pack::Contract;
use serde_json::{Value, json};

use super::crs::{ALL, Crs};
use super::{GEOJSON, link};
use crate::fault::{Code, Fault};
use crate::http::Http;
use crate::http::input::{Named, Who};
use crate::http::problem::Problem;
use crate::http::tiles::MVT;

/// A dataset that may be read, and what of it.
pub(super) async fn seen<'a>(
    http: &'a Http,
    who: &Who,
    id: &str,
) -> Result<(&'a Contract, Sight), Fault> {
    let unknown = || {
        let shown: String = id.chars().take(100).collect();
        Fault::new(Code::NotFound, format!("there is no collection `{shown}`"))
            .hint("/ogc/collections lists those that you may read")
    };
    let contract = http.city.pack().datasets.get(id).ok_or_else(unknown)?;
    let sight = http.city.places(&who.session(), id).await?.ok_or_else(unknown)?;
    Ok((contract, sight))
}

/// The packed features that a collection is searched by: its key, and nothing else.
pub(super) fn spec(contract: &Contract) -> LayerSpec {
    LayerSpec {
        id: format!("ogc/{}", contract.id),
        dataset: contract.id.clone(),
        ..LayerSpec::default()
    }
}

fn collection(http: &Http, contract: &Contract, bbox: Option<[f64; 4]>) -> Value {
    let at = |path: &str| format!("{}/ogc/collections/{}{path}", http.base_url, contract.id);
    const TILESETS: &str = "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector";
    let mut extent = serde_json::Map::new();
    if let Some(bbox) = bbox {
        extent.insert("spatial".into(), json!({ "bbox": [bbox], "crs": Crs::Crs84.uri() }));
    }
    if contract.time.is_some() {
        extent.insert("temporal".into(), json!({ "interval": [[null, null]] }));
    }
    json!({
        "id": contract.id,
        "title": contract.title.zh,
        "description": format!("{} {}", contract.description.zh, contract.description.en),
        "itemType": "feature",
        "extent": extent,
        "crs": ALL.map(Crs::uri),
        "storageCrs": Crs::Crs84.uri(),
        "links": [
            link(at(""), "self", "application/json", "this collection"),
            link(at("/items"), "items", GEOJSON, "its features"),
            link(at("/tiles"), TILESETS, "application/json", "its tiles"),
            link(
                format!("{}/api/datasets/{}", http.base_url, contract.id),
                "describedby", "application/json", "its contract",
            ),
        ],
    })
}

/// The city's bounds: a dataset's own would cost reading it.
fn bounds(http: &Http) -> Option<[f64; 4]> {
    http.city.pack().map.as_ref().map(|map| map.bounds)
}

/// Every dataset with places that may be read.
#[utoipa::path(
    get, path = "/ogc/collections", tag = "ogc", security(("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem))
)]
pub async fn list(State(http): State<Arc<Http>>, who: Who) -> Result<Json<Value>, Fault> {
    let mut collections = Vec::new();
    for contract in http.city.pack().datasets.values().filter(|c| c.geometry.is_some()) {
        if http.city.places(&who.session(), &contract.id).await?.is_some() {
            collections.push(collection(&http, contract, bounds(&http)));
        }
    }
    let own = format!("{}/ogc/collections", http.base_url);
    Ok(Json(json!({
        "links": [link(own, "self", "application/json", "this list")],
        "crs": ALL.map(Crs::uri),
        "collections": collections,
    })))
}

/// One dataset: where its rows lie, and where they are to be had.
#[utoipa::path(
    get, path = "/ogc/collections/{id}", tag = "ogc", security(("token" = [])),
    params(("id" = String, Path, example = "place.facility")),
    responses((status = 200, body = Object), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn one(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
) -> Result<Json<Value>, Fault> {
    let (contract, _) = seen(&http, &who, &id).await?;
    let shown = http.city.features(&who.session(), &spec(contract)).await?;
    let own = shown.filter(|shown| !shown.layer.is_empty());
    let own = own.map(|shown| shown.layer.rect().degrees());
    let mut described = collection(&http, contract, own.or_else(|| bounds(&http)));
    let tiles = format!(
        "{}/ogc/collections/{id}/tiles/WebMercatorQuad/{{tileMatrix}}/{{tileRow}}/{{tileCol}}",
        http.base_url
    );
    if let Some(links) = described["links"].as_array_mut() {
        let mut item = link(tiles, "item", MVT, "its tiles' addresses");
        item["templated"] = Value::Bool(true);
        links.push(item);
    }
    Ok(Json(described))
}
