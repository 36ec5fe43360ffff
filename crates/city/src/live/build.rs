//! The memory made up at start, counted anew where it is in doubt, and kept in its file.
//!
//! One pass over the rows, in the lake's batches: no table of groups is built beside the memory
//! itself, so a start needs no more room than what it makes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{ArrowPrimitiveType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use chrono::Utc;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::{SessionContext, ident};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use store::lake::INGESTED_AT;

use super::entry::Seen;
use super::file::{Head, Marks, Reader, Writer};
use crate::folder::write_durably;
use crate::observations::{CORRECTION, FEATURE, OBSERVATION, Over};
use crate::source::Stores;
use crate::{City, CityError};

/// The memory's file in the data folder.
pub(crate) const KEEP_FILE: &str = "sensing.live";

/// What is read of each row.
const COLUMNS: [&str; 7] = [
    "datastream",
    "phenomenon_time",
    "ordinal",
    "feature_of_interest",
    "result_number",
    "flags",
    INGESTED_AT,
];
/// Datastreams that are counted anew one by one; where more are in doubt, all are.
const RECOUNTED_MAX: usize = 1_000;
/// Who doubted for so long went away without counting.
const DOUBT_S_MAX: u64 = 60;
/// How often the memory is compared with what the lake holds.
const CHECKED_EVERY_S: u64 = 60;
/// How often it is written to its file.
const KEPT_EVERY_S: u64 = 900;
/// How long who asks waits for the memory to be made up, where it is done in the background.
const WAITED_S_MAX: u64 = 10;
const WAITED_MS: u64 = 50;

/// When what is done by the clock was done last.
#[derive(Debug)]
pub(crate) struct Rounds {
    checked: Instant,
    kept: Instant,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { checked: Instant::now(), kept: Instant::now() }
    }
}

impl City {
    /// Looks after the memory of Datastreams: makes it up where it is not, counts what is in doubt,
    /// keeps it.
    pub(crate) async fn tend_live(&self, rounds: &mut Rounds) -> Result<(), CityError> {
        let stores = self.stores();
        stores.live.tended.store(true, Ordering::Release);
        if !stores.live.is_made() {
            let started = Instant::now();
            stores.make_live().await?;
            let took_ms = started.elapsed().as_millis();
            let rows = stores.live.rows.load(Ordering::Relaxed);
            tracing::info!(rows, took_ms, "the memory of datastreams is made up");
        }
        let left = stores.live.doubted_for(Duration::from_secs(DOUBT_S_MAX));
        stores.recount(&left).await?;
        if rounds.checked.elapsed() >= Duration::from_secs(CHECKED_EVERY_S) {
            rounds.checked = Instant::now();
            stores.compare_live().await?;
        }
        if rounds.kept.elapsed() >= Duration::from_secs(KEPT_EVERY_S) {
            rounds.kept = Instant::now();
            stores.keep_live().await?;
        }
        Ok(())
    }
}

impl Stores {
    /// Appends observations and notes them. Whoever waits for it may go away: once the rows are
    /// given to the lake they are noted, too.
    pub(crate) async fn append_observations(
        self: &Arc<Self>,
        batch: RecordBatch,
        seen: Vec<Seen>,
    ) -> Result<(), CityError> {
        let stores = Arc::clone(self);
        let appended = tokio::spawn(async move {
            let _open = stores.live.gate.read().await;
            stores.lake.append(OBSERVATION, batch, None).await?;
            stores.live.note(&seen, Utc::now().timestamp_micros());
            Ok::<(), CityError>(())
        });
        match appended.await {
            Ok(done) => done,
            Err(ended) => {
                self.live.lose_track();
                Err(CityError::Busy(format!("the append was cut short: {ended}")))
            }
        }
    }

    /// Waits until the memory was made up, and makes it up where nobody else does.
    pub(crate) async fn await_live(&self) -> Result<(), CityError> {
        if self.live.is_made() {
            return Ok(());
        }
        if !self.live.tended.load(Ordering::Acquire) {
            return self.make_live().await;
        }
        let from = Instant::now();
        while from.elapsed() < Duration::from_secs(WAITED_S_MAX) {
            if self.live.made.load(Ordering::Acquire) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(WAITED_MS)).await;
        }
        let reason = "the census is being made up from the observations: ask again in a moment";
        Err(CityError::Busy(reason.to_owned()))
    }

    /// Makes up the memory from its file and the rows since, or from all rows.
    pub(crate) async fn make_live(&self) -> Result<(), CityError> {
        let live = &self.live;
        let _one = live.making.lock().await;
        if live.is_made() {
            return Ok(());
        }
        let first = !live.lost.swap(false, Ordering::AcqRel);
        live.made.store(false, Ordering::Release);
        if !self.pack.datasets.contains_key(OBSERVATION) {
            live.made.store(true, Ordering::Release);
            return Ok(());
        }
        let over = self.over_of_all_streams().await?;
        let marks = self.marks().await?;
        let kept = match first {
            true => std::fs::read(&self.live_file).unwrap_or_default(),
            // What is on the disk may not know of what was lost.
            false => Vec::new(),
        };
        let kept = Reader::of(&kept).filter(|kept| kept.head.marks == marks);
        // What was appended before is in the pinned state; what comes after is noted.
        let (table, held) = {
            let _shut = live.gate.write().await;
            live.clear();
            let stats = self.lake.stats(OBSERVATION)?;
            (self.lake.stamped(OBSERVATION)?, stats.rows_hot + stats.rows_in_files)
        };
        let since = kept.as_ref().map(|kept| (kept.head.watermark_us, kept.head.rows));
        if let Some(kept) = kept {
            kept.each(|stream, entry| live.merge(stream, &entry));
        }
        let scanned = match since {
            Some((watermark_us, rows)) => {
                let later = ident(INGESTED_AT).gt(moment(watermark_us));
                rows + self.scan(table, &over, Some(later)).await?
            }
            None => {
                let scanned = self.scan(table, &over, None).await?;
                self.add_corrections(&over, |_| true)?;
                scanned
            }
        };
        live.rows.fetch_add(held, Ordering::Relaxed);
        if since.is_some() && scanned != held {
            // The file does not fit this lake: the next time it is not looked at.
            live.lose_track();
            tracing::warn!(scanned, held, "the kept memory of datastreams does not fit the lake");
        }
        live.makings.fetch_add(1, Ordering::AcqRel);
        live.made.store(true, Ordering::Release);
        Ok(())
    }

    /// Counts some Datastreams anew, and ends the doubts about them.
    pub(crate) async fn recount(&self, streams: &[i64]) -> Result<(), CityError> {
        let live = &self.live;
        // Before it is made up they stay in doubt: nobody waits for that.
        if streams.is_empty() || !live.is_made() {
            return Ok(());
        }
        let _one = live.making.lock().await;
        let tickets = live.tickets(streams);
        if streams.len() > RECOUNTED_MAX {
            // All of it is made up anew, after what has changed.
            live.lose_track();
            live.settle(&tickets);
            return Ok(());
        }
        let over = self.over_of_all_streams().await?;
        let table = {
            let _shut = live.gate.write().await;
            live.empty(streams);
            self.lake.stamped(OBSERVATION)?
        };
        let of_streams = streams.iter().map(|stream| lit(*stream)).collect();
        self.scan(table, &over, Some(ident("datastream").in_list(of_streams, false))).await?;
        self.add_corrections(&over, |stream| streams.contains(&stream))?;
        live.settle(&tickets);
        Ok(())
    }

    /// Compares what is accounted for with what the lake holds: rows that came by another way, or
    /// were dropped for their age, are found out.
    async fn compare_live(&self) -> Result<(), CityError> {
        let live = &self.live;
        if !self.pack.datasets.contains_key(OBSERVATION) {
            return Ok(());
        }
        let _one = live.making.lock().await;
        let _shut = live.gate.write().await;
        let stats = self.lake.stats(OBSERVATION)?;
        if live.rows.load(Ordering::Relaxed) != stats.rows_hot + stats.rows_in_files {
            live.lose_track();
        }
        Ok(())
    }

    /// Writes the memory to its file, where all of it holds.
    pub(crate) async fn keep_live(&self) -> Result<(), CityError> {
        let live = &self.live;
        if !live.is_whole() || !self.pack.datasets.contains_key(OBSERVATION) {
            return Ok(());
        }
        let _one = live.making.lock().await;
        let doubts = live.doubts_made();
        let marks = self.marks().await?;
        let bytes = {
            let _shut = live.gate.write().await;
            let stats = self.lake.stats(OBSERVATION)?;
            let rows = live.rows.load(Ordering::Relaxed);
            if !live.is_whole() || live.doubts_made() != doubts {
                return Ok(());
            }
            if rows != stats.rows_hot + stats.rows_in_files {
                live.lose_track();
                return Ok(());
            }
            let watermark_us = stats.taken_last.map_or(i64::MIN, |last| last.timestamp_micros());
            let mut writer = Writer::new(&Head { watermark_us, rows, marks });
            live.each(|stream, entry| writer.entry(stream, entry));
            writer
        };
        let path = self.live_file.clone();
        let written = tokio::task::spawn_blocking(move || write_durably(&path, &bytes.finish()));
        match written.await {
            Ok(written) => written,
            Err(ended) => Err(CityError::Busy(format!("the memory was not kept: {ended}"))),
        }
    }

    /// How what is laid over the observations is now.
    async fn marks(&self) -> Result<Marks, CityError> {
        let contracts = [CORRECTION, FEATURE].map(|id| self.pack.datasets.get(id));
        let [Some(corrections), Some(features)] = contracts else { return Ok(Marks::default()) };
        let rows = self.registers.rows(corrections, None).await?;
        let gone = self.registers.gone(features, None).await?;
        let numbers = gone.iter().filter_map(|key| key.parse::<i64>().ok());
        let corrected = self.registers.changed_at(corrections).await?;
        Ok(Marks {
            corrected_us: corrected.map_or(0, |at| at.timestamp_micros()),
            corrections: rows.iter().map(|rows| rows.num_rows() as u64).sum(),
            corrections_gone: self.registers.gone(corrections, None).await?.len() as u64,
            features_gone: gone.len() as u64,
            features_sum: numbers.fold(0, i64::wrapping_add),
        })
    }

    /// Adds the rows of a table that stand; how many rows it had, standing or not.
    async fn scan(
        &self,
        table: Arc<dyn TableProvider>,
        over: &Over,
        which: Option<Expr>,
    ) -> Result<u64, CityError> {
        let rows = SessionContext::new().read_table(table)?;
        let rows = match which {
            Some(which) => rows.filter(which)?,
            None => rows,
        };
        let mut batches = rows.select_columns(&COLUMNS)?.execute_stream().await?;
        let mut scanned = 0;
        while let Some(batch) = batches.try_next().await? {
            scanned += batch.num_rows() as u64;
            self.live.add_batch(&batch, over)?;
        }
        Ok(scanned)
    }

    /// Adds the corrections that stand in the place of rows.
    fn add_corrections(&self, over: &Over, wanted: impl Fn(i64) -> bool) -> Result<(), CityError> {
        for batch in over.corrections() {
            let rows = Rows::of(batch)?;
            let seen = (0..batch.num_rows()).map(|row| (rows.at(row).0, i64::MIN));
            self.live.add(seen.filter(|(seen, _)| wanted(seen.datastream)));
        }
        Ok(())
    }
}

impl super::Live {
    fn add_batch(&self, batch: &RecordBatch, over: &Over) -> Result<(), ArrowError> {
        let standing;
        let batch = match over.hides_none() {
            true => batch,
            false => {
                standing = filter_record_batch(batch, &over.standing(batch)?)?;
                &standing
            }
        };
        let rows = Rows::of(batch)?;
        self.add((0..batch.num_rows()).map(|row| rows.at(row)));
        Ok(())
    }
}

fn moment(time_us: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(time_us), Some("UTC".into())))
}

/// Rows of observations, or of corrections.
struct Rows<'b> {
    streams: &'b PrimitiveArray<Int64Type>,
    times: &'b PrimitiveArray<TimestampMicrosecondType>,
    ordinals: &'b PrimitiveArray<Int64Type>,
    results: &'b PrimitiveArray<Float64Type>,
    flags: &'b PrimitiveArray<Int64Type>,
    taken: Option<&'b PrimitiveArray<TimestampMicrosecondType>>,
}

impl<'b> Rows<'b> {
    fn of(batch: &'b RecordBatch) -> Result<Self, ArrowError> {
        let taken = batch.column_by_name(INGESTED_AT);
        Ok(Self {
            streams: column(batch, "datastream")?,
            times: column(batch, "phenomenon_time")?,
            ordinals: column(batch, "ordinal")?,
            results: column(batch, "result_number")?,
            flags: column(batch, "flags")?,
            taken: taken.and_then(|taken| taken.as_primitive_opt()),
        })
    }

    /// The row, and when it was taken.
    fn at(&self, row: usize) -> (Seen, i64) {
        let seen = Seen {
            datastream: self.streams.value(row),
            time_us: self.times.value(row),
            ordinal: u32::try_from(self.ordinals.value(row)).unwrap_or(u32::MAX),
            result: self.results.is_valid(row).then(|| self.results.value(row)),
            flags: self.flags.value(row),
        };
        (seen, self.taken.map_or(i64::MIN, |taken| taken.value(row)))
    }
}

fn column<'b, T: ArrowPrimitiveType>(
    batch: &'b RecordBatch,
    name: &str,
) -> Result<&'b PrimitiveArray<T>, ArrowError> {
    let found = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<T>());
    let odd =
        || ArrowError::SchemaError(format!("{OBSERVATION}: `{name}` is not what it should be"));
    found.ok_or_else(odd)
}
