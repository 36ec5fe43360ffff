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
mod tests;
