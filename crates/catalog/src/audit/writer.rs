//! The one task that writes submitted events, all that wait in one transaction.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{AuditError, Event, Inner};

/// Events that wait to be written; beyond it, submitters wait.
const QUEUE_EVENTS_MAX: usize = 4_096;
/// Events that one transaction takes.
const COMMIT_EVENTS_MAX: usize = 1_000;

type Reply = oneshot::Sender<Result<i64, AuditError>>;

#[derive(Debug)]
enum Job {
    Write(Box<Event>, Reply),
    /// Answered when all before it is on the disk.
    Flush(oneshot::Sender<()>),
}

#[derive(Debug, Clone)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
}

/// The promise that an event will be on the disk. Dropping it does not take the event back.
#[derive(Debug)]
#[must_use = "an answer must not end before its audit is committed"]
pub struct Ticket {
    reply: oneshot::Receiver<Result<i64, AuditError>>,
}

impl Ticket {
    /// The event's row, once it is on the disk.
    pub async fn committed(self) -> Result<i64, AuditError> {
        self.reply.await.map_err(|_| AuditError::Closed)?
    }
}

impl Queue {
    pub(super) async fn submit(&self, event: Event) -> Result<Ticket, AuditError> {
        let (sender, reply) = oneshot::channel();
        let job = Job::Write(Box::new(event), sender);
        self.jobs.send(job).await.map_err(|_| AuditError::Closed)?;
        Ok(Ticket { reply })
    }

    /// Hands an event over if there is room for it, and gives it back if there is none.
    pub(super) fn offer(&self, event: Event) -> Result<(), Box<Event>> {
        let (sender, _) = oneshot::channel();
        self.jobs.try_send(Job::Write(Box::new(event), sender)).map_err(|refused| {
            match refused.into_inner() {
                Job::Write(event, _) => event,
                Job::Flush(_) => unreachable!("an event was offered"),
            }
        })
    }

    pub(super) async fn flush(&self) -> Result<(), AuditError> {
        let (sender, done) = oneshot::channel();
        self.jobs.send(Job::Flush(sender)).await.map_err(|_| AuditError::Closed)?;
        done.await.map_err(|_| AuditError::Closed)
    }
}

/// Starts the task. It ends, after writing what is queued, when the last [`Queue`] is gone.
pub(super) fn start(inner: Arc<Inner>) -> Queue {
    let (jobs, mut waiting) = mpsc::channel(QUEUE_EVENTS_MAX);
    tokio::spawn(async move {
        let mut batch = Vec::with_capacity(COMMIT_EVENTS_MAX);
        while waiting.recv_many(&mut batch, COMMIT_EVENTS_MAX).await > 0 {
            write(&inner, &mut batch).await;
        }
    });
    Queue { jobs }
}

async fn write(inner: &Inner, batch: &mut Vec<Job>) {
    let mut events = Vec::with_capacity(batch.len());
    let mut replies = Vec::with_capacity(batch.len());
    let mut flushes = Vec::new();
    for job in batch.drain(..) {
        match job {
            Job::Write(event, reply) => {
                events.push(*event);
                replies.push(reply);
            }
            Job::Flush(done) => flushes.push(done),
        }
    }
    let written = if events.is_empty() { Ok(0) } else { commit(inner, &events).await };
    if let Err(cause) = &written {
        tracing::error!(events = events.len(), %cause, "the audit could not be written");
    }
    // A receiver that is gone has lost interest, not its row.
    for (seq, reply) in (*written.as_ref().unwrap_or(&0)..).zip(replies) {
        let _ = reply.send(match &written {
            Ok(_) => Ok(seq),
            Err(cause) => Err(AuditError::Writer(cause.to_string())),
        });
    }
    for done in flushes {
        let _ = done.send(());
    }
}

async fn commit(inner: &Inner, events: &[Event]) -> Result<i64, AuditError> {
    let txn = inner.records.write().await?;
    let first = inner.append_all(&txn, events).await?;
    txn.commit().await?;
    Ok(first)
}
