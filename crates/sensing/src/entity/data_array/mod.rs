//! CreateObservations (OGC 18-088, clause 13.2): a bulk of observations, into columns.
//!
//! ```text
//!  bytes ──► groups ──► rows ──► cells        one pass, no tree of values in between
//!                        │
//!                        ├──► Observations: a column for each property
//!                        └──► Refused: the row's number and why
//! ```
//!
//! The hot way into the platform. A time goes from the body's bytes to µs and a result to a number
//! without an allocation; only what is neither passes through a JSON value. A row that cannot be
//! read is refused alone, and the answer has a place for it. A body that is no JSON, or no array of
//! groups, is refused as a whole: where its rows end is not known.

mod cells;
mod columns;
mod groups;
#[cfg(test)]
mod tests;

pub use columns::{Group, Observations, Refused, Row, Stream};

use super::fault::{At, Fault, Result, quote};

/// A property of an observation in a data array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    PhenomenonTime,
    Result,
    ResultTime,
    ResultQuality,
    ValidTime,
    Parameters,
    FeatureOfInterest,
    /// Given by clients that send back what they were sent, and ignored: ids are the service's.
    Id,
}

/// With the names that the standard has for them.
const COMPONENTS: [(&str, Component); 9] = [
    ("phenomenonTime", Component::PhenomenonTime),
    ("result", Component::Result),
    ("resultTime", Component::ResultTime),
    ("resultQuality", Component::ResultQuality),
    ("validTime", Component::ValidTime),
    ("parameters", Component::Parameters),
    ("FeatureOfInterest/id", Component::FeatureOfInterest),
    ("id", Component::Id),
    ("@iot.id", Component::Id),
];

impl Component {
    fn of(at: At<'_>, name: &str) -> Result<Self> {
        let known = COMPONENTS.iter().find(|(known, _)| *known == name);
        known.map(|(_, component)| *component).ok_or_else(|| {
            let fault = Fault::new(at, "no component of an observation").found(quote(name));
            fault.suggest(name, COMPONENTS.iter().map(|(known, _)| *known))
        })
    }
}

/// Reads the body: its groups in order, each with its rows in order.
pub fn create_observations(body: &[u8]) -> Result<Vec<Group>> {
    groups::read(body)
}
