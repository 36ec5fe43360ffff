//! Whether readings are plausible: judged before they are written, kept whatever is found.
//!
//! ```text
//!  sensing.toml ─► rule ◄─ a Datastream's property, unit, kind, own bounds   (known)
//!                   │
//!  readings ────────┴─► judge, with the last readings of the Datastream ─► flags
//! ```
//!
//! Readings of one request are judged in the order of their times. Those from before what is
//! remembered — history that is filled in — are judged by their own order and remembered by nobody.
//! What is remembered moves on only once the readings are durable.

mod flags;
mod known;
mod recent;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

pub(crate) use flags::OF_TIME;
use known::KnownRules;
use recent::Recent;
use rule::{Reading, Rule};

use crate::CityError;
use crate::source::Stores;

/// Locks of what is remembered of readings.
const SHARDS: usize = 16;

/// A reading that is to be judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    pub datastream: i64,
    pub time_us: i64,
    pub result: Option<f64>,
}

/// What is remembered of readings, and by which rules they are judged.
#[derive(Debug, Default)]
pub(crate) struct Plausibility {
    rules: KnownRules,
    recent: [Mutex<HashMap<i64, Recent>>; SHARDS],
}

/// What was found of some readings, in their order.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub flags: Vec<i64>,
    /// To be remembered once the readings are durable.
    moved_on: Vec<(i64, Recent)>,
}

impl Plausibility {
    fn shard(&self, datastream: i64) -> &Mutex<HashMap<i64, Recent>> {
        let shards = i64::try_from(SHARDS).unwrap_or(1);
        &self.recent[usize::try_from(datastream.rem_euclid(shards)).unwrap_or_default()]
    }

    fn recent(&self, datastream: i64) -> Option<Recent> {
        let recent = self.shard(datastream).lock().expect("no one panics while holding readings");
        recent.get(&datastream).copied()
    }

    /// Remembers readings that are durable now.
    pub(crate) fn remember(&self, verdict: &Verdict) {
        for (stream, moved_on) in &verdict.moved_on {
            let mut recent =
                self.shard(*stream).lock().expect("no one panics while holding readings");
            let known = recent.entry(*stream).or_insert(*moved_on);
            // Of two requests at once the later reading stays.
            if known.last_us() <= moved_on.last_us() {
                *known = *moved_on;
            }
        }
    }
}

impl Stores {
    /// Judges readings that came in now.
    pub(crate) async fn judge(
        &self,
        readings: &[Judged],
        received_us: i64,
    ) -> Result<Verdict, CityError> {
        let mut by_stream: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (place, reading) in readings.iter().enumerate() {
            by_stream.entry(reading.datastream).or_default().push(place);
        }
        let streams: Vec<i64> = by_stream.keys().copied().collect();
        let rules = self.rules(&streams).await?;
        let mut verdict = Verdict { flags: vec![0; readings.len()], moved_on: Vec::new() };
        for (stream, mut places) in by_stream {
            let Some(rule) = rules.get(&stream) else { continue };
            places.sort_by_key(|place| readings[*place].time_us);
            let of_stream: Vec<Reading> = places
                .iter()
                .map(|place| Reading {
                    time_us: readings[*place].time_us,
                    result: readings[*place].result,
                })
                .collect();
            let remembered = match rule.remembers() {
                true => self.remembered(stream, rule),
                false => Recent::default(),
            };
            let (flags, after) = judge_in_order(rule, &of_stream, remembered, received_us);
            for (place, flags) in places.into_iter().zip(flags) {
                verdict.flags[place] = flags;
            }
            if rule.remembers() && after != remembered {
                verdict.moved_on.push((stream, after));
            }
        }
        Ok(verdict)
    }

    /// The last readings of a Datastream; after a start, the newest one that was kept.
    fn remembered(&self, stream: i64, rule: &Rule) -> Recent {
        if let Some(recent) = self.plausible.recent(stream) {
            return recent;
        }
        let newest =
            self.live.of(stream).filter(|state| state.flags & crate::live::LEAVES_OUT == 0);
        let reading = newest.and_then(|state| Some((state.newest_us, state.result?)));
        reading.map_or_else(Recent::default, |(time_us, result)| {
            Recent::of(time_us, rule.in_own_unit(result))
        })
    }

    /// The flags of a reading that somebody has put right: what its value alone says.
    pub(crate) async fn judge_value(
        &self,
        stream: i64,
        result: Option<f64>,
    ) -> Result<i64, CityError> {
        let rules = self.rules(&[stream]).await?;
        Ok(rules.get(&stream).map_or(0, |rule| rule.value(result)))
    }
}

/// Judges readings of one Datastream that are in the order of their times; what is remembered of
/// it afterwards.
fn judge_in_order(
    rule: &Arc<Rule>,
    readings: &[Reading],
    remembered: Recent,
    received_us: i64,
) -> (Vec<i64>, Recent) {
    let mut flags = Vec::with_capacity(readings.len());
    let (mut history, mut now) = (Recent::default(), remembered);
    for (at, reading) in readings.iter().enumerate() {
        let next = readings.get(at + 1);
        let recent = match remembered.last_us().is_some_and(|last| reading.time_us <= last) {
            true => &mut history,
            false => &mut now,
        };
        flags.push(rule.judge(recent, reading, next, received_us));
    }
    (flags, now)
}
