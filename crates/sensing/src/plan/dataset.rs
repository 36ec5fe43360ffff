//! Where entities are kept: the datasets of decision 0012, their columns, and the columns that
//! lead from one to another.

use crate::odata::Span;
use crate::schema::{EntityKind, Navigation};

use super::error::{PlanError, PlanErrorKind, Result};

/// The dataset of an entity type.
pub(super) fn table(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Thing => "sensing.thing",
        EntityKind::Location => "sensing.location",
        EntityKind::HistoricalLocation => "sensing.historical_location",
        EntityKind::Datastream | EntityKind::MultiDatastream => "sensing.datastream",
        EntityKind::Sensor => "sensing.sensor",
        EntityKind::ObservedProperty => "sensing.observed_property",
        EntityKind::Observation => "sensing.observation",
        EntityKind::FeatureOfInterest => "sensing.feature_of_interest",
    }
}

/// What rows of its dataset are of the type, where it shares the dataset with another.
pub(super) fn is_of_kind(kind: EntityKind, alias: &str) -> Option<String> {
    match kind {
        EntityKind::Datastream => Some(format!("NOT {alias}.multi")),
        EntityKind::MultiDatastream => Some(format!("{alias}.multi")),
        _ => None,
    }
}

/// The columns that tell a row from all others, in the order of the rows.
pub(super) fn key(kind: EntityKind) -> &'static [&'static str] {
    match kind {
        EntityKind::Observation => &["datastream", "phenomenon_time", "ordinal"],
        _ => &["id"],
    }
}

/// The columns of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    Id,
    SelfLink,
    Text(&'static str),
    /// An object or an array.
    Json(&'static str),
    /// JSON of any type.
    Any(&'static str),
    Result,
    Instant(&'static str),
    /// Without an end it is an instant.
    Time {
        start: &'static str,
        end: &'static str,
    },
    /// Both or neither are null.
    Interval {
        start: &'static str,
        end: &'static str,
    },
    /// As it was given, and as a geometry.
    Place {
        json: &'static str,
        geometry: &'static str,
    },
    Geometry(&'static str),
}

/// Where a property is kept. `None` for one that a newer schema has and no dataset.
pub(super) fn columns(kind: EntityKind, property: &str) -> Option<Columns> {
    use EntityKind::{FeatureOfInterest, HistoricalLocation, Location, Observation};
    Some(match (kind, property) {
        (_, "id") => Columns::Id,
        (_, "selfLink") => Columns::SelfLink,
        (_, "name") => Columns::Text("name"),
        (_, "description") => Columns::Text("description"),
        (_, "definition") => Columns::Text("definition"),
        (_, "encodingType") => Columns::Text("encoding_type"),
        (_, "observationType") => Columns::Text("observation_type"),
        (_, "properties") => Columns::Json("properties"),
        (_, "unitOfMeasurement" | "unitOfMeasurements") => Columns::Json("unit_of_measurement"),
        (_, "multiObservationDataTypes") => Columns::Json("data_types"),
        (_, "resultQuality") => Columns::Json("result_quality"),
        (_, "parameters") => Columns::Json("parameters"),
        (_, "metadata") => Columns::Any("metadata"),
        (Observation, "result") => Columns::Result,
        (Observation, "resultTime") => Columns::Instant("result_time"),
        (HistoricalLocation, "time") => Columns::Instant("time"),
        (Observation, "phenomenonTime") => {
            Columns::Time { start: "phenomenon_time", end: "phenomenon_end" }
        }
        (Observation, "validTime") => Columns::Interval { start: "valid_start", end: "valid_end" },
        (_, "phenomenonTime") => {
            Columns::Interval { start: "phenomenon_start", end: "phenomenon_end" }
        }
        (_, "resultTime") => Columns::Interval { start: "result_start", end: "result_end" },
        (Location, "location") => Columns::Place { json: "location", geometry: "geometry" },
        (FeatureOfInterest, "feature") => Columns::Place { json: "feature", geometry: "geometry" },
        (_, "observedArea") => Columns::Geometry("observed_area"),
        _ => return None,
    })
}

/// The column that a member of a property is kept in as well: what the platform knows of a Thing,
/// also where its properties were written anew without it. Nothing has to look into JSON then.
pub(super) fn column_of_member(
    kind: EntityKind,
    property: &str,
    pointer: &str,
) -> Option<&'static str> {
    match (kind, property, pointer) {
        (EntityKind::Thing, "properties", "/area_code") => Some("area_code"),
        (EntityKind::Thing, "properties", "/network") => Some("network"),
        _ => None,
    }
}

/// How the rows of a navigation are found from the row before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// The near row holds the id of the one far row.
    Holds { column: &'static str },
    /// Far rows hold the id of the near one.
    HeldBy { column: &'static str },
    /// Rows of a third dataset hold both ids.
    Through { table: &'static str, near: &'static str, far: &'static str, order: Order },
}

/// In which order rows of a third dataset put the far ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// None of its own.
    Any,
    /// By a column, in which one far row may stand twice for a near one.
    By(&'static str),
    /// None, and one far row may stand twice.
    Repeated,
}

/// The link of a navigation. `None` for one that a newer schema has and no dataset.
fn known_link(from: EntityKind, navigation: &str) -> Option<Link> {
    use EntityKind::{
        Datastream, FeatureOfInterest, HistoricalLocation, Location, MultiDatastream, Observation,
        ObservedProperty, Sensor, Thing,
    };
    let place =
        |near, far| Link::Through { table: "sensing.thing_location", near, far, order: Order::Any };
    let past = |near, far| Link::Through {
        table: "sensing.historical_location_place",
        near,
        far,
        order: Order::Any,
    };
    let observed = |near, far, order| Link::Through {
        table: "sensing.datastream_observed_property",
        near,
        far,
        order,
    };
    Some(match (from, navigation) {
        (Thing, "Locations") => place("thing", "location"),
        (Location, "Things") => place("location", "thing"),
        (Location, "HistoricalLocations") => past("location", "historical_location"),
        (HistoricalLocation, "Locations") => past("historical_location", "location"),
        (Thing, "HistoricalLocations" | "Datastreams" | "MultiDatastreams") => {
            Link::HeldBy { column: "thing" }
        }
        (HistoricalLocation | Datastream | MultiDatastream, "Thing") => {
            Link::Holds { column: "thing" }
        }
        (Datastream | MultiDatastream, "Sensor") => Link::Holds { column: "sensor" },
        (Sensor, "Datastreams" | "MultiDatastreams") => Link::HeldBy { column: "sensor" },
        (Datastream, "ObservedProperty") => Link::Holds { column: "observed_property" },
        (ObservedProperty, "Datastreams") => Link::HeldBy { column: "observed_property" },
        (MultiDatastream, "ObservedProperties") => {
            observed("datastream", "observed_property", Order::By("position"))
        }
        (ObservedProperty, "MultiDatastreams") => {
            observed("observed_property", "datastream", Order::Repeated)
        }
        (Datastream | MultiDatastream, "Observations") => Link::HeldBy { column: "datastream" },
        (Observation, "Datastream" | "MultiDatastream") => Link::Holds { column: "datastream" },
        (Observation, "FeatureOfInterest") => Link::Holds { column: "feature_of_interest" },
        (FeatureOfInterest, "Observations") => Link::HeldBy { column: "feature_of_interest" },
        _ => return None,
    })
}

pub(super) fn link(
    from: EntityKind,
    navigation: &Navigation,
    part: &'static str,
    span: Span,
) -> Result<Link> {
    known_link(from, navigation.name).ok_or_else(|| unkept(navigation.name, part, span))
}

/// The link of a navigation that is known by its name only, as paths of resources are.
pub(super) fn link_named(
    from: EntityKind,
    navigation: &str,
    part: &'static str,
    span: Span,
) -> Result<Link> {
    known_link(from, navigation).ok_or_else(|| unkept(navigation, part, span))
}

/// The schema has it and the datasets do not.
pub(super) fn unkept(name: &str, part: &'static str, span: Span) -> Box<PlanError> {
    let what = format!("{name} cannot be answered");
    PlanError::new(PlanErrorKind::Unsupported, part, span, what, "no dataset holds it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{CONTROL_INFORMATION, SENSORTHINGS_1_1};

    #[test]
    fn every_property_and_navigation_has_its_columns() {
        for entity in SENSORTHINGS_1_1.entities {
            for property in CONTROL_INFORMATION.iter().chain(entity.properties) {
                assert!(
                    columns(entity.kind, property.name).is_some(),
                    "{}.{}",
                    entity.name,
                    property.name
                );
            }
            for navigation in entity.navigations {
                let link = known_link(entity.kind, navigation.name);
                let many = !matches!(link, Some(Link::Holds { .. }) | None);
                assert_eq!(navigation.is_many(), many, "{}/{}", entity.name, navigation.name);
            }
        }
    }
}
