//! What comes out: chunks of good rows, and the bad ones with their reasons.

use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use crate::bounds::RAW_BYTES_MAX;
use crate::rows::Origin;

/// The rows of one block of the file.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// From 0, without gaps; the same for the same file in every run.
    pub seq: u64,
    /// In the contract's Arrow schema.
    pub rows: RecordBatch,
    pub bad: Vec<BadRow>,
    /// Rows that the mapping's `skip` left out.
    pub skipped: u64,
    /// Bytes of the file (compressed, if it is) read up to here.
    pub bytes_read: u64,
    /// Where each of `rows` stands in the file.
    pub origin: Arc<Origin>,
}

/// A row that does not fit its contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Physical line, from 1, on which the record starts; the row in formats without lines.
    pub line: u64,
    /// The record as the file has it, cut to [`RAW_BYTES_MAX`].
    pub raw: String,
    pub field: Option<String>,
    pub reason: Reason,
    /// What was expected and what was found.
    pub message: String,
}

/// Why a row is bad, as a code that can be counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A required field has no value.
    Required,
    /// The text is not of the field's type.
    Type,
    /// The value is not among the field's codes, or in no table of the mapping.
    Code,
    /// Not an area code.
    AreaCode,
    /// Not an identity number by GB 11643.
    IdentityNumber,
    /// Coordinates that are none, or a geometry that cannot be read.
    Geometry,
    /// Bytes that are no text in the file's encoding.
    Encoding,
    /// A field or record longer than any that is read.
    TooLong,
    /// More or fewer cells than columns.
    Columns,
    /// A quote that is never closed, or JSON that is none.
    Syntax,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Type => "type",
            Self::Code => "code",
            Self::AreaCode => "area_code",
            Self::IdentityNumber => "identity_number",
            Self::Geometry => "geometry",
            Self::Encoding => "encoding",
            Self::TooLong => "too_long",
            Self::Columns => "columns",
            Self::Syntax => "syntax",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The beginning of a record as text; bytes that are no text are replaced.
pub fn raw_text(record: &[u8]) -> String {
    let mut cut = record.len().min(RAW_BYTES_MAX);
    // Not within a character: its continuation bytes are 0b10xxxxxx.
    while cut > 0 && cut < record.len() && record[cut] & 0xC0 == 0x80 {
        cut -= 1;
    }
    String::from_utf8_lossy(&record[..cut]).into_owned()
}
