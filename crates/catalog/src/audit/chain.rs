//! The chain itself: which bytes are hashed, how a row is linked, and how a chain is judged.
//!
//! It knows rows and hashes, not the database, so that every kind of tampering can be tried on it
//! by the thousand.
//!
//! # What is hashed
//! In this order, each text as its length in bytes (8 bytes, big-endian) followed by its UTF-8,
//! each number as 8 bytes big-endian two's complement:
//!
//! `"shujin.audit.v1"` · algorithm · previous · seq · at_us · actor · organisation · action ·
//! object · outcome · detail
//!
//! Lengths come first, so no two rows have the same bytes. `detail` is hashed as the text in the
//! row: no parser stands between the row and its hash. Hashes are written in lower-case hex.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::Digest;

use super::{Event, Head, unhashed};
use crate::records::audit_entry::Model as Row;

const ENCODING: &str = "shujin.audit.v1";
/// Faults that a report carries one by one; the rest are counted.
const FAULTS_MAX: usize = 100;

/// A hash function for the chain. Its name is kept in every row, so that a chain may go over
/// from one to another.
pub trait ChainHash: Send + Sync + std::fmt::Debug {
    /// Never changes, and never means another function.
    fn name(&self) -> &'static str;
    fn hash(&self, bytes: &[u8]) -> Vec<u8>;
}

/// FIPS 180-4.
#[derive(Debug, Clone, Copy)]
pub struct Sha256;

impl ChainHash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA-256"
    }

    fn hash(&self, bytes: &[u8]) -> Vec<u8> {
        sha2::Sha256::digest(bytes).to_vec()
    }
}

/// What is wrong with a chain, and at which row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Fault {
    #[error("row {seq} was changed: its content does not fit its hash")]
    Changed { seq: i64 },
    #[error("rows {one} and {other} were swapped")]
    Swapped { one: i64, other: i64 },
    #[error("rows {first} to {last} were dropped")]
    Dropped { first: i64, last: i64 },
    #[error("rows {first} to {last} were dropped from the end: the head counts {last} rows")]
    TailDropped { first: i64, last: i64 },
    #[error("rows {before} and {after} do not join: one of them was replaced")]
    Unjoined { before: i64, after: i64 },
    #[error("row {seq} should not be there: {why}")]
    Surplus { seq: i64, why: &'static str },
    #[error("row {seq} names the hash function `{name}`, which this program does not know")]
    UnknownHash { seq: i64, name: String },
    #[error("row {seq} is not the one that the head names: the row or the head was replaced")]
    HeadDiffers { seq: i64 },
    #[error("row {seq} is not the one that was anchored: the chain was rewritten before it")]
    AnchorDiffers { seq: i64 },
    #[error("the anchor counts {anchored} rows, the chain has {found}: its end was cut off")]
    ShorterThanAnchor { anchored: i64, found: i64 },
}

/// What a verification found.
#[derive(Debug, Clone)]
pub struct Report {
    /// Rows that were read.
    pub rows: u64,
    /// The chain's end as it was read: the next anchor, if there are no faults.
    pub head: Head,
    /// In order of rows.
    pub faults: Vec<Fault>,
    /// Faults beyond those listed.
    pub faults_more: u64,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// The row that follows `head`.
pub(super) fn link(hash: &dyn ChainHash, head: &Head, event: &Event) -> Row {
    let mut row = unhashed(event, head.count + 1, hash.name(), &head.hash);
    row.hash = digest(hash, &row, row.seq, &row.previous);
    row
}

/// The hash that `row`'s content would have at `seq` after `previous`.
fn digest(hash: &dyn ChainHash, row: &Row, seq: i64, previous: &str) -> String {
    let mut bytes = Vec::with_capacity(256 + row.detail.len());
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    text(&mut bytes, ENCODING);
    text(&mut bytes, &row.algorithm);
    text(&mut bytes, previous);
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&row.at_us.to_be_bytes());
    for part in [&row.actor, &row.organisation, &row.action, &row.object, &row.outcome, &row.detail]
    {
        text(&mut bytes, part);
    }
    hash.hash(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Judges a chain row by row, in order of `seq`, in bounded memory.
#[derive(Debug)]
pub(super) struct Checker {
    hashes: BTreeMap<&'static str, Arc<dyn ChainHash>>,
    head: Head,
    anchor: Option<Head>,
    rows: u64,
    /// The row before: its number, its hash, and whether it is what it says.
    last: Option<(i64, String, bool)>,
    /// Rows that do not fit their hashes, until it is known whether two of them were swapped.
    changed: Vec<Row>,
    faults: Vec<Fault>,
    faults_more: u64,
}

impl Checker {
    /// `head` as read before the first row.
    pub(super) fn new(hashes: &[Arc<dyn ChainHash>], head: Head, anchor: Option<Head>) -> Self {
        Self {
            hashes: hashes.iter().map(|hash| (hash.name(), Arc::clone(hash))).collect(),
            head,
            anchor,
            rows: 0,
            last: None,
            changed: Vec::new(),
            faults: Vec::new(),
            faults_more: 0,
        }
    }

    pub(super) fn row(&mut self, row: Row) {
        self.rows += 1;
        let (before, before_hash, before_sound) =
            self.last.take().unwrap_or((0, String::new(), true));
        if row.seq <= before {
            // Rows come in order and numbers are unique: this one stands before row 1.
            self.fault(Fault::Surplus { seq: row.seq, why: "rows are counted from 1" });
            self.last = Some((before, before_hash, before_sound));
            return;
        }
        let follows = row.seq == before + 1;
        if !follows {
            self.fault(Fault::Dropped { first: before + 1, last: row.seq - 1 });
        }
        let sound = self.is_sound(&row);
        if sound && follows && before_sound && row.previous != before_hash {
            self.fault(Fault::Unjoined { before, after: row.seq });
        }
        if sound {
            self.compare(&row);
        }
        self.last = Some((row.seq, row.hash.clone(), sound));
        if !sound {
            self.suspect(row);
        }
    }

    /// Whether the row's content fits its hash. A hash nobody knows is a fault of its own.
    fn is_sound(&mut self, row: &Row) -> bool {
        match self.hashes.get(row.algorithm.as_str()) {
            Some(hash) => digest(hash.as_ref(), row, row.seq, &row.previous) == row.hash,
            None => {
                let name = row.algorithm.clone();
                self.fault(Fault::UnknownHash { seq: row.seq, name });
                true
            }
        }
    }

    fn compare(&mut self, row: &Row) {
        if row.seq == self.head.count && row.hash != self.head.hash {
            self.fault(Fault::HeadDiffers { seq: row.seq });
        }
        if let Some(anchor) = &self.anchor
            && row.seq == anchor.count
            && row.hash != anchor.hash
        {
            self.fault(Fault::AnchorDiffers { seq: row.seq });
        }
    }

    fn suspect(&mut self, row: Row) {
        if self.changed.len() < FAULTS_MAX {
            self.changed.push(row);
        } else {
            self.faults_more += 1;
        }
    }

    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        } else {
            self.faults_more += 1;
        }
    }

    /// `now` is the head as read after the last row.
    pub(super) fn finish(mut self, now: &Head) -> Report {
        let (end, hash, _) = self.last.take().unwrap_or((0, String::new(), true));
        if end < self.head.count {
            self.fault(Fault::TailDropped { first: end + 1, last: self.head.count });
        }
        if end > now.count {
            let why = "the head counts fewer rows";
            self.fault(Fault::Surplus { seq: now.count + 1, why });
        }
        if self.head.count == 0 && !self.head.hash.is_empty() {
            self.fault(Fault::HeadDiffers { seq: 0 });
        }
        if let Some(anchored) = self.anchor.as_ref().map(|anchor| anchor.count)
            && end < anchored
        {
            self.fault(Fault::ShorterThanAnchor { anchored, found: end });
        }
        for fault in self.swaps() {
            self.fault(fault);
        }
        self.faults.sort_by_key(Fault::seq);
        Report {
            rows: self.rows,
            head: Head { count: end, hash },
            faults: self.faults,
            faults_more: self.faults_more,
        }
    }

    /// Two rows that fit when each is read in the other's place were swapped; the others changed.
    fn swaps(&mut self) -> Vec<Fault> {
        let mut rows = std::mem::take(&mut self.changed);
        let mut faults = Vec::new();
        while let Some(row) = rows.pop() {
            match rows.iter().position(|other| self.were_swapped(&row, other)) {
                Some(at) => {
                    let other = rows.swap_remove(at);
                    let (one, other) = (row.seq.min(other.seq), row.seq.max(other.seq));
                    faults.push(Fault::Swapped { one, other });
                }
                None => faults.push(Fault::Changed { seq: row.seq }),
            }
        }
        faults
    }

    fn were_swapped(&self, a: &Row, b: &Row) -> bool {
        // Either whole rows changed places, or their content did and the links stayed.
        let whole =
            self.fits(a, b.seq, &a.previous, &a.hash) && self.fits(b, a.seq, &b.previous, &b.hash);
        whole
            || (self.fits(a, b.seq, &b.previous, &b.hash)
                && self.fits(b, a.seq, &a.previous, &a.hash))
    }

    fn fits(&self, row: &Row, seq: i64, previous: &str, expected: &str) -> bool {
        let hash = self.hashes.get(row.algorithm.as_str());
        hash.is_some_and(|hash| digest(hash.as_ref(), row, seq, previous) == expected)
    }
}

impl Fault {
    /// The first row that it is about.
    pub fn seq(&self) -> i64 {
        match self {
            Self::Changed { seq }
            | Self::Surplus { seq, .. }
            | Self::UnknownHash { seq, .. }
            | Self::HeadDiffers { seq }
            | Self::AnchorDiffers { seq } => *seq,
            Self::Swapped { one, .. } => *one,
            Self::Dropped { first, .. } | Self::TailDropped { first, .. } => *first,
            Self::Unjoined { before, .. } => *before,
            Self::ShorterThanAnchor { found, .. } => *found,
        }
    }
}

/// The SHA-256 that a row of these contents has, for tests that play a forger.
#[cfg(test)]
pub(super) fn tests_digest(row: &Row) -> String {
    digest(&Sha256, row, row.seq, &row.previous)
}
