//! What is known of each Datastream without a scan: its newest observation, how many there are, and
//! how many came in each of the last hours.
//!
//! ```text
//!  append ─► the lake ─► note ─────────────┐
//!  at start: file of the last run, or not ─┼─► pages of entries ─► of(datastream), the census
//!            rows since, or all of them ───┘
//!  corrections, deletions ─► doubt ─► the write ─► recount of that Datastream
//! ```
//!
//! **No row is counted twice or missed.** Who appends holds the gate open from before the append
//! until its rows are noted. Who makes up the memory shuts it, pins the lake's state and empties
//! what it will count, and opens it again: what was appended before is in the pinned state and not
//! noted, what comes after is noted and not in the state. Entries are sums, maxima and minima, so
//! the scan and the live rows may arrive in any order.
//!
//! Entries of Datastreams that are gone are kept: one that is brought back has its figures again.
//! Knows no session and no policy.

mod build;
mod entry;
mod file;
pub(crate) mod producers;
mod sequence;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, RwLock as AsyncRwLock};

pub(crate) use build::{KEEP_FILE, Rounds};
/// An observation as it is noted.
pub(crate) use entry::Seen as Noted;
pub(crate) use entry::StreamState;
use entry::{Entry, Hours, Seen};
use producers::Producers;

/// Datastreams whose numbers follow each other lie together: numbers are given out in order.
const PAGE_ENTRIES: i64 = 256;
/// Locks of the pages.
const SHARDS: usize = 64;

/// Flags that leave an observation out of aggregates; `late` alone does not.
pub(crate) const LEAVES_OUT: i64 = 63;

type Page = Box<[Entry]>;

/// The memory of all Datastreams.
#[derive(Debug)]
pub(crate) struct Live {
    shards: Vec<RwLock<HashMap<i64, Page>>>,
    /// Held for reading from before rows are appended until they are noted; for writing while the
    /// lake's state is pinned.
    gate: AsyncRwLock<()>,
    /// One making up or recounting at a time.
    making: AsyncMutex<()>,
    /// It was made up since the start.
    made: AtomicBool,
    /// How often it was made up.
    makings: AtomicU64,
    /// Rows came or went by a way that is not told of here.
    lost: AtomicBool,
    /// Rows of the lake that are accounted for, whether they stand or not.
    rows: AtomicU64,
    doubts: Mutex<Doubts>,
    /// Somebody looks after it by the clock.
    tended: AtomicBool,
    producers: Producers,
}

/// Datastreams whose figures are not known until they are counted anew.
#[derive(Debug, Default)]
struct Doubts {
    next: u64,
    open: HashMap<i64, Doubt>,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    ticket: u64,
    since: Instant,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            gate: AsyncRwLock::default(),
            making: AsyncMutex::default(),
            made: AtomicBool::new(false),
            makings: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            doubts: Mutex::default(),
            tended: AtomicBool::new(false),
            producers: Producers::default(),
        }
    }
}

/// The page of a Datastream and its place there.
fn place(datastream: i64) -> (i64, usize) {
    let at = usize::try_from(datastream.rem_euclid(PAGE_ENTRIES)).unwrap_or_default();
    (datastream.div_euclid(PAGE_ENTRIES), at)
}

fn empty_page() -> Page {
    let entries = usize::try_from(PAGE_ENTRIES).unwrap_or_default();
    vec![Entry::default(); entries].into_boxed_slice()
}

impl Live {
    fn shard(&self, page: i64) -> &RwLock<HashMap<i64, Page>> {
        let shards = i64::try_from(SHARDS).unwrap_or(1);
        &self.shards[usize::try_from(page.rem_euclid(shards)).unwrap_or_default()]
    }

    /// What is known of a Datastream; none where nothing ever came in.
    pub(crate) fn of(&self, datastream: i64) -> Option<StreamState> {
        self.entry(datastream).and_then(|entry| entry.state())
    }

    /// The readings of the last hours, by the hour.
    pub(crate) fn hours(&self, datastream: i64) -> Option<Hours> {
        self.entry(datastream).map(|entry| entry.hours())
    }

    fn entry(&self, datastream: i64) -> Option<Entry> {
        let (page, at) = place(datastream);
        let pages = self.shard(page).read().expect("no one panics while holding a page");
        pages.get(&page).map(|entries| entries[at]).filter(|entry| !entry.is_empty())
    }

    /// Whether all that [`Self::of`] says holds. While it is made up, and while a Datastream is
    /// counted anew, it does not.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_made()
            && self.doubts.lock().expect("no one panics while holding the doubts").open.is_empty()
    }

    /// As [`Self::is_whole`], but for Datastreams that are being counted anew.
    pub(crate) fn is_made(&self) -> bool {
        self.made.load(Ordering::Acquire) && !self.lost.load(Ordering::Acquire)
    }

    /// Changes whenever it was made up anew.
    pub(crate) fn makings(&self) -> u64 {
        self.makings.load(Ordering::Acquire)
    }

    pub(crate) fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Notes rows that are durable. Rows of one Datastream best lie together.
    fn note(&self, rows: &[Seen], received_us: i64) {
        self.rows.fetch_add(rows.len() as u64, Ordering::Relaxed);
        self.add(rows.iter().map(|row| (*row, received_us)));
    }

    fn add(&self, rows: impl Iterator<Item = (Seen, i64)>) {
        let mut rows = rows.peekable();
        while let Some((first, received_us)) = rows.next() {
            let (page, _) = place(first.datastream);
            let mut pages = self.shard(page).write().expect("no one panics while holding a page");
            let entries = pages.entry(page).or_insert_with(empty_page);
            entries[place(first.datastream).1].add(&first, received_us);
            // The lock is kept for as long as rows are of its page.
            while let Some((row, received_us)) =
                rows.next_if(|(row, _)| place(row.datastream).0 == page)
            {
                entries[place(row.datastream).1].add(&row, received_us);
            }
        }
    }

    fn merge(&self, datastream: i64, entry: &Entry) {
        let (page, at) = place(datastream);
        let mut pages = self.shard(page).write().expect("no one panics while holding a page");
        pages.entry(page).or_insert_with(empty_page)[at].merge(entry);
    }

    fn clear(&self) {
        for shard in &self.shards {
            shard.write().expect("no one panics while holding a page").clear();
        }
        self.rows.store(0, Ordering::Relaxed);
    }

    fn empty(&self, streams: &[i64]) {
        for stream in streams {
            let (page, at) = place(*stream);
            let mut pages = self.shard(page).write().expect("no one panics while holding a page");
            if let Some(entries) = pages.get_mut(&page) {
                entries[at] = Entry::default();
            }
        }
    }

    /// Every Datastream with its entry.
    fn each(&self, mut take: impl FnMut(i64, &Entry)) {
        for shard in &self.shards {
            let pages = shard.read().expect("no one panics while holding a page");
            for (page, entries) in pages.iter() {
                for (at, entry) in (0i64..).zip(entries.iter()) {
                    if !entry.is_empty() {
                        take(page * PAGE_ENTRIES + at, entry);
                    }
                }
            }
        }
    }

    /// Says that rows came or went by a way that is not told of here: it is made up anew.
    pub(crate) fn lose_track(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// Says that the observations of some Datastreams are about to change otherwise than by new
    /// ones. They are in doubt until they were counted after the change.
    pub(crate) fn doubt(&self, streams: impl IntoIterator<Item = i64>) {
        let mut doubts = self.doubts.lock().expect("no one panics while holding the doubts");
        for stream in streams {
            doubts.next += 1;
            let doubt = Doubt { ticket: doubts.next, since: Instant::now() };
            doubts.open.insert(stream, doubt);
        }
    }

    /// The doubts about these Datastreams, to be settled once they were counted.
    fn tickets(&self, streams: &[i64]) -> Vec<(i64, u64)> {
        let doubts = self.doubts.lock().expect("no one panics while holding the doubts");
        let ticket = |stream: &i64| Some((*stream, doubts.open.get(stream)?.ticket));
        streams.iter().filter_map(ticket).collect()
    }

    /// Ends doubts, but not about what came into doubt again meanwhile.
    fn settle(&self, tickets: &[(i64, u64)]) {
        let mut doubts = self.doubts.lock().expect("no one panics while holding the doubts");
        for (stream, ticket) in tickets {
            if doubts.open.get(stream).is_some_and(|doubt| doubt.ticket == *ticket) {
                doubts.open.remove(stream);
            }
        }
    }

    /// Datastreams that have been in doubt for long: whoever doubted them went away.
    fn doubted_for(&self, long: Duration) -> Vec<i64> {
        let doubts = self.doubts.lock().expect("no one panics while holding the doubts");
        let old = doubts.open.iter().filter(|(_, doubt)| doubt.since.elapsed() >= long);
        old.map(|(stream, _)| *stream).collect()
    }

    /// Changes with every doubt.
    fn doubts_made(&self) -> u64 {
        self.doubts.lock().expect("no one panics while holding the doubts").next
    }
}
