//! For tests and benchmarks only: records on both databases, and a real PostgreSQL to put them in.
//!
//! ```no_run
//! # async fn test() {
//! for bed in store::testing::beds().await {
//!     let records = &bed.records; // empty; first SQLite, then PostgreSQL
//! }
//! # }
//! ```
//!
//! The servers are Debian's (`apt-get install postgresql`). Where they are absent the tests run
//! on SQLite alone and say so loudly.

mod folder;
mod postgres;

pub use folder::Folder;
pub use postgres::{Postgres, PostgresOptions};

use std::sync::Arc;

use crate::records::Records;

/// One database with nothing in it.
#[derive(Debug)]
pub struct Bed {
    /// `sqlite` or `postgres`: put it into assertion messages.
    pub name: &'static str,
    pub records: Records,
    /// What `Records::open` was given: open it again to play a restart.
    pub target: String,
    _folder: Option<Folder>,
    _postgres: Option<Arc<Postgres>>,
}

/// An empty SQLite file and, where its programs are installed, an empty PostgreSQL database.
pub async fn beds() -> Vec<Bed> {
    let mut beds = vec![sqlite_bed().await];
    if let Some(postgres) = Postgres::shared() {
        let target = postgres.new_database();
        let records = Records::open(&target).await.expect("a new database opens");
        beds.push(Bed {
            name: "postgres",
            records,
            target,
            _folder: None,
            _postgres: Some(postgres),
        });
    }
    beds
}

/// SQLite alone, for tests that are not about the database.
pub async fn sqlite_bed() -> Bed {
    let folder = Folder::new("records");
    let target = folder.path().join("records.sqlite").display().to_string();
    let records = Records::open(&target).await.expect("a new file opens");
    Bed { name: "sqlite", records, target, _folder: Some(folder), _postgres: None }
}
