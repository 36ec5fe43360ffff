//! OGC API Tiles over the collections, in the one tile matrix set that maps of the web use.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use city::LayerSpec;
use pack::Contract;
use serde_json::{Value, json};

use super::collections::{seen, spec};
use super::crs::Crs;
use super::link;
use crate::fault::{Code, Fault};
use crate::http::Http;
use crate::http::input::{Named, Who};
use crate::http::problem::Problem;
use crate::http::tiles::{MVT, draw, tile_id};

const QUAD: &str = "WebMercatorQuad";
const QUAD_URI: &str = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad";
/// Half the circumference of EPSG:3857's sphere, metres.
const EDGE_M: f64 = 20_037_508.342_789_244;
/// Pixels along a tile's side, as the standard's scales count them.
const PIXELS: u32 = 256;
/// A pixel's size, metres: of the Symbology Encoding's standard screen.
const PIXEL_M: f64 = 0.000_28;

/// The layer of the pack's map that draws the dataset in full, or its key alone.
fn drawn_as(http: &Http, contract: &Contract) -> LayerSpec {
    let layers = http.city.pack().map.iter().flat_map(|map| &map.layers);
    let mut own = layers.filter(|layer| layer.dataset == contract.id);
    let layer = own.find(|layer| layer.shape != pack::LayerShape::Label);
    layer.map_or_else(|| spec(contract), LayerSpec::of)
}

/// How tiles are cut.
#[utoipa::path(
    get, path = "/ogc/tileMatrixSets", tag = "ogc", security(("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem))
)]
pub async fn matrix_sets(State(http): State<Arc<Http>>, _who: Who) -> Json<Value> {
    let own = format!("{}/ogc/tileMatrixSets/{QUAD}", http.base_url);
    Json(json!({ "tileMatrixSets": [{
        "id": QUAD,
        "title": "Google Maps Compatible for the World",
        "uri": QUAD_URI,
        "crs": Crs::Epsg3857.uri(),
        "links": [link(own, "self", "application/json", QUAD)],
    }] }))
}

/// The tile matrix set of the web's maps.
#[utoipa::path(
    get, path = "/ogc/tileMatrixSets/WebMercatorQuad", tag = "ogc", security(("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem))
)]
pub async fn matrix_set(_who: Who) -> Json<Value> {
    let matrices: Vec<Value> = (0..=spatial::ZOOM_MAX)
        .map(|zoom| {
            let side = 1_u64 << zoom;
            let cell = 2.0 * EDGE_M / f64::from(PIXELS) / f64::from(1_u32 << zoom);
            json!({
                "id": zoom.to_string(),
                "scaleDenominator": cell / PIXEL_M,
                "cellSize": cell,
                "cornerOfOrigin": "topLeft",
                "pointOfOrigin": [-EDGE_M, EDGE_M],
                "matrixWidth": side,
                "matrixHeight": side,
                "tileWidth": PIXELS,
                "tileHeight": PIXELS,
            })
        })
        .collect();
    Json(json!({
        "id": QUAD,
        "title": "Google Maps Compatible for the World",
        "uri": QUAD_URI,
        "crs": Crs::Epsg3857.uri(),
        "orderedAxes": ["X", "Y"],
        "wellKnownScaleSet": "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
        "tileMatrices": matrices,
    }))
}

fn description(http: &Http, contract: &Contract) -> Value {
    let own = format!("{}/ogc/collections/{}/tiles/{QUAD}", http.base_url, contract.id);
    const SCHEME: &str = "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme";
    let mut item =
        link(format!("{own}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"), "item", MVT, "its tiles");
    item["templated"] = Value::Bool(true);
    json!({
        "title": contract.title.zh,
        "dataType": "vector",
        "crs": Crs::Epsg3857.uri(),
        "tileMatrixSetURI": QUAD_URI,
        "links": [
            link(own, "self", "application/json", "this tileset"),
            link(
                format!("{}/ogc/tileMatrixSets/{QUAD}", http.base_url),
                SCHEME, "application/json", QUAD,
            ),
            item,
        ],
        "layers": [{ "id": contract.id, "dataType": "vector" }],
    })
}

/// The tilesets of a collection.
#[utoipa::path(
    get, path = "/ogc/collections/{id}/tiles", tag = "ogc", security(("token" = [])),
    params(("id" = String, Path, example = "place.facility")),
    responses((status = 200, body = Object), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn tilesets(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
) -> Result<Json<Value>, Fault> {
    let (contract, _) = seen(&http, &who, &id).await?;
    let own = format!("{}/ogc/collections/{id}/tiles", http.base_url);
    let links = [link(own, "self", "application/json", "these tilesets")];
    Ok(Json(json!({ "links": links, "tilesets": [description(&http, contract)] })))
}

/// The one tileset of a collection.
#[utoipa::path(
    get, path = "/ogc/collections/{id}/tiles/WebMercatorQuad", tag = "ogc", security(("token" = [])),
    params(("id" = String, Path, example = "place.facility")),
    responses((status = 200, body = Object), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn tileset(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
) -> Result<Json<Value>, Fault> {
    let (contract, _) = seen(&http, &who, &id).await?;
    Ok(Json(description(&http, contract)))
}

/// A tile of a collection, by row and column.
#[utoipa::path(
    get, path = "/ogc/collections/{id}/tiles/WebMercatorQuad/{z}/{row}/{column}", tag = "ogc",
    security(("token" = [])),
    params(
        ("id" = String, Path, example = "place.facility"), ("z" = u8, Path, example = 12),
        ("row" = u32, Path, example = 1681), ("column" = u32, Path, example = 3232),
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/vnd.mapbox-vector-tile"),
        (status = 204, description = "nothing is to be seen there"),
        (status = 304, description = "as it was"), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 413, body = Problem),
    )
)]
pub async fn tile(
    State(http): State<Arc<Http>>,
    who: Who,
    Named((id, z, row, column)): Named<(String, u8, u32, u32)>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let (contract, _) = seen(&http, &who, &id).await?;
    let tile = tile_id(z, column, row)?;
    let shown = http.city.features(&who.session(), &drawn_as(&http, contract)).await?;
    // What may be seen can have changed since the line before last.
    let shown = shown.ok_or_else(|| Fault::new(Code::NotFound, "there is no such collection"))?;
    draw(&http, shown, id, tile, &headers).await
}
