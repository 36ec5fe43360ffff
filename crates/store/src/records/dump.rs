//! Records in PostgreSQL as a file, and back again: a line a row, its table's name before it.
//!
//! ```text
//!  {"format":1,"migrations":[…],"tables":[…]}      in an order in which rows may be inserted
//!  registry_user⇥{"name":"lin", …}
//! ```
//!
//! All tables are read in one snapshot. The file goes into a database of its own that the same
//! program has just migrated; a program with other migrations reads no dump of this one. A
//! database that is kept by its own administrators may have backups of theirs besides.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use futures::TryStreamExt;
use sea_orm::{AccessMode, IsolationLevel, TransactionTrait};
use serde::{Deserialize, Serialize};

use super::{Backend, Records, RecordsError, migrations, raw};

const FORMAT: u32 = 1;
/// Rows that one INSERT carries …
const BATCH_ROWS_MAX: usize = 500;
/// … and bytes of their text.
const BATCH_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    migrations: Vec<String>,
    tables: Vec<String>,
}

impl Records {
    /// Writes all that PostgreSQL holds to a new file, as it stands at one moment, while others
    /// read and write. SQLite has [`Records::backup`].
    pub async fn dump(&self, path: &Path) -> Result<(), RecordsError> {
        assert_eq!(self.backend, Backend::Postgres, "SQLite is copied by `backup`");
        let failed = |cause| RecordsError::Backup { path: path.to_owned(), cause };
        let snapshot = Some(IsolationLevel::RepeatableRead);
        let txn = self.readers.begin_with_config(snapshot, Some(AccessMode::ReadOnly)).await?;
        let (tables, references) = raw::tables(&txn).await?;
        let tables = in_order(tables, &references)?;
        let migrations = migrations::applied_names(&txn).await?;
        let mut out = BufWriter::new(File::create_new(path).map_err(failed)?);
        let header = Header { format: FORMAT, migrations, tables };
        let line = serde_json::to_string(&header).expect("a header of texts serialises");
        writeln!(out, "{line}").map_err(failed)?;
        for table in &header.tables {
            let mut rows = std::pin::pin!(raw::rows_as_json(&txn, table).await?);
            while let Some(row) = rows.try_next().await? {
                let row: String = row.try_get_by_index(0)?;
                writeln!(out, "{table}\t{row}").map_err(failed)?;
            }
        }
        txn.commit().await?;
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)
    }

    /// Whether PostgreSQL's schema has no table yet.
    pub async fn is_empty(&self) -> Result<bool, RecordsError> {
        Ok(raw::tables(&self.readers).await?.0.is_empty())
    }

    /// Puts a dump's rows into records that were empty and have been migrated just now. All of
    /// them or none. Returns how many.
    pub async fn load(&self, path: &Path) -> Result<u64, RecordsError> {
        assert_eq!(self.backend, Backend::Postgres, "a dump goes into PostgreSQL");
        let unreadable = |cause| RecordsError::Backup { path: path.to_owned(), cause };
        let bad =
            |what: &str| RecordsError::Damaged { what: format!("{}: {what}", path.display()) };
        let mut lines = BufReader::new(File::open(path).map_err(unreadable)?).lines();
        let first = lines.next().transpose().map_err(unreadable)?.unwrap_or_default();
        let header: Header =
            serde_json::from_str(&first).map_err(|_| bad("it is no dump of records"))?;
        let known = migrations::applied_names(&self.readers).await?;
        let same = |one: &[String], other: &[String]| {
            one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
        };
        if header.format != FORMAT || !same(&header.migrations, &known) {
            return Err(bad("another release of this program wrote it: restore it with that one"));
        }
        let mut tables: BTreeSet<&str> = header.tables.iter().map(String::as_str).collect();
        // The lines of migrations are there: they have just been run.
        tables.remove(migrations::TABLE);

        let txn = self.write().await?;
        for table in header.tables.iter().rev().filter(|table| tables.contains(table.as_str())) {
            raw::clear(&*txn, table).await?;
        }
        let mut batch = Batch::default();
        let mut rows = 0;
        for line in lines {
            let line = line.map_err(unreadable)?;
            let (table, row) = line.split_once('\t').ok_or_else(|| bad("a line is cut"))?;
            if table == migrations::TABLE {
                continue;
            }
            let table = tables.get(table).ok_or_else(|| bad("a line names no table"))?;
            if batch.is_full_for(table) {
                batch.insert(&txn).await?;
            }
            batch.add(table, row);
            rows += 1;
        }
        batch.insert(&txn).await?;
        txn.commit().await?;
        Ok(rows)
    }
}

/// Rows of one table on their way in.
#[derive(Default)]
struct Batch {
    table: String,
    /// The inside of a JSON list.
    rows: String,
    count: usize,
}

impl Batch {
    fn is_full_for(&self, table: &str) -> bool {
        self.table != table || self.count >= BATCH_ROWS_MAX || self.rows.len() >= BATCH_BYTES_MAX
    }

    fn add(&mut self, table: &str, row: &str) {
        if self.count == 0 {
            table.clone_into(&mut self.table);
        } else {
            self.rows.push(',');
        }
        self.rows.push_str(row);
        self.count += 1;
    }

    async fn insert(&mut self, txn: &super::WriteTxn) -> Result<(), RecordsError> {
        if self.count > 0 {
            raw::insert_json(&**txn, &self.table, format!("[{}]", self.rows)).await?;
        }
        self.rows.clear();
        self.count = 0;
        Ok(())
    }
}

/// Tables so that each comes after those that its rows refer to.
fn in_order(
    tables: Vec<String>,
    references: &[(String, String)],
) -> Result<Vec<String>, RecordsError> {
    let mut waits_for: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (table, other) in references.iter().filter(|(table, other)| table != other) {
        waits_for.entry(table).or_default().insert(other);
    }
    let mut ordered: Vec<String> = Vec::with_capacity(tables.len());
    while ordered.len() < tables.len() {
        let ready = tables.iter().find(|table| {
            let placed = |other: &&str| ordered.iter().any(|done| done == other);
            let waits = waits_for.get(table.as_str());
            !ordered.contains(table) && waits.is_none_or(|waits| waits.iter().all(placed))
        });
        let what = "tables refer to each other in a circle".to_owned();
        ordered.push(ready.ok_or(RecordsError::Damaged { what })?.clone());
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_after_those_it_refers_to() {
        let texts = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let refers =
            [pair("a_token", "b_user"), pair("b_user", "c_place"), pair("c_place", "c_place")];
        let ordered = in_order(texts(&["a_token", "b_user", "c_place"]), &refers).unwrap();
        assert_eq!(ordered, texts(&["c_place", "b_user", "a_token"]));
        let circle = [pair("a", "b"), pair("b", "a")];
        assert!(in_order(texts(&["a", "b"]), &circle).is_err());
    }
}
