//! The entities of SensorThings 1.1 as types: what of them is JSON only stays so.
//!
//! An entity here is what it says of itself; how it is related to others stands beside it, in
//! [`Related`], because a link is kept elsewhere than the entity.

use geo_types::Geometry;
use serde_json::Value;

use super::json::Json;
use super::observation_type::ObservationType;
use super::time::{Moment, Period, TimeObject};
use crate::odata::EntityId;
use crate::schema::{EntityKind, Navigation};

#[derive(Debug, Clone, PartialEq)]
pub enum Entity {
    Thing(Thing),
    Location(Location),
    HistoricalLocation(HistoricalLocation),
    Datastream(Datastream),
    MultiDatastream(MultiDatastream),
    Sensor(Sensor),
    ObservedProperty(ObservedProperty),
    Observation(Observation),
    FeatureOfInterest(FeatureOfInterest),
}

impl Entity {
    pub fn kind(&self) -> EntityKind {
        match self {
            Self::Thing(_) => EntityKind::Thing,
            Self::Location(_) => EntityKind::Location,
            Self::HistoricalLocation(_) => EntityKind::HistoricalLocation,
            Self::Datastream(_) => EntityKind::Datastream,
            Self::MultiDatastream(_) => EntityKind::MultiDatastream,
            Self::Sensor(_) => EntityKind::Sensor,
            Self::ObservedProperty(_) => EntityKind::ObservedProperty,
            Self::Observation(_) => EntityKind::Observation,
            Self::FeatureOfInterest(_) => EntityKind::FeatureOfInterest,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Thing {
    pub name: String,
    pub description: String,
    pub properties: Option<Json>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    pub name: String,
    pub description: String,
    pub encoding_type: String,
    /// GeoJSON that was checked, or whatever another encoding calls for.
    pub location: Json,
    pub properties: Option<Json>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HistoricalLocation {
    pub time: Moment,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Datastream {
    pub name: String,
    pub description: String,
    pub unit_of_measurement: Unit,
    pub observation_type: ObservationType,
    pub extent: Extent,
    pub properties: Option<Json>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MultiDatastream {
    pub name: String,
    pub description: String,
    /// As many as data types.
    pub units_of_measurement: Vec<Unit>,
    pub data_types: Vec<ObservationType>,
    pub extent: Extent,
    pub properties: Option<Json>,
}

/// What a stream's observations cover. A service works it out; until it has, a client's word holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Extent {
    pub observed_area: Option<Geometry<f64>>,
    pub phenomenon_time: Option<Period>,
    pub result_time: Option<Period>,
}

/// The unit of a number. All three are null where there is none (OGC 18-088, table 10).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    pub name: Option<String>,
    pub symbol: Option<String>,
    pub definition: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    pub name: String,
    pub description: String,
    pub encoding_type: String,
    pub metadata: Json,
    pub properties: Option<Json>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ObservedProperty {
    pub name: String,
    pub definition: String,
    pub description: String,
    pub properties: Option<Json>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    pub phenomenon_time: TimeObject,
    pub result: Outcome,
    /// None is written as null: the property is mandatory, its value is not.
    pub result_time: Option<Moment>,
    pub result_quality: Option<Json>,
    pub valid_time: Option<Period>,
    pub parameters: Option<Json>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FeatureOfInterest {
    pub name: String,
    pub description: String,
    pub encoding_type: String,
    pub feature: Json,
    pub properties: Option<Json>,
}

/// The result of an observation: a number nearly always, any JSON otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Finite.
    Number(f64),
    /// Whatever is not exactly such a number, also whole numbers of more than 53 bits.
    Other(Json),
}

impl Outcome {
    pub fn of(value: &Value) -> Self {
        match number_of(value) {
            Some(number) => Self::Number(number),
            None => Self::Other(Json::of(value)),
        }
    }

    pub fn value(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Other(json) => json.value(),
        }
    }
}

/// The number where it loses nothing as one of 64 bits with a fraction.
fn number_of(value: &Value) -> Option<f64> {
    let Value::Number(number) = value else {
        return None;
    };
    match (number.as_i64(), number.as_u64()) {
        (Some(whole), _) => exactly(i128::from(whole)),
        (None, Some(whole)) => exactly(i128::from(whole)),
        (None, None) => number.as_f64(),
    }
}

/// A whole number as one with a fraction, where it is one.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "it is compared")]
pub(super) fn exactly(whole: i128) -> Option<f64> {
    let number = whole as f64;
    (number as i128 == whole).then_some(number)
}

/// An entity to be made, with all that is to be made or linked with it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntity {
    /// The id that the body gave beside other members. Ids are this service's to give
    /// (OGC 18-088, 10.2.1.2: it is ignored), but clients that send back whole what they were
    /// sent, as FROST's does, mean a link by it where such an entity exists.
    pub given_id: Option<EntityId>,
    pub entity: Entity,
    /// In the order of the body.
    pub related: Vec<Related>,
}

impl NewEntity {
    pub fn related(&self, navigation: &str) -> impl Iterator<Item = &Target> {
        let of = self.related.iter().filter(move |related| related.navigation.name == navigation);
        of.map(|related| &related.target)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Related {
    pub navigation: &'static Navigation,
    pub target: Target,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// `{"@iot.id": …}` alone.
    Existing(EntityId),
    New(Box<NewEntity>),
}
