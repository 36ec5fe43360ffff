//! Proving to be somebody: what is kept of a password, and how one that is shown is checked.
//!
//! Two things are kept: the argon2id hash, for faces that are given the password, and the SCRAM
//! verifier, for the PostgreSQL wire. A password set before there were hashes is checked against
//! its verifier once, and hashed then.

use std::sync::Arc;
use std::time::Duration;

use catalog::audit::Event;
use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, Set};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::password::PasswordHash;
use crate::records::user;
use crate::scram::Verifier;
use crate::{Registry, RegistryError};

const PASSWORD_CHARS_MIN: usize = 10;
const PASSWORD_BYTES_MAX: usize = 1_024;
/// Passwords checked or hashed at once: each takes 19 MiB and a core.
const HASHINGS_MAX: usize = 4;
/// Whoever cannot have their password checked by then is told to try again.
const HASHING_WAIT_SECONDS_MAX: u64 = 10;

/// What is kept of a password; nothing where there is none.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub verifier: Option<String>,
    pub hash: Option<String>,
}

/// Room for so many at once to check a password.
#[derive(Debug, Clone)]
pub(crate) struct Hashings(Arc<Semaphore>);

impl Default for Hashings {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(HASHINGS_MAX)))
    }
}

impl Hashings {
    async fn place(&self) -> Result<OwnedSemaphorePermit, RegistryError> {
        let waited = Duration::from_secs(HASHING_WAIT_SECONDS_MAX);
        let place = tokio::time::timeout(waited, self.0.clone().acquire_owned()).await;
        place.map_err(|_| RegistryError::Busy)?.map_err(|_| RegistryError::Busy)
    }
}

impl Registry {
    /// For a SCRAM login: what is kept of the user's password. `None` where there is no such user,
    /// it is disabled or has no password; a face makes all three look like a wrong password, with
    /// [`crate::scram::ITERATIONS`] among what it shows.
    pub async fn verifier(&self, name: &str) -> Result<Option<Verifier>, RegistryError> {
        let row = user::Entity::find_by_id(name).one(self.records.read()).await?;
        read_verifier(row.as_ref().filter(|row| row.active))
    }

    /// Proves by password and, where the user has a second factor, by a code of it. A right
    /// password without its code is [`RegistryError::SecondFactor`].
    pub async fn prove(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        self.check_password(name, password).await?;
        self.check_code(name, code, now).await
    }

    /// For faces that are given the password itself.
    pub async fn check_password(&self, name: &str, password: &str) -> Result<(), RegistryError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(RegistryError::NotAuthentic);
        }
        let row = user::Entity::find_by_id(name).one(self.records.read()).await?;
        let row = row.filter(|row| row.active);
        let verifier = read_verifier(row.as_ref())?;
        let hash = row.and_then(|row| row.password_hash);
        let hash = hash.map(|text| text.parse::<PasswordHash>()).transpose();
        let hash = hash.map_err(|problem| damaged(name, problem))?;
        let given = password.to_owned();
        // Who is not there, and who has no hash yet, takes as long as who has one: the time must
        // not tell them apart.
        let (right, fresh) = self
            .hashing(move || {
                let by_verifier = match &verifier {
                    Some(verifier) => verifier.is_of(&given),
                    None => Verifier::of_password(&given).map(|_| false)?,
                };
                match hash {
                    Some(hash) => Ok((hash.is_of(&given)?, None)),
                    None => {
                        let fresh = PasswordHash::of_password(&given)?;
                        Ok((by_verifier, by_verifier.then(|| fresh.to_string())))
                    }
                }
            })
            .await?;
        if let Some(fresh) = fresh {
            self.keep_hash(name, fresh).await?;
        }
        if right { Ok(()) } else { Err(RegistryError::NotAuthentic) }
    }

    /// Changes one's own password; ends all one's sessions but the one it is asked in.
    pub async fn change_password(
        &self,
        name: &str,
        old: &str,
        new: &str,
        session: Option<Uuid>,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        self.check_password(name, old).await?;
        let keys = self.keys_of(Some(new.to_owned())).await?;
        let txn = self.records.write().await?;
        let row = user::Entity::find_by_id(name).one(&*txn).await?;
        let row = row.ok_or_else(|| RegistryError::UnknownUser(name.to_owned()))?;
        let mut row = row.into_active_model();
        row.verifier = Set(keys.verifier);
        row.password_hash = Set(keys.hash);
        row.update(&*txn).await?;
        self.end_sessions(&txn, name, session, now).await?;
        self.audit.append(&txn, Event::new(name, "", "user.password", name)).await?;
        self.commit_people(txn).await?;
        Ok(())
    }

    /// What is to be kept of a password that is being set.
    pub(crate) async fn keys_of(&self, password: Option<String>) -> Result<Keys, RegistryError> {
        let Some(password) = password else { return Ok(Keys::default()) };
        let too_short = password.chars().count() < PASSWORD_CHARS_MIN;
        if too_short || password.len() > PASSWORD_BYTES_MAX {
            let problem = format!("expected {PASSWORD_CHARS_MIN} characters or more");
            return Err(RegistryError::Input { field: "password", problem });
        }
        self.hashing(move || {
            Ok(Keys {
                verifier: Some(Verifier::of_password(&password)?.to_string()),
                hash: Some(PasswordHash::of_password(&password)?.to_string()),
            })
        })
        .await
    }

    async fn keep_hash(&self, name: &str, hash: String) -> Result<(), RegistryError> {
        let txn = self.records.write().await?;
        let row = user::Entity::find_by_id(name).one(&*txn).await?;
        // Somebody may have set another password meanwhile.
        if let Some(row) = row.filter(|row| row.password_hash.is_none()) {
            let mut row = row.into_active_model();
            row.password_hash = Set(Some(hash));
            row.update(&*txn).await?;
        }
        Ok(txn.commit().await?)
    }

    /// Does slow work off the async threads, so many at once.
    async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let place = self.hashings.place().await?;
        // The place goes with the work: a client that hangs up does not make room for the next.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.unwrap_or_else(|join| {
            // Nobody cancels these tasks, so a failed join is a panic of the work: pass it on.
            std::panic::resume_unwind(join.into_panic())
        })
    }
}

fn read_verifier(row: Option<&user::Model>) -> Result<Option<Verifier>, RegistryError> {
    let Some(row) = row else { return Ok(None) };
    let verifier = row.verifier.as_deref().map(str::parse::<Verifier>).transpose();
    verifier.map_err(|problem| damaged(&row.name, problem))
}

fn damaged(name: &str, problem: &str) -> RegistryError {
    RegistryError::Damaged { id: name.to_owned(), problem: problem.to_owned() }
}
