//! What can go wrong in the lake, in words that say which file, which table and what to do.
//!
//! Errors are `Clone`, because one failed group of writes is answered to many waiters.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

/// Every way in which the lake refuses or fails.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LakeError {
    /// Back-pressure: nothing was taken; send the same rows again after a while.
    #[error(
        "{scope} holds {held_bytes} bytes not yet in files, and {wanted_bytes} more would pass the \
         cap of {cap_bytes}; send the rows again later"
    )]
    Full { scope: String, held_bytes: usize, wanted_bytes: usize, cap_bytes: usize },
    #[error("one append carries {bytes} bytes, the limit is {limit_bytes}; send smaller batches")]
    TooLarge { bytes: usize, limit_bytes: usize },
    #[error("no table {0} in the lake; make it with ensure_table first")]
    NoTable(String),
    #[error("table {table}: {what}")]
    Spec { table: String, what: String },
    #[error("rows do not fit table {table}: {what}")]
    Rows { table: String, what: String },
    /// A bad checksum, a frame that cannot be, a file that does not match what was written.
    #[error("{} is damaged at offset {offset}: {what}; restore the file from a backup", .file.display())]
    Corrupt { file: PathBuf, offset: u64, what: String },
    #[error("{} has format version {found}, this program reads up to {known}; use a newer one", .file.display())]
    Version { file: PathBuf, found: u32, known: u32 },
    #[error("cannot {doing} {}: {source}", .file.display())]
    Io {
        doing: &'static str,
        file: PathBuf,
        #[source]
        source: Arc<std::io::Error>,
    },
    /// After a failed fsync nobody knows what is on the disk, so the lane takes nothing more.
    #[error(
        "the log's lane {lane} stopped after a failed write: {reason}; check the disk, then start again"
    )]
    Poisoned { lane: u16, reason: String },
    #[error("{} is in use by another process; stop that one first", .0.display())]
    Locked(PathBuf),
    #[error("the lake is closed")]
    Closed,
    #[error("table {table} keeps no history as far back as {as_of}; the oldest moment is {oldest}")]
    HistoryGone { table: String, as_of: DateTime<Utc>, oldest: DateTime<Utc> },
    #[error("table {table}: {doing}: {source}")]
    Delta {
        table: String,
        doing: &'static str,
        #[source]
        source: Arc<deltalake_core::DeltaTableError>,
    },
    #[error("table {table}: {doing}: {source}")]
    DataFusion {
        table: String,
        doing: &'static str,
        #[source]
        source: Arc<datafusion::error::DataFusionError>,
    },
    #[error("{doing}: {source}")]
    Arrow {
        doing: &'static str,
        #[source]
        source: Arc<arrow::error::ArrowError>,
    },
    #[error("{}: {source}", .file.display())]
    Parquet {
        file: PathBuf,
        #[source]
        source: Arc<parquet::errors::ParquetError>,
    },
    /// A background task ended in a panic; what it was doing is not done.
    #[error("a task of the lake failed: {0}")]
    Task(String),
}

impl LakeError {
    pub(crate) fn io(doing: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, file: file.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn arrow(doing: &'static str) -> impl FnOnce(arrow::error::ArrowError) -> Self {
        move |source| Self::Arrow { doing, source: Arc::new(source) }
    }

    pub(crate) fn parquet(file: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        move |source| Self::Parquet { file: file.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn delta(
        table: &str,
        doing: &'static str,
    ) -> impl FnOnce(deltalake_core::DeltaTableError) -> Self {
        move |source| Self::Delta { table: table.to_owned(), doing, source: Arc::new(source) }
    }

    pub(crate) fn datafusion(
        table: &str,
        doing: &'static str,
    ) -> impl FnOnce(datafusion::error::DataFusionError) -> Self {
        move |source| Self::DataFusion { table: table.to_owned(), doing, source: Arc::new(source) }
    }

    /// Whether the same call may succeed later without anyone mending anything.
    pub fn is_back_pressure(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

pub(crate) type Result<T, E = LakeError> = std::result::Result<T, E>;
