//! What is remembered of a Datastream's readings to judge the next one: 48 bytes.

/// Values are in the rule's unit; NaN where there is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recent {
    pub last_us: i64,
    pub last: f64,
    /// The last reading that was plausible.
    pub good_us: i64,
    pub good: f64,
    /// Since when the last value is the same.
    pub run_since_us: i64,
    /// How often it came in a row; 0 before the first reading.
    pub run: u32,
    /// Readings in a row that were too far from the last plausible one.
    pub off: u8,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            last_us: i64::MIN,
            last: f64::NAN,
            good_us: i64::MIN,
            good: f64::NAN,
            run_since_us: i64::MIN,
            run: 0,
            off: 0,
        }
    }
}

impl PartialEq for Recent {
    /// The last reading tells states of one Datastream apart.
    fn eq(&self, other: &Self) -> bool {
        (self.last_us, self.run) == (other.last_us, other.run)
    }
}

impl Recent {
    /// After one plausible reading.
    pub fn of(time_us: i64, value: f64) -> Self {
        Self {
            last_us: time_us,
            last: value,
            good_us: time_us,
            good: value,
            run_since_us: time_us,
            run: 1,
            off: 0,
        }
    }

    pub fn last_us(&self) -> Option<i64> {
        (self.run > 0).then_some(self.last_us)
    }
}
