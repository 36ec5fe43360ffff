//! The catalogue's migrations, in order. A released one never changes: a new one goes to the end.

#![expect(
    elided_lifetimes_in_paths,
    reason = "`MigrationTrait` leaves them out, and async_trait wants the same text"
)]

use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{ActiveModelTrait, DbErr, Set};
use sea_orm_migration::SchemaManager;
use store::records::migrations::{MigrationName, MigrationTrait, Migrations};

use super::{
    audit_entry, audit_head, correction, counter, saved_query, scenario, scenario_change,
    sharing_grant, sharing_request,
};
use crate::{quality, statistics, usage};

/// Hand these to `Records::migrate` together with those of the other crates.
pub fn migrations() -> Migrations {
    vec![
        Box::new(Audit),
        Box::new(Sharing),
        Box::new(Corrections),
        Box::new(usage::records::Migration),
        Box::new(quality::records::Migration),
        Box::new(statistics::records::Migration),
        Box::new(Scenarios),
    ]
}

/// Those that came after the registry's first: they go behind them, for folders that have both.
pub fn later_migrations() -> Migrations {
    vec![Box::new(SavedQueries), Box::new(quality::records::DueMigration)]
}

struct Audit;

impl MigrationName for Audit {
    fn name(&self) -> &str {
        "catalog_0001_audit"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Audit {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use audit_entry::Column as Entry;
        use audit_head::Column as Head;
        let entries = Table::create()
            .table(audit_entry::Entity)
            .col(ColumnDef::new(Entry::Seq).big_integer().not_null().primary_key())
            .col(ColumnDef::new(Entry::AtUs).big_integer().not_null())
            .col(ColumnDef::new(Entry::Actor).text().not_null())
            .col(ColumnDef::new(Entry::Organisation).text().not_null())
            .col(ColumnDef::new(Entry::Action).text().not_null())
            .col(ColumnDef::new(Entry::Object).text().not_null())
            .col(ColumnDef::new(Entry::Outcome).text().not_null())
            .col(ColumnDef::new(Entry::Detail).text().not_null())
            .col(ColumnDef::new(Entry::Algorithm).text().not_null())
            .col(ColumnDef::new(Entry::Previous).text().not_null())
            .col(ColumnDef::new(Entry::Hash).text().not_null())
            .to_owned();
        manager.create_table(entries).await?;
        store::records::append_only(manager.get_connection(), "audit_entry").await?;
        let head = Table::create()
            .table(audit_head::Entity)
            .col(ColumnDef::new(Head::Id).integer().not_null().primary_key())
            .col(ColumnDef::new(Head::Count).big_integer().not_null())
            .col(ColumnDef::new(Head::Hash).text().not_null())
            .to_owned();
        manager.create_table(head).await?;
        let empty = audit_head::ActiveModel {
            id: Set(audit_head::ONLY),
            count: Set(0),
            hash: Set(String::new()),
        };
        empty.insert(manager.get_connection()).await?;
        Ok(())
    }
}

struct Sharing;

impl MigrationName for Sharing {
    fn name(&self) -> &str {
        "catalog_0002_sharing"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Sharing {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use sharing_grant::Column as Grant;
        use sharing_request::Column as Request;
        let requests = Table::create()
            .table(sharing_request::Entity)
            .col(ColumnDef::new(Request::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Request::Dataset).text().not_null())
            .col(ColumnDef::new(Request::Fields).text().not_null())
            .col(ColumnDef::new(Request::Rows).text())
            .col(ColumnDef::new(Request::Purpose).text().not_null())
            .col(ColumnDef::new(Request::LegalGround).text().not_null())
            .col(ColumnDef::new(Request::UntilUs).big_integer().not_null())
            .col(ColumnDef::new(Request::Organisation).text().not_null())
            .col(ColumnDef::new(Request::RequestedBy).text().not_null())
            .col(ColumnDef::new(Request::RequestedUs).big_integer().not_null())
            .col(ColumnDef::new(Request::State).text().not_null())
            .col(ColumnDef::new(Request::DecidedBy).text())
            .col(ColumnDef::new(Request::DecidedUs).big_integer())
            .col(ColumnDef::new(Request::Reason).text())
            .to_owned();
        manager.create_table(requests).await?;
        let grants = Table::create()
            .table(sharing_grant::Entity)
            .col(ColumnDef::new(Grant::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Grant::Dataset).text().not_null())
            .col(ColumnDef::new(Grant::Organisation).text().not_null())
            .col(ColumnDef::new(Grant::Fields).text().not_null())
            .col(ColumnDef::new(Grant::RowFilter).text())
            .col(ColumnDef::new(Grant::Masks).text().not_null())
            .col(ColumnDef::new(Grant::GrantedBy).text().not_null())
            .col(ColumnDef::new(Grant::GrantedUs).big_integer().not_null())
            .col(ColumnDef::new(Grant::ExpiresUs).big_integer().not_null())
            .col(ColumnDef::new(Grant::EndedUs).big_integer())
            .to_owned();
        manager.create_table(grants).await?;
        // Every query asks for the grants of its datasets.
        let by_reader = Index::create()
            .name("sharing_grant_by_reader")
            .table(sharing_grant::Entity)
            .col(Grant::Dataset)
            .col(Grant::Organisation)
            .to_owned();
        manager.create_index(by_reader).await?;
        let counters = Table::create()
            .table(counter::Entity)
            .col(ColumnDef::new(counter::Column::Name).string().not_null().primary_key())
            .col(ColumnDef::new(counter::Column::Value).big_integer().not_null())
            .to_owned();
        manager.create_table(counters).await?;
        let epoch =
            counter::ActiveModel { name: Set(counter::POLICY_EPOCH.to_owned()), value: Set(1) };
        epoch.insert(manager.get_connection()).await?;
        Ok(())
    }
}

struct Corrections;

impl MigrationName for Corrections {
    fn name(&self) -> &str {
        "catalog_0003_corrections"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Corrections {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use correction::Column;
        let corrections = Table::create()
            .table(correction::Entity)
            .col(ColumnDef::new(Column::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Column::Dataset).text().not_null())
            .col(ColumnDef::new(Column::RowKey).text().not_null())
            .col(ColumnDef::new(Column::Field).text().not_null())
            .col(ColumnDef::new(Column::Present).text().not_null())
            .col(ColumnDef::new(Column::Proposed).text().not_null())
            .col(ColumnDef::new(Column::Reason).text().not_null())
            .col(ColumnDef::new(Column::Evidence).text().not_null())
            .col(ColumnDef::new(Column::Organisation).text().not_null())
            .col(ColumnDef::new(Column::RequestedBy).text().not_null())
            .col(ColumnDef::new(Column::RequestedUs).big_integer().not_null())
            .col(ColumnDef::new(Column::State).text().not_null())
            .col(ColumnDef::new(Column::DecidedBy).text())
            .col(ColumnDef::new(Column::DecidedUs).big_integer())
            .col(ColumnDef::new(Column::Answer).text())
            .to_owned();
        manager.create_table(corrections).await?;
        let by_dataset = Index::create()
            .name("correction_by_dataset")
            .table(correction::Entity)
            .col(Column::Dataset)
            .col(Column::State)
            .to_owned();
        manager.create_index(by_dataset).await
    }
}

struct Scenarios;

impl MigrationName for Scenarios {
    fn name(&self) -> &str {
        "catalog_0007_scenarios"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Scenarios {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use scenario::Column as Scenario;
        use scenario_change::Column as Change;
        let scenarios = Table::create()
            .table(scenario::Entity)
            .col(ColumnDef::new(Scenario::Name).string().not_null().primary_key())
            .col(ColumnDef::new(Scenario::Title).text().not_null())
            .col(ColumnDef::new(Scenario::Owner).text().not_null())
            .col(ColumnDef::new(Scenario::Organisation).text().not_null())
            .col(ColumnDef::new(Scenario::CreatedUs).big_integer().not_null())
            .to_owned();
        manager.create_table(scenarios).await?;
        let changes = Table::create()
            .table(scenario_change::Entity)
            .col(ColumnDef::new(Change::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Change::Scenario).string().not_null())
            .col(ColumnDef::new(Change::Dataset).string().not_null())
            .col(ColumnDef::new(Change::RowKey).string().not_null())
            .col(ColumnDef::new(Change::Op).text().not_null())
            .col(ColumnDef::new(Change::Row).text().not_null())
            .col(ColumnDef::new(Change::ChangedBy).text().not_null())
            .col(ColumnDef::new(Change::ChangedUs).big_integer().not_null())
            .to_owned();
        manager.create_table(changes).await?;
        let one_a_row = Index::create()
            .name("scenario_change_one_a_row")
            .table(scenario_change::Entity)
            .col(Change::Scenario)
            .col(Change::Dataset)
            .col(Change::RowKey)
            .unique()
            .to_owned();
        manager.create_index(one_a_row).await
    }
}

struct SavedQueries;

impl MigrationName for SavedQueries {
    fn name(&self) -> &str {
        "catalog_0008_saved_queries"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SavedQueries {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use saved_query::Column;
        let queries = Table::create()
            .table(saved_query::Entity)
            .col(ColumnDef::new(Column::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Column::Title).text().not_null())
            .col(ColumnDef::new(Column::Sql).text().not_null())
            .col(ColumnDef::new(Column::Chart).text())
            .col(ColumnDef::new(Column::Shared).string().not_null())
            .col(ColumnDef::new(Column::Owner).string().not_null())
            .col(ColumnDef::new(Column::Organisation).text().not_null())
            .col(ColumnDef::new(Column::CreatedUs).big_integer().not_null())
            .col(ColumnDef::new(Column::ChangedUs).big_integer().not_null())
            .to_owned();
        manager.create_table(queries).await?;
        let by_owner = Index::create()
            .name("saved_query_by_owner")
            .table(saved_query::Entity)
            .col(Column::Owner)
            .to_owned();
        manager.create_index(by_owner).await
    }
}
