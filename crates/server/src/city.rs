//! The real city behind the faces, and its errors as faults.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use catalog::audit::Event;
use catalog::{Principal, Session};
use chrono::Utc;
use city::{City, CityError};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use pack::Field;
use registry::RegistryError;
use registry::scram::Verifier;
use serde_json::json;
use tracing::Instrument as _;

use crate::backend::{Answer, Backend, Description, Visible};
use crate::fault::{Code, Fault};
use crate::http::FIGURES;
use crate::limits::{STATEMENT_SECONDS_MAX, seconds};
use crate::paced::paced;

/// The database's name on the PostgreSQL wire.
pub const DATABASE: &str = "city";

#[async_trait]
impl Backend for City {
    fn database(&self) -> &str {
        DATABASE
    }

    fn zone(&self) -> &str {
        &self.pack().city.zone
    }

    fn policy_epoch(&self) -> u64 {
        // Both only grow, so their sum moves when either does.
        self.registry().version() + self.sharing().policy_epoch()
    }

    fn decoy_secret(&self) -> &[u8] {
        self.login_secret()
    }

    async fn scram_verifier(&self, user: &str) -> Result<Option<Verifier>, Fault> {
        Ok(self.registry().verifier(user).await?)
    }

    async fn authenticate_token(&self, token: &str) -> Result<Option<Arc<Principal>>, Fault> {
        known(self.registry().bearer(token, self.pack(), Utc::now()).await)
    }

    async fn needs_second_factor(&self, user: &str, demonstration: bool) -> Result<bool, Fault> {
        let user = self.registry().user(user).await?;
        let asked = !demonstration && self.registry().wants_second_factor(&user.roles, self.pack());
        Ok(user.second_factor || asked)
    }

    async fn note_refused_login(&self, user: &str, address: IpAddr) {
        let (address, reason) = (address.to_string(), "wrong password, PostgreSQL wire");
        if let Err(error) = self.registry().note_refused_sign_in(user, &address, reason).await {
            tracing::error!(%error, "a refused login is not in the audit");
        }
    }

    async fn note_login(&self, user: &str, address: IpAddr) {
        let detail = json!({ "method": "password, PostgreSQL wire", "address": address });
        let event = Event::new(user, "", "sign_in", user).detail(detail);
        if let Err(error) = self.audit().record(event).await {
            tracing::error!(%error, "a login is not in the audit");
        }
    }

    async fn principal(&self, user: &str) -> Result<Option<Arc<Principal>>, Fault> {
        known(self.registry().principal(user, self.pack()).await.map(Arc::new))
    }

    async fn query(
        &self,
        session: &Session,
        sql: &str,
        parameters: Vec<ScalarValue>,
    ) -> Result<Answer, Fault> {
        let face = session.surface.as_str();
        let span = tracing::info_span!("query", face);
        let answer = City::query(self, session, sql, &parameters).instrument(span).await;
        let answer = answer.map_err(Fault::from);
        FIGURES.query(face, &answer);
        let answer = answer?;
        let rows = Box::pin(answer.stream.map(|batch| batch.map_err(Fault::from)));
        let rows = paced(rows, seconds(STATEMENT_SECONDS_MAX));
        Ok(Answer { id: answer.id.to_string(), schema: answer.schema, rows })
    }

    async fn describe(&self, session: &Session, sql: &str) -> Result<Description, Fault> {
        let description = self.catalog().describe(session, sql).await?;
        Ok(Description { schema: description.schema, parameters: description.parameters })
    }

    async fn visible(&self, session: &Session) -> Result<Vec<Visible>, Fault> {
        let visible = self.catalog().visible(session).await?;
        let shown = visible.into_iter().filter_map(|visible| {
            let contract = self.pack().datasets.get(&visible.dataset)?;
            Some(Visible {
                id: visible.dataset,
                title: contract.title.zh.clone(),
                description: contract.description.zh.clone(),
                owner: contract.owner.clone(),
                comments: comments(&contract.fields),
                schema: visible.schema,
                key: contract.key.clone(),
            })
        });
        Ok(shown.collect())
    }
}

fn comments(fields: &[Field]) -> BTreeMap<String, String> {
    let comment = |field: &Field| match &field.unit {
        Some(unit) => format!("{} ({unit})", field.title.zh),
        None => field.title.zh.clone(),
    };
    fields.iter().map(|field| (field.name.clone(), comment(field))).collect()
}

/// A principal, or none where the registry does not know it; other failures are faults.
fn known(found: Result<Arc<Principal>, RegistryError>) -> Result<Option<Arc<Principal>>, Fault> {
    match found {
        Ok(principal) => Ok(Some(principal)),
        Err(
            RegistryError::NotAuthentic
            | RegistryError::UnknownUser(_)
            | RegistryError::Disabled(_)
            | RegistryError::UnknownOrganisation(_),
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl From<CityError> for Fault {
    fn from(error: CityError) -> Self {
        match error {
            CityError::Sql(error) => error.into(),
            CityError::Registry(error) => error.into(),
            CityError::UnknownDataset(..) => Self::new(Code::NotFound, error.to_string()),
            CityError::NotFound(reason) => Self::new(Code::NotFound, reason),
            CityError::Refused(reason) => Self::new(Code::Refused, reason),
            CityError::Conflict(reason) => Self::new(Code::Conflict, reason),
            CityError::TooLarge(reason) => Self::new(Code::TooLarge, reason),
            CityError::Unsupported(reason) => Self::new(Code::Unsupported, reason),
            CityError::Busy(reason) => Self::new(Code::Busy, reason),
            CityError::Invalid(reason) => Self::new(Code::Invalid, reason),
            CityError::Intake(error) => Self::new(Code::Invalid, error.to_string()),
            CityError::Lake(error) if error.is_back_pressure() => {
                Self::new(Code::Busy, "the lake is full for the moment: try again")
            }
            other => Self::internal(other),
        }
    }
}
