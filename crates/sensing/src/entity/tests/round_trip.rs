//! What is written reads back as it was, and rows give back what they were made of.

use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::super::{
    Datastream, DatastreamRow, Extent, FeatureOfInterest, FeatureOfInterestRow, HistoricalLocation,
    HistoricalLocationRow, Item, Json, Location, LocationRow, MultiDatastream, Observation,
    ObservationId, ObservationRow, ObservationType, ObservedProperty, ObservedPropertyRow, Outcome,
    Period, Sensor, SensorRow, Thing, ThingRow, TimeObject, Unit, Writer, geojson, json_patch,
    patch, put,
};
use super::*;
use crate::odata::{EntityId, QueryOptions};
use crate::schema::SENSORTHINGS_1_1;

fn any_text() -> impl Strategy<Value = String> {
    "[^\0]{0,12}"
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any_text(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_json() -> impl Strategy<Value = Json> {
    any_value().prop_filter("no null", |value| !value.is_null()).prop_map(|value| Json::of(&value))
}

fn any_object() -> impl Strategy<Value = Option<Json>> {
    let members = prop::collection::vec((any_text(), any_value()), 0..4);
    option::of(
        members.prop_map(|members| {
            Json::of(&Value::Object(members.into_iter().collect::<Map<_, _>>()))
        }),
    )
}

fn any_moment() -> impl Strategy<Value = Moment> {
    (Moment::MIN.micros()..=Moment::MAX.micros())
        .prop_map(|micros| Moment::from_micros(micros).unwrap())
}

fn any_period() -> impl Strategy<Value = Period> {
    (any_moment(), any_moment()).prop_map(|(a, b)| Period::new(a.min(b), a.max(b)).unwrap())
}

fn any_time() -> impl Strategy<Value = TimeObject> {
    prop_oneof![
        any_moment().prop_map(TimeObject::Moment),
        any_period().prop_map(TimeObject::Period)
    ]
}

/// An encoding, with what it allows.
fn any_encoded() -> impl Strategy<Value = (String, Json)> {
    let point = (-180.0..=180.0, -90.0..=90.0).prop_map(|(x, y): (f64, f64)| {
        let mut text = String::new();
        geojson::push(&mut text, &geo_types::Point::new(x, y).into());
        ("application/geo+json".to_owned(), Json::parse(&text).unwrap())
    });
    let other = (any_text(), any_json())
        .prop_filter("another one", |(encoding, _)| !geojson::is_geojson(encoding));
    prop_oneof![point, other]
}

fn any_unit() -> impl Strategy<Value = Unit> {
    (option::of(any_text()), option::of(any_text()), option::of(any_text()))
        .prop_map(|(name, symbol, definition)| Unit { name, symbol, definition })
}

fn any_type() -> impl Strategy<Value = ObservationType> {
    prop_oneof![
        Just(ObservationType::Measurement),
        Just(ObservationType::Category),
        Just(ObservationType::Other("urn:x".into())),
    ]
}

fn any_extent() -> impl Strategy<Value = Extent> {
    let area = (-10_f64..10.0, -10_f64..10.0)
        .prop_map(|(x, y)| geo_types::Rect::new((x, y), (x + 1.0, y + 1.0)).to_polygon().into());
    (option::of(area), option::of(any_period()), option::of(any_period())).prop_map(
        |(observed_area, phenomenon_time, result_time)| Extent {
            observed_area,
            phenomenon_time,
            result_time,
        },
    )
}

fn any_entity() -> impl Strategy<Value = Entity> {
    let named = || (any_text(), any_text());
    prop_oneof![
        (named(), any_object()).prop_map(|((name, description), properties)| {
            Entity::Thing(Thing { name, description, properties })
        }),
        (named(), any_encoded(), any_object()).prop_map(
            |((name, description), (encoding_type, location), properties)| {
                let location = Location { name, description, encoding_type, location, properties };
                Entity::Location(location)
            }
        ),
        (named(), any_encoded(), any_object()).prop_map(
            |((name, description), (encoding_type, feature), properties)| {
                let feature =
                    FeatureOfInterest { name, description, encoding_type, feature, properties };
                Entity::FeatureOfInterest(feature)
            }
        ),
        any_moment().prop_map(|time| Entity::HistoricalLocation(HistoricalLocation { time })),
        (named(), any_unit(), any_type(), any_extent(), any_object()).prop_map(
            |((name, description), unit_of_measurement, observation_type, extent, properties)| {
                Entity::Datastream(Datastream {
                    name,
                    description,
                    unit_of_measurement,
                    observation_type,
                    extent,
                    properties,
                })
            }
        ),
        (
            named(),
            prop::collection::vec((any_unit(), any_type()), 1..4),
            any_extent(),
            any_object()
        )
            .prop_map(|((name, description), both, extent, properties)| {
                let (units_of_measurement, data_types) = both.into_iter().unzip();
                Entity::MultiDatastream(MultiDatastream {
                    name,
                    description,
                    units_of_measurement,
                    data_types,
                    extent,
                    properties,
                })
            }),
        (named(), any_text(), any_json(), any_object()).prop_map(
            |((name, description), encoding_type, metadata, properties)| {
                let sensor = Sensor { name, description, encoding_type, metadata, properties };
                Entity::Sensor(sensor)
            }
        ),
        (named(), any_text(), any_object()).prop_map(
            |((name, description), definition, properties)| {
                let property = ObservedProperty { name, definition, description, properties };
                Entity::ObservedProperty(property)
            }
        ),
        (
            any_time(),
            any_value(),
            option::of(any_moment()),
            option::of(any_json()),
            option::of(any_period()),
            any_object()
        )
            .prop_map(
                |(phenomenon_time, result, result_time, result_quality, valid_time, parameters)| {
                    Entity::Observation(Observation {
                        phenomenon_time,
                        result: Outcome::of(&result),
                        result_time,
                        result_quality,
                        valid_time,
                        parameters,
                    })
                }
            ),
    ]
}

fn id(id: i64) -> EntityId {
    EntityId::Integer(id)
}

/// As it is answered, with what a new one of its type has to be linked to.
fn body_of(entity: &Entity) -> String {
    let text =
        Writer::new("http://x").entity(&Item::new(id(1), entity.clone()), &QueryOptions::default());
    let mut body: Value = serde_json::from_str(&text).unwrap();
    let link = serde_json::json!({"@iot.id": 1});
    let relations: &[&str] = match entity.kind() {
        EntityKind::Datastream => &["Thing", "Sensor", "ObservedProperty"],
        EntityKind::MultiDatastream => &["Thing", "Sensor"],
        EntityKind::HistoricalLocation => &["Thing"],
        EntityKind::Observation => &["Datastream"],
        _ => &[],
    };
    for name in relations {
        body[*name] = link.clone();
    }
    match entity {
        Entity::MultiDatastream(stream) => {
            body["ObservedProperties"] = vec![link; stream.data_types.len()].into();
        }
        Entity::HistoricalLocation(_) => body["Locations"] = vec![link].into(),
        _ => {}
    }
    body.to_string()
}

fn through_its_row(entity: Entity) -> Result<Entity> {
    match entity {
        Entity::Thing(e) => ThingRow::new(1, e).entity(),
        Entity::Location(e) => {
            let row = LocationRow::new(1, e);
            assert_eq!(row.geometry.is_some(), geojson::is_geojson(&row.encoding_type));
            row.entity()
        }
        Entity::HistoricalLocation(e) => HistoricalLocationRow::new(1, 2, e).entity(),
        Entity::Datastream(e) => DatastreamRow::new(1, e, 2, 3, 4).entity(),
        Entity::MultiDatastream(e) => DatastreamRow::new_multi(1, e, 2, 3).entity(),
        Entity::Sensor(e) => SensorRow::new(1, e).entity(),
        Entity::ObservedProperty(e) => ObservedPropertyRow::new(1, e).entity(),
        Entity::Observation(e) => {
            let id = ObservationId::new(1, e.phenomenon_time.start(), 2).unwrap();
            let row = ObservationRow::new(id, e, Some(3));
            assert_eq!(row.id().unwrap(), id);
            row.entity()
        }
        Entity::FeatureOfInterest(e) => FeatureOfInterestRow::new(1, e).entity(),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(entity in any_entity()) {
        let body = body_of(&entity);
        let new = read(entity.kind(), &body);
        prop_assert_eq!(new.map(|new| new.entity).map_err(|fault| fault.to_string()), Ok(entity));
    }

    #[test]
    fn a_row_gives_its_entity_back(entity in any_entity()) {
        let back = through_its_row(entity.clone());
        prop_assert_eq!(back.map_err(|fault| fault.to_string()), Ok(entity));
    }

    #[test]
    fn what_is_written_changes_nothing(entity in any_entity()) {
        let text = Writer::new("http://x")
            .entity(&Item::new(id(1), entity.clone()), &QueryOptions::default());
        for update in [patch, put] {
            let change = update(&entity, text.as_bytes()).map_err(|fault| fault.to_string());
            let change = change.unwrap();
            prop_assert_eq!(&change.entity, &entity);
            prop_assert!(change.changed.is_empty());
        }
        let change = json_patch(&entity, b"[]").unwrap();
        prop_assert_eq!(change.entity, entity);
    }
}

#[test]
fn every_entity_set_has_a_body_of_its_own() {
    // The strategies above know every type that the schema has.
    assert_eq!(SENSORTHINGS_1_1.entities.len(), 9);
}

#[test]
fn a_row_that_says_nothing_or_two_things_is_refused() {
    let body = r#"{"result":1,"phenomenonTime":"2020-01-01T00:00:00Z"}"#;
    let Entity::Observation(reading) = entity(EntityKind::Observation, body) else { panic!() };
    let place = ObservationId::new(1, reading.phenomenon_time.start(), 0).unwrap();
    let row = ObservationRow::new(place, reading, None);
    let none = ObservationRow { result_number: None, ..row.clone() };
    refused(none.entity(), "/result_number", "no result, or two");
    let both = ObservationRow { result_json: Some("2".to_owned()), ..row.clone() };
    refused(both.entity(), "/result_number", "no result, or two");
    let half = ObservationRow { valid_start: Some(0), ..row.clone() };
    refused(half.entity(), "/valid_end", "one end");
    let early = ObservationRow { phenomenon_end: Some(0), ..row.clone() };
    refused(early.entity(), "/phenomenon_end", "before it begins");
    let far = ObservationRow { phenomenon_time: i64::MAX, ..row.clone() };
    refused(far.entity(), "/phenomenon_time", "0000 to 9999");
    let broken = ObservationRow { parameters: Some("{".to_owned()), ..row };
    refused(broken.entity(), "/parameters", "no JSON");
}
