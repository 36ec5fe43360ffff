//! Reads `map.toml`: the view, the areas, the layers.
//!
//! Judges nothing that needs a dataset.

use std::collections::BTreeMap;

use crate::map::{AreaFields, Layer, LayerShape, MapPlan, Zooms};
use crate::reader::Table;

/// Tiles are made to this zoom at most.
const ZOOM_MAX: i64 = 20;
const LAYER_ZOOM_MAX_DEFAULT: i64 = 16;

const SHAPES: [(&str, LayerShape); 4] = [
    ("point", LayerShape::Point),
    ("line", LayerShape::Line),
    ("polygon", LayerShape::Polygon),
    ("label", LayerShape::Label),
];

pub(super) fn plan(table: &Table<'_>) -> MapPlan {
    let mut plan = MapPlan::default();
    if let Some(view) = table.table("view") {
        plan.centre = view.numbers("centre", (-180.0, 180.0)).unwrap_or_default();
        plan.bounds = view.numbers("bounds", (-180.0, 180.0)).unwrap_or_default();
        plan.zoom = zoom(view.integer("zoom", 0..ZOOM_MAX + 1));
        view.finish();
    }
    if let Some(areas) = table.table_if("areas") {
        plan.areas = Some(AreaFields {
            dataset: areas.text("dataset"),
            code: areas.text("code"),
            level: areas.text("level"),
            parent: areas.text("parent"),
            name: areas.text("name"),
            name_en: areas.text_if("name_en"),
            people: areas.text_if("people"),
            households: areas.text_if("households"),
        });
        areas.finish();
    }
    for layer in table.tables("layer") {
        plan.layers.push(read_layer(&layer));
        layer.finish();
    }
    plan
}

fn read_layer(table: &Table<'_>) -> Layer {
    let maxzoom = table.integer_if("maxzoom", 0..ZOOM_MAX + 1);
    Layer {
        id: table.text("id"),
        dataset: table.text("dataset"),
        title: table.label("title"),
        group: table.label("group"),
        base: table.flag("base"),
        shape: table.choice("shape", &SHAPES),
        minzoom: zoom(table.integer("minzoom", 0..ZOOM_MAX + 1)),
        maxzoom: zoom(maxzoom.unwrap_or(LAYER_ZOOM_MAX_DEFAULT)),
        title_field: table.text_if("title_field"),
        title_field_en: table.text_if("title_field_en"),
        fields: table.texts("fields"),
        zooms: table.table_if("zooms").map(|zooms| read_zooms(&zooms)),
        rank: table.text_if("rank"),
        search: table.flag("search"),
        style: table.free("style"),
        place: table.own_place(),
    }
}

fn read_zooms(table: &Table<'_>) -> Zooms {
    let mut from = BTreeMap::new();
    if let Some(classes) = table.table("from") {
        for class in classes.keys() {
            if let Some(first) = classes.integer_if(&class, 0..ZOOM_MAX + 1) {
                from.insert(class, zoom(first));
            }
        }
        classes.finish();
    }
    let zooms = Zooms { field: table.text("field"), from };
    table.finish();
    zooms
}

fn zoom(value: i64) -> u8 {
    u8::try_from(value).expect("zooms are bounded where they are read")
}
