//! Where records and cells of separated text begin and end.
//!
//! RFC 4180 with the leniency that real files need: a quote opens a quoted cell only at the cell's
//! start, so that `5" pipe` is text; a quote that nothing closes spoils its own line, not the rest
//! of the file; lines may end in CR LF or LF; empty lines are passed over.
//!
//! The reader, which cuts a file into blocks, and the parsers, which cut blocks into cells, both
//! decide by [`record_end`], so that they cannot disagree. Text without any quote, which is most of
//! it, takes a short cut: one vectorised search for separator and newline together.

use memchr::{memchr, memchr_iter, memchr2_iter, memrchr};

use crate::bounds::RECORD_BYTES_MAX;
use crate::table::{Fault, Table};

/// What follows the start of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordEnd {
    /// The record ends before this, its newline included.
    At(usize),
    /// A quote is never closed. The next record starts here.
    Unclosed(usize),
    /// More text is needed to tell.
    Incomplete,
}

/// Finds the end of the record that starts at `start`. `last`: no text follows `text`.
pub fn record_end(text: &[u8], start: usize, delimiter: u8, last: bool) -> RecordEnd {
    let mut at = start;
    let mut newline = memchr(b'\n', &text[start..]).map(|offset| start + offset);
    loop {
        if newline.is_some_and(|end| end < at) {
            newline = memchr(b'\n', &text[at..]).map(|offset| at + offset);
        }
        let line_end = newline.unwrap_or(text.len());
        let Some(quote) = opening_quote(text, start, at, line_end, delimiter) else {
            return match newline {
                Some(end) => RecordEnd::At(end + 1),
                None if last => RecordEnd::At(text.len()),
                None => RecordEnd::Incomplete,
            };
        };
        let limit = start.saturating_add(RECORD_BYTES_MAX).min(text.len());
        match closing_quote(text, quote + 1, limit) {
            Some(close) => at = close + 1,
            None if last || limit < text.len() => {
                let line = memchr(b'\n', &text[start..]).map(|offset| start + offset + 1);
                return RecordEnd::Unclosed(line.unwrap_or(text.len()));
            }
            None => return RecordEnd::Incomplete,
        }
    }
}

/// The first quote in `at..end` that stands at the start of a cell.
fn opening_quote(text: &[u8], start: usize, at: usize, end: usize, delimiter: u8) -> Option<usize> {
    memchr_iter(b'"', text.get(at..end)?)
        .map(|offset| at + offset)
        .find(|&quote| quote == start || (quote > at && text[quote - 1] == delimiter))
}

/// The quote before `limit` that ends a quoted cell; doubled ones stand for themselves.
fn closing_quote(text: &[u8], mut at: usize, limit: usize) -> Option<usize> {
    loop {
        let quote = at + memchr(b'"', text.get(at..limit)?)?;
        if text.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        at = quote + 2;
    }
}

/// The end of the last whole record in `text`, which starts at a record. 0: there is none.
pub fn last_record_end(text: &[u8], delimiter: u8) -> usize {
    if memchr(b'"', text).is_none() {
        return memrchr(b'\n', text).map_or(0, |newline| newline + 1);
    }
    let mut at = 0;
    while at < text.len() {
        match record_end(text, at, delimiter, false) {
            RecordEnd::At(end) | RecordEnd::Unclosed(end) => at = end,
            RecordEnd::Incomplete => break,
        }
    }
    at
}

/// Cuts the table's text from `start` on, a whole number of records, into records and cells.
pub fn split(table: &mut Table, start: usize, first_line: u64, delimiter: u8) {
    let text = std::mem::take(&mut table.body);
    if memchr(b'"', &text[start..]).is_none() {
        split_plain(&text, start, first_line, delimiter, table);
    } else {
        split_quoted(&text, start, first_line, delimiter, table);
    }
    table.body = text;
}

fn split_plain(text: &[u8], start: usize, first_line: u64, delimiter: u8, table: &mut Table) {
    let (mut cell, mut record, mut line) = (start, start, first_line);
    for hit in memchr2_iter(delimiter, b'\n', &text[start..]) {
        let at = start + hit;
        if text[at] == delimiter {
            table.push_cell(cell, at);
        } else {
            end_plain(text, record, cell, at, line, table);
            record = at + 1;
            line += 1;
        }
        cell = at + 1;
    }
    if record < text.len() {
        end_plain(text, record, cell, text.len(), line, table);
    }
}

#[inline]
fn end_plain(text: &[u8], record: usize, cell: usize, end: usize, line: u64, table: &mut Table) {
    let end = if end > cell && text[end - 1] == b'\r' { end - 1 } else { end };
    if end == record {
        table.forget_record();
        return;
    }
    if end - record > RECORD_BYTES_MAX {
        table.end_faulty(record, end, line, Fault::TooLong);
        return;
    }
    table.push_cell(cell, end);
    table.end_record(record, end, line);
}

fn split_quoted(text: &[u8], start: usize, first_line: u64, delimiter: u8, table: &mut Table) {
    let (mut at, mut line) = (start, first_line);
    while at < text.len() {
        let (end, unclosed) = match record_end(text, at, delimiter, true) {
            RecordEnd::At(end) => (end, false),
            RecordEnd::Unclosed(end) => (end, true),
            RecordEnd::Incomplete => unreachable!("a block is whole"),
        };
        let body = trim_newline(text, at, end);
        if unclosed {
            table.end_faulty(at, body, line, Fault::UnclosedQuote);
        } else if body - at > RECORD_BYTES_MAX {
            table.end_faulty(at, body, line, Fault::TooLong);
        } else if body > at {
            split_record(text, at, body, delimiter, table);
            table.end_record(at, body, line);
        }
        line += memchr_iter(b'\n', &text[at..end]).count() as u64;
        at = end;
    }
}

fn trim_newline(text: &[u8], start: usize, mut end: usize) -> usize {
    for byte in [b'\n', b'\r'] {
        if end > start && text[end - 1] == byte {
            end -= 1;
        }
    }
    end
}

/// Cells of one record, `at..end`, whose quotes are known to close.
fn split_record(text: &[u8], start: usize, end: usize, delimiter: u8, table: &mut Table) {
    let mut at = start;
    loop {
        let next = if text.get(at) == Some(&b'"') && at < end {
            quoted_cell(text, at, end, delimiter, table)
        } else {
            let stop = memchr(delimiter, &text[at..end]).map_or(end, |offset| at + offset);
            table.push_cell(at, stop);
            stop
        };
        if next >= end {
            return;
        }
        at = next + 1;
    }
}

/// Pushes the quoted cell at `at`, returns where its separator is.
fn quoted_cell(text: &[u8], at: usize, end: usize, delimiter: u8, table: &mut Table) -> usize {
    let close = closing_quote(text, at + 1, end).unwrap_or(end);
    let after = (close + 1).min(end);
    let stop = memchr(delimiter, &text[after..end]).map_or(end, |offset| after + offset);
    let inner = &text[at + 1..close.max(at + 1)];
    if stop == after && memchr(b'"', inner).is_none() {
        table.push_cell(at + 1, close);
    } else {
        // Doubled quotes, or text behind the closing quote: the cell is put together elsewhere.
        let mut value = Vec::with_capacity(stop - at);
        let mut doubled = false;
        for &byte in inner {
            doubled = byte == b'"' && !doubled;
            if !doubled {
                value.push(byte);
            }
        }
        value.extend_from_slice(&text[after..stop]);
        table.push_scratch(&value);
    }
    stop
}

/// The separator that cuts the first records of `sample` most evenly, `,` where none does.
pub fn guess_delimiter(sample: &[u8]) -> u8 {
    const CANDIDATES: [u8; 4] = [b',', b'\t', b';', b'|'];
    const RECORDS_MAX: usize = 50;
    let score = |delimiter: u8| {
        let mut table = Table::new(0);
        let (mut at, mut counts) = (0, Vec::new());
        while at < sample.len() && counts.len() < RECORDS_MAX {
            let RecordEnd::At(end) = record_end(sample, at, delimiter, false) else { break };
            let body = trim_newline(sample, at, end);
            if body > at {
                let before = table.cells();
                split_record(sample, at, body, delimiter, &mut table);
                counts.push(table.cells() - before);
            }
            at = end;
        }
        let columns = counts.first().copied().unwrap_or(0);
        let even = counts.iter().filter(|&&count| count == columns).count();
        // Evenness first, then the number of columns; one column is no separation at all.
        if columns < 2 { (0, 0) } else { (even * 100 / counts.len(), columns) }
    };
    let mut best = (b',', score(b','));
    for candidate in CANDIDATES {
        let found = score(candidate);
        if found > best.1 {
            best = (candidate, found);
        }
    }
    best.0
}
