//! What the faces need of a city, and no more. `city::City` is the real one; tests put a small
//! one behind the same trait, so that a face can be tried without a lake.
//!
//! A face never sees a raw table: rows come from [`Backend::query`] alone, which governs them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use catalog::{Principal, Session};
use datafusion::scalar::ScalarValue;
use futures::Stream;

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

/// A password's SCRAM-SHA-256 verifier: enough to check a login, not enough to perform one.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    pub iterations: u32,
    pub salt: Vec<u8>,
    pub stored_key: [u8; 32],
    pub server_key: [u8; 32],
}

impl std::fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramVerifier")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// The form that PostgreSQL keeps: `SCRAM-SHA-256$4096:salt$stored key:server key`, in base64.
impl FromStr for ScramVerifier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || -> Option<Self> {
            let mut fields = text.strip_prefix("SCRAM-SHA-256$")?.splitn(2, '$');
            let (iterations, salt) = fields.next()?.split_once(':')?;
            let (stored, server) = fields.next()?.split_once(':')?;
            let key = |text: &str| BASE64.decode(text).ok()?.try_into().ok();
            Some(Self {
                iterations: iterations.parse().ok()?,
                salt: BASE64.decode(salt).ok()?,
                stored_key: key(stored)?,
                server_key: key(server)?,
            })
        };
        parts().ok_or_else(|| "not a SCRAM-SHA-256 verifier".to_owned())
    }
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

    /// The verifier of a user who may log in with a password.
    async fn scram_verifier(&self, user: &str) -> Result<Option<ScramVerifier>, Fault>;

    /// Whom a bearer token stands for; `None` where it is unknown, expired or revoked.
    async fn authenticate_token(&self, token: &str) -> Result<Option<Arc<Principal>>, Fault>;

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
    fn visible(&self, session: &Session) -> Vec<Visible>;
}
