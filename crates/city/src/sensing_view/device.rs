//! One device's page: what it is, where it was, what it measures, who may see it, what was done
//! to it.

use catalog::Session;
use chrono::{DateTime, Utc};
use pack::Text;
use serde_json::Value;

use super::devices::{COLUMNS, Device, devices_of};
use super::{DATASTREAM_STATE, DEVICE_STATE, THING, count_of, integer};
use crate::sta::table::Table;
use crate::{City, CityError};

/// Datastreams of one device that are listed.
const STREAMS_MAX: usize = 500;
/// Versions of its row, and places where it was: the newest.
const VERSIONS_MAX: usize = 100;
/// Organisations that were granted the dataset and are named.
const GRANTED_MAX: usize = 100;
/// Registers that tell where a Thing was.
const PLACES: [&str; 3] =
    ["sensing.historical_location", "sensing.historical_location_place", "sensing.location"];

/// A Datastream as it stands.
#[derive(Debug, Clone)]
pub struct StreamOf {
    pub id: i64,
    pub name: String,
    pub unit: Option<String>,
    pub observed_property: Option<String>,
    pub state: String,
    pub period_s: Option<f64>,
    /// µs since 1970.
    pub newest_us: Option<i64>,
    pub result: Option<f64>,
    pub flags: Option<i64>,
    pub count: u64,
    pub flagged: u64,
}

/// A version of its row in the register.
#[derive(Debug, Clone)]
pub struct DeviceVersion {
    pub version: i64,
    pub at: DateTime<Utc>,
    pub by: String,
    pub reason: String,
    /// `created`, `changed` or `deleted`.
    pub kind: String,
}

/// Where it has been since when.
#[derive(Debug, Clone)]
pub struct Whereabouts {
    /// µs since 1970.
    pub since_us: i64,
    pub name: Option<String>,
    /// A geometry of GeoJSON; none where it was told in another encoding.
    pub location: Option<Value>,
}

#[derive(Debug)]
pub struct DevicePage {
    pub device: Device,
    pub description: String,
    pub properties: Value,
    /// GeoJSON.
    pub location: Option<Value>,
    pub datastreams: Vec<StreamOf>,
    /// Newest first.
    pub history: Vec<DeviceVersion>,
    /// Newest first.
    pub places: Vec<Whereabouts>,
    pub visible_to: Vec<Text>,
    pub gateway: Option<(i64, String)>,
}

fn everybody() -> Text {
    Text { zh: "全市各部门".to_owned(), en: "Every department of the city".to_owned() }
}

fn read(text: Option<String>) -> Value {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
}

/// The geometry of a place: the place itself, or that of a feature.
fn placed(location: Value) -> Option<Value> {
    let Value::Object(mut members) = location else { return None };
    match members.get("type").and_then(Value::as_str) {
        Some("Feature") => members.remove("geometry").filter(Value::is_object),
        Some(_) if members.contains_key("coordinates") || members.contains_key("geometries") => {
            Some(Value::Object(members))
        }
        _ => None,
    }
}

/// GeoJSON, to seven decimals of a degree: a centimetre.
fn geojson(wkb: &[u8]) -> Option<Value> {
    const DECIMALS: f64 = 1e7;
    let rounded = |degrees: f64| (degrees * DECIMALS).round() / DECIMALS;
    let turn = |lon: f64, lat: f64| (rounded(lon), rounded(lat));
    let mut text = String::new();
    spatial::geojson(wkb, &turn, &mut text).then(|| serde_json::from_str(&text).ok())?
}

fn stream_of(table: &Table, row: usize) -> Option<StreamOf> {
    Some(StreamOf {
        id: table.integer("datastream", row)?,
        name: table.text("name", row).unwrap_or_default(),
        unit: table.text("unit", row),
        observed_property: table.text("observed_property", row),
        state: table.text("state", row).unwrap_or_default(),
        period_s: table.number("period_s", row),
        newest_us: table.instant("newest_at", row),
        result: table.number("result", row),
        flags: table.integer("flags", row),
        count: count_of(table, "readings", row),
        flagged: count_of(table, "flagged", row),
    })
}

impl City {
    /// The page of a device that the session sees.
    pub async fn device(&self, session: &Session, thing: i64) -> Result<DevicePage, CityError> {
        let none = || CityError::NotFound(format!("there is no device {thing}"));
        let params = [integer(thing)];
        let sql = format!("SELECT {COLUMNS} FROM sensing.device_state WHERE thing = $1 LIMIT 1");
        let found = self.sensed(session, &[DEVICE_STATE], &sql, &params).await?;
        let device = devices_of(&found).pop().ok_or_else(none)?;
        let sql = "SELECT description, properties, geometry FROM sensing.thing WHERE id = $1";
        let row = self.sensed(session, &[THING], sql, &params).await?;
        let gateways: Vec<i64> = device.gateway.into_iter().collect();
        let gateway = self.things_called(session, &gateways).await?.pop_first();
        Ok(DevicePage {
            description: row.text("description", 0).unwrap_or_default(),
            properties: read(row.text("properties", 0)),
            location: row.bytes("geometry", 0).and_then(|wkb| geojson(&wkb)),
            datastreams: self.streams_of(session, thing).await?,
            history: self.device_history(session, thing).await?,
            places: self.places_of(session, thing).await?,
            visible_to: self.visible_to(&device).await?,
            gateway,
            device,
        })
    }

    async fn streams_of(&self, session: &Session, thing: i64) -> Result<Vec<StreamOf>, CityError> {
        let sql = format!(
            "SELECT CAST(datastream AS BIGINT) AS datastream, name, unit, observed_property, \
             state, CAST(period_s AS DOUBLE) AS period_s, newest_at, \
             TRY_CAST(result AS DOUBLE) AS result, CAST(flags AS BIGINT) AS flags, \
             CAST(\"count\" AS BIGINT) AS readings, CAST(flagged AS BIGINT) AS flagged \
             FROM sensing.datastream_state WHERE thing = $1 ORDER BY datastream \
             LIMIT {STREAMS_MAX}"
        );
        let table = self.sensed(session, &[DATASTREAM_STATE], &sql, &[integer(thing)]).await?;
        Ok((0..table.len()).filter_map(|row| stream_of(&table, row)).collect())
    }

    async fn device_history(
        &self,
        session: &Session,
        thing: i64,
    ) -> Result<Vec<DeviceVersion>, CityError> {
        let (contract, access) = match self.access_to(session, THING).await {
            Ok(seen) => seen,
            Err(CityError::NotFound(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let versions = self.row_history(session, contract, &access, &thing.to_string()).await?;
        let versions = versions.into_iter().take(VERSIONS_MAX).map(|version| DeviceVersion {
            version: version.version,
            at: version.at,
            by: version.by,
            reason: version.reason,
            kind: version.kind,
        });
        Ok(versions.collect())
    }

    async fn places_of(
        &self,
        session: &Session,
        thing: i64,
    ) -> Result<Vec<Whereabouts>, CityError> {
        let sql = format!(
            "SELECT h.\"time\" AS since, l.name AS name, l.location AS location \
             FROM sensing.historical_location AS h \
             JOIN sensing.historical_location_place AS p ON p.historical_location = h.id \
             JOIN sensing.location AS l ON l.id = p.location \
             WHERE h.thing = $1 ORDER BY h.\"time\" DESC LIMIT {VERSIONS_MAX}"
        );
        let table = self.sensed(session, &PLACES, &sql, &[integer(thing)]).await?;
        let place = |row: usize| {
            Some(Whereabouts {
                since_us: table.instant("since", row)?,
                name: table.text("name", row),
                location: placed(read(table.text("location", row))),
            })
        };
        Ok((0..table.len()).filter_map(place).collect())
    }

    /// Its owner, who runs the platform, everybody where it is open, and who was granted Things.
    async fn visible_to(&self, device: &Device) -> Result<Vec<Text>, CityError> {
        let mut seers: Vec<Text> =
            device.owner.iter().map(|owner| self.organisation_called(owner)).collect();
        let platform = self.organisation_called(&self.contract(THING)?.owner);
        if !seers.contains(&platform) {
            seers.push(platform);
        }
        if device.sharing.as_deref() == Some("open") {
            seers.push(everybody());
        }
        let grants = self.sharing().all_active_grants(THING, Utc::now()).await?;
        for grant in grants.iter().filter(|grant| grant.row_filter.is_none()).take(GRANTED_MAX) {
            let granted = self.organisation_called(&grant.organisation);
            if !seers.contains(&granted) {
                seers.push(granted);
            }
        }
        Ok(seers)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_a_geometry_or_nothing() {
        let point = json!({"type": "Point", "coordinates": [104.0, 30.6]});
        assert_eq!(placed(point.clone()), Some(point.clone()));
        let feature = json!({"type": "Feature", "properties": {}, "geometry": point.clone()});
        assert_eq!(placed(feature), Some(point));
        let wrongs = [
            json!("on the roof"),
            json!(null),
            json!({"type": "Feature", "geometry": null}),
            json!({"address": "1"}),
        ];
        for wrong in wrongs {
            assert_eq!(placed(wrong.clone()), None, "{wrong}");
        }
    }
}
