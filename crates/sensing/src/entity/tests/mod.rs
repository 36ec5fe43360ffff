//! The JSON held to the standard: its own examples, and what implementers get wrong.

mod change;
mod read;
mod round_trip;
mod write;

use super::{Entity, FaultKind, Moment, NewEntity, Result, create};
use crate::schema::EntityKind;

const MEASUREMENT: &str = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement";

/// OGC 18-088, 10.2.1.2: a Thing with a place, a stream, an observation of it, and their like.
const OVEN: &str = r#"{
  "description": "This an oven with a temperature datastream.",
  "name": "oven",
  "Locations": [{
    "name": "CCIT",
    "description": "Calgary Centre for Innovative Technologies",
    "encodingType": "application/vnd.geo+json",
    "location": {"type": "Feature", "geometry": {"type": "Point", "coordinates": [10,10]}}
  }],
  "Datastreams": [{
    "name": "oven temperature",
    "description": "This is a datastream for an oven’s internal temperature.",
    "unitOfMeasurement": {
      "name": "degree Celsius",
      "symbol": "°C",
      "definition": "http://unitsofmeasure.org/ucum.html#para-30"
    },
    "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
    "observedArea": {
      "type": "Polygon",
      "coordinates": [[[100,0], [101,0], [101,1], [100,1], [100,0]]]
    },
    "phenomenonTime": "2009-01-11T16:22:25.00Z/2011-08-21T08:32:10.00Z",
    "Observations": [{
      "phenomenonTime": "2012-06-26T03:42:02-0600",
      "result": 70.4,
      "FeatureOfInterest": {
        "name": "CCIT #361",
        "description": "This is CCIT #361, Noah’s dad’s office",
        "encodingType": "application/vnd.geo+json",
        "feature": {
          "type": "Feature",
          "geometry": {
            "type": "Polygon",
            "coordinates": [
              [[100,50], [10,9], [23,4], [100,50]], [[30,20], [10,4], [4,22], [30,20]]
            ]
          }
        }
      }
    }],
    "ObservedProperty": {
      "name": "DewPoint Temperature",
      "definition": "http://sweet.jpl.nasa.gov/ontology/property.owl#DewPointTemperature",
      "description": "The dewpoint temperature is the temperature to which the air is cooled."
    },
    "Sensor": {
      "name": "DS18B20",
      "description": "DS18B20 is an air temperature sensor…",
      "encodingType": "application/pdf",
      "metadata": "http://datasheets.maxim-ic.com/en/ds/DS18B20.pdf"
    }
  }]
}"#;

/// OGC 18-088, clause 11: three properties, one of them without a unit.
const WEATHER: &str = r#"{
  "name": "temperature, RH, visibility",
  "description": "This is a MultiDatastream from a simple weather station",
  "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation",
  "multiObservationDataTypes": [
    "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
    "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
    "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_CategoryObservation"
  ],
  "unitOfMeasurements": [
    {"name": "degree Celsius", "symbol": "°C", "definition": "ucum:Cel"},
    {"name": "percent", "symbol": "%", "definition": "ucum:%"},
    {"name": null, "symbol": null, "definition": null}
  ],
  "Thing": {"@iot.id": 1},
  "Sensor": {"@iot.id": 2},
  "ObservedProperties": [{"@iot.id": 3}, {"@iot.id": 4}, {"@iot.id": 5}],
  "Observations": [{"phenomenonTime": "2014-12-31T11:59:59.00+08:00", "result": [25, 65, "clear"]}]
}"#;

fn now() -> Moment {
    Moment::parse("2026-11-23T00:00:00Z").unwrap()
}

fn read(kind: EntityKind, body: &str) -> Result<NewEntity> {
    create(kind, body.as_bytes(), None, now())
}

/// An entity without its relations.
fn entity(kind: EntityKind, body: &str) -> Entity {
    let relations = match kind {
        EntityKind::Datastream => {
            r#","Thing":{"@iot.id":1},"Sensor":{"@iot.id":1},"ObservedProperty":{"@iot.id":1}}"#
        }
        EntityKind::HistoricalLocation => r#","Thing":{"@iot.id":1},"Locations":[{"@iot.id":1}]}"#,
        EntityKind::Observation => r#","Datastream":{"@iot.id":1}}"#,
        _ => "}",
    };
    let body = format!("{}{relations}", body.trim_end().strip_suffix('}').unwrap());
    read(kind, &body).unwrap().entity
}

fn thing() -> Entity {
    entity(EntityKind::Thing, r#"{"name":"oven","description":"hot","properties":{"b":1,"a":[2]}}"#)
}

fn datastream() -> Entity {
    let body = format!(
        r#"{{"name":"t","description":"d","observationType":"{MEASUREMENT}",
            "unitOfMeasurement":{{"name":"degree","symbol":"°C","definition":"ucum:Cel"}},
            "phenomenonTime":"2009-01-11T16:22:25Z/2011-08-21T08:32:10Z"}}"#
    );
    entity(EntityKind::Datastream, &body)
}

/// That a body is refused at the place, with these words.
#[track_caller]
fn refused<T: std::fmt::Debug>(read: Result<T>, pointer: &str, says: &str) {
    let fault = read.unwrap_err();
    assert_eq!(fault.pointer, pointer, "{fault}");
    assert!(fault.to_string().contains(says), "{fault}");
    assert_eq!(fault.kind, FaultKind::Invalid, "{fault}");
}
