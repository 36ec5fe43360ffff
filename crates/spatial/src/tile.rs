//! Draws a tile of a layer: finds what meets it, takes the spots that this zoom shows, cuts them to
//! the tile, and writes features with their properties.

use crate::clip::{Square, Unit, doubled_area};
use crate::grid::{EXTENT, TileId};
use crate::layer::Layer;
use crate::mvt::{self, Commands};
use crate::shape::ShapeKind;

/// What is drawn around a tile, in its units, so that strokes and symbols meet at its edges.
pub const BUFFER_UNITS: u32 = 64;

/// What one tile may hold. Past it, the features of least rank are left out.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    pub features_max: usize,
    pub bytes_max: usize,
}

/// A layer of a tile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Empty where nothing is to be seen.
    pub bytes: Vec<u8>,
    pub features: usize,
    /// Features that there was no room for.
    pub left_out: usize,
}

impl Layer {
    /// One tile of the layer under its name.
    pub fn tile(&self, name: &str, tile: TileId, caps: &Caps) -> Drawn {
        let mut found = Vec::new();
        let wanted = tile.rect(BUFFER_UNITS);
        for band in self.bands.iter().filter(|band| band.zoom <= tile.zoom()) {
            band.index.search(&self.rects, &wanted, &mut found);
        }
        let all = found.len();
        if all > caps.features_max {
            self.keep_first(&mut found, caps.features_max);
        }
        let mut pen = Pen::new(self, tile);
        let mut drawn = pen.draw(&found, caps.bytes_max);
        if drawn < found.len() {
            // Not all of it fits: begin again with what matters most.
            found.sort_unstable_by_key(|feature| self.ranks[*feature as usize]);
            pen.clear();
            drawn = pen.draw(&found, caps.bytes_max);
        }
        Drawn { features: pen.count, left_out: all - drawn, bytes: pen.finish(name) }
    }

    /// Keeps the features of the best ranks, in the layer's order.
    fn keep_first(&self, found: &mut Vec<u32>, count: usize) {
        found.select_nth_unstable_by_key(count, |feature| self.ranks[*feature as usize]);
        found.truncate(count);
        found.sort_unstable();
    }
}

/// Joins layers to one tile.
pub fn finish(layers: &[Drawn]) -> Vec<u8> {
    layers.iter().flat_map(|layer| layer.bytes.iter().copied()).collect()
}

/// What drawing one tile needs and keeps.
struct Pen<'a> {
    layer: &'a Layer,
    tile: TileId,
    /// The tile with its buffer.
    square: Square,
    features: Vec<u8>,
    values: Vec<u8>,
    values_count: u64,
    /// For each shared value of each column its place in the tile and one more; 0: not there yet.
    places: Vec<Option<Vec<u32>>>,
    count: usize,
    commands: Commands,
    tags: Vec<u8>,
    units: Vec<Unit>,
    spare: Vec<Unit>,
    scratch: Vec<u8>,
}

impl<'a> Pen<'a> {
    fn new(layer: &'a Layer, tile: TileId) -> Self {
        let buffer = i32::try_from(BUFFER_UNITS).expect("the buffer is small");
        let extent = i32::try_from(EXTENT).expect("the extent is small");
        let mut pen = Self {
            layer,
            tile,
            square: Square { low: -buffer, high: extent + buffer },
            features: Vec::new(),
            values: Vec::new(),
            values_count: 0,
            places: Vec::new(),
            count: 0,
            commands: Commands::default(),
            tags: Vec::new(),
            units: Vec::new(),
            spare: Vec::new(),
            scratch: Vec::new(),
        };
        pen.clear();
        pen
    }

    fn clear(&mut self) {
        self.features.clear();
        self.values.clear();
        (self.values_count, self.count) = (0, 0);
        let columns = self.layer.columns.iter();
        self.places = columns.map(|column| column.shared().map(|count| vec![0; count])).collect();
    }

    /// Draws features until there is no room; how many it came to.
    fn draw(&mut self, features: &[u32], bytes_max: usize) -> usize {
        for (done, feature) in features.iter().enumerate() {
            let (features, values) = (self.features.len(), self.values.len());
            self.feature(*feature as usize);
            if self.features.len() + self.values.len() > bytes_max {
                // The one that is too much is taken out again; the values that it brought stay.
                if self.features.len() > features {
                    self.count -= 1;
                }
                self.features.truncate(features);
                debug_assert!(values <= self.values.len());
                return done;
            }
        }
        features.len()
    }

    fn finish(self, name: &str) -> Vec<u8> {
        if self.count == 0 {
            return Vec::new();
        }
        let keys = self.layer.columns.iter().map(|column| column.name.as_str());
        mvt::layer(name, &self.features, keys, &self.values)
    }

    fn feature(&mut self, feature: usize) {
        self.commands.clear();
        let kind = self.layer.kinds[feature];
        let whole = self.tile.rect(BUFFER_UNITS).holds(&self.layer.rects[feature]);
        match kind {
            ShapeKind::Point => self.points(feature, whole),
            ShapeKind::Line => self.lines(feature, whole),
            ShapeKind::Polygon => self.rings(feature, whole),
        }
        if self.commands.is_empty() {
            return;
        }
        self.tags(feature);
        let id = self.layer.ids[feature];
        mvt::feature(id, &self.tags, kind, &self.commands, &mut self.scratch, &mut self.features);
        self.count += 1;
    }

    fn tags(&mut self, feature: usize) {
        self.tags.clear();
        let layer = self.layer;
        for (key, (column, places)) in (0_u64..).zip(layer.columns.iter().zip(&mut self.places)) {
            let Some(value) = column.encoded(feature) else { continue };
            let known = match (places, column.code(feature)) {
                (Some(places), Some(code)) => Some(&mut places[code]),
                _ => None,
            };
            let place = match known {
                Some(place) if *place > 0 => u64::from(*place) - 1,
                known => {
                    let new = self.values_count;
                    mvt::layer_value(value, &mut self.values);
                    self.values_count += 1;
                    if let Some(place) = known {
                        *place = u32::try_from(self.values_count).unwrap_or(0);
                    }
                    new
                }
            };
            mvt::varint(key, &mut self.tags);
            mvt::varint(place, &mut self.tags);
        }
    }

    /// The spots of a part that this zoom shows, in the tile's units, each place once.
    fn gather(&mut self, part: usize) {
        self.units.clear();
        let range = self.layer.spots_of(part);
        let spots = &self.layer.spots[range.clone()];
        let levels = &self.layer.levels[range];
        let (ox, oy) = self.tile.origin();
        let (shift, zoom) = (self.tile.shift(), self.tile.zoom());
        let half = (1_i64 << shift) >> 1;
        for (spot, level) in spots.iter().zip(levels) {
            if *level > zoom {
                continue;
            }
            let unit = (
                unit((i64::from(spot.x) - ox + half) >> shift),
                unit((i64::from(spot.y) - oy + half) >> shift),
            );
            if self.units.last() != Some(&unit) {
                self.units.push(unit);
            }
        }
    }

    fn points(&mut self, feature: usize, whole: bool) {
        for part in self.layer.parts_of(feature) {
            self.gather(part);
            if !whole {
                let square = self.square;
                self.units.retain(|unit| square.holds(*unit));
            }
            if !self.units.is_empty() {
                self.commands.points(&self.units);
            }
        }
    }

    fn lines(&mut self, feature: usize, whole: bool) {
        for part in self.layer.parts_of(feature) {
            self.gather(part);
            if whole {
                if self.units.len() > 1 {
                    self.commands.line(&self.units);
                }
                continue;
            }
            let commands = &mut self.commands;
            self.square.line(&self.units, &mut self.spare, |stretch| commands.line(stretch));
        }
    }

    fn rings(&mut self, feature: usize, whole: bool) {
        let mut outer = false;
        for part in self.layer.parts_of(feature) {
            let hole = self.layer.parts[part].hole;
            // What is left of an outer ring that is too small to draw has no holes either.
            if hole && !outer {
                continue;
            }
            self.gather(part);
            if self.units.len() > 1 && self.units.first() == self.units.last() {
                self.units.pop();
            }
            if !whole {
                self.square.ring(&mut self.units, &mut self.spare);
            }
            // On the tile's raster a thin ring can fold over: then it has no sense, or the wrong one.
            let area = doubled_area(&self.units);
            let drawn = self.units.len() > 2 && if hole { area < 0 } else { area > 0 };
            if drawn {
                self.commands.ring(&self.units);
            }
            if !hole {
                outer = drawn;
            }
        }
    }
}

/// A place as a unit. The farthest place on the grid is 2³² units away, at the deepest zoom: no
/// tile shows it, and cutting it off there turns no edge that one shows by as much as a unit.
fn unit(value: i64) -> i32 {
    let bound = i64::from(i32::MAX / 2);
    i32::try_from(value.clamp(-bound, bound)).expect("clamped to what fits")
}

#[cfg(test)]
mod tests {
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

    fn layer(rows: &[(i64, Option<&str>, Option<Vec<u8>>)], plan: Plan) -> Layer {
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
        TileId::new(
            zoom,
            spot.x.checked_shr(bits).unwrap_or(0),
            spot.y.checked_shr(bits).unwrap_or(0),
        )
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
        let rows: Vec<(i64, Option<&str>, Option<Vec<u8>>)> = (0..5_000)
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
        let layer = layer(
            &[(1, Some("区"), Some(polygon(&[&square])))],
            Plan { as_labels: true, ..plan() },
        );
        assert_eq!(layer.kind_of(0), ShapeKind::Point);
        assert_eq!(layer.tile("l", tile_of(104.05, 30.05, 10), &CAPS).features, 1);
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
                        path.iter()
                            .all(|(x, y)| (-64..=4160).contains(x) && (-64..=4160).contains(y))
                    );
                }
            }
        }
    }
}
