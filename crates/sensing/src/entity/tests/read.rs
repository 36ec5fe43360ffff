//! What is made: the standard's bodies, and what is refused of others.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{
    DEEP_INSERT_DEPTH_MAX, ENTITIES_MAX, Fault, Observation, Outcome, Parent, Target, TimeObject,
    Unit, create, fuzz, fuzz_message,
};
use super::*;
use crate::odata::EntityId;

fn new(target: &Target) -> &NewEntity {
    match target {
        Target::New(new) => new,
        Target::Existing(id) => panic!("a link to {id}"),
    }
}

fn one<'n>(new: &'n NewEntity, navigation: &str) -> &'n Target {
    let mut targets = new.related(navigation);
    let target = targets.next().unwrap();
    assert_eq!(targets.next(), None);
    target
}

fn observation(body: &str) -> Observation {
    match read(EntityKind::Observation, body).unwrap().entity {
        Entity::Observation(observation) => observation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_standard_s_deep_insert_is_read() {
    let oven = read(EntityKind::Thing, OVEN).unwrap();
    let stream = new(one(&oven, "Datastreams"));
    let observation = new(one(stream, "Observations"));
    let Entity::Observation(reading) = &observation.entity else { panic!() };
    assert_eq!(reading.result, Outcome::Number(70.4));
    assert_eq!(reading.phenomenon_time.to_string(), "2012-06-26T09:42:02Z");
    assert_eq!(reading.result_time, None);
    assert_eq!(
        new(one(observation, "FeatureOfInterest")).entity.kind(),
        EntityKind::FeatureOfInterest
    );
    assert_eq!(new(one(stream, "Sensor")).entity.kind(), EntityKind::Sensor);
    assert_eq!(new(one(&oven, "Locations")).entity.kind(), EntityKind::Location);
    // The Thing follows from where the stream stands.
    assert_eq!(stream.related("Thing").count(), 0);
}

#[test]
fn the_standard_s_links_are_read() {
    let body = r#"{"Datastream": {"@iot.id": 1}, "phenomenonTime": "2013-04-18T16:15:00-07:00",
                   "result": 124, "FeatureOfInterest": {"@iot.id": 2}}"#;
    let observation = read(EntityKind::Observation, body).unwrap();
    let link = |id| Target::Existing(EntityId::Integer(id));
    assert_eq!(one(&observation, "Datastream"), &link(1));
    assert_eq!(one(&observation, "FeatureOfInterest"), &link(2));
}

#[test]
fn the_standard_s_multi_datastream_is_read() {
    let weather = read(EntityKind::MultiDatastream, WEATHER).unwrap();
    let Entity::MultiDatastream(stream) = &weather.entity else { panic!() };
    assert_eq!(stream.units_of_measurement[2], Unit::default());
    assert_eq!(weather.related("ObservedProperties").count(), 3);
    let Entity::Observation(reading) = &new(one(&weather, "Observations")).entity else { panic!() };
    assert_eq!(reading.result.value(), json!([25, 65, "clear"]));
}

#[test]
fn lengths_of_a_multi_datastream_agree() {
    let kind = EntityKind::MultiDatastream;
    let with = |from: &str, to: &str| {
        assert!(WEATHER.contains(from));
        read(kind, &WEATHER.replacen(from, to, 1))
    };
    refused(with(r#", {"@iot.id": 5}"#, ""), "/ObservedProperties", "expected 3, found 2");
    let unit = r#"{"name": "percent", "symbol": "%", "definition": "ucum:%"},"#;
    refused(with(unit, ""), "/unitOfMeasurements", "expected 3, found 2");
    refused(with(r#""clear""#, r#""clear", 1"#), "/Observations/0/result", "3 elements, found 4");
    refused(with("65,", "\"wet\","), "/Observations/0/result/1", "OM_Measurement");
    refused(with("OM_ComplexObservation", "OM_Measurement"), "/observationType", "OM_Complex");
    refused(with("\"symbol\": null, ", ""), "/unitOfMeasurements/2", "`symbol` is missing");
}

#[test]
fn every_mandatory_property_is_needed() {
    use EntityKind::{
        Datastream, FeatureOfInterest, HistoricalLocation, Location, ObservedProperty, Sensor,
        Thing,
    };
    let link = json!({"@iot.id": 1});
    let point = json!({"type": "Point", "coordinates": [104.06, 30.67]});
    let unit = json!({"name": null, "symbol": null, "definition": null});
    for (kind, body) in [
        (Thing, json!({"name": "n", "description": "d"})),
        (
            Location,
            json!({"name": "n", "description": "d", "encodingType": "application/geo+json",
                          "location": point}),
        ),
        (
            FeatureOfInterest,
            json!({"name": "n", "description": "d", "feature": point,
                                   "encodingType": "application/geo+json"}),
        ),
        (
            HistoricalLocation,
            json!({"time": "2020-01-01T00:00:00Z", "Thing": link,
                                    "Locations": [link]}),
        ),
        (
            Sensor,
            json!({"name": "n", "description": "d", "encodingType": "text/html",
                        "metadata": {"calibrated": 2020}}),
        ),
        (ObservedProperty, json!({"name": "n", "definition": "http://x", "description": "d"})),
        (
            Datastream,
            json!({"name": "n", "description": "d", "observationType": MEASUREMENT,
                            "unitOfMeasurement": unit, "Thing": link, "Sensor": link,
                            "ObservedProperty": link}),
        ),
    ] {
        assert!(read(kind, &body.to_string()).is_ok(), "{kind:?}");
        for name in body.as_object().unwrap().keys() {
            let mut less = body.clone();
            less.as_object_mut().unwrap().shift_remove(name);
            refused(read(kind, &less.to_string()), "", &format!("`{name}` is missing"));
            less[name] = Value::Null;
            assert!(read(kind, &less.to_string()).is_err(), "{kind:?} with {name} null");
        }
    }
}

#[test]
fn an_observation_needs_its_result_and_one_stream() {
    let kind = EntityKind::Observation;
    refused(read(kind, r#"{"Datastream":{"@iot.id":1}}"#), "", "`result` is missing");
    refused(read(kind, r#"{"result":1}"#), "", "`Datastream` is missing");
    let both = r#"{"result":1,"Datastream":{"@iot.id":1},"MultiDatastream":{"@iot.id":1}}"#;
    refused(read(kind, both), "", "of one of them");
}

#[test]
fn a_device_without_a_clock_gets_the_service_s_time() {
    let reading = observation(r#"{"result":1,"Datastream":{"@iot.id":1}}"#);
    assert_eq!(reading.phenomenon_time, TimeObject::Moment(now()));
    assert_eq!(reading.result_time, None);
}

#[test]
fn a_result_time_that_is_null_is_one_that_is_not_there() {
    let reading = |more: &str| {
        observation(&format!(
            r#"{{"result":1,"Datastream":{{"@iot.id":1}},
                "phenomenonTime":"2020-01-01T00:00:00Z"{more}}}"#
        ))
    };
    assert_eq!(reading(r#","resultTime":null"#), reading(""));
    let given = reading(r#","resultTime":"2020-01-01T01:00:00+01:00""#);
    assert_eq!(given.result_time.unwrap().to_string(), "2020-01-01T00:00:00Z");
}

#[test]
fn a_result_is_of_any_type_and_a_time_may_be_an_interval() {
    for result in ["null", "true", "\"clear\"", "5", "2.5", "[1,\"a\"]", "{\"b\":1,\"a\":null}"] {
        let reading = observation(&format!(
            r#"{{"result":{result},"Datastream":{{"@iot.id":1}},"resultQuality":"good",
                "phenomenonTime":"2020-01-01T00:00:00Z/2020-01-01T01:00:00Z",
                "validTime":"2020-01-01T00:00:00Z/2020-01-02T00:00:00Z",
                "parameters":{{"n":1}}}}"#
        ));
        assert_eq!(reading.phenomenon_time.end().unwrap().to_string(), "2020-01-01T01:00:00Z");
        assert_eq!(reading.parameters.unwrap().as_str(), "{\"n\":1}");
        assert_eq!(reading.result_quality.unwrap().as_str(), "\"good\"");
    }
}

#[test]
fn a_result_is_held_to_the_new_stream_it_is_of() {
    let broken = OVEN.replace("70.4", "\"hot\"");
    let pointer = "/Datastreams/0/Observations/0/result";
    refused(read(EntityKind::Thing, &broken), pointer, "OM_Measurement does not allow");
    let body = format!(
        r#"{{"result":true,"Datastream":{{"name":"t","description":"d","Thing":{{"@iot.id":1}},
            "Sensor":{{"@iot.id":1}},"ObservedProperty":{{"@iot.id":1}},
            "observationType":"{MEASUREMENT}",
            "unitOfMeasurement":{{"name":null,"symbol":null,"definition":null}}}}}}"#
    );
    refused(read(EntityKind::Observation, &body), "/result", "expected a number, found true");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let thing = |body: &str| read(EntityKind::Thing, body);
    refused(thing("[]"), "", "expected a Thing, found an array of 0");
    refused(thing("{"), "", "line 1 column 1");
    refused(thing(r#"{"name":5,"description":"d"}"#), "/name", "a text, found the number 5");
    refused(thing(r#"{"name":"a\u0000","description":"d"}"#), "/name", "null character");
    refused(thing(r#"{"Name":"n","description":"d"}"#), "", "found `Name`");
    let unknown = r#"{"name":"n","description":"d","propertys":{}}"#;
    refused(thing(unknown), "/propertys", "did you mean `properties`?");
    let link = r#"{"name":"n","description":"d","Datastream":[]}"#;
    refused(thing(link), "/Datastream", "did you mean `Datastreams`?");
    let properties = r#"{"name":"n","description":"d","properties":[1]}"#;
    refused(thing(properties), "/properties", "expected an object, found an array of 1");
    let many = r#"{"name":"n","description":"d","Locations":{"@iot.id":1}}"#;
    refused(thing(many), "/Locations", "an array of Locations");
    let id = r#"{"name":"n","description":"d","Locations":[{"@iot.id":1.5}]}"#;
    refused(thing(id), "/Locations/0/@iot.id", "an id");
    let nested = OVEN.replace("[10,10]", "[10,100]");
    let pointer = "/Locations/0/location/geometry/coordinates/1";
    refused(thing(&nested), pointer, "a latitude outside of WGS-84");
    refused(
        thing(&OVEN.replace("OM_Measurement", "OM_Mesurement")),
        "/Datastreams/0/observationType",
        "did you mean `OM_Measurement`?",
    );
}

#[test]
fn another_encoding_is_kept_as_it_is() {
    for location in [json!("POINT(1 2)"), json!({"type": "Point", "coordinates": [500, 500]})] {
        let body = json!({"name": "n", "description": "d", "encodingType": "text/plain",
                          "location": location});
        let Entity::Location(read) = read(EntityKind::Location, &body.to_string()).unwrap().entity
        else {
            panic!()
        };
        assert_eq!(read.location.value(), location);
    }
}

#[test]
fn what_a_service_wrote_can_be_sent_back() {
    let body = r#"{"@iot.selfLink":"http://x/Things(1)","@iot.id":1,"name":"n","description":"d",
                   "Datastreams@iot.navigationLink":"http://x","Locations@iot.count":0,
                   "Locations@iot.nextLink":"http://x",
                   "Locations":[{"@iot.id":"a","@iot.selfLink":"http://x"},
                                {"@iot.id":7,"name":"n","description":"d",
                                 "encodingType":"x","location":"y"}]}"#;
    let thing = read(EntityKind::Thing, body).unwrap();
    assert_eq!(thing.given_id, Some(EntityId::Integer(1)));
    let targets: Vec<_> = thing.related("Locations").collect();
    assert_eq!(targets[0], &Target::Existing(EntityId::Text("a".to_owned())));
    assert_eq!(new(targets[1]).given_id, Some(EntityId::Integer(7)));
}

#[test]
fn a_collection_below_an_entity_links_to_it() {
    let parent = Parent { kind: EntityKind::Datastream, id: EntityId::Integer(5) };
    let below = |body: &str| create(EntityKind::Observation, body.as_bytes(), Some(&parent), now());
    let link = Target::Existing(EntityId::Integer(5));
    assert_eq!(one(&below(r#"{"result":1}"#).unwrap(), "Datastream"), &link);
    let same = below(r#"{"result":1,"Datastream":{"@iot.id":5}}"#).unwrap();
    assert_eq!(one(&same, "Datastream"), &link);
    let another = below(r#"{"result":1,"Datastream":{"@iot.id":6}}"#);
    refused(another, "/Datastream", "another entity than the one that is posted to");
    refused(below(r#"{"result":1,"Datastream":{"name":"n"}}"#), "/Datastream", "once more");
    let inside = OVEN.replace("\"Sensor\"", "\"Thing\": {\"@iot.id\": 1}, \"Sensor\"");
    refused(read(EntityKind::Thing, &inside), "/Datastreams/0/Thing", "once more");
}

#[test]
fn a_deep_insert_goes_deep_and_has_an_end() {
    let nested = |depth: usize| {
        let place = r#""name":"n","description":"d","encodingType":"x","location":"y""#;
        let thing = r#""name":"n","description":"d""#;
        let mut body = format!("{{{thing}}}");
        for level in 0..depth {
            body = match level % 2 {
                0 => format!("{{{place},\"Things\":[{body}]}}"),
                _ => format!("{{{thing},\"Locations\":[{body}]}}"),
            };
        }
        read(if depth.is_multiple_of(2) { EntityKind::Thing } else { EntityKind::Location }, &body)
    };
    assert!(nested(DEEP_INSERT_DEPTH_MAX).is_ok());
    let fault = nested(DEEP_INSERT_DEPTH_MAX + 1).unwrap_err();
    assert_eq!(fault.kind, FaultKind::TooLarge, "{fault}");
    assert!(nested(1_000).is_err());
}

#[test]
fn a_deep_insert_is_bounded_in_entities() {
    let place = r#"{"name":"n","description":"d","encodingType":"x","location":"y"}"#;
    let things = |places: usize| {
        let places = vec![place; places].join(",");
        let body = format!(r#"{{"name":"n","description":"d","Locations":[{places}]}}"#);
        read(EntityKind::Thing, &body)
    };
    assert!(things(ENTITIES_MAX - 1).is_ok());
    let fault = things(ENTITIES_MAX).unwrap_err();
    assert_eq!(fault.kind, FaultKind::TooLarge, "{fault}");
}

fn any_kind() -> impl Strategy<Value = EntityKind> {
    let kinds: Vec<_> =
        crate::schema::SENSORTHINGS_1_1.entities.iter().map(|entity| entity.kind).collect();
    prop::sample::select(kinds)
}

/// JSON of the names that entities have, with all sorts of values.
fn any_body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("2020-01-01T00:00:00Z/2021-01-01T00:00:00Z")),
        Just(json!(MEASUREMENT)),
        Just(json!("application/geo+json")),
        Just(json!({"@iot.id": 1})),
        Just(json!({"type": "Point", "coordinates": [1, 2]})),
        Just(json!({"name": null, "symbol": null, "definition": null})),
    ];
    let name = prop::sample::select(vec![
        "@iot.id",
        "name",
        "description",
        "properties",
        "encodingType",
        "location",
        "feature",
        "time",
        "unitOfMeasurement",
        "unitOfMeasurements",
        "observationType",
        "multiObservationDataTypes",
        "observedArea",
        "phenomenonTime",
        "resultTime",
        "result",
        "metadata",
        "definition",
        "validTime",
        "parameters",
        "Thing",
        "Things",
        "Locations",
        "Datastreams",
        "Datastream",
        "Observations",
        "Sensor",
        "ObservedProperty",
        "x",
        "type",
        "coordinates",
        "geometry",
        "geometries",
        "op",
        "path",
        "value",
        "from",
    ]);
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|members| {
                Value::Object(members.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())
            }),
        ]
    })
}

fn said(fault: &Fault) -> bool {
    !fault.to_string().is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_body_is_a_panic(kind in any_kind(), body in any_body()) {
        let body = body.to_string();
        if let Err(fault) = read(kind, &body) {
            prop_assert!(said(&fault));
        }
        fuzz(body.as_bytes());
        let updates = [super::super::patch, super::super::put, super::super::json_patch];
        for present in [thing(), datastream()] {
            for update in updates {
                if let Err(fault) = update(&present, body.as_bytes()) {
                    prop_assert!(said(&fault));
                }
            }
        }
    }

    #[test]
    fn no_bytes_are_a_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        fuzz(&body);
    }
    #[test]
    fn no_change_and_no_message_is_a_panic(body in any_body(), change in any_body(), topic in 0..4_usize) {
        let topics = [
            "v1.1/Observations",
            "v1.1/Datastreams(1)/Observations",
            "v1.1/MultiDatastreams(1)/Observations",
            "v1.1/Datastreams('a')/Observations",
        ];
        fuzz(format!("{body}\u{1e}{change}").as_bytes());
        fuzz_message(format!("{}\u{1e}{body}", topics[topic]).as_bytes());
    }

    #[test]
    fn no_topic_is_a_panic(topic in "[ -~\u{a0}-\u{2fff}]{0,40}", payload in prop::collection::vec(any::<u8>(), 0..64)) {
        fuzz_message(&[topic.as_bytes(), &[0x1e], &payload].concat());
        fuzz_message(&[b"v1.1/", topic.as_bytes(), b"/Observations\x1e", &payload].concat());
    }
}
