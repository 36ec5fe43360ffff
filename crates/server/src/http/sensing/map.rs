//! Devices for a map, clustered on the server.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use city::{Device, MAP_ZOOM_MAX, MapAsked};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Http, code, invalid};
use crate::fault::Fault;
use crate::http::input::{Asked, Who};
use crate::http::problem::Problem;

/// What of which map.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SensorMapQuery {
    /// West, south, east, north in degrees.
    #[param(example = "103.9,30.5,104.2,30.8")]
    bbox: String,
    /// 0 to 22.
    zoom: u8,
    kind: Option<String>,
    /// The owner.
    department: Option<String>,
}

/// Devices that stand close together on the screen.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClusterView {
    /// The middle of all of them.
    pub lon: f64,
    pub lat: f64,
    pub n: u64,
    pub states: BTreeMap<String, u64>,
}

/// A device on a map.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceBrief {
    pub thing: i64,
    pub name: String,
    pub kind: Option<String>,
    pub owner: Option<String>,
    pub state: String,
    /// Longitude and latitude.
    #[schema(value_type = Option<Vec<f64>>)]
    pub geometry: Option<[f64; 2]>,
}

/// What a map shows of the devices: each is in one cluster or is shown alone.
#[derive(Debug, Serialize, ToSchema)]
pub struct SensorMapView {
    pub clusters: Vec<ClusterView>,
    pub devices: Vec<DeviceBrief>,
}

impl From<Device> for DeviceBrief {
    fn from(device: Device) -> Self {
        Self {
            thing: device.thing,
            name: device.name,
            kind: device.kind,
            owner: device.owner,
            state: device.state,
            geometry: device.place,
        }
    }
}

/// West, south, east, north, each beyond the one before it.
fn bounds(text: &str) -> Result<[f64; 4], Fault> {
    let wrong = || invalid("`bbox` is west,south,east,north in degrees");
    let numbers: Vec<f64> = text
        .split(',')
        .take(5)
        .map(|part| part.trim().parse().map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    let [west, south, east, north] = numbers[..] else { return Err(wrong()) };
    let on_earth = (-180.0..=180.0).contains(&west)
        && (-180.0..=180.0).contains(&east)
        && (-90.0..=90.0).contains(&south)
        && (-90.0..=90.0).contains(&north);
    match on_earth && west < east && south < north {
        true => Ok([west, south, east, north]),
        false => Err(wrong()),
    }
}

/// The devices within bounds that one sees, clustered as a map of this zoom shows them.
#[utoipa::path(
    get, path = "/api/sensing/map", tag = "sensing", security(("token" = [])),
    params(SensorMapQuery),
    responses((status = 200, body = SensorMapView), (status = 400, body = Problem), (status = 401, body = Problem))
)]
pub async fn map(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<SensorMapQuery>,
) -> Result<Json<SensorMapView>, Fault> {
    if asked.zoom > MAP_ZOOM_MAX {
        return Err(invalid(format!("`zoom` is 0 to {MAP_ZOOM_MAX}")));
    }
    let asked = MapAsked {
        bounds: bounds(&asked.bbox)?,
        zoom: asked.zoom,
        kind: code("kind", asked.kind)?,
        department: code("department", asked.department)?,
    };
    let found = http.city.sensor_map(&who.session(), &asked).await?;
    let clusters = found.clusters.into_iter().map(|cluster| ClusterView {
        lon: cluster.lon,
        lat: cluster.lat,
        n: cluster.count,
        states: cluster.states,
    });
    Ok(Json(SensorMapView {
        clusters: clusters.collect(),
        devices: found.devices.into_iter().map(Into::into).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_four_numbers_in_order() {
        assert_eq!(bounds("103.9, 30.5,104.2,30.8").unwrap(), [103.9, 30.5, 104.2, 30.8]);
        for wrong in
            ["", "1,2,3", "1,2,3,4,5", "104,30,103,31", "a,b,c,d", "0,0,NaN,1", "0,0,inf,1"]
        {
            assert!(bounds(wrong).is_err(), "{wrong}");
        }
    }
}
