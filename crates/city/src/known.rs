//! Which rows a dataset already holds, so that importing them again changes nothing.
//!
//! A row is known by two 64-bit hashes, of its key and of the whole of it. Both equal: unchanged.
//! The key's alone: the row differs, or two keys collide (about once in 10⁵ imports into
//! 20 million rows); either way the row goes on to where keys are compared exactly (a snapshot's
//! upsert) or where a person sees it (a stream's quarantine), so a collision loses nothing.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::TryStreamExt;

use crate::CityError;

/// Rows remembered at most: 24 bytes each. A larger keyed dataset is compared by producer alone.
pub const KNOWN_ROWS_MAX: usize = 20_000_000;
/// Fixed seeds: both sides of a comparison are hashed in one process, and a run must repeat.
const KEY_SEED: u64 = 0x5348_554a_494e_0001;
const ROW_SEED: u64 = 0x5348_554a_494e_0002;

/// What the dataset knows of a row that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    New,
    /// The same key with other values, from before this file.
    Changed,
    Unchanged,
    /// The same key with other values, earlier in this very file.
    Twice,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    row: u64,
    in_this_file: bool,
}

/// Keys are hashes already.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed here");
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[derive(Debug)]
pub struct Known {
    key: Vec<usize>,
    rows: HashMap<u64, Seen, BuildHasherDefault<Identity>>,
}

impl Known {
    /// `key`: indices of the key columns.
    pub fn new(key: Vec<usize>) -> Self {
        Self { key, rows: HashMap::default() }
    }

    pub fn is_full(&self) -> bool {
        self.rows.len() >= KNOWN_ROWS_MAX
    }

    /// Remembers the rows that the dataset holds, `KNOWN_ROWS_MAX` of them at most.
    pub async fn load(&mut self, mut rows: SendableRecordBatchStream) -> Result<(), CityError> {
        while let Some(batch) = rows.try_next().await? {
            for (key, row) in self.hashes(&batch)? {
                if self.is_full() {
                    return Ok(());
                }
                self.rows.insert(key, Seen { row, in_this_file: false });
            }
        }
        Ok(())
    }

    /// Judges each row of a batch and remembers it as this file's.
    pub fn judge(&mut self, batch: &RecordBatch) -> Result<Vec<Verdict>, CityError> {
        let hashes = self.hashes(batch)?;
        Ok(hashes.into_iter().map(|(key, row)| self.judge_one(key, row)).collect())
    }

    fn judge_one(&mut self, key: u64, row: u64) -> Verdict {
        let full = self.is_full();
        match self.rows.get_mut(&key) {
            Some(seen) if seen.row == row => {
                seen.in_this_file = true;
                Verdict::Unchanged
            }
            Some(seen) if seen.in_this_file => Verdict::Twice,
            Some(seen) => {
                *seen = Seen { row, in_this_file: true };
                Verdict::Changed
            }
            None if full => Verdict::New,
            None => {
                self.rows.insert(key, Seen { row, in_this_file: true });
                Verdict::New
            }
        }
    }

    fn hashes(&self, batch: &RecordBatch) -> Result<Vec<(u64, u64)>, CityError> {
        let keys: Vec<ArrayRef> =
            self.key.iter().map(|index| batch.column(*index).clone()).collect();
        let keys = hash(&keys, KEY_SEED, batch.num_rows())?;
        let rows = hash(batch.columns(), ROW_SEED, batch.num_rows())?;
        Ok(keys.into_iter().zip(rows).collect())
    }
}

fn hash(columns: &[ArrayRef], seed: u64, rows: usize) -> Result<Vec<u64>, CityError> {
    let mut hashes = vec![0; rows];
    create_hashes(columns, &RandomState::with_seed(seed), &mut hashes)?;
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn batch(rows: &[(&str, i64)]) -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Int64, false),
        ]);
        let keys = StringArray::from_iter_values(rows.iter().map(|row| row.0));
        let values = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(keys), Arc::new(values)]).unwrap()
    }

    #[test]
    fn rows_are_new_then_unchanged_then_changed() {
        use Verdict::{Changed, New, Twice, Unchanged};
        let mut known = Known::new(vec![0]);
        assert_eq!(known.judge(&batch(&[("a", 1), ("b", 2)])).unwrap(), [New, New]);
        assert_eq!(known.judge(&batch(&[("a", 1), ("b", 3)])).unwrap(), [Unchanged, Twice]);

        // The next file finds what the first one left.
        for seen in known.rows.values_mut() {
            seen.in_this_file = false;
        }
        assert_eq!(
            known.judge(&batch(&[("a", 9), ("a", 10), ("c", 1)])).unwrap(),
            [Changed, Twice, New]
        );
    }
}
