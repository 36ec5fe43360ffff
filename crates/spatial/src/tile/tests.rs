//! Layers drawn and searched, and their tiles read again by a reader of the tests' own.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::build::{BuildError, Builder, Plan, ZoomRule};
use crate::grid::{Rect, project};
use crate::wkb::tests::{line, point, polygon};

const CAPS: Caps = Caps { features_max: 10_000, bytes_max: 1 << 20 };

fn plan() -> Plan {
    Plan { key: vec![0], bytes_max: 1 << 28, features_max: 1 << 20, ..Plan::default() }
}

/// An id, a name and a geometry as WKB.
type Row = (i64, Option<&'static str>, Option<Vec<u8>>);

fn layer(rows: &[Row], plan: Plan) -> Layer {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
    ]));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let names: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>());
    let shapes: BinaryArray = rows.iter().map(|row| row.2.as_deref()).collect();
    let mut builder = Builder::new(&schema, plan);
    builder.push(&(Arc::new(shapes) as ArrayRef), &[ids, names]).unwrap();
    builder.finish()
}

/// What a tile says, read by a small reader of its own: features as (id, kind, tags, geometry),
/// keys, and values as their bytes.
#[derive(Debug, Default)]
struct Read {
    name: String,
    features: Vec<(u64, u64, Vec<u64>, Vec<u64>)>,
    keys: Vec<String>,
    values: Vec<Vec<u8>>,
    extent: u64,
    version: u64,
}

fn number(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}

fn numbers(mut bytes: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        found.push(number(&mut bytes));
    }
    found
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes);
        let value = number(&mut bytes);
        let content = match tag & 7 {
            0 => &bytes[..0],
            2 => {
                let (content, rest) = bytes.split_at(usize::try_from(value).unwrap());
                bytes = rest;
                content
            }
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, value, content));
    }
    found
}

fn read(tile: &[u8]) -> Read {
    let layers = fields(tile);
    assert_eq!((layers.len(), layers[0].0), (1, 3));
    let mut read = Read::default();
    for (field, value, content) in fields(layers[0].2) {
        match field {
            1 => read.name = String::from_utf8(content.to_vec()).unwrap(),
            2 => {
                let mut feature = (0, 0, Vec::new(), Vec::new());
                for (field, value, content) in fields(content) {
                    match field {
                        1 => feature.0 = value,
                        2 => feature.2 = numbers(content),
                        3 => feature.1 = value,
                        4 => feature.3 = numbers(content),
                        other => panic!("a feature has no field {other}"),
                    }
                }
                read.features.push(feature);
            }
            3 => read.keys.push(String::from_utf8(content.to_vec()).unwrap()),
            4 => read.values.push(content.to_vec()),
            5 => read.extent = value,
            15 => read.version = value,
            other => panic!("a layer has no field {other}"),
        }
    }
    read
}

/// The rings or lines of a geometry in units.
fn paths(geometry: &[u64]) -> Vec<Vec<Unit>> {
    let signed = |value: u64| {
        let half = i32::try_from(value >> 1).unwrap();
        if value & 1 == 0 { half } else { -half - 1 }
    };
    let (mut found, mut at, mut cursor) = (Vec::<Vec<Unit>>::new(), 0, (0, 0));
    while at < geometry.len() {
        let (command, count) = (geometry[at] & 7, geometry[at] >> 3);
        at += 1;
        for _ in 0..if command == 7 { 0 } else { count } {
            cursor = (cursor.0 + signed(geometry[at]), cursor.1 + signed(geometry[at + 1]));
            at += 2;
            if command == 1 {
                found.push(Vec::new());
            }
            found.last_mut().unwrap().push(cursor);
        }
    }
    found
}

fn tile_of(lon: f64, lat: f64, zoom: u8) -> TileId {
    let spot = project(lon, lat);
    let bits = 32 - u32::from(zoom);
    TileId::new(zoom, spot.x.checked_shr(bits).unwrap_or(0), spot.y.checked_shr(bits).unwrap_or(0))
        .unwrap()
}

#[test]
fn a_tile_has_its_features_with_their_properties() {
    let rows = [
        (7, Some("天府广场"), Some(point(104.0657, 30.6598))),
        (8, Some("天府广场"), Some(point(104.0658, 30.6599))),
        (9, None, Some(point(104.0659, 30.6597))),
        (10, Some("elsewhere"), Some(point(110.0, 30.6598))),
        (11, Some("nowhere"), None),
        (12, Some("broken"), Some(vec![1, 2, 3])),
    ];
    let layer = layer(&rows, plan());
    assert_eq!((layer.len(), layer.without(), layer.unreadable()), (4, 1, 1));
    let drawn = layer.tile("places", tile_of(104.0657, 30.6598, 14), &CAPS);
    assert_eq!((drawn.features, drawn.left_out), (3, 0));
    let read = read(&drawn.bytes);
    assert_eq!((read.name.as_str(), read.extent, read.version), ("places", 4096, 2));
    assert_eq!(read.keys, ["id", "name"]);
    let mut ids: Vec<u64> = read.features.iter().map(|feature| feature.0).collect();
    ids.sort_unstable();
    assert_eq!(ids, [7, 8, 9], "an integer key is the identifier");
    let names = read.values.iter().filter(|value| value.ends_with("天府广场".as_bytes()));
    assert_eq!(names.count(), 1, "a value that two share is written once");
    for (id, kind, tags, geometry) in &read.features {
        assert_eq!((*kind, geometry.len()), (1, 3));
        assert_eq!(tags.len(), if *id == 9 { 2 } else { 4 }, "none is no value");
        for pair in tags.chunks(2) {
            assert!(pair[0] < 2 && pair[1] < read.values.len() as u64);
        }
    }
    let empty = layer.tile("places", tile_of(60.0, 30.0, 14), &CAPS);
    assert_eq!(empty, Drawn::default());
    assert!(Builder::new(&Arc::new(Schema::empty()), plan()).finish().is_empty());
}

#[test]
fn rings_are_clipped_and_wound_as_the_specification_says() {
    let outer = [(104.0, 30.5), (104.3, 30.5), (104.3, 30.8), (104.0, 30.8), (104.0, 30.5)];
    let hole =
        [(104.06, 30.65), (104.08, 30.65), (104.08, 30.67), (104.06, 30.67), (104.06, 30.65)];
    let layer = layer(&[(1, None, Some(polygon(&[&outer, &hole])))], plan());
    for zoom in [8, 10, 12, 14, 16] {
        let drawn = layer.tile("l", tile_of(104.06, 30.65, zoom), &CAPS);
        let read = read(&drawn.bytes);
        let rings = paths(&read.features[0].3);
        assert!(doubled_area(&rings[0]) > 0, "zoom {zoom}: the outer ring runs clockwise");
        assert!(rings[1..].iter().all(|ring| doubled_area(ring) < 0), "zoom {zoom}");
        let bound = -64..=4096 + 64;
        assert!(rings.iter().flatten().all(|(x, y)| bound.contains(x) && bound.contains(y)));
        assert!(rings.iter().all(|ring| ring.first() != ring.last() && ring.len() > 2));
    }
    let rings = |zoom| {
        paths(&read(&layer.tile("l", tile_of(104.06, 30.65, zoom), &CAPS).bytes).features[0].3)
            .len()
    };
    assert_eq!((rings(6), rings(12)), (2, 2));
}

#[test]
fn lines_go_through_tiles_that_hold_none_of_their_ends() {
    let layer = layer(&[(1, None, Some(line(&[(103.0, 30.66), (105.0, 30.66)])))], plan());
    let drawn = layer.tile("l", tile_of(104.06, 30.66, 14), &CAPS);
    let read = read(&drawn.bytes);
    let lines = paths(&read.features[0].3);
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0][0].0, lines[0][1].0), (-64, 4096 + 64));
}

#[test]
fn what_is_too_small_to_see_is_left_out_until_it_is_not() {
    // About 11 m on a side: at zoom 10 a unit is 9.5 m across, at zoom 16 0.15 m.
    let side = 1e-4;
    let hut = [(104.0, 30.0), (104.0 + side, 30.0), (104.0 + side, 30.0 + side), (104.0, 30.0)];
    let layer = layer(&[(1, None, Some(polygon(&[&hut])))], plan());
    assert_eq!(layer.tile("l", tile_of(104.0, 30.0, 10), &CAPS).features, 0);
    assert_eq!(layer.tile("l", tile_of(104.00003, 30.00003, 16), &CAPS).features, 1);
}

#[test]
fn a_class_is_drawn_from_its_zoom() {
    let rows = [
        (1, Some("trunk"), Some(line(&[(104.0, 30.6), (104.2, 30.7)]))),
        (2, Some("lane"), Some(line(&[(104.0, 30.6), (104.2, 30.7)]))),
        (3, None, Some(line(&[(104.0, 30.6), (104.2, 30.7)]))),
    ];
    let from = HashMap::from([("trunk".to_owned(), 7), ("lane".to_owned(), 13)]);
    let plan = Plan { minzoom: 10, zooms: Some(ZoomRule { column: 1, from }), ..plan() };
    let layer = layer(&rows, plan);
    let count = |zoom| layer.tile("l", tile_of(104.1, 30.65, zoom), &CAPS).features;
    assert_eq!((count(6), count(7), count(10), count(13)), (0, 1, 2, 3));
}

#[test]
fn where_there_is_no_room_the_least_goes_first() {
    let rows: Vec<Row> = (0..5_000)
        .map(|id| {
            (id, None, Some(point(104.0 + f64::from(i32::try_from(id).unwrap()) * 1e-5, 30.6)))
        })
        .collect();
    let layer = layer(&rows, Plan { rank: Some(0), ..plan() });
    let tile = tile_of(104.02, 30.6, 9);
    let all = layer.tile("l", tile, &CAPS);
    assert_eq!((all.features, all.left_out), (5_000, 0));
    let few = layer.tile("l", tile, &Caps { features_max: 100, ..CAPS });
    assert_eq!((few.features, few.left_out), (100, 4_900));
    let ids: Vec<u64> = read(&few.bytes).features.iter().map(|feature| feature.0).collect();
    assert!(ids.iter().all(|id| *id >= 4_900), "the largest rank stays: {ids:?}");
    let small = layer.tile("l", tile, &Caps { bytes_max: 10_000, ..CAPS });
    assert!(small.bytes.len() <= 10_100 && small.features > 100, "{}", small.bytes.len());
    assert_eq!(small.features + small.left_out, 5_000);
    assert!(read(&small.bytes).features.iter().any(|feature| feature.0 == 4_999));
    assert!(read(&small.bytes).features.iter().all(|feature| feature.0 > 4_000));
}

#[test]
fn labels_stand_for_polygons() {
    let square = [(104.0, 30.0), (104.1, 30.0), (104.1, 30.1), (104.0, 30.1), (104.0, 30.0)];
    let layer =
        layer(&[(1, Some("区"), Some(polygon(&[&square])))], Plan { as_labels: true, ..plan() });
    assert_eq!(layer.kind_of(0), ShapeKind::Point);
    assert_eq!(layer.tile("l", tile_of(104.05, 30.05, 10), &CAPS).features, 1);
}

#[test]
fn labels_without_a_text_are_left_out() {
    let course = line(&[(104.0, 30.0), (104.1, 30.0)]);
    let rows = [(1, Some("路"), Some(course.clone())), (2, None, Some(course))];
    let layer = layer(&rows, Plan { as_labels: true, required: Some(1), ..plan() });
    assert_eq!((layer.len(), layer.id_of(0)), (1, 1));
    let (lon, _) = crate::grid::unproject(layer.middle_of(0));
    assert!((lon - 104.05).abs() < 1e-6, "in the middle of the line: {lon}");
}

#[test]
fn features_are_found_by_place_and_by_name() {
    let square = [(104.0, 30.0), (104.1, 30.0), (104.1, 30.1), (104.0, 30.1), (104.0, 30.0)];
    let rows = [
        (1, Some("锦江区"), Some(polygon(&[&square]))),
        (2, Some("锦江"), Some(line(&[(104.2, 30.0), (104.4, 30.2)]))),
        (3, Some("Jinjiang Hotel"), Some(point(104.5, 30.5))),
    ];
    let layer = layer(&rows, plan());
    let within = |west, south, east, north| {
        let found = layer.within(&Rect::of_degrees(west, south, east, north));
        let mut ids: Vec<u64> =
            found.iter().map(|feature| layer.id_of(*feature as usize)).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(within(103.0, 29.0, 105.0, 31.0), [1, 2, 3]);
    assert_eq!(within(104.04, 30.04, 104.05, 30.05), [1], "inside the polygon");
    assert!(within(104.2, 30.15, 104.25, 30.2).is_empty(), "in the line's box, off the line");
    assert_eq!(within(104.29, 30.08, 104.31, 30.12), [2], "the line passes through");
    assert_eq!(within(104.5, 30.5, 104.6, 30.6), [3]);
    let named = |text, count| -> Vec<u64> {
        let found = layer.named("name", text, count);
        found.iter().map(|feature| layer.id_of(*feature as usize)).collect()
    };
    assert_eq!(named("锦江", 10), [2, 1], "the shorter name first");
    assert_eq!(named("江区", 10), [1]);
    assert_eq!(named("jinJIANG", 10), [3]);
    assert_eq!(named("锦", 1), [2]);
    assert!(named("武侯", 10).is_empty());
}

#[test]
fn a_layer_that_is_too_large_is_refused() {
    let schema = Arc::new(Schema::empty());
    let shapes: ArrayRef =
        Arc::new(BinaryArray::from_iter_values((0..100).map(|at| point(f64::from(at), 1.0))));
    let mut builder = Builder::new(&schema, Plan { features_max: 50, ..plan() });
    assert_eq!(builder.push(&shapes, &[]), Err(BuildError::Features(50)));
    let mut builder = Builder::new(&schema, Plan { bytes_max: 500, ..plan() });
    assert_eq!(builder.push(&shapes, &[]), Err(BuildError::Bytes(500)));
}

/// Random rubbish and random shapes at random zooms: a tile is always readable.
#[test]
fn whatever_the_shapes_are_a_tile_can_be_read() {
    let mut seed = 17_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        f64::from(u32::try_from(seed >> 33).unwrap()) / f64::from(1_u32 << 31)
    };
    let mut rows = Vec::new();
    for id in 0..300 {
        let spread = 0.3 * random() * random();
        let (lon, lat) = (104.0 + 0.2 * random(), 30.5 + 0.2 * random());
        let mut ring: Vec<(f64, f64)> = (0..12)
            .map(|_| (lon + spread * (random() - 0.5), lat + spread * (random() - 0.5)))
            .collect();
        let shape = if id % 2 == 0 {
            line(&ring)
        } else {
            ring.push(ring[0]);
            polygon(&[&ring])
        };
        rows.push((id, Some("n"), Some(shape)));
    }
    let layer = layer(&rows, plan());
    for _ in 0..200 {
        let zoom = if random() > 0.5 { 9 } else { 13 };
        let tile = tile_of(104.0 + 0.2 * random(), 30.5 + 0.2 * random(), zoom);
        let drawn = layer.tile("l", tile, &CAPS);
        if drawn.bytes.is_empty() {
            continue;
        }
        let read = read(&drawn.bytes);
        assert_eq!(read.features.len(), drawn.features);
        for (_, kind, _, geometry) in &read.features {
            for path in paths(geometry) {
                assert!(path.len() > usize::from(*kind == 3) + 1);
                if *kind == 3 {
                    assert_ne!(doubled_area(&path), 0);
                }
                assert!(
                    path.iter().all(|(x, y)| (-64..=4160).contains(x) && (-64..=4160).contains(y))
                );
            }
        }
    }
}
