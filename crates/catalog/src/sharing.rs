//! Sharing: an organisation asks to see another's dataset, the owner grants or refuses.
//!
//! ```text
//!              grant ┌─────────► granted ──── revoke ──► revoked
//!  requested ────────┤              ├──────── expire ──► expired
//!                    ├─ refuse ──► refused    └─ withdraw ─┐
//!                    └─ withdraw ────────────────────────► withdrawn
//! ```
//!
//! [`STEPS`] is that drawing as a table, with who may take each step. A grant is never wider than
//! its request: the owner may take fields away, narrow the rows, mask and shorten. Every step, and
//! every attempt that was not allowed, is in the audit.
//!
//! Each change of what is granted raises the **policy epoch**; plans and answers that are kept
//! carry the epoch of their making and are thrown away when it has moved on. A grant ends at its
//! expiry by the clock, whether or not [`Sharing::expire_due`] has run: whoever keeps a plan keeps
//! it no longer than [`Grant::expires_at`].

mod list;
mod model;
mod standing;
mod terms;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use pack::{Contract, Pack};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, Set,
};
use serde_json::json;
use store::records::{Records, RecordsError, WriteTxn};
use uuid::Uuid;

use crate::audit::{Audit, AuditError, Event, Outcome};
use crate::procedure::{self, Actor, Parties, Party, Step, StepError};
use crate::records::{counter, micros, sharing_grant, sharing_request};
use crate::session::Principal;
use standing::Standing;

pub use list::{Cursor, Listed, PAGE_REQUESTS_MAX, RequestPage};
pub use model::{Ask, Grant, Request, State, Terms, Verb};

/// Grants that one call of [`Sharing::expire_due`] ends.
const EXPIRE_ROWS_MAX: u64 = 1_000;

/// Every step there is.
pub const STEPS: &[Step<State, Verb>] = &[
    Step { from: State::Requested, verb: Verb::Grant, by: Party::Owner, to: State::Granted },
    Step { from: State::Requested, verb: Verb::Refuse, by: Party::Owner, to: State::Refused },
    Step {
        from: State::Requested,
        verb: Verb::Withdraw,
        by: Party::Requester,
        to: State::Withdrawn,
    },
    Step { from: State::Granted, verb: Verb::Withdraw, by: Party::Requester, to: State::Withdrawn },
    Step { from: State::Granted, verb: Verb::Revoke, by: Party::Owner, to: State::Revoked },
    Step { from: State::Granted, verb: Verb::Expire, by: Party::Clock, to: State::Expired },
];

#[derive(Debug, thiserror::Error)]
pub enum SharingError {
    #[error("there is no dataset `{0}`; search the catalogue for its id")]
    UnknownDataset(String),
    #[error("there is no sharing request {0}")]
    UnknownRequest(Uuid),
    #[error("dataset `{dataset}` is not shared: {ground}")]
    NotShared { dataset: String, ground: String },
    #[error("dataset `{0}` belongs to your own organisation; no request is needed")]
    OwnDataset(String),
    #[error("{field}: {problem}")]
    Terms { field: &'static str, problem: String },
    #[error("`{0}` is no place in the list; take `next` of the page before, as it is")]
    Cursor(String),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("sharing row {id} cannot be read: {problem}; restore a backup")]
    Damaged { id: Uuid, problem: String },
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error("the records failed: {0}")]
    Database(#[from] sea_orm::DbErr),
}

/// A step that a request has taken, for who watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    pub id: Uuid,
    pub dataset: String,
    /// The organisation that asked.
    pub organisation: String,
    /// The organisation that decides.
    pub owner: String,
    pub state: State,
}

/// Told of each step once it is committed.
pub type Watcher = Box<dyn Fn(Stepped) + Send + Sync>;

/// Requests and grants of one city.
pub struct Sharing {
    records: Records,
    audit: Audit,
    pack: Arc<Pack>,
    /// This and the watcher are shared with the tasks that carry a step through.
    epoch: Arc<AtomicU64>,
    watcher: Arc<OnceLock<Watcher>>,
    standing: Standing,
}

impl std::fmt::Debug for Sharing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sharing").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// A dataset's grants that hold at `now`, the oldest first.
fn active(dataset: &str, now: DateTime<Utc>) -> sea_orm::Select<sharing_grant::Entity> {
    sharing_grant::Entity::find()
        .filter(sharing_grant::Column::Dataset.eq(dataset))
        .filter(sharing_grant::Column::EndedUs.is_null())
        .filter(sharing_grant::Column::ExpiresUs.gt(micros(now)))
        .order_by_asc(sharing_grant::Column::GrantedUs)
        .order_by_asc(sharing_grant::Column::Id)
}

impl Sharing {
    pub async fn open(
        records: &Records,
        audit: &Audit,
        pack: Arc<Pack>,
    ) -> Result<Self, SharingError> {
        let epoch = Arc::new(AtomicU64::new(read_epoch(records.read()).await?));
        let (records, audit, watcher) = (records.clone(), audit.clone(), Arc::default());
        Ok(Self { records, audit, pack, epoch, watcher, standing: Standing::default() })
    }

    /// Has each step told to `watcher`. The first one who watches is the only one.
    pub fn watch(&self, watcher: Watcher) {
        let _ = self.watcher.set(watcher);
    }

    fn stepped(&self, id: Uuid, dataset: &str, organisation: &str, state: State) -> Stepped {
        let owner = self.pack.datasets.get(dataset).map_or("", |contract| &contract.owner);
        Stepped {
            id,
            dataset: dataset.to_owned(),
            organisation: organisation.to_owned(),
            owner: owner.to_owned(),
            state,
        }
    }

    /// Commits a step, moves the epoch on where it was raised, and has the step told. A task of
    /// its own: a caller that goes away in between must not leave anybody access that the records
    /// have ended, nor a step that nobody hears of.
    async fn commit(
        &self,
        txn: WriteTxn,
        raised: Option<u64>,
        step: Stepped,
    ) -> Result<(), SharingError> {
        let (epoch, watcher) = (Arc::clone(&self.epoch), Arc::clone(&self.watcher));
        let done = tokio::spawn(async move {
            let committed = txn.commit().await;
            // Also where it failed: a commit whose answer is lost may stand. Two steps may come
            // past here in either order: the epoch never goes back.
            if let Some(raised) = raised {
                epoch.fetch_max(raised, Ordering::AcqRel);
            }
            if committed.is_ok()
                && let Some(watcher) = watcher.get()
            {
                watcher(step);
            }
            committed
        });
        // Nobody cancels this task, so a failed join is a panic of the work: pass it on.
        let committed = done.await;
        Ok(committed.unwrap_or_else(|join| std::panic::resume_unwind(join.into_panic()))?)
    }

    /// Grows with every change of what is granted to whom.
    pub fn policy_epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What an organisation itself was granted of a dataset and may see at `now`. Who inherits it
    /// is the reader's to decide.
    pub async fn active_grants(
        &self,
        dataset: &str,
        organisation: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<Grant>, SharingError> {
        let rows = active(dataset, now)
            .filter(sharing_grant::Column::Organisation.eq(organisation))
            .all(self.records.read())
            .await?;
        rows.into_iter().map(Grant::try_from).collect()
    }

    /// What anybody was granted of a dataset and may see at `now`.
    pub async fn all_active_grants(
        &self,
        dataset: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<Grant>, SharingError> {
        let rows = active(dataset, now).all(self.records.read()).await?;
        rows.into_iter().map(Grant::try_from).collect()
    }

    /// Files a request for the principal's organisation.
    pub async fn request(
        &self,
        principal: &Principal,
        ask: Ask,
        now: DateTime<Utc>,
    ) -> Result<Request, SharingError> {
        let contract = self.contract(&ask.dataset)?;
        let parties = self.parties(&principal.organisation, &contract.id);
        let actor = Actor::Principal(principal);
        if let Err(cause) = procedure::allowed(Party::Requester, "request", actor, parties) {
            return Err(self.denial(cause, actor, "sharing.request", &ask.dataset).await);
        }
        terms::check_ask(contract, &ask, principal, now)?;

        let row = sharing_request::Model {
            id: Uuid::now_v7(),
            dataset: ask.dataset,
            fields: json!(ask.fields).to_string(),
            rows: ask.rows,
            purpose: ask.purpose,
            legal_ground: ask.legal_ground,
            until_us: micros(ask.until),
            organisation: principal.organisation.clone(),
            requested_by: principal.user.clone(),
            requested_us: micros(now),
            state: State::Requested.to_string(),
            decided_by: None,
            decided_us: None,
            reason: None,
        };
        let txn = self.records.write().await?;
        row.clone().into_active_model().insert(&*txn).await?;
        let request = Request::try_from(row)?;
        let event = Event::new(
            &principal.user,
            &principal.organisation,
            "sharing.request",
            &request.id.to_string(),
        );
        self.audit.append(&txn, event.detail(request.summary())).await?;
        let step = self.stepped(request.id, &request.dataset, &request.organisation, request.state);
        self.commit(txn, None, step).await?;
        Ok(request)
    }

    /// The owner lets the requester in, on terms no wider than what was asked.
    pub async fn grant(
        &self,
        principal: &Principal,
        id: Uuid,
        terms: Terms,
        now: DateTime<Utc>,
    ) -> Result<Grant, SharingError> {
        let actor = Actor::Principal(principal);
        let txn = self.records.write().await?;
        let (row, to) = match self.begin(&txn, id, Verb::Grant, actor).await {
            Ok(begun) => begun,
            Err(cause) => return Err(self.denied(txn, cause, actor, Verb::Grant, id).await),
        };
        let contract = self.contract(&row.dataset)?;
        let request = Request::try_from(row.clone())?;
        let grant = terms::settle(contract, &request, terms, &principal.user, now)?;
        let row_of_grant = sharing_grant::Model::try_from(&grant)?;
        row_of_grant.into_active_model().insert(&*txn).await?;
        let detail = grant.summary();
        self.finish(txn, row, to, Verb::Grant, actor, None, now, detail).await?;
        Ok(grant)
    }

    /// The owner says no, and why.
    pub async fn refuse(
        &self,
        principal: &Principal,
        id: Uuid,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), SharingError> {
        terms::check_reason(reason)?;
        self.end(Actor::Principal(principal), id, Verb::Refuse, Some(reason), now).await
    }

    /// The requester takes the request back, or gives the grant up.
    pub async fn withdraw(
        &self,
        principal: &Principal,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), SharingError> {
        self.end(Actor::Principal(principal), id, Verb::Withdraw, None, now).await
    }

    /// The owner ends a grant before its time, and says why.
    pub async fn revoke(
        &self,
        principal: &Principal,
        id: Uuid,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), SharingError> {
        terms::check_reason(reason)?;
        self.end(Actor::Principal(principal), id, Verb::Revoke, Some(reason), now).await
    }

    /// Books the grants whose time is over; they gave no access since then. Returns how many.
    pub async fn expire_due(&self, now: DateTime<Utc>) -> Result<usize, SharingError> {
        let due: Vec<Uuid> = sharing_grant::Entity::find()
            .select_only()
            .column(sharing_grant::Column::Id)
            .filter(sharing_grant::Column::EndedUs.is_null())
            .filter(sharing_grant::Column::ExpiresUs.lte(micros(now)))
            .limit(EXPIRE_ROWS_MAX)
            .into_tuple()
            .all(self.records.read())
            .await?;
        let (mut expired, mut failed) = (0, None);
        for id in due {
            match self.end(Actor::Clock, id, Verb::Expire, None, now).await {
                Ok(()) => expired += 1,
                // Revoked or withdrawn since it was read: nothing is left to expire.
                Err(SharingError::Step(StepError::NotFromHere { .. })) => {}
                // One that cannot be booked keeps none of the others.
                Err(cause) => failed = failed.or(Some(cause)),
            }
        }
        failed.map_or(Ok(expired), Err)
    }

    fn contract(&self, dataset: &str) -> Result<&Contract, SharingError> {
        let contract = self.pack.datasets.get(dataset);
        contract.ok_or_else(|| SharingError::UnknownDataset(dataset.to_owned()))
    }

    /// A dataset that has left the pack has no owner: what is left of its grants can still be
    /// withdrawn and expires.
    fn parties<'a>(&'a self, requester: &'a str, dataset: &str) -> Parties<'a> {
        Parties {
            requester,
            requester_permission: "request_sharing",
            owner: self.pack.datasets.get(dataset).map_or("", |contract| &contract.owner),
            owner_permission: "grant",
        }
    }

    /// A step that ends a request or its grant.
    async fn end(
        &self,
        actor: Actor<'_>,
        id: Uuid,
        verb: Verb,
        reason: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), SharingError> {
        let txn = self.records.write().await?;
        let (row, to) = match self.begin(&txn, id, verb, actor).await {
            Ok(begun) => begun,
            Err(cause) => return Err(self.denied(txn, cause, actor, verb, id).await),
        };
        if let Some(grant) = sharing_grant::Entity::find_by_id(id).one(&*txn).await? {
            let mut grant = grant.into_active_model();
            grant.ended_us = Set(Some(micros(now)));
            grant.update(&*txn).await?;
        }
        let detail = json!({ "dataset": row.dataset, "organisation": row.organisation });
        self.finish(txn, row, to, verb, actor, reason, now, detail).await
    }

    /// Reads the request and asks the table whether the step is allowed.
    async fn begin(
        &self,
        txn: &WriteTxn,
        id: Uuid,
        verb: Verb,
        actor: Actor<'_>,
    ) -> Result<(sharing_request::Model, State), SharingError> {
        let row = sharing_request::Entity::find_by_id(id).one(&**txn).await?;
        let row = row.ok_or(SharingError::UnknownRequest(id))?;
        let from = model::state(&row)?;
        let parties = self.parties(&row.organisation, &row.dataset);
        let to = procedure::next(STEPS, from, verb, actor, parties)?;
        Ok((row, to))
    }

    /// Writes the new state, its audit and, where access changed, the new epoch.
    #[expect(clippy::too_many_arguments, reason = "one caller's locals, not an interface")]
    async fn finish(
        &self,
        txn: WriteTxn,
        row: sharing_request::Model,
        to: State,
        verb: Verb,
        actor: Actor<'_>,
        reason: Option<&str>,
        now: DateTime<Utc>,
        detail: serde_json::Value,
    ) -> Result<(), SharingError> {
        let id = row.id;
        let access_changed = row.state == State::Granted.as_str() || to == State::Granted;
        let step = self.stepped(id, &row.dataset, &row.organisation, to);
        let mut row = row.into_active_model();
        row.state = Set(to.to_string());
        row.decided_by = Set(Some(actor.user().to_owned()));
        row.decided_us = Set(Some(micros(now)));
        row.reason = Set(reason.map(str::to_owned));
        row.update(&*txn).await?;
        let action = format!("sharing.{verb}");
        let event = Event::new(actor.user(), actor.organisation(), &action, &id.to_string());
        let detail = json!({ "reason": reason, "terms": detail });
        self.audit.append(&txn, event.detail(detail)).await?;
        let raised = match access_changed {
            true => Some(raise_epoch(&txn, self.policy_epoch()).await?),
            false => None,
        };
        self.commit(txn, raised, step).await
    }

    /// Gives the transaction up and writes the attempt down, if it was one.
    async fn denied(
        &self,
        txn: WriteTxn,
        cause: SharingError,
        actor: Actor<'_>,
        verb: Verb,
        id: Uuid,
    ) -> SharingError {
        // The audit needs the write connection that this transaction holds.
        if let Err(cause) = txn.rollback().await {
            return cause.into();
        }
        match cause {
            SharingError::Step(step) => {
                self.denial(step, actor, &format!("sharing.{verb}"), &id.to_string()).await
            }
            cause => cause,
        }
    }

    /// Writes a refusal into the audit, to be passed on.
    async fn denial(
        &self,
        cause: StepError,
        actor: Actor<'_>,
        action: &str,
        object: &str,
    ) -> SharingError {
        let event = Event::new(actor.user(), actor.organisation(), action, object)
            .outcome(Outcome::Denied)
            .detail(json!({ "why": cause.to_string() }));
        match self.audit.record(event).await {
            Ok(_) => cause.into(),
            Err(unaudited) => unaudited.into(),
        }
    }
}

async fn read_epoch(connection: &impl ConnectionTrait) -> Result<u64, SharingError> {
    let row = counter::Entity::find_by_id(counter::POLICY_EPOCH).one(connection).await?;
    Ok(row.and_then(|row| u64::try_from(row.value).ok()).unwrap_or_default())
}

/// `known` may be ahead of the records, where a commit failed: what was planned under it since must
/// not pass for planned under the next.
async fn raise_epoch(txn: &WriteTxn, known: u64) -> Result<u64, SharingError> {
    let epoch = read_epoch(&**txn).await?.max(known) + 1;
    let value = i64::try_from(epoch).expect("nobody changes a policy 2^63 times");
    let row =
        counter::ActiveModel { name: Set(counter::POLICY_EPOCH.to_owned()), value: Set(value) };
    row.update(&**txn).await?;
    Ok(epoch)
}

#[cfg(test)]
mod tests;
