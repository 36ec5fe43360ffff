//! Excel workbooks: one sheet, its first row of several filled cells the header.
//!
//! The format forces the whole sheet into memory, so files are limited in size. Cells come typed;
//! they are written as the text that the common path reads back to the same value.

use std::path::Path;

use calamine::{Data, ExcelDateTime, Range, Reader as _, open_workbook_auto};

use crate::bounds::{BLOCK_ROWS, COLUMNS_MAX, EXCEL_BYTES_MAX, SAMPLE_RECORDS};
use crate::error::IntakeError;
use crate::pipeline::{Piece, Work};
use crate::plan::Plan;
use crate::table::Table;
use crate::{Opened, Read, rows};

/// Titles above the header are passed over, but not more than these.
const TITLE_ROWS_MAX: usize = 10;

pub fn open<'a>(read: &Read<'a>) -> Result<Opened<'a>, IntakeError> {
    let sheet = sheet(&read.path, read.options.sheet.as_deref())?;
    let empty = || IntakeError::Empty { path: read.path.clone() };
    let header = header_row(&sheet).ok_or_else(empty)?;
    let names: Vec<String> = sheet
        .rows()
        .nth(header)
        .ok_or_else(empty)?
        .iter()
        .map(|cell| text(cell).unwrap_or_default().trim().to_owned())
        .collect();
    if names.len() > COLUMNS_MAX {
        return Err(IntakeError::TooManyColumns { found: names.len(), max: COLUMNS_MAX });
    }
    let (plan, mut drift, mapping) = read.plan(names, false, None)?;
    let headerless = mapping.is_some_and(|mapping| mapping.headerless);
    let bytes = std::fs::metadata(&read.path).map_or(0, |data| data.len());
    let next = if headerless { header } else { header + 1 };
    let sheet = Sheet { rows: sheet, next, columns: plan.header.names.len(), bytes };
    drift.retyped = rows::retyped(&plan, &sheet.table(next, SAMPLE_RECORDS), SAMPLE_RECORDS);
    Ok(Opened { plan, drift, mapping, work: Box::new(sheet) })
}

fn sheet(path: &Path, name: Option<&str>) -> Result<Range<Data>, IntakeError> {
    let problem = |problem: String| IntakeError::Content { format: "Excel", problem };
    let bytes = std::fs::metadata(path)
        .map_err(|source| IntakeError::Read { path: path.to_owned(), source })?
        .len();
    if bytes > EXCEL_BYTES_MAX {
        return Err(problem(format!(
            "{bytes} bytes, of which at most {EXCEL_BYTES_MAX} are read: save it as CSV"
        )));
    }
    let mut book = open_workbook_auto(path).map_err(|error| problem(error.to_string()))?;
    let names = book.sheet_names();
    let name = match name {
        Some(name) if names.iter().any(|known| known == name) => name.to_owned(),
        Some(name) => {
            return Err(problem(format!("no sheet `{name}`: there are {}", names.join(", "))));
        }
        None => names.first().cloned().ok_or_else(|| problem("no sheet in it".to_owned()))?,
    };
    book.worksheet_range(&name).map_err(|error| problem(error.to_string()))
}

/// The first row with at least two filled cells, or the first with one where none has more.
fn header_row(sheet: &Range<Data>) -> Option<usize> {
    let filled: Vec<usize> = sheet
        .rows()
        .take(TITLE_ROWS_MAX)
        .map(|row| row.iter().filter(|cell| **cell != Data::Empty).count())
        .collect();
    let wide = filled.iter().position(|count| *count >= 2);
    wide.or_else(|| filled.iter().position(|count| *count > 0))
}

/// A cell as text; `None`: it is empty.
fn text(cell: &Data) -> Option<String> {
    Some(match cell {
        Data::Empty => return None,
        Data::Int(value) => value.to_string(),
        // Integers of any size a sheet holds print without a point.
        Data::Float(value) => value.to_string(),
        Data::Bool(value) => value.to_string(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::DateTime(time) => date_time(*time),
        Data::Error(error) => error.to_string(),
    })
}

fn date_time(time: ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, millisecond) = time.to_ymd_hms_milli();
    if (hour, minute, second, millisecond) == (0, 0, 0, 0) {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millisecond:03}")
}

struct Sheet {
    rows: Range<Data>,
    /// Row of the range that comes next.
    next: usize,
    columns: usize,
    bytes: u64,
}

impl Sheet {
    /// Rows `from..from + count` as a table; a record's raw text is the row as CSV.
    fn table(&self, from: usize, count: usize) -> Table {
        let mut table = Table::new(self.columns);
        let first_line = self.rows.start().map_or(0, |(row, _)| u64::from(row)) + 1;
        let mut body = Vec::new();
        for (at, row) in self.rows.rows().enumerate().skip(from).take(count) {
            if row.iter().all(|cell| *cell == Data::Empty) {
                continue;
            }
            let start = body.len();
            for (column, cell) in row.iter().enumerate() {
                if column > 0 {
                    body.push(b',');
                }
                match text(cell) {
                    Some(text) => {
                        table.push_scratch(text.as_bytes());
                        push_csv(&mut body, text.as_bytes());
                    }
                    None => table.push_null(),
                }
            }
            table.end_record(start, body.len(), first_line + at as u64);
        }
        table.body = body;
        table
    }
}

/// Appends a cell as CSV has it.
pub fn push_csv(out: &mut Vec<u8>, cell: &[u8]) {
    if !cell.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(cell);
        return;
    }
    out.push(b'"');
    for &byte in cell {
        out.extend_from_slice(if byte == b'"' { b"\"\"" } else { std::slice::from_ref(&byte) });
    }
    out.push(b'"');
}

impl Work for Sheet {
    fn next(&mut self) -> Result<Option<(Piece, u64)>, IntakeError> {
        let height = self.rows.height();
        if self.next >= height {
            return Ok(None);
        }
        let table = self.table(self.next, BLOCK_ROWS);
        self.next += BLOCK_ROWS;
        let done = self.next.min(height) as u64 * self.bytes / (height as u64).max(1);
        Ok(Some((Box::new(move |_: &Plan| Ok(table)), done)))
    }
}
