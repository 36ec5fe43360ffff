//! The lake: rows that machines append, acknowledged after an fsync and visible at once.
//!
//! ```text
//! append ─► log (group commit, fsync) ─► hot Arrow ─► seal: sorted Parquet + Delta commit
//!              │ acknowledge                 │                     │
//!              └─ replayed after a crash     └──── snapshot ◄──────┘   one state, one moment
//! ```
//! * Acknowledged rows survive a crash, and are there once: [`Producer`] numbers are kept with
//!   the rows, in the log and then in the Delta commit.
//! * [`Lake::snapshot`] is a consistent moment, now or as of a time; readers never wait for
//!   writers.
//! * Memory is bounded: above a cap, appends are refused with [`LakeError::Full`].
//! * Tables are plain Delta tables under `tables/<name>` and can be read by others; their rows
//!   carry one column more, [`INGESTED_AT`].
//! * [`Lake::bulk`] takes imports past the log: files first, then one commit that holds the
//!   producer's number.
//!
//! The lake does not know what rows mean, who may read them, or where they come from. One process
//! owns a lake's folder at a time.

mod backup;
mod bulk;
mod data;
mod delta;
mod error;
pub mod faults;
mod footers;
mod frame;
mod fuzz;
mod hot;
pub mod io;
mod ipc;
mod lane;
mod maintain;
mod merge;
mod recover;
mod scan;
mod seal;
mod segments;
mod shadow;
mod sort;
mod spec;
mod stats;
mod sums;
mod synced;
mod table;
mod verified;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::buffer::Buffer;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::{Notify, oneshot};

pub use bulk::{Bulk, BulkAck};
pub use error::LakeError;
#[doc(hidden)]
pub use fuzz::fuzz_log;
pub use maintain::Maintained;
pub use spec::{INGESTED_AT, Mode, Retention, TableSpec};

use delta::{Delta, Past};
use error::Result;
use frame::{FRAME_BODY_BYTES_MAX, Kind, NAME_BYTES_MAX};
use hot::{Cold, TableState};
use io::{DiskIo, Io};
use lane::{Clock, Lane, Request, Tables};
use scan::{Files, LakeTable};
use spec::Spec;
use table::{Meter, Reservation, Table};

/// Days for which earlier versions, and the files they need, are kept.
pub const HISTORY_DAYS: u32 = 30;
/// Rows in memory above which a table is sealed.
pub const SEAL_BYTES: usize = 128 * 1024 * 1024;
/// Longest time that rows wait for their seal.
pub const SEAL_AFTER_SECONDS: u64 = 60;
/// Bytes of rows one table may hold in memory.
pub const TABLE_BYTES_MAX: usize = 384 * 1024 * 1024;
/// Bytes of rows all tables together may hold in memory.
pub const TOTAL_BYTES_MAX: usize = 768 * 1024 * 1024;
/// How often the background looks for work.
const TICK: Duration = Duration::from_secs(1);
/// How often each table is looked over for compaction, retention and vacuum.
const MAINTAIN_EVERY: Duration = Duration::from_secs(300);
/// Tables opened or sealed at the same time.
const TABLES_AT_ONCE: usize = 2;
/// Wait after a failed seal before it is tried again.
const SEAL_RETRY: Duration = Duration::from_secs(5);
/// What a batch may pin in memory beyond its own rows before it is copied.
const SLACK_BYTES: usize = 64 * 1024;

/// How a lake is opened. `LakeOptions::new(dir)` has the defaults.
#[derive(Debug, Clone)]
pub struct LakeOptions {
    pub dir: PathBuf,
    /// The file layer; a failing one in tests.
    pub io: Arc<dyn Io>,
    /// Writers of the log. Each table has one of them. One is enough for one disk.
    pub lanes: u16,
    pub table_bytes_max: usize,
    pub total_bytes_max: usize,
    pub seal_bytes: usize,
    pub seal_after: Duration,
    pub history_days: u32,
    /// Seal and maintain in the background; without it only `flush` and `maintain` do.
    pub background: bool,
}

impl LakeOptions {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            io: Arc::new(DiskIo),
            lanes: 1,
            table_bytes_max: TABLE_BYTES_MAX,
            total_bytes_max: TOTAL_BYTES_MAX,
            seal_bytes: SEAL_BYTES,
            seal_after: Duration::from_secs(SEAL_AFTER_SECONDS),
            history_days: HISTORY_DAYS,
            background: true,
        }
    }
}

/// Who sends, and the number of what is sent. Numbers rise; a producer sends one thing at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    pub id: String,
    pub seq: u64,
}

/// The rows are on the disk and visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// They were there before: this is a retry.
    pub duplicate: bool,
    /// The producer's number; without a producer, the number in the log.
    pub seq: u64,
}

/// What a table holds.
#[derive(Debug, Clone, PartialEq)]
pub struct TableStats {
    pub rows_hot: u64,
    pub rows_in_files: u64,
    pub hot_bytes: usize,
    pub files: usize,
    pub file_bytes: u64,
    pub delta_version: u64,
    /// When the latest row was taken.
    pub taken_last: Option<DateTime<Utc>>,
    /// Why the last seal failed; rows wait in memory and in the log until one succeeds.
    pub seal_error: Option<String>,
}

/// A folder of tables, open.
#[derive(Debug)]
pub struct Lake {
    options: LakeOptions,
    tables: Arc<Tables>,
    lanes: Vec<Lane>,
    clock: Arc<Clock>,
    files: Arc<Files>,
    total: Arc<Meter>,
    work: Arc<Notify>,
    closed: Arc<AtomicBool>,
    /// Makes and changes tables one at a time.
    declaring: tokio::sync::Mutex<()>,
    lock: parking_lot::Mutex<Option<File>>,
}

impl Lake {
    /// Opens a folder, making it where there is none, and replays what the log holds.
    pub async fn open(options: LakeOptions) -> Result<Arc<Self>> {
        let lake = Arc::new(recover::open(options).await?);
        if lake.options.background {
            spawn_background(&lake);
        }
        Ok(lake)
    }

    /// Declares a table: makes it, or adds columns to it. Anything that would change what stored
    /// rows mean is refused.
    pub async fn ensure_table(&self, table: TableSpec) -> Result<()> {
        self.check_open()?;
        let _one_at_a_time = self.declaring.lock().await;
        let known = self.tables.read().get(table.name.as_str()).cloned();
        let Some(known) = known else { return self.make_table(table).await };
        let Some(spec) = known.state().spec.evolve(table)? else { return Ok(()) };
        let mut delta = known.delta().await?;
        // The spec goes first: a frame of the new schema must find it after a crash.
        let path = recover::spec_path(&self.options.dir, spec.name());
        spec.save(self.options.io.as_ref(), &path)?;
        delta.evolve(&spec).await?;
        let cold = delta.cold(&spec, &known.state().cold);
        known.set_spec(spec, cold)
    }

    async fn make_table(&self, table: TableSpec) -> Result<()> {
        let spec = Arc::new(Spec::new(table, Vec::new())?);
        let io = self.options.io.as_ref();
        recover::make_table_dirs(io, &self.options.dir, spec.name())?;
        spec.save(io, &recover::spec_path(&self.options.dir, spec.name()))?;
        let table =
            recover::open_table(&self.options, &self.total, &self.closed, spec, self.clock.now())
                .await?;
        self.tables.write().insert(table.name.clone(), Arc::new(table));
        Ok(())
    }

    /// Names of the tables, sorted.
    pub fn tables(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tables.read().keys().map(|n| n.to_string()).collect();
        names.sort();
        names
    }

    /// The table's declaration as it is in force.
    pub fn spec(&self, table: &str) -> Result<TableSpec> {
        Ok(self.table(table)?.state().spec.table.clone())
    }

    /// Takes rows. Resolves when they are on the disk and visible; on `Full`, nothing was taken.
    pub async fn append(
        &self,
        table: &str,
        rows: RecordBatch,
        producer: Option<Producer>,
    ) -> Result<Ack> {
        self.write(table, Kind::Rows, rows, producer).await
    }

    /// Takes the keys (the key columns, in their order) of rows of an upsert table that are gone.
    pub async fn delete(
        &self,
        table: &str,
        keys: RecordBatch,
        producer: Option<Producer>,
    ) -> Result<Ack> {
        self.write(table, Kind::Deletes, keys, producer).await
    }

    async fn write(
        &self,
        table: &str,
        kind: Kind,
        batch: RecordBatch,
        producer: Option<Producer>,
    ) -> Result<Ack> {
        self.check_open()?;
        let table = self.table(table)?;
        let spec = table.state().spec.clone();
        if kind == Kind::Deletes && !spec.is_upsert() {
            let what = "rows of an append table cannot be deleted".to_owned();
            return Err(LakeError::Rows { table: table.name.to_string(), what });
        }
        let schema = if kind == Kind::Rows { &spec.table.schema } else { &spec.key_schema };
        let batch = spec::check_rows(&table.name, schema, &batch)?;
        if let Some(producer) = &producer {
            check_producer(&table, producer)?;
            if table.recall(&producer.id).await?.is_some_and(|seq| seq >= producer.seq) {
                return Ok(Ack { duplicate: true, seq: producer.seq });
            }
        }
        let body = ipc::encode(&batch).map_err(LakeError::arrow("encode rows"))?;
        if body.len() > FRAME_BODY_BYTES_MAX {
            let (bytes, limit_bytes) = (body.len(), FRAME_BODY_BYTES_MAX);
            return Err(LakeError::TooLarge { bytes, limit_bytes });
        }
        let reservation = Reservation::take(&table, body.len()).inspect_err(|_| {
            // The cap is reached: what is hot should become cold now.
            self.work.notify_one();
        })?;
        // A slice of something large would keep all of it in memory.
        let batch = if batch.get_array_memory_size() > 2 * body.len() + SLACK_BYTES {
            let copy = ipc::decode(&Buffer::from(body.as_slice()), schema.clone());
            copy.map_err(LakeError::arrow("copy rows"))?
        } else {
            batch
        };
        let (reply, answer) = oneshot::channel();
        let body_crc = crc32c::crc32c(&body);
        let request = Request {
            table: table.clone(),
            kind,
            batch,
            schema_id: spec.schema_id,
            body,
            body_crc,
            producer,
            reservation,
            reply,
        };
        let ack = self.lane_of(&table.name).write(request, answer).await?;
        if table.held_bytes() >= self.options.seal_bytes {
            self.work.notify_one();
        }
        Ok(ack)
    }

    fn lane_of(&self, table: &str) -> &Lane {
        let hash = usize::try_from(crc32c::crc32c(table.as_bytes())).expect("32 bits fit");
        &self.lanes[hash % self.lanes.len()]
    }

    /// The table's rows as they stand, each with the time when it was taken: [`INGESTED_AT`] is
    /// the last column.
    pub fn stamped(&self, table: &str) -> Result<Arc<dyn TableProvider>> {
        self.check_open()?;
        let table = self.table(table)?;
        Ok(Arc::new(LakeTable::new(table.state(), None, self.files.clone()).stamped()))
    }

    /// The table's rows, hot and in files, now or as they were at a time. Resolve it anew for
    /// each query. Append tables answer any time exactly; upsert tables answer with the last
    /// version that was complete by then (a seal or a `flush` completes one).
    pub async fn snapshot(
        &self,
        table: &str,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>> {
        self.check_open()?;
        let table = self.table(table)?;
        let Some(as_of) = as_of else {
            return Ok(Arc::new(LakeTable::new(table.state(), None, self.files.clone())));
        };
        let micros = as_of.timestamp_micros();
        let state = table.state();
        if !state.spec.is_upsert() {
            return Ok(Arc::new(LakeTable::new(state, Some(micros), self.files.clone())));
        }
        let mut delta = table.delta().await?;
        // Under the lock no seal moves rows between memory and files.
        let state = table.state();
        let kept_from = Utc::now() - chrono::Duration::days(self.options.history_days.into());
        let gone = |oldest: DateTime<Utc>| LakeError::HistoryGone {
            table: table.name.to_string(),
            as_of,
            oldest,
        };
        let provider = match delta.at(micros, &state.spec, &state.cold).await? {
            Past::Current => LakeTable::new(state, Some(micros), self.files.clone()),
            Past::Version(_) if as_of < kept_from => return Err(gone(kept_from)),
            Past::Version(cold) => {
                let spec = state.spec.clone();
                let version = state.version;
                let past = TableState::new(spec, Vec::new(), Vec::new(), Arc::new(cold), version);
                LakeTable::new(Arc::new(past), None, self.files.clone())
            }
            Past::Gone { oldest } => {
                let oldest = DateTime::from_timestamp_micros(oldest).unwrap_or(kept_from);
                return Err(gone(oldest.max(kept_from)));
            }
        };
        Ok(Arc::new(provider))
    }

    /// Changes whenever the rows may have changed; for caches. 0 for a table that is not there.
    pub fn version(&self, table: &str) -> u64 {
        self.table(table).map_or(0, |table| table.state().version)
    }

    pub fn stats(&self, table: &str) -> Result<TableStats> {
        let table = self.table(table)?;
        let state = table.state();
        let rows = |chunk: &Arc<hot::Chunk>| match chunk.kind {
            Kind::Rows => chunk.batch.num_rows() as u64,
            Kind::Deletes | Kind::End => 0,
        };
        let hot_last = state.chunks().map(|c| c.ingested_max).max();
        let cold_last = state.cold.files.iter().map(|f| f.ingested(&state.spec).1).max();
        let seal_error = table.seal_error.lock().as_ref().map(ToString::to_string);
        Ok(TableStats {
            rows_hot: state.chunks().map(rows).sum(),
            rows_in_files: state.cold.files.iter().map(|f| f.rows()).sum(),
            hot_bytes: table.held_bytes(),
            files: state.cold.files.len(),
            file_bytes: state.cold.files.iter().map(|f| f.bytes).sum(),
            delta_version: state.cold.version,
            taken_last: hot_last.max(cold_last).and_then(DateTime::from_timestamp_micros),
            seal_error,
        })
    }

    /// Seals what is in memory at the call: afterwards every row acknowledged before it is in the
    /// Delta table. What comes meanwhile is not waited for: a steady stream would never end it.
    pub async fn flush(&self, table: &str) -> Result<()> {
        let table = self.table(table)?;
        let last_seqs = table.state().last_seqs();
        while !table.has_committed(&last_seqs)
            && seal::seal(&table, &self.options.io, self.options.seal_bytes).await?
        {}
        self.collect().await
    }

    /// Compacts small files, drops rows past their retention, deletes files past the history.
    pub async fn maintain(&self, table: &str) -> Result<Maintained> {
        self.check_open()?;
        let table = self.table(table)?;
        maintain::maintain(&table, &self.options, &self.files).await
    }

    /// Starts an import past the log; see [`Bulk`].
    pub async fn bulk(self: &Arc<Self>, table: &str, producer: &str) -> Result<Bulk> {
        self.check_open()?;
        let table = self.table(table)?;
        check_producer(&table, &Producer { id: producer.to_owned(), seq: 0 })?;
        Bulk::start(self.clone(), table, producer.to_owned()).await
    }

    /// The folder of a table, a plain Delta table.
    pub fn table_dir(&self, table: &str) -> Result<PathBuf> {
        Ok(self.table(table)?.dir.clone())
    }

    /// Takes nothing more, ends the log in order and lets go of the folder. Rows not yet sealed
    /// stay in the log and are replayed by the next `open`; call `flush` before to have them in
    /// Delta.
    pub async fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let mut result = Ok(());
        for lane in &self.lanes {
            result = result.and(lane.close().await);
        }
        // Seals under way end before another process may open the folder.
        let tables: Vec<_> = self.tables.read().values().cloned().collect();
        for table in tables {
            table.settle().await;
        }
        self.lock.lock().take();
        result
    }

    async fn collect(&self) -> Result<()> {
        for lane in &self.lanes {
            lane.collect().await?;
        }
        Ok(())
    }

    fn table(&self, name: &str) -> Result<Arc<Table>> {
        let tables = self.tables.read();
        tables.get(name).cloned().ok_or_else(|| LakeError::NoTable(name.to_owned()))
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) { Err(LakeError::Closed) } else { Ok(()) }
    }

    /// Seals every table that is due.
    async fn seal_due(&self) {
        let due: Vec<Arc<Table>> =
            self.tables.read().values().filter(|t| self.is_due(t)).cloned().collect();
        if due.is_empty() {
            return;
        }
        let seals = futures::stream::iter(due).map(async |table| {
            let sealed = seal::seal(&table, &self.options.io, self.options.seal_bytes).await;
            if let Err(error) = &sealed {
                tracing::error!(table = %table.name, %error, "seal failed; rows stay in the log");
                tokio::time::sleep(SEAL_RETRY).await;
            }
        });
        seals.buffer_unordered(TABLES_AT_ONCE).collect::<()>().await;
        if let Err(error) = self.collect().await {
            tracing::error!(%error, "could not delete spent log segments");
        }
    }

    /// Rows are due when there are many, when the first has waited long, or when memory is short.
    fn is_due(&self, table: &Table) -> bool {
        let state = table.state();
        let Some(oldest) = state.chunks().next() else { return false };
        let waited = Utc::now().timestamp_micros() - oldest.ingested_min;
        let waited = Duration::from_micros(u64::try_from(waited).unwrap_or(0));
        table.held_bytes() >= self.options.seal_bytes.min(self.options.table_bytes_max / 2)
            || waited >= self.options.seal_after
            || self.total.held_bytes() >= self.options.total_bytes_max / 2
    }
}

fn check_producer(table: &Table, producer: &Producer) -> Result<()> {
    if producer.id.is_empty() || producer.id.len() > NAME_BYTES_MAX {
        let what = format!("a producer's id has 1 to {NAME_BYTES_MAX} bytes");
        return Err(LakeError::Rows { table: table.name.to_string(), what });
    }
    if i64::try_from(producer.seq).is_err() {
        let what = "a producer's number must fit in 63 bits".to_owned();
        return Err(LakeError::Rows { table: table.name.to_string(), what });
    }
    Ok(())
}

/// Two loops, one to seal and one to maintain, that end with the lake.
fn spawn_background(lake: &Arc<Lake>) {
    let (weak, work) = (Arc::downgrade(lake), lake.work.clone());
    tokio::spawn(async move {
        loop {
            let _ = tokio::time::timeout(TICK, work.notified()).await;
            let Some(lake) = weak.upgrade() else { return };
            if lake.check_open().is_err() {
                return;
            }
            lake.seal_due().await;
        }
    });
    let weak = Arc::downgrade(lake);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(MAINTAIN_EVERY).await;
            let Some(lake) = weak.upgrade() else { return };
            for name in lake.tables() {
                if lake.check_open().is_err() {
                    return;
                }
                if let Err(error) = lake.maintain(&name).await {
                    tracing::error!(table = %name, %error, "maintenance failed; it is tried again");
                }
            }
        }
    });
}

/// Opens tables a few at a time.
async fn open_all(
    options: &LakeOptions,
    total: &Arc<Meter>,
    closed: &Arc<AtomicBool>,
    specs: Vec<Arc<Spec>>,
    version: i64,
) -> Result<HashMap<Arc<str>, Arc<Table>>> {
    futures::stream::iter(specs)
        .map(async |spec| {
            let table = recover::open_table(options, total, closed, spec, version).await?;
            Ok((table.name.clone(), Arc::new(table)))
        })
        .buffer_unordered(TABLES_AT_ONCE)
        .try_collect()
        .await
}

/// The state of a table with nothing in memory.
fn cold_state(spec: Arc<Spec>, cold: Cold, version: u64) -> TableState {
    TableState::new(spec, Vec::new(), Vec::new(), Arc::new(cold), version)
}

/// Opens the Delta side of a table.
async fn open_delta(options: &LakeOptions, dir: &Path, spec: &Spec) -> Result<Delta> {
    Delta::open(options.io.clone(), &options.dir, dir, spec, options.history_days).await
}

#[cfg(test)]
mod tests;
