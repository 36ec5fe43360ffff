//! One property of an entity, by its name: what answers, paths and updates are made of.

use std::fmt::Write;

use geo_types::Geometry;
use serde_json::{Map, Value};

use super::geojson;
use super::json::{Json, push_number, push_text};
use super::model::{Entity, Extent, Outcome, Unit};
use super::observation_type::ObservationType;
use super::time::{Moment, Period, TimeObject};
use crate::schema::SENSORTHINGS_1_1;

/// The value of a property, not yet written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Property<'a> {
    /// Not there, and not written unless it is asked for.
    Absent,
    /// Not there, and written as null: mandatory properties whose value is not.
    Null,
    Text(&'a str),
    Type(&'a ObservationType),
    Types(&'a [ObservationType]),
    Json(&'a Json),
    Result(&'a Outcome),
    Moment(Moment),
    Period(Period),
    Time(TimeObject),
    Unit(&'a Unit),
    Units(&'a [Unit]),
    Geometry(&'a Geometry<f64>),
}

impl<'a> Property<'a> {
    /// Of a name that the schema has; control information is the writer's.
    pub fn of(entity: &'a Entity, name: &str) -> Self {
        match entity {
            Entity::Thing(e) => match name {
                "name" => Self::Text(&e.name),
                "description" => Self::Text(&e.description),
                _ => json(e.properties.as_ref()),
            },
            Entity::Location(e) => match name {
                "name" => Self::Text(&e.name),
                "description" => Self::Text(&e.description),
                "encodingType" => Self::Text(&e.encoding_type),
                "location" => Self::Json(&e.location),
                _ => json(e.properties.as_ref()),
            },
            Entity::FeatureOfInterest(e) => match name {
                "name" => Self::Text(&e.name),
                "description" => Self::Text(&e.description),
                "encodingType" => Self::Text(&e.encoding_type),
                "feature" => Self::Json(&e.feature),
                _ => json(e.properties.as_ref()),
            },
            Entity::HistoricalLocation(e) => Self::Moment(e.time),
            Entity::Datastream(e) => match name {
                "name" => Self::Text(&e.name),
                "description" => Self::Text(&e.description),
                "unitOfMeasurement" => Self::Unit(&e.unit_of_measurement),
                "observationType" => Self::Type(&e.observation_type),
                "properties" => json(e.properties.as_ref()),
                _ => extent(&e.extent, name),
            },
            Entity::MultiDatastream(e) => match name {
                "name" => Self::Text(&e.name),
                "description" => Self::Text(&e.description),
                "unitOfMeasurements" => Self::Units(&e.units_of_measurement),
                "observationType" => Self::Type(&ObservationType::Complex),
                "multiObservationDataTypes" => Self::Types(&e.data_types),
                "properties" => json(e.properties.as_ref()),
                _ => extent(&e.extent, name),
            },
            Entity::Sensor(e) => match name {
                "name" => Self::Text(&e.name),
                "description" => Self::Text(&e.description),
                "encodingType" => Self::Text(&e.encoding_type),
                "metadata" => Self::Json(&e.metadata),
                _ => json(e.properties.as_ref()),
            },
            Entity::ObservedProperty(e) => match name {
                "name" => Self::Text(&e.name),
                "definition" => Self::Text(&e.definition),
                "description" => Self::Text(&e.description),
                _ => json(e.properties.as_ref()),
            },
            Entity::Observation(e) => match name {
                "phenomenonTime" => Self::Time(e.phenomenon_time),
                "result" => Self::Result(&e.result),
                "resultTime" => e.result_time.map_or(Self::Null, Self::Moment),
                "resultQuality" => json(e.result_quality.as_ref()),
                "validTime" => e.valid_time.map_or(Self::Absent, Self::Period),
                _ => json(e.parameters.as_ref()),
            },
        }
    }

    pub fn is_null(self) -> bool {
        match self {
            Self::Absent | Self::Null => true,
            Self::Result(Outcome::Other(json)) => json.as_str() == "null",
            _ => false,
        }
    }

    /// Appends it as JSON.
    pub fn push(self, out: &mut String) {
        match self {
            Self::Absent | Self::Null => out.push_str("null"),
            Self::Text(text) => push_text(out, text),
            Self::Type(kind) => push_text(out, &kind.uri()),
            Self::Types(kinds) => push_list(out, kinds, |out, kind| push_text(out, &kind.uri())),
            Self::Json(json) | Self::Result(Outcome::Other(json)) => out.push_str(json.as_str()),
            Self::Result(Outcome::Number(number)) => push_number(out, *number),
            // A time holds nothing that would have to be escaped.
            Self::Moment(time) => quoted(out, time),
            Self::Period(period) => quoted(out, period),
            Self::Time(time) => quoted(out, time),
            Self::Unit(unit) => push_unit(out, unit),
            Self::Units(units) => push_list(out, units, push_unit),
            Self::Geometry(geometry) => geojson::push(out, geometry),
        }
    }

    /// Appends it as it is for `/$value`: texts and times bare, the rest as JSON.
    pub fn push_raw(self, out: &mut String) {
        let written = match self {
            Self::Text(text) => {
                out.push_str(text);
                Ok(())
            }
            Self::Type(kind) => {
                out.push_str(&kind.uri());
                Ok(())
            }
            Self::Moment(time) => write!(out, "{time}"),
            Self::Period(period) => write!(out, "{period}"),
            Self::Time(time) => write!(out, "{time}"),
            Self::Result(Outcome::Other(json)) => {
                push_raw_value(out, &json.value());
                Ok(())
            }
            other => {
                other.push(out);
                Ok(())
            }
        };
        written.expect("a String takes everything");
    }

    pub fn value(self) -> Value {
        let mut text = String::new();
        self.push(&mut text);
        serde_json::from_str(&text).expect("what is written is JSON")
    }
}

/// A value as `/$value` gives it.
pub(super) fn push_raw_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => out.push_str(text),
        other => out.push_str(&other.to_string()),
    }
}

fn json(json: Option<&Json>) -> Property<'_> {
    json.map_or(Property::Absent, Property::Json)
}

fn extent<'a>(extent: &'a Extent, name: &str) -> Property<'a> {
    match name {
        "observedArea" => {
            extent.observed_area.as_ref().map_or(Property::Absent, Property::Geometry)
        }
        "phenomenonTime" => extent.phenomenon_time.map_or(Property::Absent, Property::Period),
        _ => extent.result_time.map_or(Property::Absent, Property::Period),
    }
}

fn quoted(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "\"{value}\"").expect("a String takes everything");
}

fn push_list<T>(out: &mut String, items: &[T], push: impl Fn(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

pub(super) fn push_unit(out: &mut String, unit: &Unit) {
    for (before, text) in [
        ("{\"name\":", &unit.name),
        (",\"symbol\":", &unit.symbol),
        (",\"definition\":", &unit.definition),
    ] {
        out.push_str(before);
        match text {
            Some(text) => push_text(out, text),
            None => out.push_str("null"),
        }
    }
    out.push('}');
}

/// An entity's own properties as JSON, without control information and links: what an update is
/// applied to.
pub(super) fn present(entity: &Entity) -> Map<String, Value> {
    let schema = SENSORTHINGS_1_1.entity(entity.kind());
    let mut members = Map::new();
    for property in schema.properties {
        let value = Property::of(entity, property.name);
        if !matches!(value, Property::Absent) {
            members.insert(property.name.to_owned(), value.value());
        }
    }
    members
}
