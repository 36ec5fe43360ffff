//! What is wrong with the city's sensors, each thing once.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use city::{Finding, FindingKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::devices::DeviceView;
use super::{Http, moment};
use crate::fault::Fault;
use crate::http::datasets::Names;
use crate::http::input::Who;
use crate::http::problem::Problem;

/// A network, a gateway or a device of which nothing comes in any more.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingView {
    /// `network`, `gateway` or `device`.
    pub kind: &'static str,
    /// The network's name, or the number of the gateway or the device.
    pub key: String,
    pub title: Names,
    /// Devices that are silent by it.
    pub devices: u64,
    /// When the last of them fell silent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<DateTime<Utc>>,
    /// Where all are one owner's.
    pub owner: Option<String>,
    /// The smallest area that holds them all.
    pub area_code: Option<String>,
    /// A few of them.
    pub sample: Vec<DeviceView>,
}

/// Findings: networks, then gateways, then devices that are silent alone.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingList {
    #[schema(value_type = String, format = DateTime)]
    pub at: DateTime<Utc>,
    pub findings: Vec<FindingView>,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        let kind = match finding.kind {
            FindingKind::Network => "network",
            FindingKind::Gateway => "gateway",
            FindingKind::Device => "device",
        };
        Self {
            kind,
            key: finding.key,
            title: (&finding.title).into(),
            devices: finding.devices,
            since: moment(finding.since_us),
            owner: finding.owner,
            area_code: finding.area_code,
            sample: finding.sample.into_iter().map(Into::into).collect(),
        }
    }
}

/// What is wrong with the devices that one sees. A silent network or gateway is one finding.
#[utoipa::path(
    get, path = "/api/sensing/findings", tag = "sensing", security(("token" = [])),
    responses((status = 200, body = FindingList), (status = 401, body = Problem))
)]
pub async fn findings(State(http): State<Arc<Http>>, who: Who) -> Result<Json<FindingList>, Fault> {
    let found = http.city.findings(&who.session()).await?;
    let findings = found.findings.into_iter().map(Into::into).collect();
    Ok(Json(FindingList { at: found.at, findings }))
}
