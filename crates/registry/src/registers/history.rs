//! What a row was: its versions, newest first.

use arrow::array::RecordBatch;
use catalog::records::time;
use chrono::{DateTime, Utc};
use pack::Contract;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Registers, rows};
use crate::RegistryError;
use crate::records::register_row::{Column, Entity};

/// Versions that one answer holds: the newest ones.
pub const VERSIONS_MAX: u64 = 100;

/// One version of a row.
#[derive(Debug, Clone)]
pub struct Version {
    pub version: i64,
    pub at: DateTime<Utc>,
    pub by: String,
    pub reason: String,
    /// `created`, `changed` or `deleted`.
    pub kind: String,
    /// One row in the contract's schema; none where the row was taken away.
    pub row: Option<RecordBatch>,
}

impl Registers {
    /// A row's versions, newest first, [`VERSIONS_MAX`] at most; none where there never was one.
    pub async fn history(
        &self,
        contract: &Contract,
        key: &str,
    ) -> Result<Vec<Version>, RegistryError> {
        let found = Entity::find()
            .filter(Column::Dataset.eq(contract.id.as_str()))
            .filter(Column::RowKey.eq(key))
            .order_by_desc(Column::Version)
            .limit(VERSIONS_MAX)
            .all(self.records.read())
            .await?;
        let version = |model: crate::records::register_row::Model| {
            let row = match &model.data {
                Some(data) => {
                    rows::read(contract, std::iter::once(data.as_str()))?.into_iter().next()
                }
                None => None,
            };
            Ok(Version {
                version: model.version,
                at: time(model.from_us),
                by: model.actor,
                reason: model.reason,
                kind: model.kind,
                row,
            })
        };
        found.into_iter().map(version).collect()
    }
}
