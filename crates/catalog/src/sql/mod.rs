//! Governed SQL: the one way to read, for people who are not trusted with everything.
//!
//! ```text
//!  sql ─► one statement, SELECT only ─► names resolve to what this principal may see
//!      ─► plan ─► allow-list of nodes and functions ─► minimum cell size
//!      ─► optimise ─► execute under limits ─► Answer
//! ```

mod answer;
mod error;
mod grants;
mod limits;

use std::sync::Arc;

use datafusion::common::ScalarValue;
use pack::Pack;

pub use answer::{Answer, Description, Prepared, RowStream};
pub use error::{LimitKind, SqlError};
pub use grants::{Events, Grant, Grants, GrantsError, LoggedEvents, NoGrants};
pub use limits::Limits;

use crate::{Session, Source};

/// What a catalogue is opened with, beside its pack and its rows.
#[derive(Debug, Clone)]
pub struct CatalogOptions {
    /// Key of token masks: at least 32 random bytes, kept as long as tokens must stay equal.
    pub secret: Vec<u8>,
    pub limits: Limits,
    pub grants: Arc<dyn Grants>,
    pub events: Arc<dyn Events>,
}

/// Datasets under contract, answered under policy.
#[derive(Debug)]
pub struct Catalog {
    pack: Arc<Pack>,
    source: Arc<dyn Source>,
    options: CatalogOptions,
}

impl Catalog {
    pub fn open(pack: Arc<Pack>, source: Arc<dyn Source>, options: CatalogOptions) -> Arc<Self> {
        Arc::new(Self { pack, source, options })
    }

    pub fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }

    /// Answers one statement; `params` are the values of `$1`, `$2`, ….
    pub async fn query(
        &self,
        session: &Session,
        sql: &str,
        params: &[ScalarValue],
    ) -> Result<Answer, SqlError> {
        let _ = (session, sql, params, &self.source, &self.options);
        Err(SqlError::refused("the planner is not wired yet"))
    }

    /// Schema and parameter types of a statement, without running it.
    pub async fn describe(&self, session: &Session, sql: &str) -> Result<Description, SqlError> {
        let _ = (session, sql);
        Err(SqlError::refused("the planner is not wired yet"))
    }

    /// Checks a statement once for many runs.
    pub async fn prepare(&self, session: &Session, sql: &str) -> Result<Prepared, SqlError> {
        let description = self.describe(session, sql).await?;
        Ok(Prepared {
            sql: sql.into(),
            user: session.principal.user.clone(),
            epoch: self.options.grants.epoch(),
            description,
        })
    }

    /// Runs a prepared statement. Where policies moved since it was prepared and its columns are
    /// no longer those described, it is refused and wants to be prepared again.
    pub async fn run(
        &self,
        session: &Session,
        prepared: &Prepared,
        params: &[ScalarValue],
    ) -> Result<Answer, SqlError> {
        let _ = (&prepared.user, prepared.epoch);
        self.query(session, &prepared.sql, params).await
    }
}
