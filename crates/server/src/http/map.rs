//! What a map shows to whoever asks: the view to open with, and the layers of the pack that it may
//! read, each with the fields that it may see.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::State;
use city::LayerSpec;
use pack::{Contract, Layer, LayerShape, MapPlan};
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::Http;
use super::areas::AreaTree;
use super::datasets::{Names, labels};
use super::input::Who;
use super::problem::Problem;
use crate::fault::{Code, Fault};
use crate::limits::{AREA_TREES_MAX, TILES_DRAWN_MAX};

/// What the faces of the map keep between requests.
#[derive(Debug)]
pub struct Maps {
    /// Area trees by the stamp of the layer that they were made from, the newest last.
    pub(super) trees: Mutex<VecDeque<(String, Arc<AreaTree>)>>,
    /// Places for who draws tiles or looks through features: that keeps a processor busy.
    pens: Arc<Semaphore>,
}

impl Default for Maps {
    fn default() -> Self {
        let trees = Mutex::new(VecDeque::with_capacity(AREA_TREES_MAX));
        Self { trees, pens: Arc::new(Semaphore::new(TILES_DRAWN_MAX)) }
    }
}

impl Maps {
    /// Does what keeps a processor busy, away from the threads that answer, in its turn. The place
    /// is kept until the work is done, also where whoever asked has gone.
    pub(super) async fn drawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let pen = self.pens.clone().acquire_owned().await.map_err(Fault::internal)?;
        let drawing = tokio::task::spawn_blocking(move || {
            let _pen = pen;
            work()
        });
        drawing.await.map_err(Fault::internal)
    }
}

/// The map as one principal sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct MapView {
    /// Longitude and latitude to open at.
    #[schema(value_type = Vec<f64>, example = json!([104.066, 30.657]))]
    pub centre: [f64; 2],
    /// West, south, east, north.
    #[schema(value_type = Vec<f64>)]
    pub bounds: [f64; 4],
    pub zoom: u8,
    /// Layers of the base map, in the order in which they are drawn.
    pub base: Vec<LayerView>,
    /// Layers over it.
    pub layers: Vec<LayerView>,
}

/// One layer.
#[derive(Debug, Serialize, ToSchema)]
pub struct LayerView {
    /// Its name in `/tiles/{layer}` and within the tiles.
    #[schema(example = "facility")]
    pub id: String,
    pub dataset: String,
    pub title: Names,
    /// The heading that it stands under.
    pub group: Names,
    /// What its tiles hold: `point`, `line` or `polygon`.
    pub geometry: &'static str,
    pub minzoom: u8,
    pub maxzoom: u8,
    /// The properties of its features.
    pub fields: Vec<FieldView>,
    pub title_field: Option<String>,
    /// The title in English, where there is one.
    pub title_field_en: Option<String>,
    /// The fields that tell objects apart; empty where they are not all seen.
    pub key: Vec<String>,
    /// The dataset's time field.
    pub time_field: Option<String>,
    /// From the pack's `map.toml`, as it is written there.
    #[schema(value_type = Object)]
    pub style: serde_json::Map<String, serde_json::Value>,
}

/// A property of a layer's features.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldView {
    pub name: String,
    pub title: Names,
    pub unit: Option<String>,
    /// The logical type of the contract.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub ty: pack::FieldType,
    /// What its codes are called.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Names>,
    /// Whether values are masked.
    pub masked: bool,
}

/// The pack's map.
pub(super) fn plan(http: &Http) -> Result<&MapPlan, Fault> {
    let plan = http.city.pack().map.as_ref();
    plan.ok_or_else(|| {
        Fault::new(Code::NotFound, "this city has no map").hint("its pack has no map.toml")
    })
}

/// What a map may show to whoever asks: the view to open with, and the layers that may be read.
#[utoipa::path(
    get, path = "/api/map", tag = "map", security(("token" = [])),
    responses((status = 200, body = MapView), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn map(State(http): State<Arc<Http>>, who: Who) -> Result<Json<MapView>, Fault> {
    let plan = plan(&http)?;
    let (mut base, mut layers) = (Vec::new(), Vec::new());
    for layer in &plan.layers {
        let Some(view) = layer_view(&http, &who, layer).await? else { continue };
        if layer.base { base.push(view) } else { layers.push(view) }
    }
    let MapPlan { centre, bounds, zoom, .. } = *plan;
    Ok(Json(MapView { centre, bounds, zoom, base, layers }))
}

/// A layer as it is seen; `None` where it is not.
pub(super) async fn layer_view(
    http: &Http,
    who: &Who,
    layer: &Layer,
) -> Result<Option<LayerView>, Fault> {
    let contract = http.city.contract(&layer.dataset)?;
    let Some(sight) = http.city.places(&who.session(), &layer.dataset).await? else {
        return Ok(None);
    };
    let spec = LayerSpec::of(layer);
    let mut fields: Vec<FieldView> = Vec::new();
    for name in contract.key.iter().chain(&spec.fields) {
        let known = fields.iter().any(|field| field.name == *name);
        let Some(field) = contract.field(name).filter(|_| !known && sight.shows(name)) else {
            continue;
        };
        fields.push(FieldView {
            name: name.clone(),
            title: (&field.title).into(),
            unit: field.unit.clone(),
            ty: field.ty,
            labels: labels(&field.labels),
            masked: !sight.plain(name),
        });
    }
    let seen = |name: &Option<String>| name.clone().filter(|name| sight.shows(name));
    let geometry = match layer.shape {
        LayerShape::Point | LayerShape::Label => "point",
        LayerShape::Line => "line",
        LayerShape::Polygon => "polygon",
    };
    Ok(Some(LayerView {
        id: layer.id.clone(),
        dataset: layer.dataset.clone(),
        title: (&layer.title).into(),
        group: (&layer.group).into(),
        geometry,
        minzoom: layer.minzoom.min(first_zoom(layer)),
        maxzoom: layer.maxzoom,
        fields,
        title_field: seen(&layer.title_field),
        title_field_en: seen(&layer.title_field_en),
        key: key_of(contract, &sight),
        time_field: seen(&contract.time),
        style: layer.style.clone(),
    }))
}

/// The zoom from which the first of a layer's classes is drawn.
fn first_zoom(layer: &Layer) -> u8 {
    let classes = layer.zooms.iter().flat_map(|zooms| zooms.from.values().copied());
    classes.min().unwrap_or(layer.minzoom)
}

/// The key, where all of it is seen.
pub(super) fn key_of(contract: &Contract, sight: &catalog::Sight) -> Vec<String> {
    match contract.key.iter().all(|name| sight.shows(name)) {
        true => contract.key.clone(),
        false => Vec::new(),
    }
}
