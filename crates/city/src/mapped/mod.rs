//! Devices that speak something else: messages of the pack's sources become observations.
//!
//! ```text
//!  MQTT, by topic ─┐                                          ┌─► the lake, as SensorThings does
//!                  ├─► read ─► streams ─► clock ─► seen ──────┤
//!  poll ─► fetch ──┘   records   whose,     flag,   the same  ├─► duplicates, counted
//!                      values    unit       refuse  again?    └─► refused: quarantine, counted
//! ```
//!
//! Who brings a message in has to act for the owner of each Datastream, whichever way it came: the
//! producer's own session by MQTT, that of the source's user by poll. What one reading is refused
//! for is no fault of the others. Knows no broker: a face hands it topic and payload.

mod fetch;
mod poll;
mod read;
mod refused;
mod seen;
mod state;
mod streams;
mod when;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use catalog::Session;
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use pack::mapped::units::Conversion;
use pack::mapped::{ClockRule, Duplicate, Outside, Source, TimeRule};
use sensing::entity::{Moment, Outcome};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, Semaphore};

use crate::kept::Kept;
use crate::observations::OBSERVATION;
use crate::sta::{HeldStreams, Meant, OwnStream, sequence_in};
use crate::{City, CityError};
use read::{Captures, Given, Told, UNREAD_TOLD_MAX};
use seen::{Alike, Known, REPEATED_SECONDS_MAX, Seen, Trace, Verdict};
use streams::{INDEX_SHARE, Index};

pub use state::{SourceStanding, SourceState, SourceTally};

/// An observation whose clock was too far off: bit of `flags`.
const FLAG_CLOCK: i64 = 32;
/// Locks that keep messages of one Datastream in order.
const TURNS: usize = 256;
/// Endpoints that are asked at the same time.
const POLLS_AT_ONCE_MAX: usize = 8;
/// Datastreams that one statement looks up.
const LOOKED_UP_MAX: usize = 100;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// What became of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The source that it was of.
    pub source: String,
    /// Readings that are on the disk now.
    pub taken: usize,
    /// Readings that were there before.
    pub duplicates: usize,
    /// The first of what was refused.
    pub refused: Vec<MappedRefusal>,
    pub refused_count: usize,
}

/// What was refused of a message, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedRefusal {
    /// From 1; 0 is the message itself.
    pub record: usize,
    /// A code to count by: `json`, `type`, `time`, `clock`, `stream`, `unit` …
    pub code: &'static str,
    pub reason: String,
}

/// What a city keeps in memory for its sources.
#[derive(Debug)]
pub(crate) struct Mapping {
    index: Kept<Arc<Index>>,
    held: HeldStreams,
    seen: Mutex<Seen>,
    turns: Vec<AsyncMutex<()>>,
    tallies: state::Tallies,
    refusals: refused::KeptRefusals,
    places: Semaphore,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            index: Kept::for_times(INDEX_SHARE),
            held: HeldStreams::default(),
            seen: Mutex::default(),
            turns: (0..TURNS).map(|_| AsyncMutex::default()).collect(),
            tallies: state::Tallies::default(),
            refusals: refused::KeptRefusals::default(),
            places: Semaphore::new(POLLS_AT_ONCE_MAX),
        }
    }
}

/// A reading with its Datastream.
struct Bound {
    stream: i64,
    time: Moment,
    result: Outcome,
    sequence: Option<String>,
    flags: i64,
    record: usize,
}

impl City {
    /// Whether messages of a topic are a source's.
    pub fn maps_topic(&self, topic: &str) -> bool {
        self.source_at(topic).is_some()
    }

    /// The source that takes a topic, and what its named levels are. The pack has one at most.
    fn source_at<'c>(&'c self, topic: &'c str) -> Option<(&'c Source, Captures<'c>)> {
        self.pack().sources.iter().find_map(|source| {
            let captures = source.topic()?.captures(topic)?;
            Some((source, captures))
        })
    }

    /// Takes a message that came by MQTT, in the name of who published it. Returns once what was
    /// taken is on the disk; what was not is told, and no reason to send the rest again.
    pub async fn take_mapped(
        &self,
        session: &Session,
        topic: &str,
        payload: &[u8],
    ) -> Result<Mapped, CityError> {
        let (source, captures) = self
            .source_at(topic)
            .ok_or_else(|| CityError::NotFound("no source of the pack takes this topic".into()))?;
        self.may_map(session)?;
        self.take_message(session, source, &captures, payload, Utc::now()).await
    }

    async fn take_message(
        &self,
        session: &Session,
        source: &Source,
        captures: &Captures<'_>,
        payload: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Mapped, CityError> {
        let offset_minutes = self.pack().city.utc_offset_minutes;
        let message = read::message(source, captures, payload, offset_minutes);
        let refused = message.unread.into_iter().map(|unread| MappedRefusal {
            record: unread.record,
            code: unread.code,
            reason: unread.reason,
        });
        let mut mapped = Mapped {
            source: source.id.clone(),
            refused: refused.collect(),
            refused_count: message.unread_count,
            ..Mapped::default()
        };
        let index = self.mapped_index(&source.owner).await?;
        let mut bound = Vec::with_capacity(message.told.len());
        for told in message.told {
            let record = told.record;
            match bind(source, &index, told, now) {
                Ok(one) => bound.push(one),
                Err((code, reason)) => mapped.refuse(record, code, reason),
            }
        }
        let wanted: BTreeSet<i64> = bound.iter().map(|one| one.stream).collect();
        let streams = self.own_streams(session, &self.mapping.held, &wanted).await?;
        bound.retain(|one| match judged(&streams, one, session) {
            Ok(()) => true,
            Err((code, reason)) => {
                mapped.refuse(one.record, code, reason);
                false
            }
        });
        self.take_bound(session, source, &streams, bound, &mut mapped, now).await?;
        self.mapping.tallies.came(&mapped, now);
        if !mapped.refused.is_empty() {
            let user = &session.principal.user;
            tracing::debug!(source = source.id, refused = mapped.refused_count, "not taken");
            self.keep_refused(source, user, payload, &mapped.refused, now).await?;
        }
        Ok(mapped)
    }

    /// Leaves out what came before and keeps the rest. Messages of one Datastream go one after the
    /// other, so that one that is sent twice at once is kept once, and acknowledged when it is.
    async fn take_bound(
        &self,
        session: &Session,
        source: &Source,
        streams: &BTreeMap<i64, Arc<OwnStream>>,
        bound: Vec<Bound>,
        mapped: &mut Mapped,
        now: DateTime<Utc>,
    ) -> Result<(), CityError> {
        let turns: BTreeSet<usize> = bound.iter().map(|one| turn_of(one.stream)).collect();
        let _turns = self.turns_of(turns).await;
        let alike = alike(source);
        let mut known = self.known_readings(session, source, &bound, alike, now).await?;
        let (mut meant, mut traces) = (Vec::with_capacity(bound.len()), Vec::new());
        for one in bound {
            let (time_us, mark) = (one.time.micros(), mark(&one));
            match known.judge(one.stream, time_us, mark, alike) {
                Verdict::Duplicate => mapped.duplicates += 1,
                Verdict::New { ordinal } => {
                    traces.push((one.stream, Trace { time_us, mark, ordinal }));
                    meant.push(Meant {
                        stream: one.stream,
                        time: one.time,
                        result: one.result,
                        sequence: one.sequence,
                        flags: one.flags,
                        ordinal_min: ordinal,
                    });
                }
            }
        }
        let taken = meant.len();
        if taken > 0 {
            self.keep_mapped(session, streams, meant).await?;
        }
        mapped.taken = taken;
        let mut seen = self.mapping.seen.lock().expect("no one panics while holding what was seen");
        for (stream, trace) in traces {
            seen.remember(stream, trace, alike);
        }
        Ok(())
    }

    /// The turns of these Datastreams, taken in one order by everybody.
    async fn turns_of(&self, places: BTreeSet<usize>) -> Vec<MutexGuard<'_, ()>> {
        let mut turns = Vec::with_capacity(places.len());
        for place in places {
            turns.push(self.mapping.turns[place].lock().await);
        }
        turns
    }

    /// What is known of these readings' Datastreams: what is remembered, and of what is not, what
    /// the lake has.
    async fn known_readings(
        &self,
        session: &Session,
        source: &Source,
        bound: &[Bound],
        alike: Alike,
        now: DateTime<Utc>,
    ) -> Result<Known, CityError> {
        // By Datastream and day: of one reading of long ago the lake is not asked for all since.
        let mut spans: BTreeMap<(i64, i64), (i64, i64)> = BTreeMap::new();
        let mut strangers = BTreeSet::new();
        let mut known = {
            let seen = self.mapping.seen.lock().expect("no one panics while holding what was seen");
            for one in bound {
                let mut time_us = one.time.micros();
                if !seen.is_unsure(one.stream, time_us, alike) {
                    continue;
                }
                if alike == Alike::AtOnce && !seen.has_met(one.stream) {
                    strangers.insert(one.stream);
                }
                let day = (one.stream, time_us.div_euclid(MICROS_PER_DAY));
                let span = spans.entry(day).or_insert((time_us, time_us));
                span.1 = span.1.max(time_us);
                if alike == Alike::ByNumber {
                    time_us = now.timestamp_micros() - REPEATED_SECONDS_MAX * MICROS_PER_SECOND;
                }
                span.0 = span.0.min(time_us);
            }
            let streams: BTreeSet<i64> = bound.iter().map(|one| one.stream).collect();
            seen.known(streams.into_iter())
        };
        let spans: Vec<(i64, (i64, i64))> =
            spans.into_iter().map(|((stream, _), span)| (stream, span)).collect();
        let by_sequence = matches!(source.duplicate, Duplicate::Sequence(_));
        for spans in spans.chunks(LOOKED_UP_MAX) {
            self.look_up_readings(session, spans, by_sequence, &mut known).await?;
        }
        let strangers: Vec<i64> = strangers.into_iter().collect();
        for strangers in strangers.chunks(LOOKED_UP_MAX) {
            self.meet_streams(session, strangers).await?;
        }
        Ok(known)
    }

    /// Remembers the newest moments of Datastreams: what is newer than them came never before.
    async fn meet_streams(&self, session: &Session, streams: &[i64]) -> Result<(), CityError> {
        let listed: Vec<String> = streams.iter().map(i64::to_string).collect();
        let sql = format!(
            "SELECT datastream, max(phenomenon_time) AS newest FROM {OBSERVATION} \
             WHERE datastream IN ({}) GROUP BY datastream",
            listed.join(", ")
        );
        let newest = self.newest_readings(session, &sql).await?;
        let mut seen = self.mapping.seen.lock().expect("no one panics while holding what was seen");
        for stream in streams {
            seen.meet(*stream, newest.get(stream).copied().unwrap_or(i64::MIN));
        }
        Ok(())
    }

    /// Learns what the lake has of these Datastreams between these moments.
    async fn look_up_readings(
        &self,
        session: &Session,
        spans: &[(i64, (i64, i64))],
        by_sequence: bool,
        known: &mut Known,
    ) -> Result<(), CityError> {
        let instant =
            |time_us| ScalarValue::TimestampMicrosecond(Some(time_us), Some("UTC".into()));
        let mut parameters = Vec::with_capacity(2 * spans.len());
        let mut conditions = Vec::with_capacity(spans.len());
        for (stream, (from, to)) in spans {
            parameters.extend([instant(*from), instant(*to)]);
            let (first, last) = (parameters.len() - 1, parameters.len());
            conditions.push(format!(
                "(datastream = {stream} AND phenomenon_time BETWEEN ${first} AND ${last})"
            ));
        }
        let sql = format!(
            "SELECT datastream, phenomenon_time, ordinal, result_number, result_json, parameters \
             FROM {OBSERVATION} WHERE {}",
            conditions.join(" OR ")
        );
        for row in self.kept_readings(session, &sql, &parameters).await? {
            let mark = if by_sequence {
                let sequence = row.parameters.as_deref().and_then(sequence_in);
                sequence.map(|sequence| seen::mark_of_sequence(&sequence))
            } else {
                row.result.as_ref().map(seen::mark_of_value)
            };
            // One without a mark is like no other; it takes its ordinal all the same.
            let mark = mark.unwrap_or_else(|| seen::mark_of_sequence(""));
            known.learn(row.stream, Trace { time_us: row.time_us, mark, ordinal: row.ordinal });
        }
        Ok(())
    }
}

impl Mapped {
    fn refuse(&mut self, record: usize, code: &'static str, reason: String) {
        self.refused_count += 1;
        if self.refused.len() < UNREAD_TOLD_MAX {
            self.refused.push(MappedRefusal { record, code, reason });
        }
    }
}

fn turn_of(stream: i64) -> usize {
    usize::try_from(stream.unsigned_abs() % (TURNS as u64)).unwrap_or_default()
}

fn alike(source: &Source) -> Alike {
    match (&source.duplicate, &source.time) {
        (Duplicate::Sequence(_), TimeRule::Receipt) => Alike::ByNumber,
        _ => Alike::AtOnce,
    }
}

fn mark(one: &Bound) -> u64 {
    match &one.sequence {
        Some(sequence) => seen::mark_of_sequence(sequence),
        None => seen::mark_of_value(&one.result),
    }
}

/// Finds a reading's Datastream, has its value in that one's unit, and looks at its clock.
fn bind(
    source: &Source,
    index: &Index,
    told: Told<'_>,
    now: DateTime<Utc>,
) -> Result<Bound, (&'static str, String)> {
    let rule = told.rule;
    let found = index.find(&told.device, &rule.stream);
    let at = found.map_err(|fault| ("stream", fault.to_string()))?;
    let result = match told.value {
        Given::Value(value) => Outcome::of(&value),
        Given::Number(number) => Outcome::Number(
            converted(rule, number, at.unit.as_deref()).map_err(|why| ("unit", why))?,
        ),
    };
    let now_us = now.timestamp_micros();
    let time_us = told.time_us.unwrap_or(now_us);
    let flags = clocked(source.clock, time_us, now_us).map_err(|why| ("clock", why))?;
    let time = Moment::from_micros(time_us).ok_or(("time", "a time of no year".to_owned()))?;
    let (stream, sequence, record) = (at.stream, told.sequence, told.record);
    Ok(Bound { stream, time, result, sequence, flags, record })
}

/// A number in the unit that its Datastream has.
fn converted(rule: &pack::mapped::Reading, number: f64, unit: Option<&str>) -> Result<f64, String> {
    let Some(from) = &rule.unit else { return Ok(number) };
    let Some(unit) = unit else {
        return Err(format!("it comes in `{from}`, and its Datastream has no unit"));
    };
    if let Some(to) = &rule.to
        && Conversion::of(to, unit).ok() != Some(None)
    {
        return Err(format!("its Datastream has the unit `{unit}`, and not `{to}`"));
    }
    let conversion = Conversion::of(from, unit).map_err(|fault| fault.to_string())?;
    let number = conversion.map_or(number, |conversion| conversion.apply(number));
    match number.is_finite() {
        true => Ok(number),
        false => Err(format!("it is too large in `{unit}`")),
    }
}

/// The flags of a reading with this time, which came now.
fn clocked(rule: ClockRule, time_us: i64, now_us: i64) -> Result<i64, String> {
    let apart_s = time_us.saturating_sub(now_us) / MICROS_PER_SECOND;
    let reason = if apart_s > rule.ahead_s {
        format!("its time is {apart_s} s ahead, and {} s are allowed", rule.ahead_s)
    } else if let Some(behind_s) = rule.behind_s.filter(|behind_s| -apart_s > *behind_s) {
        format!("its time is {} s behind, and {behind_s} s are allowed", -apart_s)
    } else {
        return Ok(0);
    };
    match rule.outside {
        Outside::Refuse => Err(reason),
        Outside::Flag => Ok(FLAG_CLOCK),
    }
}

/// Whether the asker may add this reading to its Datastream.
fn judged(
    streams: &BTreeMap<i64, Arc<OwnStream>>,
    one: &Bound,
    session: &Session,
) -> Result<(), (&'static str, String)> {
    let Some(own) = streams.get(&one.stream) else {
        let user = &session.principal.user;
        let reason = format!("Datastream {} is none that {user} may add to", one.stream);
        return Err(("stream", reason));
    };
    own.check(&one.result).map_err(|reason| ("type", reason))
}
