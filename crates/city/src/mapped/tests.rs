//! Messages of Chengdu's water gauges into a city, and what is read of messages of other forms.

use std::path::{Path, PathBuf};

use catalog::{Session, Surface};
use chrono::Utc;
use pack::mapped::{
    Arrival, ClockRule, Column, Duplicate, Find, Form, JsonPath, Outside, Reading, ReadingKind,
    Source, StreamBy, TimeRule, TopicPattern,
};
use sensing::entity::Outcome;
use sensing::odata::ResourcePath;
use sensing::schema::SENSORTHINGS_1_1;
use serde_json::{Value, json};

use super::read::{Captures, Given, message};
use super::{FLAG_CLOCK, Mapped, MappedRefusal, Mapping, clocked, converted};
use crate::{City, OpenOptions};

fn path(text: &str) -> Find {
    Find::Path(JsonPath::parse(text).unwrap())
}

fn reading(key: &str, find: Find) -> Reading {
    Reading {
        find,
        stream: StreamBy::Key(key.to_owned()),
        unit: None,
        to: None,
        kind: ReadingKind::Number,
        missing: vec!["-9999".to_owned()],
        required: false,
        place: pack::Place::default(),
    }
}

fn source(form: Form, device: Find, readings: Vec<Reading>) -> Source {
    Source {
        id: "gauges".to_owned(),
        title: pack::Text::default(),
        owner: "water".to_owned(),
        arrival: Arrival::Mqtt { topic: TopicPattern::parse("city/{device}").unwrap() },
        form,
        device,
        time: TimeRule::Receipt,
        clock: ClockRule { ahead_s: 300, behind_s: Some(600), outside: Outside::Refuse },
        duplicate: Duplicate::Time,
        readings,
        place: pack::Place::default(),
    }
}

fn told(
    source: &Source,
    payload: &str,
) -> (Vec<(String, usize, Given)>, Vec<(usize, &'static str)>) {
    let captures: Captures<'_> = [("device", "W-1")].into_iter().collect();
    let read = message(source, &captures, payload.as_bytes(), 480);
    let told = read.told.into_iter().map(|told| (told.device, told.record, told.value)).collect();
    (told, read.unread.into_iter().map(|unread| (unread.record, unread.code)).collect())
}

#[test]
fn records_are_read_one_by_one() {
    let records = Some(JsonPath::parse("$.items[*]").unwrap());
    let mut level = reading("level", path("$.level"));
    level.required = true;
    let readings = vec![level, reading("rain", path("$.rain"))];
    let source = source(Form::Json { records }, path("$.id"), readings);
    let payload = json!({"items": [
        {"id": "a", "level": 1.5, "rain": "0.25"},
        {"level": 2},
        {"id": 7, "level": "high", "rain": null},
        {"id": "c", "level": -9999, "rain": -9999},
    ]});
    let (told, unread) = told(&source, &payload.to_string());
    let number = |device: &str, record, number| (device.to_owned(), record, Given::Number(number));
    assert_eq!(told, [number("a", 1, 1.5), number("a", 1, 0.25)]);
    assert_eq!(unread, [(2, "device"), (3, "type"), (4, "required")]);
}

#[test]
fn garbage_is_told_and_never_panics() {
    let json = source(
        Form::Json { records: None },
        Find::Topic("device".into()),
        vec![reading("a", path("$.a"))],
    );
    for payload in ["", "{", "\u{0}", "[[[[", "{\"a\":1e999}", "nan"] {
        let (told, unread) = told(&json, payload);
        assert_eq!((told.len(), unread.len()), (0, 1), "{payload}: {unread:?}");
    }
    let (nothing, unread) = told(&json, "[]");
    assert_eq!((nothing.len(), unread.len()), (0, 0), "no value there");
}

#[test]
fn lines_have_columns_by_name_or_by_number() {
    let form = |header, columns: &[&str]| Form::Csv {
        separator: b';',
        header,
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
    };
    let name = |name: &str| Find::Column(Column::Name(name.to_owned()));
    let number = |number| Find::Column(Column::Number(number));
    let named = source(form(true, &[]), name("站号"), vec![reading("level", name("水位"))]);
    let (told_named, unread) = told(&named, "\u{feff}站号;水位\nW-1; 3.5\nW-2;\nW-3;x\n");
    assert_eq!(told_named, [("W-1".to_owned(), 1, Given::Number(3.5))]);
    assert_eq!(unread, [(3, "type")]);
    let numbered = source(form(false, &[]), number(1), vec![reading("level", number(2))]);
    let (told_numbered, _) = told(&numbered, "W-9;4");
    assert_eq!(told_numbered, [("W-9".to_owned(), 1, Given::Number(4.0))]);
}

#[test]
fn units_become_the_datastream_s_or_are_refused() {
    let mut rule = reading("level", path("$.level"));
    assert_eq!(converted(&rule, 3.0, Some("m")), Ok(3.0), "nothing is said of its unit");
    rule.unit = Some("cm".to_owned());
    assert_eq!(converted(&rule, 812.5, Some("m")), Ok(8.125));
    assert!(converted(&rule, 1.0, Some("Cel")).is_err());
    assert!(converted(&rule, 1.0, None).is_err());
    rule.to = Some("mm".to_owned());
    assert!(converted(&rule, 1.0, Some("m")).is_err(), "another unit than was meant");
    assert_eq!(converted(&rule, 1.0, Some("mm")), Ok(10.0));
}

#[test]
fn clocks_are_held_to_their_bounds() {
    const SECOND: i64 = 1_000_000;
    let mut rule = ClockRule { ahead_s: 300, behind_s: Some(600), outside: Outside::Refuse };
    for within in [-600, 0, 300] {
        assert_eq!(clocked(rule, within * SECOND, 0), Ok(0), "{within}");
    }
    for outside in [-601, 301] {
        assert!(clocked(rule, outside * SECOND, 0).is_err(), "{outside}");
    }
    rule.outside = Outside::Flag;
    assert_eq!(clocked(rule, 301 * SECOND, 0), Ok(FLAG_CLOCK));
    rule.behind_s = None;
    assert_eq!(clocked(rule, i64::MIN / 2, 0), Ok(0));
}

async fn city(dir: &Path) -> City {
    let pack: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
    let options = OpenOptions { dir: dir.join("city"), ..OpenOptions::default() };
    let city = City::create(&options, &pack).await.unwrap();
    for (name, organisation) in [("gauge", "water"), ("other", "transport")] {
        let user = registry::NewUser {
            name: name.to_owned(),
            organisation: organisation.to_owned(),
            roles: vec!["data_steward".to_owned()],
            areas: Vec::new(),
            password: None,
        };
        city.registry().create_user("city", user, city.pack(), Utc::now()).await.unwrap();
    }
    city
}

/// A gauge with Datastreams in metres and per cent.
fn gauge(device: &str) -> Value {
    let stream = |key: &str, symbol: &str| {
        json!({
            "name": key,
            "description": key,
            "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
            "unitOfMeasurement": {"name": symbol, "symbol": symbol, "definition": symbol},
            "properties": {"source_key": key},
            "Sensor": {"name": "s", "description": "s", "encodingType": "text/html", "metadata": "m"},
            "ObservedProperty": {"name": key, "definition": "http://example.org", "description": key},
        })
    };
    json!({
        "name": device,
        "description": "a gauge",
        "properties": {"source_id": device},
        "Locations": [{
            "name": "bank", "description": "bank", "encodingType": "application/geo+json",
            "location": {"type": "Point", "coordinates": [104.06, 30.67]},
        }],
        "Datastreams": [stream("level", "m"), stream("battery", "%")],
    })
}

async fn add(city: &City, session: &Session, device: &str) {
    let things = ResourcePath::parse(&SENSORTHINGS_1_1, "Things").unwrap();
    city.sta_create(session, &things, gauge(device).to_string().as_bytes()).await.unwrap();
}

async fn levels(city: &City, session: &Session) -> Vec<(i64, u32, f64)> {
    let sql = "SELECT datastream, phenomenon_time, ordinal, result_number, result_json, parameters \
               FROM sensing.observation ORDER BY phenomenon_time, ordinal, result_number";
    let rows = city.kept_readings(session, sql, &[]).await.unwrap();
    rows.into_iter()
        .map(|row| match row.result {
            Some(Outcome::Number(number)) => (row.time_us, row.ordinal, number),
            other => panic!("no number: {other:?}"),
        })
        .collect()
}

fn counts(mapped: &Mapped) -> (usize, usize, usize) {
    (mapped.taken, mapped.duplicates, mapped.refused_count)
}

#[tokio::test]
async fn a_gauge_s_messages_become_observations_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut city = city(dir.path()).await;
    let water = city.session("gauge", Surface::Engine).await.unwrap();
    add(&city, &water, "W-7").await;
    let topic = "city/water/W-7/telemetry";
    assert!(city.maps_topic(topic) && !city.maps_topic("city/gas/W-7/telemetry"));
    let now_s = Utc::now().timestamp();
    let said = |seq: i64, ts: i64, level: f64| {
        json!({"seq": seq, "ts": ts, "level_cm": level, "battery": 97}).to_string()
    };
    let first = said(1, now_s - 60, 812.5);
    let mapped = city.take_mapped(&water, topic, first.as_bytes()).await.unwrap();
    assert_eq!(counts(&mapped), (2, 0, 0), "{mapped:?}");
    let mapped = city.take_mapped(&water, topic, first.as_bytes()).await.unwrap();
    assert_eq!(counts(&mapped), (0, 2, 0));

    // Another process: what is not remembered is in the lake.
    city.mapping = Mapping::default();
    let mapped = city.take_mapped(&water, topic, first.as_bytes()).await.unwrap();
    assert_eq!(counts(&mapped), (0, 2, 0));
    let corrected = said(2, now_s - 60, 813.0);
    let mapped = city.take_mapped(&water, topic, corrected.as_bytes()).await.unwrap();
    assert_eq!(counts(&mapped), (2, 0, 0), "of the same moment, and another number");
    let at = (now_s - 60) * 1_000_000;
    let kept = levels(&city, &water).await;
    assert_eq!(kept, [(at, 0, 8.125), (at, 0, 97.0), (at, 1, 8.13), (at, 1, 97.0)]);
}

#[tokio::test]
async fn what_is_not_taken_is_told_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let city = city(dir.path()).await;
    let water = city.session("gauge", Surface::Engine).await.unwrap();
    let other = city.session("other", Surface::Engine).await.unwrap();
    add(&city, &water, "W-7").await;
    let topic = "city/water/W-7/telemetry";
    let payload = json!({"seq": 1, "ts": Utc::now().timestamp(), "level_cm": 5}).to_string();
    let mapped = city.take_mapped(&other, topic, payload.as_bytes()).await.unwrap();
    assert_eq!(counts(&mapped), (0, 0, 1), "who does not act for the owner adds nothing");
    let unknown = city.take_mapped(&water, "city/water/W-8/telemetry", payload.as_bytes()).await;
    let unknown = unknown.unwrap();
    assert!(matches!(unknown.refused.as_slice(), [MappedRefusal { code: "stream", .. }]));
    let garbage = city.take_mapped(&water, topic, b"{\"seq\": 3").await.unwrap();
    assert_eq!(garbage.refused[0].code, "json");
    assert!(city.take_mapped(&water, "no/such", b"").await.is_err());
    assert!(levels(&city, &water).await.is_empty());

    let kept = city.quarantined(Some("sensing.observation")).await.unwrap();
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept.iter().all(|row| row.owner == "water" && row.file == "source:water_level"));
    let states = city.source_states(&water);
    let state = states.iter().find(|state| state.id == "water_level").unwrap();
    assert_eq!((state.tally.messages, state.tally.refused), (3, 3));
    assert!(city.source_states(&other).iter().all(|state| state.owner != "water"));
}
