//! SensorThings API 1.1 (OGC 18-088) over the city's sensing datasets: what QGIS, FROST's client
//! and devices speak.
//!
//! ```text
//!  /sta/v1.1 ─► {path}              GET: entities, properties, links      read
//!            ─► {set}               POST: an entity with all its own      write
//!            ─► CreateObservations  POST: observations in bulk            write
//!            ─► {entity}            PATCH, PUT, DELETE                    change
//!            ─► $batch              POST: many of these in one            batch
//! ```
//!
//! Path and query go to `sensing::odata` as they stand in the URL: it decodes them itself. What a
//! body or a query does wrong is said with its place.

pub mod batch;
pub mod change;
pub mod read;
pub mod write;

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use sensing::entity::Writer;
use sensing::odata::{ErrorKind, ParseError, ResourcePath};
use sensing::plan::{PlanError, PlanErrorKind};
use sensing::schema::SENSORTHINGS_1_1;

use super::Http;
use super::input::Who;
use super::ogc::typed;
use super::problem::Problem;
use crate::fault::{Code, Fault};

/// Where the service is, below the city's address.
const ROOT: &str = "/sta/v1.1";
const JSON: &str = "application/json";

/// Before the names of requirements.
const REQUIREMENT: &str = "http://www.opengis.net/spec/iot_sensing/1.1/req";

/// What is claimed, and tested: the requirements that hold, and no others.
const CONFORMS: &[&str] = &[
    "datamodel/thing/properties",
    "datamodel/thing/relations",
    "datamodel/location/properties",
    "datamodel/location/relations",
    "datamodel/historical-location/properties",
    "datamodel/historical-location/relations",
    "datamodel/datastream/properties",
    "datamodel/datastream/relations",
    "datamodel/sensor/properties",
    "datamodel/sensor/relations",
    "datamodel/observed-property/properties",
    "datamodel/observed-property/relations",
    "datamodel/observation/properties",
    "datamodel/observation/relations",
    "datamodel/feature-of-interest/properties",
    "datamodel/feature-of-interest/relations",
    "datamodel/entity-control-information/common-control-information",
    "resource-path/resource-path-to-entities",
    "request-data/status-code",
    "request-data/query-status-code",
    "request-data/order",
    "request-data/expand",
    "request-data/select",
    "request-data/orderby",
    "request-data/top",
    "request-data/skip",
    "request-data/count",
    "request-data/filter",
    "request-data/built-in-filter-operations",
    "request-data/built-in-query-functions",
    "request-data/pagination",
    "create-update-delete/create-entity",
    "create-update-delete/link-to-existing-entities",
    "create-update-delete/deep-insert",
    "create-update-delete/deep-insert-status-code",
    "create-update-delete/update-entity",
    "create-update-delete/update-entity-put",
    "create-update-delete/update-entity-jsonpatch",
    "create-update-delete/delete-entity",
    "create-update-delete/historical-location-auto-creation",
    "create-update-delete/historical-location-manual-creation",
    "batch-request/batch-request",
    "multi-datastream/properties",
    "multi-datastream/relations",
    "multi-datastream/constraints",
    "data-array/data-array",
];

/// What holds where MQTT is served.
const BY_MQTT: [&str; 2] = [
    "create-observations-via-mqtt/observations-creation",
    "receive-updates-via-mqtt/receive-updates",
];

fn root(http: &Http) -> String {
    format!("{}{ROOT}", http.base_url)
}

/// The path behind the root, as it stands in the URL.
fn path_of(uri: &Uri) -> Result<ResourcePath, Fault> {
    let raw = uri.path().strip_prefix(ROOT).unwrap_or_default();
    ResourcePath::parse(&SENSORTHINGS_1_1, raw).map_err(|error| misread(&error))
}

fn misread(error: &ParseError) -> Fault {
    let code = match error.kind {
        ErrorKind::Malformed => Code::Invalid,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Unsupported => Code::Unsupported,
    };
    Fault::new(code, error.to_string())
}

fn unplanned(error: &PlanError) -> Fault {
    let code = match error.kind {
        PlanErrorKind::Unsupported => Code::Unsupported,
        PlanErrorKind::Malformed | PlanErrorKind::TooLarge => Code::Invalid,
    };
    Fault::new(code, error.to_string())
}

/// The entity sets, and what is held of the standard.
#[utoipa::path(
    get, path = "/sta/v1.1", tag = "sensorthings", security(("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem))
)]
pub async fn document(State(http): State<Arc<Http>>, _who: Who) -> Response {
    let root = root(&http);
    let uri = |requirement: &&str| format!("{REQUIREMENT}/{requirement}");
    let by_mqtt: Vec<String> = BY_MQTT.iter().map(uri).collect();
    let mut claimed: Vec<String> = CONFORMS.iter().map(uri).collect();
    let endpoints: Vec<&str> = http.options.mqtt.iter().map(String::as_str).collect();
    let mut settings: Vec<(&str, &[&str])> = Vec::new();
    if !endpoints.is_empty() {
        claimed.extend(by_mqtt.iter().cloned());
        settings.extend(by_mqtt.iter().map(|uri| (uri.as_str(), endpoints.as_slice())));
    }
    let claimed: Vec<&str> = claimed.iter().map(String::as_str).collect();
    typed(Writer::new(&root).root_document(&claimed, &settings).into_bytes(), JSON)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_is_claimed_twice() {
        let claimed: BTreeSet<_> = CONFORMS.iter().chain(&BY_MQTT).collect();
        assert_eq!(claimed.len(), CONFORMS.len() + BY_MQTT.len());
    }

    #[test]
    fn a_path_begins_behind_the_root() {
        let uri: Uri = "/sta/v1.1/Things(1)/Datastreams?$top=1".parse().unwrap();
        assert_eq!(path_of(&uri).unwrap().to_string(), "Things(1)/Datastreams");
        let uri: Uri = "/sta/v1.1/Nothings".parse().unwrap();
        assert_eq!(path_of(&uri).unwrap_err().code, Code::NotFound);
    }
}
