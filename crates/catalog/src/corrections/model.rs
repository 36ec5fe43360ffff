//! The nouns of corrections, and how they stand in the records.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::CorrectionError;
use crate::records::{correction, time};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Filed,
    Accepted,
    Applied,
    Refused,
    Withdrawn,
}

impl State {
    pub const ALL: [Self; 5] =
        [Self::Filed, Self::Accepted, Self::Applied, Self::Refused, Self::Withdrawn];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filed => "filed",
            Self::Accepted => "accepted",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    Accept,
    Refuse,
    Withdraw,
    Apply,
}

impl Verb {
    pub const ALL: [Self; 4] = [Self::Accept, Self::Refuse, Self::Withdraw, Self::Apply];

    /// Decisions are given with their reason.
    pub(super) fn needs_answer(self) -> bool {
        matches!(self, Self::Accept | Self::Refuse)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Refuse => "refuse",
            Self::Withdraw => "withdraw",
            Self::Apply => "apply",
        })
    }
}

/// What somebody holds to be wrong, and what would be right.
#[derive(Debug, Clone)]
pub struct Claim {
    pub dataset: String,
    /// The row: each key field and its value.
    pub key: BTreeMap<String, Value>,
    pub field: String,
    pub present: Value,
    pub proposed: Value,
    pub reason: String,
    /// Blob ids or references.
    pub evidence: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Correction {
    pub id: Uuid,
    pub dataset: String,
    pub key: BTreeMap<String, Value>,
    pub field: String,
    pub present: Value,
    pub proposed: Value,
    pub reason: String,
    pub evidence: Vec<String>,
    pub organisation: String,
    pub requested_by: String,
    pub requested_at: DateTime<Utc>,
    pub state: State,
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    pub answer: Option<String>,
}

pub(super) fn state(row: &correction::Model) -> Result<State, CorrectionError> {
    let state = State::ALL.into_iter().find(|state| state.as_str() == row.state);
    state.ok_or_else(|| CorrectionError::Damaged {
        id: row.id,
        problem: format!("its state is `{}`", row.state),
    })
}

impl TryFrom<correction::Model> for Correction {
    type Error = CorrectionError;

    fn try_from(row: correction::Model) -> Result<Self, CorrectionError> {
        let id = row.id;
        let damaged =
            |cause: serde_json::Error| CorrectionError::Damaged { id, problem: cause.to_string() };
        Ok(Self {
            id,
            state: state(&row)?,
            key: serde_json::from_str(&row.row_key).map_err(damaged)?,
            present: serde_json::from_str(&row.present).map_err(damaged)?,
            proposed: serde_json::from_str(&row.proposed).map_err(damaged)?,
            evidence: serde_json::from_str(&row.evidence).map_err(damaged)?,
            dataset: row.dataset,
            field: row.field,
            reason: row.reason,
            organisation: row.organisation,
            requested_by: row.requested_by,
            requested_at: time(row.requested_us),
            decided_by: row.decided_by,
            decided_at: row.decided_us.map(time),
            answer: row.answer,
        })
    }
}
