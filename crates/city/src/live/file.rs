//! The memory as a file, so that a start reads only the rows that came since.
//!
//! ```text
//!  magic, version │ watermark, rows of the lake, marks of the registers, entries │ entries │ SHA-256
//! ```
//!
//! The watermark is the lake's own time of the newest row that is counted: rows with a later one
//! came since. A file that is cut, of another version, or from before a correction is not read.

use sha2::{Digest, Sha256};

use super::entry::{ENTRY_BYTES, Entry, take};

const MAGIC: [u8; 8] = *b"SHUJLIVE";
/// Grows with every change of the layout: an older file is made anew, not read.
const VERSION: u32 = 1;
const SUM_BYTES: usize = 32;
const RECORD_BYTES: usize = 8 + ENTRY_BYTES;

/// How the corrections and what is gone were when the memory was kept. Where they are otherwise,
/// the entries are, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks {
    pub corrected_us: i64,
    pub corrections: u64,
    pub corrections_gone: u64,
    pub features_gone: u64,
    /// Of their numbers, wrapping.
    pub features_sum: i64,
}

/// What stands before the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// µs UTC.
    pub watermark_us: i64,
    /// Rows of the lake that are counted.
    pub rows: u64,
    pub marks: Marks,
}

/// A file on its way to the disk.
pub(super) struct Writer {
    bytes: Vec<u8>,
    entries: u64,
    /// Where the number of entries stands.
    count_at: usize,
}

impl Writer {
    pub fn new(head: &Head) -> Self {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(head.watermark_us.to_le_bytes());
        bytes.extend(head.rows.to_le_bytes());
        bytes.extend(head.marks.corrected_us.to_le_bytes());
        bytes.extend(head.marks.corrections.to_le_bytes());
        bytes.extend(head.marks.corrections_gone.to_le_bytes());
        bytes.extend(head.marks.features_gone.to_le_bytes());
        bytes.extend(head.marks.features_sum.to_le_bytes());
        let count_at = bytes.len();
        bytes.extend(0u64.to_le_bytes());
        Self { bytes, entries: 0, count_at }
    }

    pub fn entry(&mut self, datastream: i64, entry: &Entry) {
        self.bytes.extend(datastream.to_le_bytes());
        entry.write(&mut self.bytes);
        self.entries += 1;
    }

    pub fn finish(mut self) -> Vec<u8> {
        let count = self.entries.to_le_bytes();
        self.bytes[self.count_at..self.count_at + count.len()].copy_from_slice(&count);
        let sum = Sha256::digest(&self.bytes);
        self.bytes.extend_from_slice(&sum);
        self.bytes
    }
}

/// A file that was read and is whole.
pub(super) struct Reader<'b> {
    pub head: Head,
    entries: &'b [u8],
}

impl<'b> Reader<'b> {
    /// None where the file is not whole, or of another version.
    pub fn of(bytes: &'b [u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_BYTES)?)?;
        if Sha256::digest(body).as_slice() != sum {
            return None;
        }
        let mut rest = body;
        if take::<8>(&mut rest)? != MAGIC || u32::from_le_bytes(take(&mut rest)?) != VERSION {
            return None;
        }
        let head = Head {
            watermark_us: i64::from_le_bytes(take(&mut rest)?),
            rows: u64::from_le_bytes(take(&mut rest)?),
            marks: Marks {
                corrected_us: i64::from_le_bytes(take(&mut rest)?),
                corrections: u64::from_le_bytes(take(&mut rest)?),
                corrections_gone: u64::from_le_bytes(take(&mut rest)?),
                features_gone: u64::from_le_bytes(take(&mut rest)?),
                features_sum: i64::from_le_bytes(take(&mut rest)?),
            },
        };
        let entries = usize::try_from(u64::from_le_bytes(take(&mut rest)?)).ok()?;
        (entries.checked_mul(RECORD_BYTES)? == rest.len()).then_some(Self { head, entries: rest })
    }

    pub fn each(self, mut take_in: impl FnMut(i64, Entry)) {
        let mut rest = self.entries;
        while let Some(number) = take(&mut rest) {
            let Some(entry) = Entry::read(&mut rest) else { return };
            take_in(i64::from_le_bytes(number), entry);
        }
    }
}
