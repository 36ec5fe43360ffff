//! The only place with SQL text for the records: what neither SeaORM nor its query builder says.
//!
//! Each statement exists because one of the two databases needs it; both spellings stand side by
//! side. No value that came from outside is ever spliced into a text here, save a backup's path,
//! which is quoted.

use std::path::Path;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};

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
