//! The audit: who did what, in a chain of hashes that shows when somebody has been at it.
//!
//! ```text
//!  Audit::append(&txn, event)   in the write transaction of the audited action: both or neither
//!  Audit::submit(event) ─► Ticket ─► committed()   queries, denials: many share one commit
//! ```
//!
//! **The chain.** Row `n` keeps the hash of row `n-1` and its own hash over everything in it
//! ([`chain`] gives the exact bytes). `audit_head` says how many rows there are and where the
//! chain ends, and moves in the same transaction. [`Audit::verify`] reads all of it and names each
//! row that was changed, dropped or swapped.
//!
//! **The anchor.** Whoever can write to the database can also cut the tail off and put the head
//! back to match. So the caller keeps [`Head`]s elsewhere — a file, a printout, another city's
//! register — and hands one to `verify`, which then finds that the chain no longer passes through
//! it. What no chain can show: a forger who rewrites the database from some row on *and* every
//! anchor taken after it, because the hash has no secret key; and what was never written. An
//! anchor that the database's administrators cannot reach closes the first.
//!
//! **Group commit.** A query is audited before its answer ends, and an fsync takes longer than
//! many a query. So submitted events go through a bounded queue to one writer, which takes all
//! that is waiting into one transaction: under load a hundred queries share an fsync, alone a
//! query waits for its own. The queue full, `submit` waits: no event is ever let go in silence.
//! A caller submits when the query starts and awaits the ticket before it ends the answer, so the
//! commit runs beside the query.

pub mod chain;
mod writer;

use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use serde_json::json;
use store::records::{Records, RecordsError, WriteTxn};
use uuid::Uuid;

use crate::records::{audit_entry, audit_head, micros};
use crate::sql::Events;
pub use chain::{ChainHash, Fault, Report, Sha256};
pub use writer::Ticket;

/// Rows read at a time while verifying.
const VERIFY_PAGE_ROWS: u64 = 2_000;
/// Rows that one INSERT carries: SQLite takes 32,766 values in a statement, a row has 11.
const INSERT_ROWS_MAX: usize = 1_000;
/// Rows that one call of [`Audit::page`] returns.
const PAGE_ROWS_MAX: u64 = 1_000;
/// Of a failed query's statement, and of what is said of its failure. The chain keeps all for
/// ever, and a statement may be a quarter of a megabyte.
const FAILURE_CHARS_MAX: usize = 4_000;

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the audit cannot be written: {0}")]
    Records(#[from] RecordsError),
    #[error("the audit cannot be read or written: {0}")]
    Database(#[from] sea_orm::DbErr),
    #[error("the audit's head is missing from the records; restore a backup")]
    NoHead,
    #[error("the audit's writer failed: {0}")]
    Writer(String),
    #[error("the audit is closed; open the city again")]
    Closed,
    #[error("`{0}` is not an audit anchor: expected `<count>:<hash>`")]
    BadAnchor(String),
}

/// How the audited action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Denied,
    Failed,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// Something that happened, about to be written down.
#[derive(Debug, Clone)]
pub struct Event {
    pub at: DateTime<Utc>,
    /// User or service.
    pub actor: String,
    /// The organisation that it acted for.
    pub organisation: String,
    /// `query`, `sharing.grant`, `user.create` …
    pub action: String,
    /// What it was done to: a dataset, a request's id, a user.
    pub object: String,
    pub outcome: Outcome,
    pub detail: serde_json::Value,
}

impl Event {
    /// An event of this moment that went well, without details.
    pub fn new(actor: &str, organisation: &str, action: &str, object: &str) -> Self {
        Self {
            at: Utc::now(),
            actor: actor.to_owned(),
            organisation: organisation.to_owned(),
            action: action.to_owned(),
            object: object.to_owned(),
            outcome: Outcome::Done,
            detail: serde_json::Value::Null,
        }
    }

    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    pub fn detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = detail;
        self
    }
}

/// The chain's length and end: keep one where the database's administrators cannot reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub count: i64,
    /// Hex; empty when there are no rows.
    pub hash: String,
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.count, self.hash)
    }
}

impl FromStr for Head {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let bad = || AuditError::BadAnchor(text.to_owned());
        let (count, hash) = text.trim().split_once(':').ok_or_else(bad)?;
        let count: i64 = count.parse().map_err(|_| bad())?;
        let whole =
            hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && hash.is_empty() == (count == 0);
        if count < 0 || !whole {
            return Err(bad());
        }
        Ok(Self { count, hash: hash.to_owned() })
    }
}

/// The audit of one city. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit {
    inner: Arc<Inner>,
    queue: writer::Queue,
}

#[derive(Debug)]
struct Inner {
    records: Records,
    /// The first one hashes new rows; all of them can check old ones.
    hashes: Vec<Arc<dyn ChainHash>>,
}

impl Audit {
    /// Opens the audit in migrated records, hashing with SHA-256, and starts its writer on the
    /// current Tokio runtime.
    pub fn open(records: &Records) -> Self {
        Self::with_hashes(records, vec![Arc::new(Sha256)])
    }

    /// As [`Audit::open`], with other hash functions: the first is used for new rows.
    ///
    /// # Panics
    /// Where `hashes` is empty.
    pub fn with_hashes(records: &Records, hashes: Vec<Arc<dyn ChainHash>>) -> Self {
        assert!(!hashes.is_empty(), "an audit needs a hash function");
        let inner = Arc::new(Inner { records: records.clone(), hashes });
        let queue = writer::start(Arc::clone(&inner));
        Self { inner, queue }
    }

    /// Adds an event to the chain inside the transaction of the audited action. Returns its row.
    pub async fn append(&self, txn: &WriteTxn, event: Event) -> Result<i64, AuditError> {
        self.inner.append_all(txn, &[event]).await
    }

    /// Hands an event to the writer; waits only where the queue is full.
    pub async fn submit(&self, event: Event) -> Result<Ticket, AuditError> {
        self.queue.submit(event).await
    }

    /// Writes an event and returns its row once that is on the disk.
    pub async fn record(&self, event: Event) -> Result<i64, AuditError> {
        self.submit(event).await?.committed().await
    }

    /// Returns once all that was submitted before is on the disk.
    pub async fn flush(&self) -> Result<(), AuditError> {
        self.queue.flush().await
    }

    /// The chain's present end, to be kept elsewhere as an anchor.
    pub async fn head(&self) -> Result<Head, AuditError> {
        read_head(self.inner.records.read()).await
    }

    /// Up to `limit` rows after `seq`, oldest first.
    pub async fn page(&self, seq: i64, limit: u64) -> Result<Vec<audit_entry::Model>, AuditError> {
        let page = audit_entry::Entity::find()
            .filter(audit_entry::Column::Seq.gt(seq))
            .order_by_asc(audit_entry::Column::Seq)
            .limit(limit.min(PAGE_ROWS_MAX));
        Ok(page.all(self.inner.records.read()).await?)
    }

    /// The newest `limit` rows, newest first.
    pub async fn newest(&self, limit: u64) -> Result<Vec<audit_entry::Model>, AuditError> {
        let page = audit_entry::Entity::find()
            .order_by_desc(audit_entry::Column::Seq)
            .limit(limit.min(PAGE_ROWS_MAX));
        Ok(page.all(self.inner.records.read()).await?)
    }

    /// Reads the whole chain and names what is wrong with it. `anchor` is a head kept elsewhere.
    ///
    /// Rows may be appended while it reads.
    pub async fn verify(&self, anchor: Option<&Head>) -> Result<Report, AuditError> {
        // The head is read before the rows, so that all it counts must be found.
        let head = self.head().await?;
        let mut checker = chain::Checker::new(&self.inner.hashes, head, anchor.cloned());
        let mut after = i64::MIN;
        loop {
            let rows = audit_entry::Entity::find()
                .filter(audit_entry::Column::Seq.gt(after))
                .order_by_asc(audit_entry::Column::Seq)
                .limit(VERIFY_PAGE_ROWS)
                .all(self.inner.records.read())
                .await?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            rows.into_iter().for_each(|row| checker.row(row));
        }
        // Rows appended meanwhile stand between the two heads; beyond the second none may stand.
        Ok(checker.finish(&self.head().await?))
    }
}

/// What a query's author must not see of its failure goes here; with the queue full, to the log.
impl Events for Audit {
    fn failed(&self, correlation_id: Uuid, user: &str, sql: &str, details: &str) {
        let event = Event::new(user, "", "query", &correlation_id.to_string())
            .outcome(Outcome::Failed)
            .detail(json!({ "sql": beginning(sql), "details": beginning(details) }));
        if self.queue.offer(event).is_err() {
            tracing::error!(%correlation_id, user, sql, details, "query failed");
        }
    }
}

fn beginning(text: &str) -> &str {
    text.char_indices().nth(FAILURE_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

impl Inner {
    /// Appends in order; returns the first row's number.
    async fn append_all(&self, txn: &WriteTxn, events: &[Event]) -> Result<i64, AuditError> {
        let hash = &self.hashes[0];
        let mut head = read_head(&**txn).await?;
        let first = head.count + 1;
        for events in events.chunks(INSERT_ROWS_MAX) {
            let mut rows = Vec::with_capacity(events.len());
            for event in events {
                let row = chain::link(hash.as_ref(), &head, event);
                head = Head { count: row.seq, hash: row.hash.clone() };
                rows.push(active(row));
            }
            audit_entry::Entity::insert_many(rows).exec_without_returning(&**txn).await?;
        }
        let moved = audit_head::ActiveModel {
            id: Set(audit_head::ONLY),
            count: Set(head.count),
            hash: Set(head.hash),
        };
        moved.update(&**txn).await?;
        Ok(first)
    }
}

async fn read_head(connection: &impl ConnectionTrait) -> Result<Head, AuditError> {
    let row = audit_head::Entity::find_by_id(audit_head::ONLY).one(connection).await?;
    let row = row.ok_or(AuditError::NoHead)?;
    Ok(Head { count: row.count, hash: row.hash })
}

fn active(row: audit_entry::Model) -> audit_entry::ActiveModel {
    audit_entry::ActiveModel {
        seq: Set(row.seq),
        at_us: Set(row.at_us),
        actor: Set(row.actor),
        organisation: Set(row.organisation),
        action: Set(row.action),
        object: Set(row.object),
        outcome: Set(row.outcome),
        detail: Set(row.detail),
        algorithm: Set(row.algorithm),
        previous: Set(row.previous),
        hash: Set(row.hash),
    }
}

/// The row that an event becomes, before it is hashed. PostgreSQL keeps no text with a NUL in it,
/// and one such event would take all that are committed with it down; JSON writes it as an escape.
fn unhashed(event: &Event, seq: i64, algorithm: &str, previous: &str) -> audit_entry::Model {
    let kept = |text: &str| text.replace('\0', "\u{fffd}");
    audit_entry::Model {
        seq,
        at_us: micros(event.at),
        actor: kept(&event.actor),
        organisation: kept(&event.organisation),
        action: kept(&event.action),
        object: kept(&event.object),
        outcome: event.outcome.as_str().to_owned(),
        detail: event.detail.to_string(),
        algorithm: algorithm.to_owned(),
        previous: previous.to_owned(),
        hash: String::new(),
    }
}

#[cfg(test)]
mod tests;
