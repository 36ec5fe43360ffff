//! The description of `/ogc` for its own clients: OpenAPI 3.0, as the standard's class wants it, and
//! with the bounds of `limit`, which QGIS reads from here.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::typed;
use crate::fault::Fault;
use crate::http::Http;
use crate::http::input::Who;
use crate::http::problem::Problem;
use crate::limits::{OGC_ITEMS_DEFAULT, OGC_ITEMS_MAX};

const OPENAPI: &str = "application/vnd.oai.openapi+json;version=3.0";

/// The description of these interfaces, OpenAPI 3.0.
#[utoipa::path(
    get, path = "/ogc/api", tag = "ogc", security(("token" = [])),
    responses((status = 200, body = Object, content_type = "application/vnd.oai.openapi+json;version=3.0"), (status = 401, body = Problem))
)]
pub async fn api(State(http): State<Arc<Http>>, _who: Who) -> Result<Response, Fault> {
    let document = document(&http.base_url);
    Ok(typed(serde_json::to_vec(&document).map_err(Fault::internal)?, OPENAPI))
}

fn get(summary: &str, parameters: &[&str], media: &str) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }))
        .collect();
    let mut content = serde_json::Map::new();
    content.insert(media.to_owned(), json!({ "schema": { "type": "object" } }));
    json!({ "get": {
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": summary, "content": content },
            "default": {
                "description": "what went wrong",
                "content": { "application/problem+json": { "schema": { "type": "object" } } },
            },
        },
    } })
}

fn parameter(name: &str, place: &str, schema: Value, description: &str) -> Value {
    json!({
        "name": name, "in": place, "required": place == "path", "description": description,
        "schema": schema,
    })
}

fn document(base_url: &str) -> Value {
    const JSON: &str = "application/json";
    let text = || json!({ "type": "string" });
    let uri = || json!({ "type": "string", "format": "uri" });
    let items = ["id", "limit", "offset", "bbox", "bboxCrs", "crs", "datetime"];
    json!({
        "openapi": "3.0.3",
        "info": { "title": "Shujin, OGC API", "version": env!("CARGO_PKG_VERSION") },
        "servers": [{ "url": format!("{base_url}/ogc") }],
        "security": [{ "token": [] }],
        "paths": {
            "/": get("where everything is", &[], JSON),
            "/conformance": get("which standards are kept to", &[], JSON),
            "/collections": get("the collections", &[], JSON),
            "/collections/{id}": get("a collection", &["id"], JSON),
            "/collections/{id}/items": get("a page of features", &items, super::GEOJSON),
            "/collections/{id}/items/{key}": get("a feature", &["id", "key", "crs"], super::GEOJSON),
            "/collections/{id}/tiles": get("the tilesets", &["id"], JSON),
            "/tileMatrixSets": get("how tiles are cut", &[], JSON),
        },
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "parameters": {
                "id": parameter("id", "path", text(), "the dataset"),
                "key": parameter("key", "path", text(), "the feature's key"),
                "limit": parameter("limit", "query", json!({
                    "type": "integer", "minimum": 1, "maximum": OGC_ITEMS_MAX,
                    "default": OGC_ITEMS_DEFAULT,
                }), "features on the page"),
                "offset": parameter("offset", "query", json!({
                    "type": "integer", "minimum": 0, "default": 0,
                }), "features before the page"),
                "bbox": { "name": "bbox", "in": "query", "style": "form", "explode": false,
                    "description": "only features that meet this box",
                    "schema": { "type": "array", "items": { "type": "number" },
                        "minItems": 4, "maxItems": 6 } },
                "bboxCrs": parameter("bbox-crs", "query", uri(), "the box's coordinate system"),
                "crs": parameter("crs", "query", uri(), "the answer's coordinate system"),
                "datetime": parameter("datetime", "query", text(), "a moment, or from/to"),
            },
        },
    })
}
