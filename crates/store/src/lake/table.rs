//! One table as the running lake holds it: its published state and what guards its changes.
//!
//! Three locks, always taken in this order: `delta` (commits, held over I/O), `publishing` (a
//! moment, to publish a state), `producers`. Readers take none.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::MutexGuard;

use super::delta::{Delta, Ledger, producer_app};
use super::error::{LakeError, Result};
use super::hot::{Chunk, Cold, TableState, last_seqs, push_chunk, raise};
use super::spec::Spec;

/// Producers remembered in memory; those in the Delta log are looked up again when needed.
const PRODUCERS_REMEMBERED_MAX: usize = 64 * 1024;

/// Bytes taken and not yet in files, under a cap.
#[derive(Debug)]
pub(crate) struct Meter {
    scope: String,
    held_bytes: AtomicUsize,
    cap_bytes: usize,
}

impl Meter {
    pub fn new(scope: String, cap_bytes: usize) -> Self {
        Self { scope, held_bytes: AtomicUsize::new(0), cap_bytes }
    }

    pub fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let held_bytes = self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        // One append into an empty lake is always taken, or a small cap could never be satisfied.
        if held_bytes > 0 && held_bytes + bytes > self.cap_bytes {
            self.give_back(bytes);
            return Err(LakeError::Full {
                scope: self.scope.clone(),
                held_bytes,
                wanted_bytes: bytes,
                cap_bytes: self.cap_bytes,
            });
        }
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        let before = self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "bytes are given back once");
    }

    /// Counts bytes found in the log, which are there whatever the cap.
    fn add(&self, bytes: usize) {
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Bytes held for rows under way; given back unless the rows become hot.
#[derive(Debug)]
pub(crate) struct Reservation {
    table: Arc<Table>,
    bytes: usize,
}

impl Reservation {
    pub fn take(table: &Arc<Table>, bytes: usize) -> Result<Self> {
        table.total.take(bytes)?;
        if let Err(full) = table.meter.take(bytes) {
            table.total.give_back(bytes);
            return Err(full);
        }
        Ok(Self { table: table.clone(), bytes })
    }

    /// The rows are hot now: sealing them gives the bytes back.
    pub fn keep(mut self) -> usize {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.table.release(self.bytes);
    }
}

/// What one seal writes: the oldest rows in memory, taken together.
#[derive(Debug, Clone)]
pub(crate) struct Frozen {
    pub spec: Arc<Spec>,
    pub chunks: Vec<Arc<Chunk>>,
    pub cold: Arc<Cold>,
}

impl Frozen {
    pub fn through(&self) -> i64 {
        self.chunks.iter().map(|c| c.ingested_max).max().unwrap_or(i64::MIN)
    }

    /// Per lane, the last frame in it.
    pub fn last_seqs(&self) -> HashMap<u16, u64> {
        last_seqs(self.chunks.iter())
    }

    /// The highest number of each producer among these rows. Numbers of rows that are still in
    /// memory must not be committed before their rows: a copy of the tables would hold the one
    /// without the other.
    pub fn producers(&self) -> BTreeMap<Arc<str>, u64> {
        let mut producers = BTreeMap::new();
        for (id, seq) in self.chunks.iter().flat_map(|chunk| &chunk.producers) {
            raise(&mut producers, id, *seq);
        }
        producers
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    pub name: Arc<str>,
    pub dir: PathBuf,
    state: ArcSwap<TableState>,
    /// One new state at a time.
    publishing: Mutex<()>,
    /// Highest sequence number taken from each producer.
    producers: Mutex<BTreeMap<Arc<str>, u64>>,
    /// Per lane, the last frame that is in Delta.
    committed: Mutex<HashMap<u16, u64>>,
    delta: tokio::sync::Mutex<Delta>,
    ledger: Arc<Ledger>,
    /// The lake is closed: another process may own the folder.
    closed: Arc<AtomicBool>,
    /// One compaction, retention or vacuum at a time.
    pub maintenance: tokio::sync::Mutex<()>,
    meter: Meter,
    total: Arc<Meter>,
    /// Why the last seal failed, until one succeeds.
    pub seal_error: Mutex<Option<LakeError>>,
}

impl Table {
    pub fn new(
        dir: &Path,
        state: TableState,
        delta: Delta,
        committed: HashMap<u16, u64>,
        cap_bytes: usize,
        total: Arc<Meter>,
        closed: Arc<AtomicBool>,
    ) -> Self {
        let name: Arc<str> = state.spec.name().into();
        Self {
            meter: Meter::new(format!("table {name}"), cap_bytes),
            name,
            dir: dir.to_owned(),
            state: ArcSwap::from_pointee(state),
            publishing: Mutex::default(),
            producers: Mutex::default(),
            committed: Mutex::new(committed),
            ledger: delta.ledger(),
            delta: tokio::sync::Mutex::new(delta),
            closed,
            maintenance: tokio::sync::Mutex::default(),
            total,
            seal_error: Mutex::default(),
        }
    }

    pub fn state(&self) -> Arc<TableState> {
        self.state.load_full()
    }

    pub fn held_bytes(&self) -> usize {
        self.meter.held_bytes()
    }

    /// The right to commit, with the log's latest state; refused once the lake is closed.
    pub async fn delta(&self) -> Result<MutexGuard<'_, Delta>> {
        let mut delta = self.delta.lock().await;
        if self.closed.load(Ordering::SeqCst) {
            return Err(LakeError::Closed);
        }
        delta.refresh().await?;
        Ok(delta)
    }

    /// Waits for commits and maintenance under way. None comes after, if the lake is closed.
    pub async fn settle(&self) {
        drop(self.maintenance.lock().await);
        drop(self.delta.lock().await);
    }

    fn release(&self, bytes: usize) {
        self.meter.give_back(bytes);
        self.total.give_back(bytes);
    }

    /// Counts rows found in the log after a start.
    pub fn hold(&self, bytes: usize) {
        self.meter.add(bytes);
        self.total.add(bytes);
    }

    /// Makes rows visible. Called by the lane's writer only, after the fsync.
    pub fn publish(&self, chunks: Vec<Chunk>) -> Result<()> {
        let _one_at_a_time = self.publishing.lock();
        let state = self.state.load();
        let mut hot = state.hot.clone();
        let mut given = Vec::new();
        for mut chunk in chunks {
            given.extend(chunk.producers.iter().map(|(id, seq)| (id.clone(), *seq)));
            if chunk.kind == super::frame::Kind::Rows {
                chunk.batch = state.spec.widen(chunk.batch, &state.spec.stored)?;
            }
            push_chunk(&mut hot, chunk)?;
        }
        self.store(&state, hot, state.sealing.clone(), state.cold.clone());
        let mut known = self.producers.lock();
        given.iter().for_each(|(id, seq)| raise(&mut known, id, *seq));
        if known.len() > PRODUCERS_REMEMBERED_MAX {
            // Those not yet in the Delta log are found nowhere else.
            let state = self.state.load();
            let unsealed: HashSet<&Arc<str>> =
                state.chunks().flat_map(|chunk| chunk.producers.keys()).collect();
            known.retain(|id, _| unsealed.contains(id));
        }
        Ok(())
    }

    fn store(
        &self,
        before: &TableState,
        hot: Vec<Arc<Chunk>>,
        sealing: Vec<Arc<Chunk>>,
        cold: Arc<Cold>,
    ) {
        let version = before.version + 1;
        let next = TableState::new(before.spec.clone(), hot, sealing, cold, version);
        self.state.store(Arc::new(next));
    }

    /// Moves the oldest rows, up to about `bytes_max`, from hot to sealing. What an earlier seal
    /// left in sealing comes first, alone.
    pub fn freeze(&self, bytes_max: usize) -> Option<Frozen> {
        let _one_at_a_time = self.publishing.lock();
        let state = self.state.load();
        if state.sealing.is_empty() {
            let mut bytes = 0;
            let count = state.hot.iter().take_while(|chunk| {
                let room = bytes == 0 || bytes + chunk.bytes <= bytes_max;
                bytes += chunk.bytes;
                room
            });
            let (sealing, hot) = state.hot.split_at(count.count());
            self.store(&state, hot.to_vec(), sealing.to_vec(), state.cold.clone());
        }
        let state = self.state.load();
        if state.sealing.is_empty() {
            return None;
        }
        Some(Frozen {
            spec: state.spec.clone(),
            chunks: state.sealing.clone(),
            cold: state.cold.clone(),
        })
    }

    /// The frozen rows are in Delta: shows the new version and drops them from memory, at once.
    pub fn thaw(&self, frozen: &Frozen, cold: Cold) {
        let publishing = self.publishing.lock();
        let state = self.state.load();
        assert_eq!(state.sealing.len(), frozen.chunks.len(), "one seal at a time");
        self.store(&state, state.hot.clone(), Vec::new(), Arc::new(cold));
        let mut committed = self.committed.lock();
        for (lane, seq) in frozen.last_seqs() {
            let known = committed.entry(lane).or_insert(seq);
            *known = seq.max(*known);
        }
        drop(committed);
        drop(publishing);
        self.release(frozen.chunks.iter().map(|c| c.bytes).sum());
    }

    /// Shows a new version whose change left rows in memory alone.
    pub fn set_cold(&self, cold: Cold) {
        let _one_at_a_time = self.publishing.lock();
        let state = self.state.load();
        self.store(&state, state.hot.clone(), state.sealing.clone(), Arc::new(cold));
    }

    /// Shows rows under a wider schema.
    pub fn set_spec(&self, spec: Spec, cold: Cold) -> Result<()> {
        let _one_at_a_time = self.publishing.lock();
        let state = self.state.load();
        let widen = |chunks: &[Arc<Chunk>]| {
            let widened = chunks.iter().map(|chunk| {
                let mut chunk = Chunk::clone(chunk);
                if chunk.kind == super::frame::Kind::Rows {
                    chunk.batch = spec.widen(chunk.batch, &spec.stored)?;
                }
                Ok(Arc::new(chunk))
            });
            widened.collect::<Result<Vec<_>>>()
        };
        let (hot, sealing) = (widen(&state.hot)?, widen(&state.sealing)?);
        let version = state.version + 1;
        let next = TableState::new(Arc::new(spec), hot, sealing, Arc::new(cold), version);
        self.state.store(Arc::new(next));
        Ok(())
    }

    /// Whether these frames, the last of each lane, are in Delta.
    pub fn has_committed(&self, last_seqs: &HashMap<u16, u64>) -> bool {
        last_seqs.iter().all(|(lane, seq)| self.committed(*lane).is_some_and(|done| done >= *seq))
    }

    /// The last frame of a lane that is in Delta.
    pub fn committed(&self, lane: u16) -> Option<u64> {
        self.committed.lock().get(&lane).copied()
    }

    /// The highest sequence number taken from a producer, as far as memory tells.
    pub fn taken_from(&self, producer: &str) -> Option<u64> {
        self.producers.lock().get(producer).copied()
    }

    /// Looks a producer up in the Delta log if memory has not heard of it, and remembers.
    pub async fn recall(&self, producer: &str) -> Result<Option<u64>> {
        if let Some(seq) = self.taken_from(producer) {
            return Ok(Some(seq));
        }
        let found = self.ledger.transaction(&producer_app(producer)).await?;
        self.remember(producer, found);
        Ok(self.taken_from(producer))
    }

    /// Notes what a producer has given; never lowers it.
    pub fn remember(&self, producer: &str, seq: Option<u64>) {
        let Some(seq) = seq else { return };
        let mut known = self.producers.lock();
        raise(&mut known, &producer.into(), seq);
    }
}
