//! The only place with SQL text for the records: what neither SeaORM nor its query builder says.
//!
//! Each statement exists because one of the two databases needs it; both spellings stand side by
//! side. No value that came from outside is ever spliced into a text here, save a backup's path
//! and a table's name, which are quoted.

use std::path::Path;

use futures::Stream;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult,
    Statement, StreamTrait,
};

use super::{Backend, backend_of};

/// `shujin` in ASCII: the advisory lock that PostgreSQL's writers take.
const WRITERS_LOCK: i64 = 0x7368_756a_696e;

/// Makes PostgreSQL's writers wait for each other, across processes, until this transaction ends.
pub(super) async fn lock_writers(txn: &impl ConnectionTrait) -> Result<(), DbErr> {
    let text = format!("SELECT pg_advisory_xact_lock({WRITERS_LOCK})");
    txn.execute_unprepared(&text).await?;
    Ok(())
}

pub(super) async fn vacuum_into(db: &DatabaseConnection, path: &Path) -> Result<(), DbErr> {
    let quoted = path.display().to_string().replace('\'', "''");
    db.execute_unprepared(&format!("VACUUM INTO '{quoted}'")).await?;
    Ok(())
}

pub(super) async fn integrity_faults(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let statement = Statement::from_string(db.get_database_backend(), "PRAGMA integrity_check");
    let mut faults = Vec::new();
    for row in db.query_all_raw(statement).await? {
        let text: String = row.try_get_by_index(0)?;
        if text != "ok" {
            faults.push(text);
        }
    }
    Ok(faults)
}

/// PostgreSQL's tables in the present schema, and which of them refer to which others.
pub(super) async fn tables(
    db: &impl ConnectionTrait,
) -> Result<(Vec<String>, Vec<(String, String)>), DbErr> {
    let backend = db.get_database_backend();
    let asked =
        "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1";
    let rows = db.query_all_raw(Statement::from_string(backend, asked)).await?;
    let tables = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
    let asked = "SELECT t.relname::text, o.relname::text FROM pg_constraint c \
                 JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class o ON o.oid = c.confrelid \
                 WHERE c.contype = 'f' AND t.relnamespace = current_schema()::regnamespace";
    let rows = db.query_all_raw(Statement::from_string(backend, asked)).await?;
    let pair = |row: &QueryResult| -> Result<_, DbErr> {
        Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))
    };
    Ok((tables, rows.iter().map(pair).collect::<Result<_, _>>()?))
}

/// The rows of one of PostgreSQL's tables, each as a line of JSON.
pub(super) async fn rows_as_json<'a>(
    db: &'a DatabaseTransaction,
    table: &str,
) -> Result<impl Stream<Item = Result<QueryResult, DbErr>> + use<'a>, DbErr> {
    let text = format!("SELECT row_to_json(t)::text FROM {} t", quoted(table));
    db.stream_raw(Statement::from_string(DbBackend::Postgres, text)).await
}

/// Takes away what a migration wrote into a table. One that only grows is empty after it, and
/// would refuse.
pub(super) async fn clear(db: &impl ConnectionTrait, table: &str) -> Result<(), DbErr> {
    let table = quoted(table);
    let asked = format!("SELECT EXISTS (SELECT 1 FROM {table})");
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, asked)).await?;
    if row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(false) {
        db.execute_unprepared(&format!("DELETE FROM {table}")).await?;
    }
    Ok(())
}

/// Inserts a JSON list of rows, as [`rows_as_json`] gave them.
pub(super) async fn insert_json(
    db: &impl ConnectionTrait,
    table: &str,
    rows: String,
) -> Result<(), DbErr> {
    let table = quoted(table);
    let text = format!(
        "INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)"
    );
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, text, [rows.into()]))
        .await?;
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Makes the database itself refuse to change or delete rows of `table`: for tables that only
/// grow. It guards against mistakes in a program; whoever may alter the schema can lift it.
pub async fn append_only(db: &impl ConnectionTrait, table: &'static str) -> Result<(), DbErr> {
    match backend_of(db) {
        Backend::Sqlite => {
            for verb in ["UPDATE", "DELETE"] {
                db.execute_unprepared(&format!(
                    "CREATE TRIGGER {table}_refuses_{verb} BEFORE {verb} ON {table} \
                     BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                ))
                .await?;
            }
        }
        Backend::Postgres => {
            db.execute_unprepared(&format!(
                "CREATE FUNCTION {table}_refuses() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
            ))
            .await?;
            db.execute_unprepared(&format!(
                "CREATE TRIGGER {table}_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} \
                 FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuses()"
            ))
            .await?;
        }
    }
    Ok(())
}

/// Takes away what [`append_only`] put there, as an intruder with rights on the schema would:
/// tests of tamper detection need it.
pub async fn append_only_lifted(
    db: &impl ConnectionTrait,
    table: &'static str,
) -> Result<(), DbErr> {
    match backend_of(db) {
        Backend::Sqlite => {
            for verb in ["UPDATE", "DELETE"] {
                db.execute_unprepared(&format!("DROP TRIGGER {table}_refuses_{verb}")).await?;
            }
        }
        Backend::Postgres => {
            db.execute_unprepared(&format!("DROP TRIGGER {table}_refuses ON {table}")).await?;
        }
    }
    Ok(())
}
