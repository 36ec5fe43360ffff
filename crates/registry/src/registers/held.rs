//! The newest rows of one register in memory, in chunks that are replaced as rows change.
//!
//! Readers take the table as it stands and keep it; a change makes new chunks beside those that
//! they read. Rows have no order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use pack::Contract;

use super::rows::{self, CHUNK_ROWS_MAX, damaged};
use super::table::RegisterTable;
use crate::RegistryError;

#[derive(Debug)]
struct Chunk {
    keys: Vec<Arc<str>>,
    rows: RecordBatch,
}

/// The newest version of a row.
#[derive(Debug, Clone, Copy)]
struct Newest {
    version: i64,
    at_us: i64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    chunk: u64,
    newest: Newest,
}

/// A row that is to stand from now on, or no longer.
pub(super) struct Put {
    pub key: Arc<str>,
    pub version: i64,
    pub at_us: i64,
}

impl Put {
    fn newest(&self) -> Newest {
        Newest { version: self.version, at_us: self.at_us }
    }
}

/// Rows that were looked for, each with its key and version.
#[derive(Debug)]
pub struct Found {
    pub keys: Vec<String>,
    pub versions: Vec<i64>,
    pub rows: RecordBatch,
}

#[derive(Debug)]
pub(super) struct Held {
    schema: SchemaRef,
    chunks: BTreeMap<u64, Chunk>,
    next_chunk: u64,
    places: HashMap<Arc<str>, Place>,
    /// The newest versions of rows that are gone.
    gone: HashMap<Arc<str>, Newest>,
    newest_us: Option<i64>,
    /// Made when it is first wanted after a change: an import of many chunks makes it once.
    table: parking_lot::Mutex<Option<Arc<RegisterTable>>>,
}

impl Held {
    /// From the newest version of each row: key, version, values, time.
    pub fn load(
        contract: &Contract,
        found: Vec<(String, i64, Option<String>, i64)>,
    ) -> Result<Self, RegistryError> {
        let mut held = Self {
            schema: contract.arrow_schema(),
            chunks: BTreeMap::new(),
            next_chunk: 0,
            places: HashMap::with_capacity(found.len()),
            gone: HashMap::new(),
            newest_us: found.iter().map(|row| row.3).max(),
            table: parking_lot::Mutex::default(),
        };
        let values = found.iter().filter_map(|(_, _, data, _)| data.as_deref());
        let batches = rows::read(contract, values)?;
        let mut puts = Vec::new();
        for (key, version, data, at_us) in &found {
            let put = Put { key: key.as_str().into(), version: *version, at_us: *at_us };
            match data {
                Some(_) => puts.push(put),
                None => {
                    held.gone.insert(Arc::clone(&put.key), put.newest());
                }
            }
        }
        if puts.len() != batches.iter().map(RecordBatch::num_rows).sum::<usize>() {
            return Err(damaged(contract, "a row's values are no object"));
        }
        let mut puts = puts.into_iter();
        for batch in batches {
            let of_batch = puts.by_ref().take(batch.num_rows()).collect();
            held.push(of_batch, batch);
        }
        Ok(held)
    }

    pub fn version(&self, key: &str) -> Option<i64> {
        self.places.get(key).map(|place| place.newest.version)
    }

    /// The newest version of a row, gone or not; 0 where there never was one.
    pub fn last_version(&self, key: &str) -> i64 {
        self.newest(key).map_or(0, |newest| newest.version)
    }

    /// When the newest version of a row came to be, gone or not; none where there never was one.
    pub fn changed_us(&self, key: &str) -> Option<i64> {
        self.newest(key).map(|newest| newest.at_us)
    }

    fn newest(&self, key: &str) -> Option<Newest> {
        let place = self.places.get(key).map(|place| place.newest);
        place.or_else(|| self.gone.get(key).copied())
    }

    pub fn newest_us(&self) -> Option<i64> {
        self.newest_us
    }

    pub fn row(&self, key: &str) -> Option<(i64, RecordBatch)> {
        let place = self.places.get(key)?;
        let chunk = self.chunks.get(&place.chunk)?;
        let at = chunk.keys.iter().position(|held| held.as_ref() == key)?;
        Some((place.newest.version, chunk.rows.slice(at, 1)))
    }

    pub fn rows(&self) -> Vec<RecordBatch> {
        self.chunks.values().map(|chunk| chunk.rows.clone()).collect()
    }

    /// Keys of the rows that there were and are no more.
    pub fn gone(&self) -> impl Iterator<Item = &str> {
        self.gone.keys().map(AsRef::as_ref)
    }

    /// The rows that `choose` marks.
    pub fn find(&self, choose: impl Fn(&RecordBatch) -> BooleanArray) -> Result<Found, ArrowError> {
        let (mut keys, mut versions, mut batches) = (Vec::new(), Vec::new(), Vec::new());
        for chunk in self.chunks.values() {
            let chosen = choose(&chunk.rows);
            if chosen.true_count() == 0 {
                continue;
            }
            for (key, _) in chunk.keys.iter().zip(&chosen).filter(|(_, here)| *here == Some(true)) {
                keys.push(key.to_string());
                versions.push(self.version(key).unwrap_or_default());
            }
            batches.push(filter_record_batch(&chunk.rows, &chosen)?);
        }
        Ok(Found { keys, versions, rows: concat_batches(&self.schema, &batches)? })
    }

    pub fn table(&self) -> Arc<RegisterTable> {
        let mut table = self.table.lock();
        let make = || Arc::new(RegisterTable::new(Arc::clone(&self.schema), self.rows()));
        Arc::clone(table.get_or_insert_with(make))
    }

    /// Takes what was committed: `removed` are keys with the version that says so, `rows` are
    /// those of `puts`, in order.
    pub fn apply(
        &mut self,
        puts: Vec<Put>,
        rows: &RecordBatch,
        removed: Vec<Put>,
        at_us: i64,
    ) -> Result<(), ArrowError> {
        self.newest_us = self.newest_us.max(Some(at_us));
        *self.table.get_mut() = None;
        let old = puts.iter().chain(&removed).filter_map(|put| self.places.remove(&put.key));
        let touched: BTreeSet<u64> = old.map(|place| place.chunk).collect();
        for id in touched {
            self.sweep(id)?;
        }
        for put in removed {
            let newest = put.newest();
            self.gone.insert(put.key, newest);
        }
        let mut puts = puts.into_iter();
        let mut from = 0;
        while from < rows.num_rows() {
            let count = CHUNK_ROWS_MAX.min(rows.num_rows() - from);
            let slice = rows.slice(from, count);
            let of_slice: Vec<Put> = puts.by_ref().take(count).collect();
            self.push_or_join(of_slice, slice)?;
            from += count;
        }
        Ok(())
    }

    /// Drops the rows of a chunk that have no place any more.
    fn sweep(&mut self, id: u64) -> Result<(), ArrowError> {
        let Some(chunk) = self.chunks.get_mut(&id) else { return Ok(()) };
        let keep: Vec<bool> = chunk.keys.iter().map(|key| self.places.contains_key(key)).collect();
        let mut kept = keep.iter();
        chunk.keys.retain(|_| kept.next() == Some(&true));
        if chunk.keys.is_empty() {
            self.chunks.remove(&id);
            return Ok(());
        }
        chunk.rows = filter_record_batch(&chunk.rows, &BooleanArray::from(keep))?;
        Ok(())
    }

    /// Adds rows to the last chunk while it is small: edits one by one make no chunk each.
    fn push_or_join(&mut self, puts: Vec<Put>, rows: RecordBatch) -> Result<(), ArrowError> {
        let last = self
            .chunks
            .last_entry()
            .filter(|last| last.get().keys.len() + rows.num_rows() <= CHUNK_ROWS_MAX);
        let Some(mut last) = last else {
            self.push(puts, rows);
            return Ok(());
        };
        let id = *last.key();
        let chunk = last.get_mut();
        chunk.rows = concat_batches(&self.schema, [&chunk.rows, &rows])?;
        for put in puts {
            let newest = put.newest();
            chunk.keys.push(Arc::clone(&put.key));
            self.gone.remove(&put.key);
            self.places.insert(put.key, Place { chunk: id, newest });
        }
        Ok(())
    }

    fn push(&mut self, puts: Vec<Put>, rows: RecordBatch) {
        debug_assert_eq!(puts.len(), rows.num_rows(), "a key for each row");
        let id = self.next_chunk;
        self.next_chunk += 1;
        let keys = puts.iter().map(|put| Arc::clone(&put.key)).collect();
        for put in puts {
            let newest = put.newest();
            self.gone.remove(&put.key);
            self.places.insert(put.key, Place { chunk: id, newest });
        }
        self.chunks.insert(id, Chunk { keys, rows });
    }
}
