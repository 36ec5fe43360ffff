//! The rows that a request changes, gathered and then written together: all of them or none, and
//! only where each still is as it was looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use catalog::Session;
use catalog::audit::Event;
use pack::Contract;
use registry::registers::{Changes, Stamp, key_of};
use serde_json::json;

use super::deed::{StaDeed, Undo};
use crate::observations::{CORRECTION, FEATURE};
use crate::{City, CityError};

/// Rows that one request may change or take away.
const ROWS_MAX: usize = 100_000;

/// One row as it was looked at, and as it is to be.
struct Line {
    seen: Option<i64>,
    before: Option<RecordBatch>,
    now: Option<RecordBatch>,
}

pub(super) struct Sheet<'c> {
    city: &'c City,
    lines: BTreeMap<&'static str, BTreeMap<String, Line>>,
    /// Rows under numbers that nobody had before.
    fresh: BTreeMap<&'static str, Vec<RecordBatch>>,
}

impl<'c> Sheet<'c> {
    pub fn of(city: &'c City) -> Self {
        Self { city, lines: BTreeMap::new(), fresh: BTreeMap::new() }
    }

    /// A row as it is to be; none where there is none.
    pub async fn row(
        &mut self,
        dataset: &'static str,
        key: &str,
    ) -> Result<Option<RecordBatch>, CityError> {
        if let Some(line) = self.lines.get(dataset).and_then(|lines| lines.get(key)) {
            return Ok(line.now.clone());
        }
        let contract = self.city.contract(dataset)?;
        let found = self.city.registers().row(contract, key).await?;
        let (seen, row) = found.map_or((None, None), |(version, row)| (Some(version), Some(row)));
        let line = Line { seen, before: row.clone(), now: row.clone() };
        self.lines.entry(dataset).or_default().insert(key.to_owned(), line);
        self.bounded()?;
        Ok(row)
    }

    /// The rows, with their keys, of which a column holds one of these numbers, whoever may see
    /// them.
    pub async fn find(
        &mut self,
        dataset: &'static str,
        column: &'static str,
        numbers: &BTreeSet<i64>,
    ) -> Result<Vec<(String, RecordBatch)>, CityError> {
        let choose = |rows: &RecordBatch| -> BooleanArray {
            let cells = rows.column_by_name(column);
            match cells.and_then(|cells| cells.as_primitive_opt::<Int64Type>()) {
                Some(cells) => {
                    let here = |cell: Option<i64>| cell.is_some_and(|cell| numbers.contains(&cell));
                    cells.iter().map(|cell| Some(here(cell))).collect()
                }
                None => BooleanArray::from(vec![false; rows.num_rows()]),
            }
        };
        let contract = self.city.contract(dataset)?;
        let found = self.city.registers().find(contract, choose).await?;
        let lines = self.lines.entry(dataset).or_default();
        let mut rows = Vec::with_capacity(found.keys.len());
        for (at, (key, version)) in found.keys.into_iter().zip(found.versions).enumerate() {
            let line = lines.entry(key.clone()).or_insert_with(|| {
                let row = found.rows.slice(at, 1);
                Line { seen: Some(version), before: Some(row.clone()), now: Some(row) }
            });
            rows.extend(line.now.clone().map(|row| (key, row)));
        }
        self.bounded()?;
        Ok(rows)
    }

    /// Puts a row. One that was not looked at has to be new.
    pub fn put(&mut self, dataset: &'static str, key: &str, row: RecordBatch) {
        let lines = self.lines.entry(dataset).or_default();
        match lines.get_mut(key) {
            Some(line) => line.now = Some(row),
            None => {
                let line = Line { seen: None, before: None, now: Some(row) };
                lines.insert(key.to_owned(), line);
            }
        }
    }

    /// Takes away a row that was looked at.
    pub fn remove(&mut self, dataset: &'static str, key: &str) {
        if let Some(line) = self.lines.get_mut(dataset).and_then(|lines| lines.get_mut(key)) {
            line.now = None;
        }
    }

    /// Adds rows under numbers that were given out for them.
    pub fn add(&mut self, dataset: &'static str, rows: RecordBatch) {
        if rows.num_rows() > 0 {
            self.fresh.entry(dataset).or_default().push(rows);
        }
    }

    /// Has a row be as it was before it was written. What was written last is to be given first.
    pub fn restore(&mut self, undo: Undo) {
        let Undo { dataset, key, before, after } = undo;
        let lines = self.lines.entry(dataset).or_default();
        match lines.get_mut(&key) {
            Some(line) => line.now = before,
            None => {
                lines.insert(key, Line { seen: after, before: None, now: before });
            }
        }
    }

    /// A dataset among whose rows, of those that are to be changed or taken away, is one that the
    /// asker does not act for.
    pub fn others(&self, session: &Session) -> Option<&'static str> {
        let owned = |row: &RecordBatch| {
            let owner = row.column_by_name("owner").and_then(|owner| owner.as_string_opt::<i32>());
            owner.is_some_and(|owner| {
                owner.is_valid(0) && session.principal.organisations.contains(owner.value(0))
            })
        };
        let foreign = |line: &Line| match &line.before {
            Some(before) => line.now.as_ref() != Some(before) && !owned(before),
            None => false,
        };
        let mut datasets = self.lines.iter();
        datasets.find(|(_, lines)| lines.values().any(foreign)).map(|(dataset, _)| *dataset)
    }

    fn bounded(&self) -> Result<(), CityError> {
        let rows: usize = self.lines.values().map(BTreeMap::len).sum();
        if rows <= ROWS_MAX {
            return Ok(());
        }
        let reason = format!(
            "what hangs on it is more than {ROWS_MAX} rows, which one request may change: begin \
             with its Datastreams"
        );
        Err(CityError::TooLarge(reason))
    }

    /// The Datastreams of which observations are corrected.
    fn streams_corrected(&self) -> BTreeSet<i64> {
        let lines = self.lines.get(CORRECTION).into_iter().flat_map(BTreeMap::values);
        let changed = lines.filter(|line| line.before != line.now);
        let rows = changed.filter_map(|line| line.now.as_ref().or(line.before.as_ref()));
        let stream = |row: &RecordBatch| {
            let column = row.column_by_name("datastream")?.as_primitive_opt::<Int64Type>()?;
            column.values().first().copied()
        };
        rows.filter_map(stream).collect()
    }

    /// Do features go or come back? Their observations do, too, and nobody knows them by feature.
    /// Nor is it known of which Datastream a correction is that is taken back.
    fn loses_track(&self) -> bool {
        let lines = |dataset: &str| self.lines.get(dataset).into_iter().flat_map(BTreeMap::values);
        lines(FEATURE).any(|line| line.before.is_some() != line.now.is_some())
            || lines(CORRECTION)
                .any(|line| line.seen.is_some() && line.before.is_none() && line.now.is_none())
    }

    /// Writes all of it in one transaction.
    pub async fn write(self, deed: &StaDeed, verb: &str) -> Result<(), CityError> {
        let streams = self.streams_corrected();
        let loses_track = self.loses_track();
        let Self { city, mut lines, mut fresh } = self;
        let datasets: BTreeSet<&'static str> = lines.keys().chain(fresh.keys()).copied().collect();
        let (mut changes, mut undos, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for dataset in datasets {
            let contract = city.contract(dataset)?;
            let mut page = Page::default();
            for rows in fresh.remove(dataset).unwrap_or_default() {
                page.add(contract, rows)?;
            }
            for (key, line) in lines.remove(dataset).unwrap_or_default() {
                page.take(key, line);
            }
            if page.undo.is_empty() {
                continue;
            }
            undos.push((dataset, std::mem::take(&mut page.undo)));
            let change = page.changes(contract, deed, verb)?;
            told.push((dataset, change.rows.clone()));
            changes.push(change);
        }
        let stamp = Stamp {
            by: deed.session.principal.user.clone(),
            reason: deed.reason.clone(),
            now: deed.now,
            event: None,
        };
        city.live().doubt(streams.iter().copied());
        let written = city.registers().write_together(changes, stamp).await;
        if loses_track {
            city.live().lose_track();
        }
        let streams: Vec<i64> = streams.into_iter().collect();
        if let Err(error) = city.stores().recount(&streams).await {
            // They stay in doubt, and are counted again by the clock.
            tracing::warn!(%error, "observations of a datastream could not be counted");
        }
        let written = written?;
        for (dataset, rows) in told {
            city.sta.feed.tell(dataset, &rows, &[]);
        }
        let mut noted = Vec::new();
        for (dataset, undo) in undos {
            city.tell_who_watches(dataset, undo.len() as u64);
            let versions: HashMap<&str, i64> = written
                .get(dataset)
                .into_iter()
                .flatten()
                .map(|written| (written.key.as_str(), written.version))
                .collect();
            for (key, before, stands) in undo {
                let after = versions.get(key.as_str()).copied().filter(|_| stands);
                noted.push(Undo { dataset, key, before, after });
            }
        }
        deed.note_rows(noted);
        Ok(())
    }
}

/// What becomes of one dataset's rows.
#[derive(Default)]
struct Page {
    rows: Vec<RecordBatch>,
    removes: Vec<String>,
    seen: Vec<(String, Option<i64>)>,
    fresh: Vec<String>,
    /// Of each row that is written: its key, how it was, and whether it stands afterwards.
    undo: Vec<(String, Option<RecordBatch>, bool)>,
}

impl Page {
    fn add(&mut self, contract: &Contract, rows: RecordBatch) -> Result<(), CityError> {
        let keys = key_of(contract, &rows)?;
        self.undo.extend(keys.iter().map(|key| (key.clone(), None, true)));
        self.fresh.extend(keys);
        self.rows.push(rows);
        Ok(())
    }

    fn take(&mut self, key: String, line: Line) {
        let Line { seen, before, now } = line;
        self.seen.push((key.clone(), seen));
        let is_there = seen.is_some();
        match now {
            Some(now) if before.as_ref() != Some(&now) => {
                self.rows.push(now);
                self.undo.push((key, before, true));
            }
            None if is_there => {
                self.removes.push(key.clone());
                self.undo.push((key, before, false));
            }
            _ => {}
        }
    }

    fn changes<'a>(
        self,
        contract: &'a Contract,
        deed: &StaDeed,
        verb: &str,
    ) -> Result<Changes<'a>, CityError> {
        let rows = concat_batches(&contract.arrow_schema(), &self.rows)?;
        let principal = &deed.session.principal;
        let action = format!("sensing.{verb}");
        let event = Event::new(&principal.user, &principal.organisation, &action, &contract.id);
        let detail = json!({ "rows": rows.num_rows(), "removed": self.removes.len() });
        Ok(Changes {
            contract,
            rows,
            removes: self.removes,
            seen: self.seen,
            fresh: self.fresh,
            event: Some(event.detail(detail)),
        })
    }
}

/// The row with another value in one column.
pub(super) fn with(
    row: &RecordBatch,
    column: &str,
    value: ArrayRef,
) -> Result<RecordBatch, CityError> {
    let at = row.schema().index_of(column)?;
    let mut columns = row.columns().to_vec();
    columns[at] = value;
    Ok(RecordBatch::try_new(row.schema(), columns)?)
}
