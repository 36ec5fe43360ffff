//! Durations as ISO 8601 writes them, and instants as text.

use std::fmt;

use chrono::{DateTime, Datelike, FixedOffset, Months, SecondsFormat, TimeDelta};

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
pub(super) const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
const MONTHS_PER_YEAR: i64 = 12;
/// Years that have four digits, as texts of times do.
const YEARS: std::ops::RangeInclusive<i32> = 0..=9999;

/// A duration: months, which are of several lengths, and what has one length.
///
/// A week is seven days and a day 24 hours. Both parts have the same sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct IsoDuration {
    pub months: i32,
    pub micros: i64,
}

/// The numbers of a duration as they are written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    pub negative: bool,
    pub years: i64,
    pub months: i64,
    pub weeks: i64,
    pub days: i64,
    pub hours: i64,
    pub minutes: i64,
    pub seconds: i64,
    pub micros: i64,
}

impl IsoDuration {
    /// `None` where it is longer than can be kept.
    pub(super) fn from_parts(parts: Parts) -> Option<Self> {
        let months = parts.years.checked_mul(MONTHS_PER_YEAR)?.checked_add(parts.months)?;
        let mut micros = parts.micros;
        for (count, unit) in [
            (parts.weeks, 7 * MICROS_PER_DAY),
            (parts.days, MICROS_PER_DAY),
            (parts.hours, MICROS_PER_HOUR),
            (parts.minutes, MICROS_PER_MINUTE),
            (parts.seconds, MICROS_PER_SECOND),
        ] {
            micros = micros.checked_add(count.checked_mul(unit)?)?;
        }
        let sign = if parts.negative { -1 } else { 1 };
        Some(Self { months: i32::try_from(sign * months).ok()?, micros: sign * micros })
    }

    /// The instant that lies so much later, at the same offset. A day that a month lacks becomes
    /// its last. `None` beyond the years that can be written.
    pub fn after(self, instant: DateTime<FixedOffset>) -> Option<DateTime<FixedOffset>> {
        let months = Months::new(self.months.unsigned_abs());
        let moved = if self.months < 0 {
            instant.checked_sub_months(months)?
        } else {
            instant.checked_add_months(months)?
        };
        let moved = moved.checked_add_signed(TimeDelta::microseconds(self.micros))?;
        YEARS.contains(&moved.year()).then_some(moved)
    }
}

/// The shortest text that says the same; `PT0S` for nothing.
impl fmt::Display for IsoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (months, mut micros) = (self.months.unsigned_abs(), self.micros.unsigned_abs());
        if months == 0 && micros == 0 {
            return f.write_str("PT0S");
        }
        let mut take = |unit: i64| {
            let count = micros / unit.unsigned_abs();
            micros %= unit.unsigned_abs();
            count
        };
        let days = take(MICROS_PER_DAY);
        let (hours, minutes) = (take(MICROS_PER_HOUR), take(MICROS_PER_MINUTE));
        let (seconds, fraction) = (take(MICROS_PER_SECOND), micros);

        if self.months < 0 || self.micros < 0 {
            f.write_str("-")?;
        }
        f.write_str("P")?;
        for (count, unit) in
            [(u64::from(months / 12), 'Y'), (u64::from(months % 12), 'M'), (days, 'D')]
        {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        if hours + minutes + seconds + fraction == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        for (count, unit) in [(hours, 'H'), (minutes, 'M')] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        match (seconds, fraction) {
            (0, 0) => Ok(()),
            (_, 0) => write!(f, "{seconds}S"),
            _ => {
                let digits = format!("{fraction:06}");
                write!(f, "{seconds}.{}S", digits.trim_end_matches('0'))
            }
        }
    }
}

/// An instant as it is printed: its own offset, `Z` for none, no more digits than it has.
pub(super) fn instant(instant: &DateTime<FixedOffset>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
