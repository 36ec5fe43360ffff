//! A table of cells to a chunk: which rows there are, their columns, and the bad ones set aside.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::bounds::{BAD_ROWS_PER_CHUNK_MAX, RAW_BYTES_MAX};
use crate::chunk::{BadRow, Chunk, Reason, raw_text};
use crate::columns::{Column, Reader, Row};
use crate::drift::Retyped;
use crate::error::IntakeError;
use crate::excel::push_csv;
use crate::plan::{Plan, Wide};
use crate::table::{Fault, Record, Table};
use crate::text::trim;

/// Where a chunk's rows stand in the file. Holds the block's text, so that a row's own can be
/// shown for as long as the chunk is there.
pub struct Origin {
    plan: Arc<Plan>,
    table: Table,
    rows: Vec<Row>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl Origin {
    /// The physical line, from 1, on which the record of a row of [`Chunk::rows`] starts; the row
    /// in formats without lines.
    pub fn line(&self, row: usize) -> u64 {
        self.table.records[self.rows[row].record as usize].line
    }

    /// The row's record as the file has it; `None` if that is longer than [`RAW_BYTES_MAX`].
    pub fn raw(&self, row: usize) -> Option<String> {
        let raw = record_text(&self.plan, &self.table, self.rows[row]);
        (raw.len() <= RAW_BYTES_MAX).then(|| raw_text(&raw))
    }
}

/// Reads a whole table; `seq` and `bytes_read` are passed through.
pub fn chunk(
    plan: &Arc<Plan>,
    table: Table,
    seq: u64,
    bytes_read: u64,
) -> Result<Chunk, IntakeError> {
    let (mut origins, skipped) = rows(plan, &table, table.records.len());
    let reader = Reader { plan, table: &table, rows: &origins };
    let columns: Vec<Column> = plan.fields.iter().map(|field| reader.column(field)).collect();
    let mut bad = faulty(plan, &table);
    let refused = columns.iter().map(|column| column.refused.len()).sum::<usize>();
    // Before any more of them are written down: a whole block of bad rows takes many times its
    // own length.
    let most = columns.iter().map(|column| column.refused.len()).max().unwrap_or(0);
    if table.faults.len() + most > BAD_ROWS_PER_CHUNK_MAX {
        let first = match (bad.first(), columns.iter().find_map(|c| c.refused.first())) {
            (Some(bad), _) => bad.message.clone(),
            (None, refused) => refused.map_or_else(String::new, |(_, r)| r.message.clone()),
        };
        return Err(too_many(plan, &table, table.faults.len() + most, first));
    }
    let arrays: Vec<ArrayRef> = columns.iter().map(|column| column.array.clone()).collect();
    let arrays = if refused == 0 {
        arrays
    } else {
        let keep = set_aside(plan, &table, &origins, &columns, &mut bad);
        let mut kept = keep.iter();
        origins.retain(|_| kept.next() == Some(&true));
        let keep = BooleanArray::from(keep);
        arrays
            .iter()
            .map(|array| filter(array, &keep))
            .collect::<Result<_, _>>()
            .expect("all columns are as long as the rows")
    };
    if bad.len() > BAD_ROWS_PER_CHUNK_MAX {
        return Err(too_many(plan, &table, bad.len(), bad[0].message.clone()));
    }
    let length = arrays.first().map_or(0, |array| array.len());
    let options = RecordBatchOptions::new().with_row_count(Some(length));
    let rows = RecordBatch::try_new_with_options(plan.schema.clone(), arrays, &options)
        .expect("every column was built for its field, and required ones have no nulls left");
    let origin = Arc::new(Origin { plan: Arc::clone(plan), table, rows: origins });
    Ok(Chunk { seq, rows, bad, skipped, bytes_read, origin })
}

fn too_many(plan: &Plan, table: &Table, count: usize, first: String) -> IntakeError {
    let places = table.records.iter().chain(table.faults.iter().map(|(record, _)| record));
    let line = places.map(|record| record.line).min().unwrap_or(1);
    let (dataset, max) = (plan.dataset.clone(), BAD_ROWS_PER_CHUNK_MAX);
    IntakeError::TooManyBadRows { dataset, count, line, max, first }
}

/// The rows that the first `records` records of a table stand for, and how many are skipped.
fn rows(plan: &Plan, table: &Table, records: usize) -> (Vec<Row>, u64) {
    let wide = plan.wide.as_ref().map_or(1, |wide| wide.columns.len());
    let mut rows = Vec::with_capacity(records.saturating_mul(wide.min(64)));
    let mut skipped = 0;
    let reader = Reader { plan, table, rows: &[] };
    for at in 0..records {
        if !plan.skip.is_empty() && is_skipped(plan, table, at) {
            skipped += 1;
            continue;
        }
        let record = u32::try_from(at).expect("a block has far fewer records than 2^32");
        match &plan.wide {
            None => rows.push(Row { record, wide: 0 }),
            Some(wide) => {
                for (number, column) in wide.columns.iter().enumerate() {
                    if reader.cell(at, column.column).is_some() {
                        let wide = u32::try_from(number).expect("columns are bounded");
                        rows.push(Row { record, wide });
                    }
                }
            }
        }
    }
    (rows, skipped)
}

fn is_skipped(plan: &Plan, table: &Table, record: usize) -> bool {
    plan.skip.iter().any(|(column, values)| {
        let cell = trim(table.cell(record, *column).unwrap_or_default());
        values.iter().any(|value| value.as_bytes() == cell)
    })
}

/// Bad rows for the records that could not be cut into cells, as far as there may be any.
fn faulty(plan: &Plan, table: &Table) -> Vec<BadRow> {
    let of = |(record, fault): &(Record, Fault)| {
        let (reason, message) = match fault {
            Fault::UnclosedQuote => {
                (Reason::Syntax, "expected a closing quote, found none".to_owned())
            }
            Fault::TooLong => {
                let max = crate::bounds::RECORD_BYTES_MAX;
                (Reason::TooLong, format!("expected a record of at most {max} bytes"))
            }
            Fault::Columns(found) => {
                let expected = plan.header.names.len();
                (Reason::Columns, format!("expected {expected} cells, found {found}"))
            }
            Fault::NewColumn(name) => {
                (Reason::Columns, format!("expected the columns of the first rows, found `{name}`"))
            }
            Fault::Syntax(problem) => (Reason::Syntax, problem.clone()),
        };
        let (line, raw) = (record.line, raw_text(table.text(*record)));
        BadRow { line, raw, field: None, reason, message }
    };
    table.faults.iter().take(BAD_ROWS_PER_CHUNK_MAX).map(of).collect()
}

/// Adds a bad row for each row that some column refused, with the first such column's reason;
/// returns which rows are left.
fn set_aside(
    plan: &Plan,
    table: &Table,
    rows: &[Row],
    columns: &[Column],
    bad: &mut Vec<BadRow>,
) -> Vec<bool> {
    let mut keep = vec![true; rows.len()];
    for (field, column) in plan.fields.iter().zip(columns) {
        for (row, refusal) in &column.refused {
            if !std::mem::replace(&mut keep[*row], false) {
                continue;
            }
            bad.push(BadRow {
                line: table.records[rows[*row].record as usize].line,
                raw: raw_text(&record_text(plan, table, rows[*row])),
                field: Some(field.name.clone()),
                reason: refusal.reason,
                message: refusal.message.clone(),
            });
        }
    }
    bad.sort_by_key(|row| row.line);
    keep
}

/// What the file says of a row.
fn record_text<'a>(plan: &Plan, table: &'a Table, row: Row) -> Cow<'a, [u8]> {
    match &plan.wide {
        None => table.raw(row.record as usize),
        Some(wide) => Cow::Owned(wide_raw(wide, table, row)),
    }
}

/// One row of a wide record, as CSV: the cells that gave its other rows are empty, so that taking
/// it again gives this row alone.
fn wide_raw(wide: &Wide, table: &Table, row: Row) -> Vec<u8> {
    let mut others = vec![false; table.columns];
    for (number, column) in wide.columns.iter().enumerate() {
        others[column.column] = number != row.wide as usize;
    }
    let mut raw = Vec::new();
    for (column, other) in others.iter().enumerate() {
        if column > 0 {
            raw.push(b',');
        }
        let cell = table.cell(row.record as usize, column).filter(|_| !other);
        push_csv(&mut raw, cell.unwrap_or_default());
    }
    raw
}

/// Fields most of whose values in the first `records` records are not of the field's type.
pub fn retyped(plan: &Plan, table: &Table, records: usize) -> Vec<Retyped> {
    let (rows, _) = rows(plan, table, records.min(table.records.len()));
    let reader = Reader { plan, table, rows: &rows };
    let mut found = Vec::new();
    for field in &plan.fields {
        let column = reader.column(field);
        if column.array.len() != rows.len() {
            continue;
        }
        let mut refusals =
            column.refused.iter().filter(|(_, refusal)| refusal.reason != Reason::Required);
        let Some((_, first)) = refusals.next() else { continue };
        let refused = 1 + refusals.count();
        let of = column.array.len() - column.array.null_count() + refused;
        let structural = matches!(first.reason, Reason::Type | Reason::AreaCode | Reason::Geometry);
        if structural && refused * 2 > of && of >= RETYPED_VALUES_MIN {
            found.push(Retyped {
                field: field.name.clone(),
                expected: format!("{:?}", field.ty).to_lowercase(),
                found: first.message.clone(),
                refused,
                of,
            });
        }
    }
    found
}

/// Fewer values than these say nothing about a column.
const RETYPED_VALUES_MIN: usize = 5;
