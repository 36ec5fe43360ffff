//! Governed SQL: the one way to read, for people who are not trusted with everything.
//!
//! ```text
//!  sql ─► one statement, reading only        statement
//!      ─► names: what this principal sees    access, policy, governed, information
//!      ─► plan ─► allow-lists ─► cell size   names, check, cell, quiet
//!      ─► optimise ─► execute                admission, barrier, masks, bounded
//!      ─► rows under limits ─► Answer        stream
//! ```
//!
//! No plan and no answer is kept between statements, so there is no cache that could serve one
//! principal's rows to another or yesterday's policy today.

mod access;
mod admission;
mod answer;
mod barrier;
mod bounded;
mod cell;
mod check;
mod error;
mod functions;
mod geo;
mod governed;
mod grants;
mod information;
mod limits;
mod masks;
mod names;
mod plan;
mod policy;
mod quiet;
mod series;
mod sight;
mod statement;
mod stop;
mod stream;

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::prelude::SessionConfig;
use pack::Pack;
use pack::access::Asker;

pub use access::Access;
pub use answer::{Answer, Description, Prepared, RowStream};
pub use error::{LimitKind, SqlError};
pub use governed::GovernedTable;
pub use grants::{Events, Grant, Grants, GrantsError, LoggedEvents, NoGrants};
pub use information::Visible;
pub use limits::Limits;
pub use sight::Sight;

use crate::scenario::{NoOverlays, Overlays};
use crate::{Principal, Session, Source};
use admission::{Admission, ProcessMemory, QueryPool};
use functions::Functions;

/// The one catalogue of a city, as SQL names it.
pub const CATALOG_NAME: &str = "shujin";

/// A key shorter than this is no secret.
const SECRET_BYTES_MIN: usize = 32;

/// What a catalogue is opened with, beside its pack and its rows.
#[derive(Clone)]
pub struct CatalogOptions {
    /// Key of token masks: random bytes, kept as long as tokens must stay equal.
    pub secret: Vec<u8>,
    pub limits: Limits,
    pub grants: Arc<dyn Grants>,
    pub overlays: Arc<dyn Overlays>,
    pub events: Arc<dyn Events>,
}

impl CatalogOptions {
    /// Usual limits, nothing granted, no scenarios.
    pub fn new(secret: Vec<u8>) -> Self {
        Self {
            secret,
            limits: Limits::default(),
            grants: Arc::new(NoGrants),
            overlays: Arc::new(NoOverlays),
            events: Arc::new(LoggedEvents),
        }
    }
}

impl std::fmt::Debug for CatalogOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatalogOptions").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Datasets under contract, answered under policy.
#[derive(Debug)]
pub struct Catalog {
    pack: Arc<Pack>,
    source: Arc<dyn Source>,
    options: CatalogOptions,
    functions: Functions,
    /// What every query's state is made from: optimisers and settings. No tables.
    base: SessionState,
    admission: Admission,
    memory: Arc<ProcessMemory>,
}

impl Catalog {
    pub fn open(
        pack: Arc<Pack>,
        source: Arc<dyn Source>,
        options: CatalogOptions,
    ) -> Result<Arc<Self>, OpenError> {
        if options.secret.len() < SECRET_BYTES_MIN {
            return Err(OpenError::ShortSecret(options.secret.len()));
        }
        let functions = Functions::new();
        let base = base_state(&options.limits)?;
        let admission = Admission::new(&options.limits);
        let memory = ProcessMemory::new(options.limits.process_memory_bytes_max);
        Ok(Arc::new(Self { pack, source, options, functions, base, admission, memory }))
    }

    pub fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }

    /// The access rules in the hands of a principal.
    pub fn asker<'a>(&'a self, principal: &'a Principal) -> Asker<'a> {
        self.pack.access.asker(principal.subject())
    }

    /// Answers one statement; `params` are the values of `$1`, `$2`, ….
    pub async fn query(
        &self,
        session: &Session,
        sql: &str,
        params: &[ScalarValue],
    ) -> Result<Answer, SqlError> {
        self.answer(session, sql, params).await
    }

    /// Schema and parameter types of a statement, without running it.
    pub async fn describe(&self, session: &Session, sql: &str) -> Result<Description, SqlError> {
        self.description(session, sql).await
    }

    /// Checks a statement once for many runs.
    pub async fn prepare(&self, session: &Session, sql: &str) -> Result<Prepared, SqlError> {
        // Read before the description, so that a grant made meanwhile counts as a later one.
        let epoch = self.options.grants.epoch();
        let description = self.describe(session, sql).await?;
        let user = session.principal.user.clone();
        Ok(Prepared { sql: sql.into(), user, epoch, description })
    }

    /// Runs a prepared statement, under today's policies. Where those moved since it was
    /// prepared and its columns are no longer the ones described, it is refused and wants to be
    /// prepared again.
    pub async fn run(
        &self,
        session: &Session,
        prepared: &Prepared,
        params: &[ScalarValue],
    ) -> Result<Answer, SqlError> {
        if prepared.user != session.principal.user {
            return Err(SqlError::refused("this statement was prepared by somebody else"));
        }
        let answer = self.query(session, &prepared.sql, params).await?;
        let moved = prepared.epoch != self.options.grants.epoch();
        if moved && answer.schema.fields() != prepared.description.schema.fields() {
            return Err(SqlError::refused(
                "access rules changed since this statement was prepared; prepare it again",
            ));
        }
        Ok(answer)
    }

    /// A state of one query's own: its memory is its own, everything else is shared.
    fn state(&self) -> SessionState {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryPool::new(
            self.options.limits.query_memory_bytes_max,
            Arc::clone(&self.memory),
        ));
        let runtime = RuntimeEnv { memory_pool: pool, ..self.base.runtime_env().as_ref().clone() };
        let builder = SessionStateBuilder::new_from_existing(self.base.clone());
        let mut state = builder.with_runtime_env(Arc::new(runtime)).build();
        // One moment for all of the statement's `now()`.
        state.mark_start_execution();
        state
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the secret of token masks has {0} bytes; give at least 32 random ones")]
    ShortSecret(usize),
    #[error("the query engine cannot be set up: {0}")]
    Engine(#[from] datafusion::error::DataFusionError),
}

/// A state to optimise and run plans in. Names are planned elsewhere, so it knows no table and of
/// the functions only the one that the optimiser itself puts in (for `DISTINCT ON`).
fn base_state(limits: &Limits) -> Result<SessionState, OpenError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.partitions.max(1))
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    // A user's filter may prune files below the barrier; it must not choose rows there.
    options.execution.parquet.pushdown_filters = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    let runtime = RuntimeEnvBuilder::new()
        .with_max_temp_directory_size(limits.spill_bytes_max)
        .build_arc()?;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_aggregate_functions(vec![first_value_udaf()])
        .with_query_planner(Arc::new(barrier::Planner))
        .build();
    Ok(state)
}
