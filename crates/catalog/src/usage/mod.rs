//! Who used which dataset, how often, for what: one row for each query.
//!
//! ```text
//!  usage::query ─► ends ─► UsageLog::record (never waits) ─► bounded queue ─► batches ─► records
//!                                                                       page ◄── summary
//! ```
//!
//! The log is for owners who want to know whether a dataset is of use, and for operators. It is
//! not the audit: under a flood of queries entries are dropped and counted rather than queries
//! slowed down. It never holds a value: literals are taken out of statements and parameters are
//! not recorded at all.

mod log;
pub mod records;
mod statement;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use log::{UsageLog, UsageLogOptions};
pub use records::{forget_before, summary, summary_since};
pub use statement::{STATEMENT_CHARS_MAX, Statement};
pub use watch::{query, watch};

use crate::{Session, Surface};

/// How a query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Answered,
    /// Understood and not allowed.
    Refused,
    /// Over a limit.
    Limited,
    Failed,
    /// The client went away before the last row.
    Cancelled,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEntry {
    /// The answer's id.
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub principal: String,
    pub organisation: String,
    pub surface: Surface,
    /// Datasets and the fields of each that had a part in the answer, from its lineage.
    pub used: BTreeMap<String, BTreeSet<String>>,
    pub rows: u64,
    pub bytes: u64,
    pub duration_ms: u64,
    pub outcome: Outcome,
    pub statement: Statement,
}

impl UsageEntry {
    /// An entry for a session's query that began `at`; the caller fills in how it ended.
    pub fn begin(id: Uuid, session: &Session, sql: &str, at: DateTime<Utc>) -> Self {
        Self {
            id,
            at,
            principal: session.principal.user.clone(),
            organisation: session.principal.organisation.clone(),
            surface: session.surface,
            used: BTreeMap::new(),
            rows: 0,
            bytes: 0,
            duration_ms: 0,
            outcome: Outcome::Failed,
            statement: Statement::of(sql),
        }
    }
}

/// Where entries go. Recording never waits and never fails: a query does not depend on it.
pub trait UsageSink: Send + Sync + std::fmt::Debug {
    fn record(&self, entry: UsageEntry);
}

/// Keeps nothing: for commands that open a folder for one question.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoUsage;

impl UsageSink for NoUsage {
    fn record(&self, _: UsageEntry) {}
}

/// A dataset's use over a span of time, for its owner's eyes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSummary {
    pub dataset: String,
    pub since: DateTime<Utc>,
    pub queries: u64,
    pub principals: u64,
    pub last_used: Option<DateTime<Utc>>,
    /// Most frequent first.
    pub by_organisation: Vec<Used>,
    pub by_surface: Vec<Used>,
    /// Among the newest queries, how many used each field.
    pub by_field: Vec<Used>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub by: String,
    pub queries: u64,
}
