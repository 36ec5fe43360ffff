//! The grid that features lie on: Web Mercator (EPSG:3857) as 2³² × 2³² cells, x to the east and y
//! to the south. A cell is 0.93 cm at the equator; a tile's own coordinates are a shift away.

use std::f64::consts::PI;

/// Units along one side of a tile (the vector tile specification's customary extent).
pub const EXTENT: u32 = 1 << EXTENT_BITS;
const EXTENT_BITS: u32 = 12;
const GRID_BITS: u32 = 32;
/// The deepest zoom: there a unit of a tile is one cell of the grid.
pub const ZOOM_MAX: u8 = 20;
/// Where Web Mercator ends, in degrees: atan(sinh π).
pub const LATITUDE_MAX: f64 = 85.051_128_779_806_6;
/// Half the circumference of EPSG:3857's sphere, metres: π × 6,378,137.
const MERCATOR_M_MAX: f64 = PI * 6_378_137.0;
const CELLS: f64 = 4_294_967_296.0;

/// A place on the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spot {
    pub x: u32,
    pub y: u32,
}

/// The cell of a longitude and a latitude, degrees in WGS-84. What lies beyond the projection's
/// edge is put on it.
pub fn project(lon: f64, lat: f64) -> Spot {
    let sine = lat.clamp(-LATITUDE_MAX, LATITUDE_MAX).to_radians().sin();
    let x = lon / 360.0 + 0.5;
    let y = 0.5 - ((1.0 + sine) / (1.0 - sine)).ln() / (4.0 * PI);
    Spot { x: cell(x), y: cell(y) }
}

/// A share of the grid's side as a cell; the conversion of a float saturates.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn cell(share: f64) -> u32 {
    (share * CELLS).round().min(CELLS - 1.0) as u32
}

/// Longitude and latitude of a cell.
pub fn unproject(spot: Spot) -> (f64, f64) {
    let lon = (f64::from(spot.x) / CELLS - 0.5) * 360.0;
    let lat = (PI * (1.0 - 2.0 * f64::from(spot.y) / CELLS)).sinh().atan().to_degrees();
    (lon, lat)
}

/// Longitude and latitude as metres of EPSG:3857.
pub fn to_mercator(lon: f64, lat: f64) -> (f64, f64) {
    let lat = lat.clamp(-LATITUDE_MAX, LATITUDE_MAX).to_radians();
    let y = (PI / 4.0 + lat / 2.0).tan().ln();
    (lon / 180.0 * MERCATOR_M_MAX, y / PI * MERCATOR_M_MAX)
}

/// The inverse of [`to_mercator`].
pub fn from_mercator(x: f64, y: f64) -> (f64, f64) {
    let lat = (y / MERCATOR_M_MAX * PI).sinh().atan().to_degrees();
    (x / MERCATOR_M_MAX * 180.0, lat)
}

/// A box of cells, its edges included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    pub min: Spot,
    pub max: Spot,
}

impl Rect {
    /// Holds nothing and grows to whatever is added.
    pub const EMPTY: Self =
        Self { min: Spot { x: u32::MAX, y: u32::MAX }, max: Spot { x: 0, y: 0 } };

    pub fn of(spots: &[Spot]) -> Self {
        spots.iter().fold(Self::EMPTY, |rect, spot| rect.and(Self { min: *spot, max: *spot }))
    }

    /// The box of west, south, east, north in degrees.
    pub fn of_degrees(west: f64, south: f64, east: f64, north: f64) -> Self {
        Self { min: project(west, north), max: project(east, south) }
    }

    /// West, south, east, north in degrees.
    pub fn degrees(&self) -> [f64; 4] {
        let ((west, north), (east, south)) = (unproject(self.min), unproject(self.max));
        [west, south, east, north]
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            min: Spot { x: self.min.x.min(other.min.x), y: self.min.y.min(other.min.y) },
            max: Spot { x: self.max.x.max(other.max.x), y: self.max.y.max(other.max.y) },
        }
    }

    pub fn is_empty(&self) -> bool {
        self.min.x > self.max.x || self.min.y > self.max.y
    }

    pub fn meets(&self, other: &Self) -> bool {
        self.min.x <= other.max.x
            && other.min.x <= self.max.x
            && self.min.y <= other.max.y
            && other.min.y <= self.max.y
    }

    pub fn holds(&self, other: &Self) -> bool {
        self.min.x <= other.min.x
            && other.max.x <= self.max.x
            && self.min.y <= other.min.y
            && other.max.y <= self.max.y
    }

    pub fn holds_spot(&self, spot: Spot) -> bool {
        (self.min.x..=self.max.x).contains(&spot.x) && (self.min.y..=self.max.y).contains(&spot.y)
    }

    /// The longer side, in cells.
    pub fn side(&self) -> u32 {
        (self.max.x.saturating_sub(self.min.x)).max(self.max.y.saturating_sub(self.min.y))
    }
}

/// A tile of the Web Mercator quadtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TileId {
    z: u8,
    x: u32,
    y: u32,
}

impl TileId {
    /// `None` for a zoom past [`ZOOM_MAX`] and for a tile outside the zoom's square.
    pub fn new(z: u8, x: u32, y: u32) -> Option<Self> {
        (z <= ZOOM_MAX && x >> z == 0 && y >> z == 0).then_some(Self { z, x, y })
    }

    pub fn zoom(&self) -> u8 {
        self.z
    }

    /// Bits by which a distance on the grid is longer than in units of this tile.
    pub(crate) fn shift(self) -> u32 {
        GRID_BITS - EXTENT_BITS - u32::from(self.z)
    }

    /// The tile's north-western corner on the grid.
    pub(crate) fn origin(self) -> (i64, i64) {
        let bits = GRID_BITS - u32::from(self.z);
        (i64::from(self.x) << bits, i64::from(self.y) << bits)
    }

    /// The tile and so many of its units around it.
    pub(crate) fn rect(self, buffer_units: u32) -> Rect {
        let (x, y) = self.origin();
        let side = 1_i64 << (GRID_BITS - u32::from(self.z));
        let buffer = i64::from(buffer_units) << self.shift();
        let bound = |value: i64| {
            u32::try_from(value.clamp(0, i64::from(u32::MAX))).expect("clamped to the grid")
        };
        Rect {
            min: Spot { x: bound(x - buffer), y: bound(y - buffer) },
            max: Spot { x: bound(x + side + buffer), y: bound(y + side + buffer) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_within_a_centimetre() {
        for (lon, lat) in [(104.0657, 30.6598), (0.0, 0.0), (-179.9, -84.0), (120.3, 51.2)] {
            let (x, y) = unproject(project(lon, lat));
            assert!((x - lon).abs() < 1e-7 && (y - lat).abs() < 1e-7, "{lon} {lat}: {x} {y}");
            let (x, y) = to_mercator(lon, lat);
            let (x, y) = from_mercator(x, y);
            assert!((x - lon).abs() < 1e-9 && (y - lat).abs() < 1e-9, "{lon} {lat}: {x} {y}");
        }
        let (x, _) = to_mercator(180.0, 0.0);
        assert!((x - 20_037_508.342_789_244).abs() < 1e-6);
    }

    #[test]
    fn a_place_lies_in_the_tile_that_every_map_puts_it_in() {
        // Tile numbers of the slippy map for Chengdu's Tianfu Square, computed by the published
        // formula floor((lon + 180) / 360 · 2^z), floor((1 − asinh(tan lat) / π) / 2 · 2^z).
        let spot = project(104.0657, 30.6598);
        assert_eq!((spot.x >> (32 - 12), spot.y >> (32 - 12)), (3232, 1681));
        let tile = TileId::new(12, 3232, 1681).unwrap();
        assert!(tile.rect(0).holds_spot(spot));
        assert!(!TileId::new(12, 3233, 1681).unwrap().rect(0).holds_spot(spot));
    }

    #[test]
    fn tiles_outside_the_square_do_not_exist() {
        assert!(TileId::new(0, 0, 0).is_some());
        assert!(TileId::new(0, 1, 0).is_none());
        assert!(TileId::new(3, 7, 8).is_none());
        assert!(TileId::new(ZOOM_MAX + 1, 0, 0).is_none());
        let whole = TileId::new(0, 0, 0).unwrap().rect(64);
        assert_eq!((whole.min.x, whole.max.x), (0, u32::MAX));
    }
}
