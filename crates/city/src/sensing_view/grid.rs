//! A grid of square cells over a part of the Earth that is small enough to be flat: which cells a
//! polygon and a disc hold. A cell belongs to what its centre lies in.
//!
//! Longitude and latitude become metres by the parallel through the middle. Over the 190 km of a
//! large city that is wrong by less than one in a hundred at its edges.

use geo_types::{Geometry, LineString, Polygon};

/// IUGG mean radius of the Earth, R1, in metres: the same as SQL's `st_distancesphere`.
const EARTH_RADIUS_M: f64 = 6_371_008.771_4;
/// What one grid may hold: at 100 m, a hundred kilometres by a hundred.
const CELLS_MAX: usize = 1_000_000;
/// Sides of cells that are tried, each twice the one before.
const DOUBLINGS_MAX: u32 = 16;

/// West, south, east, north in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

impl Bounds {
    /// Holds nothing and grows to whatever is added.
    pub const EMPTY: Self = Self {
        west: f64::INFINITY,
        south: f64::INFINITY,
        east: f64::NEG_INFINITY,
        north: f64::NEG_INFINITY,
    };

    pub fn add(&mut self, lon: f64, lat: f64) {
        self.west = self.west.min(lon);
        self.south = self.south.min(lat);
        self.east = self.east.max(lon);
        self.north = self.north.max(lat);
    }

    pub fn is_empty(&self) -> bool {
        self.west > self.east || self.south > self.north
    }
}

/// Cells of one row, from `start` up to but without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub row: usize,
    pub start: usize,
    pub end: usize,
}

/// Rows go north, columns east, from the south-western corner.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    west: f64,
    south: f64,
    /// Degrees of one cell.
    lon_step: f64,
    lat_step: f64,
    pub cell_m: f64,
    pub columns: usize,
    pub rows: usize,
}

/// A whole number of cells within `0..=max`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn whole(cells: f64, max: usize) -> usize {
    cells.clamp(0.0, max as f64) as usize
}

/// The first cell whose centre lies at `cells` or beyond it.
fn first(cells: f64, max: usize) -> usize {
    whole((cells - 0.5).ceil(), max)
}

impl Grid {
    /// A grid over the bounds, of cells of `cell_m`, or of two, four … times that where there
    /// would be too many.
    pub fn over(bounds: Bounds, cell_m: f64) -> Self {
        let metres_per_degree = EARTH_RADIUS_M.to_radians();
        let middle = f64::midpoint(bounds.south, bounds.north).to_radians();
        let lon_m = metres_per_degree * middle.cos().max(f64::EPSILON);
        let mut cell_m = cell_m;
        for _ in 0..DOUBLINGS_MAX {
            let across = ((bounds.east - bounds.west) * lon_m / cell_m).ceil();
            let up = ((bounds.north - bounds.south) * metres_per_degree / cell_m).ceil();
            if across.max(1.0) * up.max(1.0) <= CELLS_MAX as f64 {
                break;
            }
            cell_m *= 2.0;
        }
        let (lon_step, lat_step) = (cell_m / lon_m, cell_m / metres_per_degree);
        let columns = whole(((bounds.east - bounds.west) / lon_step).ceil(), CELLS_MAX).max(1);
        let rows = whole(((bounds.north - bounds.south) / lat_step).ceil(), CELLS_MAX).max(1);
        // Bounds that are no bounds of a city end as a thin strip, never as too many cells.
        let rows = rows.min((CELLS_MAX / columns).max(1));
        Self { west: bounds.west, south: bounds.south, lon_step, lat_step, cell_m, columns, rows }
    }

    pub fn len(&self) -> usize {
        self.columns * self.rows
    }

    pub fn cell_km2(&self) -> f64 {
        self.cell_m * self.cell_m / 1e6
    }

    /// A place in cells from the south-western corner.
    pub fn place(&self, lon: f64, lat: f64) -> (f64, f64) {
        ((lon - self.west) / self.lon_step, (lat - self.south) / self.lat_step)
    }

    /// Longitude and latitude of a corner of cells.
    pub fn corner(&self, column: f64, row: f64) -> (f64, f64) {
        (self.west + column * self.lon_step, self.south + row * self.lat_step)
    }

    /// The middle of the cell with this number.
    pub fn centre(&self, cell: usize) -> (f64, f64) {
        let (column, row) = (cell % self.columns, cell / self.columns);
        self.corner(column as f64 + 0.5, row as f64 + 0.5)
    }

    /// The cell that holds a place, where there is one.
    pub fn cell(&self, lon: f64, lat: f64) -> Option<usize> {
        let (x, y) = self.place(lon, lat);
        let within =
            (0.0..self.columns as f64).contains(&x) && (0.0..self.rows as f64).contains(&y);
        within.then(|| whole(y, self.rows - 1) * self.columns + whole(x, self.columns - 1))
    }

    /// Numbers of a span's cells.
    pub fn cells(&self, span: Span) -> std::ops::Range<usize> {
        span.row * self.columns + span.start..span.row * self.columns + span.end
    }

    /// The cells within `range_m` of a place.
    pub fn disc(&self, lon: f64, lat: f64, range_m: f64) -> Vec<Span> {
        let (x, y) = self.place(lon, lat);
        let radius = range_m / self.cell_m;
        let (from, to) =
            (first(y - radius, self.rows), whole((y + radius + 0.5).floor(), self.rows));
        let mut spans = Vec::with_capacity(to.saturating_sub(from));
        for row in from..to {
            let up = row as f64 + 0.5 - y;
            let half = (radius * radius - up * up).max(0.0).sqrt();
            let start = first(x - half, self.columns);
            let end = whole((x + half + 0.5).floor(), self.columns);
            if start < end {
                spans.push(Span { row, start, end });
            }
        }
        spans
    }

    /// The cells of an area: of all its polygons together, holes left out.
    pub fn fill(&self, geometry: &Geometry<f64>) -> Vec<Span> {
        let mut rings = Vec::new();
        rings_of(geometry, &mut rings);
        let rings: Vec<Vec<(f64, f64)>> = rings
            .into_iter()
            .map(|ring| ring.coords().map(|at| self.place(at.x, at.y)).collect())
            .collect();
        let heights = rings.iter().flatten().map(|(_, y)| *y);
        let (low, high) = heights
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
        if low > high {
            return Vec::new();
        }
        let (from, to) = (first(low, self.rows), first(high, self.rows));
        let mut crossings: Vec<Vec<f64>> = vec![Vec::new(); to.saturating_sub(from)];
        for edge in rings.iter().flat_map(|ring| ring.windows(2)) {
            let [(x0, y0), (x1, y1)] = [edge[0], edge[1]];
            let (begin, end) = (first(y0.min(y1), self.rows), first(y0.max(y1), self.rows));
            for row in begin..end {
                let share = (row as f64 + 0.5 - y0) / (y1 - y0);
                if let Some(row) = row.checked_sub(from).and_then(|row| crossings.get_mut(row)) {
                    row.push(x0 + share * (x1 - x0));
                }
            }
        }
        let mut spans = Vec::new();
        for (row, mut xs) in crossings.into_iter().enumerate() {
            xs.sort_by(f64::total_cmp);
            for pair in xs.chunks_exact(2) {
                let (start, end) = (first(pair[0], self.columns), first(pair[1], self.columns));
                if start < end {
                    spans.push(Span { row: row + from, start, end });
                }
            }
        }
        spans
    }
}

/// The rings of every polygon in it.
pub(crate) fn rings_of<'g>(geometry: &'g Geometry<f64>, into: &mut Vec<&'g LineString<f64>>) {
    let mut add = |polygon: &'g Polygon<f64>| {
        into.push(polygon.exterior());
        into.extend(polygon.interiors());
    };
    match geometry {
        Geometry::Polygon(polygon) => add(polygon),
        Geometry::MultiPolygon(many) => many.iter().for_each(add),
        Geometry::GeometryCollection(parts) => {
            for part in parts {
                rings_of(part, into);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
pub(super) mod tests {
    use geo_types::{Coord, MultiPolygon};

    use super::*;

    /// A rectangle, closed.
    pub fn ring(west: f64, south: f64, east: f64, north: f64) -> LineString<f64> {
        let corners = [(west, south), (east, south), (east, north), (west, north), (west, south)];
        LineString(corners.into_iter().map(|(x, y)| Coord { x, y }).collect())
    }

    /// About 19 km by 22 km.
    pub fn bounds() -> Bounds {
        Bounds { west: 104.0, south: 30.6, east: 104.2, north: 30.8 }
    }

    fn count(spans: &[Span]) -> usize {
        spans.iter().map(|span| span.end - span.start).sum()
    }

    #[test]
    fn a_disc_holds_as_many_cells_as_its_area() {
        let grid = Grid::over(bounds(), 100.0);
        let km2 = count(&grid.disc(104.1, 30.7, 2_000.0)) as f64 * grid.cell_km2();
        let truth = std::f64::consts::PI * 4.0;
        assert!((km2 / truth - 1.0).abs() < 0.01, "{km2} for {truth}");
        // Half of one whose middle is on the edge, and nothing of one that is far away.
        let half = count(&grid.disc(104.0, 30.7, 2_000.0)) as f64 * grid.cell_km2();
        assert!((half / truth - 0.5).abs() < 0.02, "{half}");
        assert!(grid.disc(90.0, 10.0, 2_000.0).is_empty());
        assert!(grid.disc(f64::NAN, 30.7, 2_000.0).is_empty());
    }

    #[test]
    fn a_polygon_holds_the_cells_whose_centres_it_holds() {
        let grid = Grid::over(bounds(), 100.0);
        let whole = Geometry::Polygon(Polygon::new(ring(104.0, 30.6, 104.2, 30.8), vec![]));
        let all = count(&grid.fill(&whole));
        assert!(all <= grid.len() && all as f64 > 0.98 * grid.len() as f64, "{all}");
        let hole = ring(104.05, 30.65, 104.15, 30.75);
        let holed = Polygon::new(ring(104.0, 30.6, 104.2, 30.8), vec![hole.clone()]);
        let inner = Geometry::Polygon(Polygon::new(hole, vec![]));
        let left = count(&grid.fill(&Geometry::Polygon(holed)));
        assert_eq!(left + count(&grid.fill(&inner)), all);
        let two = MultiPolygon(vec![
            Polygon::new(ring(104.0, 30.6, 104.1, 30.8), vec![]),
            Polygon::new(ring(104.1, 30.6, 104.2, 30.8), vec![]),
        ]);
        assert_eq!(count(&grid.fill(&Geometry::MultiPolygon(two))), all);
        let beyond = Geometry::Polygon(Polygon::new(ring(103.0, 29.0, 106.0, 32.0), vec![]));
        assert_eq!(count(&grid.fill(&beyond)), grid.len(), "cut at the edge");
    }

    #[test]
    fn a_large_area_has_larger_cells() {
        let city = Bounds { west: 102.99, south: 30.09, east: 104.90, north: 31.44 };
        let grid = Grid::over(city, 100.0);
        assert_eq!(grid.cell_m, 200.0);
        assert!(grid.len() <= CELLS_MAX);
        let world = Bounds { west: -180.0, south: -90.0, east: 180.0, north: 90.0 };
        assert!(Grid::over(world, 10.0).len() <= CELLS_MAX);
        let point = Bounds { west: 104.0, south: 30.0, east: 104.0, north: 30.0 };
        assert_eq!(Grid::over(point, 100.0).len(), 1);
    }

    #[test]
    fn a_cell_is_found_by_its_centre() {
        let grid = Grid::over(bounds(), 100.0);
        for cell in [0, grid.columns - 1, grid.len() / 2, grid.len() - 1] {
            let (lon, lat) = grid.centre(cell);
            assert_eq!(grid.cell(lon, lat), Some(cell));
        }
        assert_eq!(grid.cell(103.9, 30.7), None);
    }
}
