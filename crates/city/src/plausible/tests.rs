//! Readings judged by rules of a pack, in the order in which they came.

use pack::{ClockBounds, OtherUnit, Plausible, SensingPlan};
use serde_json::json;

use super::flags::{CLOCK, LATE, RANGE, RATE, SPIKE, STUCK, UNIT};
use super::known::{About, fitting, own_bounds, resolved};
use super::rule::Reading;
use super::*;

const S: i64 = 1_000_000;
const NOW: i64 = 1_800_000_000 * S;

fn temperature() -> Plausible {
    Plausible {
        id: "air_temperature".to_owned(),
        properties: vec!["Air temperature".to_owned(), "http://example.org/t".to_owned()],
        unit: Some("Cel".to_owned()),
        spellings: vec!["°C".to_owned()],
        min: Some(-50.0),
        max: Some(60.0),
        usual: Some([-15.0, 45.0]),
        also: vec![OtherUnit {
            unit: "[degF]".to_owned(),
            spellings: vec!["°F".to_owned()],
            factor: 5.0 / 9.0,
            offset: -160.0 / 9.0,
        }],
        ..Plausible::default()
    }
}

/// The flags of readings a minute apart, the first of them now.
fn flags(rule: &Rule, values: &[f64]) -> Vec<i64> {
    let reading = |(at, value): (i64, &f64)| Reading { time_us: NOW + at, result: Some(*value) };
    let times = (0..).map(|minute: i64| minute * 60 * S);
    let readings: Vec<Reading> = times.zip(values).map(reading).collect();
    judge_in_order(&Arc::new(rule.clone()), &readings, Recent::default(), NOW).0
}

/// The same, each in a request of its own: what follows is not known.
fn flags_live(rule: &Rule, values: &[f64]) -> Vec<i64> {
    let mut recent = Recent::default();
    let judge = |(minute, value): (i64, &f64)| {
        let time_us = NOW + minute * 60 * S;
        let reading = Reading { time_us, result: Some(*value) };
        rule.judge(&mut recent, &reading, None, time_us)
    };
    (0..).zip(values).map(judge).collect()
}

#[test]
fn a_value_of_another_unit_is_told_from_one_that_is_only_odd() {
    let rule = resolved(Some(&temperature()), 0, ClockBounds::default());
    assert_eq!(rule.value(Some(21.0)), 0);
    assert_eq!(rule.value(Some(86.0)), RANGE | UNIT, "30 °C in Fahrenheit");
    assert_eq!(rule.value(Some(50.0)), UNIT, "10 °C in Fahrenheit, and hot in Celsius");
    assert_eq!(rule.value(Some(900.0)), RANGE, "in no unit");
    assert_eq!(rule.value(None), 0);

    // Declared as Fahrenheit it is read as that; what is Celsius then stands out.
    let rule = resolved(Some(&temperature()), 1, ClockBounds::default());
    assert_eq!(rule.value(Some(86.0)), 0);
    assert_eq!(rule.value(Some(-10.0)), UNIT, "−23 °C would be, −10 °C is");
}

#[test]
fn a_sensor_is_stuck_from_the_nth_equal_reading_on() {
    let rule = Rule { stuck_readings: Some(3), ..Rule::default() };
    assert_eq!(flags(&rule, &[1.0, 2.0, 2.0, 2.0, 2.0, 3.0]), [0, 0, 0, STUCK, STUCK, 0]);
    let rule = Rule { stuck_us: Some(180 * S), ..Rule::default() };
    assert_eq!(flags(&rule, &[2.0, 2.0, 2.0, 2.0, 1.0]), [0, 0, 0, STUCK, 0]);
}

#[test]
fn a_spike_comes_back_and_a_step_stays() {
    let rule = Rule { spike: Some(10.0), ..Rule::default() };
    assert_eq!(flags(&rule, &[1.0, 50.0, 2.0, 3.0]), [0, SPIKE, 0, 0]);
    assert_eq!(flags(&rule, &[1.0, 50.0, 51.0, 50.0]), [0, 0, 0, 0], "a step");
    // One by one nobody knows yet what the first of a step is.
    assert_eq!(flags_live(&rule, &[1.0, 50.0, 2.0, 3.0]), [0, SPIKE, 0, 0]);
    assert_eq!(flags_live(&rule, &[1.0, 50.0, 51.0, 50.0]), [0, SPIKE, 0, 0]);
}

#[test]
fn a_change_that_is_too_fast_is_believed_once_three_agree() {
    let rule = Rule { rate_per_s: Some(1.0 / 60.0), ..Rule::default() };
    assert_eq!(flags(&rule, &[5.0, 5.5, 6.4]), [0, 0, 0]);
    assert_eq!(flags(&rule, &[5.0, 90.0, 5.5]), [0, RATE, 0], "measured from the plausible one");
    assert_eq!(flags(&rule, &[5.0, 90.0, 90.5, 90.0, 90.2]), [0, RATE, RATE, 0, 0]);
}

#[test]
fn clocks_are_held_to_the_receipt() {
    let clock = ClockBounds { ahead_s: Some(60), late_s: Some(3_600) };
    let rule = resolved(None, 0, clock);
    let judge = |at_s: i64| {
        let reading = Reading { time_us: NOW + at_s * S, result: Some(1.0) };
        rule.judge(&mut Recent::default(), &reading, None, NOW)
    };
    assert_eq!([judge(60), judge(61), judge(-3_600), judge(-3_601)], [0, CLOCK, 0, LATE]);
    assert_eq!(LATE & crate::live::LEAVES_OUT, 0, "late alone leaves nothing out");
}

#[test]
fn history_that_is_filled_in_is_judged_by_its_own_order() {
    let rule = Arc::new(Rule { spike: Some(10.0), ..Rule::default() });
    let reading =
        |day: i64, value: f64| Reading { time_us: NOW + day * 86_400 * S, result: Some(value) };
    let remembered = Recent::of(NOW, 5.0);
    let readings = [
        reading(-3, 80.0),
        reading(-2, 81.0),
        reading(-1, 200.0),
        reading(0, 80.0),
        reading(1, 6.0),
    ];
    let (flags, after) = judge_in_order(&rule, &readings, remembered, NOW);
    assert_eq!(flags, [0, 0, SPIKE, 0, 0], "the last is a neighbour of what is remembered");
    assert_eq!(after.last_us(), Some(NOW + 86_400 * S));

    let (_, after) = judge_in_order(&rule, &readings[..3], remembered, NOW);
    assert_eq!(after, remembered, "history moves nothing on");
}

#[test]
fn a_rule_is_found_by_property_kind_and_unit() {
    let kinds = vec!["boiler".to_owned()];
    let boiler = Plausible { kinds, max: Some(200.0), id: "boiler".into(), ..temperature() };
    let plan = SensingPlan { plausible: vec![boiler, temperature()], ..SensingPlan::default() };
    let found = |property: &str, kind: &str, symbol: &str| {
        let about = About {
            property: property.to_owned(),
            definition: "http://example.org/t".to_owned(),
            kind: kind.to_owned(),
            unit: json!({ "symbol": symbol, "name": "?", "definition": null }),
            ..About::default()
        };
        fitting(&plan, &about)
    };
    assert_eq!(found("air TEMPERATURE", "air", "°C"), Some((1, 0)));
    assert_eq!(found("any other", "boiler", "Cel"), Some((0, 0)), "by its definition");
    assert_eq!(found("Air temperature", "", "°F"), Some((1, 1)));
    assert_eq!(found("Air temperature", "", "m"), None, "in no unit that the rule knows");
}

#[test]
fn a_datastream_says_otherwise_in_its_own_unit() {
    let mut rule = resolved(Some(&temperature()), 1, ClockBounds::default());
    let own = json!({ "max": 212, "min": "cold", "stuck_readings": 5, "rate_per_h": -1 });
    own_bounds(&mut rule, own.as_object().unwrap());
    assert!((rule.max.unwrap() - 100.0).abs() < 1e-9);
    assert_eq!((rule.min, rule.stuck_readings, rule.rate_per_s), (Some(-50.0), Some(5), None));
}
