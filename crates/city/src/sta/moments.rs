//! The ordinals of observations: which the next one of a Datastream and moment has. With these two
//! it is an observation's id, so that none is given out twice.
//!
//! ```text
//!  moment ─► remembered: the next one
//!        ├─► later than all that the Datastream had when it was met: 0
//!        └─► else the lake is asked once
//! ```
//!
//! What a Datastream had is known from the memory of Datastreams; while that is made up, from the
//! lake. A message that is sent again after a restart so is a second observation, and no other row
//! under the first one's id.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::{SessionContext, ident};
use futures::TryStreamExt;

use crate::observations::OBSERVATION;
use crate::{City, CityError};

/// Moments that are remembered: at least those of one body of CreateObservations.
const MOMENTS_MAX: usize = 1 << 19;
/// Datastreams of which it is remembered what they had; beyond it all are met again.
const STREAMS_MAX: usize = 1 << 20;
/// Datastreams that one question to the lake is about.
const LOOKED_UP_MAX: usize = 1_000;

/// A Datastream's number and µs since 1970.
pub(super) type At = (i64, i64);

/// The ordinals given out, by Datastream and moment.
#[derive(Debug, Default)]
pub(super) struct Moments {
    next: HashMap<At, u32>,
    order: VecDeque<At>,
    /// By Datastream the last moment of which the lake may have what is not remembered here.
    had: HashMap<i64, i64>,
    /// Of the memory of Datastreams, which making of it `had` is from.
    making: u64,
}

/// Moments of which it is not known what the lake has.
#[derive(Debug, Default)]
pub(super) struct Unsure {
    late: BTreeSet<At>,
    /// Those of Datastreams of which nothing is known.
    strange: BTreeSet<At>,
}

impl Moments {
    /// Has the ordinals of a moment begin at this one, where they have not come so far.
    pub fn begin(&mut self, at: At, ordinal: u32) {
        match self.next.get_mut(&at) {
            Some(next) => *next = ordinal.max(*next),
            None => self.remember(at, ordinal),
        }
    }

    pub fn ordinal(&mut self, at: At) -> u32 {
        if let Some(next) = self.next.get_mut(&at) {
            let ordinal = *next;
            *next = ordinal.saturating_add(1);
            return ordinal;
        }
        self.remember(at, 1);
        0
    }

    fn remember(&mut self, at: At, next: u32) {
        if self.order.len() >= MOMENTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.next.remove(&oldest);
            if let Some(had) = self.had.get_mut(&oldest.0) {
                *had = oldest.1.max(*had);
            }
        }
        self.order.push_back(at);
        self.next.insert(at, next);
    }

    /// Notes the last moment that the lake has of a Datastream.
    fn meet(&mut self, datastream: i64, newest_us: i64) {
        if self.had.len() >= STREAMS_MAX {
            self.had.clear();
        }
        let had = self.had.entry(datastream).or_insert(newest_us);
        *had = newest_us.max(*had);
    }

    /// Forgets what Datastreams had as an earlier making of their memory knew it.
    fn renew(&mut self, making: u64) {
        if self.making != making {
            self.making = making;
            self.had.clear();
        }
    }
}

impl City {
    /// Those of these moments that the lake has to be asked about before an ordinal is given out.
    pub(super) fn unsure_moments(&self, moments: impl IntoIterator<Item = At>) -> Unsure {
        let live = self.live();
        let making = live.is_made().then(|| live.makings());
        let mut known = self.sta.moments.lock().expect("no one panics while holding the moments");
        if let Some(making) = making {
            known.renew(making);
        }
        let mut unsure = Unsure::default();
        for at in moments {
            let (datastream, time_us) = at;
            if known.next.contains_key(&at) {
                continue;
            }
            match (known.had.get(&datastream).copied(), making) {
                (Some(had), _) => {
                    if time_us <= had {
                        unsure.late.insert(at);
                    }
                }
                (None, None) => {
                    unsure.strange.insert(at);
                }
                (None, Some(_)) => {
                    let newest = live.of(datastream);
                    let newest_us = newest.map_or(i64::MIN, |newest| newest.newest_us);
                    known.meet(datastream, newest_us);
                    match newest {
                        // The same again: what is sent twice, mostly.
                        Some(newest) if time_us == newest_us => {
                            known.begin(at, newest.ordinal.saturating_add(1));
                        }
                        _ if time_us <= newest_us => {
                            unsure.late.insert(at);
                        }
                        _ => {}
                    }
                }
            }
        }
        unsure
    }

    /// Learns what the lake has of these moments.
    pub(super) async fn recall_moments(&self, unsure: Unsure) -> Result<(), CityError> {
        let Unsure { late, strange } = unsure;
        self.recall(late, false).await?;
        self.recall(strange, true).await
    }

    /// `on`: of the Datastreams all that is later is looked at, too, so that they are met.
    async fn recall(&self, moments: BTreeSet<At>, on: bool) -> Result<(), CityError> {
        let streams: BTreeSet<i64> = moments.iter().map(|at| at.0).collect();
        let streams: Vec<i64> = streams.into_iter().collect();
        for of in streams.chunks(LOOKED_UP_MAX) {
            let (Some(first), Some(last)) = (of.first(), of.last()) else { continue };
            let mut wanted: BTreeMap<At, u32> =
                moments.range((*first, i64::MIN)..=(*last, i64::MAX)).map(|at| (*at, 0)).collect();
            let (mut from_us, mut to_us) = (i64::MAX, i64::MIN);
            for (_, time_us) in wanted.keys() {
                (from_us, to_us) = (from_us.min(*time_us), to_us.max(*time_us));
            }
            let mut newest: BTreeMap<i64, i64> =
                of.iter().map(|stream| (*stream, from_us)).collect();
            let in_streams = of.iter().map(|stream| lit(*stream)).collect();
            let mut which = ident("datastream")
                .in_list(in_streams, false)
                .and(ident("phenomenon_time").gt_eq(instant(from_us)));
            if !on {
                which = which.and(ident("phenomenon_time").lt_eq(instant(to_us)));
            }
            let rows =
                SessionContext::new().read_table(self.stores().lake.stamped(OBSERVATION)?)?;
            let rows = rows.filter(which)?;
            let rows = rows.select_columns(&["datastream", "phenomenon_time", "ordinal"])?;
            let mut batches = rows.execute_stream().await?;
            while let Some(batch) = batches.try_next().await? {
                let columns = (
                    batch.column(0).as_primitive_opt::<Int64Type>(),
                    batch.column(1).as_primitive_opt::<TimestampMicrosecondType>(),
                    batch.column(2).as_primitive_opt::<Int64Type>(),
                );
                let (Some(streams), Some(times), Some(ordinals)) = columns else {
                    return Err(CityError::Kept("an observation without its id".to_owned()));
                };
                for row in 0..batch.num_rows() {
                    let (stream, time_us) = (streams.value(row), times.value(row));
                    if let Some(next) = wanted.get_mut(&(stream, time_us)) {
                        let ordinal = u32::try_from(ordinals.value(row)).unwrap_or(u32::MAX);
                        *next = ordinal.saturating_add(1).max(*next);
                    }
                    if let Some(newest) = newest.get_mut(&stream) {
                        *newest = time_us.max(*newest);
                    }
                }
            }
            let moments = self.sta.moments.lock();
            let mut moments = moments.expect("no one panics while holding the moments");
            for (at, next) in wanted {
                moments.begin(at, next);
            }
            if on {
                for (stream, newest_us) in newest {
                    moments.meet(stream, newest_us);
                }
            }
        }
        Ok(())
    }
}

fn instant(time_us: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(time_us), Some("UTC".into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_s_second_observation_has_an_ordinal_of_its_own() {
        let mut moments = Moments::default();
        assert_eq!(moments.ordinal((1, 5)), 0);
        assert_eq!(moments.ordinal((1, 5)), 1);
        assert_eq!(moments.ordinal((2, 5)), 0);
        moments.begin((2, 6), 3);
        assert_eq!(moments.ordinal((2, 6)), 3, "others are in the lake");
        moments.begin((2, 6), 2);
        assert_eq!(moments.ordinal((2, 6)), 4);
        moments.begin((2, 7), 0);
        assert_eq!(moments.ordinal((2, 7)), 0, "the lake has none");
    }

    #[test]
    fn what_is_forgotten_is_in_the_lake() {
        let mut moments = Moments::default();
        moments.meet(1, 3);
        moments.ordinal((1, 5));
        for time in 0..i64::try_from(MOMENTS_MAX).unwrap() {
            moments.ordinal((3, time));
        }
        assert_eq!(moments.order.len(), MOMENTS_MAX);
        assert_eq!(moments.next.len(), MOMENTS_MAX);
        assert_eq!(moments.had.get(&1), Some(&5), "from then on the lake is asked");
        moments.renew(1);
        assert!(moments.had.is_empty());
    }
}
