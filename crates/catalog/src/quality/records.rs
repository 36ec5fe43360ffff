//! Quality runs in the records: one row a run, its results as JSON.

#![expect(
    elided_lifetimes_in_paths,
    reason = "`MigrationTrait` leaves them out, and async_trait wants the same text"
)]

use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use sea_orm_migration::SchemaManager;
use store::records::migrations::MigrationName;
use store::records::{MigrationTrait, Records, RecordsError};

use super::RunResult;
use crate::records::micros;

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

/// Makes the table.
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
