//! Watches an answer go by: counts its rows and bytes, and records the query when it ends —
//! after the last row, on an error, or when the client goes away.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use arrow::array::RecordBatch;
use chrono::Utc;
use datafusion::common::ScalarValue;
use futures::Stream;
use uuid::Uuid;

use super::{Outcome, UsageEntry, UsageSink};
use crate::sql::RowStream;
use crate::{Answer, Catalog, Session, SqlError};

/// [`Catalog::query`], recorded. Parameters are not: they are values.
pub async fn query(
    catalog: &Catalog,
    session: &Session,
    sql: &str,
    params: &[ScalarValue],
    sink: &Arc<dyn UsageSink>,
) -> Result<Answer, SqlError> {
    let started = Instant::now();
    let mut entry = UsageEntry::begin(Uuid::now_v7(), session, sql, Utc::now());
    match catalog.query(session, sql, params).await {
        Ok(answer) => Ok(watch(answer, entry, started, Arc::clone(sink))),
        Err(error) => {
            entry.outcome = outcome(&error);
            entry.duration_ms = since(started);
            sink.record(entry);
            Err(error)
        }
    }
}

/// An answer that records `entry` when it ends, under the answer's own id and with its lineage.
/// `started` is when the query began to be planned.
pub fn watch(
    answer: Answer,
    mut entry: UsageEntry,
    started: Instant,
    sink: Arc<dyn UsageSink>,
) -> Answer {
    entry.id = answer.id;
    entry.used = answer.lineage.fields_used();
    let stream = Watched { rows: answer.stream, entry: Some(entry), started, sink };
    Answer { stream: Box::pin(stream), ..answer }
}

struct Watched {
    rows: RowStream,
    /// Taken when the query has ended and was recorded.
    entry: Option<UsageEntry>,
    started: Instant,
    sink: Arc<dyn UsageSink>,
}

impl Watched {
    fn end(&mut self, outcome: Outcome) {
        if let Some(mut entry) = self.entry.take() {
            entry.outcome = outcome;
            entry.duration_ms = since(self.started);
            self.sink.record(entry);
        }
    }
}

impl Stream for Watched {
    type Item = Result<RecordBatch, SqlError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.rows.as_mut().poll_next(cx);
        match &next {
            Poll::Pending => {}
            Poll::Ready(None) => self.end(Outcome::Answered),
            Poll::Ready(Some(Err(error))) => self.end(outcome(error)),
            Poll::Ready(Some(Ok(batch))) => {
                if let Some(entry) = &mut self.entry {
                    entry.rows += batch.num_rows() as u64;
                    entry.bytes += batch.get_array_memory_size() as u64;
                }
            }
        }
        next
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}

fn since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn outcome(error: &SqlError) -> Outcome {
    match error {
        SqlError::Refused { .. } | SqlError::NotFound { .. } => Outcome::Refused,
        SqlError::Limit { .. } => Outcome::Limited,
        _ => Outcome::Failed,
    }
}
