//! Scenarios: a named overlay of rows over datasets, under which the same SQL is asked again.
//!
//! ```text
//!  stored rows ─► without the keys that the scenario puts or removes ─┐
//!                                                                     ├─► row filter ► masks ► …
//!  rows that the scenario puts ───────────────────────────────────────┘
//! ```
//!
//! The overlay lies **under** the policy, so that its rows are filtered and masked like stored
//! ones. Three rules keep it from becoming a way around the policy:
//!
//! * A changed row is a whole row, written by its author. Nothing of the stored row survives in
//!   it, so moving a hidden row into one's own area shows only what one wrote oneself.
//! * Whoever reads a changed dataset must see its key unmasked: else taking out a guessed key and
//!   counting would tell what a token stands for.
//! * A dataset that is answered in groups of a minimum size is not answered under a scenario that
//!   changes it: taking out one person and comparing would tell of that person.
//!
//! This module keeps overlays and decides who may write and use them. It knows no engine;
//! parameters of engines (a lower threshold) are theirs to keep under the same name.

mod overlay;
mod rows;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use pack::{Contract, Pack};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::{Map, Value, json};
use store::records::{Records, RecordsError, WriteTxn};
use uuid::Uuid;

use crate::audit::{Audit, AuditError, Event};
use crate::records::{micros, scenario, scenario_change, time};
use crate::sql::{Access, Catalog, SqlError};
use crate::{Principal, Session};

pub(crate) use overlay::Overlay;

/// Rows of one dataset that one scenario changes.
pub const CHANGES_MAX: u64 = 20_000;
/// Changes in one call.
pub const CALL_CHANGES_MAX: usize = 5_000;
const NAME_CHARS_MAX: usize = 64;
const TITLE_CHARS_MAX: usize = 200;
const LIST_ROWS_MAX: u64 = 1_000;
/// Bytes of a key's JSON text: it stands in a unique index.
const KEY_BYTES_MAX: usize = 500;

/// What a scenario does to one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Adds the row, or stands in for the stored one of the same key.
    Put(Map<String, Value>),
    /// Takes away the stored row of this key.
    Remove(Map<String, Value>),
}

impl Change {
    fn row(&self) -> &Map<String, Value> {
        match self {
            Self::Put(row) | Self::Remove(row) => row,
        }
    }

    fn op(&self) -> &'static str {
        match self {
            Self::Put(_) => "put",
            Self::Remove(_) => "remove",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    pub name: String,
    pub title: String,
    pub owner: String,
    pub organisation: String,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// None, or none of the principal's organisation: the two are not told apart.
    #[error("there is no scenario '{0}' that you may use")]
    Unknown(String),
    #[error("there is a scenario '{0}' already; choose another name")]
    Taken(String),
    #[error("{user} lacks the permission `{permission}`; ask for a role that has it")]
    NoPermission { user: String, permission: &'static str },
    #[error("only {owner} changes the scenario '{name}'")]
    NotYours { name: String, owner: String },
    #[error("{0}")]
    Bad(String),
    #[error("row {index} of the changes: {problem}")]
    Row { index: usize, problem: String },
    #[error(
        "a scenario changes at most {CHANGES_MAX} rows of a dataset, {CALL_CHANGES_MAX} a call"
    )]
    TooMany,
    #[error(transparent)]
    Sql(#[from] SqlError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error("the records failed: {0}")]
    Database(#[from] sea_orm::DbErr),
}

/// What governed SQL asks of scenarios.
#[async_trait]
pub trait Overlays: Send + Sync + std::fmt::Debug {
    /// The scenario's changes of `dataset`, for a principal that may use it. An unknown scenario
    /// is an error, never the baseline.
    async fn changes(
        &self,
        principal: &Principal,
        scenario: &str,
        dataset: &str,
    ) -> Result<Vec<Change>, ScenarioError>;
}

/// There are no scenarios.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoOverlays;

#[async_trait]
impl Overlays for NoOverlays {
    async fn changes(
        &self,
        _principal: &Principal,
        scenario: &str,
        _dataset: &str,
    ) -> Result<Vec<Change>, ScenarioError> {
        Err(ScenarioError::Unknown(scenario.to_owned()))
    }
}

/// The scenarios of one city, in its records.
#[derive(Debug)]
pub struct Scenarios {
    records: Records,
    audit: Audit,
    pack: Arc<Pack>,
}

impl Scenarios {
    pub fn open(records: &Records, audit: &Audit, pack: Arc<Pack>) -> Self {
        Self { records: records.clone(), audit: audit.clone(), pack }
    }

    /// Makes an empty scenario: until it changes something, its answers are the baseline's.
    pub async fn create(
        &self,
        principal: &Principal,
        name: &str,
        title: &str,
        now: DateTime<Utc>,
    ) -> Result<Scenario, ScenarioError> {
        permitted(principal)?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(plain) {
            return Err(ScenarioError::Bad(format!(
                "a scenario's name is 1 to {NAME_CHARS_MAX} of a-z, 0-9, '-' and '_'"
            )));
        }
        if title.chars().count() > TITLE_CHARS_MAX {
            return Err(ScenarioError::Bad(format!(
                "the title is over {TITLE_CHARS_MAX} characters"
            )));
        }
        let txn = self.records.write().await?;
        if scenario::Entity::find_by_id(name).one(&*txn).await?.is_some() {
            return Err(ScenarioError::Taken(name.to_owned()));
        }
        let row = scenario::Model {
            name: name.to_owned(),
            title: title.to_owned(),
            owner: principal.user.clone(),
            organisation: principal.organisation.clone(),
            created_us: micros(now),
        };
        row.clone().into_active_model().insert(&*txn).await?;
        self.audited(&txn, principal, "scenario.create", name, json!({ "title": title })).await?;
        txn.commit().await?;
        Ok(row.into())
    }

    /// Those that the principal may use.
    pub async fn list(&self, principal: &Principal) -> Result<Vec<Scenario>, ScenarioError> {
        let mine = scenario::Column::Owner.eq(principal.user.as_str());
        let ours = organisations(principal).map(|id| scenario::Column::Organisation.eq(id));
        let usable = ours.fold(Condition::any().add(mine), Condition::add);
        let rows = scenario::Entity::find()
            .filter(usable)
            .order_by_asc(scenario::Column::Name)
            .limit(LIST_ROWS_MAX)
            .all(self.records.read())
            .await?;
        Ok(rows.into_iter().map(Scenario::from).collect())
    }

    /// Writes changes; a later change of a row takes the place of an earlier one. All or none.
    pub async fn change(
        &self,
        catalog: &Catalog,
        session: &Session,
        name: &str,
        dataset: &str,
        changes: &[Change],
        now: DateTime<Utc>,
    ) -> Result<usize, ScenarioError> {
        let principal = session.principal.as_ref();
        permitted(principal)?;
        let contract = self.contract(dataset)?;
        let access = catalog.access(principal, contract).await?;
        let access = access.ok_or_else(|| unknown_dataset(dataset))?;
        usable(contract, &access)?;
        if changes.len() > CALL_CHANGES_MAX {
            return Err(ScenarioError::TooMany);
        }
        let rows = self.rows(principal, name, contract, &access, changes, now)?;
        let txn = self.records.write().await?;
        let found = self.find(&*txn, principal, name).await?;
        if found.owner != principal.user {
            return Err(ScenarioError::NotYours { name: name.to_owned(), owner: found.owner });
        }
        for row in rows {
            of_row(&row).exec(&*txn).await?;
            row.into_active_model().insert(&*txn).await?;
        }
        if of_dataset(name, dataset).count(&*txn).await? > CHANGES_MAX {
            return Err(ScenarioError::TooMany);
        }
        let detail = json!({ "dataset": dataset, "rows": changes.len() });
        self.audited(&txn, principal, "scenario.change", name, detail).await?;
        txn.commit().await?;
        Ok(changes.len())
    }

    /// Forgets the scenario and all that it changes.
    pub async fn delete(&self, principal: &Principal, name: &str) -> Result<(), ScenarioError> {
        permitted(principal)?;
        let txn = self.records.write().await?;
        let found = self.find(&*txn, principal, name).await?;
        if found.owner != principal.user {
            return Err(ScenarioError::NotYours { name: name.to_owned(), owner: found.owner });
        }
        scenario_change::Entity::delete_many()
            .filter(scenario_change::Column::Scenario.eq(name))
            .exec(&*txn)
            .await?;
        scenario::Entity::delete_by_id(name).exec(&*txn).await?;
        self.audited(&txn, principal, "scenario.delete", name, json!({})).await?;
        txn.commit().await?;
        Ok(())
    }

    fn contract(&self, dataset: &str) -> Result<&Contract, ScenarioError> {
        self.pack.datasets.get(dataset).ok_or_else(|| unknown_dataset(dataset))
    }

    fn rows(
        &self,
        principal: &Principal,
        name: &str,
        contract: &Contract,
        access: &Access,
        changes: &[Change],
        now: DateTime<Utc>,
    ) -> Result<Vec<scenario_change::Model>, ScenarioError> {
        let row = |(index, change): (usize, &Change)| {
            let bad = |problem| ScenarioError::Row { index, problem };
            let row_key = rows::check(contract, access, change).map_err(bad)?;
            if row_key.len() > KEY_BYTES_MAX {
                return Err(bad(format!("the key is over {KEY_BYTES_MAX} bytes")));
            }
            Ok(scenario_change::Model {
                id: Uuid::now_v7(),
                scenario: name.to_owned(),
                dataset: contract.id.clone(),
                row_key,
                op: change.op().to_owned(),
                row: Value::Object(change.row().clone()).to_string(),
                changed_by: principal.user.clone(),
                changed_us: micros(now),
            })
        };
        changes.iter().enumerate().map(row).collect()
    }

    async fn find(
        &self,
        connection: &impl ConnectionTrait,
        principal: &Principal,
        name: &str,
    ) -> Result<scenario::Model, ScenarioError> {
        let found = scenario::Entity::find_by_id(name).one(connection).await?;
        found
            .filter(|found| {
                found.owner == principal.user
                    || organisations(principal).any(|id| id == found.organisation)
            })
            .ok_or_else(|| ScenarioError::Unknown(name.to_owned()))
    }

    async fn audited(
        &self,
        txn: &WriteTxn,
        principal: &Principal,
        action: &str,
        name: &str,
        detail: Value,
    ) -> Result<(), ScenarioError> {
        let event = Event::new(&principal.user, &principal.organisation, action, name);
        self.audit.append(txn, event.detail(detail)).await?;
        Ok(())
    }
}

#[async_trait]
impl Overlays for Scenarios {
    async fn changes(
        &self,
        principal: &Principal,
        scenario: &str,
        dataset: &str,
    ) -> Result<Vec<Change>, ScenarioError> {
        self.find(self.records.read(), principal, scenario).await?;
        let rows = of_dataset(scenario, dataset)
            .order_by_asc(scenario_change::Column::RowKey)
            .limit(CHANGES_MAX)
            .all(self.records.read())
            .await?;
        rows.into_iter().map(Change::try_from).collect()
    }
}

/// A principal's own organisation and those it answers for.
fn organisations(principal: &Principal) -> impl Iterator<Item = &str> {
    let own = std::iter::once(&principal.organisation).chain(&principal.organisations);
    own.map(String::as_str).filter(|id| !id.is_empty())
}

fn permitted(principal: &Principal) -> Result<(), ScenarioError> {
    const PERMISSION: &str = "scenario";
    if principal.may(PERMISSION) {
        return Ok(());
    }
    Err(ScenarioError::NoPermission { user: principal.user.clone(), permission: PERMISSION })
}

fn unknown_dataset(dataset: &str) -> ScenarioError {
    ScenarioError::Sql(SqlError::NotFound { name: dataset.to_owned() })
}

/// Whether overlays of this dataset can neither be used to find out what a key's mask hides nor
/// to single out a row of a group.
pub(crate) fn usable(contract: &Contract, access: &Access) -> Result<(), SqlError> {
    if access.min_cell.is_some() {
        return Err(SqlError::refused(
            "a dataset with a minimum cell size is not answered under a scenario that changes it",
        ));
    }
    let plain =
        |key: &String| access.fields.iter().any(|(name, mask)| name == key && mask.is_none());
    if contract.key.iter().all(plain) {
        return Ok(());
    }
    Err(SqlError::refused(
        "a scenario changes this dataset by its key, which your access masks; ask its owner",
    ))
}

fn of_dataset(name: &str, dataset: &str) -> sea_orm::Select<scenario_change::Entity> {
    scenario_change::Entity::find()
        .filter(scenario_change::Column::Scenario.eq(name))
        .filter(scenario_change::Column::Dataset.eq(dataset))
}

fn of_row(row: &scenario_change::Model) -> sea_orm::DeleteMany<scenario_change::Entity> {
    scenario_change::Entity::delete_many()
        .filter(scenario_change::Column::Scenario.eq(row.scenario.as_str()))
        .filter(scenario_change::Column::Dataset.eq(row.dataset.as_str()))
        .filter(scenario_change::Column::RowKey.eq(row.row_key.as_str()))
}

impl From<scenario::Model> for Scenario {
    fn from(row: scenario::Model) -> Self {
        Self {
            name: row.name,
            title: row.title,
            owner: row.owner,
            organisation: row.organisation,
            created_at: time(row.created_us),
        }
    }
}

impl TryFrom<scenario_change::Model> for Change {
    type Error = ScenarioError;

    fn try_from(row: scenario_change::Model) -> Result<Self, ScenarioError> {
        let damaged =
            || ScenarioError::Bad(format!("change {} cannot be read; restore a backup", row.id));
        let Ok(Value::Object(values)) = serde_json::from_str(&row.row) else {
            return Err(damaged());
        };
        match row.op.as_str() {
            "put" => Ok(Self::Put(values)),
            "remove" => Ok(Self::Remove(values)),
            _ => Err(damaged()),
        }
    }
}
