//! Readings: in order, repeatable, and true to what is written down about them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use synth::{Reading, Stream, StreamOptions, Tellers};

use crate::city::{chengdu, integers, table, texts};

const PEOPLE: usize = 60_000;

fn stream(from: &str, hours: f64) -> Stream {
    let from: DateTime<Utc> = from.parse().unwrap();
    Stream::new(chengdu(), StreamOptions { people: PEOPLE, seed: crate::city::SEED, from, hours })
        .unwrap()
}

#[test]
fn a_stream_repeats_and_may_begin_anywhere() {
    let whole: Vec<Reading> = stream("2024-01-31T00:00:00Z", 6.0).collect();
    assert!(whole.windows(2).all(|pair| pair[0].observed_at <= pair[1].observed_at));
    let half: DateTime<Utc> = "2024-01-31T03:00:00Z".parse().unwrap();
    let later: Vec<Reading> = stream("2024-01-31T03:00:00Z", 3.0).collect();
    let tail: Vec<&Reading> = whole.iter().filter(|r| r.observed_at >= half).collect();
    assert_eq!(tail.len(), later.len());
    assert!(tail.into_iter().eq(later.iter()));
    // Of a device, Thing, Location, feature and Datastream have one number.
    let places = table("sensing.location");
    let known: BTreeSet<(i64, &str)> =
        integers(&places, "id").into_iter().zip(texts(&places, "name")).collect();
    for reading in &whole {
        assert!(known.contains(&(reading.datastream, reading.device.as_str())), "{reading:?}");
        assert_eq!(reading.datastream, reading.feature);
    }
    let pairs: BTreeSet<(&str, DateTime<Utc>)> =
        whole.iter().map(|r| (r.device.as_str(), r.observed_at)).collect();
    assert_eq!(pairs.len(), whole.len(), "one reading of a device at a moment");
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

#[test]
fn days_and_weeks_have_their_rhythm() {
    // Two days of the week and one of the weekend; local time is 8 hours ahead.
    let traffic = |from: &str| -> Vec<(u32, f64)> {
        stream(from, 24.0)
            .filter(|reading| reading.device.starts_with("TF"))
            .map(|r| ((r.observed_at + TimeDelta::hours(8)).hour(), r.value))
            .collect()
    };
    let (wednesday, sunday) = (traffic("2024-01-30T16:00:00Z"), traffic("2024-02-03T16:00:00Z"));
    let at = |day: &[(u32, f64)], hour| mean(day.iter().filter(|r| r.0 == hour).map(|r| r.1));
    assert!(at(&wednesday, 17) > 2.0 * at(&wednesday, 4));
    assert!(at(&wednesday, 17) > 1.05 * at(&sunday, 17));
}

#[test]
fn incidents_and_faults_are_what_the_truth_says() {
    let stream = stream("2024-01-31T00:00:00Z", 24.0);
    let truth: Vec<serde_json::Value> = stream.truth().collect();
    let text = |value: &serde_json::Value, key: &str| value[key].as_str().unwrap_or("").to_owned();
    let faulty: BTreeSet<String> =
        truth.iter().filter(|t| t["truth"] == "fault").map(|t| text(t, "device")).collect();
    assert!(!faulty.is_empty());
    let mut readings: BTreeMap<String, BTreeMap<DateTime<Utc>, f64>> = BTreeMap::new();
    let mut silent = 0;
    for reading in stream {
        readings.entry(reading.device).or_default().insert(reading.observed_at, reading.value);
    }
    let mut checked = BTreeSet::new();
    for incident in truth.iter().filter(|t| t["truth"] == "incident") {
        let moment = |key: &str| text(incident, key).parse::<DateTime<Utc>>().unwrap();
        let (from, to) = (moment("from"), moment("to"));
        let factor = incident["factor"].as_f64().unwrap();
        let height = (from + (to - from) / 5, from + (to - from) / 5 * 3);
        // The first device stands where it happens or near.
        for device in incident["devices"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()) {
            let Some(own) = readings.get(device).filter(|_| !faulty.contains(device)) else {
                continue;
            };
            let inside = mean(own.range(height.0..height.1).map(|(_, value)| *value));
            let far = TimeDelta::hours(12);
            let before = own.range(..from).filter(|(at, _)| **at > from - far).map(|(_, v)| *v);
            let after = own.range(to..).filter(|(at, _)| **at < to + far).map(|(_, v)| *v);
            let outside = mean(before.chain(after));
            if inside.is_nan() || outside.is_nan() {
                continue;
            }
            let kind = text(incident, "incident");
            match factor {
                high if high > 3.0 => assert!(inside > 1.5 * outside, "{kind} {device}"),
                low if low < 0.5 => assert!(inside < 0.9 * outside, "{kind} {device}"),
                _ => {}
            }
            checked.insert(kind);
        }
    }
    assert!(checked.len() >= 3, "{checked:?}");
    // A good device loses few readings, a silent one many.
    let silent_ones: BTreeSet<String> =
        truth.iter().filter(|t| t["fault"] == "silent").map(|t| text(t, "device")).collect();
    for (device, own) in &readings {
        let due = match &device[..2] {
            "NS" | "PP" => 1_440,
            "TF" => 288,
            "SM" => 144,
            "EN" => 96,
            _ => continue,
        };
        if silent_ones.contains(device) {
            silent += usize::from(own.len() < due * 9 / 10);
        } else {
            assert!(own.len() > due / 2, "{device}: {} of {due}", own.len());
        }
    }
    assert!(silent > 0, "some are silent");
}

#[test]
fn faulty_devices_stick_jump_and_show_their_full_scale() {
    let stream = stream("2024-01-31T00:00:00Z", 48.0);
    let faulty: BTreeSet<String> =
        stream.faults().filter(|fault| fault.kind == "faulty").map(|fault| fault.device).collect();
    let mut own: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for reading in stream {
        own.entry(reading.device).or_default().push(reading.value);
    }
    // One after the other the same, ten times over.
    let stuck = |values: &[f64]| values.windows(10).any(|ten| ten.iter().all(|v| *v == ten[0]));
    // An electricity meter's full scale is 400, a smoke detector's 20.
    let full = |device: &str, values: &[f64]| {
        let scale = if device.starts_with("EN") { 400.0 } else { 20.0 };
        values.iter().filter(|value| **value >= scale).count() > 10
    };
    let (mut sticking, mut at_full) = (0, 0);
    for (device, values) in
        own.iter().filter(|(id, _)| id.starts_with("EN") || id.starts_with("SM"))
    {
        if faulty.contains(device) {
            sticking += usize::from(stuck(values));
            at_full += usize::from(full(device, values));
        } else {
            assert!(!full(device, values), "{device} is no faulty one");
        }
    }
    assert!(sticking >= 2 && at_full >= 2, "{sticking} {at_full}");
}

#[test]
fn drifting_devices_wander_until_they_are_set_right() {
    // Each day's mean beside that of all good devices of the kind, for a calibration's length.
    let stream = stream("2024-01-31T00:00:00Z", 24.0 * 32.0);
    let faults: BTreeMap<String, &str> =
        stream.faults().map(|fault| (fault.device, fault.kind)).collect();
    let mut days: BTreeMap<String, BTreeMap<i64, (f64, f64)>> = BTreeMap::new();
    for reading in stream.filter(|reading| reading.device.starts_with("EN")) {
        let day = reading.observed_at.timestamp() / 86_400;
        let kind = match faults.get(&reading.device) {
            None => "good".to_owned(),
            Some(&"drifting") => reading.device,
            Some(_) => continue,
        };
        let sum = days.entry(kind).or_default().entry(day).or_default();
        *sum = (sum.0 + reading.value, sum.1 + 1.0);
    }
    let good = days.remove("good").unwrap();
    assert!(!days.is_empty(), "some drift");
    for (device, own) in days {
        let beside = own.iter().map(|(day, sum)| sum.0 / sum.1 / (good[day].0 / good[day].1));
        let beside: Vec<f64> = beside.collect();
        let (low, high) = (beside.iter().copied().fold(f64::MAX, f64::min), mean_top(&beside));
        // A fiftieth a day: far apart before and after it is set right.
        assert!(high / low > 1.3, "{device}: {low} {high}");
    }
}

fn mean_top(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    mean(sorted.iter().rev().take(3).copied())
}

#[test]
fn a_stuck_device_shows_one_value_all_day_and_a_spiking_one_jumps() {
    let stream = stream("2024-01-31T00:00:00Z", 24.0);
    let of = |kind: &str| -> Vec<String> {
        stream.faults().filter(|fault| fault.kind == kind).map(|fault| fault.device).collect()
    };
    let (stuck, spiking) = (of("stuck"), of("spiking"));
    assert_eq!((stuck.len(), spiking.len()), (1, 1));
    let mut own: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for reading in stream.filter(|r| r.device == stuck[0] || r.device == spiking[0]) {
        own.entry(reading.device).or_default().push(reading.value);
    }
    let values = &own[&stuck[0]];
    assert!(values.len() > 1_000 && values.iter().all(|value| *value == values[0]));
    let values = &own[&spiking[0]];
    let middle = mean(values.iter().copied());
    let spikes = values.iter().filter(|value| **value > 1.8 * middle).count();
    assert!((10..values.len() / 4).contains(&spikes), "{spikes} of {}", values.len());
}

#[test]
fn batteries_fall_and_are_told_in_datastreams_of_their_own() {
    let plain: Vec<Reading> = stream("2024-01-31T00:00:00Z", 2.0).collect();
    let with = stream("2024-01-31T00:00:00Z", 2.0).with_batteries();
    let datastreams = with.datastreams();
    let (own, batteries): (Vec<Reading>, Vec<Reading>) =
        with.partition(|reading| reading.datastream == reading.feature);
    assert_eq!(own, plain, "what is observed is the same");
    assert!(own.iter().chain(&batteries).all(|r| datastreams.contains(&r.datastream)));
    assert!(!batteries.is_empty());
    assert!(batteries.iter().all(|reading| (0.0..=100.0).contains(&reading.value)));
    assert!(batteries.iter().any(|reading| reading.value < 20.0), "some are low");
    let rows = table("sensing.datastream");
    let of = |reading: &Reading| {
        let at = integers(&rows, "id").iter().position(|id| *id == reading.datastream).unwrap();
        (integers(&rows, "thing")[at], texts(&rows, "properties")[at].contains("battery"))
    };
    assert_eq!(of(&batteries[0]), (batteries[0].feature, true));
}

#[test]
fn who_is_gone_told_something_once_and_a_few_tell_for_long() {
    let working: BTreeSet<i64> = stream("2024-01-31T00:00:00Z", 4.0).datastreams();
    let gone = stream("2024-01-31T00:00:00Z", 4.0).told_by(Tellers::Gone);
    let faults: BTreeMap<i64, &str> =
        gone.faults().map(|fault| (fault.datastream, fault.kind)).collect();
    let heard: BTreeSet<i64> = gone.map(|reading| reading.datastream).collect();
    assert!(!heard.is_empty() && heard.is_disjoint(&working));
    assert!(heard.iter().all(|datastream| faults[datastream] == "gone"));
    for kind in ["unheard", "retired"] {
        let quiet = faults.iter().filter(|(_, fault)| **fault == kind);
        assert!(quiet.clone().count() >= 2, "{kind}");
        assert!(quiet.map(|(datastream, _)| datastream).all(|it| !working.contains(it)), "{kind}");
    }
    let few = stream("2024-01-31T00:00:00Z", 4.0).told_by(Tellers::Few).datastreams();
    assert!((2..=7).contains(&few.len()) && few.is_subset(&working), "{few:?}");
}
