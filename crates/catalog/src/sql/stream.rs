//! The limits that hold while rows come: deadline, rows, bytes; and what an author is told when
//! reading fails.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;
use uuid::Uuid;

use super::admission::Place;
use super::answer::RowStream;
use super::stop::StopOnDrop;
use super::{Events, LimitKind, Limits, SqlError};

/// Whose query it is and where its failures are told in full.
#[derive(Debug, Clone)]
pub(super) struct Author {
    pub(super) user: String,
    pub(super) sql: Arc<str>,
    pub(super) events: Arc<dyn Events>,
}

impl Author {
    /// A failure as its author may see it: never DataFusion's own words, which quote values.
    pub(super) fn told(&self, error: &DataFusionError) -> SqlError {
        match error.find_root() {
            DataFusionError::External(external) => {
                if let Some(error) = external.downcast_ref::<SqlError>() {
                    return error.clone();
                }
                self.internal("source", &error.to_string())
            }
            DataFusionError::ResourcesExhausted(_) => SqlError::limit(
                LimitKind::Memory,
                "the query needs more memory than it may have; select fewer columns or rows, or \
                 aggregate earlier",
            ),
            DataFusionError::ArrowError(arrow, _) => {
                self.internal(arrow_code(arrow), &error.to_string())
            }
            DataFusionError::Execution(_) => self.internal("execution", &error.to_string()),
            DataFusionError::ExecutionJoin(_) => self.internal("panic", &error.to_string()),
            _ => self.internal("internal", &error.to_string()),
        }
    }

    pub(super) fn internal(&self, code: &'static str, details: &str) -> SqlError {
        let correlation_id = Uuid::now_v7();
        self.events.failed(correlation_id, &self.user, &self.sql, details);
        SqlError::Internal { code, correlation_id }
    }
}

fn arrow_code(error: &ArrowError) -> &'static str {
    match error {
        ArrowError::DivideByZero => "division by zero",
        ArrowError::CastError(_) => "value does not fit the type it is cast to",
        ArrowError::ParseError(_) => "text cannot be read as a value",
        ArrowError::ArithmeticOverflow(_) => "arithmetic overflow",
        ArrowError::ComputeError(_) => "computation",
        _ => "arrow",
    }
}

/// What one running answer holds: dropping it frees the place and cancels the work.
struct Running {
    rows: SendableRecordBatchStream,
    author: Author,
    deadline: Instant,
    limits: Limits,
    rows_given: u64,
    bytes_given: u64,
    over: bool,
    /// Dropped after the rows: the work is told to stop, then its place is free.
    _held: (StopOnDrop, Place),
}

pub(super) fn limited(
    rows: SendableRecordBatchStream,
    author: Author,
    deadline: Instant,
    limits: Limits,
    held: (StopOnDrop, Place),
) -> RowStream {
    let running = Running {
        rows,
        author,
        deadline,
        limits,
        rows_given: 0,
        bytes_given: 0,
        over: false,
        _held: held,
    };
    Box::pin(futures::stream::unfold(running, |mut running| async move {
        if running.over {
            return None;
        }
        let item = running.next().await?;
        running.over = item.is_err();
        Some((item, running))
    }))
}

impl Running {
    async fn next(&mut self) -> Option<Result<RecordBatch, SqlError>> {
        // A timer only speaks where the rows are late; a reader may be, too.
        if Instant::now() >= self.deadline {
            return Some(Err(too_late(&self.limits)));
        }
        let next = AssertUnwindSafe(self.rows.next()).catch_unwind();
        let batch = match tokio::time::timeout_at(self.deadline, next).await {
            Err(_) => return Some(Err(too_late(&self.limits))),
            Ok(Err(_)) => return Some(Err(self.author.internal("panic", "an operator panicked"))),
            Ok(Ok(None)) => return None,
            Ok(Ok(Some(Err(error)))) => return Some(Err(self.author.told(&error))),
            Ok(Ok(Some(Ok(batch)))) => batch,
        };
        Some(self.count(batch))
    }

    fn count(&mut self, batch: RecordBatch) -> Result<RecordBatch, SqlError> {
        self.rows_given = self.rows_given.saturating_add(batch.num_rows() as u64);
        // Slices share their buffers: this counts a little more than is sent, never less.
        self.bytes_given = self.bytes_given.saturating_add(sliced_bytes(&batch));
        if self.rows_given > self.limits.output_rows_max {
            let reason = format!("at most {} rows; add a LIMIT", self.limits.output_rows_max);
            return Err(SqlError::limit(LimitKind::OutputRows, reason));
        }
        if self.bytes_given > self.limits.output_bytes_max {
            let reason = format!("at most {} bytes; select less", self.limits.output_bytes_max);
            return Err(SqlError::limit(LimitKind::OutputBytes, reason));
        }
        Ok(batch)
    }
}

fn sliced_bytes(batch: &RecordBatch) -> u64 {
    let columns = batch.columns().iter();
    columns
        .map(|column| {
            let bytes = column.to_data().get_slice_memory_size();
            bytes.unwrap_or_else(|_| column.get_array_memory_size()) as u64
        })
        .sum()
}

pub(super) fn too_late(limits: &Limits) -> SqlError {
    SqlError::limit(
        LimitKind::Time,
        format!("not finished within {} s; it was cancelled", limits.time_max.as_secs_f32()),
    )
}
