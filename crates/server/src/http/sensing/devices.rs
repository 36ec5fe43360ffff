//! Devices: a page of them, and one with all that belongs to it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use city::{DEVICE_STATES, Device, DevicePage, DevicesAsked};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{Http, area, code, invalid, moment};
use crate::fault::Fault;
use crate::http::datasets::Names;
use crate::http::input::{Asked, Named, Who};
use crate::http::problem::Problem;
use crate::limits::SEARCH_CHARS_MAX;

/// Devices of a page.
const DEVICES_MAX: usize = 1_000;
/// The same where none are asked for.
const DEVICES_DEFAULT: usize = 100;

/// Which devices.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DevicesQuery {
    /// Code of an area.
    area: Option<String>,
    /// The owner.
    department: Option<String>,
    kind: Option<String>,
    /// `registered`, `connected`, `reporting`, `silent` or `retired`.
    state: Option<String>,
    /// A part of the name, or the number.
    q: Option<String>,
    /// Up to 1,000; 100 where it is left out.
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<i64>,
}

/// A Thing that has Datastreams.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceView {
    pub thing: i64,
    pub name: String,
    #[schema(example = "air")]
    pub kind: Option<String>,
    pub owner: Option<String>,
    /// `own` or `open`.
    pub sharing: Option<String>,
    pub area_code: Option<String>,
    pub network: Option<String>,
    /// The Thing that carries its connection.
    pub gateway: Option<i64>,
    /// `registered`, `connected`, `reporting`, `silent` or `retired`.
    pub state: String,
    /// Since when it is that.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<DateTime<Utc>>,
    pub datastreams: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub newest_at: Option<DateTime<Utc>>,
    pub period_s: Option<f64>,
    pub uptime_share: Option<f64>,
    pub valid_share: Option<f64>,
    pub battery_percent: Option<f64>,
    #[schema(value_type = Option<String>, format = Date)]
    pub maintenance_due: Option<String>,
    /// Longitude and latitude, where it stands at a point.
    #[schema(value_type = Option<Vec<f64>>)]
    pub geometry: Option<[f64; 2]>,
}

/// A page of devices.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceList {
    /// All that fit, those of other pages included.
    pub total: u64,
    pub devices: Vec<DeviceView>,
    /// For `after`, where there are more.
    pub next: Option<i64>,
}

/// A Datastream as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamView {
    pub id: i64,
    pub name: String,
    pub unit: Option<String>,
    pub observed_property: Option<String>,
    pub state: String,
    pub period_s: Option<f64>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub newest_at: Option<DateTime<Utc>>,
    pub result: Option<f64>,
    /// Bits: 1 range, 2 rate, 4 stuck, 8 spike, 16 unit, 32 clock, 64 late.
    pub flags: Option<i64>,
    pub count: u64,
    pub flagged: u64,
}

/// A version of the device's row.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceVersionView {
    #[schema(value_type = String, format = DateTime)]
    pub at: DateTime<Utc>,
    pub version: i64,
    pub by: String,
    pub reason: String,
    /// `created`, `changed` or `deleted`.
    pub kind: String,
}

/// Where it has been.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlaceView {
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<DateTime<Utc>>,
    pub name: Option<String>,
    /// A geometry of GeoJSON; null where it was told in another encoding.
    #[schema(value_type = Option<Object>)]
    pub location: Option<Value>,
}

/// The Thing that carries a device's connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct GatewayView {
    pub thing: i64,
    pub name: String,
}

/// One device.
#[derive(Debug, Serialize, ToSchema)]
pub struct DevicePageView {
    pub device: DeviceView,
    pub description: String,
    #[schema(value_type = Object)]
    pub properties: Value,
    /// GeoJSON.
    #[schema(value_type = Option<Object>)]
    pub location: Option<Value>,
    pub datastreams: Vec<StreamView>,
    /// Newest first.
    pub history: Vec<DeviceVersionView>,
    /// Newest first.
    pub places: Vec<PlaceView>,
    /// Organisations that see it.
    pub visible_to: Vec<Names>,
    pub gateway: Option<GatewayView>,
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        Self {
            thing: device.thing,
            name: device.name,
            kind: device.kind,
            owner: device.owner,
            sharing: device.sharing,
            area_code: device.area_code,
            network: device.network,
            gateway: device.gateway,
            state: device.state,
            since: moment(device.since_us),
            datastreams: device.datastreams,
            newest_at: moment(device.newest_us),
            period_s: device.period_s,
            uptime_share: device.uptime_share,
            valid_share: device.valid_share,
            battery_percent: device.battery_percent,
            maintenance_due: device.maintenance_due,
            geometry: device.place,
        }
    }
}

impl From<DevicePage> for DevicePageView {
    fn from(page: DevicePage) -> Self {
        let datastreams = page.datastreams.into_iter().map(|stream| StreamView {
            id: stream.id,
            name: stream.name,
            unit: stream.unit,
            observed_property: stream.observed_property,
            state: stream.state,
            period_s: stream.period_s,
            newest_at: moment(stream.newest_us),
            result: stream.result,
            flags: stream.flags,
            count: stream.count,
            flagged: stream.flagged,
        });
        let history = page.history.into_iter().map(|version| DeviceVersionView {
            at: version.at,
            version: version.version,
            by: version.by,
            reason: version.reason,
            kind: version.kind,
        });
        let places = page.places.into_iter().map(|place| PlaceView {
            since: moment(Some(place.since_us)),
            name: place.name,
            location: place.location,
        });
        Self {
            device: page.device.into(),
            description: page.description,
            properties: page.properties,
            location: page.location,
            datastreams: datastreams.collect(),
            history: history.collect(),
            places: places.collect(),
            visible_to: page.visible_to.iter().map(Into::into).collect(),
            gateway: page.gateway.map(|(thing, name)| GatewayView { thing, name }),
        }
    }
}

fn asked_for(asked: DevicesQuery) -> Result<DevicesAsked, Fault> {
    let limit = asked.limit.unwrap_or(DEVICES_DEFAULT);
    if !(1..=DEVICES_MAX).contains(&limit) {
        return Err(invalid(format!("a page has 1 to {DEVICES_MAX} devices")));
    }
    let state = asked.state.filter(|state| !state.is_empty());
    if state.as_ref().is_some_and(|state| !DEVICE_STATES.contains(&state.as_str())) {
        return Err(invalid(format!("a device is one of {}", DEVICE_STATES.join(", "))));
    }
    if asked.q.as_ref().is_some_and(|words| words.chars().count() > SEARCH_CHARS_MAX) {
        return Err(invalid(format!("`q` has at most {SEARCH_CHARS_MAX} characters")));
    }
    Ok(DevicesAsked {
        area: area(asked.area)?,
        department: code("department", asked.department)?,
        kind: code("kind", asked.kind)?,
        state,
        words: asked.q,
        limit,
        after: asked.after,
    })
}

/// The devices that one sees, in the order of their numbers.
#[utoipa::path(
    get, path = "/api/sensing/devices", tag = "sensing", security(("token" = [])),
    params(DevicesQuery),
    responses((status = 200, body = DeviceList), (status = 400, body = Problem), (status = 401, body = Problem))
)]
pub async fn list(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<DevicesQuery>,
) -> Result<Json<DeviceList>, Fault> {
    let page = http.city.devices(&who.session(), &asked_for(asked)?).await?;
    Ok(Json(DeviceList {
        total: page.total,
        devices: page.devices.into_iter().map(Into::into).collect(),
        next: page.next,
    }))
}

/// One device with its Datastreams, where it was, what was done to it and who sees it.
#[utoipa::path(
    get, path = "/api/sensing/devices/{thing}", tag = "sensing", security(("token" = [])),
    params(("thing" = i64, Path, example = 1)),
    responses((status = 200, body = DevicePageView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn page(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(thing): Named<i64>,
) -> Result<Json<DevicePageView>, Fault> {
    Ok(Json(http.city.device(&who.session(), thing).await?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(state: Option<&str>, limit: Option<usize>) -> DevicesQuery {
        DevicesQuery {
            area: None,
            department: None,
            kind: None,
            state: state.map(str::to_owned),
            q: None,
            limit,
            after: None,
        }
    }

    #[test]
    fn a_page_is_bounded_and_a_state_one_of_five() {
        assert_eq!(asked_for(query(None, None)).unwrap().limit, 100);
        assert!(asked_for(query(Some("silent"), Some(1_000))).is_ok());
        assert!(asked_for(query(Some("asleep"), None)).is_err());
        assert!(asked_for(query(None, Some(0))).is_err());
        assert!(asked_for(query(None, Some(1_001))).is_err());
    }
}
