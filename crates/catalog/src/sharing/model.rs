//! The nouns of sharing, and how they stand in the records.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use pack::Mask;
use serde_json::json;
use uuid::Uuid;

use super::SharingError;
use crate::records::{micros, sharing_grant, sharing_request, time};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Requested,
    Granted,
    Refused,
    Withdrawn,
    Revoked,
    Expired,
}

impl State {
    pub const ALL: [Self; 6] = [
        Self::Requested,
        Self::Granted,
        Self::Refused,
        Self::Withdrawn,
        Self::Revoked,
        Self::Expired,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
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
    Grant,
    Refuse,
    Withdraw,
    Revoke,
    Expire,
}

impl Verb {
    pub const ALL: [Self; 5] =
        [Self::Grant, Self::Refuse, Self::Withdraw, Self::Revoke, Self::Expire];
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grant => "grant",
            Self::Refuse => "refuse",
            Self::Withdraw => "withdraw",
            Self::Revoke => "revoke",
            Self::Expire => "expire",
        })
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    pub dataset: String,
    pub fields: Vec<String>,
    /// Boolean SQL over the dataset's fields; `None`: all rows.
    pub rows: Option<String>,
    pub purpose: String,
    pub legal_ground: String,
    pub until: DateTime<Utc>,
}

/// What the owner is ready to give. Left empty, it is what was asked.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// `None`: all fields that were asked for.
    pub fields: Option<Vec<String>>,
    /// Narrows the rows that were asked for.
    pub row_filter: Option<String>,
    pub masks: BTreeMap<String, Mask>,
    /// `None`: until when it was asked for.
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub id: Uuid,
    pub dataset: String,
    pub fields: Vec<String>,
    pub rows: Option<String>,
    pub purpose: String,
    pub legal_ground: String,
    pub until: DateTime<Utc>,
    pub organisation: String,
    pub requested_by: String,
    pub requested_at: DateTime<Utc>,
    pub state: State,
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The request's id.
    pub id: Uuid,
    pub dataset: String,
    pub organisation: String,
    pub fields: Vec<String>,
    pub row_filter: Option<String>,
    pub masks: BTreeMap<String, Mask>,
    pub granted_by: String,
    pub granted_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl Request {
    /// For the audit.
    pub(super) fn summary(&self) -> serde_json::Value {
        json!({
            "dataset": self.dataset,
            "fields": self.fields,
            "rows": self.rows,
            "purpose": self.purpose,
            "legal_ground": self.legal_ground,
            "until": self.until.to_rfc3339(),
        })
    }
}

impl Grant {
    /// For the audit.
    pub(super) fn summary(&self) -> serde_json::Value {
        json!({
            "dataset": self.dataset,
            "organisation": self.organisation,
            "fields": self.fields,
            "row_filter": self.row_filter,
            "masks": self.masks,
            "expires": self.expires_at.to_rfc3339(),
        })
    }
}

pub(super) fn state(row: &sharing_request::Model) -> Result<State, SharingError> {
    let state = State::ALL.into_iter().find(|state| state.as_str() == row.state);
    state.ok_or_else(|| SharingError::Damaged {
        id: row.id,
        problem: format!("its state is `{}`", row.state),
    })
}

fn damaged(id: Uuid) -> impl Fn(serde_json::Error) -> SharingError {
    move |cause| SharingError::Damaged { id, problem: cause.to_string() }
}

impl TryFrom<sharing_request::Model> for Request {
    type Error = SharingError;

    fn try_from(row: sharing_request::Model) -> Result<Self, SharingError> {
        Ok(Self {
            state: state(&row)?,
            id: row.id,
            dataset: row.dataset,
            fields: serde_json::from_str(&row.fields).map_err(damaged(row.id))?,
            rows: row.rows,
            purpose: row.purpose,
            legal_ground: row.legal_ground,
            until: time(row.until_us),
            organisation: row.organisation,
            requested_by: row.requested_by,
            requested_at: time(row.requested_us),
            decided_by: row.decided_by,
            decided_at: row.decided_us.map(time),
            reason: row.reason,
        })
    }
}

impl TryFrom<sharing_grant::Model> for Grant {
    type Error = SharingError;

    fn try_from(row: sharing_grant::Model) -> Result<Self, SharingError> {
        Ok(Self {
            id: row.id,
            dataset: row.dataset,
            organisation: row.organisation,
            fields: serde_json::from_str(&row.fields).map_err(damaged(row.id))?,
            row_filter: row.row_filter,
            masks: serde_json::from_str(&row.masks).map_err(damaged(row.id))?,
            granted_by: row.granted_by,
            granted_at: time(row.granted_us),
            expires_at: time(row.expires_us),
        })
    }
}

impl TryFrom<&Grant> for sharing_grant::Model {
    type Error = SharingError;

    fn try_from(grant: &Grant) -> Result<Self, SharingError> {
        Ok(Self {
            id: grant.id,
            dataset: grant.dataset.clone(),
            organisation: grant.organisation.clone(),
            fields: serde_json::to_string(&grant.fields).map_err(damaged(grant.id))?,
            row_filter: grant.row_filter.clone(),
            masks: serde_json::to_string(&grant.masks).map_err(damaged(grant.id))?,
            granted_by: grant.granted_by.clone(),
            granted_us: micros(grant.granted_at),
            expires_us: micros(grant.expires_at),
            ended_us: None,
        })
    }
}
