//! The map: its datasets and fields are there, and fit what is done with them.

use super::{Names, known, plain_name, unique};
use crate::check::datasets::word;
use crate::diagnostics::Diagnostic;
use crate::load::{Draft, Sited};
use crate::map::{AreaFields, Layer, LayerShape, MapPlan, Zooms};
use crate::model::{Contract, FieldType};

/// What a map may be drawn of: `kind` in a layer's style.
const STYLES: [(&str, &[LayerShape]); 4] = [
    ("fill", &[LayerShape::Polygon]),
    ("line", &[LayerShape::Line, LayerShape::Polygon]),
    ("circle", &[LayerShape::Point, LayerShape::Label]),
    ("label", &[LayerShape::Label, LayerShape::Point, LayerShape::Line]),
];

pub(super) fn check(draft: &Draft, names: &Names<'_>) {
    let Some(map) = &draft.map else { return };
    view(map, names);
    if let Some(areas) = &map.value.areas {
        check_areas(areas, map, names);
    }
    let layers = &map.value.layers;
    let id = |index: usize| map.sites.place(&format!("layer.{index}.id"));
    unique("layer", layers.iter().enumerate().map(|(i, layer)| (layer.id.as_str(), id(i))), names);
    for (index, layer) in layers.iter().enumerate() {
        if !layer.id.is_empty() && !plain_name(&layer.id) {
            names.fault(
                Diagnostic::new(id(index), format!("bad layer id `{}`", layer.id))
                    .expected("small letters, digits and `_`"),
            );
        }
        check_layer(index, layer, map, names);
    }
}

fn view(Sited { value, sites, sound }: &Sited<MapPlan>, names: &Names<'_>) {
    let [west, south, east, north] = value.bounds;
    if *sound && !(west < east && south < north) {
        names.fault(
            Diagnostic::new(sites.place("view.bounds"), "the bounds hold nothing")
                .expected("[west, south, east, north]"),
        );
    }
    let [lon, lat] = value.centre;
    if *sound && !(west <= lon && lon <= east && south <= lat && lat <= north) {
        names.fault(
            Diagnostic::new(sites.place("view.centre"), "the centre lies outside the bounds")
                .expected("[longitude, latitude]"),
        );
    }
}

/// The dataset of a part of the map, if it is there and has a geometry.
fn located<'a>(
    dataset: &str,
    path: &str,
    map: &Sited<MapPlan>,
    names: &Names<'a>,
) -> Option<&'a Sited<Contract>> {
    names.dataset(dataset, || map.sites.place(path));
    let found = *names.datasets.get(dataset)?;
    if found.sound && found.value.geometry.is_none() {
        names.fault(
            Diagnostic::new(map.sites.place(path), format!("`{dataset}` has no geometry"))
                .mend("a map shows places: choose another dataset or give it a geometry"),
        );
        return None;
    }
    Some(found)
}

fn check_areas(areas: &AreaFields, map: &Sited<MapPlan>, names: &Names<'_>) {
    let Some(dataset) = located(&areas.dataset, "areas.dataset", map, names) else { return };
    let text = [FieldType::Text, FieldType::AreaCode];
    let number = [FieldType::Integer];
    let given = |name: &Option<String>| name.clone().unwrap_or_default();
    for (key, name, wanted) in [
        ("code", areas.code.clone(), &text[..]),
        ("level", areas.level.clone(), &text),
        ("parent", areas.parent.clone(), &text),
        ("name", areas.name.clone(), &text),
        ("name_en", given(&areas.name_en), &text),
        ("people", given(&areas.people), &number),
        ("households", given(&areas.households), &number),
    ] {
        field(&name, &format!("areas.{key}"), wanted, dataset, map, names);
    }
}

/// A field that a part of the map names: it is there and has one of the types.
fn field(
    name: &str,
    path: &str,
    wanted: &[FieldType],
    dataset: &Sited<Contract>,
    map: &Sited<MapPlan>,
    names: &Names<'_>,
) {
    let fields: Vec<&str> = dataset.value.fields.iter().map(|field| field.name.as_str()).collect();
    known("field", name, fields.iter().copied(), || map.sites.place(path), names);
    let found = dataset.value.field(name).filter(|_| dataset.sound);
    if let Some(found) = found.filter(|found| !wanted.contains(&found.ty)) {
        names.fault(
            Diagnostic::new(map.sites.place(path), format!("`{name}` does not fit here"))
                .expected(wanted.iter().map(|ty| word(*ty)).collect::<Vec<_>>().join(" or "))
                .found(word(found.ty)),
        );
    }
}

const TEXTS: [FieldType; 3] = [FieldType::Text, FieldType::AreaCode, FieldType::OrganisationId];
const NUMBERS: [FieldType; 3] = [FieldType::Integer, FieldType::Number, FieldType::Money];
const PROPERTIES: [FieldType; 9] = [
    FieldType::Text,
    FieldType::Integer,
    FieldType::Number,
    FieldType::Boolean,
    FieldType::Date,
    FieldType::Timestamp,
    FieldType::Money,
    FieldType::AreaCode,
    FieldType::OrganisationId,
];

fn check_layer(index: usize, layer: &Layer, map: &Sited<MapPlan>, names: &Names<'_>) {
    let path = |key: &str| format!("layer.{index}.{key}");
    if layer.minzoom > layer.maxzoom {
        names.fault(
            Diagnostic::new(map.sites.place(&path("minzoom")), "the layer is drawn at no zoom")
                .expected(format!("at most its maxzoom, {}", layer.maxzoom)),
        );
    }
    style(layer, &path("style"), map, names);
    if layer.search && layer.title_field.is_none() {
        names.fault(
            Diagnostic::new(map.sites.place(&path("search")), "nothing to search in")
                .mend("add `title_field = …`"),
        );
    }
    let Some(dataset) = located(&layer.dataset, &path("dataset"), map, names) else { return };
    let check = |name: &str, key: &str, wanted: &[FieldType]| {
        field(name, &path(key), wanted, dataset, map, names);
    };
    for (key, name) in
        [("title_field", &layer.title_field), ("title_field_en", &layer.title_field_en)]
    {
        check(name.as_deref().unwrap_or_default(), key, &TEXTS);
    }
    for (at, name) in layer.fields.iter().enumerate() {
        check(name, &format!("fields.{at}"), &PROPERTIES);
    }
    check(layer.rank.as_deref().unwrap_or_default(), "rank", &NUMBERS);
    if let Some(zooms) = &layer.zooms {
        check(&zooms.field, "zooms.field", &TEXTS);
        classes(zooms, &path("zooms.from"), dataset, map, names);
    }
}

/// Classes of a coded field are among its codes.
fn classes(
    zooms: &Zooms,
    path: &str,
    dataset: &Sited<Contract>,
    map: &Sited<MapPlan>,
    names: &Names<'_>,
) {
    let Some(field) = dataset.value.field(&zooms.field) else { return };
    if field.codes.is_empty() {
        return;
    }
    for class in zooms.from.keys() {
        let place = || map.sites.place(&format!("{path}.{class}"));
        known("code", class, field.codes.iter().map(String::as_str), place, names);
    }
}

fn style(layer: &Layer, path: &str, map: &Sited<MapPlan>, names: &Names<'_>) {
    let Some(kind) = layer.style.get("kind") else {
        names.fault(
            Diagnostic::new(map.sites.place(path), "the layer's style has no `kind`")
                .expected("fill, line, circle or label"),
        );
        return;
    };
    let place = || map.sites.place(&format!("{path}.kind"));
    let name = kind.as_str().unwrap_or("?");
    known("style", name, STYLES.iter().map(|(kind, _)| *kind), place, names);
    let fits = STYLES.iter().find(|(kind, _)| *kind == name);
    if fits.is_some_and(|(_, shapes)| !shapes.contains(&layer.shape)) {
        names.fault(
            Diagnostic::new(place(), format!("the style `{name}` does not fit the layer's shape"))
                .mend("areas are filled or outlined, lines drawn, points marked or labelled"),
        );
    }
}
