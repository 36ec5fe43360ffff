//! Ordered migrations and the table that remembers which of them ran.
//!
//! Each migration runs in one write transaction together with its line in the table, on both
//! databases, so a crash leaves it either whole or absent. A crate names its migrations
//! `<crate>_<number>_<what>`; their order within a crate is fixed for ever once released.

use std::collections::BTreeMap;

use sea_orm::sea_query::{ColumnDef, Table};
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, Set};
use sea_orm_migration::SchemaManager;

pub use sea_orm_migration::{MigrationName, MigrationTrait};

use super::{Records, RecordsError};

/// The migrations of several crates, one list after another.
pub type Migrations = Vec<Box<dyn MigrationTrait>>;

/// One line for each migration that ran.
mod applied {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "schema_migration")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub applied_us: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) async fn run(records: &Records, migrations: Migrations) -> Result<usize, RecordsError> {
    let mut names: Vec<String> = Vec::with_capacity(migrations.len());
    for migration in &migrations {
        assert!(
            !names.iter().any(|name| name == migration.name()),
            "two migrations are called {}",
            migration.name()
        );
        names.push(migration.name().to_owned());
    }
    install(records).await?;
    let done = applied_names(records.read()).await?;
    judge(&names, &done)?;

    let mut ran = 0;
    for migration in migrations {
        let name = migration.name().to_owned();
        if done.contains(&name) {
            continue;
        }
        let fail = |cause| RecordsError::Migration { name: name.clone(), cause };
        let txn = records.write().await?;
        // Now that it is our turn: another program may have started at the same time.
        if applied::Entity::find_by_id(name.clone()).one(&*txn).await.map_err(fail)?.is_some() {
            txn.rollback().await?;
            continue;
        }
        migration.up(&SchemaManager::new(&*txn)).await.map_err(fail)?;
        let applied_us = chrono::Utc::now().timestamp_micros();
        let line = applied::ActiveModel { name: Set(name.clone()), applied_us: Set(applied_us) };
        line.insert(&*txn).await.map_err(fail)?;
        txn.commit().await?;
        tracing::info!(migration = name, "migrated the records");
        ran += 1;
    }
    Ok(ran)
}

async fn install(records: &Records) -> Result<(), RecordsError> {
    let txn = records.write().await?;
    let table = Table::create()
        .table(applied::Entity)
        .if_not_exists()
        .col(ColumnDef::new(applied::Column::Name).string().not_null().primary_key())
        .col(ColumnDef::new(applied::Column::AppliedUs).big_integer().not_null())
        .to_owned();
    txn.execute(&table).await?;
    txn.commit().await
}

/// The table that remembers them.
pub(super) const TABLE: &str = "schema_migration";

pub(super) async fn applied_names(db: &impl ConnectionTrait) -> Result<Vec<String>, RecordsError> {
    let rows = applied::Entity::find().all(db).await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Refuses records from the future, and a pending migration that others of its crate overtook.
fn judge(names: &[String], done: &[String]) -> Result<(), RecordsError> {
    if let Some(name) = done.iter().find(|name| !names.contains(name)) {
        return Err(RecordsError::Newer { name: name.clone() });
    }
    let mut pending_by_crate: BTreeMap<&str, &str> = BTreeMap::new();
    for name in names {
        let krate = name.split('_').next().unwrap_or(name);
        if done.contains(name) {
            if let Some(pending) = pending_by_crate.get(krate) {
                return Err(RecordsError::OutOfOrder {
                    pending: (*pending).to_owned(),
                    applied: name.clone(),
                });
            }
        } else {
            pending_by_crate.entry(krate).or_insert(name);
        }
    }
    Ok(())
}

/// Forgets a migration's line, so that a test can play a newer or an older program.
#[cfg(test)]
pub(super) async fn rename_applied(
    records: &Records,
    from: &str,
    to: &str,
) -> Result<(), RecordsError> {
    let txn = records.write().await?;
    let update = sea_orm::sea_query::Query::update()
        .table(applied::Entity)
        .value(applied::Column::Name, to)
        .and_where(sea_orm::ColumnTrait::eq(&applied::Column::Name, from))
        .to_owned();
    txn.execute(&update).await?;
    txn.commit().await
}
