//! Corrections (异议): somebody holds a value to be wrong, the dataset's owner accepts or refuses.
//!
//! ```text
//!  filed ──── accept ──► accepted ── apply ──► applied
//!    ├─────── refuse ──► refused
//!    └────── withdraw ─► withdrawn
//! ```
//!
//! Accepting says that the value is wrong; the new one reaches the dataset the way all its rows
//! do, and the owner then marks the correction applied. So this module never writes a dataset.

mod model;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use pack::{Contract, Pack};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, Set,
};
use serde_json::{Value, json};
use store::records::{Records, RecordsError};
use uuid::Uuid;

use crate::audit::{Audit, AuditError, Event, Outcome};
use crate::procedure::{self, Actor, Parties, Party, Step, StepError};
use crate::records::{correction, micros};
use crate::session::Principal;

pub use model::{Claim, Correction, State, Verb};

const LIST_ROWS_MAX: u64 = 1_000;
const TEXT_CHARS_MAX: usize = 2_000;
const EVIDENCE_ITEMS_MAX: usize = 20;
/// One reference, or one blob's id.
const EVIDENCE_CHARS_MAX: usize = 500;
/// A value given as JSON.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Every step there is.
pub const STEPS: &[Step<State, Verb>] = &[
    Step { from: State::Filed, verb: Verb::Accept, by: Party::Owner, to: State::Accepted },
    Step { from: State::Filed, verb: Verb::Refuse, by: Party::Owner, to: State::Refused },
    Step { from: State::Filed, verb: Verb::Withdraw, by: Party::Requester, to: State::Withdrawn },
    Step { from: State::Accepted, verb: Verb::Apply, by: Party::Owner, to: State::Applied },
];

#[derive(Debug, thiserror::Error)]
pub enum CorrectionError {
    #[error("there is no dataset `{0}`; search the catalogue for its id")]
    UnknownDataset(String),
    #[error("there is no correction {0}")]
    Unknown(Uuid),
    #[error("{field}: {problem}")]
    Claim { field: &'static str, problem: String },
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("correction {id} cannot be read: {problem}; restore a backup")]
    Damaged { id: Uuid, problem: String },
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error("the records failed: {0}")]
    Database(#[from] sea_orm::DbErr),
}

/// The corrections of one city.
#[derive(Debug)]
pub struct Corrections {
    records: Records,
    audit: Audit,
    pack: Arc<Pack>,
}

impl Corrections {
    pub fn open(records: &Records, audit: &Audit, pack: Arc<Pack>) -> Self {
        Self { records: records.clone(), audit: audit.clone(), pack }
    }

    /// Files a claim. Whether the principal may see the value is the caller's to ensure, by
    /// reading it in the principal's own session.
    pub async fn file(
        &self,
        principal: &Principal,
        claim: Claim,
        now: DateTime<Utc>,
    ) -> Result<Correction, CorrectionError> {
        let contract = self.pack.datasets.get(&claim.dataset);
        let contract =
            contract.ok_or_else(|| CorrectionError::UnknownDataset(claim.dataset.clone()))?;
        let actor = Actor::Principal(principal);
        let parties = self.parties(&principal.organisation, &claim.dataset);
        if let Err(cause) = procedure::allowed(Party::Requester, "file", actor, parties) {
            return Err(self.denial(cause, actor, "correction.file", &claim.dataset).await);
        }
        check(contract, principal, &claim)?;
        let row = correction::Model {
            id: Uuid::now_v7(),
            dataset: claim.dataset,
            row_key: json!(claim.key).to_string(),
            field: claim.field,
            present: claim.present.to_string(),
            proposed: claim.proposed.to_string(),
            reason: claim.reason,
            evidence: json!(claim.evidence).to_string(),
            organisation: principal.organisation.clone(),
            requested_by: principal.user.clone(),
            requested_us: micros(now),
            state: State::Filed.to_string(),
            decided_by: None,
            decided_us: None,
            answer: None,
        };
        let txn = self.records.write().await?;
        row.clone().into_active_model().insert(&*txn).await?;
        let filed = Correction::try_from(row)?;
        // The values stay out of the audit: its readers need not be allowed to see them.
        let event = Event::new(
            actor.user(),
            actor.organisation(),
            "correction.file",
            &filed.id.to_string(),
        )
        .detail(json!({ "dataset": filed.dataset, "field": filed.field }));
        self.audit.append(&txn, event).await?;
        txn.commit().await?;
        Ok(filed)
    }

    /// The owner takes a step and says why; the requester withdraws.
    pub async fn step(
        &self,
        principal: &Principal,
        id: Uuid,
        verb: Verb,
        answer: &str,
        now: DateTime<Utc>,
    ) -> Result<Correction, CorrectionError> {
        if verb.needs_answer() {
            check_text("answer", answer)?;
        }
        let actor = Actor::Principal(principal);
        let txn = self.records.write().await?;
        let row = correction::Entity::find_by_id(id).one(&*txn).await?;
        let row = row.ok_or(CorrectionError::Unknown(id))?;
        let from = model::state(&row)?;
        let parties = self.parties(&row.organisation, &row.dataset);
        let action = format!("correction.{verb}");
        let to = match procedure::next(STEPS, from, verb, actor, parties) {
            Ok(to) => to,
            Err(cause) => {
                // The audit needs the write connection that this transaction holds.
                txn.rollback().await?;
                return Err(self.denial(cause, actor, &action, &id.to_string()).await);
            }
        };
        let detail = json!({ "dataset": row.dataset, "field": row.field, "answer": answer });
        let mut row = row.into_active_model();
        row.state = Set(to.to_string());
        row.decided_by = Set(Some(principal.user.clone()));
        row.decided_us = Set(Some(micros(now)));
        row.answer = Set(Some(answer.to_owned()).filter(|answer| !answer.is_empty()));
        let row = row.update(&*txn).await?;
        let event = Event::new(actor.user(), actor.organisation(), &action, &id.to_string());
        self.audit.append(&txn, event.detail(detail)).await?;
        txn.commit().await?;
        Correction::try_from(row)
    }

    /// Those that the principal's organisation filed, and those it decides about, newest first.
    pub async fn list(&self, principal: &Principal) -> Result<Vec<Correction>, CorrectionError> {
        let decided_here = self
            .pack
            .datasets
            .values()
            .filter(|contract| principal.organisations.contains(&contract.owner))
            .map(|contract| contract.id.as_str());
        let concerned = Condition::any()
            .add(correction::Column::Organisation.eq(principal.organisation.as_str()))
            .add(correction::Column::Dataset.is_in(decided_here));
        let rows = correction::Entity::find()
            .filter(concerned)
            .order_by_desc(correction::Column::RequestedUs)
            .limit(LIST_ROWS_MAX)
            .all(self.records.read())
            .await?;
        rows.into_iter().map(Correction::try_from).collect()
    }

    fn parties<'a>(&'a self, requester: &'a str, dataset: &str) -> Parties<'a> {
        Parties {
            requester,
            requester_permission: "correct",
            owner: self.pack.datasets.get(dataset).map_or("", |contract| &contract.owner),
            owner_permission: "correct",
        }
    }

    /// Writes a refusal into the audit, to be passed on.
    async fn denial(
        &self,
        cause: StepError,
        actor: Actor<'_>,
        action: &str,
        object: &str,
    ) -> CorrectionError {
        let event = Event::new(actor.user(), actor.organisation(), action, object)
            .outcome(Outcome::Denied)
            .detail(json!({ "why": cause.to_string() }));
        match self.audit.record(event).await {
            Ok(_) => cause.into(),
            Err(unaudited) => unaudited.into(),
        }
    }
}

fn check(contract: &Contract, principal: &Principal, claim: &Claim) -> Result<(), CorrectionError> {
    if contract.key.is_empty() {
        let problem = format!("`{}` has no key, so no row of it can be named", contract.id);
        return wrong("dataset", problem);
    }
    // A field that nobody classified has no name outside its owner.
    let field = contract.field(&claim.field).filter(|field| {
        field.class.is_some() || crate::knowledge::acts_for_owner(principal, contract)
    });
    if field.is_none() {
        return wrong("field", format!("`{}` has no field `{}`", contract.id, claim.field));
    }
    if contract.key.contains(&claim.field) {
        return wrong("field", format!("`{}` is part of the key: it names the row", claim.field));
    }
    if let Some(missing) = contract.key.iter().find(|name| !claim.key.contains_key(*name)) {
        return wrong("key", format!("expected a value for `{missing}`"));
    }
    if let Some(extra) = claim.key.keys().find(|name| !contract.key.contains(name)) {
        return wrong("key", format!("`{extra}` is not part of the key"));
    }
    if claim.present == claim.proposed {
        return wrong("proposed", "expected another value than the present one".to_owned());
    }
    let values = claim.key.values().chain([&claim.present, &claim.proposed]);
    if values.map(|value| value.to_string().len()).any(|bytes| bytes > VALUE_BYTES_MAX) {
        return wrong("proposed", format!("expected values of up to {VALUE_BYTES_MAX} bytes"));
    }
    let scalar = |value: &Value| !value.is_array() && !value.is_object();
    if !claim.key.values().all(scalar) {
        return wrong("key", "expected texts, numbers or truth values".to_owned());
    }
    if claim.evidence.len() > EVIDENCE_ITEMS_MAX {
        return wrong("evidence", format!("expected up to {EVIDENCE_ITEMS_MAX} items"));
    }
    if claim.evidence.iter().any(|item| item.chars().count() > EVIDENCE_CHARS_MAX) {
        let problem = format!("expected items of up to {EVIDENCE_CHARS_MAX} characters");
        return wrong("evidence", problem);
    }
    check_text("reason", &claim.reason)
}

fn check_text(field: &'static str, text: &str) -> Result<(), CorrectionError> {
    let chars = text.trim().chars().count();
    if chars == 0 || chars > TEXT_CHARS_MAX {
        return wrong(field, format!("expected 1 to {TEXT_CHARS_MAX} characters, found {chars}"));
    }
    Ok(())
}

fn wrong<T>(field: &'static str, problem: String) -> Result<T, CorrectionError> {
    Err(CorrectionError::Claim { field, problem })
}

#[cfg(test)]
mod tests;
