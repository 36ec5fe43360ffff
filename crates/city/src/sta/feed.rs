//! What was written, told to whoever listens once it is durable, whichever face it came in by.
//!
//! One bounded channel of rows as they were kept. Nobody who writes waits for anybody who listens;
//! a listener that falls behind goes on with what is there, and is told how many rows it missed.

use std::sync::{Arc, Mutex};

use arrow::record_batch::RecordBatch;
use tokio::sync::broadcast;

/// Batches that a listener may fall behind by: an observation that comes alone is one.
const BATCHES_BEHIND_MAX: usize = 2_048;
/// Rows of a batch: larger ones are told in parts.
const BATCH_ROWS_MAX: usize = 512;

/// Rows that are in a dataset since just now, in its contract's schema.
#[derive(Debug)]
pub struct StaWritten {
    pub dataset: &'static str,
    pub rows: RecordBatch,
    /// Where each row came from, for a face that tells its own clients apart; empty where from
    /// elsewhere.
    pub origins: Vec<u64>,
    /// Rows that were told before these, since the start.
    before: u64,
}

/// What a listener hears.
#[derive(Debug)]
pub enum StaTold {
    Written(Arc<StaWritten>),
    /// So many rows were written that it was too slow to hear of.
    Missed(u64),
}

#[derive(Debug)]
pub(crate) struct Feed {
    sender: broadcast::Sender<Arc<StaWritten>>,
    /// Rows told so far. Held while they are told, so that they are counted in their order.
    told: Mutex<u64>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BATCHES_BEHIND_MAX), told: Mutex::default() }
    }
}

impl Feed {
    /// Tells of rows that are durable.
    pub fn tell(&self, dataset: &'static str, rows: &RecordBatch, origins: &[u64]) {
        if rows.num_rows() == 0 {
            return;
        }
        let mut told = self.told.lock().expect("no one panics while telling");
        let heard = self.sender.receiver_count() > 0;
        let mut at = 0;
        while heard && at < rows.num_rows() {
            let count = BATCH_ROWS_MAX.min(rows.num_rows() - at);
            let written = StaWritten {
                dataset,
                rows: rows.slice(at, count),
                origins: origins.iter().skip(at).take(count).copied().collect(),
                before: *told + at as u64,
            };
            // The last listener may have gone meanwhile.
            let _ = self.sender.send(Arc::new(written));
            at += count;
        }
        *told += rows.num_rows() as u64;
    }

    pub fn listen(&self) -> StaListener {
        let told = self.told.lock().expect("no one panics while telling");
        let receiver = self.sender.subscribe();
        StaListener { receiver, next: *told, ready: None }
    }
}

/// Hears what is written from now on.
#[derive(Debug)]
pub struct StaListener {
    receiver: broadcast::Receiver<Arc<StaWritten>>,
    /// Rows told before those that come next.
    next: u64,
    /// Came after a gap, of which was told first.
    ready: Option<Arc<StaWritten>>,
}

impl StaListener {
    /// What comes next; none where nothing will come any more.
    pub async fn next(&mut self) -> Option<StaTold> {
        let written = match self.ready.take() {
            Some(written) => written,
            None => self.receive().await?,
        };
        if written.before > self.next {
            let missed = written.before - self.next;
            self.next = written.before;
            self.ready = Some(written);
            return Some(StaTold::Missed(missed));
        }
        self.next = written.before + written.rows.num_rows() as u64;
        Some(StaTold::Written(written))
    }

    async fn receive(&mut self) -> Option<Arc<StaWritten>> {
        loop {
            match self.receiver.recv().await {
                Ok(written) => return Some(written),
                // What comes next says how many rows it was.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn rows(count: i64) -> RecordBatch {
        let ids: Int64Array = (0..count).collect::<Vec<i64>>().into();
        RecordBatch::try_from_iter([("id", Arc::new(ids) as arrow::array::ArrayRef)]).unwrap()
    }

    #[tokio::test]
    async fn rows_are_heard_in_parts_with_where_they_came_from() {
        let feed = Feed::default();
        feed.tell("a", &rows(3), &[]);
        let mut listener = feed.listen();
        let many = i64::try_from(BATCH_ROWS_MAX).unwrap() + 1;
        let origins: Vec<u64> = (0..=BATCH_ROWS_MAX as u64).collect();
        feed.tell("b", &rows(many), &origins);
        for (count, first) in [(BATCH_ROWS_MAX, 0), (1, BATCH_ROWS_MAX as u64)] {
            match listener.next().await {
                Some(StaTold::Written(written)) => {
                    assert_eq!((written.rows.num_rows(), written.origins[0]), (count, first));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn who_is_too_slow_learns_how_much_it_missed() {
        let feed = Feed::default();
        let mut listener = feed.listen();
        for _ in 0..BATCHES_BEHIND_MAX + 5 {
            feed.tell("a", &rows(2), &[]);
        }
        match listener.next().await {
            Some(StaTold::Missed(missed)) => assert_eq!(missed, 10),
            other => panic!("{other:?}"),
        }
        for _ in 0..BATCHES_BEHIND_MAX {
            assert!(matches!(listener.next().await, Some(StaTold::Written(_))));
        }
        drop(feed);
        assert!(listener.next().await.is_none());
    }
}
