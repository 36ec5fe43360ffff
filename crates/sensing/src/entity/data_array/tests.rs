//! Bulks held to 13.2, and how fast they are read.

use std::time::Instant;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::entity::{FaultKind, Moment, ObservationType, Outcome, REFUSALS_TOLD_MAX, ROWS_MAX};
use crate::odata::EntityId;
use crate::schema::EntityKind;

fn groups(body: &str) -> Vec<Group> {
    create_observations(body.as_bytes()).unwrap_or_else(|fault| panic!("{body}: {fault}"))
}

/// A group of these rows, with time and result.
fn group(rows: &Value) -> Group {
    let body = json!([{"Datastream": {"@iot.id": 1}, "components": ["phenomenonTime", "result"],
                       "dataArray": rows}]);
    groups(&body.to_string()).remove(0)
}

/// What became of each row: the observation's place, or where the row is wrong.
fn outcome(group: &Group) -> Vec<String> {
    let outcome = |row: Row<'_>| match row {
        Row::Read(place) => place.to_string(),
        Row::Refused(fault) => fault.map_or_else(String::new, |fault| fault.pointer.clone()),
    };
    group.rows().map(outcome).collect()
}

#[test]
fn the_standard_s_example_is_read() {
    let body = r#"[
      {"Datastream": {"@iot.id": 1},
       "components": ["phenomenonTime", "result", "FeatureOfInterest/id"],
       "dataArray@iot.count": 2,
       "dataArray": [["2010-12-23T10:20:00-0700", 20, 1], ["2010-12-23T10:21:00-0700", 30, 1]]},
      {"Datastream": {"@iot.id": 2},
       "components": ["phenomenonTime", "result", "FeatureOfInterest/id"],
       "dataArray@iot.count": 2,
       "dataArray": [["2010-12-23T10:20:00-0700", 65, 1], ["2010-12-23T10:21:00-0700", 60, 1]]}
    ]"#;
    let groups = groups(body);
    let ids: Vec<_> =
        groups.iter().map(|group| group.stream.as_ref().unwrap().id.clone()).collect();
    assert_eq!(ids, [EntityId::Integer(1), EntityId::Integer(2)]);
    let read = &groups[0].observations;
    assert_eq!(read.result, [20.0, 30.0]);
    assert_eq!(read.feature, [Some(EntityId::Integer(1)), Some(EntityId::Integer(1))]);
    assert_eq!(read.phenomenon_time[1], Moment::parse("2010-12-23T17:21:00Z").unwrap());
    assert!(read.result_time.is_empty());
    assert_eq!(outcome(&groups[1]), ["0", "1"]);
}

#[test]
fn the_order_of_members_does_not_matter() {
    let body = r#"[{"dataArray":[["2020-01-01T00:00:00Z",1],["x",2]],
                    "components":["phenomenonTime","result"],"MultiDatastream":{"@iot.id":1}}]"#;
    let group = groups(body).remove(0);
    assert_eq!(group.stream.as_ref().unwrap().kind, EntityKind::MultiDatastream);
    assert_eq!(outcome(&group), ["0", "/0/dataArray/1/0"]);
}

#[test]
fn every_component_is_read() {
    let body = r#"[{"Datastream":{"@iot.id":"a"},
        "components":["resultTime","validTime","result","phenomenonTime","parameters",
                      "resultQuality","id"],
        "dataArray":[
          [null,null,1,"2020-01-01T00:00:00Z",null,null,7],
          ["2020-01-01T00:00:01Z","2020-01-01T00:00:00Z/2020-01-02T00:00:00Z",[1,{"b":2}],
           "2020-01-01T00:00:00Z/2020-01-01T01:00:00Z",{"n":1},"good",null]]}]"#;
    let group = groups(body).remove(0);
    let first = group.observations.observation(0);
    assert_eq!(first.result, Outcome::Number(1.0));
    assert_eq!((first.result_time, first.valid_time), (None, None));
    let second = group.observations.observation(1);
    assert_eq!(second.result.value(), json!([1, {"b": 2}]));
    assert_eq!(second.result_time.unwrap().to_string(), "2020-01-01T00:00:01Z");
    assert_eq!(second.phenomenon_time.to_string(), "2020-01-01T00:00:00Z/2020-01-01T01:00:00Z");
    assert_eq!(second.valid_time.unwrap().end().to_string(), "2020-01-02T00:00:00Z");
    assert_eq!(second.parameters.unwrap().as_str(), r#"{"n":1}"#);
    assert_eq!(second.result_quality.unwrap().as_str(), "\"good\"");
}

#[test]
fn results_keep_their_type_and_their_value() {
    let results =
        json!([5, -5, 2.5, 9_007_199_254_740_993_i64, u64::MAX, "5", true, null, {"a": []}]);
    let rows: Value =
        results.as_array().unwrap().iter().map(|r| json!(["2020-01-01T00:00:00Z", r])).collect();
    let group = group(&rows);
    for (place, result) in results.as_array().unwrap().iter().enumerate() {
        assert_eq!(group.observations.result_at(place), Outcome::of(result), "{result}");
    }
    assert_eq!(group.observations.result_json.len(), 6);
}

#[test]
fn a_wrong_row_is_refused_alone_and_in_its_place() {
    let group = group(&json!([
        ["2020-01-01T00:00:00Z", 1],
        ["2020-01-01T00:00:00", 2],
        ["2020-01-01T00:00:00Z"],
        ["2020-01-01T00:00:00Z", 4, 5],
        [null, 5],
        [6, 6],
        {"phenomenonTime": "2020-01-01T00:00:00Z", "result": 7},
        "2020-01-01T00:00:00Z",
        [["2020-01-01T00:00:00Z"], 8],
        ["2020-01-01T00:00:09Z", 9],
        [],
    ]));
    let expected = [
        "0",
        "/0/dataArray/1/0",
        "/0/dataArray/2",
        "/0/dataArray/3",
        "/0/dataArray/4/0",
        "/0/dataArray/5/0",
        "/0/dataArray/6",
        "/0/dataArray/7",
        "/0/dataArray/8/0",
        "1",
        "/0/dataArray/10",
    ];
    assert_eq!(outcome(&group), expected);
    assert_eq!(group.observations.result, [1.0, 9.0]);
    let fault = group.refused[1].fault.as_ref().unwrap().to_string();
    assert_eq!(
        fault,
        "/0/dataArray/2: a row of another length than its components: expected 2, found 1"
    );
}

#[test]
fn a_group_that_cannot_be_read_has_its_rows_counted() {
    let rows = r#""dataArray":[["2020-01-01T00:00:00Z",1],5]"#;
    let both = r#""components":["phenomenonTime","result"]"#;
    let link = r#""Datastream":{"@iot.id":1}"#;
    for (group, says) in [
        (format!("{{{both},{rows}}}"), "/0: `Datastream` is missing"),
        (format!("{{{link},{rows}}}"), "/0: `components` is missing"),
        (format!("{{{rows},{link},\"components\":[\"result\"]}}"), "`phenomenonTime` is missing"),
        (format!("{{{link},\"components\":[\"phenomenonTime\"],{rows}}}"), "`result` is missing"),
        (format!("{{{link},\"components\":5,{rows}}}"), "an array of names"),
        (
            format!("{{{link},\"components\":[\"phenomenonTime\",\"result\",\"reslt\"],{rows}}}"),
            "/0/components/2: no component of an observation: found `reslt`; did you mean",
        ),
        (
            format!("{{{link},\"components\":[\"phenomenonTime\",\"result\",\"result\"],{rows}}}"),
            "there already",
        ),
        (format!("{{\"Datastream\":{{\"@iot.id\":[]}},{both},{rows}}}"), "/0/Datastream/@iot.id"),
        (format!("{{\"Datastream\":1,{both},{rows}}}"), "expected a link"),
        (format!("{{{link},\"MultiDatastream\":{{\"@iot.id\":1}},{both},{rows}}}"), "two streams"),
        (format!("{{{link},{both},{rows},\"components2\":0}}"), "did you mean `components`?"),
    ] {
        let good = format!("{{{link},{both},{rows}}}");
        let groups = groups(&format!("[{group},{good}]"));
        let fault = groups[0].fault.as_ref().unwrap().to_string();
        assert!(fault.contains(says), "{group}: {fault}");
        assert_eq!(groups[0].rows().count(), 2, "{group}");
        assert!(groups[0].rows().all(|row| matches!(row, Row::Refused(Some(_)))));
        assert!(groups[0].observations.is_empty() && groups[0].refused.is_empty());
        assert_eq!(outcome(&groups[1]), ["0", "/1/dataArray/1"]);
    }
}

#[test]
fn a_body_that_is_no_array_of_groups_is_refused() {
    let link = r#""Datastream":{"@iot.id":1},"components":["phenomenonTime","result"]"#;
    for body in [
        String::new(),
        "{}".to_owned(),
        "[5]".to_owned(),
        "[]x".to_owned(),
        format!("[{{{link},\"dataArray\":[[\"2020-01-01T00:00:00Z\",1]"),
        format!("[{{{link},\"dataArray\":5}}]"),
        format!("[{{\"dataArray\":5,{link}}}]"),
        format!("[{{{link},\"dataArray\":[],\"dataArray\":[]}}]"),
        format!("[{{{link},\"dataArray\":[[\"2020-01-01T00:00:00Z\",{{\"a\":1,\"a\":2}}]]}}]"),
    ] {
        let fault = create_observations(body.as_bytes()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Invalid, "{body}");
        assert!(fault.to_string().contains("column"), "{body}: {fault}");
    }
    assert_eq!(groups("[]"), []);
}

#[test]
fn rows_are_bounded_and_so_is_what_is_said_of_them() {
    let of = |count: usize| {
        let rows = vec!["[]"; count].join(",");
        format!(
            r#"[{{"Datastream":{{"@iot.id":1}},"components":["phenomenonTime","result"],
                "dataArray":[{rows}]}}]"#
        )
    };
    let group = groups(&of(REFUSALS_TOLD_MAX + 5)).remove(0);
    assert_eq!(group.refused.len(), REFUSALS_TOLD_MAX + 5);
    assert_eq!(group.refused.iter().filter(|row| row.fault.is_some()).count(), REFUSALS_TOLD_MAX);
    let fault = create_observations(of(ROWS_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::TooLarge);
    assert!(fault.to_string().contains("rows in one body"), "{fault}");
}

#[test]
fn results_are_held_to_their_stream() {
    let time = "2020-01-01T00:00:00Z";
    let mut rows = group(&json!([[time, 1], [time, "x"], ["x", 2], [time, 3], [time, 4.5]]));
    rows.hold_to(&ObservationType::Measurement);
    assert_eq!(outcome(&rows), ["0", "/0/dataArray/1", "/0/dataArray/2/0", "1", "2"]);
    rows.hold_to(&ObservationType::Count);
    assert_eq!(rows.observations.result, [1.0, 3.0]);
    assert_eq!(rows.observations.result_json, []);
    assert_eq!(rows.refused.len(), 3);

    let mut rows = group(&json!([[time, [1, "x"]], [time, [1]], [time, 5]]));
    rows.hold_to_elements(&[ObservationType::Measurement, ObservationType::Category]);
    assert_eq!(outcome(&rows), ["0", "/0/dataArray/1", "/0/dataArray/2"]);
    assert_eq!(rows.observations.result_at(0).value(), json!([1, "x"]));
}

fn any_cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(json!("2020-01-01T00:00:00Z")),
        Just(json!("2020-01-01T00:00:00Z/2020-01-02T00:00:00Z")),
        "\\PC{0,6}".prop_map(Value::from),
        Just(json!([1, {"a": null}])),
        Just(json!({"n": 1})),
    ]
}

proptest! {
    #[test]
    fn no_bulk_is_a_panic_and_every_row_has_its_place(
        names in prop::collection::vec(prop::sample::select(
            vec!["phenomenonTime", "result", "resultTime", "validTime", "parameters",
                 "resultQuality", "FeatureOfInterest/id", "id", "x"]), 0..5),
        rows in prop::collection::vec(prop::collection::vec(any_cell(), 0..6), 0..6),
        late: bool,
    ) {
        let mut names = names;
        names.splice(0..0, ["phenomenonTime", "result"]);
        let (names, rows) = (json!(names).to_string(), json!(rows));
        let body = match late {
            false => format!(
                r#"[{{"Datastream":{{"@iot.id":1}},"components":{names},"dataArray":{rows}}}]"#),
            true => format!(
                r#"[{{"dataArray":{rows},"components":{names},"Datastream":{{"@iot.id":1}}}}]"#),
        };
        let mut group = groups(&body).remove(0);
        let rows = rows.as_array().unwrap().len();
        for kind in [ObservationType::Observation, ObservationType::Measurement] {
            group.hold_to(&kind);
            prop_assert_eq!(group.rows().count(), rows);
            let read = group.rows().filter(|row| matches!(row, Row::Read(_))).count();
            prop_assert_eq!(read, group.observations.len());
            for place in 0..read {
                let _ = group.observations.observation(place);
            }
        }
    }

    #[test]
    fn no_text_is_a_panic(text in r#"[\[\]{}":,a0-9eE.+ -]{0,80}"#) {
        let _ = create_observations(text.as_bytes());
    }

    #[test]
    fn a_row_of_a_bulk_is_what_one_observation_is(cell in any_cell(), time in any_cell()) {
        let group = group(&json!([[time, cell]]));
        let one = json!({"Datastream": {"@iot.id": 1}, "phenomenonTime": time, "result": cell});
        let now = Moment::from_micros(0).unwrap();
        let kind = EntityKind::Observation;
        let one = crate::entity::create(kind, one.to_string().as_bytes(), None, now);
        match (one, group.rows().next().unwrap()) {
            (Ok(one), Row::Read(place)) => {
                let observation = group.observations.observation(place);
                prop_assert_eq!(one.entity, crate::entity::Entity::Observation(observation));
            }
            // A bulk has no row without a time (13.2.1); one observation may go without.
            (Ok(_), Row::Refused(_)) => prop_assert!(time.is_null()),
            (Err(_), Row::Refused(_)) => {}
            (Err(fault), Row::Read(_)) => prop_assert!(false, "{}", fault),
        }
    }
}

/// `cargo test --release -p sensing -- --ignored --nocapture rows_a_second`
#[test]
#[ignore = "a measurement"]
fn rows_a_second() {
    const ROWS: usize = 200_000;
    const ROUNDS: usize = 5;
    let measure =
        |what: &str, per_group: usize, components: &str, row: &dyn Fn(usize) -> String| {
            let mut body = "[".to_owned();
            for group in 0..ROWS / per_group {
                body.push_str(if group > 0 { "," } else { "" });
                let rows: Vec<String> =
                    (0..per_group).map(|n| row(group * per_group + n)).collect();
                body.push_str(&format!(
                    r#"{{"Datastream":{{"@iot.id":{group}}},"components":{components},{}}}"#,
                    format_args!("\"dataArray\":[{}]", rows.join(","))
                ));
            }
            body.push(']');
            let start = Instant::now();
            let mut read = 0;
            for _ in 0..ROUNDS {
                let groups = create_observations(body.as_bytes()).unwrap();
                read += groups.iter().map(|group| group.observations.len()).sum::<usize>();
            }
            assert_eq!(read, ROWS * ROUNDS);
            let seconds = start.elapsed().as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "a measurement")]
            let (rate, bytes) = (read as f64 / seconds, (body.len() * ROUNDS) as f64 / seconds);
            println!("{what}: {rate:.0} rows/s, {:.0} MB/s", bytes / 1e6);
        };
    let time = |n: usize| {
        format!("2026-11-23T{:02}:{:02}:{:02}.{:03}Z", n / 3600 % 24, n / 60 % 60, n % 60, n % 1000)
    };
    let short = r#"["phenomenonTime","result"]"#;
    measure("time and result, groups of 100", 100, short, &|n| {
        format!("[\"{}\",{}.{}]", time(n), n % 100, n % 97)
    });
    let long = r#"["phenomenonTime","resultTime","result","FeatureOfInterest/id"]"#;
    measure("two times, result, feature, groups of 100", 100, long, &|n| {
        format!("[\"{0}\",\"{0}\",{1}.{2},{3}]", time(n), n % 100, n % 97, n % 50)
    });
    measure("time and text, groups of 10", 10, short, &|n| format!("[\"{}\",\"clear\"]", time(n)));
}
