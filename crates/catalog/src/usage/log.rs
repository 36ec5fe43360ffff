//! The queue between queries and the records: bounded, and never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use store::records::Records;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{UsageEntry, UsageSink, records};

/// Bounds of the log.
#[derive(Debug, Clone)]
pub struct UsageLogOptions {
    /// Entries that wait to be written; beyond it new ones are dropped and counted.
    pub queue_entries_max: usize,
    /// Entries written in one transaction.
    pub batch_entries_max: usize,
    /// How long an entry may wait for others to be written with it.
    pub gather: Duration,
}

impl Default for UsageLogOptions {
    fn default() -> Self {
        Self {
            queue_entries_max: 8_192,
            batch_entries_max: 512,
            gather: Duration::from_millis(500),
        }
    }
}

enum Message {
    Entry(Box<UsageEntry>),
    Flush(oneshot::Sender<()>),
}

/// Writes usage entries to the records in batches, in the background. Cheap to clone; the writer
/// ends when the last clone is gone and all that was taken is written.
#[derive(Debug, Clone)]
pub struct UsageLog {
    queue: mpsc::Sender<Message>,
    lost: Arc<AtomicU64>,
    writer: Arc<JoinHandle<()>>,
}

impl UsageLog {
    /// Starts the writer on the current tokio runtime.
    pub fn start(records: Records, options: UsageLogOptions) -> Self {
        let (queue, messages) = mpsc::channel(options.queue_entries_max);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer { records, messages, options, lost: Arc::clone(&lost) };
        Self { queue, lost, writer: Arc::new(tokio::spawn(writer.run())) }
    }

    /// Entries that were dropped since the start, because the queue was full or the records
    /// refused them.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until all that was recorded before is written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // An error means that the writer ended, after writing what it had.
            let _ = written.await;
        }
    }

    pub fn is_running(&self) -> bool {
        !self.writer.is_finished()
    }
}

impl UsageSink for UsageLog {
    fn record(&self, entry: UsageEntry) {
        if self.queue.try_send(Message::Entry(Box::new(entry))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Writer {
    records: Records,
    messages: mpsc::Receiver<Message>,
    options: UsageLogOptions,
    lost: Arc<AtomicU64>,
}

impl Writer {
    async fn run(mut self) {
        let mut told_lost = 0;
        while let Some(first) = self.messages.recv().await {
            let (entries, flushes) = self.gather(first).await;
            if !entries.is_empty()
                && let Err(error) = records::insert(&self.records, &entries).await
            {
                tracing::error!(%error, entries = entries.len(), "usage entries were not written");
                self.lost.fetch_add(entries.len() as u64, Ordering::Relaxed);
            }
            for flush in flushes {
                // Whoever waited may be gone.
                let _ = flush.send(());
            }
            let lost = self.lost.load(Ordering::Relaxed);
            if lost > told_lost {
                tracing::warn!(lost, "usage entries were dropped since the start");
                told_lost = lost;
            }
        }
    }

    /// What comes in until the batch is full, the time is up or somebody waits for it.
    async fn gather(&mut self, first: Message) -> (Vec<UsageEntry>, Vec<oneshot::Sender<()>>) {
        let mut entries = Vec::new();
        let mut flushes = Vec::new();
        let mut take = |message, entries: &mut Vec<UsageEntry>| match message {
            Message::Entry(entry) => entries.push(*entry),
            Message::Flush(done) => flushes.push(done),
        };
        let waiting = matches!(first, Message::Flush(_));
        take(first, &mut entries);
        if waiting {
            return (entries, flushes);
        }
        let deadline = tokio::time::Instant::now() + self.options.gather;
        while entries.len() < self.options.batch_entries_max {
            let Ok(Some(next)) = tokio::time::timeout_at(deadline, self.messages.recv()).await
            else {
                break;
            };
            let waiting = matches!(next, Message::Flush(_));
            take(next, &mut entries);
            if waiting {
                break;
            }
        }
        (entries, flushes)
    }
}
