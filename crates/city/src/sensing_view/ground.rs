//! What is to be covered: the key areas' cells on one grid, and how many people live in each cell.
//!
//! Outlines and people come from the dataset that the pack's map names for its areas. The people of
//! the smallest areas that are known are spread evenly over their cells; nobody knows better.

use catalog::Session;
use geo_types::{Geometry, LineString, Polygon};
use pack::{AreaFields, KeyArea, Text};

use super::grid::{Bounds, Grid, rings_of};
use super::{Conditions, text};
use crate::objects::{quoted, quoted_table};
use crate::sta::table::{Table, geometry};
use crate::{City, CityError};

/// Areas whose people are spread, at most; where there are more, larger ones are taken.
const PEOPLED_AREAS_MAX: u64 = 25_000;
/// Areas that know fewer of the people than this are passed over for larger ones.
const PEOPLE_SHARE_MIN: f64 = 0.9;
/// Outlines of key areas.
const OUTLINES_MAX: usize = 1_000;
/// Levels of areas, the smallest first. Micro grids are smaller than a cell.
const LEVELS: [&str; 4] = ["grid", "community", "street", "district"];
/// Sides of cells, metres: a tenth of the range, within these.
const CELL_M_MIN: f64 = 10.0;
const CELL_M_MAX: f64 = 100.0;

/// One key area on the ground.
#[derive(Debug)]
pub(super) struct GroundArea {
    pub id: String,
    pub title: Text,
    pub cells: Vec<usize>,
}

/// All key areas.
#[derive(Debug)]
pub(super) struct Ground {
    pub grid: Grid,
    pub areas: Vec<GroundArea>,
    /// Every cell of any of them, once.
    pub cells: Vec<usize>,
    /// People of each cell of the grid.
    pub people: Vec<f64>,
    /// Whether anything is known of people.
    pub peopled: bool,
}

/// What the ground is made from.
#[derive(Debug, Default)]
pub(super) struct Outlines {
    /// Of each key area, by its place in the pack.
    areas: Vec<(KeyArea, Vec<Geometry<f64>>)>,
    /// Of areas with people.
    people: Vec<(Geometry<f64>, f64)>,
}

/// The side of a cell for sensors that reach so far.
pub(super) fn cell_m(range_m: f64) -> f64 {
    (range_m / 10.0).clamp(CELL_M_MIN, CELL_M_MAX)
}

impl Ground {
    /// Keeps a processor busy for a while.
    pub fn of(outlines: Outlines, cell_m: f64) -> Self {
        let mut bounds = Bounds::EMPTY;
        for outline in outlines.areas.iter().flat_map(|(_, outlines)| outlines) {
            let mut rings = Vec::new();
            rings_of(outline, &mut rings);
            for at in rings.into_iter().flat_map(|ring| ring.coords()) {
                bounds.add(at.x, at.y);
            }
        }
        if bounds.is_empty() {
            // Nobody knows where they are: a grid of one cell that belongs to nothing.
            bounds = Bounds { west: 0.0, south: 0.0, east: 0.0, north: 0.0 };
        }
        let grid = Grid::over(bounds, cell_m);
        let mut people = vec![0.0; grid.len()];
        let mut peopled = false;
        for (outline, count) in &outlines.people {
            peopled |= spread(&grid, outline, *count, &mut people);
        }
        let areas = outlines.areas.into_iter().map(|(area, outlines)| {
            let mut cells: Vec<usize> = outlines
                .iter()
                .flat_map(|outline| grid.fill(outline))
                .flat_map(|span| grid.cells(span))
                .collect();
            sorted_once(&mut cells);
            GroundArea { id: area.id, title: area.title, cells }
        });
        let areas: Vec<GroundArea> = areas.collect();
        let mut cells: Vec<usize> =
            areas.iter().flat_map(|area| area.cells.iter().copied()).collect();
        sorted_once(&mut cells);
        Self { grid, areas, cells, people, peopled }
    }
}

/// Areas of one level of which is known how many people live there.
#[derive(Debug)]
struct Level {
    name: String,
    count: u64,
    people: f64,
}

/// The smallest areas that tell of nearly everybody: where only some of them are known, larger
/// ones know more.
fn smallest(levels: &[Level]) -> Option<&'static str> {
    let of = |name: &str| levels.iter().find(|level| level.name == name);
    let everybody = LEVELS.iter().filter_map(|name| of(name)).map(|level| level.people);
    let enough = everybody.fold(0.0, f64::max) * PEOPLE_SHARE_MIN;
    LEVELS.into_iter().find(|name| {
        of(name).is_some_and(|level| {
            (1..=PEOPLED_AREAS_MAX).contains(&level.count) && level.people >= enough
        })
    })
}

fn sorted_once(cells: &mut Vec<usize>) {
    cells.sort_unstable();
    cells.dedup();
}

/// Spreads people evenly over an outline's cells. One that is smaller than a cell has the cell
/// that its first corner lies in. True: some of them are on the grid.
fn spread(grid: &Grid, outline: &Geometry<f64>, count: f64, people: &mut [f64]) -> bool {
    let mut cells: Vec<usize> =
        grid.fill(outline).into_iter().flat_map(|span| grid.cells(span)).collect();
    if cells.is_empty() {
        let mut rings = Vec::new();
        rings_of(outline, &mut rings);
        let corner = rings.first().and_then(|ring| ring.coords().next());
        cells.extend(corner.and_then(|corner| grid.cell(corner.x, corner.y)));
    }
    // An area that lies half outside the grid brings the people of its half.
    let inside = share_inside(grid, outline, cells.len());
    let each = count * inside / cells.len().max(1) as f64;
    for cell in &cells {
        people[*cell] += each;
    }
    !cells.is_empty()
}

/// Which share of an outline lies on the grid, from its area and the cells that it has there.
fn share_inside(grid: &Grid, outline: &Geometry<f64>, cells: usize) -> f64 {
    let mut rings = Vec::new();
    rings_of(outline, &mut rings);
    let within = rings.iter().flat_map(|ring| ring.coords()).all(|at| {
        let (x, y) = grid.place(at.x, at.y);
        (0.0..=grid.columns as f64).contains(&x) && (0.0..=grid.rows as f64).contains(&y)
    });
    if within {
        return 1.0;
    }
    (cells as f64 / area(grid, outline).max(1.0)).min(1.0)
}

/// The area of an outline in cells of the grid, whatever way its rings are walked around.
fn area(grid: &Grid, outline: &Geometry<f64>) -> f64 {
    let of = |ring: &LineString<f64>| -> f64 {
        let corners: Vec<(f64, f64)> = ring.coords().map(|at| grid.place(at.x, at.y)).collect();
        let doubled = corners.windows(2).map(|side| side[0].0 * side[1].1 - side[1].0 * side[0].1);
        doubled.sum::<f64>().abs() / 2.0
    };
    let polygon = |polygon: &Polygon<f64>| {
        of(polygon.exterior()) - polygon.interiors().iter().map(of).sum::<f64>()
    };
    match outline {
        Geometry::Polygon(one) => polygon(one),
        Geometry::MultiPolygon(many) => many.iter().map(polygon).sum(),
        Geometry::GeometryCollection(parts) => parts.iter().map(|part| area(grid, part)).sum(),
        _ => 0.0,
    }
}

impl City {
    /// The outlines of the key areas and of areas with people, as far as the session sees them.
    pub(super) async fn outlines(&self, session: &Session) -> Result<Outlines, CityError> {
        let key_areas = &self.pack().sensing.key_areas;
        let fields = self.pack().map.as_ref().and_then(|map| map.areas.as_ref());
        let none = |area: &KeyArea| (area.clone(), Vec::new());
        let Some(fields) = fields else {
            return Ok(Outlines {
                areas: key_areas.iter().map(none).collect(),
                people: Vec::new(),
            });
        };
        let codes = key_areas.iter().flat_map(|area| &area.areas);
        let mut asked = Conditions::default();
        asked.within(&quoted(&fields.code), codes.map(|code| text(code)));
        let sql = format!(
            "SELECT {} AS code, {} AS outline FROM {}{} LIMIT {OUTLINES_MAX}",
            quoted(&fields.code),
            self.outline_field(fields)?,
            quoted_table(&fields.dataset),
            asked.clause()
        );
        let table = self.sensed(session, &[&fields.dataset], &sql, &asked.params).await?;
        let found: Vec<(String, Geometry<f64>)> = (0..table.len())
            .filter_map(|row| Some((table.text("code", row)?, outline(&table, row)?)))
            .collect();
        let areas = key_areas.iter().map(|area| {
            let own = found.iter().filter(|(code, _)| area.areas.contains(code));
            (area.clone(), own.map(|(_, outline)| outline.clone()).collect())
        });
        let areas = areas.collect();
        let people = self.peopled(session, fields).await?;
        Ok(Outlines { areas, people })
    }

    fn outline_field(&self, fields: &AreaFields) -> Result<String, CityError> {
        let contract = self.contract(&fields.dataset)?;
        let field = contract.geometry.as_ref().ok_or_else(|| {
            CityError::Invalid(format!("{} has no outlines: see the pack's map", contract.id))
        })?;
        Ok(quoted(field))
    }

    /// The smallest areas of key areas of which is known how many people live there.
    async fn peopled(
        &self,
        session: &Session,
        fields: &AreaFields,
    ) -> Result<Vec<(Geometry<f64>, f64)>, CityError> {
        let Some(people) = fields.people.as_ref().map(|field| quoted(field)) else {
            return Ok(Vec::new());
        };
        let (dataset, level) = (quoted_table(&fields.dataset), quoted(&fields.level));
        let sql = format!(
            "SELECT {level} AS level, count(*) AS n, sum(CAST({people} AS DOUBLE)) AS people \
             FROM {dataset} WHERE {people} > 0 GROUP BY 1"
        );
        let levels = self.sensed(session, &[&fields.dataset], &sql, &[]).await?;
        let level_of = |row: usize| {
            let name = levels.text("level", row)?;
            let count = super::count_of(&levels, "n", row);
            Some(Level { name, count, people: levels.number("people", row)? })
        };
        let found: Vec<Level> = (0..levels.len()).filter_map(level_of).collect();
        let Some(smallest) = smallest(&found) else { return Ok(Vec::new()) };
        let mut asked = Conditions::default();
        asked.with(&format!("{level} = {{}}"), text(smallest));
        asked.plain(&format!("{people} > 0"));
        let sql = format!(
            "SELECT {} AS outline, CAST({people} AS DOUBLE) AS people FROM {dataset}{} \
             LIMIT {PEOPLED_AREAS_MAX}",
            self.outline_field(fields)?,
            asked.clause()
        );
        let table = self.sensed(session, &[&fields.dataset], &sql, &asked.params).await?;
        let rows = 0..table.len();
        Ok(rows
            .filter_map(|row| Some((outline(&table, row)?, table.number("people", row)?)))
            .collect())
    }
}

fn outline(table: &Table, row: usize) -> Option<Geometry<f64>> {
    geometry(&table.bytes("outline", row)?)
}

#[cfg(test)]
pub(super) mod tests {
    use pack::Place;

    use super::super::grid::tests::ring;
    use super::*;

    fn key_area(id: &str) -> KeyArea {
        KeyArea {
            id: id.to_owned(),
            title: Text::default(),
            areas: Vec::new(),
            place: Place::default(),
        }
    }

    fn rectangle(west: f64, south: f64, east: f64, north: f64) -> Geometry<f64> {
        Geometry::Polygon(Polygon::new(ring(west, south, east, north), vec![]))
    }

    /// A western half with 1,000 people and an eastern one with 9,000.
    pub fn halves() -> Ground {
        let west = rectangle(104.0, 30.6, 104.1, 30.8);
        let east = rectangle(104.1, 30.6, 104.2, 30.8);
        let outlines = Outlines {
            areas: vec![
                (key_area("west"), vec![west.clone()]),
                (key_area("both"), vec![west.clone(), east.clone()]),
            ],
            people: vec![(west, 1_000.0), (east, 9_000.0)],
        };
        Ground::of(outlines, 100.0)
    }

    #[test]
    fn nobody_is_lost_where_people_are_spread() {
        let ground = halves();
        let of = |cells: &[usize]| cells.iter().map(|cell| ground.people[*cell]).sum::<f64>();
        assert!((of(&ground.areas[0].cells) - 1_000.0).abs() < 1e-6);
        assert!((of(&ground.areas[1].cells) - 10_000.0).abs() < 1e-6);
        assert_eq!(ground.cells, ground.areas[1].cells, "a cell of two areas counts once");
        assert!(ground.peopled);
        let half = ground.areas[0].cells.len() as f64 / ground.cells.len() as f64;
        assert!((half - 0.5).abs() < 0.01, "{half}");
    }

    #[test]
    fn what_lies_outside_brings_no_people_in() {
        let west = rectangle(104.0, 30.6, 104.1, 30.8);
        let wide = rectangle(104.0, 30.6, 104.2, 30.8);
        let tiny = rectangle(104.05, 30.7, 104.050_001, 30.700_001);
        let outlines = Outlines {
            areas: vec![(key_area("west"), vec![west])],
            people: vec![(wide, 1_000.0), (tiny, 7.0)],
        };
        let ground = Ground::of(outlines, 100.0);
        let all: f64 = ground.people.iter().sum();
        assert!((all - 507.0).abs() < 10.0, "{all}");
    }

    #[test]
    fn areas_that_know_a_few_people_only_are_passed_over() {
        let level =
            |name: &str, count: u64, people: f64| Level { name: name.into(), count, people };
        let all = [level("grid", 3, 50.0), level("street", 260, 9_900.0), level("x", 1, 1e9)];
        assert_eq!(smallest(&all), Some("street"));
        let all = [level("grid", 30_000, 9_800.0), level("district", 20, 1e4)];
        assert_eq!(smallest(&all), Some("district"), "too many grids");
        assert_eq!(smallest(&[level("community", 5, 10.0)]), Some("community"));
        assert_eq!(smallest(&[]), None);
    }

    #[test]
    fn without_outlines_nothing_is_to_be_covered() {
        let outlines = Outlines { areas: vec![(key_area("west"), vec![])], people: vec![] };
        let ground = Ground::of(outlines, 100.0);
        assert!(ground.cells.is_empty() && !ground.peopled);
    }
}
