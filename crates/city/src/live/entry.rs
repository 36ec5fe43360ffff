//! What is kept of one Datastream: 104 bytes, so that a million of them fit beside everything else.

/// Hours whose readings are counted, the present one among them.
pub(super) const HOURS: usize = 24;
const HOUR_US: i64 = 3_600_000_000;

/// What is known of a Datastream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StreamState {
    /// Phenomenon time of the newest observation.
    pub newest_us: i64,
    /// And its ordinal: with the Datastream its id.
    pub ordinal: u32,
    /// Its result where it is a number.
    pub result: Option<f64>,
    pub flags: i64,
    /// When the last one came in.
    pub received_us: i64,
    /// Oldest phenomenon time.
    pub first_us: i64,
    /// Observations that stand.
    pub count: u64,
    /// Of them, those that aggregates leave out.
    pub flagged: u64,
}

/// An observation, as far as is noted of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    pub datastream: i64,
    pub time_us: i64,
    pub ordinal: u32,
    pub result: Option<f64>,
    pub flags: i64,
}

/// Readings of the last hours by their phenomenon time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hours {
    /// Hours since 1970 of the newest slot.
    last: i32,
    counts: [u16; HOURS],
}

impl Hours {
    /// Readings from `HOURS` hours ago, at the beginning of that hour, until now, and when that
    /// was.
    pub fn since(&self, now_us: i64) -> (u64, i64) {
        let now = hour_of(now_us);
        let first = now.saturating_sub(hours_as_i32() - 1);
        let counted = (first..=now)
            .filter(|hour| *hour <= self.last && self.last.saturating_sub(*hour) < hours_as_i32());
        let readings = counted.map(|hour| u64::from(self.counts[slot(hour)])).sum();
        (readings, i64::from(first) * HOUR_US)
    }
}

/// A NaN is no result: JSON has none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    newest_us: i64,
    first_us: i64,
    received_us: i64,
    result: f64,
    count: u64,
    flagged: u32,
    ordinal: u32,
    hour: i32,
    hours: [u16; HOURS],
    flags: u8,
}

/// Bytes of an entry in the file.
pub(super) const ENTRY_BYTES: usize = 5 * 8 + 3 * 4 + 2 * HOURS + 1;

impl Default for Entry {
    fn default() -> Self {
        Self {
            newest_us: i64::MIN,
            first_us: i64::MAX,
            received_us: i64::MIN,
            result: f64::NAN,
            count: 0,
            flagged: 0,
            ordinal: 0,
            hour: i32::MIN,
            hours: [0; HOURS],
            flags: 0,
        }
    }
}

fn hour_of(time_us: i64) -> i32 {
    // Beyond years that chrono has there is no hour either.
    i32::try_from(time_us.div_euclid(HOUR_US)).unwrap_or(i32::MIN)
}

fn hours_as_i32() -> i32 {
    i32::try_from(HOURS).unwrap_or(i32::MAX)
}

fn slot(hour: i32) -> usize {
    usize::try_from(hour.rem_euclid(hours_as_i32())).unwrap_or_default()
}

impl Entry {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn state(&self) -> Option<StreamState> {
        (!self.is_empty()).then(|| StreamState {
            newest_us: self.newest_us,
            ordinal: self.ordinal,
            result: (!self.result.is_nan()).then_some(self.result),
            flags: i64::from(self.flags),
            // Of a correction it is not known when its observation came in.
            received_us: match self.received_us {
                i64::MIN => self.newest_us,
                received_us => received_us,
            },
            first_us: self.first_us,
            count: self.count,
            flagged: u64::from(self.flagged),
        })
    }

    pub fn hours(&self) -> Hours {
        Hours { last: self.hour, counts: self.hours }
    }

    /// One more observation. `received_us` is `i64::MIN` where it is not known.
    pub fn add(&mut self, seen: &Seen, received_us: i64) {
        if self.is_empty() || (seen.time_us, seen.ordinal) >= (self.newest_us, self.ordinal) {
            self.newest_us = seen.time_us;
            self.ordinal = seen.ordinal;
            self.result = seen.result.unwrap_or(f64::NAN);
            self.flags = u8::try_from(seen.flags & 0xff).unwrap_or_default();
        }
        self.first_us = self.first_us.min(seen.time_us);
        self.received_us = self.received_us.max(received_us);
        self.count += 1;
        if seen.flags & super::LEAVES_OUT != 0 {
            self.flagged = self.flagged.saturating_add(1);
        }
        // A clock that is far ahead must not push the real hours out.
        let hour = hour_of(seen.time_us);
        let latest = match received_us {
            i64::MIN => hour,
            received_us => hour_of(received_us).saturating_add(1),
        };
        if hour <= latest {
            self.count_in(hour, 1);
        }
    }

    fn count_in(&mut self, hour: i32, readings: u16) {
        self.move_on(hour);
        if self.hour.saturating_sub(hour) < hours_as_i32() {
            let counted = &mut self.hours[slot(hour)];
            *counted = counted.saturating_add(readings);
        }
    }

    /// Has the newest slot be this hour's, where it is newer.
    fn move_on(&mut self, hour: i32) {
        if hour <= self.hour {
            return;
        }
        let steps = hour.saturating_sub(self.hour).min(hours_as_i32());
        for back in 0..steps {
            self.hours[slot(hour.saturating_sub(back))] = 0;
        }
        self.hour = hour;
    }

    /// All observations of the other as well.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() || (other.newest_us, other.ordinal) > (self.newest_us, self.ordinal) {
            self.newest_us = other.newest_us;
            self.ordinal = other.ordinal;
            self.result = other.result;
            self.flags = other.flags;
        }
        self.first_us = self.first_us.min(other.first_us);
        self.received_us = self.received_us.max(other.received_us);
        self.count += other.count;
        self.flagged = self.flagged.saturating_add(other.flagged);
        if other.hour > i32::MIN {
            for back in 0..hours_as_i32() {
                let hour = other.hour.saturating_sub(back);
                let readings = other.hours[slot(hour)];
                if readings > 0 {
                    self.count_in(hour, readings);
                }
            }
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        let before = out.len();
        for number in [self.newest_us, self.first_us, self.received_us] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.result.to_le_bytes());
        out.extend(self.count.to_le_bytes());
        out.extend(self.flagged.to_le_bytes());
        out.extend(self.ordinal.to_le_bytes());
        out.extend(self.hour.to_le_bytes());
        for counted in self.hours {
            out.extend(counted.to_le_bytes());
        }
        out.push(self.flags);
        debug_assert_eq!(out.len() - before, ENTRY_BYTES);
    }

    /// None where the bytes are too few.
    pub fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut entry = Self {
            newest_us: i64::from_le_bytes(take(bytes)?),
            first_us: i64::from_le_bytes(take(bytes)?),
            received_us: i64::from_le_bytes(take(bytes)?),
            result: f64::from_le_bytes(take(bytes)?),
            count: u64::from_le_bytes(take(bytes)?),
            flagged: u32::from_le_bytes(take(bytes)?),
            ordinal: u32::from_le_bytes(take(bytes)?),
            hour: i32::from_le_bytes(take(bytes)?),
            ..Self::default()
        };
        for counted in &mut entry.hours {
            *counted = u16::from_le_bytes(take(bytes)?);
        }
        let [flags] = take::<1>(bytes)?;
        entry.flags = flags;
        Some(entry)
    }
}

/// The next bytes, as many as are wanted.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}
