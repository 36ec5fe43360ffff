//! One box for everything that has a name: areas, objects on the map, datasets. Each is found only
//! where whoever asks may see it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use catalog::search::Hit;
use city::{LayerSpec, Shown};
use serde::{Deserialize, Serialize};
use spatial::{Value, unproject};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::areas::{AreaItem, areas};
use super::datasets::Names;
use super::input::{Asked, Who};
use super::problem::Problem;
use crate::fault::{Code, Fault};
use crate::limits::{FOUND_DATASETS_MAX, FOUND_OBJECTS_MAX, FOUND_PLACES_MAX, SEARCH_CHARS_MAX};

/// What is searched for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FindQuery {
    /// A part of a name, Chinese or English.
    q: String,
}

/// What was found, the best first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Found {
    pub places: Vec<FoundPlace>,
    pub objects: Vec<FoundObject>,
    pub datasets: Vec<FoundDataset>,
}

/// An area.
#[derive(Debug, Serialize, ToSchema)]
pub struct FoundPlace {
    pub code: String,
    pub name: Names,
    pub level: String,
    pub parent: Option<String>,
    #[schema(value_type = Option<Vec<f64>>)]
    pub bbox: Option<[f64; 4]>,
}

/// A row with a place.
#[derive(Debug, Serialize, ToSchema)]
pub struct FoundObject {
    pub dataset: String,
    /// The layer that it was found in.
    pub layer: String,
    /// As in `/api/objects/{dataset}/{key}`; none where the key is not seen.
    pub key: Option<String>,
    pub title: Names,
    /// Longitude and latitude.
    #[schema(value_type = Vec<f64>)]
    pub point: [f64; 2],
}

/// A dataset.
#[derive(Debug, Serialize, ToSchema)]
pub struct FoundDataset {
    pub id: String,
    pub title: Names,
}

/// Searches areas, objects on the map and datasets by name.
#[utoipa::path(
    get, path = "/api/search", tag = "map", security(("token" = [])), params(FindQuery),
    responses((status = 200, body = Found), (status = 400, body = Problem), (status = 401, body = Problem))
)]
pub async fn find(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<FindQuery>,
) -> Result<Json<Found>, Fault> {
    let text = asked.q.trim();
    if text.chars().count() > SEARCH_CHARS_MAX {
        let reason = format!("a search may have {SEARCH_CHARS_MAX} characters");
        return Err(Fault::new(Code::TooLarge, reason));
    }
    if text.is_empty() {
        return Err(Fault::new(Code::Invalid, "search for what?").hint("give `q` a part of a name"));
    }
    let areas = areas(&http, &who).await?;
    let places = areas.named(&http, text, FOUND_PLACES_MAX).await?;
    let places = places.into_iter().map(place).collect();
    let objects = objects(&http, &who, text).await?;
    let datasets = datasets(&http, &who, text).await?;
    Ok(Json(Found { places, objects, datasets }))
}

fn place(area: AreaItem) -> FoundPlace {
    let AreaItem { code, level, name, parent, bbox, .. } = area;
    FoundPlace { code, name, level, parent, bbox }
}

async fn datasets(http: &Http, who: &Who, text: &str) -> Result<Vec<FoundDataset>, Fault> {
    let knowledge = http.city.catalog().knowledge(&who.session()).await?;
    let hits = http.search.search(text, &knowledge, FOUND_DATASETS_MAX).map_err(Fault::internal)?;
    let found = |hit: Hit| {
        let contract = http.city.pack().datasets.get(&hit.dataset)?;
        Some(FoundDataset { id: hit.dataset, title: (&contract.title).into() })
    };
    Ok(hits.into_iter().filter_map(found).collect())
}

/// Objects of the layers that are searched, in turn: the best of each layer before the second best
/// of any.
async fn objects(http: &Http, who: &Who, text: &str) -> Result<Vec<FoundObject>, Fault> {
    let Some(plan) = &http.city.pack().map else { return Ok(Vec::new()) };
    let mut found: Vec<(usize, FoundObject)> = Vec::new();
    for layer in plan.layers.iter().filter(|layer| layer.search) {
        let Some(title) = &layer.title_field else { continue };
        let shown = match http.city.features(&who.session(), &LayerSpec::of(layer)).await {
            Ok(Some(shown)) => shown,
            Ok(None) => continue,
            Err(error) => {
                // One layer that cannot be packed must not hide what is in the others.
                tracing::warn!(layer = layer.id, %error, "a layer cannot be searched");
                continue;
            }
        };
        let (layer, title) = (layer.clone(), title.clone());
        let wanted = text.to_owned();
        let met = http.maps.drawn(move || in_layer(&shown, &layer, &title, &wanted)).await?;
        found.extend(met.into_iter().enumerate());
    }
    found.sort_by_key(|(nth, _)| *nth);
    found.truncate(FOUND_OBJECTS_MAX);
    Ok(found.into_iter().map(|(_, object)| object).collect())
}

fn in_layer(shown: &Shown, layer: &pack::Layer, title: &str, wanted: &str) -> Vec<FoundObject> {
    let packed = &shown.layer;
    let mut features = packed.named(title, wanted, FOUND_OBJECTS_MAX);
    if let Some(en) = &layer.title_field_en {
        for feature in packed.named(en, wanted, FOUND_OBJECTS_MAX) {
            if !features.contains(&feature) {
                features.push(feature);
            }
        }
    }
    let object = |feature: u32| {
        let feature = feature as usize;
        let text = |name: &str| packed.column(name)?.text(feature).map(str::to_owned);
        let zh = text(title).unwrap_or_default();
        let en = layer.title_field_en.as_deref().and_then(text).unwrap_or_else(|| zh.clone());
        let (lon, lat) = unproject(packed.middle_of(feature));
        FoundObject {
            dataset: layer.dataset.clone(),
            layer: layer.id.clone(),
            key: key(shown, feature),
            title: Names { zh, en },
            point: [lon, lat],
        }
    };
    features.into_iter().map(object).collect()
}

/// The key of a feature as one text; `None` where a part of it is not seen.
fn key(shown: &Shown, feature: usize) -> Option<String> {
    let parts: Option<Vec<String>> = shown
        .layer
        .key()
        .map(|column| {
            Some(match column.value(feature)? {
                Value::Text(text) => text.to_owned(),
                Value::Integer(number) => number.to_string(),
                Value::Number(number) => number.to_string(),
                Value::Boolean(truth) => truth.to_string(),
            })
        })
        .collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| pack::keys::join(&parts))
}
