//! One connection's session: whom it belongs to, its settings, its prepared statements. Answers
//! queries by handing them to the governed catalogue or to the session's system tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catalog::{Session, Surface};
use datafusion::scalar::ScalarValue;

use super::meta::Meta;
use super::route::Route;
use super::settings::Settings;
use crate::backend::{Answer, Backend, Description};
use crate::fault::{Code, Fault};
use crate::limits::PREPARED_MAX;

const SECONDS_A_MINUTE: i64 = 60;

/// A session from login to hang-up.
pub struct PgSession {
    backend: Arc<dyn Backend>,
    user: String,
    demonstration: bool,
    settings: Arc<Mutex<Settings>>,
    /// SQL-level `PREPARE`s by name.
    prepared: Mutex<BTreeMap<String, String>>,
    meta: tokio::sync::Mutex<Option<(Made, Arc<Meta>)>>,
}

/// Under what a picture of the system tables was made: it is made anew when policies moved, when
/// the principal changed, and after a while in any case, for grants end by the clock.
#[derive(PartialEq)]
struct Made {
    epoch: u64,
    organisation: String,
    roles: BTreeSet<String>,
    permissions: BTreeSet<String>,
    minute: i64,
}

impl PgSession {
    pub fn new(
        backend: Arc<dyn Backend>,
        user: &str,
        demonstration: bool,
        settings: Settings,
    ) -> Self {
        Self {
            backend,
            user: user.to_owned(),
            demonstration,
            settings: Arc::new(Mutex::new(settings)),
            prepared: Mutex::new(BTreeMap::new()),
            meta: tokio::sync::Mutex::default(),
        }
    }

    pub fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn deadline(&self) -> Duration {
        self.settings().deadline()
    }

    pub fn policy_epoch(&self) -> u64 {
        self.backend.policy_epoch()
    }

    /// The session as the catalogue knows it, with the principal as it stands now: a user who
    /// lost a role or was disabled since the login is refused here, at its next statement; so is
    /// one whose password alone is not enough any more.
    async fn governed(&self) -> Result<Session, Fault> {
        let principal =
            self.backend.principal(&self.user).await?.ok_or_else(|| {
                Fault::new(Code::Unauthenticated, "this user may no longer log in")
            })?;
        if self.backend.needs_second_factor(&self.user, self.demonstration).await? {
            let reason = "this user signs in with a second factor now, which this protocol does \
                          not carry: ask over HTTP, or as a user for programs";
            return Err(Fault::new(Code::Unauthenticated, reason));
        }
        let settings = self.settings();
        Ok(Session {
            principal,
            as_of: settings.as_of(),
            scenario: settings.scenario(),
            surface: Surface::PgWire,
        })
    }

    async fn meta(&self) -> Result<Arc<Meta>, Fault> {
        let session = self.governed().await?;
        let made = Made {
            epoch: self.backend.policy_epoch(),
            organisation: session.principal.organisation.clone(),
            roles: session.principal.roles.clone(),
            permissions: session.principal.permissions.clone(),
            minute: chrono::Utc::now().timestamp() / SECONDS_A_MINUTE,
        };
        let mut kept = self.meta.lock().await;
        if let Some((before, meta)) = kept.as_ref()
            && *before == made
        {
            return Ok(meta.clone());
        }
        let visible = self.backend.visible(&session).await?;
        let database = self.backend.database();
        let meta = Arc::new(Meta::build(database, &self.user, &visible, &self.settings)?);
        *kept = Some((made, meta.clone()));
        Ok(meta)
    }

    pub async fn describe(&self, route: Route, sql: &str) -> Result<Description, Fault> {
        match route {
            Route::Meta => self.meta().await?.describe(sql).await,
            Route::Data => {
                let session = self.governed().await?;
                let described = self.backend.describe(&session, sql).await;
                match described {
                    Ok(description) => Ok(description),
                    Err(fault) => Err(self.with_advice(&session, fault).await),
                }
            }
        }
    }

    pub async fn query(
        &self,
        route: Route,
        sql: &str,
        parameters: Vec<ScalarValue>,
    ) -> Result<Answer, Fault> {
        match route {
            Route::Meta => self.meta().await?.query(sql, parameters).await,
            Route::Data => {
                let session = self.governed().await?;
                let answer = self.backend.query(&session, sql, parameters).await;
                match answer {
                    Ok(answer) => Ok(answer),
                    Err(fault) => Err(self.with_advice(&session, fault).await),
                }
            }
        }
    }

    /// Names the dataset that was meant where a bare name was written: datasets live in schemas,
    /// and there is no search path over them.
    async fn with_advice(&self, session: &Session, fault: Fault) -> Fault {
        if fault.code != Code::NotFound || fault.hint.is_some() {
            return fault;
        }
        let Ok(visible) = self.backend.visible(session).await else { return fault };
        let meant = visible.into_iter().find(|dataset| {
            dataset.id.split_once('.').is_some_and(|(_, name)| {
                fault
                    .message
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|word| word == name)
                    && !fault.message.contains(&dataset.id)
            })
        });
        match meant {
            Some(dataset) => fault.hint(format!("did you mean {}?", dataset.id)),
            None => fault,
        }
    }

    pub fn prepare(&self, name: String, sql: String) -> Result<(), Fault> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if prepared.contains_key(&name) {
            let reason = format!("prepared statement \"{name}\" already exists");
            return Err(Fault::new(Code::Conflict, reason));
        }
        if prepared.len() >= PREPARED_MAX {
            let reason = format!("a session may hold {PREPARED_MAX} prepared statements");
            return Err(Fault::new(Code::TooLarge, reason));
        }
        prepared.insert(name, sql);
        Ok(())
    }

    pub fn prepared(&self, name: &str) -> Option<String> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Forgets one `PREPARE`, or all. False where the name is not known.
    pub fn deallocate(&self, name: Option<&str>) -> bool {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        match name {
            Some(name) => prepared.remove(name).is_some(),
            None => {
                prepared.clear();
                true
            }
        }
    }
}
