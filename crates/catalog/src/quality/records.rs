//! Quality runs in the records: one row a run, its results as JSON; and the datasets that are owed
//! one.

#![expect(
    elided_lifetimes_in_paths,
    reason = "`MigrationTrait` leaves them out, and async_trait wants the same text"
)]

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{ColumnDef, Index, OnConflict, Table};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use sea_orm_migration::SchemaManager;
use store::records::migrations::MigrationName;
use store::records::{MigrationTrait, Records, RecordsError};

use super::RunResult;
use crate::records::micros;

/// Datasets that one call of [`due`] names.
const DUE_ROWS_MAX: u64 = 1_000;

/// One run of all rules over a dataset.
pub mod quality_run {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "quality_run")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub dataset: String,
        pub started_us: i64,
        pub finished_us: i64,
        pub rows: i64,
        pub passed: bool,
        /// [`crate::quality::RunResult`] as JSON.
        pub result: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A dataset whose rows have changed since its last run, and when the next may be.
pub mod quality_due {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "quality_due")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub dataset: String,
        pub due_us: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Makes the table of runs.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "catalog_0005_quality_run"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use quality_run::Column as Run;
        let runs = Table::create()
            .table(quality_run::Entity)
            .col(ColumnDef::new(Run::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Run::Dataset).text().not_null())
            .col(ColumnDef::new(Run::StartedUs).big_integer().not_null())
            .col(ColumnDef::new(Run::FinishedUs).big_integer().not_null())
            .col(ColumnDef::new(Run::Rows).big_integer().not_null())
            .col(ColumnDef::new(Run::Passed).boolean().not_null())
            .col(ColumnDef::new(Run::Result).text().not_null())
            .to_owned();
        manager.create_table(runs).await?;
        let by_dataset = Index::create()
            .name("quality_run_dataset_started")
            .table(quality_run::Entity)
            .col(Run::Dataset)
            .col(Run::StartedUs)
            .to_owned();
        manager.create_index(by_dataset).await
    }
}

/// Makes the table of what is owed.
pub struct DueMigration;

impl MigrationName for DueMigration {
    fn name(&self) -> &str {
        "catalog_0009_quality_due"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for DueMigration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use quality_due::Column as Due;
        let due = Table::create()
            .table(quality_due::Entity)
            .col(ColumnDef::new(Due::Dataset).string().not_null().primary_key())
            .col(ColumnDef::new(Due::DueUs).big_integer().not_null())
            .to_owned();
        manager.create_table(due).await
    }
}

pub async fn save(records: &Records, run: &RunResult) -> Result<(), RecordsError> {
    let row = quality_run::ActiveModel {
        id: Set(run.id),
        dataset: Set(run.dataset.clone()),
        started_us: Set(micros(run.started_at)),
        finished_us: Set(micros(run.finished_at)),
        rows: Set(i64::try_from(run.rows).unwrap_or(i64::MAX)),
        passed: Set(run.passed),
        result: Set(serde_json::to_string(run).expect("a run is plain data")),
    };
    let txn = records.write().await?;
    row.insert(&*txn).await?;
    txn.commit().await
}

/// The newest runs of a dataset, newest first.
pub async fn latest(
    records: &Records,
    dataset: &str,
    limit: u64,
) -> Result<Vec<RunResult>, RecordsError> {
    let rows = quality_run::Entity::find()
        .filter(quality_run::Column::Dataset.eq(dataset))
        .order_by_desc(quality_run::Column::StartedUs)
        .order_by_desc(quality_run::Column::Id)
        .limit(limit)
        .all(records.read())
        .await?;
    rows.iter()
        .map(|row| {
            serde_json::from_str(&row.result).map_err(|cause| RecordsError::Damaged {
                what: format!("quality run {} does not read: {cause}", row.id),
            })
        })
        .collect()
}

/// Remembers that a dataset is owed a run, at `until` at the earliest.
pub async fn put_off(
    records: &Records,
    dataset: &str,
    until: DateTime<Utc>,
) -> Result<(), RecordsError> {
    use quality_due::Column;
    let row =
        quality_due::ActiveModel { dataset: Set(dataset.to_owned()), due_us: Set(micros(until)) };
    let replace = OnConflict::column(Column::Dataset).update_column(Column::DueUs).to_owned();
    let txn = records.write().await?;
    quality_due::Entity::insert(row).on_conflict(replace).exec_without_returning(&*txn).await?;
    txn.commit().await
}

/// The datasets whose run may be now, those first that have waited for longest.
pub async fn due(records: &Records, now: DateTime<Utc>) -> Result<Vec<String>, RecordsError> {
    use quality_due::Column;
    let due = quality_due::Entity::find()
        .select_only()
        .column(Column::Dataset)
        .filter(Column::DueUs.lte(micros(now)))
        .order_by_asc(Column::DueUs)
        .limit(DUE_ROWS_MAX)
        .into_tuple()
        .all(records.read())
        .await?;
    Ok(due)
}

/// Nothing is owed to a dataset any more.
pub async fn settle(records: &Records, dataset: &str) -> Result<(), RecordsError> {
    let txn = records.write().await?;
    quality_due::Entity::delete_many()
        .filter(quality_due::Column::Dataset.eq(dataset))
        .exec(&*txn)
        .await?;
    txn.commit().await
}
