//! The rows of the platform's own datasets: made from what the platform knows at the moment they
//! are asked for. The quarantine alone has a table in the lake.
//!
//! Ungoverned, like every source: the catalogue puts their policies over them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use catalog::statistics::Freshness;
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use pack::platform::{AUDIT, DATASETS, QUARANTINE, REQUESTS, SCHEMA, USERS};
use pack::{Contract, DatasetKind, SharingAttribute};

use crate::source::{Stores, no_past};

/// Entries of the audit that can be asked in SQL: the newest ones.
const AUDIT_ROWS_MAX: i64 = 10_000;
/// Entries read at a time.
const AUDIT_PAGE_ROWS: u64 = 1_000;

/// Whether a dataset is one that is made here.
pub fn makes(contract: &Contract) -> bool {
    contract.id != QUARANTINE && contract.id.split('.').next() == Some(SCHEMA)
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn integers(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn flags(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<BooleanArray>())
}

fn times(values: impl Iterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let micros = values.map(|time| time.map(|time| time.timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

impl Stores {
    /// One of the platform's own datasets as it stands.
    pub async fn platform_table(
        &self,
        contract: &Contract,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        if as_of.is_some() {
            let reason = format!("{} keeps no past: ask about now", contract.id);
            return Err(no_past(reason));
        }
        let columns = match contract.id.as_str() {
            DATASETS => self.dataset_rows().await?,
            REQUESTS => self.request_rows().await?,
            AUDIT => self.audit_rows().await?,
            USERS => self.user_rows().await?,
            other => return Err(DataFusionError::Plan(format!("no dataset {other}"))),
        };
        let rows = RecordBatch::try_new(contract.arrow_schema(), columns)?;
        Ok(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?))
    }

    async fn dataset_rows(&self) -> Result<Vec<ArrayRef>, DataFusionError> {
        let now = Utc::now();
        let shown: Vec<&Contract> =
            self.pack.datasets.values().filter(|contract| !makes(contract)).collect();
        let mut newest = Vec::with_capacity(shown.len());
        for contract in &shown {
            // One dataset that cannot be looked at must not hide the others.
            newest.push(self.newest_known(contract).await);
        }
        let late: Vec<Option<i64>> = shown
            .iter()
            .zip(&newest)
            .map(|(contract, at)| late_minutes(contract, *at, now))
            .collect();
        Ok(vec![
            texts(shown.iter().map(|contract| contract.id.as_str())),
            texts(shown.iter().map(|contract| contract.title.zh.as_str())),
            texts(shown.iter().map(|contract| contract.title.en.as_str())),
            texts(shown.iter().map(|contract| contract.owner.as_str())),
            texts(shown.iter().map(|contract| kind(contract.kind))),
            texts(shown.iter().map(|contract| attribute(contract.sharing.attribute))),
            times(newest.iter().copied()),
            integers(shown.iter().map(|contract| {
                contract.freshness_limit_minutes.and_then(|limit| i64::try_from(limit).ok())
            })),
            integers(late.iter().copied()),
            flags(shown.iter().zip(&newest).map(|(contract, at)| is_stale(contract, *at, now))),
        ])
    }

    async fn request_rows(&self) -> Result<Vec<ArrayRef>, DataFusionError> {
        let mut rows = self.sharing.all_requests().await.map_err(external)?;
        // A dataset that has left the pack has no owner who could decide.
        rows.retain(|row| self.pack.datasets.contains_key(&row.dataset));
        let owner = |dataset: &str| self.pack.datasets[dataset].owner.as_str();
        let ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
        let states: Vec<String> = rows.iter().map(|row| row.state.to_string()).collect();
        Ok(vec![
            texts(ids.iter().map(String::as_str)),
            texts(rows.iter().map(|row| row.dataset.as_str())),
            texts(rows.iter().map(|row| owner(&row.dataset))),
            texts(rows.iter().map(|row| row.organisation.as_str())),
            texts(rows.iter().map(|row| row.purpose.as_str())),
            texts(states.iter().map(String::as_str)),
            times(rows.iter().map(|row| Some(row.requested_at))),
            times(rows.iter().map(|row| Some(row.until))),
            times(rows.iter().map(|row| row.decided_at)),
        ])
    }

    async fn audit_rows(&self) -> Result<Vec<ArrayRef>, DataFusionError> {
        let end = self.audit.head().await.map_err(external)?.count;
        let mut after = end - AUDIT_ROWS_MAX;
        let mut rows = Vec::new();
        while rows.len() < usize::try_from(AUDIT_ROWS_MAX).unwrap_or(0) {
            let page = self.audit.page(after, AUDIT_PAGE_ROWS).await.map_err(external)?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            rows.extend(page);
        }
        Ok(vec![
            integers(rows.iter().map(|row| Some(row.seq))),
            times(rows.iter().map(|row| DateTime::from_timestamp_micros(row.at_us))),
            texts(rows.iter().map(|row| row.actor.as_str())),
            texts(rows.iter().map(|row| row.organisation.as_str())),
            texts(rows.iter().map(|row| row.action.as_str())),
            texts(rows.iter().map(|row| row.object.as_str())),
            texts(rows.iter().map(|row| row.outcome.as_str())),
        ])
    }

    async fn user_rows(&self) -> Result<Vec<ArrayRef>, DataFusionError> {
        let rows = self.registry.users().await.map_err(external)?;
        let roles: Vec<String> = rows.iter().map(|row| row.roles.join(" ")).collect();
        let areas: Vec<String> = rows.iter().map(|row| row.areas.join(" ")).collect();
        Ok(vec![
            texts(rows.iter().map(|row| row.name.as_str())),
            texts(rows.iter().map(|row| row.organisation.as_str())),
            texts(roles.iter().map(String::as_str)),
            texts(areas.iter().map(String::as_str)),
            flags(rows.iter().map(|row| row.active)),
            times(rows.iter().map(|row| Some(row.created_at))),
        ])
    }
}

/// Whether a dataset is older than its contract promises.
pub fn is_stale(contract: &Contract, newest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    contract.freshness_limit_minutes.is_some()
        && matches!(
            Freshness::of(newest, contract.freshness_limit_minutes, now),
            Freshness::Late { .. } | Freshness::Never
        )
}

fn late_minutes(
    contract: &Contract,
    newest: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<i64> {
    match Freshness::of(newest, contract.freshness_limit_minutes, now) {
        Freshness::Late { late_minutes, .. } => i64::try_from(late_minutes).ok(),
        _ => None,
    }
}

fn kind(kind: DatasetKind) -> &'static str {
    match kind {
        DatasetKind::Stream => "stream",
        DatasetKind::Snapshot => "snapshot",
        DatasetKind::Register => "register",
    }
}

fn attribute(attribute: SharingAttribute) -> &'static str {
    match attribute {
        SharingAttribute::Unconditional => "unconditional",
        SharingAttribute::Conditional => "conditional",
        SharingAttribute::NotShared => "not_shared",
    }
}
