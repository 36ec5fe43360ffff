//! In which state a Datastream and a device are.
//!
//! ```text
//!  registered ─► connected    something came, and no period says what is late
//!             └► reporting ◄─► silent    within three periods, or not
//!  any of them ─► retired
//! ```

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::DateTime;

use crate::live::{Live, StreamState};

const MICROS_PER_S: f64 = 1_000_000.0;
const MICROS_PER_MINUTE: i64 = 60_000_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Who has not reported for so many of its periods is silent.
const SILENT_AFTER_PERIODS: f64 = 3.0;
/// And nobody is before this: a reading a second late is no event.
const SILENT_AFTER_S_MIN: f64 = 60.0;

/// What states are made from.
pub(super) struct Sensors {
    pub things: Vec<RecordBatch>,
    pub streams: Vec<RecordBatch>,
    pub properties: Vec<RecordBatch>,
    pub live: Arc<Live>,
    pub now_us: i64,
    pub utc_offset_minutes: i32,
}

impl Sensors {
    /// Whether a day, in days since 1970, has come where the city is.
    pub fn has_come(&self, day: i32) -> bool {
        let offset_us = i64::from(self.utc_offset_minutes) * MICROS_PER_MINUTE;
        i64::from(day) <= (self.now_us + offset_us).div_euclid(MICROS_PER_DAY)
    }

    /// When a day begins where the city is.
    pub fn begins_us(&self, day: i32) -> i64 {
        let offset_us = i64::from(self.utc_offset_minutes) * MICROS_PER_MINUTE;
        i64::from(day) * MICROS_PER_DAY - offset_us
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Registered,
    Connected,
    Reporting,
    Silent,
    Retired,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Connected => "connected",
            Self::Reporting => "reporting",
            Self::Silent => "silent",
            Self::Retired => "retired",
        }
    }
}

/// When a Datastream with a period is taken for silent, unless it reports again.
pub(super) fn silent_from_us(state: &StreamState, period_s: f64) -> i64 {
    let after_s = (period_s * SILENT_AFTER_PERIODS).max(SILENT_AFTER_S_MIN);
    // A clock that is ahead keeps nobody awake: what counts is when it came.
    let heard_us = state.newest_us.min(state.received_us);
    let after = chrono::TimeDelta::try_milliseconds(whole(after_s * 1_000.0)).unwrap_or_default();
    let heard = DateTime::from_timestamp_micros(heard_us);
    let from = heard.and_then(|heard| heard.checked_add_signed(after));
    from.map_or(heard_us, |from| from.timestamp_micros())
}

/// The state of a Datastream that is not retired.
pub(super) fn of_stream(state: Option<&StreamState>, period_s: Option<f64>, now_us: i64) -> State {
    match (state, period_s) {
        (None, _) => State::Registered,
        (Some(_), None) => State::Connected,
        (Some(state), Some(period_s)) => match now_us <= silent_from_us(state, period_s) {
            true => State::Reporting,
            false => State::Silent,
        },
    }
}

/// Readings that were expected of a Datastream within its last hours, and that came; none where
/// it has not been known for a period yet.
pub(super) fn expected(live: &Live, stream: i64, period_s: f64, now_us: i64) -> Option<(f64, f64)> {
    let (state, hours) = (live.of(stream)?, live.hours(stream)?);
    let (came, from_us) = hours.since(now_us);
    let from_us = from_us.max(state.first_us);
    let expected = span_s(from_us, now_us) / period_s;
    let came = u32::try_from(came).map_or(f64::MAX, f64::from);
    (expected >= 1.0).then(|| (expected, came.min(expected)))
}

fn span_s(from_us: i64, to_us: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a span of hours is exact")]
    let span_us = to_us.saturating_sub(from_us) as f64;
    span_us / MICROS_PER_S
}

/// A number of seconds or so that is known to be small, without its fraction.
fn whole(number: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "periods are bounded by a year")]
    let whole = number.round() as i64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;
    const NOW: i64 = 1_800_000_000 * S;

    fn heard(newest_us: i64, received_us: i64) -> StreamState {
        StreamState {
            newest_us,
            ordinal: 0,
            result: Some(1.0),
            flags: 0,
            received_us,
            first_us: newest_us,
            count: 1,
            flagged: 0,
        }
    }

    #[test]
    fn silence_is_three_periods_and_a_minute_at_least() {
        let of = |ago_s: i64, period_s: f64| {
            let state = heard(NOW - ago_s * S, NOW - ago_s * S);
            of_stream(Some(&state), Some(period_s), NOW)
        };
        assert_eq!(of(60, 1.0), State::Reporting);
        assert_eq!(of(61, 1.0), State::Silent);
        assert_eq!(of(900, 300.0), State::Reporting);
        assert_eq!(of(901, 300.0), State::Silent);
        assert_eq!(of_stream(None, Some(1.0), NOW), State::Registered);
        assert_eq!(of_stream(Some(&heard(0, 0)), None, NOW), State::Connected);
    }

    #[test]
    fn neither_a_clock_ahead_nor_history_makes_a_device_report() {
        let ahead = heard(NOW + 86_400 * S, NOW - 7_200 * S);
        assert_eq!(of_stream(Some(&ahead), Some(60.0), NOW), State::Silent);
        let history = heard(NOW - 86_400 * S, NOW);
        assert_eq!(of_stream(Some(&history), Some(60.0), NOW), State::Silent);
    }
}
