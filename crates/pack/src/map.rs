//! What the map of a city shows: layers over datasets, from which zoom on, drawn how.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Place, Text};

/// The map of a pack.
#[derive(Debug, Clone, Default)]
pub struct MapPlan {
    /// Longitude and latitude where a map opens.
    pub centre: [f64; 2],
    /// West, south, east, north of the city.
    pub bounds: [f64; 4],
    pub zoom: u8,
    /// The dataset and fields that areas and their outlines are read from.
    pub areas: Option<AreaFields>,
    /// In the order in which they are drawn, the lowest first.
    pub layers: Vec<Layer>,
}

/// Which dataset holds the areas, and in which fields what is told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AreaFields {
    pub dataset: String,
    pub code: String,
    pub level: String,
    pub parent: String,
    pub name: String,
    pub name_en: Option<String>,
    pub people: Option<String>,
    pub households: Option<String>,
}

/// What of a geometry is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum LayerShape {
    #[default]
    Point,
    Line,
    Polygon,
    /// A point where the geometry is named, whatever the geometry.
    Label,
}

/// The zoom from which features of a class are drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Zooms {
    /// The field that tells the class.
    pub field: String,
    pub from: BTreeMap<String, u8>,
}

/// One layer.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// The layer's name in addresses and in tiles.
    pub id: String,
    pub dataset: String,
    pub title: Text,
    pub group: Text,
    /// Part of the base map, under everything that is asked about.
    pub base: bool,
    pub shape: LayerShape,
    pub minzoom: u8,
    /// Tiles are made up to here; a map enlarges these beyond.
    pub maxzoom: u8,
    pub title_field: Option<String>,
    pub title_field_en: Option<String>,
    /// Further fields that tiles carry.
    pub fields: Vec<String>,
    pub zooms: Option<Zooms>,
    /// The field whose larger values stay where a tile has no room for all.
    pub rank: Option<String>,
    /// Whether objects are searched for by their title.
    pub search: bool,
    /// What a map needs to draw it: passed on as it is.
    pub style: serde_json::Map<String, serde_json::Value>,
    pub place: Place,
}
