//! What the broker counts of itself: one set for the process.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted since the start, but for `connections`, which is how many there are.
#[derive(Debug, Default)]
pub struct Figures {
    pub connections: AtomicU64,
    /// CONNECTs that were taken, and that were not.
    pub connects: AtomicU64,
    pub connects_refused: AtomicU64,
    /// PUBLISHes that came in, and those of them that were refused.
    pub received: AtomicU64,
    pub refused: AtomicU64,
    /// Messages that were sent, and that gave way in a full queue.
    pub sent: AtomicU64,
    pub dropped: AtomicU64,
    /// Connections that sent what is no MQTT.
    pub malformed: AtomicU64,
}

pub static FIGURES: Figures = Figures {
    connections: AtomicU64::new(0),
    connects: AtomicU64::new(0),
    connects_refused: AtomicU64::new(0),
    received: AtomicU64::new(0),
    refused: AtomicU64::new(0),
    sent: AtomicU64::new(0),
    dropped: AtomicU64::new(0),
    malformed: AtomicU64::new(0),
};

pub(crate) fn count(of: &AtomicU64, more: usize) {
    of.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// A connection while it is there.
#[derive(Debug)]
pub(crate) struct Counted;

impl Counted {
    pub fn new() -> Self {
        FIGURES.connections.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        FIGURES.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
