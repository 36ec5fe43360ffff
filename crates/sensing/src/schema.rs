//! The data model that queries are written against: entity types, their properties with types, and
//! what leads from one entity to another.
//!
//! A schema is data, so that SensorThings 2.0 becomes a second table beside [`SENSORTHINGS_1_1`]
//! and the parser stays as it is. It does not know how an entity is stored or written as JSON.

use std::fmt;

use Cardinality::{Many, One};
use ValueType::{Any, Geometry, Id, Instant, Interval, Json, Text, Time};

/// An entity type, by which code tells entities apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityKind {
    Thing,
    Location,
    HistoricalLocation,
    Datastream,
    MultiDatastream,
    Sensor,
    ObservedProperty,
    Observation,
    FeatureOfInterest,
}

/// What is known of a value before it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Of any type, which only the value itself tells: `result`, and whatever lies in JSON.
    Any,
    Null,
    /// An identifier: an integer, or a text.
    Id,
    Text,
    Integer,
    Number,
    Boolean,
    Instant,
    Interval,
    /// An instant or an interval (`TM_Object`).
    Time,
    Date,
    TimeOfDay,
    Duration,
    /// A geometry, kept as GeoJSON: its members can be named, `location/type`.
    Geometry,
    /// An object or an array with members of any type.
    Json,
}

impl ValueType {
    /// May a path go on below such a value?
    pub fn has_members(self) -> bool {
        matches!(self, Any | Geometry | Json)
    }

    /// A place on the time line or in the day.
    pub fn is_temporal(self) -> bool {
        matches!(self, Instant | Interval | Time | ValueType::Date | ValueType::TimeOfDay)
    }

    pub fn is_numeric(self) -> bool {
        matches!(self, ValueType::Integer | ValueType::Number)
    }

    /// Nothing that is known forbids it to be of any type.
    pub fn is_dynamic(self) -> bool {
        matches!(self, Any | ValueType::Null)
    }
}

/// As it reads in a sentence: "expected a number".
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Any => "a value of any type",
            ValueType::Null => "null",
            Id => "an id",
            Text => "a text",
            ValueType::Integer => "an integer",
            ValueType::Number => "a number",
            ValueType::Boolean => "true or false",
            Instant => "an instant",
            Interval => "an interval",
            Time => "an instant or an interval",
            ValueType::Date => "a date",
            ValueType::TimeOfDay => "a time of day",
            ValueType::Duration => "a duration",
            Geometry => "a geometry",
            Json => "a JSON object or array",
        })
    }
}

/// A property of an entity.
#[derive(Debug, PartialEq, Eq)]
pub struct Property {
    pub name: &'static str,
    /// The name as it stands in JSON, where that is another one: `@iot.id` beside `id`.
    pub annotation: Option<&'static str>,
    pub value: ValueType,
}

impl Property {
    const fn new(name: &'static str, value: ValueType) -> Self {
        Self { name, annotation: None, value }
    }
}

/// How many entities a navigation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    One,
    Many,
}

/// A way from an entity to related ones.
#[derive(Debug, PartialEq, Eq)]
pub struct Navigation {
    pub name: &'static str,
    pub target: EntityKind,
    pub cardinality: Cardinality,
}

impl Navigation {
    const fn new(name: &'static str, target: EntityKind, cardinality: Cardinality) -> Self {
        Self { name, target, cardinality }
    }

    pub fn is_many(&self) -> bool {
        self.cardinality == Many
    }
}

/// An entity type with all that a path may name.
#[derive(Debug, PartialEq, Eq)]
pub struct Entity {
    pub kind: EntityKind,
    pub name: &'static str,
    /// The name of the set of all of them, from which a URL begins.
    pub set: &'static str,
    /// Its own properties; [`Entity::property`] knows the control information as well.
    pub properties: &'static [Property],
    pub navigations: &'static [Navigation],
}

impl Entity {
    /// A property by its name or by the name it has in JSON.
    pub fn property(&self, name: &str) -> Option<&'static Property> {
        CONTROL_INFORMATION
            .iter()
            .chain(self.properties)
            .find(|property| property.name == name || property.annotation == Some(name))
    }

    pub fn navigation(&self, name: &str) -> Option<&'static Navigation> {
        self.navigations.iter().find(|navigation| navigation.name == name)
    }

    pub fn property_names(&self) -> impl Iterator<Item = &'static str> {
        CONTROL_INFORMATION.iter().chain(self.properties).map(|property| property.name)
    }

    pub fn navigation_names(&self) -> impl Iterator<Item = &'static str> {
        self.navigations.iter().map(|navigation| navigation.name)
    }
}

/// One version of the data model.
#[derive(Debug)]
pub struct Schema {
    pub version: &'static str,
    pub entities: &'static [Entity],
}

impl Schema {
    pub fn entity(&self, kind: EntityKind) -> &'static Entity {
        self.entities
            .iter()
            .find(|entity| entity.kind == kind)
            .expect("a schema holds every kind that its navigations lead to")
    }

    pub fn entity_set(&self, name: &str) -> Option<&'static Entity> {
        self.entities.iter().find(|entity| entity.set == name)
    }
}

/// OGC 18-088, 8.1: what every entity has.
pub const CONTROL_INFORMATION: &[Property] = &[
    Property { name: "id", annotation: Some("@iot.id"), value: Id },
    Property { name: "selfLink", annotation: Some("@iot.selfLink"), value: Text },
];

const NAME: Property = Property::new("name", Text);
const DESCRIPTION: Property = Property::new("description", Text);
const ENCODING_TYPE: Property = Property::new("encodingType", Text);
const PROPERTIES: Property = Property::new("properties", Json);

/// SensorThings API 1.1, Sensing (OGC 18-088, 8.2), with the MultiDatastream extension (clause 11).
pub static SENSORTHINGS_1_1: Schema = Schema {
    version: "1.1",
    entities: &[
        Entity {
            kind: EntityKind::Thing,
            name: "Thing",
            set: "Things",
            properties: &[NAME, DESCRIPTION, PROPERTIES],
            navigations: &[
                Navigation::new("Locations", EntityKind::Location, Many),
                Navigation::new("HistoricalLocations", EntityKind::HistoricalLocation, Many),
                Navigation::new("Datastreams", EntityKind::Datastream, Many),
                Navigation::new("MultiDatastreams", EntityKind::MultiDatastream, Many),
            ],
        },
        Entity {
            kind: EntityKind::Location,
            name: "Location",
            set: "Locations",
            properties: &[
                NAME,
                DESCRIPTION,
                ENCODING_TYPE,
                Property::new("location", Geometry),
                PROPERTIES,
            ],
            navigations: &[
                Navigation::new("Things", EntityKind::Thing, Many),
                Navigation::new("HistoricalLocations", EntityKind::HistoricalLocation, Many),
            ],
        },
        Entity {
            kind: EntityKind::HistoricalLocation,
            name: "HistoricalLocation",
            set: "HistoricalLocations",
            properties: &[Property::new("time", Instant)],
            navigations: &[
                Navigation::new("Thing", EntityKind::Thing, One),
                Navigation::new("Locations", EntityKind::Location, Many),
            ],
        },
        Entity {
            kind: EntityKind::Datastream,
            name: "Datastream",
            set: "Datastreams",
            properties: &[
                NAME,
                DESCRIPTION,
                Property::new("unitOfMeasurement", Json),
                Property::new("observationType", Text),
                Property::new("observedArea", Geometry),
                Property::new("phenomenonTime", Interval),
                Property::new("resultTime", Interval),
                PROPERTIES,
            ],
            navigations: &[
                Navigation::new("Thing", EntityKind::Thing, One),
                Navigation::new("Sensor", EntityKind::Sensor, One),
                Navigation::new("ObservedProperty", EntityKind::ObservedProperty, One),
                Navigation::new("Observations", EntityKind::Observation, Many),
            ],
        },
        Entity {
            kind: EntityKind::MultiDatastream,
            name: "MultiDatastream",
            set: "MultiDatastreams",
            properties: &[
                NAME,
                DESCRIPTION,
                Property::new("unitOfMeasurements", Json),
                Property::new("observationType", Text),
                Property::new("multiObservationDataTypes", Json),
                Property::new("observedArea", Geometry),
                Property::new("phenomenonTime", Interval),
                Property::new("resultTime", Interval),
                PROPERTIES,
            ],
            navigations: &[
                Navigation::new("Thing", EntityKind::Thing, One),
                Navigation::new("Sensor", EntityKind::Sensor, One),
                Navigation::new("ObservedProperties", EntityKind::ObservedProperty, Many),
                Navigation::new("Observations", EntityKind::Observation, Many),
            ],
        },
        Entity {
            kind: EntityKind::Sensor,
            name: "Sensor",
            set: "Sensors",
            properties: &[
                NAME,
                DESCRIPTION,
                ENCODING_TYPE,
                Property::new("metadata", Any),
                PROPERTIES,
            ],
            navigations: &[
                Navigation::new("Datastreams", EntityKind::Datastream, Many),
                Navigation::new("MultiDatastreams", EntityKind::MultiDatastream, Many),
            ],
        },
        Entity {
            kind: EntityKind::ObservedProperty,
            name: "ObservedProperty",
            set: "ObservedProperties",
            properties: &[NAME, Property::new("definition", Text), DESCRIPTION, PROPERTIES],
            navigations: &[
                Navigation::new("Datastreams", EntityKind::Datastream, Many),
                Navigation::new("MultiDatastreams", EntityKind::MultiDatastream, Many),
            ],
        },
        Entity {
            kind: EntityKind::Observation,
            name: "Observation",
            set: "Observations",
            properties: &[
                Property::new("phenomenonTime", Time),
                Property::new("result", Any),
                Property::new("resultTime", Instant),
                Property::new("resultQuality", Json),
                Property::new("validTime", Interval),
                Property::new("parameters", Json),
            ],
            navigations: &[
                Navigation::new("Datastream", EntityKind::Datastream, One),
                Navigation::new("MultiDatastream", EntityKind::MultiDatastream, One),
                Navigation::new("FeatureOfInterest", EntityKind::FeatureOfInterest, One),
            ],
        },
        Entity {
            kind: EntityKind::FeatureOfInterest,
            name: "FeatureOfInterest",
            set: "FeaturesOfInterest",
            properties: &[
                NAME,
                DESCRIPTION,
                ENCODING_TYPE,
                Property::new("feature", Geometry),
                PROPERTIES,
            ],
            navigations: &[Navigation::new("Observations", EntityKind::Observation, Many)],
        },
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_leads_to_an_entity_and_back() {
        for entity in SENSORTHINGS_1_1.entities {
            assert_eq!(SENSORTHINGS_1_1.entity_set(entity.set), Some(entity));
            for navigation in entity.navigations {
                let target = SENSORTHINGS_1_1.entity(navigation.target);
                let expected = if navigation.is_many() { target.set } else { target.name };
                assert_eq!(navigation.name, expected, "of {}", entity.name);
                let back = target.navigations.iter().any(|back| back.target == entity.kind);
                assert!(back, "{} leads to {} and not back", entity.name, target.name);
            }
        }
    }

    #[test]
    fn an_id_has_two_names() {
        let thing = SENSORTHINGS_1_1.entity(EntityKind::Thing);
        assert_eq!(thing.property("id"), thing.property("@iot.id"));
        assert_eq!(thing.property("nothing"), None);
    }
}
