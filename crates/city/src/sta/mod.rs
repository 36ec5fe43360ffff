//! SensorThings over the city: what `sensing` reads and plans, asked through the session; what it
//! reads of bodies, made rows of the sensing datasets.
//!
//! ```text
//!  GET   path, options ─► plan ─► statements, through the session ─► table ─► items, or groups
//!             newest: what ingest keeps in memory tells keys and numbers
//!  POST  body ─► draft: nodes and links ─► known: what they link to, and whose it is
//!             ─► numbers ─► rows ─► sheet ─► registers, in one transaction
//!             ─► observe: observations ─► the lake, acknowledged after its fsync
//!  PATCH, PUT, JSON Patch
//!        the row ─► change: the entity as it will be ─► relate: links, moves, terms ─► sheet
//!  many  bodies of one observation each ─► many: kept streams ─► the lake, in one frame
//!  DELETE the row ─► remove: all that hangs on it ─► sheet
//!        of an observation ─► correct: a correction beside it
//! ```
//!
//! Every row has the owner and the sharing term of its Thing. An entity that is linked to has to be
//! one that the asker sees; one that something is added to, or that is changed, one of the asker's
//! organisations. A request that fails halfway is taken back ([`StaDeed`]). What was written is told
//! to whoever listens ([`StaListener`]).

mod aggregate;
mod change;
mod columns;
mod correct;
mod create;
mod deed;
mod draft;
mod features;
mod feed;
mod kept_streams;
mod known;
mod many;
mod mapped;
mod moments;
mod newest;
mod numbers;
mod observe;
mod read;
mod relate;
mod remove;
mod rows;
mod series;
mod sheet;
mod show;
mod sights;
pub(crate) mod table;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;

use catalog::Session;
use chrono::{FixedOffset, Offset, Utc};
use datafusion::common::ScalarValue;
use pack::access::{Action, Thing};
use sensing::entity::{Fault, FaultKind};
use sensing::odata::EntityId;
use sensing::plan::{Context, PlanError, PlanErrorKind, Statement, Value};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};
use tokio::sync::Mutex as AsyncMutex;

use crate::observations::OBSERVATION;
use crate::{City, CityError};
use table::Table;

pub use aggregate::StaGroups;
pub use change::StaUpdate;
pub use create::StaCreated;
pub use deed::StaDeed;
pub use feed::{StaListener, StaTold, StaWritten};
pub use many::StaPublish;
pub(crate) use mapped::{HeldStreams, Meant, OwnStream, sequence_in};
pub use read::StaAnswer;
pub use series::{StaFeed, StaReading};
pub use show::StaShown;
pub use sights::StaSight;

const THING_LOCATION: &str = "sensing.thing_location";
const HISTORICAL_LOCATION: &str = "sensing.historical_location";
const HISTORICAL_PLACE: &str = "sensing.historical_location_place";
const DATASTREAM: &str = "sensing.datastream";
const DATASTREAM_PROPERTY: &str = "sensing.datastream_observed_property";
const FEATURE: &str = "sensing.feature_of_interest";
const LOCATION: &str = "sensing.location";
const THING: &str = "sensing.thing";

/// Numbers of a dataset that are reserved at once: a write to the disk for so many new entities.
const NUMBERS_AT_ONCE: i64 = 1_000;

/// What a city keeps in memory for SensorThings.
#[derive(Debug, Default)]
pub(crate) struct Sta {
    /// Numbers that were reserved for new entities and not given out yet, by dataset. What is left
    /// of them when the process ends is nobody's.
    numbers: AsyncMutex<HashMap<&'static str, Range<i64>>>,
    features: features::Features,
    /// The ordinals of observations.
    moments: Mutex<moments::Moments>,
    streams: kept_streams::KeptStreams,
    sights: sights::Sights,
    feed: feed::Feed,
}

/// The dataset that entities of a type are kept in.
fn dataset(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Thing => THING,
        EntityKind::Location => LOCATION,
        EntityKind::HistoricalLocation => HISTORICAL_LOCATION,
        EntityKind::Datastream | EntityKind::MultiDatastream => DATASTREAM,
        EntityKind::Sensor => "sensing.sensor",
        EntityKind::ObservedProperty => "sensing.observed_property",
        EntityKind::Observation => OBSERVATION,
        EntityKind::FeatureOfInterest => FEATURE,
    }
}

/// The number of an entity that is no Observation, where the id can be one.
fn number(id: &EntityId) -> Option<i64> {
    match id {
        EntityId::Integer(id) => Some(*id),
        // Clients that know only text ids put them in quotes.
        EntityId::Text(text) => text.parse().ok().filter(|id: &i64| id.to_string() == *text),
    }
}

fn unplanned(error: &PlanError) -> CityError {
    match error.kind {
        PlanErrorKind::Unsupported => CityError::Unsupported(error.to_string()),
        PlanErrorKind::Malformed | PlanErrorKind::TooLarge => CityError::Invalid(error.to_string()),
    }
}

fn unread(fault: &Fault) -> CityError {
    match fault.kind {
        FaultKind::Invalid => CityError::Invalid(fault.to_string()),
        FaultKind::Conflict => CityError::Conflict(fault.to_string()),
        FaultKind::TooLarge => CityError::TooLarge(fault.to_string()),
    }
}

fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Boolean(value) => ScalarValue::Boolean(Some(*value)),
        Value::Integer(value) => ScalarValue::Int64(Some(*value)),
        Value::Number(value) => ScalarValue::Float64(Some(*value)),
        Value::Text(value) => ScalarValue::Utf8(Some(value.clone())),
        Value::Instant(value) => {
            ScalarValue::TimestampMicrosecond(Some(*value), Some("UTC".into()))
        }
    }
}

impl City {
    /// What requests below a root are planned with.
    fn sta_context(&self, root: &str) -> Context {
        let east_seconds = self.pack().city.utc_offset_minutes.saturating_mul(60);
        Context {
            schema: &SENSORTHINGS_1_1,
            now: Utc::now(),
            zone: FixedOffset::east_opt(east_seconds).unwrap_or_else(|| Utc.fix()),
            root: root.to_owned(),
        }
    }

    /// Numbers for new entities of a dataset.
    async fn sta_numbers(
        &self,
        dataset: &'static str,
        count: usize,
    ) -> Result<Range<i64>, CityError> {
        let count = i64::try_from(count).map_err(|error| CityError::TooLarge(error.to_string()))?;
        let mut left = self.sta.numbers.lock().await;
        let range = left.entry(dataset).or_insert(0..0);
        if range.end - range.start < count {
            let block = count.max(NUMBERS_AT_ONCE);
            let first = self.registers().reserve(dataset, block).await?;
            *range = first..first + block;
        }
        let first = range.start;
        range.start += count;
        Ok(first..first + count)
    }

    /// Hears of all that is written from now on, once it is durable.
    pub fn sta_listen(&self) -> StaListener {
        self.sta.feed.listen()
    }

    async fn sta_ask(&self, session: &Session, statement: &Statement) -> Result<Table, CityError> {
        let parameters: Vec<ScalarValue> = statement.parameters.iter().map(scalar).collect();
        self.sta_rows(session, &statement.sql, &parameters).await
    }

    pub(crate) async fn sta_rows(
        &self,
        session: &Session,
        sql: &str,
        parameters: &[ScalarValue],
    ) -> Result<Table, CityError> {
        let answer = self.query(session, sql, parameters).await?;
        let schema = answer.schema.clone();
        Table::of(&schema, &answer.collect().await?)
    }

    /// Whether the session's principal may bring in anything at all.
    fn may_sense(&self, session: &Session) -> Result<(), CityError> {
        let principal = &session.principal;
        match self.catalog().asker(principal).may(Action::SensingChange, Thing::Platform) {
            true => Ok(()),
            false => {
                let reason = pack::access::denial(&principal.user, Action::SensingChange);
                Err(CityError::Refused(reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_quotes_is_a_number() {
        assert_eq!(number(&EntityId::Text("7".into())), Some(7));
        assert_eq!(number(&EntityId::Text("07".into())), None);
    }
}
