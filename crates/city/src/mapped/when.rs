//! Times as devices write them, to µs since 1970 in UTC.

use chrono::{DateTime, NaiveDateTime};
use pack::mapped::TimeForm;
use sensing::entity::Moment;
use serde_json::Value;

use super::read::shown;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MILLI: i64 = 1_000;
const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;

/// µs since 1970, UTC. An error says what was expected and what was found.
pub(super) fn micros(form: &TimeForm, offset_minutes: i32, value: &Value) -> Result<i64, String> {
    let read = match form {
        TimeForm::EpochSeconds => epoch(value, MICROS_PER_SECOND),
        TimeForm::EpochMillis => epoch(value, MICROS_PER_MILLI),
        TimeForm::EpochMicros => epoch(value, 1),
        TimeForm::Rfc3339 => {
            let time = value.as_str().map(|text| DateTime::parse_from_rfc3339(text.trim()));
            time.and_then(Result::ok).map(|time| time.timestamp_micros())
        }
        TimeForm::Pattern { pattern, has_offset } => {
            patterned(value, pattern, *has_offset, offset_minutes)
        }
    };
    match read.and_then(Moment::from_micros) {
        Some(moment) => Ok(moment.micros()),
        None => Err(format!("expected a time as {}, found {}", word(form), shown(value))),
    }
}

/// A count of units since 1970, whole or not, as a number or as a text.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "bounded, and judged again as a moment"
)]
fn epoch(value: &Value, unit_us: i64) -> Option<i64> {
    let count = match value {
        Value::Number(number) => number.to_string(),
        Value::String(given) => given.trim().to_owned(),
        _ => return None,
    };
    if let Ok(whole) = count.parse::<i64>() {
        return whole.checked_mul(unit_us);
    }
    let micros = (count.parse::<f64>().ok()? * unit_us as f64).round();
    let bounds = Moment::MIN.micros() as f64..=Moment::MAX.micros() as f64;
    bounds.contains(&micros).then_some(micros as i64)
}

fn patterned(value: &Value, pattern: &str, has_offset: bool, offset_minutes: i32) -> Option<i64> {
    // `%Y%m%d%H%M%S` is often sent as a number.
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if has_offset {
        return Some(DateTime::parse_from_str(&text, pattern).ok()?.timestamp_micros());
    }
    let local = NaiveDateTime::parse_from_str(&text, pattern).ok()?.and_utc().timestamp_micros();
    local.checked_sub(i64::from(offset_minutes) * MICROS_PER_MINUTE)
}

fn word(form: &TimeForm) -> &str {
    match form {
        TimeForm::EpochSeconds => "seconds since 1970",
        TimeForm::EpochMillis => "milliseconds since 1970",
        TimeForm::EpochMicros => "microseconds since 1970",
        TimeForm::Rfc3339 => "RFC 3339",
        TimeForm::Pattern { pattern, .. } => pattern,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: i64 = 1_767_225_600_000_000; // 2026-01-01T00:00:00Z

    #[test]
    fn times_are_read_as_they_are_written() {
        let pattern = |pattern: &str, has_offset| TimeForm::Pattern {
            pattern: pattern.to_owned(),
            has_offset,
        };
        for (form, value) in [
            (TimeForm::EpochSeconds, json!(1_767_225_600)),
            (TimeForm::EpochSeconds, json!("1767225600.0")),
            (TimeForm::EpochMillis, json!(1_767_225_600_000_i64)),
            (TimeForm::EpochMicros, json!(AT)),
            (TimeForm::Rfc3339, json!("2026-01-01T08:00:00+08:00")),
            (pattern("%Y-%m-%d %H:%M:%S", false), json!("2026-01-01 08:00:00")),
            (pattern("%Y%m%d%H%M%S", false), json!(20_260_101_080_000_i64)),
            (pattern("%d.%m.%Y %H:%M %z", true), json!("31.12.2025 19:00 -0500")),
        ] {
            assert_eq!(micros(&form, 480, &value), Ok(AT), "{form:?} {value}");
        }
    }

    #[test]
    fn what_is_no_time_is_told() {
        let fault = micros(&TimeForm::EpochSeconds, 0, &json!("noon")).unwrap_err();
        assert_eq!(fault, "expected a time as seconds since 1970, found `\"noon\"`");
        for (form, value) in [
            (TimeForm::EpochSeconds, json!(i64::MAX)),
            (TimeForm::EpochSeconds, json!(1e300)),
            (TimeForm::EpochMillis, json!("nan")),
            (TimeForm::Rfc3339, json!("2026-01-01T08:00:00")),
            (TimeForm::Rfc3339, json!(7)),
        ] {
            assert!(micros(&form, 480, &value).is_err(), "{form:?} {value}");
        }
    }
}
