//! The newest statistics of each dataset in the records: one row a dataset, as JSON.

#![expect(
    elided_lifetimes_in_paths,
    reason = "`MigrationTrait` leaves them out, and async_trait wants the same text"
)]

use sea_orm::sea_query::{ColumnDef, OnConflict, Table};
use sea_orm::{DbErr, EntityTrait, Set};
use sea_orm_migration::SchemaManager;
use store::records::migrations::MigrationName;
use store::records::{MigrationTrait, Records, RecordsError};

use super::Statistics;
use crate::records::micros;

/// Statistics of one dataset.
pub mod dataset_statistics {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "dataset_statistics")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub dataset: String,
        pub computed_us: i64,
        /// [`crate::statistics::Statistics`] as JSON.
        pub figures: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Makes the table.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "catalog_0006_dataset_statistics"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use dataset_statistics::Column;
        let table = Table::create()
            .table(dataset_statistics::Entity)
            .col(ColumnDef::new(Column::Dataset).text().not_null().primary_key())
            .col(ColumnDef::new(Column::ComputedUs).big_integer().not_null())
            .col(ColumnDef::new(Column::Figures).text().not_null())
            .to_owned();
        manager.create_table(table).await
    }
}

/// Keeps these statistics in the place of the dataset's former ones.
pub async fn save(records: &Records, statistics: &Statistics) -> Result<(), RecordsError> {
    use dataset_statistics::Column;
    let row = dataset_statistics::ActiveModel {
        dataset: Set(statistics.dataset.clone()),
        computed_us: Set(micros(statistics.computed_at)),
        figures: Set(serde_json::to_string(statistics).expect("statistics are plain data")),
    };
    let replace = OnConflict::column(Column::Dataset)
        .update_columns([Column::ComputedUs, Column::Figures])
        .to_owned();
    let txn = records.write().await?;
    dataset_statistics::Entity::insert(row)
        .on_conflict(replace)
        .exec_without_returning(&*txn)
        .await?;
    txn.commit().await
}

pub async fn load(records: &Records, dataset: &str) -> Result<Option<Statistics>, RecordsError> {
    let row = dataset_statistics::Entity::find_by_id(dataset).one(records.read()).await?;
    let Some(row) = row else { return Ok(None) };
    let read = serde_json::from_str(&row.figures);
    read.map(Some).map_err(|cause| RecordsError::Damaged {
        what: format!("statistics of {dataset} do not read: {cause}"),
    })
}
