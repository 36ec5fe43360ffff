//! What the faces need of a city, and no more. `city::City` is the real one; tests put a small
//! one behind the same trait, so that a face can be tried without a lake.
//!
//! A face never sees a raw table: rows come from [`Backend::query`] alone, which governs them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use catalog::{Principal, Session};
use datafusion::scalar::ScalarValue;
use futures::Stream;
use registry::scram::Verifier;

use crate::fault::Fault;

/// Rows as they come, each batch in the answer's schema.
pub type Rows = Pin<Box<dyn Stream<Item = Result<RecordBatch, Fault>> + Send>>;

/// A query's answer under way. Dropping `rows` stops the query.
pub struct Answer {
    /// The query's id in the usage log.
    pub id: String,
    pub schema: SchemaRef,
    pub rows: Rows,
}

/// What a statement would answer and what it wants to know, without running it.
#[derive(Debug, Clone)]
pub struct Description {
    pub schema: SchemaRef,
    /// `$1`, `$2`, … in order; `None` where the statement does not tell the type.
    pub parameters: Vec<Option<DataType>>,
}

/// A dataset as one principal may know it: the shape behind `\d` and metadata queries.
#[derive(Debug, Clone)]
pub struct Visible {
    /// `domain.name`.
    pub id: String,
    pub title: String,
    pub description: String,
    pub owner: String,
    pub schema: SchemaRef,
    /// Title, unit and description of each field, by name.
    pub comments: BTreeMap<String, String>,
    pub key: Vec<String>,
}

/// The city as the faces see it.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The database name that clients of the PostgreSQL wire connect to.
    fn database(&self) -> &str;

    /// IANA zone in which times are shown unless a session sets another.
    fn zone(&self) -> &str;

    /// Changes whenever what any principal may see may have changed.
    fn policy_epoch(&self) -> u64;

    /// Makes the salts of users who do not exist: secret, and the same for ever, so that asking
    /// before and after a restart does not tell who exists.
    fn decoy_secret(&self) -> &[u8];

    /// What a password login is checked against; `None` for who cannot log in with one.
    async fn scram_verifier(&self, user: &str) -> Result<Option<Verifier>, Fault>;

    /// Whom a bearer token stands for; `None` where it is unknown, expired or revoked.
    async fn authenticate_token(&self, token: &str) -> Result<Option<Arc<Principal>>, Fault>;

    /// Whether a password alone is not enough for this user: a second factor is enrolled, or a role
    /// asks for one. Protocols that carry no more refuse. Of the logins of a demonstration, which
    /// everybody knows, no role asks for one.
    async fn needs_second_factor(&self, _user: &str, _demonstration: bool) -> Result<bool, Fault> {
        Ok(false)
    }

    /// Notes a login that was refused.
    async fn note_refused_login(&self, _user: &str, _address: IpAddr) {}

    /// Notes a login by password.
    async fn note_login(&self, _user: &str, _address: IpAddr) {}

    /// A user with scopes resolved as of now; `None` where there is none or it is disabled.
    async fn principal(&self, user: &str) -> Result<Option<Arc<Principal>>, Fault>;

    async fn query(
        &self,
        session: &Session,
        sql: &str,
        parameters: Vec<ScalarValue>,
    ) -> Result<Answer, Fault>;

    async fn describe(&self, session: &Session, sql: &str) -> Result<Description, Fault>;

    /// The datasets that the principal may know of, in order of id.
    async fn visible(&self, session: &Session) -> Result<Vec<Visible>, Fault>;
}
