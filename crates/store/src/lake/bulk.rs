//! Imports past the log: rows go straight to data files, and one commit makes them visible.
//!
//! The log would write every row twice. A bulk writes sorted Parquet once, fsynced, and commits
//! the files together with the producer's number: rows are acknowledged by the commit, exactly
//! once. What is not committed when the process dies was never there; the producer starts again
//! after [`Bulk::taken`]. Rows carry the moment at which their bulk was started; an `as_of` between
//! that and the commit sees them only once they are committed. Upsert tables need the log's order
//! of keys, so their rows go through it.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use tokio::task::JoinHandle;

use super::data::DataFile;
use super::delta::{Change, producer_app};
use super::error::{LakeError, Result};
use super::seal::{Job, Rewrite};
use super::spec::check_rows;
use super::table::Table;
use super::{Lake, Producer};

/// Rows gathered for one file …
const FILE_ROWS_MAX: usize = 1024 * 1024;
/// … or bytes of them in memory.
const FILE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Wait before rows are sent again when the lake is full …
const FULL_WAIT: std::time::Duration = std::time::Duration::from_millis(50);
/// … and how often: about a minute, many times what a seal takes.
const FULL_TRIES_MAX: usize = 1200;

/// What a bulk has made durable and visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkAck {
    /// Rows committed by this bulk.
    pub rows: u64,
    /// The producer's highest number taken.
    pub taken: Option<u64>,
}

/// An import under way. Rows of different numbers are visible together at the next commit.
#[derive(Debug)]
pub struct Bulk {
    lake: Arc<Lake>,
    table: Arc<Table>,
    producer: String,
    /// Highest number that is committed.
    taken: Option<u64>,
    /// Highest number given.
    given: Option<u64>,
    gathered: Vec<RecordBatch>,
    gathered_bytes: usize,
    gathered_rows: usize,
    /// The file being written while the next rows are gathered.
    writing: Option<JoinHandle<Result<Rewrite>>>,
    written: Vec<DataFile>,
    /// A commit of `written` was begun and its answer is not known.
    in_doubt: bool,
    rows: u64,
    committed_rows: u64,
    ingested_at: i64,
    /// Rows of a failed write are gone from memory, so nothing may be committed after it.
    failed: Option<LakeError>,
}

impl Bulk {
    pub(crate) async fn start(
        lake: Arc<Lake>,
        table: Arc<Table>,
        producer: String,
    ) -> Result<Self> {
        let taken = table.recall(&producer).await?;
        let ingested_at = lake.clock.now();
        Ok(Self {
            lake,
            table,
            producer,
            taken,
            given: taken,
            gathered: Vec::new(),
            gathered_bytes: 0,
            gathered_rows: 0,
            writing: None,
            written: Vec::new(),
            in_doubt: false,
            rows: 0,
            committed_rows: 0,
            ingested_at,
            failed: None,
        })
    }

    /// The highest number that is already in the table: start with the one after it.
    pub fn taken(&self) -> Option<u64> {
        self.taken
    }

    /// Gives rows under the producer's next number. Numbers rise; one that was taken before is
    /// left out, and the answer is true.
    pub async fn write(&mut self, rows: RecordBatch, seq: u64) -> Result<bool> {
        self.check()?;
        if self.given.is_some_and(|given| seq <= given) {
            return Ok(true);
        }
        let spec = self.table.state().spec.clone();
        if spec.is_upsert() {
            return self.write_through_log(rows, seq).await;
        }
        let rows = check_rows(&self.table.name, &spec.table.schema, &rows)?;
        self.given = Some(seq);
        self.rows += rows.num_rows() as u64;
        self.gathered_rows += rows.num_rows();
        self.gathered_bytes += rows.get_array_memory_size();
        if rows.num_rows() > 0 {
            self.gathered.push(super::hot::with_ingested(&rows, self.ingested_at)?);
        }
        if self.gathered_rows >= FILE_ROWS_MAX || self.gathered_bytes >= FILE_BYTES_MAX {
            self.spill().await?;
        }
        Ok(false)
    }

    async fn write_through_log(&mut self, rows: RecordBatch, seq: u64) -> Result<bool> {
        let count = rows.num_rows() as u64;
        let mut full = LakeError::Closed;
        for _ in 0..FULL_TRIES_MAX {
            let producer = Producer { id: self.producer.clone(), seq };
            match self.lake.append(&self.table.name, rows.clone(), Some(producer)).await {
                Ok(ack) => {
                    (self.given, self.taken) = (Some(seq), Some(seq));
                    if !ack.duplicate {
                        self.rows += count;
                        self.committed_rows = self.rows;
                    }
                    return Ok(ack.duplicate);
                }
                Err(error) if error.is_back_pressure() => {
                    full = error;
                    tokio::time::sleep(FULL_WAIT).await;
                }
                Err(error) => return Err(error),
            }
        }
        // Why there is no room is the better answer, where it is known.
        Err(self.table.seal_error.lock().clone().unwrap_or(full))
    }

    /// Hands the gathered rows to a thread that writes their file; one at a time, so that memory
    /// stays bounded.
    async fn spill(&mut self) -> Result<()> {
        self.join().await?;
        if self.gathered.is_empty() {
            return Ok(());
        }
        let batches = std::mem::take(&mut self.gathered);
        (self.gathered_bytes, self.gathered_rows) = (0, 0);
        let job = self.job();
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let widened = batches.into_iter().map(|b| job.spec.widen(b, &job.spec.stored));
            job.append(&widened.collect::<Result<Vec<_>>>()?)
        }));
        Ok(())
    }

    async fn join(&mut self) -> Result<()> {
        let Some(writing) = self.writing.as_mut() else { return Ok(()) };
        let ended = writing.await.map_err(|error| LakeError::Task(error.to_string()));
        self.writing = None;
        match ended.and_then(|rewrite| rewrite) {
            Ok(rewrite) => self.written.extend(rewrite.add),
            Err(error) => self.failed = Some(error),
        }
        self.check()
    }

    fn job(&self) -> Job {
        Job {
            io: self.lake.options.io.clone(),
            dir: self.table.dir.clone(),
            spec: self.table.state().spec.clone(),
        }
    }

    fn check(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Makes all rows given so far durable and visible, in one commit.
    pub async fn commit(&mut self) -> Result<BulkAck> {
        self.check()?;
        self.spill().await?;
        self.join().await?;
        if self.given > self.taken {
            self.commit_files().await?;
        }
        Ok(BulkAck { rows: self.committed_rows, taken: self.taken })
    }

    async fn commit_files(&mut self) -> Result<()> {
        let seq = self.given.expect("a number was given");
        let mut delta = self.table.delta().await?;
        let app = producer_app(&self.producer);
        let before = delta.transaction(&app).await?.max(self.table.taken_from(&self.producer));
        if before.is_some_and(|before| before >= seq) {
            // Our own commit whose answer was lost, or the same import run twice at once: either
            // way the rows are there, and only have to be shown.
            let state = self.table.state();
            self.table.set_cold(delta.cold(&state.spec, &state.cold));
            if !self.in_doubt {
                self.job().discard(&self.written);
            }
            self.written.clear();
        } else if before > self.taken {
            let what = format!("producer {} sends from two places at once", self.producer);
            return Err(LakeError::Rows { table: self.table.name.to_string(), what });
        } else {
            let state = self.table.state();
            let change = Change {
                add: self.written.clone(),
                transactions: vec![(app, seq)],
                data_change: true,
                ..Change::default()
            };
            self.in_doubt = true;
            delta.commit(&state.spec, change).await?;
            self.table.set_cold(delta.cold(&state.spec, &state.cold));
            self.written.clear();
        }
        self.in_doubt = false;
        self.table.remember(&self.producer, Some(seq));
        self.taken = Some(seq);
        self.committed_rows = self.rows;
        Ok(())
    }
}

impl Drop for Bulk {
    /// Files that no commit names give their room back at once.
    fn drop(&mut self) {
        if self.written.is_empty() || self.in_doubt {
            return;
        }
        self.job().discard(&self.written);
    }
}
