//! Excel workbooks (.xlsx): one sheet, its first row of several filled cells the header.
//!
//! The format forces a sheet into memory, so its cells are counted while they are read: a sheet
//! claims a million rows with a single cell, and only filled cells are kept. Cells come typed; they
//! are written as the text that the common path reads back to the same value.

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{Data, ExcelDateTime, Reader as _, Style, Xlsx, open_workbook};

use crate::bounds::{
    COLUMNS_MAX, EXCEL_BYTES_MAX, EXCEL_CELLS_BYTES_MAX, EXCEL_CELLS_MAX, SAMPLE_RECORDS,
    rows_per_block,
};
use crate::error::IntakeError;
use crate::pipeline::{Piece, Work};
use crate::plan::Plan;
use crate::table::Table;
use crate::{Opened, Read, rows, workbook};

/// Titles above the header are passed over, but not more than these.
const TITLE_ROWS_MAX: usize = 10;

pub fn open<'a>(read: &Read<'a>) -> Result<Opened<'a>, IntakeError> {
    let rows = sheet(&read.path, read.options.sheet.as_deref())?;
    let header = header_row(&rows).ok_or_else(|| IntakeError::Empty { path: read.path.clone() })?;
    let cells = &rows[header].cells;
    let first_column = cells.first().map_or(0, |(column, _)| *column);
    let width = cells.last().map_or(0, |(column, _)| (column - first_column) as usize + 1);
    if width > COLUMNS_MAX {
        return Err(IntakeError::TooManyColumns { found: width, max: COLUMNS_MAX });
    }
    let mut names = vec![String::new(); width];
    for (column, cell) in cells {
        text(cell)
            .unwrap_or_default()
            .trim()
            .clone_into(&mut names[(column - first_column) as usize]);
    }
    let (plan, mut drift, mapping) = read.plan(names, false, None)?;
    let headerless = mapping.is_some_and(|mapping| mapping.headerless);
    let bytes = std::fs::metadata(&read.path).map_or(0, |data| data.len());
    let next = if headerless { header } else { header + 1 };
    let columns = plan.header.names.len();
    let sheet = Sheet { rows, next, first_column, columns, bytes };
    drift.retyped = rows::retyped(&plan, &sheet.table(next, SAMPLE_RECORDS), SAMPLE_RECORDS);
    Ok(Opened { plan, drift, mapping, work: Box::new(sheet) })
}

/// A row's filled cells, by ascending column from 0.
struct SheetRow {
    /// From 0, as the sheet counts.
    number: u32,
    cells: Vec<(u32, Data)>,
}

fn problem(problem: impl Into<String>) -> IntakeError {
    IntakeError::Content { format: "Excel", problem: problem.into() }
}

fn sheet(path: &Path, name: Option<&str>) -> Result<Vec<SheetRow>, IntakeError> {
    let bytes = std::fs::metadata(path)
        .map_err(|source| IntakeError::Read { path: path.to_owned(), source })?
        .len();
    if bytes > EXCEL_BYTES_MAX {
        return Err(problem(format!(
            "{bytes} bytes, of which at most {EXCEL_BYTES_MAX} are read: save it as CSV"
        )));
    }
    workbook::check(path).map_err(problem)?;
    // The library counts rows and columns unchecked, so that an absurd cell reference may panic.
    catch_unwind(AssertUnwindSafe(|| cells(path, name)))
        .unwrap_or_else(|_| Err(problem("it is damaged: open it in Excel and save it anew")))
}

fn cells(path: &Path, name: Option<&str>) -> Result<Vec<SheetRow>, IntakeError> {
    let failed = |error: calamine::XlsxError| problem(error.to_string());
    let mut book: Xlsx<BufReader<File>> = open_workbook(path).map_err(failed)?;
    let names = book.sheet_names();
    let name = match name {
        Some(name) if names.iter().any(|known| known == name) => name.to_owned(),
        Some(name) => {
            return Err(problem(format!("no sheet `{name}`: there are {}", names.join(", "))));
        }
        None => names.first().cloned().ok_or_else(|| problem("no sheet in it"))?,
    };
    let mut reader = book.worksheet_cells_reader(&name).map_err(failed)?;
    let mut rows: Vec<SheetRow> = Vec::new();
    let percent: Vec<bool> = reader.styles().iter().map(is_percent).collect();
    let (mut count, mut bytes) = (0, 0);
    while let Some((cell, style)) = reader.next_cell_with_style_id().map_err(failed)? {
        let (number, column) = cell.get_position();
        let value = match Data::from(cell.get_value().clone()) {
            Data::Int(value) if percent.get(style) == Some(&true) => {
                Data::String(in_percent(&value.to_string()))
            }
            Data::Float(value) if percent.get(style) == Some(&true) => {
                Data::String(in_percent(&value.to_string()))
            }
            value => value,
        };
        if value == Data::Empty {
            continue;
        }
        count += 1;
        if count > EXCEL_CELLS_MAX {
            return Err(problem(format!("more than {EXCEL_CELLS_MAX} cells: save it as CSV")));
        }
        // One long text may be shared by every cell.
        if let Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) = &value {
            bytes += text.len();
        }
        if bytes > EXCEL_CELLS_BYTES_MAX {
            let max = EXCEL_CELLS_BYTES_MAX;
            return Err(problem(format!("more than {max} bytes of text: save it as CSV")));
        }
        match rows.last_mut() {
            Some(row) if row.number == number => row.cells.push((column, value)),
            _ => rows.push(SheetRow { number, cells: vec![(column, value)] }),
        }
    }
    rows.sort_by_key(|row| row.number);
    rows.iter_mut().for_each(|row| row.cells.sort_by_key(|(column, _)| *column));
    Ok(rows)
}

/// Whether a cell of this style shows 0.125 as 12.5%. What stands in quotes is no sign.
fn is_percent(style: &Style) -> bool {
    let code = style.number_format.as_ref().map_or("", |format| format.format_code.as_str());
    code.split('"').step_by(2).any(|part| part.contains('%'))
}

/// A decimal as the sheet shows it, a hundredfold with a sign behind: `0.125` → `12.5%`. Without
/// the sign a field whose unit is percent would take the hundredth part of what people see.
fn in_percent(plain: &str) -> String {
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{fraction:0<2}");
    let (moved, rest) = fraction.split_at(2);
    let whole = format!("{whole}{moved}");
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{rest}%")
}

/// The first row with at least two filled cells, or the first with one where none has more.
fn header_row(rows: &[SheetRow]) -> Option<usize> {
    let wide = rows.iter().take(TITLE_ROWS_MAX).position(|row| row.cells.len() >= 2);
    wide.or(if rows.is_empty() { None } else { Some(0) })
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
    rows: Vec<SheetRow>,
    /// Index of the row that comes next.
    next: usize,
    /// Where the header begins.
    first_column: u32,
    columns: usize,
    bytes: u64,
}

impl Sheet {
    /// Rows `from..from + count` as a table; a record's raw text is the row as CSV.
    fn table(&self, from: usize, count: usize) -> Table {
        let mut table = Table::new(self.columns);
        let mut body = Vec::new();
        for row in self.rows.iter().skip(from).take(count) {
            let start = body.len();
            let mut cells: Vec<Option<String>> = vec![None; self.columns];
            let mut outside = false;
            for (column, cell) in &row.cells {
                let column = column.checked_sub(self.first_column).map(|column| column as usize);
                match column.and_then(|column| cells.get_mut(column)) {
                    Some(place) => *place = text(cell),
                    None => outside = true,
                }
            }
            for (column, cell) in cells.iter().enumerate() {
                if column > 0 {
                    body.push(b',');
                }
                match cell {
                    Some(text) => {
                        table.push_scratch(text.as_bytes());
                        push_csv(&mut body, text.as_bytes());
                    }
                    None => table.push_null(),
                }
            }
            if outside {
                // A cell beside the header is one too many.
                table.push_scratch(b"?");
            }
            table.end_record(start, body.len(), u64::from(row.number) + 1);
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
        let height = self.rows.len();
        if self.next >= height {
            return Ok(None);
        }
        let count = rows_per_block(self.columns);
        let table = self.table(self.next, count);
        self.next += count;
        let done = self.next.min(height) as u64 * self.bytes / (height as u64).max(1);
        Ok(Some((Box::new(move |_: &Plan| Ok(table)), done)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_as_they_are_shown() {
        for (plain, shown) in [
            ("0.125", "12.5%"),
            ("0.07", "7%"),
            ("0.0712345", "7.12345%"),
            ("1", "100%"),
            ("0", "0%"),
            ("-0.5", "-50%"),
            ("12.5", "1250%"),
            ("0.001", "0.1%"),
        ] {
            assert_eq!(in_percent(plain), shown, "{plain}");
        }
    }
}
