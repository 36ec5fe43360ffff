//! What one Datastream's readings are held to, and how one is judged.

use super::flags::{CLOCK, LATE, RANGE, RATE, SPIKE, STUCK, UNIT};
use super::recent::Recent;
use crate::live::LEAVES_OUT;

/// Equal readings for a time are a stuck sensor only where there are so many of them.
const STUCK_READINGS_MIN: u32 = 3;
/// A change that is too fast is believed once so many readings in a row agree on it.
const AGREED_READINGS: u8 = 3;
const MICROS_PER_S: f64 = 1_000_000.0;

/// A reading as it came: in the Datastream's unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub time_us: i64,
    pub result: Option<f64>,
}

/// A unit: `value × factor + offset` is in the rule's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit {
    pub factor: f64,
    pub offset: f64,
}

impl Unit {
    pub const OWN: Self = Self { factor: 1.0, offset: 0.0 };

    fn of(self, value: f64) -> f64 {
        value * self.factor + self.offset
    }
}

impl Default for Unit {
    fn default() -> Self {
        Self::OWN
    }
}

/// Figures are in the rule's unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rule {
    /// The Datastream's.
    pub unit: Unit,
    /// Those that its readings may be in by mistake.
    pub others: Vec<Unit>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub usual: Option<[f64; 2]>,
    pub rate_per_s: Option<f64>,
    pub stuck_readings: Option<u32>,
    pub stuck_us: Option<i64>,
    pub spike: Option<f64>,
    pub ahead_us: Option<i64>,
    pub late_us: Option<i64>,
}

impl Rule {
    /// Whether earlier readings say anything about a later one.
    pub fn remembers(&self) -> bool {
        self.rate_per_s.is_some()
            || self.spike.is_some()
            || self.stuck_readings.is_some()
            || self.stuck_us.is_some()
    }

    pub fn in_own_unit(&self, value: f64) -> f64 {
        self.unit.of(value)
    }

    /// The flags of a reading. `recent` moves on to it.
    pub fn judge(
        &self,
        recent: &mut Recent,
        reading: &Reading,
        next: Option<&Reading>,
        received_us: i64,
    ) -> i64 {
        let time_us = reading.time_us;
        let mut flags = self.clock(time_us, received_us) | self.value(reading.result);
        let Some(raw) = reading.result else { return flags };
        // A time that is not to be believed is no neighbour, and neither is the same moment twice.
        let is_later = recent.last_us().is_none_or(|last| time_us > last);
        if flags & CLOCK != 0 || !is_later {
            return flags;
        }
        let value = self.unit.of(raw);
        if recent.run > 0 && value.total_cmp(&recent.last).is_eq() {
            recent.run = recent.run.saturating_add(1);
        } else {
            (recent.run, recent.run_since_us) = (1, time_us);
        }
        if self.is_stuck(recent, time_us) {
            flags |= STUCK;
        }
        let next = next.and_then(|next| next.result).map(|next| self.unit.of(next));
        let off = self.jumps(recent, time_us, value, next);
        flags |= off;
        recent.off = match off {
            0 => 0,
            _ => recent.off.saturating_add(1),
        };
        if flags & LEAVES_OUT == 0 {
            (recent.good_us, recent.good) = (time_us, value);
        }
        (recent.last_us, recent.last) = (time_us, value);
        flags
    }

    fn clock(&self, time_us: i64, received_us: i64) -> i64 {
        let ahead_us = time_us.saturating_sub(received_us);
        let ahead = self.ahead_us.is_some_and(|bound| ahead_us > bound);
        let late = self.late_us.is_some_and(|bound| ahead_us < -bound);
        (if ahead { CLOCK } else { 0 }) | (if late { LATE } else { 0 })
    }

    /// What a value says alone.
    pub fn value(&self, result: Option<f64>) -> i64 {
        let Some(raw) = result else { return 0 };
        let value = self.unit.of(raw);
        let below = self.min.is_some_and(|min| value < min);
        let above = self.max.is_some_and(|max| value > max);
        let mut flags = if below || above { RANGE } else { 0 };
        if let Some([low, high]) = self.usual {
            let usual = |value: f64| low <= value && value <= high;
            if !usual(value) && self.others.iter().any(|unit| usual(unit.of(raw))) {
                flags |= UNIT;
            }
        }
        flags
    }

    fn is_stuck(&self, recent: &Recent, time_us: i64) -> bool {
        let for_us = time_us.saturating_sub(recent.run_since_us);
        self.stuck_readings.is_some_and(|readings| recent.run >= readings)
            || recent.run >= STUCK_READINGS_MIN && self.stuck_us.is_some_and(|us| for_us >= us)
    }

    /// Whether a value is too far from the last plausible one.
    fn jumps(&self, recent: &Recent, time_us: i64, value: f64, next: Option<f64>) -> i64 {
        if recent.good.is_nan() {
            return 0;
        }
        let from_good = (value - recent.good).abs();
        let from_last = (value - recent.last).abs();
        let mut flags = 0;
        if let Some(spike) = self.spike
            && from_good > spike
        {
            let comes_back = match next {
                Some(next) => (next - recent.good).abs() <= spike && (next - value).abs() > spike,
                // Nobody knows yet. A second one at the new level is a step and no spike.
                None => recent.off == 0 || from_last > spike,
            };
            flags |= if comes_back { SPIKE } else { 0 };
        }
        if let Some(rate) = self.rate_per_s {
            let within = |change: f64, since_us: i64| change <= rate * seconds(time_us, since_us);
            let agreed = recent.off.saturating_add(1) >= AGREED_READINGS
                && within(from_last, recent.last_us);
            if !within(from_good, recent.good_us) && !agreed {
                flags |= RATE;
            }
        }
        flags
    }
}

fn seconds(time_us: i64, since_us: i64) -> f64 {
    // Beyond 2^53 µs, 285 years, a second more or less decides nothing.
    #[expect(clippy::cast_precision_loss, reason = "a span of some years is exact")]
    let span_us = time_us.saturating_sub(since_us) as f64;
    span_us / MICROS_PER_S
}
