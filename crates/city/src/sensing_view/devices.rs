//! Devices as rows of `sensing.device_state`: read, narrowed, paged.

use catalog::Session;

use super::{Conditions, DEVICE_STATE, count_of, integer, text};
use crate::sta::table::Table;
use crate::{City, CityError};

/// What a device can be.
pub const DEVICE_STATES: [&str; 5] = ["registered", "connected", "reporting", "silent", "retired"];

/// What a device is read from.
pub(super) const COLUMNS: &str = "CAST(thing AS BIGINT) AS thing, name, kind, owner, sharing, \
    area_code, network, TRY_CAST(gateway AS BIGINT) AS gateway, state, since, \
    CAST(datastreams AS BIGINT) AS datastreams, newest_at, CAST(period_s AS DOUBLE) AS period_s, \
    CAST(uptime_share AS DOUBLE) AS uptime_share, CAST(valid_share AS DOUBLE) AS valid_share, \
    CAST(battery_percent AS DOUBLE) AS battery_percent, \
    CAST(maintenance_due AS VARCHAR) AS maintenance_due, st_x(geometry) AS lon, \
    st_y(geometry) AS lat";

/// A Thing that has Datastreams.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Device {
    pub thing: i64,
    pub name: String,
    pub kind: Option<String>,
    pub owner: Option<String>,
    pub sharing: Option<String>,
    pub area_code: Option<String>,
    pub network: Option<String>,
    pub gateway: Option<i64>,
    pub state: String,
    /// Times in µs since 1970.
    pub since_us: Option<i64>,
    pub datastreams: u64,
    pub newest_us: Option<i64>,
    pub period_s: Option<f64>,
    pub uptime_share: Option<f64>,
    pub valid_share: Option<f64>,
    pub battery_percent: Option<f64>,
    /// A date.
    pub maintenance_due: Option<String>,
    /// Longitude and latitude, where it stands at a point.
    pub place: Option<[f64; 2]>,
}

/// Which devices.
#[derive(Debug, Clone, Default)]
pub struct DevicesAsked {
    /// Code of an area.
    pub area: Option<String>,
    pub department: Option<String>,
    pub kind: Option<String>,
    pub state: Option<String>,
    /// A part of the name, or the number.
    pub words: Option<String>,
    pub limit: usize,
    /// The last one of the page before.
    pub after: Option<i64>,
}

#[derive(Debug)]
pub struct DevicesPage {
    pub total: u64,
    pub devices: Vec<Device>,
    /// Behind which there are more.
    pub next: Option<i64>,
}

pub(super) fn devices_of(table: &Table) -> Vec<Device> {
    (0..table.len()).filter_map(|row| device_of(table, row)).collect()
}

fn device_of(table: &Table, row: usize) -> Option<Device> {
    let place = table.number("lon", row).zip(table.number("lat", row));
    Some(Device {
        thing: table.integer("thing", row)?,
        name: table.text("name", row).unwrap_or_default(),
        kind: table.text("kind", row),
        owner: table.text("owner", row),
        sharing: table.text("sharing", row),
        area_code: table.text("area_code", row),
        network: table.text("network", row),
        gateway: table.integer("gateway", row),
        state: table.text("state", row).unwrap_or_default(),
        since_us: table.instant("since", row),
        datastreams: count_of(table, "datastreams", row),
        newest_us: table.instant("newest_at", row),
        period_s: table.number("period_s", row),
        uptime_share: table.number("uptime_share", row),
        valid_share: table.number("valid_share", row),
        battery_percent: table.number("battery_percent", row),
        maintenance_due: table.text("maintenance_due", row),
        place: place.map(|(lon, lat)| [lon, lat]),
    })
}

fn conditions(asked: &DevicesAsked) -> Conditions {
    let mut all = Conditions::default();
    if let Some(area) = &asked.area {
        all.with("starts_with(area_code, {})", text(pack::codes::area_prefix(area)));
    }
    if let Some(department) = &asked.department {
        all.with("owner = {}", text(department));
    }
    if let Some(kind) = &asked.kind {
        all.with("kind = {}", text(kind));
    }
    if let Some(state) = &asked.state {
        all.with("state = {}", text(state));
    }
    let words = asked.words.as_deref().map(str::trim).filter(|words| !words.is_empty());
    if let Some(words) = words {
        match words.parse::<i64>() {
            Ok(thing) => {
                all.with("(thing = {} OR ", integer(thing));
                // One condition of two values: the second half is put to the first.
                all.params.push(text(&words.to_lowercase()));
                let half = format!("strpos(lower(name), ${}) > 0)", all.params.len());
                if let Some(last) = all.all.last_mut() {
                    last.push_str(&half);
                }
            }
            Err(_) => all.with("strpos(lower(name), {}) > 0", text(&words.to_lowercase())),
        }
    }
    all
}

impl City {
    /// A page of the devices that the session sees.
    pub async fn devices(
        &self,
        session: &Session,
        asked: &DevicesAsked,
    ) -> Result<DevicesPage, CityError> {
        let mut all = conditions(asked);
        let sql = format!("SELECT count(*) AS n FROM sensing.device_state{}", all.clause());
        let total = self.sensed(session, &[DEVICE_STATE], &sql, &all.params).await?;
        if let Some(after) = asked.after {
            all.with("thing > {}", integer(after));
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM sensing.device_state{} ORDER BY thing LIMIT {}",
            all.clause(),
            asked.limit.saturating_add(1)
        );
        let table = self.sensed(session, &[DEVICE_STATE], &sql, &all.params).await?;
        let mut devices = devices_of(&table);
        let more = devices.len() > asked.limit;
        devices.truncate(asked.limit);
        let next = devices.last().filter(|_| more).map(|device| device.thing);
        Ok(DevicesPage { total: count_of(&total, "n", 0), devices, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_thing_or_a_part_of_a_name() {
        let asked = DevicesAsked {
            area: Some("510104000000".into()),
            words: Some(" 12 ".into()),
            ..DevicesAsked::default()
        };
        let all = conditions(&asked);
        assert_eq!(
            all.clause(),
            " WHERE starts_with(area_code, $1) AND (thing = $2 OR strpos(lower(name), $3) > 0)"
        );
        assert_eq!(all.params, [text("510104"), integer(12), text("12")]);
        let asked = DevicesAsked { words: Some("楼顶 A".into()), ..DevicesAsked::default() };
        assert_eq!(conditions(&asked).params, [text("楼顶 a")]);
    }
}
