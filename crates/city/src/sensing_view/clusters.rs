//! Devices on a map: clustered by cells of the screen, and one by one where they stand alone or
//! the map is near enough.

use std::collections::BTreeMap;

use catalog::Session;

use super::devices::{COLUMNS, Device, devices_of};
use super::{Conditions, DEVICE_STATE, count_of, integer, number, text};
use crate::sta::table::Table;
use crate::{City, CityError};

/// As near as a map goes.
pub const MAP_ZOOM_MAX: u8 = 22;
/// From here on devices are shown one by one.
const ZOOM_OF_DEVICES: u8 = 16;
/// The side of a cell on the screen.
const CELL_PX: f64 = 60.0;
/// A tile's side on the screen.
const TILE_PX: f64 = 256.0;
/// Cells by state that one map shows.
const GROUPS_MAX: usize = 20_000;
/// Devices that one map shows one by one.
const DEVICES_MAX: usize = 2_000;

/// What of which map.
#[derive(Debug, Clone, Default)]
pub struct MapAsked {
    /// West, south, east, north in degrees.
    pub bounds: [f64; 4],
    pub zoom: u8,
    pub kind: Option<String>,
    pub department: Option<String>,
}

/// Devices that stand close together on the screen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cluster {
    /// The middle of all of them.
    pub lon: f64,
    pub lat: f64,
    pub count: u64,
    pub states: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
pub struct SensorMap {
    pub clusters: Vec<Cluster>,
    pub devices: Vec<Device>,
}

/// Devices of one state in one cell.
#[derive(Debug, Clone)]
struct Group {
    cell: (i64, i64),
    state: String,
    count: u64,
    lon: f64,
    lat: f64,
    /// One of them.
    thing: i64,
}

/// Clusters of two and more, and those that stand alone with their numbers.
fn clustered(groups: Vec<Group>) -> (Vec<Cluster>, Vec<(Cluster, i64)>) {
    let mut cells: BTreeMap<(i64, i64), (Cluster, i64)> = BTreeMap::new();
    for group in groups {
        let (cluster, thing) = cells.entry(group.cell).or_default();
        let count = cluster.count + group.count;
        let share = group.count as f64 / count.max(1) as f64;
        cluster.lon += (group.lon - cluster.lon) * share;
        cluster.lat += (group.lat - cluster.lat) * share;
        cluster.count = count;
        *cluster.states.entry(group.state).or_default() += group.count;
        *thing = group.thing;
    }
    let (alone, together): (Vec<_>, Vec<_>) =
        cells.into_values().partition(|(cluster, _)| cluster.count == 1);
    (together.into_iter().map(|(cluster, _)| cluster).collect(), alone)
}

/// Cells along a side of the world.
fn cells_across(zoom: u8) -> f64 {
    TILE_PX * 2_f64.powi(i32::from(zoom)) / CELL_PX
}

fn groups_sql(conditions: &Conditions, zoom: u8) -> String {
    let across = cells_across(zoom);
    // Web Mercator, EPSG:3857, as a share of the world from its north-western corner.
    format!(
        "SELECT floor((lon + 180.0) / 360.0 * {across:?}) AS x, \
         floor((1.0 - ln(tan(radians(lat)) + 1.0 / cos(radians(lat))) / pi()) / 2.0 * {across:?}) \
         AS y, state, count(*) AS n, avg(lon) AS lon, avg(lat) AS lat, min(thing) AS thing \
         FROM (SELECT CAST(thing AS BIGINT) AS thing, state, st_x(geometry) AS lon, \
         st_y(geometry) AS lat FROM sensing.device_state{}) AS places \
         GROUP BY 1, 2, 3 LIMIT {}",
        conditions.clause(),
        GROUPS_MAX + 1
    )
}

fn group_of(table: &Table, row: usize) -> Option<Group> {
    Some(Group {
        cell: (cell(table.number("x", row)?), cell(table.number("y", row)?)),
        state: table.text("state", row).unwrap_or_default(),
        count: count_of(table, "n", row),
        lon: table.number("lon", row)?,
        lat: table.number("lat", row)?,
        thing: table.integer("thing", row)?,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "the conversion saturates")]
fn cell(share: f64) -> i64 {
    share as i64
}

fn conditions(asked: &MapAsked) -> Conditions {
    let [west, south, east, north] = asked.bounds;
    let mut all = Conditions::default();
    all.with("st_x(geometry) >= {}", number(west));
    all.with("st_x(geometry) <= {}", number(east));
    all.with("st_y(geometry) >= {}", number(south.max(-spatial::LATITUDE_MAX)));
    all.with("st_y(geometry) <= {}", number(north.min(spatial::LATITUDE_MAX)));
    if let Some(kind) = &asked.kind {
        all.with("kind = {}", text(kind));
    }
    if let Some(department) = &asked.department {
        all.with("owner = {}", text(department));
    }
    all
}

impl City {
    /// The devices within bounds that the session sees, as a map of this zoom shows them.
    pub async fn sensor_map(
        &self,
        session: &Session,
        asked: &MapAsked,
    ) -> Result<SensorMap, CityError> {
        let conditions = conditions(asked);
        if asked.zoom >= ZOOM_OF_DEVICES {
            let devices = self.devices_by(session, &conditions, DEVICES_MAX + 1).await?;
            if devices.len() <= DEVICES_MAX {
                return Ok(SensorMap { clusters: Vec::new(), devices });
            }
        }
        let sql = groups_sql(&conditions, asked.zoom);
        let table = self.sensed(session, &[DEVICE_STATE], &sql, &conditions.params).await?;
        if table.len() > GROUPS_MAX {
            let reason = "the bounds are too large for this zoom: ask for a part of them";
            return Err(CityError::Invalid(reason.to_owned()));
        }
        let groups = (0..table.len()).filter_map(|row| group_of(&table, row)).collect();
        let (mut clusters, mut alone) = clustered(groups);
        // Where more stand alone than are told of by name, the rest are clusters of one.
        let beyond = alone.split_off(alone.len().min(DEVICES_MAX));
        clusters.extend(beyond.into_iter().map(|(cluster, _)| cluster));
        let mut one_by_one = Conditions::default();
        one_by_one.within("thing", alone.iter().map(|(_, thing)| integer(*thing)));
        let devices = match alone.is_empty() {
            true => Vec::new(),
            false => self.devices_by(session, &one_by_one, DEVICES_MAX).await?,
        };
        Ok(SensorMap { clusters, devices })
    }

    async fn devices_by(
        &self,
        session: &Session,
        conditions: &Conditions,
        count_max: usize,
    ) -> Result<Vec<Device>, CityError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM sensing.device_state{} ORDER BY thing LIMIT {count_max}",
            conditions.clause()
        );
        let table = self.sensed(session, &[DEVICE_STATE], &sql, &conditions.params).await?;
        Ok(devices_of(&table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(cell: (i64, i64), state: &str, count: u64, lon: f64, thing: i64) -> Group {
        Group { cell, state: state.to_owned(), count, lon, lat: 30.0, thing }
    }

    #[test]
    fn states_of_a_cell_are_one_cluster() {
        let (clusters, alone) = clustered(vec![
            group((0, 0), "reporting", 3, 104.0, 1),
            group((0, 0), "silent", 1, 104.4, 9),
            group((1, 0), "silent", 1, 104.5, 7),
        ]);
        let [cluster] = &clusters[..] else { panic!("{clusters:?}") };
        assert_eq!(
            (cluster.count, cluster.states["reporting"], cluster.states["silent"]),
            (4, 3, 1)
        );
        assert!((cluster.lon - 104.1).abs() < 1e-9 && (cluster.lat - 30.0).abs() < 1e-9);
        let [(one, 7)] = &alone[..] else { panic!("{alone:?}") };
        assert_eq!((one.count, one.states["silent"]), (1, 1));
    }

    #[test]
    fn a_cell_is_sixty_pixels_wide() {
        assert!((cells_across(0) - 256.0 / 60.0).abs() < 1e-9);
        assert!((cells_across(10) / cells_across(9) - 2.0).abs() < 1e-9);
        let asked = MapAsked { bounds: [103.0, 30.0, 105.0, 31.0], zoom: 9, ..MapAsked::default() };
        let sql = groups_sql(&conditions(&asked), asked.zoom);
        assert!(sql.contains("WHERE st_x(geometry) >= $1 AND st_x(geometry) <= $2"), "{sql}");
    }
}
