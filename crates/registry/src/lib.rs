//! The registry: organisations and areas with their history, users, roles, tokens and passwords.
//!
//! ```text
//!  pack ── synchronise ──► organisations, areas (bitemporal) ──► place.area, party.organisation
//!                                     │ tree
//!  user, token, session ──────────────┴──► Principal { ancestors, subtree, area prefixes, permissions }
//!    └ password, second factor: how one proves to be a user
//!
//!  edits, files ──► registers (versions) ──► place.facility and others that the pack defines
//! ```
//!
//! A [`catalog::Principal`] leaves here with its scopes resolved, so that the catalogue asks
//! nobody. The registry knows no dataset but its own two, no engine and no face; who may manage
//! users is for its callers to ask (`principal.may("manage_users")`), what such a one may not do
//! even so is said here (`duties`). Each change is in the audit, in the same transaction.

mod duties;
mod geometry;
mod kept;
pub mod password;
pub mod people;
mod proof;
pub mod records;
pub mod register;
pub mod registers;
pub mod scram;
mod sealed;
pub mod second_factor;
pub mod secret;
pub mod session;
pub mod sync;
pub mod tokens;
pub mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catalog::Principal;
use catalog::audit::{Audit, AuditError};
use chrono::{DateTime, Utc};
use parking_lot::{Mutex, RwLock};
use store::records::{Records, RecordsError, WriteTxn};
use uuid::Uuid;

use kept::Kept;
use proof::Hashings;
use sealed::Vault;

pub use people::{Change, NewUser, UserInfo};
pub use records::migrations;
pub use registers::Registers;
pub use second_factor::Enrolment;
pub use session::{Origin, Seat, SessionInfo};
pub use sync::{Succession, Summary, ThingKind};
pub use tokens::{NewToken, TokenInfo};
pub use tree::Tree;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// One message for all of them: it must not tell a stranger which users there are.
    #[error("the user, the password or the token is wrong, or no longer valid")]
    NotAuthentic,
    #[error("there is no user `{0}`")]
    UnknownUser(String),
    #[error("user `{0}` is disabled; enable it first")]
    Disabled(String),
    #[error("there is a user `{0}` already; choose another name")]
    UserExists(String),
    #[error("there is no token {0}")]
    UnknownToken(Uuid),
    #[error("there is no session {0}")]
    UnknownSession(Uuid),
    /// The password was right; a code is missing, wrong or was used before.
    #[error("a code of your second factor is wanted, and each is taken once")]
    SecondFactor,
    #[error("you have a second factor already; remove it before you enrol another")]
    HasSecondFactor,
    #[error("you have no second factor; enrol one first")]
    NoSecondFactor,
    /// Separation of duties forbids it.
    #[error("{0}")]
    Duty(String),
    #[error("too many passwords are being checked at once; try again")]
    Busy,
    #[error("there is no organisation `{0}` now; see party.organisation for those there are")]
    UnknownOrganisation(String),
    #[error("there is no area `{0}` now; see place.area for those there are")]
    UnknownArea(String),
    #[error("{field}: {problem}")]
    Input { field: &'static str, problem: String },
    #[error("{place}: the geometry of area {code} cannot be read: {problem}")]
    Geometry { place: String, code: String, problem: String },
    #[error("`{dataset}` is not a register kept here, expected {expected}")]
    UnknownRegister { dataset: String, expected: String },
    #[error("the contract of `{dataset}` asks for {asked}, which the register cannot give: {hint}")]
    Contract { dataset: String, asked: String, hint: String },
    #[error("there is no row `{0}`")]
    UnknownRow(String),
    #[error("there is a row `{key}` already; change it instead")]
    RowExists { key: String },
    #[error(
        "row `{key}` is at version {newest}, not {version}: somebody changed it meanwhile; look \
         at it again"
    )]
    Stale { key: String, version: i64, newest: i64 },
    #[error("some of the rows were changed after they were looked at; look at them again")]
    Newer(Vec<registers::Newer>),
    #[error("registry row {id} cannot be read: {problem}; restore a backup")]
    Damaged { id: String, problem: String },
    #[error("a secret of {0} cannot be sealed or read; is secret.key the folder's own?")]
    Sealed(String),
    #[error("a password or a code cannot be checked: {0}")]
    Hashing(String),
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error("the records failed: {0}")]
    Database(#[from] sea_orm::DbErr),
}

/// The registry of one city.
#[derive(Debug)]
pub struct Registry {
    records: Records,
    audit: Audit,
    /// Organisations and areas as they stand now.
    tree: RwLock<Arc<Tree>>,
    /// Grows when organisations or areas change.
    version: AtomicU64,
    /// Register tables as they stand now, by dataset, made for the version beside them.
    tables: Mutex<BTreeMap<String, (u64, register::Table)>>,
    /// Seals the secrets of second factors.
    vault: Option<Vault>,
    hashings: Hashings,
    /// Grows when anything about users, their tokens or sessions changes.
    people_version: Arc<AtomicU64>,
    bearers: Kept<Principal>,
    seats: Kept<Seat>,
}

impl Registry {
    /// Opens the registry in migrated records. [`Registry::synchronise`] comes next.
    pub async fn open(records: &Records, audit: &Audit) -> Result<Self, RegistryError> {
        let tree = Tree::load(records.read(), Utc::now()).await?;
        Ok(Self {
            records: records.clone(),
            audit: audit.clone(),
            tree: RwLock::new(Arc::new(tree)),
            version: AtomicU64::new(1),
            tables: Mutex::default(),
            vault: None,
            hashings: Hashings::default(),
            people_version: Arc::new(AtomicU64::new(1)),
            bearers: Kept::default(),
            seats: Kept::default(),
        })
    }

    /// With the folder's secret, under which second factors are kept. Without it there are none.
    #[must_use]
    pub fn with_secret(mut self, secret: &[u8]) -> Self {
        self.vault = Some(Vault::new(secret));
        self
    }

    fn vault(&self) -> Result<&Vault, RegistryError> {
        self.vault.as_ref().ok_or_else(|| RegistryError::Sealed("anybody".to_owned()))
    }

    /// Commits a change of users, tokens or sessions; whoever was remembered is looked up again.
    /// A task of its own: a caller that goes away in between must not leave somebody signed in
    /// whom the records have put out.
    async fn commit_people(&self, txn: WriteTxn) -> Result<(), RegistryError> {
        let version = Arc::clone(&self.people_version);
        let done = tokio::spawn(async move {
            let committed = txn.commit().await;
            // Also where it failed: a commit whose answer is lost may stand.
            version.fetch_add(1, Ordering::AcqRel);
            committed
        });
        // Nobody cancels this task, so a failed join is a panic of the work: pass it on.
        let committed = done.await;
        Ok(committed.unwrap_or_else(|join| std::panic::resume_unwind(join.into_panic()))?)
    }

    fn versions(&self) -> kept::Versions {
        (self.people_version.load(Ordering::Acquire), self.version())
    }

    /// Organisations and areas as they stand now.
    pub fn tree(&self) -> Arc<Tree> {
        Arc::clone(&self.tree.read())
    }

    /// Changes whenever an organisation or area has changed: for caches of register tables.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    async fn reload(&self, now: DateTime<Utc>) -> Result<(), RegistryError> {
        let tree = Tree::load(self.records.read(), now).await?;
        *self.tree.write() = Arc::new(tree);
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

#[cfg(test)]
mod sign_in_tests;
#[cfg(test)]
mod tests;
