//! Are the rows good? The rules of a contract, asked of single batches and of whole datasets.
//!
//! ```text
//!  contract ─► RowRules::compile ─┬─ check(batch)  ─► Checked { good rows, failures }    at import
//!                                 └─ run(provider) ─► RunResult, rule by rule            of a dataset
//! ```
//!
//! Beside the rules that a contract states there are those that it implies: a required field is
//! there, a coded field holds one of its codes, an identity number and a credit code carry their
//! checksum. A run adds what no single row can tell: that keys are unique, the newest row fresh,
//! the cells filled.
//!
//! **A rule that gives null passes**, as a `CHECK` does in SQL: a rule about a value says nothing
//! about a value that is missing; `required` does. A rule that fails to compute (a cast of what is
//! no number) fails its row and no other.
//!
//! This module knows neither stores nor who asks. Results are plain data; [`records`] keeps them.

mod check;
pub mod records;
mod rules;
mod run;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use pack::model::{Severity, Text};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use rules::{RowRule, RowRules};
pub(crate) use run::text_of;
pub use run::{RunOptions, run};

#[derive(Debug, thiserror::Error)]
pub enum QualityError {
    #[error("rule {rule} of {dataset} does not plan: {reason}; `shujin check` says where")]
    Rule { dataset: String, rule: String, reason: String },
    #[error(
        "rows of {dataset} lack the field {field}, or have it as {found} instead of {expected}"
    )]
    Shape { dataset: String, field: String, expected: String, found: String },
    #[error("the rows of {dataset} could not be read: {cause}")]
    Read { dataset: String, cause: datafusion::error::DataFusionError },
    #[error("the failing rows of {dataset} could not be set apart: {cause}")]
    Arrow { dataset: String, cause: arrow::error::ArrowError },
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// Written in the contract.
    Stated,
    Required,
    Codes,
    Checksum,
    /// No two rows share a key.
    UniqueKey,
    /// The newest row is within the contract's limit.
    Freshness,
    /// How many of all cells are filled: a figure, not a verdict.
    Completeness,
}

/// One row that broke one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFailure {
    /// Position in the batch that was checked.
    pub row: usize,
    pub rule: Arc<str>,
    /// The one field that an implied rule is about.
    pub field: Option<Arc<str>>,
    pub severity: Severity,
}

/// A batch after its check.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The rows that broke no rule of severity error, in order.
    pub good: RecordBatch,
    /// Rule by rule, row by row; warnings among them.
    pub failures: Vec<RowFailure>,
}

/// One rule over a whole dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleResult {
    pub rule: String,
    pub kind: RuleKind,
    pub title: BTreeMap<String, String>,
    pub field: Option<String>,
    pub severity: Severity,
    /// Rows, or cells for completeness.
    pub checked: u64,
    pub failed: u64,
    /// `failed / checked`, 0 where nothing was checked.
    pub failed_share: f64,
    /// Keys of some failing rows, field → value as text. For the owner's eyes: keys may be
    /// identity numbers.
    pub sample: Vec<BTreeMap<String, Option<String>>>,
    /// A query that finds the failing rows again, where rows fail one by one.
    pub failing_rows: Option<String>,
}

/// One run of all rules over a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    pub id: Uuid,
    pub dataset: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub rows: u64,
    /// No rule of severity error failed anywhere.
    pub passed: bool,
    pub rules: Vec<RuleResult>,
}

pub(crate) fn titles(text: &Text) -> BTreeMap<String, String> {
    BTreeMap::from([("zh".to_owned(), text.zh.clone()), ("en".to_owned(), text.en.clone())])
}

/// `part` of `whole` between 0 and 1. Exact below 2^53 rows.
#[expect(clippy::cast_precision_loss, reason = "a share of rows needs no 16th digit")]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
