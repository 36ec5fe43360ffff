//! Producers of observations, as lean as can be: they share the machine with what is measured.

pub mod http;
pub mod mqtt;
pub mod probe;

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::stats::percentile;

/// Readings begin so long before now: none of a run is ahead of the clock.
const BEGIN_DAYS_AGO: i64 = 20;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What producers were told.
#[derive(Debug, Default)]
pub struct Told {
    /// Observations acknowledged.
    pub rows: u64,
    pub refused: u64,
    /// One of each request or message.
    pub latencies_ms: Vec<f64>,
    pub seconds: f64,
}

impl Told {
    pub fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.seconds
    }

    pub fn percentile_ms(&self, percent: usize) -> f64 {
        percentile(&self.latencies_ms, percent)
    }

    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.refused += other.refused;
        self.latencies_ms.extend(other.latencies_ms);
    }
}

/// The first of so many moments in a row, ms since 1970, that no other reading of this process has.
pub fn moments_ms(count: u64) -> i64 {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    static FIRST_MS: OnceLock<i64> = OnceLock::new();
    let first_ms =
        *FIRST_MS.get_or_init(|| Utc::now().timestamp_millis() - BEGIN_DAYS_AGO * DAY_MS);
    first_ms + i64::try_from(GIVEN.fetch_add(count, Ordering::Relaxed)).unwrap_or(0)
}

pub fn moment(ms: i64) -> String {
    let moment = DateTime::from_timestamp_millis(ms).expect("readings are of this year");
    // As SensorThings writes it: who looks for a reading looks for this text.
    moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// One observation at a moment.
pub fn reading(ms: i64) -> String {
    format!(r#"{{"phenomenonTime":"{}","result":{}.5}}"#, moment(ms), ms % 500)
}

/// A body of CreateObservations: so many data arrays, each of so many rows of one Datastream.
pub fn data_arrays(out: &mut String, groups: u64, rows: u64, streams: u64) {
    out.clear();
    out.push('[');
    for group in 0..groups {
        let first_ms = moments_ms(rows);
        let stream = first_ms.unsigned_abs() / rows % streams + 1;
        if group > 0 {
            out.push(',');
        }
        // Writing to a text does not fail.
        let _ = write!(
            out,
            r#"{{"Datastream":{{"@iot.id":{stream}}},"components":["phenomenonTime","result"],"dataArray@iot.count":{rows},"dataArray":["#
        );
        for row in 0..i64::try_from(rows).unwrap_or(0) {
            let ms = first_ms + row;
            let comma = if row > 0 { "," } else { "" };
            let _ = write!(out, r#"{comma}["{}",{}.5]"#, moment(ms), ms % 500);
        }
        out.push_str("]}");
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_with_a_moment_of_its_own_for_each_row() {
        let mut body = String::new();
        data_arrays(&mut body, 3, 10, 7);
        let groups: serde_json::Value = serde_json::from_str(&body).unwrap();
        let rows = |group: &serde_json::Value| group["dataArray"].as_array().unwrap().clone();
        let all: Vec<_> = groups.as_array().unwrap().iter().flat_map(rows).collect();
        let moments: std::collections::BTreeSet<_> =
            all.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
        assert_eq!((all.len(), moments.len()), (30, 30));
        let one: serde_json::Value = serde_json::from_str(&reading(moments_ms(1))).unwrap();
        assert!(one["result"].is_number());
    }
}
