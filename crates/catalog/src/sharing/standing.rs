//! How governed SQL sees the grants that stand: as much of them as it applies, and the epoch.
//!
//! They are asked for with every dataset of every question, and change a few times a day: they are
//! kept in memory for as long as the epoch stands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::{Sharing, SharingError, sharing_grant};
use crate::sql::{Grant, Grants, GrantsError};

/// The records are looked at again after so long, whatever the epoch says: somebody may have
/// written there past this process.
const KEPT_MAX: Duration = Duration::from_secs(10);

/// By dataset and organisation, the oldest first. One that cannot be read closes its dataset to
/// its organisation, and nothing else.
type ByReader = HashMap<(String, String), Result<Vec<Grant>, String>>;

#[derive(Debug)]
struct Kept {
    epoch: u64,
    since: Instant,
    grants: Arc<ByReader>,
}

/// The grants that have not ended, as they were read last.
#[derive(Debug, Default)]
pub(super) struct Standing(Mutex<Option<Kept>>);

impl Standing {
    fn of(&self, epoch: u64) -> Option<Arc<ByReader>> {
        let kept = self.0.lock().expect("no one panics while holding the standing grants");
        let kept = kept.as_ref()?;
        (kept.epoch == epoch && kept.since.elapsed() < KEPT_MAX).then(|| kept.grants.clone())
    }

    fn keep(&self, epoch: u64, since: Instant, grants: &Arc<ByReader>) {
        let mut kept = self.0.lock().expect("no one panics while holding the standing grants");
        *kept = Some(Kept { epoch, since, grants: grants.clone() });
    }
}

impl Sharing {
    async fn standing_grants(&self) -> Result<Arc<ByReader>, SharingError> {
        // Before they are read, so that a change meanwhile counts as a later one.
        let (epoch, since) = (self.policy_epoch(), Instant::now());
        if let Some(grants) = self.standing.of(epoch) {
            return Ok(grants);
        }
        let rows = sharing_grant::Entity::find()
            .filter(sharing_grant::Column::EndedUs.is_null())
            .order_by_asc(sharing_grant::Column::GrantedUs)
            .all(self.records.read())
            .await?;
        let mut grants = ByReader::new();
        for row in rows {
            let of = (row.dataset.clone(), row.organisation.clone());
            let standing = grants.entry(of).or_insert_with(|| Ok(Vec::new()));
            match (super::Grant::try_from(row), standing) {
                (Ok(grant), Ok(standing)) => standing.push(grant.into()),
                (Err(error), standing) => *standing = Err(error.to_string()),
                (Ok(_), Err(_)) => {}
            }
        }
        let grants = Arc::new(grants);
        self.standing.keep(epoch, since, &grants);
        Ok(grants)
    }
}

impl From<super::Grant> for Grant {
    fn from(grant: super::Grant) -> Self {
        Self {
            id: grant.id.to_string(),
            row_filter: grant.row_filter,
            masks: grant.masks,
            fields: Some(grant.fields),
            expires: Some(grant.expires_at),
        }
    }
}

#[async_trait]
impl Grants for Sharing {
    async fn active(
        &self,
        dataset: &str,
        organisation: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<Grant>, GrantsError> {
        let grants = self.standing_grants().await;
        let grants = grants.map_err(|cause| GrantsError(cause.to_string()))?;
        let reader = (dataset.to_owned(), organisation.to_owned());
        let standing = match grants.get(&reader) {
            None => return Ok(Vec::new()),
            Some(Err(cause)) => return Err(GrantsError(cause.clone())),
            Some(Ok(standing)) => standing,
        };
        let holds = |grant: &&Grant| grant.expires.is_none_or(|end| end > now);
        Ok(standing.iter().filter(holds).cloned().collect())
    }

    fn epoch(&self) -> u64 {
        self.policy_epoch()
    }
}
