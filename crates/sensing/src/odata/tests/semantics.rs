//! The helpers that say what operators mean.

use chrono::{DateTime, FixedOffset, Offset, Utc};

use crate::odata::semantics::{
    Period, and, compare, index_of, length, not, or, substring, window_of,
};
use crate::odata::{BinaryOp, GroupKey, QueryOptions, Target, Window};
use crate::schema::{EntityKind, SENSORTHINGS_1_1};

/// The examples of table 23, whose description is `Sensor Things`.
#[test]
fn texts_are_counted_as_table_23_does() {
    let description = "Sensor Things";
    assert_eq!(length(description), 13);
    assert_eq!(index_of(description, "Sensor"), 1);
    assert_eq!(index_of(description, "Things"), 8);
    assert_eq!(index_of(description, "things"), 0);
    assert_eq!(substring(description, 1, None), "ensor Things");
    assert_eq!(substring(description, 2, Some(4)), "nsor");
    assert_eq!(substring("空气质量", 2, Some(1)), "质");
    assert_eq!(index_of("空气质量", "质"), 3);
    assert_eq!(substring("ab", 5, Some(usize::MAX)), "");
    assert_eq!(substring("ab", 1, Some(9)), "b");
}

#[test]
fn three_truths() {
    let all = [Some(true), Some(false), None];
    for a in all {
        for b in all {
            assert_eq!(or(a, b), not(and(not(a), not(b))));
            assert_eq!(and(a, b), and(b, a));
        }
    }
    assert_eq!(and(Some(false), None), Some(false));
    assert_eq!(and(Some(true), None), None);
    assert_eq!(or(Some(true), None), Some(true));
    assert_eq!(or(Some(false), None), None);
    assert_eq!(not(None), None);
}

#[test]
fn comparisons_with_null_are_true_or_false() {
    let holds = |op, a: Option<f64>, b: Option<f64>| {
        compare(op, a.as_ref(), b.as_ref(), |a, b| a.partial_cmp(b))
    };
    assert!(holds(BinaryOp::Eq, None, None));
    assert!(!holds(BinaryOp::Eq, Some(1.0), None));
    assert!(holds(BinaryOp::Ne, Some(1.0), None));
    for op in [BinaryOp::Gt, BinaryOp::Ge, BinaryOp::Lt, BinaryOp::Le] {
        assert!(!holds(op, None, None));
        assert!(!holds(op, Some(1.0), None));
        assert!(!holds(op, None, Some(1.0)));
        assert!(!holds(op, Some(f64::NAN), Some(1.0)));
    }
    assert!(holds(BinaryOp::Ge, Some(2.0), Some(2.0)));
    assert!(holds(BinaryOp::Lt, Some(1.0), Some(2.0)));
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse::<DateTime<FixedOffset>>().unwrap().with_timezone(&Utc)
}

fn hours(start: u32, end: u32) -> Period {
    let hour = |hour| at(&format!("2020-01-01T{hour:02}:00:00Z"));
    Period { start: hour(start), end: hour(end) }
}

#[test]
fn an_interval_holds_its_start_and_not_its_end() {
    let morning = hours(6, 12);
    assert!(morning.before(hours(12, 18)) && morning.meets(hours(12, 18)));
    assert!(morning.before(hours(12, 12)) && !morning.overlaps(hours(12, 12)));
    assert!(!hours(6, 6).before(morning) && hours(6, 6).overlaps(morning));
    assert!(hours(6, 6).during(morning) && !hours(12, 12).during(morning));
    assert!(hours(8, 12).during(morning) && hours(8, 12).finishes(morning));
    assert!(hours(6, 8).starts(morning) && !hours(5, 8).during(morning));
    assert!(hours(5, 8).overlaps(morning) && hours(13, 14).after(morning));
    assert!(hours(7, 7).overlaps(hours(7, 7)) && hours(7, 7).during(hours(7, 7)));
    assert!(!hours(7, 7).before(hours(7, 7)));
}

#[test]
fn operators_on_instants_are_what_they_always_were() {
    use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
    for (a, b) in [(1, 2), (2, 2), (3, 2)] {
        let (left, right) = (hours(a, a), hours(b, b));
        for (op, expected) in
            [(Eq, a == b), (Ne, a != b), (Ge, a >= b), (Gt, a > b), (Le, a <= b), (Lt, a < b)]
        {
            assert_eq!(left.compare(op, right), expected, "{a} {op:?} {b}");
        }
    }
    // The first hour of a day is asked for by `ge` its start and `le` its end.
    assert!(hours(0, 1).compare(Ge, hours(0, 0)) && hours(0, 1).compare(Le, hours(1, 1)));
}

fn window(arguments: &str) -> Window {
    let raw = format!("$apply=groupby((window(phenomenonTime,{arguments})))");
    let target = Target::Collection(EntityKind::Observation);
    let options = QueryOptions::parse(&SENSORTHINGS_1_1, target, &raw).unwrap();
    match &options.apply.unwrap().value.keys[0].value {
        GroupKey::Window(window) => window.clone(),
        GroupKey::Path(_) => panic!("no window"),
    }
}

#[test]
fn windows_begin_where_people_begin_them() {
    let utc = Utc.fix();
    let chengdu = FixedOffset::east_opt(8 * 3600).unwrap();
    let day = window_of(&window("'P1D'"), chengdu, at("2020-03-04T17:00:00Z")).unwrap();
    assert_eq!(day.start, at("2020-03-04T16:00:00Z"), "the service's own day");
    for (arguments, instant, start, end) in [
        ("'PT1H'", "2020-03-04T05:06:07Z", "2020-03-04T05:00:00Z", "2020-03-04T06:00:00Z"),
        ("'PT15M'", "2020-03-04T05:15:00Z", "2020-03-04T05:15:00Z", "2020-03-04T05:30:00Z"),
        ("'P1D'", "2020-03-04T05:06:07Z", "2020-03-04T00:00:00Z", "2020-03-05T00:00:00Z"),
        // The day of Chengdu begins at 16:00 UTC.
        (
            "'P1D','%2B08:00'",
            "2020-03-04T17:00:00Z",
            "2020-03-04T16:00:00Z",
            "2020-03-05T16:00:00Z",
        ),
        // A week begins on Monday.
        ("'P1W'", "2020-03-04T05:06:07Z", "2020-03-02T00:00:00Z", "2020-03-09T00:00:00Z"),
        (
            "'P1M','%2B08:00'",
            "2020-02-29T16:00:00Z",
            "2020-02-29T16:00:00Z",
            "2020-03-31T16:00:00Z",
        ),
        ("'P3M'", "2020-03-31T23:59:59Z", "2020-01-01T00:00:00Z", "2020-04-01T00:00:00Z"),
        ("'P1Y'", "1969-12-31T23:59:59Z", "1969-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("'PT1H'", "1969-12-31T23:30:00Z", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"),
    ] {
        let period = window_of(&window(arguments), utc, at(instant)).unwrap();
        assert_eq!((period.start, period.end), (at(start), at(end)), "{arguments} {instant}");
    }
    let ages = window("'P178956970Y'");
    assert_eq!(window_of(&ages, utc, at("2020-01-01T00:00:00Z")), None);
}
