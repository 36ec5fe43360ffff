//! What governed SQL asks of its neighbours: which sharing grants stand today, and where to put
//! what the author of a query must not see. Both are traits, so that this module knows neither
//! the records nor the audit.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use pack::model::Mask;
use uuid::Uuid;

/// One standing permission of an organisation to read a dataset.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    pub id: String,
    /// Boolean SQL as in a pack's policies. `None`: all rows.
    pub row_filter: Option<String>,
    pub masks: BTreeMap<String, Mask>,
    /// The only fields that are shown. `None`: every classified field.
    pub fields: Option<Vec<String>>,
    pub expires: Option<DateTime<Utc>>,
}

/// Sharing grants that stand at a moment.
#[async_trait]
pub trait Grants: Send + Sync + std::fmt::Debug {
    /// The grants of `dataset` to `organisation` itself: they are not inherited by those below.
    /// Failing is refusing: an error closes the dataset.
    async fn active(
        &self,
        dataset: &str,
        organisation: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<Grant>, GrantsError>;

    /// Moves whenever a grant is made, changed or withdrawn: plans made before are made again.
    fn epoch(&self) -> u64;
}

#[derive(Debug, thiserror::Error)]
#[error("sharing grants cannot be read: {0}")]
pub struct GrantsError(pub String);

/// Nothing is granted: only the pack's policies open datasets.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGrants;

#[async_trait]
impl Grants for NoGrants {
    async fn active(
        &self,
        _dataset: &str,
        _organisation: &str,
        _now: DateTime<Utc>,
    ) -> Result<Vec<Grant>, GrantsError> {
        Ok(Vec::new())
    }

    fn epoch(&self) -> u64 {
        0
    }
}

/// Takes the details of a failure that its author must not see.
pub trait Events: Send + Sync + std::fmt::Debug {
    fn failed(&self, correlation_id: Uuid, user: &str, sql: &str, details: &str);
}

/// Details go to the process's log, which only operators read.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoggedEvents;

impl Events for LoggedEvents {
    fn failed(&self, correlation_id: Uuid, user: &str, sql: &str, details: &str) {
        tracing::error!(%correlation_id, user, sql, details, "query failed");
    }
}
