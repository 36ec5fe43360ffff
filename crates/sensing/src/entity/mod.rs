//! The JSON of SensorThings 1.1 (OGC 18-088), in and out.
//!
//! ```text
//!  POST  ──► read ──────► NewEntity: entity + links + what is made with it
//!  PATCH, PUT, JSON Patch
//!        ──► change ────► Change: the entity as it will be, what of it is new, links
//!  CreateObservations
//!        ──► data_array ► columns, and a fault for each row that is none
//!                              │
//!                              ▼
//!                     model: typed entities ◄──► row: the columns of the tables
//!                              │
//!  GET   ◄── write ◄───────────┘  what was selected and expanded, pages, links, the root
//! ```
//!
//! Pure: it reads and writes text, and knows neither storage nor HTTP nor who asks. A fault says
//! where it stands in the body, what was expected and what was found; its kind tells what sort of
//! answer it calls for.
//!
//! Readings of the standard, on purpose:
//! - an unknown property is refused, as OData has it (4.0, 11.4.2: what cannot be kept fails the
//!   request); links and counts that a service writes are left aside, so that what was read can be
//!   sent back
//! - an id in a body is ignored when it is not a link (18-088, 10.2.1.2 and 10.3)
//! - a property that is null is left out of answers unless it is mandatory or asked for
//! - a result that is not of its stream's type is refused; the standard says what type it has, and
//!   not what becomes of another

mod change;
mod data_array;
mod fault;
mod fields;
mod fuzz;
pub mod geojson;
mod id;
mod json;
mod json_patch;
mod model;
mod observation_type;
mod property;
mod read;
mod row;
mod time;
mod wkb;
mod write;
mod write_array;
mod write_geojson;

#[cfg(test)]
mod tests;

pub use change::{Change, Link, json_patch, patch, put};
pub use data_array::{Component, Group, Observations, Refused, Row, Stream, create_observations};
pub use fault::{At, Fault, FaultKind, Result};
pub use fuzz::{fuzz, fuzz_message};
pub use id::{ID_BYTES_MAX, ObservationId};
pub use json::Json;
pub use model::{
    Datastream, Entity, Extent, FeatureOfInterest, HistoricalLocation, Location, MultiDatastream,
    NewEntity, Observation, ObservedProperty, Outcome, Related, Sensor, Target, Thing, Unit,
};
pub use observation_type::{ObservationType, check_elements};
pub use read::{Parent, create};
pub use row::{
    DatastreamObservedPropertyRow, DatastreamRow, FeatureOfInterestRow, HistoricalLocationPlaceRow,
    HistoricalLocationRow, LocationRow, ObservationRow, ObservedPropertyRow, SensorRow,
    ThingLocationRow, ThingRow,
};
pub use time::{Moment, Period, TimeFault, TimeObject};
pub use wkb::wkb;
pub use write::{Answer, Expanded, Item, Page, Writer};
pub use write_array::ArrayGroup;
pub use write_geojson::with_places;

/// A body, also of CreateObservations: some 300,000 rows.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Values inside values of a body. Whoever walks one by recursion may rely on it. Below the 128 at
/// which the JSON library gives up.
pub const JSON_DEPTH_MAX: usize = 100;
/// Entities inside entities of a deep insert; each takes two levels of JSON.
pub const DEEP_INSERT_DEPTH_MAX: usize = 32;
/// Entities of a deep insert: all are made or none.
pub const ENTITIES_MAX: usize = 10_000;
/// Operations of a JSON Patch.
pub const PATCH_OPERATIONS_MAX: usize = 1_000;
/// What the operations of a JSON Patch may bring in together: copies of copies double.
pub const PATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Rows of a CreateObservations, in all of its groups.
pub const ROWS_MAX: usize = 500_000;
/// Refused rows of a group that are told why; of the others it is known that they were.
pub const REFUSALS_TOLD_MAX: usize = 1_000;
