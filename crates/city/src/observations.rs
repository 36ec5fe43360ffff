//! Observations as they stand: the lake's rows with their corrections laid over.
//!
//! ```text
//!  lake ─► HideExec: corrected, taken away, of a Datastream or feature that is gone ─┐
//!  sensing.observation_correction ─► the rows that stand in their place ─────────────┴─► UnionExec
//! ```
//!
//! Laid over here, below policies and SQL, a correction is the same on every face, and `as_of`
//! reads what stood then. Where nothing was corrected and nothing is gone, the lake's table is
//! passed on as it is. Knows no session and no policy.

mod table;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{ArrowPrimitiveType, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use registry::RegistryError;
use sensing::plan::ObservationKey;

use crate::source::Stores;
use table::LaidOver;

pub(crate) const OBSERVATION: &str = "sensing.observation";
pub(crate) const CORRECTION: &str = "sensing.observation_correction";
pub(crate) const DATASTREAM: &str = "sensing.datastream";
pub(crate) const FEATURE: &str = "sensing.feature_of_interest";

/// What decides whether a row of the lake still stands.
const DECIDED_BY: [&str; 4] = ["datastream", "phenomenon_time", "ordinal", "feature_of_interest"];

/// An observation that was moved more often than this is followed no further.
const MOVES_MAX: usize = 64;

/// The versions of the registers that [`Over`] is made of.
pub(crate) type Versions = [u64; 3];

/// What is laid over the lake's rows.
#[derive(Debug, Default)]
pub(crate) struct Over {
    /// Moments and ordinals of observations that were corrected or taken away, by Datastream.
    corrected: HashMap<i64, HashSet<(i64, i64)>>,
    /// Where observations went whose time or Datastream was corrected.
    moved: HashMap<ObservationKey, ObservationKey>,
    /// Corrections that stand in the place of a row.
    rows: Vec<RecordBatch>,
    gone_streams: HashSet<i64>,
    gone_features: HashSet<i64>,
}

/// What becomes of the rows of one Datastream.
#[derive(Clone, Copy)]
enum Fate<'o> {
    Gone,
    Stands,
    Corrected(&'o HashSet<(i64, i64)>),
}

impl Over {
    fn of(
        corrections: &[RecordBatch],
        gone_streams: HashSet<i64>,
        gone_features: HashSet<i64>,
    ) -> Result<Self, ArrowError> {
        let mut over = Self { gone_streams, gone_features, ..Self::default() };
        for batch in corrections {
            let keys = Keys::of(batch)?;
            let removed =
                named(batch, "removed")?.as_boolean_opt().ok_or_else(|| odd("removed"))?;
            let moved = named(batch, "moved_to")?;
            let moved = moved.as_string_opt::<i32>().ok_or_else(|| odd("moved_to"))?;
            for row in 0..batch.num_rows() {
                let key = keys.at(row);
                let of_stream = over.corrected.entry(key.datastream).or_default();
                of_stream.insert((key.time_us, key.ordinal));
                let to = moved.is_valid(row).then(|| moved.value(row).parse::<ObservationKey>());
                if let Some(Ok(to)) = to {
                    over.moved.insert(key, to);
                }
            }
            let stands: BooleanArray = (0..batch.num_rows())
                .map(|row| Some(!removed.value(row) && over.is_there(&keys, row)))
                .collect();
            let rows = filter_record_batch(batch, &stands)?;
            over.rows.extend((rows.num_rows() > 0).then_some(rows));
        }
        Ok(over)
    }

    /// Is what a row belongs to still there?
    fn is_there(&self, keys: &Keys<'_>, row: usize) -> bool {
        let gone = keys.feature(row).is_some_and(|feature| self.gone_features.contains(&feature));
        !gone && !self.gone_streams.contains(&keys.streams.value(row))
    }

    /// Which rows of a batch of the lake stand.
    pub fn standing(&self, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        Ok(self.stand(&Keys::of(batch)?))
    }

    /// The corrections that stand in the place of rows.
    pub fn corrections(&self) -> &[RecordBatch] {
        &self.rows
    }

    /// Every row of the lake stands.
    pub fn hides_none(&self) -> bool {
        self.is_nothing()
    }

    fn is_nothing(&self) -> bool {
        self.corrected.is_empty() && self.gone_streams.is_empty() && self.gone_features.is_empty()
    }

    /// Was it corrected or taken away? Its place is no new observation's then.
    pub fn is_corrected(&self, key: ObservationKey) -> bool {
        let of_stream = self.corrected.get(&key.datastream);
        of_stream.is_some_and(|keys| keys.contains(&(key.time_us, key.ordinal)))
    }

    /// Where an observation is now.
    pub fn followed(&self, key: ObservationKey) -> ObservationKey {
        let mut key = key;
        for _ in 0..MOVES_MAX {
            match self.moved.get(&key) {
                Some(next) => key = *next,
                None => break,
            }
        }
        key
    }

    fn fate(&self, stream: i64) -> Fate<'_> {
        match self.corrected.get(&stream) {
            _ if self.gone_streams.contains(&stream) => Fate::Gone,
            Some(keys) => Fate::Corrected(keys),
            None => Fate::Stands,
        }
    }

    /// Which rows of the lake stand. Rows of one Datastream lie together.
    fn stand(&self, keys: &Keys<'_>) -> BooleanArray {
        let mut last: Option<(i64, Fate<'_>)> = None;
        let stands = |row: usize| {
            let stream = keys.streams.value(row);
            let fate = match last {
                Some((known, fate)) if known == stream => fate,
                _ => last.insert((stream, self.fate(stream))).1,
            };
            let feature = keys.feature(row).filter(|_| !self.gone_features.is_empty());
            let there = feature.is_none_or(|feature| !self.gone_features.contains(&feature));
            there
                && match fate {
                    Fate::Gone => false,
                    Fate::Stands => true,
                    Fate::Corrected(keys_of) => {
                        !keys_of.contains(&(keys.times.value(row), keys.ordinals.value(row)))
                    }
                }
        };
        (0..keys.streams.len()).map(stands).map(Some).collect()
    }

    /// The corrections as rows of these columns of the observations. A column that a pack has
    /// given observations alone is empty.
    fn rows(&self, schema: &SchemaRef) -> Result<Vec<RecordBatch>, ArrowError> {
        let rows = self.rows.iter().map(|batch| {
            let columns = schema.fields().iter().map(|field| {
                let column = batch.column_by_name(field.name()).cloned();
                column.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
            });
            let columns: Vec<ArrayRef> = columns.collect();
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        });
        rows.collect()
    }
}

/// The columns that tell an observation from others, and what it is about.
struct Keys<'b> {
    streams: &'b PrimitiveArray<Int64Type>,
    times: &'b PrimitiveArray<TimestampMicrosecondType>,
    ordinals: &'b PrimitiveArray<Int64Type>,
    features: &'b PrimitiveArray<Int64Type>,
}

impl<'b> Keys<'b> {
    fn of(batch: &'b RecordBatch) -> Result<Self, ArrowError> {
        let columns = DECIDED_BY.map(|name| named(batch, name));
        let [streams, times, ordinals, features] = columns;
        Self::in_columns(streams?, times?, ordinals?, features?)
    }

    fn in_columns(
        streams: &'b ArrayRef,
        times: &'b ArrayRef,
        ordinals: &'b ArrayRef,
        features: &'b ArrayRef,
    ) -> Result<Self, ArrowError> {
        Ok(Self {
            streams: typed(streams, DECIDED_BY[0])?,
            times: typed(times, DECIDED_BY[1])?,
            ordinals: typed(ordinals, DECIDED_BY[2])?,
            features: typed(features, DECIDED_BY[3])?,
        })
    }

    fn at(&self, row: usize) -> ObservationKey {
        ObservationKey {
            datastream: self.streams.value(row),
            time_us: self.times.value(row),
            ordinal: self.ordinals.value(row),
        }
    }

    fn feature(&self, row: usize) -> Option<i64> {
        self.features.is_valid(row).then(|| self.features.value(row))
    }
}

fn odd(column: &str) -> ArrowError {
    ArrowError::SchemaError(format!("{OBSERVATION}: `{column}` is not of the type it should be"))
}

fn named<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, ArrowError> {
    batch.column_by_name(name).ok_or_else(|| odd(name))
}

fn typed<'b, T: ArrowPrimitiveType>(
    column: &'b ArrayRef,
    name: &str,
) -> Result<&'b PrimitiveArray<T>, ArrowError> {
    column.as_primitive_opt::<T>().ok_or_else(|| odd(name))
}

/// The numbers that keys of rows are.
fn numbers(keys: Vec<String>) -> HashSet<i64> {
    keys.iter().filter_map(|key| key.parse().ok()).collect()
}

impl Stores {
    /// What is laid over the observations, now or at a moment. Nothing where the pack keeps no
    /// corrections.
    pub async fn over(&self, as_of: Option<DateTime<Utc>>) -> Result<Arc<Over>, RegistryError> {
        let contracts = [CORRECTION, DATASTREAM, FEATURE].map(|id| self.pack.datasets.get(id));
        let [Some(corrections), Some(streams), Some(features)] = contracts else {
            return Ok(Arc::default());
        };
        // Before the rows are read: what changes meanwhile makes them old at once.
        let versions = self.over_versions();
        let known = match as_of {
            None => self.over.lock().expect("no one panics while holding it").clone(),
            Some(_) => None,
        };
        if let Some((at, over)) = &known
            && *at == versions
        {
            return Ok(Arc::clone(over));
        }
        let gone_streams = numbers(self.registers.gone(streams, as_of).await?);
        let gone_features = numbers(self.registers.gone(features, as_of).await?);
        let same = known.filter(|(at, over)| {
            at[0] == versions[0]
                && over.gone_streams == gone_streams
                && over.gone_features == gone_features
        });
        let over = match same {
            Some((_, over)) => over,
            None => {
                let rows = self.registers.rows(corrections, as_of).await?;
                let over = Over::of(&rows, gone_streams, gone_features);
                Arc::new(over.map_err(|cause| RegistryError::Damaged {
                    id: CORRECTION.to_owned(),
                    problem: cause.to_string(),
                })?)
            }
        };
        if as_of.is_none() {
            let mut kept = self.over.lock().expect("no one panics while holding it");
            *kept = Some((versions, Arc::clone(&over)));
        }
        Ok(over)
    }

    /// What is laid over the observations of all Datastreams, also of those that are gone: for who
    /// counts them, because a Datastream may come back.
    pub async fn over_of_all_streams(&self) -> Result<Over, RegistryError> {
        let contracts = [CORRECTION, FEATURE].map(|id| self.pack.datasets.get(id));
        let [Some(corrections), Some(features)] = contracts else { return Ok(Over::default()) };
        let gone_features = numbers(self.registers.gone(features, None).await?);
        let rows = self.registers.rows(corrections, None).await?;
        Over::of(&rows, HashSet::new(), gone_features).map_err(|cause| RegistryError::Damaged {
            id: CORRECTION.to_owned(),
            problem: cause.to_string(),
        })
    }

    fn over_versions(&self) -> Versions {
        [CORRECTION, DATASTREAM, FEATURE].map(|id| self.registers.version(id))
    }

    /// Changes whenever the observations may read otherwise.
    pub fn observations_version(&self) -> u64 {
        // Each of them only grows, so their sum moves when one does.
        self.lake.version(OBSERVATION) + self.over_versions().iter().sum::<u64>()
    }

    /// The observations as they stand, or as they stood.
    pub async fn observations(
        &self,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        // The corrections first: an observation that moves meanwhile is then seen twice for a
        // moment, and not missed.
        let over = self.over(as_of).await;
        let over = over.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let plain = self.lake_table(OBSERVATION, as_of).await?;
        Ok(match over.is_nothing() {
            true => plain,
            false => Arc::new(LaidOver { plain, over }),
        })
    }
}

#[cfg(test)]
mod tests;
