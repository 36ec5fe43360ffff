//! Keeping a table small and quick: compaction, retention, vacuum. One round at a time a table.
//!
//! Compaction merges small files into sorted ones of about 100 MiB without changing a row, so
//! that a point read opens few of them. Retention drops rows past their days. Vacuum deletes files
//! that no version within the kept history names. Sealing goes on meanwhile: a rewrite that finds
//! its inputs changed under it throws its outputs away and is tried again in the next round.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use chrono::Utc;
use datafusion::common::ScalarValue;
use tokio::sync::mpsc;

use super::LakeOptions;
use super::data::{self, DataFile, DataFileWriter, Effort};
use super::delta::Change;
use super::error::{LakeError, Result};
use super::io::Io;
use super::merge::merged;
use super::scan::Files;
use super::seal::{FILE_BYTES_TARGET, Job, Rewrite};
use super::sums::SUMS_DIR;
use super::table::Table;

/// Files below this are worth merging.
const SMALL_FILE_BYTES: u64 = FILE_BYTES_TARGET as u64 / 2;
/// Fewer small files than this are left alone.
const COMPACT_FILES_MIN: usize = 4;
/// Files merged in one round …
const COMPACT_FILES_MAX: usize = 64;
/// … and their bytes.
const COMPACT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// A file is rewritten for retention when its oldest row is this far past its days: each file at
/// most once a day.
const RETENTION_SLACK_DAYS: i64 = 1;
/// Files that no version ever named (a crash left them) are deleted after this.
const ORPHAN_DAYS: u64 = 3;
/// Batches between the merge and the file writer.
const BATCHES_AHEAD: usize = 4;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// What one round of maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    pub files_merged: usize,
    pub files_written: usize,
    pub rows_expired: u64,
    pub files_deleted: usize,
}

pub(crate) async fn maintain(
    table: &Arc<Table>,
    options: &LakeOptions,
    files: &Arc<Files>,
) -> Result<Maintained> {
    let _one_at_a_time = table.maintenance.lock().await;
    let mut done = Maintained::default();
    retain(table, &options.io, &mut done).await?;
    compact(table, &options.io, files, &mut done).await?;
    vacuum(table, options, files, &mut done).await?;
    Ok(done)
}

fn job(table: &Table, io: &Arc<dyn Io>) -> Job {
    Job { io: io.clone(), dir: table.dir.clone(), spec: table.state().spec.clone() }
}

/// Commits a rewrite if its inputs are still the table's; otherwise deletes its outputs.
async fn commit(table: &Table, job: &Job, rewrite: Rewrite, data_change: bool) -> Result<bool> {
    let mut delta = table.delta().await?;
    let state = table.state();
    let cold = delta.cold(&state.spec, &state.cold);
    let active: HashSet<&str> = cold.files.iter().map(|f| f.path.as_str()).collect();
    if !rewrite.remove.iter().all(|file| active.contains(file.path.as_str())) {
        job.discard(&rewrite.add);
        return Ok(false);
    }
    let Rewrite { add, remove } = rewrite;
    let change = Change { add, remove, data_change, ..Change::default() };
    job.commit(&mut delta, &state.spec, change).await?;
    table.set_cold(delta.cold(&state.spec, &cold));
    Ok(true)
}

async fn compact(
    table: &Arc<Table>,
    io: &Arc<dyn Io>,
    files: &Arc<Files>,
    done: &mut Maintained,
) -> Result<()> {
    let state = table.state();
    let mut bytes = 0;
    let small = state.cold.files.iter().filter(|f| f.bytes < SMALL_FILE_BYTES);
    let chosen: Vec<Arc<DataFile>> = small
        .take(COMPACT_FILES_MAX)
        .take_while(|file| {
            bytes += file.bytes;
            bytes <= COMPACT_BYTES_MAX
        })
        .cloned()
        .collect();
    if chosen.len() < COMPACT_FILES_MIN {
        return Ok(());
    }
    let job = job(table, io);
    let mut rows = merged(&job.spec, &chosen, files)?;
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let writer = {
        let job = job.clone();
        tokio::task::spawn_blocking(move || write_files(&job, receiver))
    };
    let mut failed = None;
    while let Some(batch) = futures::StreamExt::next(&mut rows).await {
        match batch {
            Ok(batch) => {
                if sender.send(batch).await.is_err() {
                    break; // The writer has failed and says why below.
                }
            }
            Err(error) => {
                failed = Some(LakeError::datafusion(&table.name, "compact")(error));
                break;
            }
        }
    }
    drop(sender);
    let written = writer.await.map_err(|error| LakeError::Task(error.to_string()))?;
    let add = written?;
    if let Some(error) = failed {
        job.discard(&add);
        return Err(error);
    }
    let before: u64 = chosen.iter().map(|f| f.rows()).sum();
    let after: u64 = add.iter().map(DataFile::rows).sum();
    assert_eq!(before, after, "a compaction loses no row of {}", table.name);
    let (merged, written) = (chosen.len(), add.len());
    if commit(table, &job, Rewrite { add, remove: chosen }, false).await? {
        done.files_merged += merged;
        done.files_written += written;
    }
    Ok(())
}

fn write_files(job: &Job, batches: mpsc::Receiver<RecordBatch>) -> Result<Vec<DataFile>> {
    let mut files = Vec::new();
    match write_into(job, batches, &mut files) {
        Ok(()) => Ok(files),
        Err(error) => {
            job.discard(&files);
            Err(error)
        }
    }
}

fn write_into(
    job: &Job,
    mut batches: mpsc::Receiver<RecordBatch>,
    files: &mut Vec<DataFile>,
) -> Result<()> {
    let mut writer: Option<DataFileWriter> = None;
    while let Some(batch) = batches.blocking_recv() {
        let mut current = match writer.take() {
            Some(writer) => writer,
            None => {
                let spec = job.spec.clone();
                DataFileWriter::create(job.io.clone(), &job.dir, spec, Effort::Compact)?
            }
        };
        current.write(&batch)?;
        if current.bytes() >= FILE_BYTES_TARGET {
            files.push(current.finish()?);
        } else {
            writer = Some(current);
        }
    }
    if let Some(writer) = writer {
        files.push(writer.finish()?);
    }
    Ok(())
}

async fn retain(table: &Arc<Table>, io: &Arc<dyn Io>, done: &mut Maintained) -> Result<()> {
    let state = table.state();
    let Some(retention) = &state.spec.table.retention else { return Ok(()) };
    let Ok(column) = state.spec.table.schema.index_of(&retention.column) else { return Ok(()) };
    let kept_from = Utc::now().timestamp_micros() - i64::from(retention.days) * MICROS_PER_DAY;
    let micros = |value: &ScalarValue| match value {
        ScalarValue::TimestampMicrosecond(Some(at), _) => Some(*at),
        ScalarValue::Date32(Some(days)) => Some(i64::from(*days) * MICROS_PER_DAY),
        _ => None,
    };
    let (mut whole, mut part) = (Vec::new(), Vec::new());
    for file in &state.cold.files {
        let Some(range) = file.range(column) else { continue };
        let (Some(first), Some(last)) = (micros(&range.min), micros(&range.max)) else { continue };
        let has_nulls = file.stats.columns[column].nulls != Some(0);
        if last < kept_from && !has_nulls {
            whole.push(file.clone());
        } else if first < kept_from - RETENTION_SLACK_DAYS * MICROS_PER_DAY {
            part.push(file.clone());
        }
    }
    let job = job(table, io);
    let expired: u64 = whole.iter().map(|f| f.rows()).sum();
    if !whole.is_empty() {
        let rewrite = Rewrite { add: Vec::new(), remove: whole };
        if commit(table, &job, rewrite, true).await? {
            done.rows_expired += expired;
        }
    }
    for file in part {
        let before = file.rows();
        let (work, source) = (job.clone(), file.clone());
        let rest = tokio::task::spawn_blocking(move || {
            data::rewrite_file(&work.io, &work.dir, &work.spec, &source, &|batch| {
                Ok(kept_mask(batch.column(column), kept_from))
            })
        });
        let rest = rest.await.map_err(|error| LakeError::Task(error.to_string()))??;
        let Some(rest) = rest else { continue };
        let after: u64 = rest.iter().map(DataFile::rows).sum();
        if commit(table, &job, Rewrite { add: rest, remove: vec![file] }, true).await? {
            done.rows_expired += before - after;
        }
    }
    Ok(())
}

/// Rows from a moment on stay, and rows without a time.
fn kept_mask(times: &ArrayRef, kept_from: i64) -> BooleanArray {
    let keep = |at: Option<i64>| Some(at.is_none_or(|at| at >= kept_from));
    match times.data_type() {
        DataType::Date32 => {
            let days = times.as_primitive::<Date32Type>().iter();
            days.map(|day| keep(day.map(|d| i64::from(d) * MICROS_PER_DAY))).collect()
        }
        _ => times.as_primitive::<TimestampMicrosecondType>().iter().map(keep).collect(),
    }
}

/// Deletes files that neither the latest version nor one within the kept history names.
async fn vacuum(
    table: &Arc<Table>,
    options: &LakeOptions,
    files: &Arc<Files>,
    done: &mut Maintained,
) -> Result<()> {
    // Under the lock, so that no commit names a file between looking and deleting.
    let delta = table.delta().await?;
    let removed = delta.tombstones().await?;
    let state = table.state();
    let cold = delta.cold(&state.spec, &state.cold);
    let active: HashSet<&str> = cold.files.iter().map(|f| f.path.as_str()).collect();
    let history_ms = i64::from(options.history_days) * MICROS_PER_DAY / 1000;
    let kept_from_ms = Utc::now().timestamp_millis() - history_ms;
    let io = options.io.as_ref();
    for path in io.list(&table.dir).map_err(LakeError::io("list", &table.dir))? {
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        let is_staged = name.starts_with('.') && name.ends_with(".tmp");
        if !is_staged && (!name.ends_with(".parquet") || active.contains(name)) {
            continue;
        }
        let spent = match removed.get(name) {
            Some(removed_ms) => *removed_ms <= kept_from_ms,
            None => is_old(&path),
        };
        if !spent {
            continue;
        }
        files.store.forget(&Files::location(&table.name, name));
        data::delete(io, &table.dir, name)?;
        done.files_deleted += 1;
    }
    delete_lonely_sums(io, &table.dir)
}

fn is_old(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|m| m.modified());
    let age = modified.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age > Duration::from_secs(ORPHAN_DAYS * 24 * 60 * 60))
}

/// Checksums whose file is gone.
fn delete_lonely_sums(io: &dyn Io, dir: &Path) -> Result<()> {
    let sums_dir = dir.join(SUMS_DIR);
    for path in io.list(&sums_dir).map_err(LakeError::io("list", &sums_dir))? {
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        let file = name.strip_suffix(".crc").unwrap_or(name);
        if !dir.join(file).exists() && is_old(&path) {
            io.remove(&path).map_err(LakeError::io("delete", &path))?;
        }
    }
    Ok(())
}
