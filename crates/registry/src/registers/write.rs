//! Writing a register: rows put and rows taken away, a version each, in one transaction.
//!
//! The transaction and what memory takes of it are one task of their own: a client that hangs up
//! between the two would leave memory behind the records, and every later write would stumble.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use catalog::audit::{Audit, Event};
use catalog::records::micros;
use chrono::{DateTime, Utc};
use pack::Contract;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use store::records::{Records, WriteTxn};
use tokio::sync::OwnedMutexGuard;
use tracing::Instrument as _;
use uuid::Uuid;

use super::held::{Held, Put};
use super::{Register, Registers, rows};
use crate::RegistryError;
use crate::records::register_row::{Column, Entity, Model};

/// Rows that one INSERT carries: SQLite takes 32,766 values in a statement, a row has 10.
const INSERT_ROWS_MAX: usize = 2_000;
/// Keys that one UPDATE names.
const UPDATE_KEYS_MAX: usize = 5_000;

/// Who writes, when and why; and what the audit is told in the same transaction. An import
/// tells it once for the whole file.
#[derive(Debug, Clone)]
pub struct Stamp {
    pub by: String,
    pub reason: String,
    pub now: DateTime<Utc>,
    pub event: Option<Event>,
}

/// A row that who writes has not seen as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    /// Where it stands among the rows that were to be put.
    pub place: usize,
    pub key: String,
}

/// What a write left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub key: String,
    pub version: i64,
}

impl Registers {
    /// Puts rows, checked and with no key twice: new ones are created, others changed.
    pub async fn put(
        &self,
        contract: &Contract,
        rows: &RecordBatch,
        stamp: Stamp,
    ) -> Result<(), RegistryError> {
        self.put_since(contract, rows, DateTime::<Utc>::MAX_UTC, stamp).await
    }

    /// As [`Registers::put`], for who knows the rows as they were at `since`. Where some of them
    /// were changed, made or taken away later, these are named and nothing is written.
    pub async fn put_since(
        &self,
        contract: &Contract,
        rows: &RecordBatch,
        since: DateTime<Utc>,
        stamp: Stamp,
    ) -> Result<(), RegistryError> {
        let keys = rows::key_of(contract, rows)?;
        let register = self.register(&contract.id);
        let turn = register.turn().await;
        self.ensure_held(&register, contract).await?;
        let newer = newer(&register, &keys, micros(since));
        if !newer.is_empty() {
            return Err(RegistryError::Newer(newer));
        }
        let work = Work { puts: keys, rows, removes: Vec::new() };
        self.write(register, turn, contract, work, stamp).await.map(|_| ())
    }

    /// Creates one row. One of the same key that is there already is a conflict.
    pub async fn create(
        &self,
        contract: &Contract,
        row: &RecordBatch,
        stamp: Stamp,
    ) -> Result<Written, RegistryError> {
        let key = only(rows::key_of(contract, row)?)?;
        let register = self.register(&contract.id);
        let turn = register.turn().await;
        self.ensure_held(&register, contract).await?;
        if version_of(&register, &key).is_some() {
            return Err(RegistryError::RowExists { key });
        }
        let work = Work { puts: vec![key], rows: row, removes: Vec::new() };
        self.write(register, turn, contract, work, stamp).await
    }

    /// Changes one row that stands at `version`.
    pub async fn change(
        &self,
        contract: &Contract,
        row: &RecordBatch,
        version: i64,
        stamp: Stamp,
    ) -> Result<Written, RegistryError> {
        let key = only(rows::key_of(contract, row)?)?;
        let register = self.register(&contract.id);
        let turn = register.turn().await;
        self.ensure_held(&register, contract).await?;
        still(&register, &key, version)?;
        let work = Work { puts: vec![key], rows: row, removes: Vec::new() };
        self.write(register, turn, contract, work, stamp).await
    }

    /// Takes away one row that stands at `version`; its history stays.
    pub async fn delete(
        &self,
        contract: &Contract,
        key: &str,
        version: i64,
        stamp: Stamp,
    ) -> Result<Written, RegistryError> {
        let register = self.register(&contract.id);
        let turn = register.turn().await;
        self.ensure_held(&register, contract).await?;
        still(&register, key, version)?;
        let none = RecordBatch::new_empty(contract.arrow_schema());
        let work = Work { puts: Vec::new(), rows: &none, removes: vec![key.to_owned()] };
        self.write(register, turn, contract, work, stamp).await
    }

    /// The caller has loaded the register in this turn.
    async fn write(
        &self,
        register: Arc<Register>,
        turn: OwnedMutexGuard<()>,
        contract: &Contract,
        work: Work<'_>,
        mut stamp: Stamp,
    ) -> Result<Written, RegistryError> {
        let events = stamp.event.take().into_iter().collect();
        let part = Part::of(register, turn, contract, &work, &stamp)?;
        let first = part.plan.first();
        self.carry_out(vec![part], events).await?;
        Ok(first)
    }

    /// One transaction, then memory, to the end of both whoever hangs up meanwhile.
    pub(super) async fn carry_out(
        &self,
        parts: Vec<Part>,
        events: Vec<Event>,
    ) -> Result<(), RegistryError> {
        let (records, audit) = (self.records.clone(), self.audit.clone());
        let writing = Writing { records, audit, parts, events };
        let done = tokio::spawn(writing.run().in_current_span()).await;
        // Nobody cancels this task, so a failed join is a panic of the work: pass it on.
        done.unwrap_or_else(|join| std::panic::resume_unwind(join.into_panic()))
    }
}

/// A write with all that it needs, so that it can go on by itself.
struct Writing {
    records: Records,
    audit: Audit,
    parts: Vec<Part>,
    events: Vec<Event>,
}

impl Writing {
    async fn run(self) -> Result<(), RegistryError> {
        let Self { records, audit, parts, events } = self;
        let txn = records.write().await?;
        for part in &parts {
            part.plan.run(&txn, &part.dataset).await?;
        }
        for event in events {
            audit.append(&txn, event).await?;
        }
        let registers: Vec<Arc<Register>> =
            parts.iter().map(|part| Arc::clone(&part.register)).collect();
        // A commit whose answer is lost may stand: until memory has it, memory is in doubt.
        let doubts: Vec<Doubt<'_>> =
            registers.iter().map(|register| Doubt::about(register)).collect();
        txn.commit().await?;
        for (part, doubt) in parts.into_iter().zip(doubts) {
            part.apply(doubt);
        }
        Ok(())
    }
}

/// What a write does to one register.
pub(super) struct Part {
    register: Arc<Register>,
    /// Held until memory has what the records have.
    turn: OwnedMutexGuard<()>,
    dataset: String,
    plan: Plan,
    rows: RecordBatch,
}

impl Part {
    /// The register has been loaded in this turn.
    pub fn of(
        register: Arc<Register>,
        turn: OwnedMutexGuard<()>,
        contract: &Contract,
        work: &Work<'_>,
        stamp: &Stamp,
    ) -> Result<Self, RegistryError> {
        let data = rows::written(contract, work.rows)?;
        let plan = {
            let held = register.held.read();
            let held = held.as_ref().expect("it is loaded, and only who has the turn unloads it");
            Plan::of(held, contract, work, data, stamp)?
        };
        let (dataset, rows) = (contract.id.clone(), work.rows.clone());
        Ok(Self { register, turn, dataset, plan, rows })
    }

    /// The rows that it will have left behind: those put, then those removed.
    pub fn written(&self) -> Vec<Written> {
        let all = self.plan.puts.iter().chain(&self.plan.removes);
        all.map(|put| Written { key: put.key.to_string(), version: put.version }).collect()
    }

    /// Takes into memory what was committed.
    fn apply(self, doubt: Doubt<'_>) {
        let Self { register, turn, dataset, plan, rows } = self;
        let applied = match register.held.write().as_mut() {
            Some(held) => held.apply(plan.puts, &rows, plan.removes, plan.at_us),
            None => Ok(()),
        };
        match applied {
            Ok(()) => doubt.settle(),
            // What was committed stands; memory is read anew from it.
            Err(cause) => {
                tracing::error!(dataset, %cause, "a register is loaded again");
                drop(doubt);
            }
        }
        register.version.fetch_add(1, Ordering::AcqRel);
        drop(turn);
    }
}

/// Whether memory still is what the records are. Dropped unsettled, it has memory read anew.
pub(super) struct Doubt<'a>(Option<&'a Register>);

impl<'a> Doubt<'a> {
    pub(super) fn about(register: &'a Register) -> Self {
        Self(Some(register))
    }

    pub(super) fn settle(mut self) {
        self.0 = None;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(register) = self.0 {
            *register.held.write() = None;
            register.version.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// What is to be written: a row for each of `puts`.
pub(super) struct Work<'a> {
    pub puts: Vec<String>,
    pub rows: &'a RecordBatch,
    pub removes: Vec<String>,
}

/// Versions and times settled.
struct Plan {
    at_us: i64,
    ended: Vec<String>,
    models: Vec<Model>,
    puts: Vec<Put>,
    removes: Vec<Put>,
}

impl Plan {
    fn of(
        held: &Held,
        contract: &Contract,
        work: &Work<'_>,
        data: Vec<String>,
        stamp: &Stamp,
    ) -> Result<Self, RegistryError> {
        if data.len() != work.puts.len() {
            return Err(rows::damaged(contract, "rows and keys do not match"));
        }
        // A clock that went back must not make a version end before it began.
        let at_us = micros(stamp.now).max(held.newest_us().map_or(i64::MIN, |newest| newest + 1));
        let mut plan = Self {
            at_us,
            ended: Vec::new(),
            models: Vec::with_capacity(work.puts.len() + work.removes.len()),
            puts: Vec::with_capacity(work.puts.len()),
            removes: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        let values = data.into_iter().map(Some).chain(work.removes.iter().map(|_| None));
        for (key, data) in work.puts.iter().chain(&work.removes).zip(values) {
            if !seen.insert(key.as_str()) {
                let problem = format!("`{key}` stands twice in one write");
                return Err(RegistryError::Input { field: "key", problem });
            }
            let last = held.last_version(key);
            let kind = match (&data, held.version(key)) {
                (None, _) => "deleted",
                (Some(_), Some(_)) => "changed",
                (Some(_), None) => "created",
            };
            if last > 0 {
                plan.ended.push(key.clone());
            }
            let put = Put { key: key.as_str().into(), version: last + 1, at_us };
            match data {
                Some(_) => plan.puts.push(put),
                None => plan.removes.push(put),
            }
            plan.models.push(Model {
                row: Uuid::now_v7(),
                dataset: contract.id.clone(),
                row_key: key.clone(),
                version: last + 1,
                data,
                kind: kind.to_owned(),
                actor: stamp.by.clone(),
                reason: stamp.reason.clone(),
                from_us: at_us,
                to_us: None,
            });
        }
        Ok(plan)
    }

    async fn run(&self, txn: &WriteTxn, dataset: &str) -> Result<(), RegistryError> {
        for keys in self.ended.chunks(UPDATE_KEYS_MAX) {
            Entity::update_many()
                .col_expr(Column::ToUs, Expr::value(self.at_us))
                .filter(Column::Dataset.eq(dataset))
                .filter(Column::RowKey.is_in(keys.iter().map(String::as_str)))
                .filter(Column::ToUs.is_null())
                .exec(&**txn)
                .await?;
        }
        for rows in self.models.chunks(INSERT_ROWS_MAX) {
            let rows = rows.iter().cloned().map(IntoActiveModel::into_active_model);
            Entity::insert_many(rows).exec_without_returning(&**txn).await?;
        }
        Ok(())
    }

    fn first(&self) -> Written {
        let first = self.puts.first().or(self.removes.first());
        Written {
            key: first.map(|put| put.key.to_string()).unwrap_or_default(),
            version: first.map_or(0, |put| put.version),
        }
    }
}

fn only(mut keys: Vec<String>) -> Result<String, RegistryError> {
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        _ => {
            let problem = "expected one row".to_owned();
            Err(RegistryError::Input { field: "row", problem })
        }
    }
}

pub(super) fn version_of(register: &Register, key: &str) -> Option<i64> {
    register.held.read().as_ref().and_then(|held| held.version(key))
}

pub(super) fn newer(register: &Register, keys: &[String], since_us: i64) -> Vec<Newer> {
    let held = register.held.read();
    let Some(held) = held.as_ref() else { return Vec::new() };
    let later = |key: &str| held.changed_us(key).is_some_and(|at_us| at_us > since_us);
    let places = (0..keys.len()).filter(|place| later(&keys[*place]));
    places.map(|place| Newer { place, key: keys[place].clone() }).collect()
}

pub(super) fn still(register: &Register, key: &str, version: i64) -> Result<(), RegistryError> {
    match version_of(register, key) {
        Some(newest) if newest == version => Ok(()),
        Some(newest) => Err(RegistryError::Stale { key: key.to_owned(), version, newest }),
        None => Err(RegistryError::UnknownRow(key.to_owned())),
    }
}
