//! Records: what people edit. SeaORM on SQLite by default, on PostgreSQL by URL.
//!
//! ```text
//!  records.write() ─► WriteTxn ─► commit()      one writer at a time, on either database
//!  records.read()  ─► pool of connections that cannot write
//! ```
//!
//! Both databases give the same promise: write transactions run one after another (SQLite by
//! `BEGIN IMMEDIATE` on its single write connection, PostgreSQL by an advisory lock taken when the
//! transaction begins), so a transaction may read, decide and write without a second thought; and
//! a commit that returned is on the disk. Readers see the last committed state and never wait.
//!
//! The crates above own their entities and migrations; this room knows none of them.

mod dump;
pub mod migrations;
mod raw;

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

pub use migrations::{MigrationTrait, Migrations};
pub use raw::{append_only, append_only_lifted};

/// How long a writer waits for its turn before it is told that the records are busy.
const WRITE_WAIT_SECONDS_MAX: u64 = 30;
/// How long a PostgreSQL server may take to let us in.
const OPEN_WAIT_SECONDS_MAX: u64 = 5;
/// How long SQLite itself waits for a lock that another process holds (a backup tool, a shell).
const BUSY_WAIT_MS: u32 = 10_000;
const READ_CONNECTIONS_MAX: u32 = 8;

#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    #[error("cannot open the records at {target}: {cause}; check the path or URL and its rights")]
    Open { target: String, cause: DbErr },
    #[error("the records failed: {0}")]
    Database(#[from] DbErr),
    #[error(
        "the records carry migration {name}, which this program does not know: they were written \
         by a newer program; run that one, or restore a backup taken before"
    )]
    Newer { name: String },
    #[error(
        "migration {pending} would run after {applied}, which comes later in the order; \
         new migrations go to the end of the list"
    )]
    OutOfOrder { pending: String, applied: String },
    #[error("migration {name} failed: {cause}; nothing of it was kept")]
    Migration { name: String, cause: DbErr },
    #[error("cannot write the backup {path}: it is there already; choose a new name")]
    BackupExists { path: PathBuf },
    #[error("cannot finish the backup {path}: {cause}")]
    Backup { path: PathBuf, cause: std::io::Error },
    #[error("the records are damaged: {what}; restore a backup")]
    Damaged { what: String },
}

/// Which database holds the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// The records of one city. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Records {
    backend: Backend,
    writer: DatabaseConnection,
    readers: DatabaseConnection,
    /// The path, or the URL without its password: fit for messages.
    target: String,
}

impl Records {
    /// Opens `postgres://…` or, for all other texts, the SQLite file of that path (made if
    /// absent). [`Records::migrate`] comes next.
    pub async fn open(target: &str) -> Result<Self, RecordsError> {
        if target.starts_with("postgres://") || target.starts_with("postgresql://") {
            Self::open_postgres(target).await
        } else {
            Self::open_sqlite(Path::new(target.strip_prefix("sqlite://").unwrap_or(target))).await
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, RecordsError> {
        let target = path.display().to_string();
        let fail = |cause| RecordsError::Open { target: target.clone(), cause };
        // The writer opens first: it makes the file and turns the write-ahead log on, without
        // which the readers would find nothing to open.
        let writer = Database::connect(sqlite_options(path, 1, false)).await.map_err(fail)?;
        let readers = Database::connect(sqlite_options(path, READ_CONNECTIONS_MAX, true))
            .await
            .map_err(fail)?;
        Ok(Self { backend: Backend::Sqlite, writer, readers, target })
    }

    async fn open_postgres(url: &str) -> Result<Self, RecordsError> {
        let target = without_password(url);
        let fail = |cause| RecordsError::Open { target: target.clone(), cause };
        let writer = connect_soon(postgres_options(url, 1, false)).await.map_err(fail)?;
        let readers = postgres_options(url, READ_CONNECTIONS_MAX, true);
        let readers = connect_soon(readers).await.map_err(fail)?;
        Ok(Self { backend: Backend::Postgres, writer, readers, target })
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The path or URL, without a password.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Connections that can only read. A statement sees all that was committed before it.
    pub fn read(&self) -> &DatabaseConnection {
        &self.readers
    }

    /// Begins a write transaction, waiting for its turn. Dropped without
    /// [`WriteTxn::commit`], it leaves no trace.
    pub async fn write(&self) -> Result<WriteTxn, RecordsError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let txn = self.writer.begin_with_options(options).await?;
        if self.backend == Backend::Postgres {
            raw::lock_writers(&txn).await?;
        }
        Ok(WriteTxn { txn })
    }

    /// Brings the schema up to date. `migrations` is the whole list of every crate that keeps
    /// records, in order: a migration found applied that is not in it means that a newer program
    /// wrote these records, and they are refused. Returns how many ran.
    pub async fn migrate(&self, migrations: Migrations) -> Result<usize, RecordsError> {
        migrations::run(self, migrations).await
    }

    /// Writes a consistent copy to a new file while others read and write. SQLite only:
    /// PostgreSQL has [`Records::dump`].
    pub async fn backup(&self, path: &Path) -> Result<(), RecordsError> {
        assert_eq!(self.backend, Backend::Sqlite, "PostgreSQL is copied by `dump`");
        if path.exists() {
            return Err(RecordsError::BackupExists { path: path.to_owned() });
        }
        // A connection of its own: the readers' may not write, not even elsewhere, and the writer
        // must not stand still meanwhile.
        let options = sqlite_options(Path::new(&self.target), 1, false);
        let copier = Database::connect(options).await?;
        let copied = raw::vacuum_into(&copier, path).await;
        copier.close().await?;
        copied?;
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|cause| RecordsError::Backup { path: path.to_owned(), cause })
    }

    /// Reads the whole database for damage. SQLite only: PostgreSQL checks its own pages.
    pub async fn check(&self) -> Result<(), RecordsError> {
        if self.backend == Backend::Sqlite {
            let faults = raw::integrity_faults(&self.readers).await?;
            if !faults.is_empty() {
                return Err(RecordsError::Damaged { what: faults.join("; ") });
            }
        }
        Ok(())
    }

    pub async fn close(self) -> Result<(), RecordsError> {
        self.readers.close().await?;
        // The last connection to close folds SQLite's write-ahead log into the file.
        self.writer.close().await?;
        Ok(())
    }
}

/// The one write transaction under way. Use it wherever SeaORM wants a connection.
#[derive(Debug)]
#[must_use = "a transaction that is not committed is rolled back"]
pub struct WriteTxn {
    txn: DatabaseTransaction,
}

impl WriteTxn {
    /// Returns once the changes are on the disk.
    pub async fn commit(self) -> Result<(), RecordsError> {
        Ok(self.txn.commit().await?)
    }

    pub async fn rollback(self) -> Result<(), RecordsError> {
        Ok(self.txn.rollback().await?)
    }
}

impl Deref for WriteTxn {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.txn
    }
}

fn sqlite_options(path: &Path, connections: u32, read_only: bool) -> ConnectOptions {
    let path = path.to_owned();
    // The URL is only the driver's name: the path goes in as a path, so that one with spaces, a
    // question mark or 中文 needs no escaping.
    let mut options = ConnectOptions::new("sqlite://records");
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(WRITE_WAIT_SECONDS_MAX))
        .sqlx_logging(false)
        .test_before_acquire(false)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .filename(&path)
                .create_if_missing(!read_only)
                .pragma("journal_mode", "WAL")
                .pragma("busy_timeout", BUSY_WAIT_MS.to_string())
                .pragma("foreign_keys", "ON")
                // Or INSERT OR REPLACE would pass by the triggers of tables that only grow.
                .pragma("recursive_triggers", "ON")
                // In WAL mode NORMAL may lose the last commits when the power fails.
                .pragma("synchronous", "FULL");
            if read_only { sqlite.pragma("query_only", "ON") } else { sqlite }
        });
    options
}

fn postgres_options(url: &str, connections: u32, read_only: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(WRITE_WAIT_SECONDS_MAX))
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |postgres| {
            let read_only = if read_only { "on" } else { "off" };
            // Whatever the server's default is, a commit here means the disk has it.
            let postgres = postgres.options([
                ("default_transaction_read_only", read_only),
                ("synchronous_commit", "on"),
            ]);
            postgres.application_name("shujin")
        });
    options
}

/// The driver goes on knocking for as long as a writer may wait; whoever mistyped an address
/// should hear of it sooner.
async fn connect_soon(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let limit = Duration::from_secs(OPEN_WAIT_SECONDS_MAX);
    tokio::time::timeout(limit, Database::connect(options)).await.unwrap_or_else(|_| {
        Err(DbErr::Custom(format!("no answer within {OPEN_WAIT_SECONDS_MAX} s")))
    })
}

/// `postgres://user:secret@host/db` → `postgres://user@host/db`.
fn without_password(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return "postgres://…".to_owned() };
    if parsed.set_password(None).is_err() {
        return "postgres://…".to_owned();
    }
    parsed.set_query(None);
    parsed.to_string()
}

/// The database that a connection or transaction speaks to.
pub(crate) fn backend_of(connection: &impl sea_orm::ConnectionTrait) -> Backend {
    match connection.get_database_backend() {
        DbBackend::Postgres => Backend::Postgres,
        _ => Backend::Sqlite,
    }
}

#[cfg(test)]
mod tests;
