//! The usage log in the records: one row a query, one row for each dataset that a query used.

#![expect(
    elided_lifetimes_in_paths,
    reason = "`MigrationTrait` leaves them out, and async_trait wants the same text"
)]

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use sea_orm_migration::SchemaManager;
use store::records::migrations::MigrationName;
use store::records::{MigrationTrait, Records, RecordsError};

use super::{UsageEntry, UsageSummary, Used};
use crate::records::{micros, time};

/// The span that a dataset page sums up.
const SUMMARY_DAYS: i64 = 30;
/// Names in each list of a summary.
const SUMMARY_NAMES_MAX: u64 = 20;
/// Fields are counted in this many of the newest queries.
const FIELD_QUERIES_MAX: u64 = 2_000;
/// Rows in one statement: databases bound the number of parameters.
const INSERT_ROWS_MAX: usize = 200;

/// One query.
pub mod usage_query {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "usage_query")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub at_us: i64,
        pub principal: String,
        pub organisation: String,
        pub surface: String,
        pub outcome: String,
        pub rows: i64,
        pub bytes: i64,
        pub duration_ms: i64,
        pub statement_hash: String,
        /// Values taken out; see [`crate::usage::Statement`].
        pub statement: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A dataset that a query used. Repeats what a summary groups by, so that it reads one index.
pub mod usage_dataset {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "usage_dataset")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub query: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub dataset: String,
        /// JSON array of names.
        pub fields: String,
        pub at_us: i64,
        pub principal: String,
        pub organisation: String,
        pub surface: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Makes the two tables.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "catalog_0004_usage"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use usage_dataset::Column as Dataset;
        use usage_query::Column as Query;
        let queries = Table::create()
            .table(usage_query::Entity)
            .col(ColumnDef::new(Query::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Query::AtUs).big_integer().not_null())
            .col(ColumnDef::new(Query::Principal).text().not_null())
            .col(ColumnDef::new(Query::Organisation).text().not_null())
            .col(ColumnDef::new(Query::Surface).text().not_null())
            .col(ColumnDef::new(Query::Outcome).text().not_null())
            .col(ColumnDef::new(Query::Rows).big_integer().not_null())
            .col(ColumnDef::new(Query::Bytes).big_integer().not_null())
            .col(ColumnDef::new(Query::DurationMs).big_integer().not_null())
            .col(ColumnDef::new(Query::StatementHash).text().not_null())
            .col(ColumnDef::new(Query::Statement).text())
            .to_owned();
        manager.create_table(queries).await?;
        let datasets = Table::create()
            .table(usage_dataset::Entity)
            .col(ColumnDef::new(Dataset::Query).uuid().not_null())
            .col(ColumnDef::new(Dataset::Dataset).text().not_null())
            .col(ColumnDef::new(Dataset::Fields).text().not_null())
            .col(ColumnDef::new(Dataset::AtUs).big_integer().not_null())
            .col(ColumnDef::new(Dataset::Principal).text().not_null())
            .col(ColumnDef::new(Dataset::Organisation).text().not_null())
            .col(ColumnDef::new(Dataset::Surface).text().not_null())
            .primary_key(Index::create().col(Dataset::Query).col(Dataset::Dataset))
            .to_owned();
        manager.create_table(datasets).await?;
        let by_time = Index::create()
            .name("usage_query_at")
            .table(usage_query::Entity)
            .col(Query::AtUs)
            .to_owned();
        manager.create_index(by_time).await?;
        let by_dataset = Index::create()
            .name("usage_dataset_dataset_at")
            .table(usage_dataset::Entity)
            .col(Dataset::Dataset)
            .col(Dataset::AtUs)
            .to_owned();
        manager.create_index(by_dataset).await
    }
}

/// Writes entries in one transaction.
pub async fn insert(records: &Records, entries: &[UsageEntry]) -> Result<(), RecordsError> {
    let queries: Vec<_> = entries.iter().map(query_row).collect();
    let datasets: Vec<_> = entries.iter().flat_map(dataset_rows).collect();
    let txn = records.write().await?;
    for rows in queries.chunks(INSERT_ROWS_MAX) {
        usage_query::Entity::insert_many(rows.to_vec()).exec_without_returning(&*txn).await?;
    }
    for rows in datasets.chunks(INSERT_ROWS_MAX) {
        usage_dataset::Entity::insert_many(rows.to_vec()).exec_without_returning(&*txn).await?;
    }
    txn.commit().await
}

fn query_row(entry: &UsageEntry) -> usage_query::ActiveModel {
    let whole = |count: u64| Set(i64::try_from(count).unwrap_or(i64::MAX));
    usage_query::ActiveModel {
        id: Set(entry.id),
        at_us: Set(micros(entry.at)),
        principal: Set(entry.principal.clone()),
        organisation: Set(entry.organisation.clone()),
        surface: Set(entry.surface.as_str().to_owned()),
        outcome: Set(entry.outcome.as_str().to_owned()),
        rows: whole(entry.rows),
        bytes: whole(entry.bytes),
        duration_ms: whole(entry.duration_ms),
        statement_hash: Set(entry.statement.hash.clone()),
        statement: Set(entry.statement.shape.clone()),
    }
}

fn dataset_rows(entry: &UsageEntry) -> impl Iterator<Item = usage_dataset::ActiveModel> {
    entry.used.iter().map(|(dataset, fields)| usage_dataset::ActiveModel {
        query: Set(entry.id),
        dataset: Set(dataset.clone()),
        fields: Set(serde_json::to_string(fields).expect("names are JSON")),
        at_us: Set(micros(entry.at)),
        principal: Set(entry.principal.clone()),
        organisation: Set(entry.organisation.clone()),
        surface: Set(entry.surface.as_str().to_owned()),
    })
}

/// A dataset's use over the last 30 days.
pub async fn summary(
    records: &Records,
    dataset: &str,
    now: DateTime<Utc>,
) -> Result<UsageSummary, RecordsError> {
    summary_since(records, dataset, now - TimeDelta::days(SUMMARY_DAYS)).await
}

pub async fn summary_since(
    records: &Records,
    dataset: &str,
    since: DateTime<Utc>,
) -> Result<UsageSummary, RecordsError> {
    use usage_dataset::Column;
    let of_dataset = || {
        usage_dataset::Entity::find()
            .filter(Column::Dataset.eq(dataset))
            .filter(Column::AtUs.gte(micros(since)))
    };
    let principals = of_dataset().select_only().column(Column::Principal).distinct();
    let newest = of_dataset().order_by_desc(Column::AtUs).limit(FIELD_QUERIES_MAX);
    let newest = newest.all(records.read()).await?;
    let mut fields: BTreeMap<String, u64> = BTreeMap::new();
    for row in &newest {
        let used: Vec<String> = serde_json::from_str(&row.fields).unwrap_or_default();
        for field in used {
            *fields.entry(field).or_default() += 1;
        }
    }
    let mut by_field: Vec<Used> =
        fields.into_iter().map(|(by, queries)| Used { by, queries }).collect();
    by_field.sort_by(|a, b| b.queries.cmp(&a.queries).then(a.by.cmp(&b.by)));
    Ok(UsageSummary {
        dataset: dataset.to_owned(),
        since,
        queries: of_dataset().count(records.read()).await?,
        principals: principals.count(records.read()).await?,
        last_used: newest.first().map(|row| time(row.at_us)),
        by_organisation: grouped(records, of_dataset(), Column::Organisation).await?,
        by_surface: grouped(records, of_dataset(), Column::Surface).await?,
        by_field,
    })
}

async fn grouped(
    records: &Records,
    rows: sea_orm::Select<usage_dataset::Entity>,
    by: usage_dataset::Column,
) -> Result<Vec<Used>, RecordsError> {
    let counted: Vec<(String, i64)> = rows
        .select_only()
        .column(by)
        .column_as(usage_dataset::Column::Query.count(), "queries")
        .group_by(by)
        .order_by_desc(usage_dataset::Column::Query.count())
        .order_by_asc(by)
        .limit(SUMMARY_NAMES_MAX)
        .into_tuple()
        .all(records.read())
        .await?;
    let used = |(by, queries): (String, i64)| Used { by, queries: queries.unsigned_abs() };
    Ok(counted.into_iter().map(used).collect())
}

/// Forgets what is older; the operator's retention rule decides when.
pub async fn forget_before(records: &Records, moment: DateTime<Utc>) -> Result<u64, RecordsError> {
    let txn = records.write().await?;
    usage_dataset::Entity::delete_many()
        .filter(usage_dataset::Column::AtUs.lt(micros(moment)))
        .exec(&*txn)
        .await?;
    let forgotten = usage_query::Entity::delete_many()
        .filter(usage_query::Column::AtUs.lt(micros(moment)))
        .exec(&*txn)
        .await?;
    txn.commit().await?;
    Ok(forgotten.rows_affected)
}
