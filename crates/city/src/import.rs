//! Takes a file into a dataset: every row is taken, unchanged or in quarantine, and counted.
//!
//! ```text
//!  intake (own thread) ─► quality rules ─► known rows? ─► lake.append
//!        │ bad cells          │ failures       │ conflicts
//!        └────────────────────┴────────────────┴──► quarantine
//! ```
//!
//! Exactly once: chunk boundaries are a function of the file, and chunk *n* of a stream is
//! appended under the producer `import/<fingerprint>` with sequence *n*. A second run of the same
//! file, whole or after a kill, is answered from the producer's high-water mark. Snapshots and
//! keyed streams compare row by row as well, so another file with the same rows changes nothing
//! either.
//!
//! An import may be cut anywhere, by a kill or by its caller: run again, it goes on from there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use catalog::quality::RowRules;
use chrono::{DateTime, Utc};
use datafusion::prelude::SessionContext;
use intake::{BadRow, Chunk, Crs, Intake, IntakeError, Origin};
use pack::{Contract, DatasetKind, Severity};
use registry::{Registers, Registry, RegistryError};
use serde::Serialize;
use store::lake::Bulk;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::events::CityEvent;
use crate::known::{Known, Verdict};
use crate::observations::{CORRECTION, FEATURE, OBSERVATION};
use crate::open::Work;
use crate::quarantine::{self, OPEN, QUARANTINE, Rejected};
use crate::register::Held;
use crate::scratch;
use crate::{City, CityError};

/// Chunks parsed ahead of the writer: enough to keep both busy, few enough to bound memory.
const CHUNKS_AHEAD_MAX: usize = 2;
/// Rows of one file that may go to quarantine before the import stops: past this the file is
/// the wrong one, and a person should look before the quarantine is swamped.
pub const QUARANTINED_ROWS_MAX: u64 = 100_000;

/// Times that a chunk is put into a register while people edit its very rows.
const PUT_TRIES_MAX: usize = 10;

/// Reasons that no rule of the contract gives.
const CHANGED_SINCE: &str = "changed_by_hand_since";
const KEY_TWICE: &str = "key_twice";
pub(crate) const KEY_TAKEN: &str = "key_taken";
pub(crate) const NOT_IN_REGISTER: &str = "not_in_register";

/// A file to take in.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    pub dataset: String,
    pub file: PathBuf,
    pub options: intake::Options,
    /// Who imports: written into the audit.
    pub user: String,
}

/// What became of a file's rows.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ImportSummary {
    pub dataset: String,
    pub file: String,
    pub fingerprint: String,
    pub rows_taken: u64,
    pub rows_unchanged: u64,
    pub rows_quarantined: u64,
    /// Columns that the contract does not know and columns that it misses, where it evolves.
    pub drift: Vec<String>,
    /// How many of the quarantined rows failed for each reason, most frequent first.
    pub reasons: Vec<(String, u64)>,
    pub seconds: f64,
    /// What the dataset's quality rules say of all its rows now, where they were asked.
    pub quality: Option<Quality>,
}

/// A quality run in short; the dataset's page has the whole of it.
#[derive(Debug, Clone, Serialize)]
pub struct Quality {
    pub passed: bool,
    /// Rules that some rows break, and how many rows.
    pub failed: Vec<(String, u64)>,
}

/// Told while an import runs; the command line draws its bar from it.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub bytes_read: u64,
    pub bytes_total: u64,
    pub rows: u64,
}

impl City {
    /// Imports a file. One import a dataset at a time; others wait.
    pub async fn import(
        &self,
        request: ImportRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<ImportSummary, CityError> {
        self.import_until(request, progress, std::future::pending()).await
    }

    /// As [`City::import`], but cut when `stop` comes, which the audit then says.
    pub async fn import_until(
        &self,
        request: ImportRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<ImportSummary, CityError> {
        let contract = self.contract(&request.dataset)?.clone();
        if pack::platform::is_made(&contract.id) {
            let reason = format!("{} is the platform's own: no file goes into it", contract.id);
            return Err(CityError::Refused(reason));
        }
        let turn = self.turn(Work::Import, &contract.id);
        let whole = async {
            let _turn = turn.lock().await;
            self.take_file(&request, &contract, progress).await
        };
        let taken = tokio::select! {
            taken = whole => taken,
            () = stop => Err(CityError::Busy(
                "the server stopped before all of the file was taken: import it again, it goes on \
                 where it stopped"
                    .to_owned(),
            )),
        };
        if let Err(error) = &taken {
            let file = scratch::shown(self.dir(), &request.file);
            self.record_failed_import(&request.user, &contract, &file, error).await?;
        }
        taken
    }

    async fn take_file(
        &self,
        request: &ImportRequest,
        contract: &Contract,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<ImportSummary, CityError> {
        let started = Instant::now();
        let mut reader = self.open_file(request, contract).await?;
        let bytes_total = reader.bytes_total();
        let mut run = Run::new(self, contract, request, &mut reader).await?;
        let mut chunks = Chunks::of(move || reader.next_chunk());
        while let Some(chunk) = chunks.next().await? {
            let bytes_read = chunk.bytes_read;
            run.take(chunk).await?;
            progress(Progress { bytes_read, bytes_total, rows: run.rows() });
        }
        let mut summary = run.finish().await?;
        self.pass_numbers_of(contract).await?;
        summary.seconds = started.elapsed().as_secs_f64();
        self.tell_of_rows(&contract.id, summary.rows_taken);
        self.record_import(&request.user, &summary).await?;
        Ok(summary)
    }

    pub(crate) async fn open_file(
        &self,
        request: &ImportRequest,
        contract: &Contract,
    ) -> Result<Intake, CityError> {
        let (file, options) = (request.file.clone(), request.options.clone());
        let (contract, pack) = (contract.clone(), self.pack().clone());
        let opened = tokio::task::spawn_blocking(move || {
            intake::open(&file, &contract, &pack.imports, &options)
        });
        Ok(opened.await.expect("the reader does not panic")?)
    }
}

/// Chunks read on a thread of their own, [`CHUNKS_AHEAD_MAX`] ahead of who takes them.
pub(crate) struct Chunks {
    chunks: mpsc::Receiver<Result<Chunk, IntakeError>>,
    reader: JoinHandle<()>,
}

impl Chunks {
    pub fn of(
        mut next_chunk: impl FnMut() -> Result<Option<Chunk>, IntakeError> + Send + 'static,
    ) -> Self {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD_MAX);
        let reader = tokio::task::spawn_blocking(move || {
            while let Some(next) = next_chunk().transpose() {
                let failed = next.is_err();
                // A receiver that is gone has failed and said so: there is nobody to read for.
                if sender.blocking_send(next).is_err() || failed {
                    return;
                }
            }
        });
        Self { chunks, reader }
    }

    /// The next chunk, or none at the end of the file. A reader that fell over is no end: what it
    /// had not read yet would be missing without a word.
    pub async fn next(&mut self) -> Result<Option<Chunk>, CityError> {
        if let Some(chunk) = self.chunks.recv().await {
            return Ok(Some(chunk?));
        }
        match (&mut self.reader).await {
            Ok(()) => Ok(None),
            Err(_) => Err(CityError::Invalid(
                "the reader failed inside the file, which is a fault of this program: report it \
                 with the file, and import it again after it is mended"
                    .to_owned(),
            )),
        }
    }
}

/// The rows of a chunk, and where they stand in the file.
struct ReadRows<'a> {
    seq: u64,
    rows: &'a RecordBatch,
    origin: &'a Origin,
}

/// Rows that the dataset does not hold yet, and where each stands among those that were read.
struct Fresh {
    rows: RecordBatch,
    places: Vec<usize>,
}

impl Fresh {
    fn only(self, keep: Vec<bool>) -> Result<Self, CityError> {
        let places = self.places.into_iter().zip(&keep).filter(|(_, keep)| **keep);
        let places = places.map(|(place, _)| place).collect();
        Ok(Self { rows: filter_record_batch(&self.rows, &BooleanArray::from(keep))?, places })
    }
}

/// One file on its way into one dataset.
struct Run<'a> {
    city: &'a City,
    contract: &'a Contract,
    user: &'a str,
    columns: String,
    mapping: Option<String>,
    crs: String,
    rules: RowRules,
    known: Option<Known>,
    /// The present rows of a register that is the pack's own text.
    held: Option<Held>,
    /// Of a register that people edit: the newest change that `known` may know of.
    since: Option<DateTime<Utc>>,
    /// Streams go past the log, straight to files.
    bulk: Option<Bulk>,
    /// Quarantine rows that are there already, from an earlier run of this file.
    rejected_before: Known,
    reasons: BTreeMap<String, u64>,
    summary: ImportSummary,
}

impl<'a> Run<'a> {
    async fn new(
        city: &'a City,
        contract: &'a Contract,
        request: &'a ImportRequest,
        reader: &mut Intake,
    ) -> Result<Self, CityError> {
        let fingerprint = reader.fingerprint()?;
        let drift = reader.drift();
        let producer = format!("import/{fingerprint}");
        let (mut known, mut held, mut bulk) = (None, None, None);
        let since = match Registers::keeps(contract) {
            // Asked before the rows are read: of an edit in between it is better to be told.
            true => Some(city.registers().changed_at(contract).await?),
            false => None,
        };
        match contract.kind {
            DatasetKind::Register if Registry::keeps(&contract.id) => {
                held = Some(city.held(contract).await?);
            }
            _ if !contract.key.is_empty() => known = Some(city.known(contract).await?),
            _ => {}
        }
        if contract.kind == DatasetKind::Stream {
            bulk = Some(city.lake().bulk(&contract.id, &producer).await?);
        }
        Ok(Self {
            city,
            contract,
            user: &request.user,
            columns: serde_json::to_string(reader.columns()).expect("texts serialise"),
            mapping: reader.mapping().map(str::to_owned),
            crs: crs_name(reader.crs()).to_owned(),
            rules: RowRules::compile(contract)?,
            known,
            held,
            since: since.map(|changed| changed.unwrap_or(DateTime::<Utc>::MIN_UTC)),
            bulk,
            rejected_before: city.known_rejected(contract).await?,
            reasons: BTreeMap::new(),
            summary: ImportSummary {
                dataset: contract.id.clone(),
                file: scratch::shown(city.dir(), &request.file),
                drift: if drift.is_empty() { Vec::new() } else { vec![drift.to_string()] },
                fingerprint,
                ..ImportSummary::default()
            },
        })
    }

    fn rows(&self) -> u64 {
        let summary = &self.summary;
        summary.rows_taken + summary.rows_unchanged + summary.rows_quarantined
    }

    async fn take(&mut self, chunk: Chunk) -> Result<(), CityError> {
        let mut rejected: Vec<Rejected> =
            chunk.bad.into_iter().enumerate().map(|(nth, bad)| self.unread(nth, bad)).collect();
        let read = ReadRows { seq: chunk.seq, rows: &chunk.rows, origin: &chunk.origin };
        let checked = self.rules.check(&chunk.rows)?;
        // A row that breaks several rules is one row: the first rule speaks for it.
        let mut told = BTreeSet::new();
        for failure in checked.failures.iter().filter(|f| f.severity == Severity::Error) {
            if told.insert(failure.row) {
                let field = failure.field.as_deref();
                rejected.push(self.broken(&read, failure.row, &failure.rule, field)?);
            }
        }
        let fresh = self.only_fresh(&read, checked.good, &told, &mut rejected)?;
        self.append(&read, fresh, &mut rejected).await?;
        self.reject(rejected).await
    }

    /// Leaves out the rows that the dataset holds already. `rows` are those read, without the
    /// `broken` ones.
    fn only_fresh(
        &mut self,
        read: &ReadRows<'_>,
        rows: RecordBatch,
        broken: &BTreeSet<usize>,
        rejected: &mut Vec<Rejected>,
    ) -> Result<Fresh, CityError> {
        let places = (0..read.rows.num_rows()).filter(|row| !broken.contains(row));
        let fresh = Fresh { rows, places: places.collect() };
        if let Some(held) = &self.held {
            for (row, place) in fresh.places.iter().enumerate() {
                match held.confirms(&fresh.rows, row)? {
                    true => self.summary.rows_unchanged += 1,
                    false => rejected.push(self.broken(read, *place, NOT_IN_REGISTER, None)?),
                }
            }
            return Ok(Fresh { rows: fresh.rows.slice(0, 0), places: Vec::new() });
        }
        let Some(known) = &mut self.known else { return Ok(fresh) };
        let verdicts = known.judge(&fresh.rows)?;
        if verdicts.iter().all(|verdict| *verdict == Verdict::New) {
            return Ok(fresh);
        }
        // A snapshot's row is replaced by its newer values; a stream's reading is never changed.
        let replaces = self.contract.kind != DatasetKind::Stream;
        let mut keep = Vec::with_capacity(verdicts.len());
        for (place, verdict) in fresh.places.iter().zip(verdicts) {
            let take = match verdict {
                Verdict::New => true,
                Verdict::Changed => replaces,
                Verdict::Unchanged | Verdict::Twice => false,
            };
            keep.push(take);
            match verdict {
                Verdict::Unchanged => self.summary.rows_unchanged += 1,
                Verdict::Twice => rejected.push(self.broken(read, *place, KEY_TWICE, None)?),
                Verdict::Changed if !replaces => {
                    rejected.push(self.broken(read, *place, KEY_TAKEN, None)?);
                }
                Verdict::New | Verdict::Changed => {}
            }
        }
        fresh.only(keep)
    }

    async fn append(
        &mut self,
        read: &ReadRows<'_>,
        fresh: Fresh,
        rejected: &mut Vec<Rejected>,
    ) -> Result<(), CityError> {
        if let Some(since) = self.since {
            self.summary.rows_taken += self.put(read, fresh, since, rejected).await?;
            return Ok(());
        }
        let rows = fresh.rows;
        let count = rows.num_rows() as u64;
        if count == 0 {
            return Ok(());
        }
        let duplicate = match &mut self.bulk {
            Some(bulk) => bulk.write(rows, read.seq).await?,
            None => self.city.append_waiting(&self.contract.id, rows, None).await?,
        };
        match duplicate {
            true => self.summary.rows_unchanged += count,
            false => self.summary.rows_taken += count,
        }
        Ok(())
    }

    /// Puts rows into the register, and says how many. Those that somebody has written or taken
    /// away since the import began wait in quarantine: which of the two is right, a person says.
    async fn put(
        &mut self,
        read: &ReadRows<'_>,
        mut fresh: Fresh,
        since: DateTime<Utc>,
        rejected: &mut Vec<Rejected>,
    ) -> Result<u64, CityError> {
        for _ in 0..PUT_TRIES_MAX {
            let count = fresh.rows.num_rows() as u64;
            if count == 0 {
                return Ok(0);
            }
            let reason = format!("import {}", self.summary.file);
            let put = self.city.put_rows(self.contract, &fresh.rows, self.user, reason, since);
            let newer = match put.await {
                Ok(()) => return Ok(count),
                Err(RegistryError::Newer(newer)) => newer,
                Err(error) => return Err(error.into()),
            };
            let mut keep = vec![true; fresh.places.len()];
            for row in newer {
                keep[row.place] = false;
                let last = self.city.last_written(self.contract, &row.key).await?;
                let message = format!("changed by hand since this import began: {last}");
                let refused = self.broken(read, fresh.places[row.place], CHANGED_SINCE, None)?;
                rejected.push(Rejected { message, ..refused });
            }
            fresh = fresh.only(keep)?;
        }
        Err(CityError::Busy(format!(
            "the rows of {} are being edited while they come in: import the file again",
            self.contract.id
        )))
    }

    async fn reject(&mut self, mut rejected: Vec<Rejected>) -> Result<(), CityError> {
        if rejected.is_empty() {
            return Ok(());
        }
        // Of now, when the good rows of the same chunk are there: they are no later word on these.
        let now = Utc::now();
        for row in &mut rejected {
            row.at = now;
            *self.reasons.entry(row.reason.clone()).or_default() += 1;
        }
        self.summary.rows_quarantined += rejected.len() as u64;
        if self.summary.rows_quarantined > QUARANTINED_ROWS_MAX {
            let worst = self.worst_reasons();
            return Err(CityError::Invalid(format!(
                "stopped: more than {QUARANTINED_ROWS_MAX} rows of {} do not fit {} (most of them: \
                 {}); mend the file or the mapping and import it again: rows that were taken are not \
                 taken twice",
                self.summary.file,
                self.contract.id,
                worst
                    .iter()
                    .map(|(reason, _)| reason.as_str())
                    .take(3)
                    .collect::<Vec<_>>()
                    .join(", ")
            )));
        }
        let ids = quarantine::ids_batch(&rejected)?;
        let verdicts = self.rejected_before.judge(&ids)?;
        let mut verdicts = verdicts.into_iter();
        rejected.retain(|_| verdicts.next() == Some(Verdict::New));
        if !rejected.is_empty() {
            self.city.append_waiting(QUARANTINE, quarantine::to_batch(&rejected)?, None).await?;
        }
        Ok(())
    }

    /// A record that could not be read as the contract's types.
    fn unread(&self, nth: usize, bad: BadRow) -> Rejected {
        let id = format!("{}:{}:{nth}", self.short_fingerprint(), bad.line);
        Rejected {
            field: bad.field,
            reason: bad.reason.as_str().to_owned(),
            message: bad.message,
            ..self.rejected(id, bad.line, bad.raw)
        }
    }

    /// A row that was read and breaks a rule.
    fn broken(
        &self,
        read: &ReadRows<'_>,
        row: usize,
        rule: &str,
        field: Option<&str>,
    ) -> Result<Rejected, CityError> {
        let id = format!("{}:c{}:{row}:{rule}", self.short_fingerprint(), read.seq);
        let line = read.origin.line(row);
        let rejected = match read.origin.raw(row) {
            Some(raw) => self.rejected(id, line, raw),
            // Too long to be kept as text: kept as the row that was read from it, whose
            // coordinates are WGS-84 whatever the file's were.
            None => Rejected {
                columns: String::new(),
                mapping: None,
                crs: crs_name(Crs::Wgs84).to_owned(),
                ..self.rejected(id, line, quarantine::row_json(&read.rows.slice(row, 1))?)
            },
        };
        Ok(Rejected {
            field: field.map(str::to_owned),
            reason: rule.to_owned(),
            message: rule_message(self.contract, rule),
            ..rejected
        })
    }

    fn rejected(&self, id: String, line: u64, raw: String) -> Rejected {
        Rejected {
            id,
            dataset: self.contract.id.clone(),
            owner: self.contract.owner.clone(),
            file: self.summary.file.clone(),
            line: i64::try_from(line).unwrap_or(i64::MAX),
            field: None,
            reason: String::new(),
            message: String::new(),
            raw,
            columns: self.columns.clone(),
            mapping: self.mapping.clone(),
            crs: self.crs.clone(),
            state: OPEN.to_owned(),
            remark: None,
            by: self.user.to_owned(),
            at: Utc::now(),
        }
    }

    fn short_fingerprint(&self) -> &str {
        const SHORT_CHARS: usize = 16;
        let fingerprint = &self.summary.fingerprint;
        fingerprint.get(..SHORT_CHARS).unwrap_or(fingerprint)
    }

    fn worst_reasons(&self) -> Vec<(String, u64)> {
        let mut reasons: Vec<(String, u64)> =
            self.reasons.iter().map(|(reason, count)| (reason.clone(), *count)).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }

    async fn finish(mut self) -> Result<ImportSummary, CityError> {
        if let Some(bulk) = &mut self.bulk {
            bulk.commit().await?;
        }
        if self.contract.kind == DatasetKind::Snapshot && self.summary.rows_taken > 0 {
            // A snapshot's past is told by its commits: one import, one moment to go back to.
            self.city.lake().flush(&self.contract.id).await?;
        }
        self.summary.reasons = self.worst_reasons();
        Ok(self.summary)
    }
}

pub(crate) fn rule_message(contract: &Contract, rule: &str) -> String {
    match rule {
        CHANGED_SINCE => "somebody has changed this row since: see which is right".to_owned(),
        KEY_TWICE => {
            "the key stands twice in this file, with other values: keep one of the rows".to_owned()
        }
        KEY_TAKEN => "a reading with this key was taken before, with other values: readings do \
                      not change; ask for a correction"
            .to_owned(),
        NOT_IN_REGISTER => "the register does not say this; it is kept in the city's pack: if the \
                            file is right, mend the pack"
            .to_owned(),
        _ => match contract.quality.iter().find(|quality| quality.id == rule) {
            Some(quality) => format!("breaks the rule {}: {}", quality.id, quality.sql),
            None => format!("breaks the rule {rule}"),
        },
    }
}

/// A coordinate system by the name that the pack and the command line use.
fn crs_name(crs: Crs) -> &'static str {
    match crs {
        Crs::Wgs84 => "wgs84",
        Crs::Gcj02 => "gcj02",
        Crs::Bd09 => "bd09",
        Crs::Cgcs2000 => "cgcs2000",
    }
}

impl City {
    async fn held(&self, contract: &Contract) -> Result<Held, CityError> {
        let schema = contract.arrow_schema();
        let key = contract.key.first().ok_or_else(|| {
            CityError::Invalid(format!("the register {} has no key", contract.id))
        })?;
        let table = self.raw_table(&contract.id, None).await?;
        let rows = SessionContext::new().read_table(table)?.collect().await?;
        Held::new(&rows, schema.index_of(key)?)
    }

    /// What the dataset holds, for comparison.
    async fn known(&self, contract: &Contract) -> Result<Known, CityError> {
        let mut known = Known::new(key_indices(contract)?);
        known.load(self.scan(&contract.id).await?).await?;
        Ok(known)
    }

    /// Tells who watches that a dataset has new rows.
    pub(crate) fn tell_of_rows(&self, dataset: &str, rows: u64) {
        if rows > 0 && [OBSERVATION, CORRECTION, FEATURE].contains(&dataset) {
            // Not by the way that tells the memory of Datastreams what came.
            self.live().lose_track();
        }
        self.tell_who_watches(dataset, rows);
    }

    pub(crate) fn tell_who_watches(&self, dataset: &str, rows: u64) {
        if rows > 0 {
            let id = dataset.to_owned();
            self.events().tell(CityEvent::Dataset { id, at: Utc::now(), rows });
        }
    }

    async fn known_rejected(&self, contract: &Contract) -> Result<Known, CityError> {
        let context = SessionContext::new();
        let table = self.lake().snapshot(QUARANTINE, None).await?;
        let ids = context
            .read_table(table)?
            .filter(datafusion::prelude::col("dataset").eq(datafusion::prelude::lit(&contract.id)))?
            .select_columns(&["id"])?
            .execute_stream()
            .await?;
        let mut known = Known::new(vec![0]);
        known.load(ids).await?;
        Ok(known)
    }

    /// Every row of a dataset, ungoverned: only for comparing and repairing.
    async fn scan(
        &self,
        dataset: &str,
    ) -> Result<datafusion::physical_plan::SendableRecordBatchStream, CityError> {
        let table = self.raw_table(dataset, None).await?;
        Ok(SessionContext::new().read_table(table)?.execute_stream().await?)
    }
}

pub(crate) fn key_indices(contract: &Contract) -> Result<Vec<usize>, CityError> {
    let schema = contract.arrow_schema();
    Ok(contract.key.iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use registry::registers::Stamp;

    use super::*;
    use crate::take::tests::{CONTRACT, capacity, city, facilities};

    #[tokio::test]
    async fn a_reader_that_falls_over_is_not_the_end_of_the_file() {
        let mut whole = Chunks::of(|| Ok(None));
        assert!(whole.next().await.unwrap().is_none());
        let mut broken = Chunks::of(|| panic!("a fault in a reader"));
        let refusal = broken.next().await.unwrap_err().to_string();
        assert!(refusal.contains("inside the file"), "{refusal}");
    }

    #[tokio::test]
    async fn an_edit_made_while_a_file_comes_in_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let city = city(dir.path()).await;
        let first = facilities(dir.path(), &[("f1", 10), ("f2", 20), ("f3", 30)]);
        city.import(first, &|_| ()).await.unwrap();
        let contract = city.contract(CONTRACT).unwrap().clone();
        let second = facilities(dir.path(), &[("f1", 11), ("f2", 21), ("f3", 31), ("f4", 41)]);
        let mut reader = city.open_file(&second, &contract).await.unwrap();
        let mut run = Run::new(&city, &contract, &second, &mut reader).await.unwrap();

        // One row is changed by hand, and one is taken away, before the file's rows are there.
        let stamp = || Stamp {
            by: "lin".to_owned(),
            reason: "looked at it".to_owned(),
            now: Utc::now(),
            event: None,
        };
        let (version, row) = city.registers().row(&contract, "f1").await.unwrap().unwrap();
        city.registers().change(&contract, &row, version, stamp()).await.unwrap();
        city.registers().delete(&contract, "f2", 1, stamp()).await.unwrap();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            run.take(chunk).await.unwrap();
        }
        let summary = run.finish().await.unwrap();
        assert_eq!((summary.rows_taken, summary.rows_quarantined), (2, 2), "{summary:?}");
        assert_eq!(summary.reasons, [(CHANGED_SINCE.to_owned(), 2)]);
        assert_eq!(capacity(&city, "f1").await, Some(10));
        assert_eq!(capacity(&city, "f2").await, None);
        assert_eq!(capacity(&city, "f3").await, Some(31));
        assert_eq!(capacity(&city, "f4").await, Some(41));

        // What waits says by whom and when, and is taken once a person has said so.
        let waiting = city.quarantined(Some(CONTRACT)).await.unwrap();
        assert!(waiting[0].message.contains("version 2 of `f1`, changed by lin"), "{waiting:?}");
        assert!(waiting[1].message.contains("version 2 of `f2`, deleted by lin"), "{waiting:?}");
        city.repair(&waiting[0].id, &[], "keeper").await.unwrap();
        assert_eq!(capacity(&city, "f1").await, Some(11));

        // The same file again says again what it says.
        let again = facilities(dir.path(), &[("f1", 10)]);
        assert_eq!(city.import(again, &|_| ()).await.unwrap().rows_taken, 1);
        assert_eq!(capacity(&city, "f1").await, Some(10));
    }
}
