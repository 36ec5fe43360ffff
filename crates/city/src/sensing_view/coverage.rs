//! How much of the key areas the sensors of a kind cover, where they leave it blind, and where the
//! next ones would help most.
//!
//! ```text
//!  outlines, people ─► Ground ──┐
//!  devices, range ──────────────┴─► Covered ─► shares, blind spots
//!                                      └─► greedy over candidate cells ─► next places, bound
//! ```
//!
//! Only devices that have sent something and are not silent cover: a connected or a reporting one.
//! What was worked out is kept for a while and given to whoever sees the same rows.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use catalog::{Session, Sight};
use pack::Text;
use tokio::sync::Semaphore;

use super::greedy::{Gains, greedy};
use super::ground::{Ground, cell_m};
use super::outline::Mask;
use super::{Conditions, DEVICE_STATE, text};
use crate::{City, CityError};

/// Places that one may ask for at once.
pub const NEXT_MAX: usize = 50;
/// Devices of one kind that are looked at.
const DEVICES_MAX: usize = 1_000_000;
/// Devices that are told of one by one.
const DEVICES_SHOWN_MAX: usize = 5_000;
/// Corners of the blind spots of one key area.
const BLIND_CORNERS_MAX: usize = 8_000;
/// Cells at which a sensor could be put; where there are more, every second, third … is tried.
const CANDIDATES_MAX: usize = 20_000;
/// Coverages that are worked out at once.
const AT_ONCE_MAX: usize = 2;
/// And kept.
const KEPT_MAX: usize = 16;
/// For so long: devices fall silent and come back by the minute.
const KEPT_SECONDS: u64 = 30;

/// A key area and how much of it is covered.
#[derive(Debug, Clone)]
pub struct AreaCovered {
    pub id: String,
    pub title: Text,
    pub area_km2: f64,
    /// None where nothing is known of people.
    pub population: Option<f64>,
    pub covered_km2: f64,
    /// None where the area has no outline.
    pub covered_share: Option<f64>,
    pub covered_population: Option<f64>,
    pub population_share: Option<f64>,
    pub blind: Blind,
}

/// What of a key area is not covered: polygons with holes, as longitude and latitude.
#[derive(Debug, Clone, Default)]
pub struct Blind {
    pub polygons: Vec<Vec<Vec<[f64; 2]>>>,
}

#[derive(Debug)]
pub struct Coverage {
    pub kind: String,
    pub range_m: f64,
    /// The side of the cells that areas are counted in.
    pub cell_m: f64,
    pub areas: Vec<AreaCovered>,
    /// Longitude, latitude, state.
    pub devices: Vec<(f64, f64, String)>,
    /// There are more devices.
    pub cut: bool,
    covered: Covered,
}

/// A place for one more sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct NextPlace {
    pub lon: f64,
    pub lat: f64,
    /// What it adds to those before it.
    pub gain_population: Option<f64>,
    pub gain_km2: f64,
    /// Which share is covered with it and those before it.
    pub total_share: f64,
}

#[derive(Debug)]
pub struct NextPlaces {
    pub kind: String,
    /// What is gained: `population`, or `area` where nothing is known of people.
    pub by: &'static str,
    /// Which share is covered today.
    pub covered_share: f64,
    pub chosen: Vec<NextPlace>,
    /// No other so many of the candidate places cover a larger share.
    pub bound_share: f64,
    /// How many places were weighed.
    pub candidates: usize,
}

#[derive(Debug)]
struct Covered {
    ground: Arc<Ground>,
    /// By cell of the grid.
    cells: Vec<bool>,
}

impl Covered {
    fn of(ground: Arc<Ground>, devices: &[(f64, f64, String)], range_m: f64) -> Self {
        let mut cells = vec![false; ground.grid.len()];
        for (lon, lat, _) in devices.iter().filter(|(_, _, state)| covers(state)) {
            for span in ground.grid.disc(*lon, *lat, range_m) {
                cells[ground.grid.cells(span)].fill(true);
            }
        }
        Self { ground, cells }
    }

    fn areas(&self) -> Vec<AreaCovered> {
        let Ground { grid, areas, people, peopled, .. } = self.ground.as_ref();
        let areas = areas.iter().map(|area| {
            let covered: Vec<usize> =
                area.cells.iter().copied().filter(|cell| self.cells[*cell]).collect();
            let km2 = |count: usize| count as f64 * grid.cell_km2();
            let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
            let (area_km2, covered_km2) = (km2(area.cells.len()), km2(covered.len()));
            // From nought on: the sum of nothing is -0.
            let sum = |cells: &[usize]| cells.iter().fold(0.0, |sum, cell| sum + people[*cell]);
            let (population, covered_population) = (sum(&area.cells), sum(&covered));
            AreaCovered {
                id: area.id.clone(),
                title: area.title.clone(),
                area_km2,
                population: peopled.then_some(population),
                covered_km2,
                covered_share: share(covered_km2, area_km2),
                covered_population: peopled.then_some(covered_population),
                population_share: share(covered_population, population),
                blind: self.blind(&area.cells),
            }
        });
        areas.collect()
    }

    fn blind(&self, cells: &[usize]) -> Blind {
        let grid = &self.ground.grid;
        let mut mask = Mask::empty(grid.columns, grid.rows);
        for cell in cells.iter().filter(|cell| !self.cells[**cell]) {
            mask.set(*cell);
        }
        let found = mask.outlines(BLIND_CORNERS_MAX);
        let corner = |(column, row): (usize, usize)| {
            let (column, row) = ((column * found.step) as f64, (row * found.step) as f64);
            let (lon, lat) = grid.corner(column, row);
            [rounded(lon), rounded(lat)]
        };
        let polygons = found.polygons.iter().map(|polygon| {
            let rings = polygon
                .iter()
                .map(|ring| ring.iter().chain(ring.first()).map(|place| corner(*place)).collect());
            rings.collect()
        });
        Blind { polygons: polygons.collect() }
    }

    /// The places for `k` more sensors.
    fn next(&self, kind: &str, range_m: f64, k: usize) -> NextPlaces {
        let ground = self.ground.as_ref();
        let weight = |cell: usize| if ground.peopled { ground.people[cell] } else { 1.0 };
        let total: f64 = ground.cells.iter().map(|cell| weight(*cell)).sum();
        let share = |weight: f64| if total > 0.0 { (weight / total).min(1.0) } else { 0.0 };
        let covered = ground.cells.iter().filter(|cell| self.cells[**cell]);
        let base = covered.fold(0.0, |sum, cell| sum + weight(*cell));
        let mut field = Field::of(self, range_m);
        let candidates = field.candidates.len();
        let found = greedy(&mut field, candidates, k);
        let mut reached = base;
        // Walked through once more for the cells of each: areas are told beside people.
        let mut places = Field::of(self, range_m);
        let chosen = found.chosen.iter().map(|one| {
            reached += one.gain;
            let (lon, lat) = ground.grid.centre(places.candidates[one.candidate]);
            let km2 = f64::from(places.left_of(one.candidate)) * ground.grid.cell_km2();
            places.take(one.candidate);
            NextPlace {
                lon: rounded(lon),
                lat: rounded(lat),
                gain_population: ground.peopled.then_some(one.gain),
                gain_km2: km2,
                total_share: share(reached),
            }
        });
        NextPlaces {
            kind: kind.to_owned(),
            by: if ground.peopled { "population" } else { "area" },
            covered_share: share(base),
            chosen: chosen.collect(),
            bound_share: share(base + found.bound),
            candidates,
        }
    }
}

/// To a metre.
fn rounded(degrees: f64) -> f64 {
    (degrees * 1e5).round() / 1e5
}

fn covers(state: &str) -> bool {
    matches!(state, "connected" | "reporting")
}

/// What is left to be covered, so that the gain of a disc is a subtraction for each of its rows.
struct Field<'c> {
    ground: &'c Ground,
    range_m: f64,
    /// Cells at which a sensor could stand.
    candidates: Vec<usize>,
    /// Weight and number of the cells left to the west of each, row by row; a row has one more
    /// than it has cells.
    weight: Vec<f64>,
    count: Vec<u32>,
    /// Key cells that are not covered.
    left: Vec<bool>,
}

impl<'c> Field<'c> {
    fn of(covered: &'c Covered, range_m: f64) -> Self {
        let ground = covered.ground.as_ref();
        let grid = &ground.grid;
        let mut left = vec![false; grid.len()];
        for cell in ground.cells.iter().filter(|cell| !covered.cells[**cell]) {
            left[*cell] = true;
        }
        // So few that there are no more than are weighed, evenly over the ground.
        let mut stride = 1;
        while ground.cells.len() / (stride * stride) > CANDIDATES_MAX {
            stride += 1;
        }
        let even = |cell: &usize| {
            (cell % grid.columns) % stride == 0 && (cell / grid.columns) % stride == 0
        };
        let candidates: Vec<usize> =
            ground.cells.iter().copied().filter(even).take(CANDIDATES_MAX).collect();
        let sums = (grid.columns + 1) * grid.rows;
        let (weight, count) = (vec![0.0; sums], vec![0; sums]);
        let mut field = Self { ground, range_m, candidates, weight, count, left };
        (0..grid.rows).for_each(|row| field.sum_up(row));
        field
    }

    /// The sums of a row anew.
    fn sum_up(&mut self, row: usize) {
        let columns = self.ground.grid.columns;
        let first = row * (columns + 1);
        let (mut weight, mut count) = (0.0, 0);
        for column in 0..columns {
            let cell = row * columns + column;
            if self.left[cell] {
                weight += if self.ground.peopled { self.ground.people[cell] } else { 1.0 };
                count += 1;
            }
            self.weight[first + column + 1] = weight;
            self.count[first + column + 1] = count;
        }
    }

    fn disc(&self, candidate: usize) -> Vec<super::grid::Span> {
        let (lon, lat) = self.ground.grid.centre(self.candidates[candidate]);
        self.ground.grid.disc(lon, lat, self.range_m)
    }

    /// How many cells it would cover that are left.
    fn left_of(&self, candidate: usize) -> u32 {
        let columns = self.ground.grid.columns + 1;
        let spans = self.disc(candidate).into_iter();
        let left = spans.map(|span| {
            let first = span.row * columns;
            self.count[first + span.end] - self.count[first + span.start]
        });
        left.sum()
    }
}

impl Gains for Field<'_> {
    fn gain(&self, candidate: usize) -> f64 {
        let columns = self.ground.grid.columns + 1;
        let spans = self.disc(candidate).into_iter();
        let left = spans.map(|span| {
            let first = span.row * columns;
            self.weight[first + span.end] - self.weight[first + span.start]
        });
        left.sum()
    }

    fn take(&mut self, candidate: usize) {
        for span in self.disc(candidate) {
            self.left[self.ground.grid.cells(span)].fill(false);
            self.sum_up(span.row);
        }
    }
}

/// What decides a coverage: what is seen of the devices, and of the areas.
type Sights = [Sight; 2];

#[derive(Debug)]
struct Kept {
    kind: String,
    sights: Sights,
    since: Instant,
    coverage: Arc<Coverage>,
}

/// Coverages that were worked out a moment ago, and places to work out others.
#[derive(Debug)]
pub(crate) struct Coverages {
    kept: Mutex<Vec<Kept>>,
    places: Arc<Semaphore>,
}

impl Default for Coverages {
    fn default() -> Self {
        Self { kept: Mutex::default(), places: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }
}

impl Coverages {
    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().expect("no one panics while holding what is kept")
    }

    fn find(&self, kind: &str, sights: &Sights) -> Option<Arc<Coverage>> {
        let same = |kept: &&Kept| {
            let mut pairs = kept.sights.iter().zip(sights);
            kept.kind == kind
                && kept.since.elapsed() < Duration::from_secs(KEPT_SECONDS)
                && pairs.all(|(one, other)| one.same_rules(other))
        };
        self.lock().iter().find(same).map(|kept| kept.coverage.clone())
    }

    fn keep(&self, kept: Kept) {
        let mut all = self.lock();
        all.retain(|old| old.since.elapsed() < Duration::from_secs(KEPT_SECONDS));
        if all.len() >= KEPT_MAX {
            all.remove(0);
        }
        all.push(kept);
    }
}

impl City {
    /// How much of the key areas the devices of a kind cover that the session sees.
    pub async fn coverage(
        &self,
        session: &Session,
        kind: &str,
    ) -> Result<Arc<Coverage>, CityError> {
        let range = self.pack().sensing.ranges.iter().find(|range| range.kind == kind);
        let range_m = range.map(|range| range.metres).ok_or_else(|| {
            let shown: String = kind.chars().take(32).collect();
            let ranges = &self.pack().sensing.ranges;
            let known: Vec<&str> = ranges.iter().map(|range| range.kind.as_str()).collect();
            CityError::NotFound(format!(
                "the pack says no range of `{shown}`: ask for one of {}",
                known.join(", ")
            ))
        })?;
        let sights = self.coverage_sights(session).await?;
        let kept = |sights: &Option<Sights>| {
            sights.as_ref().and_then(|sights| self.coverages.find(kind, sights))
        };
        if let Some(found) = kept(&sights) {
            return Ok(found);
        }
        let place = self.coverages.places.clone().acquire_owned().await;
        let place = place.map_err(|_| CityError::Busy("the city is closing".to_owned()))?;
        // Somebody else may have worked it out while this one waited.
        if let Some(found) = kept(&sights) {
            return Ok(found);
        }
        let since = Instant::now();
        let outlines = self.outlines(session).await?;
        let (devices, cut) = self.covering(session, kind).await?;
        let called = kind.to_owned();
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            let ground = Arc::new(Ground::of(outlines, cell_m(range_m)));
            let covered = Covered::of(ground, &devices, range_m);
            let (areas, cell_m) = (covered.areas(), covered.ground.grid.cell_m);
            let cut = cut || devices.len() > DEVICES_SHOWN_MAX;
            let devices = devices.into_iter().take(DEVICES_SHOWN_MAX).collect();
            Coverage { kind: called, range_m, cell_m, areas, devices, cut, covered }
        });
        let coverage = Arc::new(work.await.map_err(worked)?);
        if let Some(sights) = sights {
            let (kind, coverage) = (kind.to_owned(), coverage.clone());
            self.coverages.keep(Kept { kind, sights, since, coverage });
        }
        Ok(coverage)
    }

    /// Where the next `k` sensors of a kind would help most.
    pub async fn next_places(
        &self,
        session: &Session,
        kind: &str,
        k: usize,
    ) -> Result<NextPlaces, CityError> {
        if !(1..=NEXT_MAX).contains(&k) {
            return Err(CityError::Invalid(format!("ask for 1 to {NEXT_MAX} places")));
        }
        let coverage = self.coverage(session, kind).await?;
        let place = self.coverages.places.clone().acquire_owned().await;
        let place = place.map_err(|_| CityError::Busy("the city is closing".to_owned()))?;
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            coverage.covered.next(&coverage.kind, coverage.range_m, k)
        });
        work.await.map_err(worked)
    }

    async fn coverage_sights(&self, session: &Session) -> Result<Option<Sights>, CityError> {
        let areas = self.pack().map.as_ref().and_then(|map| map.areas.as_ref());
        let Some(areas) = areas else { return Ok(None) };
        let (devices, areas) = (self.contract(DEVICE_STATE)?, self.contract(&areas.dataset)?);
        let devices = self.catalog().sight(session, devices).await?;
        let areas = self.catalog().sight(session, areas).await?;
        let same_for_all = session.scenario.is_none() && session.as_of.is_none();
        Ok(devices.zip(areas).filter(|_| same_for_all).map(|(devices, areas)| [devices, areas]))
    }

    /// Where the devices of a kind are, and whether there are more.
    async fn covering(
        &self,
        session: &Session,
        kind: &str,
    ) -> Result<(Vec<(f64, f64, String)>, bool), CityError> {
        let mut asked = Conditions::default();
        asked.with("kind = {}", text(kind));
        asked.plain("state <> 'retired'");
        asked.plain("geometry IS NOT NULL");
        let sql = format!(
            "SELECT st_x(geometry) AS lon, st_y(geometry) AS lat, state \
             FROM sensing.device_state{} ORDER BY thing LIMIT {}",
            asked.clause(),
            DEVICES_MAX + 1
        );
        let table = self.sensed(session, &[DEVICE_STATE], &sql, &asked.params).await?;
        let device = |row: usize| {
            let place = table.number("lon", row).zip(table.number("lat", row));
            place.map(|(lon, lat)| (lon, lat, table.text("state", row).unwrap_or_default()))
        };
        let devices = (0..table.len().min(DEVICES_MAX)).filter_map(device).collect();
        Ok((devices, table.len() > DEVICES_MAX))
    }
}

fn worked(error: tokio::task::JoinError) -> CityError {
    CityError::Invalid(format!("the coverage could not be worked out: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::ground::tests::halves;
    use super::*;

    const RANGE_M: f64 = 2_000.0;

    fn covered(devices: &[(f64, f64, &str)]) -> Covered {
        let devices: Vec<(f64, f64, String)> =
            devices.iter().map(|(lon, lat, state)| (*lon, *lat, (*state).to_owned())).collect();
        Covered::of(Arc::new(halves()), &devices, RANGE_M)
    }

    #[test]
    fn one_disc_covers_its_share_of_area_and_people() {
        let found = covered(&[(104.05, 30.7, "reporting"), (104.15, 30.7, "silent")]).areas();
        let [west, both] = &found[..] else { panic!("{found:?}") };
        let disc = std::f64::consts::PI * 4.0;
        assert!((west.covered_km2 / disc - 1.0).abs() < 0.01, "{west:?}");
        let share = west.covered_km2 / west.area_km2;
        assert_eq!(west.covered_share, Some(share));
        assert!((west.population_share.unwrap() - share).abs() < 1e-9, "evenly spread");
        assert_eq!(both.covered_km2, west.covered_km2);
        assert!(both.population_share.unwrap() < west.population_share.unwrap() / 5.0);
        let [polygon] = &west.blind.polygons[..] else { panic!("{:?}", west.blind) };
        assert_eq!(polygon.len(), 2, "what is blind has a hole where the sensor sees");
        assert_eq!(polygon[0].first(), polygon[0].last());
    }

    #[test]
    fn devices_that_are_silent_or_never_spoke_cover_nothing() {
        for state in ["silent", "registered", "retired"] {
            let found = covered(&[(104.05, 30.7, state)]).areas();
            assert_eq!(found[0].covered_km2, 0.0, "{state}");
        }
        assert!(covered(&[(104.05, 30.7, "connected")]).areas()[0].covered_km2 > 0.0);
    }

    #[test]
    fn the_next_sensor_stands_where_people_are() {
        let found = covered(&[]).next("air", RANGE_M, 3);
        assert_eq!((found.by, found.covered_share, found.chosen.len()), ("population", 0.0, 3));
        assert!(found.chosen.iter().all(|place| place.lon > 104.1), "{:?}", found.chosen);
        let disc = std::f64::consts::PI * 4.0;
        assert!((found.chosen[0].gain_km2 / disc - 1.0).abs() < 0.02);
        let gains: Vec<f64> =
            found.chosen.iter().filter_map(|place| place.gain_population).collect();
        assert!(gains.is_sorted_by(|a, b| a + 1e-6 >= *b), "{gains:?}");
        let last = found.chosen[2].total_share;
        assert!(found.bound_share >= last - 1e-12 && found.bound_share < last * 1.01);
    }

    #[test]
    fn where_all_is_covered_there_is_no_next_place() {
        let everywhere: Vec<(f64, f64, &str)> = (0..=12)
            .flat_map(|x| (0..=12).map(move |y| (x, y)))
            .map(|(x, y)| {
                (104.0 + 0.2 * f64::from(x) / 12.0, 30.6 + 0.2 * f64::from(y) / 12.0, "reporting")
            })
            .collect();
        let covered = covered(&everywhere);
        assert!(covered.areas()[1].covered_share.unwrap() > 0.999);
        let found = covered.next("air", RANGE_M, 3);
        assert!(found.chosen.is_empty() && found.covered_share > 0.999, "{found:?}");
    }
}
