//! Which readings came before: the newest of each Datastream are remembered, what is older is
//! looked up in the lake. Knows no SQL: it says what it does not know, and is told.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use sensing::entity::Outcome;

/// Readings of a Datastream that are remembered. Older ones are looked up.
const READINGS_MAX: usize = 8;
/// The same where a reading is known by its number alone, because its message says no time.
const NUMBERED_MAX: usize = 64;
/// Datastreams of which some are remembered; beyond it all are forgotten and looked up again.
const STREAMS_MAX: usize = 1 << 20;
/// A message that says no time is sent again within this time, if at all: a device that counts
/// from the beginning again is not taken for one that repeats itself.
pub(super) const REPEATED_SECONDS_MAX: i64 = 600;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// A reading as it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trace {
    pub time_us: i64,
    /// Of its value, or of its number in the sequence.
    pub mark: u64,
    pub ordinal: u32,
}

/// What a reading's mark is made of.
pub(super) fn mark_of_value(value: &Outcome) -> u64 {
    match value {
        // -0 and 0 are one value.
        Outcome::Number(number) => hashed(&(number + 0.0).to_bits()),
        Outcome::Other(json) => hashed(json.as_str()),
    }
}

pub(super) fn mark_of_sequence(sequence: &str) -> u64 {
    hashed(sequence)
}

fn hashed(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[derive(Debug)]
struct Recent {
    newest_us: i64,
    traces: VecDeque<Trace>,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    streams: HashMap<i64, Recent>,
}

/// What is to become of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// And the first ordinal of its moment that is free, as far as is known.
    New {
        ordinal: u32,
    },
    Duplicate,
}

/// How readings of a source are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alike {
    /// The moment and the mark are the same.
    AtOnce,
    /// The mark is, within [`REPEATED_SECONDS_MAX`]: there is no moment to compare.
    ByNumber,
}

/// What is known of the Datastreams of one message.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By Datastream and moment the marks and ordinals of its readings.
    at: HashMap<(i64, i64), Vec<(u64, u32)>>,
    /// By Datastream and mark the moments.
    marked: HashMap<(i64, u64), Vec<i64>>,
}

impl Seen {
    /// Has a reading of this Datastream and moment to be looked up?
    pub fn is_unsure(&self, stream: i64, time_us: i64, alike: Alike) -> bool {
        let Some(recent) = self.streams.get(&stream) else { return true };
        match alike {
            Alike::ByNumber => false,
            Alike::AtOnce => {
                time_us <= recent.newest_us
                    && !recent.traces.iter().any(|trace| trace.time_us == time_us)
            }
        }
    }

    /// Is anything known of a Datastream?
    pub fn has_met(&self, stream: i64) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Takes the newest moment that the lake has of a Datastream.
    pub fn meet(&mut self, stream: i64, newest_us: i64) {
        let recent = self.recent(stream);
        recent.newest_us = recent.newest_us.max(newest_us);
    }

    fn recent(&mut self, stream: i64) -> &mut Recent {
        if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&stream) {
            self.streams.clear();
        }
        let none = || Recent { newest_us: i64::MIN, traces: VecDeque::new() };
        self.streams.entry(stream).or_insert_with(none)
    }

    /// What is remembered of these Datastreams.
    pub fn known(&self, streams: impl Iterator<Item = i64>) -> Known {
        let mut known = Known::default();
        for stream in streams {
            let recent = self.streams.get(&stream);
            for trace in recent.into_iter().flat_map(|recent| &recent.traces) {
                known.learn(stream, *trace);
            }
        }
        known
    }

    pub fn remember(&mut self, stream: i64, trace: Trace, alike: Alike) {
        let recent = self.recent(stream);
        recent.newest_us = recent.newest_us.max(trace.time_us);
        let count_max = match alike {
            Alike::AtOnce => READINGS_MAX,
            Alike::ByNumber => NUMBERED_MAX,
        };
        if recent.traces.len() >= count_max {
            recent.traces.pop_front();
        }
        recent.traces.push_back(trace);
    }
}

impl Known {
    /// Takes what was found in the lake.
    pub fn learn(&mut self, stream: i64, trace: Trace) {
        let Trace { time_us, mark, ordinal } = trace;
        self.at.entry((stream, time_us)).or_default().push((mark, ordinal));
        self.marked.entry((stream, mark)).or_default().push(time_us);
    }

    /// Judges a reading; one that is new is known from then on.
    pub fn judge(&mut self, stream: i64, time_us: i64, mark: u64, alike: Alike) -> Verdict {
        let at_once = self.at.get(&(stream, time_us)).map_or(&[][..], Vec::as_slice);
        let again = match alike {
            Alike::AtOnce => at_once.iter().any(|(known, _)| *known == mark),
            Alike::ByNumber => self.marked.get(&(stream, mark)).is_some_and(|times| {
                let apart = |known: &i64| time_us.saturating_sub(*known).saturating_abs();
                times.iter().any(|known| apart(known) <= REPEATED_SECONDS_MAX * MICROS_PER_SECOND)
            }),
        };
        if again {
            return Verdict::Duplicate;
        }
        let ordinals = at_once.iter().map(|(_, ordinal)| ordinal.saturating_add(1));
        let ordinal = ordinals.max().unwrap_or(0);
        self.learn(stream, Trace { time_us, mark, ordinal });
        Verdict::New { ordinal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = MICROS_PER_SECOND;

    fn told(seen: &mut Seen, time_us: i64, mark: u64, alike: Alike) -> Verdict {
        let verdict = seen.known([1].into_iter()).judge(1, time_us, mark, alike);
        if let Verdict::New { ordinal } = verdict {
            seen.remember(1, Trace { time_us, mark, ordinal }, alike);
        }
        verdict
    }

    #[test]
    fn a_reading_again_is_a_duplicate_and_another_value_is_not() {
        let mut seen = Seen::default();
        let at_once = Alike::AtOnce;
        assert!(seen.is_unsure(1, 5, at_once), "nothing is known");
        assert_eq!(told(&mut seen, 5, 7, at_once), Verdict::New { ordinal: 0 });
        assert_eq!(told(&mut seen, 5, 7, at_once), Verdict::Duplicate);
        assert_eq!(told(&mut seen, 5, 8, at_once), Verdict::New { ordinal: 1 });
        assert_eq!(told(&mut seen, 6, 7, at_once), Verdict::New { ordinal: 0 });
        assert!(!seen.is_unsure(1, 7, at_once), "newer than all");
        assert!(!seen.is_unsure(1, 5, at_once), "remembered");
        assert!(seen.is_unsure(1, 4, at_once), "it may be in the lake");
    }

    #[test]
    fn what_the_lake_has_is_not_taken_for_new() {
        let mut seen = Seen::default();
        seen.meet(1, 10);
        told(&mut seen, 5, 7, Alike::AtOnce);
        assert!(seen.is_unsure(1, 7, Alike::AtOnce), "newer than all that came, not than all");
        assert!(!seen.is_unsure(1, 11, Alike::AtOnce));
    }

    #[test]
    fn what_was_forgotten_is_looked_up() {
        let mut seen = Seen::default();
        for time in 0..20 {
            told(&mut seen, time, 7, Alike::AtOnce);
        }
        assert!(seen.is_unsure(1, 3, Alike::AtOnce));
        assert!(!seen.is_unsure(1, 19, Alike::AtOnce));
        let mut known = seen.known([1].into_iter());
        known.learn(1, Trace { time_us: 3, mark: 7, ordinal: 0 });
        assert_eq!(known.judge(1, 3, 7, Alike::AtOnce), Verdict::Duplicate);
        assert_eq!(known.judge(1, 3, 9, Alike::AtOnce), Verdict::New { ordinal: 1 });
    }

    #[test]
    fn a_number_alone_is_a_duplicate_for_a_while() {
        let mut seen = Seen::default();
        let by_number = Alike::ByNumber;
        assert_eq!(told(&mut seen, 0, 1, by_number), Verdict::New { ordinal: 0 });
        assert_eq!(told(&mut seen, 30 * SECOND, 1, by_number), Verdict::Duplicate);
        let later = (REPEATED_SECONDS_MAX + 1) * SECOND;
        assert_eq!(
            told(&mut seen, later, 1, by_number),
            Verdict::New { ordinal: 0 },
            "counts anew"
        );
    }

    #[test]
    fn marks_tell_values_apart() {
        assert_eq!(mark_of_value(&Outcome::Number(0.0)), mark_of_value(&Outcome::Number(-0.0)));
        assert_ne!(mark_of_value(&Outcome::Number(1.0)), mark_of_value(&Outcome::Number(2.0)));
    }
}
