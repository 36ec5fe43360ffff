//! The same tests on SQLite and on PostgreSQL.

#![expect(
    elided_lifetimes_in_paths,
    reason = "`MigrationTrait` leaves them out, and async_trait wants the same text"
)]

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::{ColumnDef, Table};
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, PaginatorTrait, Set};
use sea_orm_migration::{MigrationName, SchemaManager};

use super::*;
use crate::testing::{Folder, beds, sqlite_bed};

mod account {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "test_account")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub holder: String,
        pub cents: i64,
        pub opened_us: i64,
        pub note: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A migration that makes the table, adds a column to it, or fails half-way.
enum Step {
    Create,
    AddNote,
    HalfThenFail,
}

struct Named(&'static str, Step);

impl MigrationName for Named {
    fn name(&self) -> &str {
        self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Named {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(account::Entity)
            .col(ColumnDef::new(account::Column::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(account::Column::Holder).text().not_null())
            .col(ColumnDef::new(account::Column::Cents).big_integer().not_null())
            .col(ColumnDef::new(account::Column::OpenedUs).big_integer().not_null())
            .to_owned();
        let note = Table::alter()
            .table(account::Entity)
            .add_column(ColumnDef::new(account::Column::Note).text())
            .to_owned();
        match self.1 {
            Step::Create => manager.create_table(table).await,
            Step::AddNote => manager.alter_table(note).await,
            Step::HalfThenFail => {
                manager.alter_table(note).await?;
                Err(DbErr::Custom("the power failed".to_owned()))
            }
        }
    }
}

fn list(steps: impl IntoIterator<Item = (&'static str, Step)>) -> Migrations {
    steps.into_iter().map(|(name, step)| Box::new(Named(name, step)) as _).collect()
}

fn both() -> Migrations {
    list([("test_0001_account", Step::Create), ("test_0002_note", Step::AddNote)])
}

fn account(holder: &str, cents: i64) -> account::ActiveModel {
    account::ActiveModel {
        id: Set(uuid::Uuid::now_v7()),
        holder: Set(holder.to_owned()),
        cents: Set(cents),
        opened_us: Set(1_700_000_000_123_456),
        note: Set(None),
    }
}

async fn count(records: &Records) -> u64 {
    account::Entity::find().count(records.read()).await.unwrap()
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    for bed in beds().await {
        bed.records.migrate(both()).await.unwrap();
        let mut row = account("李雷 O'Neill \u{1f4a1}", i64::MIN);
        row.note = Set(Some(String::new()));
        let txn = bed.records.write().await.unwrap();
        let written = row.insert(&*txn).await.unwrap();
        txn.commit().await.unwrap();
        let read = account::Entity::find_by_id(written.id).one(bed.records.read()).await.unwrap();
        assert_eq!(read, Some(written), "{}", bed.name);
    }
}

#[tokio::test]
async fn what_is_not_committed_never_was() {
    for bed in beds().await {
        bed.records.migrate(both()).await.unwrap();
        let txn = bed.records.write().await.unwrap();
        account("dropped", 1).insert(&*txn).await.unwrap();
        drop(txn);
        let txn = bed.records.write().await.unwrap();
        account("rolled back", 2).insert(&*txn).await.unwrap();
        assert_eq!(count(&bed.records).await, 0, "{}: not seen before the commit", bed.name);
        txn.rollback().await.unwrap();
        assert_eq!(count(&bed.records).await, 0, "{}", bed.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_take_turns_so_no_update_is_lost() {
    const TASKS: usize = 8;
    const ROUNDS: i64 = 10;
    for bed in beds().await {
        bed.records.migrate(both()).await.unwrap();
        let txn = bed.records.write().await.unwrap();
        let id = account("shared", 0).insert(&*txn).await.unwrap().id;
        txn.commit().await.unwrap();
        // A second opening plays another process on the same database.
        let other = Records::open(&bed.target).await.unwrap();
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let records = if task % 2 == 0 { bed.records.clone() } else { other.clone() };
                tokio::spawn(async move {
                    for _ in 0..ROUNDS {
                        let txn = records.write().await.unwrap();
                        let row = account::Entity::find_by_id(id).one(&*txn).await.unwrap();
                        let row = row.unwrap();
                        let cents = row.cents + 1;
                        let mut row: account::ActiveModel = row.into();
                        row.cents = Set(cents);
                        row.update(&*txn).await.unwrap();
                        txn.commit().await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let row = account::Entity::find_by_id(id).one(bed.records.read()).await.unwrap().unwrap();
        assert_eq!(row.cents, i64::try_from(TASKS).unwrap() * ROUNDS, "{}", bed.name);
        other.close().await.unwrap();
    }
}

#[tokio::test]
async fn readers_do_not_wait_for_a_writer_and_cannot_write() {
    for bed in beds().await {
        bed.records.migrate(both()).await.unwrap();
        let txn = bed.records.write().await.unwrap();
        account("being written", 1).insert(&*txn).await.unwrap();
        let reading = tokio::time::timeout(Duration::from_secs(5), count(&bed.records));
        assert_eq!(reading.await.expect("the reader did not wait"), 0, "{}", bed.name);
        let refused = account("by a reader", 2).insert(bed.records.read()).await;
        assert!(refused.is_err(), "{}: the read pool wrote a row", bed.name);
        txn.commit().await.unwrap();
        assert_eq!(count(&bed.records).await, 1, "{}", bed.name);
    }
}

#[tokio::test]
async fn migrations_run_once_in_order_and_whole() {
    for bed in beds().await {
        let first = list([("test_0001_account", Step::Create)]);
        assert_eq!(bed.records.migrate(first).await.unwrap(), 1, "{}", bed.name);
        let broken =
            list([("test_0001_account", Step::Create), ("test_0002_note", Step::HalfThenFail)]);
        match bed.records.migrate(broken).await {
            Err(RecordsError::Migration { name, .. }) => assert_eq!(name, "test_0002_note"),
            other => panic!("{}: expected a failed migration, found {other:?}", bed.name),
        }
        // The column that the failed one added is gone again, or this would fail.
        assert_eq!(bed.records.migrate(both()).await.unwrap(), 1, "{}", bed.name);
        assert_eq!(bed.records.migrate(both()).await.unwrap(), 0, "{}", bed.name);
    }
}

#[tokio::test]
async fn programs_that_start_together_migrate_once() {
    for bed in beds().await {
        let other = Records::open(&bed.target).await.unwrap();
        let (one, two) = tokio::join!(bed.records.migrate(both()), other.migrate(both()));
        assert_eq!(one.unwrap() + two.unwrap(), 2, "{}", bed.name);
    }
}

#[tokio::test]
async fn records_of_a_newer_program_are_refused() {
    for bed in beds().await {
        bed.records.migrate(both()).await.unwrap();
        migrations::rename_applied(&bed.records, "test_0002_note", "test_0009_future")
            .await
            .unwrap();
        match bed.records.migrate(both()).await {
            Err(RecordsError::Newer { name }) => assert_eq!(name, "test_0009_future"),
            other => panic!("{}: expected Newer, found {other:?}", bed.name),
        }
    }
}

#[tokio::test]
async fn a_migration_slipped_in_before_an_applied_one_is_refused() {
    for bed in beds().await {
        bed.records.migrate(both()).await.unwrap();
        let slipped = list([
            ("test_0001_account", Step::Create),
            ("test_0001_b_slipped", Step::AddNote),
            ("test_0002_note", Step::AddNote),
        ]);
        let refused = bed.records.migrate(slipped).await;
        assert!(matches!(refused, Err(RecordsError::OutOfOrder { .. })), "{}", bed.name);
        // Another crate's first migration is no such case, wherever its list stands.
        let mut other = list([("other_0001_nothing", Step::AddNote)]);
        migrations::rename_applied(&bed.records, "test_0002_note", "other_0001_nothing")
            .await
            .unwrap();
        other.extend(list([("test_0001_account", Step::Create)]));
        assert_eq!(bed.records.migrate(other).await.unwrap(), 0, "{}", bed.name);
    }
}

#[tokio::test]
async fn an_append_only_table_refuses_changes_until_lifted() {
    for bed in beds().await {
        bed.records.migrate(both()).await.unwrap();
        let txn = bed.records.write().await.unwrap();
        append_only(&*txn, "test_account").await.unwrap();
        let row = account("kept", 1).insert(&*txn).await.unwrap();
        txn.commit().await.unwrap();

        let txn = bed.records.write().await.unwrap();
        let mut changed: account::ActiveModel = row.clone().into();
        changed.cents = Set(2);
        let refused = changed.clone().update(&*txn).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{}: {refused}", bed.name);
        txn.rollback().await.unwrap();
        let txn = bed.records.write().await.unwrap();
        let refused = account::Entity::delete_by_id(row.id).exec(&*txn).await;
        assert!(refused.is_err(), "{}", bed.name);
        txn.rollback().await.unwrap();
        if bed.records.backend() == Backend::Sqlite {
            let replace = "INSERT OR REPLACE INTO test_account \
                           SELECT id, holder, 2, opened_us, note FROM test_account";
            let txn = bed.records.write().await.unwrap();
            assert!(txn.execute_unprepared(replace).await.is_err(), "a row was replaced");
            txn.rollback().await.unwrap();
        }

        let txn = bed.records.write().await.unwrap();
        append_only_lifted(&*txn, "test_account").await.unwrap();
        changed.update(&*txn).await.unwrap();
        txn.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_backup_of_running_records_opens_with_the_same_rows() {
    let bed = sqlite_bed().await;
    bed.records.migrate(both()).await.unwrap();
    let txn = bed.records.write().await.unwrap();
    account("kept", 7).insert(&*txn).await.unwrap();
    txn.commit().await.unwrap();
    let folder = Folder::new("it's a backup");
    let path = folder.path().join("records.sqlite");
    let writing = bed.records.write().await.unwrap();
    account("not yet", 8).insert(&*writing).await.unwrap();
    bed.records.backup(&path).await.unwrap();
    writing.commit().await.unwrap();
    assert!(matches!(bed.records.backup(&path).await, Err(RecordsError::BackupExists { .. })));

    let copy = Records::open(&path.display().to_string()).await.unwrap();
    assert_eq!(copy.migrate(both()).await.unwrap(), 0);
    copy.check().await.unwrap();
    assert_eq!(count(&copy).await, 1);
    assert_eq!(count(&bed.records).await, 2);
}

#[tokio::test]
async fn damage_to_the_file_is_found() {
    let bed = sqlite_bed().await;
    bed.records.migrate(both()).await.unwrap();
    let txn = bed.records.write().await.unwrap();
    for cents in 0..200 {
        account(&"padding ".repeat(20), cents).insert(&*txn).await.unwrap();
    }
    txn.commit().await.unwrap();
    bed.records.check().await.unwrap();
    bed.records.close().await.unwrap();
    let mut file = std::fs::read(&bed.target).unwrap();
    let end = file.len() - 64;
    file[end - 4096..end].fill(0xa5);
    std::fs::write(&bed.target, file).unwrap();
    let records = Records::open(&bed.target).await.unwrap();
    assert!(records.check().await.is_err());
}

#[tokio::test]
async fn sqlite_is_set_up_to_be_durable_and_strict() {
    let bed = sqlite_bed().await;
    for (pragma, expected) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")]
    {
        let statement =
            sea_orm::Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {pragma}"));
        let row = bed.records.writer.query_one_raw(statement).await.unwrap().unwrap();
        let found = row
            .try_get_by_index::<String>(0)
            .or_else(|_| row.try_get_by_index::<i32>(0).map(|number| number.to_string()))
            .unwrap();
        assert_eq!(found, expected, "{pragma}");
    }
}

#[tokio::test]
async fn a_password_never_reaches_a_message() {
    assert_eq!(without_password("postgres://u:s3cret@h:5/d?x=s3cret"), "postgres://u@h:5/d");
    // Nothing listens on port 1.
    let refused = Records::open("postgres://u:s3cret@127.0.0.1:1/d").await.unwrap_err();
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
}

#[tokio::test]
async fn a_path_may_hold_any_character() {
    let folder = Folder::new("path");
    let path = folder.path().join("成都 100%?#.sqlite");
    let records = Records::open(&path.display().to_string()).await.unwrap();
    records.migrate(both()).await.unwrap();
    assert!(path.is_file());
    let shared = Arc::new(records);
    assert_eq!(count(&shared).await, 0);
}
