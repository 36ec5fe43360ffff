//! Vector tiles of the pack's layers, drawn from what whoever asks may see.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use catalog::Session;
use chrono::{DateTime, Utc};
use city::{LayerSpec, Shown};
use serde::Deserialize;
use serde_json::{Value, json};
use spatial::{Caps, TileId};
use utoipa::IntoParams;

use super::Http;
use super::input::{Asked, Named, Who};
use super::map;
use super::problem::Problem;
use crate::fault::{Code, Fault};
use crate::limits::{TILE_BYTES_MAX, TILE_FEATURES_MAX};

pub(super) const MVT: &str = "application/vnd.mapbox-vector-tile";

const CAPS: Caps = Caps { features_max: TILE_FEATURES_MAX, bytes_max: TILE_BYTES_MAX };

/// How many features a tile had no room for, where it had none for some.
const LEFT_OUT: &str = "x-features-left-out";

/// Of which moment.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TileQuery {
    /// The moment that rows are shown of, RFC 3339, to the minute; now where it is left out.
    #[param(value_type = Option<String>)]
    as_of: Option<DateTime<Utc>>,
}

fn no_layer(id: &str) -> Fault {
    Fault::new(Code::NotFound, format!("there is no layer `{id}`"))
        .hint("GET /api/map lists those that you may see")
}

/// A map draws nothing where a tile is not found, as it does where nothing is: that a layer is
/// closed has to be told apart from that. Whether there is such a layer is not.
fn closed(id: &str) -> Fault {
    Fault::new(Code::Refused, format!("`{id}` is no layer that you may see"))
        .hint("GET /api/map lists those that you may")
}

/// The layer's title, fields and addresses, as TileJSON 3.
#[utoipa::path(
    get, path = "/tiles/{layer}", tag = "map", security(("token" = [])),
    params(("layer" = String, Path, example = "facility")),
    responses((status = 200, body = Object), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn tilejson(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
) -> Result<Json<Value>, Fault> {
    let plan = map::plan(&http)?;
    let layer = plan.layers.iter().find(|layer| layer.id == id).ok_or_else(|| no_layer(&id))?;
    let view = map::layer_view(&http, &who, layer).await?.ok_or_else(|| no_layer(&id))?;
    let fields: serde_json::Map<String, Value> =
        view.fields.iter().map(|field| (field.name.clone(), json!(field.title.en))).collect();
    let [lon, lat] = plan.centre;
    Ok(Json(json!({
        "tilejson": "3.0.0",
        "tiles": [format!("{}/tiles/{id}/{{z}}/{{x}}/{{y}}", http.base_url)],
        "name": view.title.zh,
        "description": view.title.en,
        "minzoom": view.minzoom,
        "maxzoom": view.maxzoom,
        "bounds": plan.bounds,
        "center": [lon, lat, plan.zoom],
        "scheme": "xyz",
        "vector_layers": [{
            "id": id, "fields": fields, "minzoom": view.minzoom, "maxzoom": view.maxzoom,
        }],
    })))
}

/// A Mapbox vector tile 2.1 with one layer, of the rows and fields that the asker may see.
#[utoipa::path(
    get, path = "/tiles/{layer}/{z}/{x}/{y}", tag = "map", security(("token" = [])),
    params(
        ("layer" = String, Path, example = "facility"), ("z" = u8, Path, example = 12),
        ("x" = u32, Path, example = 3232), ("y" = u32, Path, example = 1681), TileQuery,
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/vnd.mapbox-vector-tile"),
        (status = 204, description = "nothing is to be seen there"),
        (status = 304, description = "as it was"), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 413, body = Problem),
        (status = 403, description = "a layer that one may not see, or none", body = Problem),
    )
)]
pub async fn tile(
    State(http): State<Arc<Http>>,
    who: Who,
    Named((id, z, x, y)): Named<(String, u8, u32, u32)>,
    Asked(asked): Asked<TileQuery>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let plan = map::plan(&http)?;
    let layer = plan.layers.iter().find(|layer| layer.id == id).ok_or_else(|| closed(&id))?;
    let tile = tile_id(z, x, y)?;
    let session = Session { as_of: asked.as_of.map(minute_of), ..who.session() };
    let shown = http.city.features(&session, &LayerSpec::of(layer)).await?;
    let shown = shown.ok_or_else(|| closed(&id))?;
    if z > layer.maxzoom {
        let reason = format!("`{id}` has tiles up to zoom {}", layer.maxzoom);
        return Err(Fault::new(Code::Invalid, reason).hint("enlarge those: they hold all detail"));
    }
    draw(&http, shown, id, tile, &headers).await
}

/// The minute that a moment lies in: each moment asked about is a layer to be made.
fn minute_of(moment: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = moment.timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(60), 0).unwrap_or(moment)
}

pub(super) fn tile_id(z: u8, x: u32, y: u32) -> Result<TileId, Fault> {
    TileId::new(z, x, y).ok_or_else(|| {
        let reason = format!("there is no such tile: zooms go to {}", spatial::ZOOM_MAX);
        Fault::new(Code::Invalid, reason)
    })
}

/// Answers with a tile, or says that it is as it was.
pub(super) async fn draw(
    http: &Http,
    shown: Arc<Shown>,
    name: String,
    tile: TileId,
    headers: &HeaderMap,
) -> Result<Response, Fault> {
    // Layers never change: the stamp and the address say which bytes these are.
    let tag = format!("\"{}\"", shown.stamp);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    if known.is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag)) {
        return Ok(with_tag(StatusCode::NOT_MODIFIED.into_response(), &tag));
    }
    let drawn = http.maps.drawn(move || shown.layer.tile(&name, tile, &CAPS)).await?;
    if drawn.bytes.is_empty() {
        return Ok(with_tag(StatusCode::NO_CONTENT.into_response(), &tag));
    }
    let mut response = with_tag(drawn.bytes.into_response(), &tag);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MVT));
    if drawn.left_out > 0 {
        response.headers_mut().insert(LEFT_OUT, HeaderValue::from(drawn.left_out));
    }
    Ok(response)
}

/// A browser may keep the tile for its user and asks each time whether it still holds: what may be
/// seen can change at any time.
fn with_tag(mut response: Response, tag: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_a_minute_are_one() {
        let minute = |text: &str| minute_of(text.parse().unwrap()).to_rfc3339();
        assert_eq!(minute("2024-05-01T08:30:59.999999Z"), "2024-05-01T08:30:00+00:00");
        assert_eq!(minute("2024-05-01T08:30:00Z"), "2024-05-01T08:30:00+00:00");
        assert_eq!(minute("1969-12-31T23:59:30Z"), "1969-12-31T23:59:00+00:00");
    }
}
