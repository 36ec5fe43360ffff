//! A block of records as text cells, by position: no cell is copied unless it has to be.

use std::borrow::Cow;

use arrow::record_batch::RecordBatch;

/// Why a whole record is bad, before any cell of it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    UnclosedQuote,
    TooLong,
    /// Cells found.
    Columns(usize),
    /// A key that no earlier object had.
    NewColumn(String),
    /// What a parser of another format said.
    Syntax(String),
}

/// A record's place in the block and in the file.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    pub start: u32,
    pub end: u32,
    /// Physical line on which it starts, from 1.
    pub line: u64,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    /// The length, or one of the two marks above all lengths.
    length: u32,
}

/// The cell is in `scratch`: this bit beside the length.
const IN_SCRATCH: u32 = 1 << 31;
/// There is no cell: null in formats that have it.
const NO_CELL: u32 = u32::MAX;

#[derive(Debug)]
pub struct Table {
    pub body: Vec<u8>,
    scratch: Vec<u8>,
    spans: Vec<Span>,
    /// Cells of a record; every record is padded or cut to them.
    pub columns: usize,
    pub records: Vec<Record>,
    /// Records that have no cells, and why; none of them is in `records`.
    pub faults: Vec<(Record, Fault)>,
    /// The records as typed columns, in formats that have them.
    pub batch: Option<RecordBatch>,
}

fn offset(value: usize) -> u32 {
    u32::try_from(value).expect("blocks are far smaller than 4 GiB")
}

impl Table {
    pub fn new(columns: usize) -> Self {
        Self {
            body: Vec::new(),
            scratch: Vec::new(),
            spans: Vec::new(),
            columns,
            records: Vec::new(),
            faults: Vec::new(),
            batch: None,
        }
    }

    /// A table over `body`, with room for the cells that so many bytes probably hold.
    pub fn over(body: Vec<u8>, columns: usize) -> Self {
        const BYTES_PER_CELL: usize = 6;
        let cells = body.len() / BYTES_PER_CELL;
        let mut table = Self::new(columns);
        table.spans.reserve(cells);
        table.records.reserve(cells / columns.max(1));
        table.body = body;
        table
    }

    pub fn cells(&self) -> usize {
        self.spans.len()
    }

    #[inline]
    pub fn push_cell(&mut self, start: usize, end: usize) {
        self.spans.push(Span { start: offset(start), length: offset(end - start) });
    }

    pub fn push_scratch(&mut self, value: &[u8]) {
        let start = offset(self.scratch.len());
        self.scratch.extend_from_slice(value);
        self.spans.push(Span { start, length: offset(value.len()) | IN_SCRATCH });
    }

    pub fn push_null(&mut self) {
        self.spans.push(Span { start: 0, length: NO_CELL });
    }

    /// Drops the cells pushed since the last record: the line was empty.
    pub fn forget_record(&mut self) {
        self.spans.truncate(self.records.len() * self.columns);
    }

    /// Closes the record whose cells have been pushed.
    #[inline]
    pub fn end_record(&mut self, start: usize, end: usize, line: u64) {
        let cells = self.spans.len() - self.records.len() * self.columns;
        if cells != self.columns && !self.fits(cells) {
            self.end_faulty(start, end, line, Fault::Columns(cells));
            return;
        }
        self.records.push(Record { start: offset(start), end: offset(end), line });
    }

    /// Closes a record that could not be cut into cells.
    #[cold]
    pub fn end_faulty(&mut self, start: usize, end: usize, line: u64, fault: Fault) {
        self.forget_record();
        self.faults.push((Record { start: offset(start), end: offset(end), line }, fault));
    }

    /// Empty cells behind the last column are nobody's loss, and are taken off.
    #[cold]
    fn fits(&mut self, cells: usize) -> bool {
        let first = self.records.len() * self.columns;
        let extra = self.spans.get(first + self.columns..).unwrap_or_default();
        let fits = cells > self.columns && extra.iter().all(|span| span.length & !IN_SCRATCH == 0);
        if fits {
            self.spans.truncate(first + self.columns);
        }
        fits
    }

    /// The cell's text; `None` is null.
    #[inline]
    pub fn cell(&self, record: usize, column: usize) -> Option<&[u8]> {
        let Span { start, length } = self.spans[record * self.columns + column];
        let start = start as usize;
        if length < IN_SCRATCH {
            Some(&self.body[start..start + length as usize])
        } else if length == NO_CELL {
            None
        } else {
            Some(&self.scratch[start..start + (length & !IN_SCRATCH) as usize])
        }
    }

    /// The record as the file has it.
    pub fn raw(&self, record: usize) -> Cow<'_, [u8]> {
        match &self.batch {
            Some(batch) => Cow::Owned(crate::parquet::raw(batch, record)),
            None => Cow::Borrowed(self.text(self.records[record])),
        }
    }

    pub fn text(&self, record: Record) -> &[u8] {
        &self.body[record.start as usize..record.end as usize]
    }
}
