//! Sensors as SensorThings has them: links that lead somewhere, networks that hang on gateways, and
//! what is planted among them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use synth::{NUMBERS_MAX, Stream, StreamOptions, Tellers};

use crate::city::{PEOPLE, SEED, chengdu, integers, table, texts};

/// Numbers of a dataset's column.
fn numbers(dataset: &str, column: &str) -> BTreeSet<i64> {
    integers(&table(dataset), column).into_iter().collect()
}

#[test]
fn links_lead_to_rows_that_are_there() {
    for (from, column, to) in [
        ("sensing.thing_location", "thing", "sensing.thing"),
        ("sensing.thing_location", "location", "sensing.location"),
        ("sensing.historical_location", "thing", "sensing.thing"),
        ("sensing.historical_location_place", "location", "sensing.location"),
        ("sensing.historical_location_place", "historical_location", "sensing.historical_location"),
        ("sensing.datastream", "thing", "sensing.thing"),
        ("sensing.datastream", "sensor", "sensing.sensor"),
        ("sensing.datastream", "observed_property", "sensing.observed_property"),
        ("sensing.feature_of_interest", "location", "sensing.location"),
    ] {
        let there = numbers(to, "id");
        assert_eq!(there.len(), table(to).num_rows(), "{to}: a number twice");
        assert!(there.iter().all(|number| (1..=NUMBERS_MAX).contains(number)), "{to}");
        assert!(numbers(from, column).is_subset(&there), "{from}.{column}");
    }
    assert_eq!(numbers("sensing.thing_location", "thing"), numbers("sensing.thing", "id"));
}

#[test]
fn the_largest_city_has_numbers_enough() {
    // Two Datastreams a device are the most, and numbers grow as people do.
    let most = numbers("sensing.datastream", "id").into_iter().max().unwrap();
    let largest = i64::try_from(synth::PEOPLE_MAX / PEOPLE).unwrap() + 1;
    assert!(most * largest < NUMBERS_MAX, "{most}");
}

#[test]
fn a_gateway_that_is_gone_takes_its_network_with_it() {
    let things = table("sensing.thing");
    let (ids, told) = (integers(&things, "id"), texts(&things, "properties"));
    let told: BTreeMap<i64, Value> = ids
        .into_iter()
        .zip(told.into_iter().map(|text| serde_json::from_str(text).unwrap()))
        .collect();
    let mut carried: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (id, own) in &told {
        assert!(own["kind"].is_string() && own["area_code"].is_string(), "{own}");
        if let Some(gateway) = own["gateway"].as_i64() {
            assert_eq!(told[&gateway]["kind"], "gateway");
            assert_eq!(told[&gateway]["network"], own["network"]);
            carried.entry(gateway).or_default().push(*id);
        }
    }
    let options = StreamOptions {
        people: PEOPLE,
        seed: SEED,
        from: "2024-01-31T00:00:00Z".parse().unwrap(),
        hours: 4.0,
    };
    let gone = Stream::new(chengdu(), options).unwrap().told_by(Tellers::Gone);
    let silent = gone.datastreams();
    let lost: BTreeSet<String> = gone.faults().filter_map(|fault| fault.gateway).collect();
    assert!(!lost.is_empty());
    for (gateway, things) in &carried {
        let name = told[gateway]["device"].as_str().unwrap();
        if lost.contains(name) {
            assert!(things.len() >= 5 && things.iter().all(|thing| silent.contains(thing)));
        } else {
            assert!(things.len() < 5 || things.iter().any(|thing| !silent.contains(thing)));
        }
    }
    let retired = told.values().filter(|own| own["retired_on"].is_string()).count();
    assert!(retired >= 2, "{retired}");
}
