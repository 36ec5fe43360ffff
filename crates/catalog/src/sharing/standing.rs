//! How governed SQL sees the grants that stand: as much of them as it applies, and the epoch.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Sharing;
use crate::sql::{Grant, Grants, GrantsError};

#[async_trait]
impl Grants for Sharing {
    async fn active(
        &self,
        dataset: &str,
        organisation: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<Grant>, GrantsError> {
        let granted = self.active_grants(dataset, organisation, now).await;
        let granted = granted.map_err(|cause| GrantsError(cause.to_string()))?;
        let standing = granted.into_iter().map(|grant| Grant {
            id: grant.id.to_string(),
            row_filter: grant.row_filter,
            masks: grant.masks,
            fields: Some(grant.fields),
            expires: Some(grant.expires_at),
        });
        Ok(standing.collect())
    }

    fn epoch(&self) -> u64 {
        self.policy_epoch()
    }
}
