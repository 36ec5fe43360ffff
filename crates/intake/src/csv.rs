//! Separated text: opens it, reads its header, and cuts it into pieces for the parsers.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::blocks::{Block, Blocks};
use crate::bounds::{
    BLOCK_BYTES, BLOCK_WIDE_BYTES, COLUMNS_MAX, RECORD_BYTES_MAX, SAMPLE_BYTES, SAMPLE_RECORDS,
};
use crate::error::IntakeError;
use crate::pipeline::{Piece, Work};
use crate::plan::Plan;
use crate::source::{self, Source};
use crate::split::{RecordEnd, guess_delimiter, last_record_end, record_end, split};
use crate::table::{Fault, Table};
use crate::text::trim;
use crate::{Opened, Read, rows};

pub fn open<'a>(read: &Read<'a>) -> Result<Opened<'a>, IntakeError> {
    let source = source::open(&read.path, read.options.encoding.as_deref())?;
    from_source(read, source, None)
}

/// The same from text that need not be a file; `block_bytes` overrules how it is cut.
pub fn from_source<'a>(
    read: &Read<'a>,
    mut source: Source,
    block_bytes: Option<usize>,
) -> Result<Opened<'a>, IntakeError> {
    let error = |source| IntakeError::Read { path: read.path.clone(), source };
    let mut head = Vec::new();
    (&mut source.reader).take(SAMPLE_BYTES as u64).read_to_end(&mut head).map_err(error)?;
    let delimiter = read.options.delimiter.unwrap_or_else(|| guess_delimiter(&head));
    let (names, header_end, header_lines) =
        header(&head, delimiter).ok_or_else(|| IntakeError::Empty { path: read.path.clone() })?;
    if names.is_empty() {
        let problem = "its header has a quote that is never closed".to_owned();
        return Err(IntakeError::Content { format: "CSV", problem });
    }
    if names.len() > COLUMNS_MAX {
        return Err(IntakeError::TooManyColumns { found: names.len(), max: COLUMNS_MAX });
    }
    let (plan, mut drift, mapping) = read.plan(names, source.transcoded, None)?;
    let headerless = mapping.is_some_and(|mapping| mapping.headerless);
    let (skip_bytes, skip_lines) = if headerless { (0, 0) } else { (header_end, header_lines) };
    let sample_end = last_record_end(&head, delimiter).max(skip_bytes);
    let sample_end = if head.len() < SAMPLE_BYTES { head.len() } else { sample_end };
    let mut sample = Table::over(head[..sample_end].to_vec(), plan.header.names.len());
    split(&mut sample, skip_bytes, 1 + skip_lines, delimiter);
    drift.retyped = rows::retyped(&plan, &sample, SAMPLE_RECORDS);
    let usual = if plan.wide.is_some() { BLOCK_WIDE_BYTES } else { BLOCK_BYTES };
    let block_bytes = block_bytes.unwrap_or(usual);
    let rest = std::io::Cursor::new(head.split_off(skip_bytes)).chain(source.reader);
    let cut = move |text: &[u8], _| last_record_end(text, delimiter);
    let pieces = Pieces {
        blocks: Blocks::new(Box::new(rest), block_bytes, RECORD_BYTES_MAX, Box::new(cut))
            .starting_on(1 + skip_lines),
        delimiter,
        position: source.position,
        path: read.path.clone(),
    };
    Ok(Opened { plan, drift, mapping, work: Box::new(pieces) })
}

/// The names in the first line that is not empty, where the next record starts, and how many lines
/// lie before it.
fn header(head: &[u8], delimiter: u8) -> Option<(Vec<String>, usize, u64)> {
    let mut at = 0;
    while at < head.len() {
        let end = match record_end(head, at, delimiter, true) {
            RecordEnd::At(end) | RecordEnd::Unclosed(end) => end,
            RecordEnd::Incomplete => return None,
        };
        if trim(&head[at..end]).is_empty() {
            at = end;
            continue;
        }
        let lines = memchr::memchr_iter(b'\n', &head[..end]).count() as u64;
        return Some((names(&head[at..end], delimiter), end, lines));
    }
    None
}

fn names(record: &[u8], delimiter: u8) -> Vec<String> {
    // Only the number of cells is not known yet: as many as there could be.
    let width = memchr::memchr_iter(delimiter, record).count() + 1;
    let mut table = Table::over(record.to_vec(), width);
    split(&mut table, 0, 1, delimiter);
    if table.records.is_empty() {
        return Vec::new();
    }
    let cells = (0..width).map_while(|column| table.cell(0, column));
    cells.map(|cell| String::from_utf8_lossy(trim(cell)).into_owned()).collect()
}

struct Pieces {
    blocks: Blocks,
    delimiter: u8,
    position: Arc<AtomicU64>,
    path: std::path::PathBuf,
}

impl Work for Pieces {
    fn next(&mut self) -> Result<Option<(Piece, u64)>, IntakeError> {
        let block = self.blocks.next();
        let block =
            block.map_err(|source| IntakeError::Read { path: self.path.clone(), source })?;
        let Some(block) = block else { return Ok(None) };
        let delimiter = self.delimiter;
        let piece = move |plan: &Plan| Ok(table(plan, block, delimiter));
        Ok(Some((Box::new(piece), self.position.load(Ordering::Relaxed))))
    }
}

fn table(plan: &Plan, block: Block, delimiter: u8) -> Table {
    let columns = plan.header.names.len();
    let Block { text, first_line, oversized } = block;
    let mut table = Table::over(text, columns);
    if oversized {
        let end = table.body.len();
        table.end_faulty(0, end, first_line, Fault::TooLong);
    } else {
        split(&mut table, 0, first_line, delimiter);
    }
    table
}
