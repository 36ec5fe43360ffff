//! From a statement to a running answer.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, ParamValues, ScalarValue, TableReference};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, TableSource};
use datafusion::physical_plan::{ExecutionPlan, collect, execute_stream};
use datafusion::sql::parser::Statement;
use datafusion::sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use futures::FutureExt;
use pack::Contract;
use pack::access::{Action, Asker, Thing, denial};
use tokio::time::Instant;
use uuid::Uuid;

use super::governed::GovernedTable;
use super::masks::TokenKey;
use super::names::{self, Names};
use super::statement::{self, Checked};
use super::stop::{self, StopOnDrop, Watch};
use super::stream::{self, Author};
use super::{
    Access, Answer, Catalog, Description, SqlError, Visible, access, bounded, cell, check,
    information, policy,
};
use crate::lineage::{self, Lineage};
use crate::scenario::{self, Overlay, ScenarioError};
use crate::{Principal, Session};

/// A statement planned for one session, with the state that it runs in.
struct Planned {
    plan: LogicalPlan,
    state: SessionState,
}

impl Catalog {
    pub(super) async fn answer(
        &self,
        session: &Session,
        sql: &str,
        params: &[ScalarValue],
    ) -> Result<Answer, SqlError> {
        let limits = &self.options.limits;
        let author = self.author(session, sql);
        let checked = self.admit(session, sql)?;
        let place = self.admission.enter(&session.principal.user, limits).await?;
        let deadline = Instant::now() + limits.time_max;
        let watch = Watch::new(deadline, limits);
        let stop = StopOnDrop(Arc::clone(&watch));
        let work = self.start(session, checked, params, &author, &watch);
        let started = tokio::time::timeout_at(deadline, AssertUnwindSafe(work).catch_unwind());
        let (lineage, physical, state) = match started.await {
            Err(_) => return Err(stream::too_late(limits)),
            Ok(Err(_)) => return Err(author.internal("panic", "the planner panicked")),
            Ok(Ok(started)) => started?,
        };
        let schema = physical.schema();
        let begun = AssertUnwindSafe(|| execute_stream(physical, state.task_ctx()));
        let rows = std::panic::catch_unwind(begun)
            .map_err(|_| author.internal("panic", "an operator panicked"))?
            .map_err(|error| author.told(&error))?;
        let stream = stream::limited(rows, author, deadline, limits.clone(), (stop, place));
        Ok(Answer { id: Uuid::now_v7(), schema, stream, lineage })
    }

    pub(super) async fn description(
        &self,
        session: &Session,
        sql: &str,
    ) -> Result<Description, SqlError> {
        let limits = &self.options.limits;
        let author = self.author(session, sql);
        let checked = self.admit(session, sql)?;
        // Planning is work, too: who describes takes a place like who asks.
        let _place = self.admission.enter(&session.principal.user, limits).await?;
        let work = AssertUnwindSafe(self.describe_checked(session, checked, &author));
        match tokio::time::timeout(limits.time_max, work.catch_unwind()).await {
            Err(_) => Err(stream::too_late(limits)),
            Ok(Err(_)) => Err(author.internal("panic", "the planner panicked")),
            Ok(Ok(described)) => described,
        }
    }

    async fn describe_checked(
        &self,
        session: &Session,
        checked: Checked,
        author: &Author,
    ) -> Result<Description, SqlError> {
        let Planned { plan, state } = self.plan(session, checked, &[], author).await?;
        let plan = cell::guard_shape(plan).map_err(|error| invalid(&error, author))?;
        let types = plan.get_parameter_types().map_err(|error| invalid(&error, author))?;
        let count = types.keys().filter_map(|id| id[1..].parse::<usize>().ok()).max().unwrap_or(0);
        let parameters = (1..=count.min(PARAMETERS_MAX))
            .map(|index| types.get(&format!("${index}")).cloned().flatten())
            .collect();
        // Coercion decides the types of the columns; without parameter types it may not get far.
        let coerced = state.optimize(&plan);
        let schema = coerced.as_ref().unwrap_or(&plan).schema().inner();
        Ok(Description { schema: Arc::clone(schema), parameters })
    }

    pub(super) fn author(&self, session: &Session, sql: &str) -> Author {
        let user = session.principal.user.clone();
        Author { user, sql: sql.into(), events: Arc::clone(&self.options.events) }
    }

    fn admit(&self, session: &Session, sql: &str) -> Result<Checked, SqlError> {
        self.may_ask(session)?;
        statement::check(sql, &session.principal, &self.options.limits)
    }

    /// Whether the rules let the session's principal ask anything at all.
    fn may_ask(&self, session: &Session) -> Result<(), SqlError> {
        match self.asker(&session.principal).may(Action::Query, Thing::Platform) {
            true => Ok(()),
            false => Err(SqlError::refused(denial(&session.principal.user, Action::Query))),
        }
    }

    async fn start(
        &self,
        session: &Session,
        checked: Checked,
        params: &[ScalarValue],
        author: &Author,
        watch: &Arc<Watch>,
    ) -> Result<(Lineage, Arc<dyn ExecutionPlan>, SessionState), SqlError> {
        let Planned { plan, state } = self.plan(session, checked, params, author).await?;
        let plan = bind(plan, params, author)?;
        let plan =
            cell::guard(plan, state.config_options()).map_err(|error| invalid(&error, author))?;
        let lineage = lineage::of(&plan);
        let optimised = state
            .optimize(&plan)
            .and_then(|plan| stop::watched(plan, watch))
            .map_err(|error| invalid(&error, author))?;
        let physical = state
            .query_planner()
            .create_physical_plan(&optimised, &state)
            .await
            .and_then(stop::cooperative)
            .map_err(|error| author.told(&error))?;
        Ok((lineage, physical, state))
    }

    async fn plan(
        &self,
        session: &Session,
        checked: Checked,
        params: &[ScalarValue],
        author: &Author,
    ) -> Result<Planned, SqlError> {
        let state = self.state();
        let tables = self.resolve(session, &checked.tables, author).await?;
        let names = Names { tables, functions: &self.functions, state: &state };
        let options = ParserOptions::from(&state.config_options().sql_parser);
        let planner = SqlToRel::new_with_options(&names, options);
        let plan = match checked.statement {
            Statement::Statement(statement) => {
                let mut context =
                    PlannerContext::new().with_prepare_param_data_types(types_of(params));
                planner.sql_statement_to_plan_with_context(*statement, &mut context)
            }
            other => planner.statement_to_plan(other),
        };
        let plan = plan.map_err(|error| invalid(&error, author))?;
        check::check(&plan, &self.functions, &self.options.limits)?;
        let plan = bounded::shared(plan).map_err(|error| invalid(&error, author))?;
        Ok(Planned { plan, state })
    }

    /// The tables that the statement names, as its principal sees them. One that is nothing to
    /// the principal fails as one that is nothing at all.
    async fn resolve(
        &self,
        session: &Session,
        references: &[TableReference],
        author: &Author,
    ) -> Result<HashMap<String, Arc<dyn TableSource>>, SqlError> {
        let mut tables = HashMap::new();
        for reference in references {
            // Table functions and tables without a schema: the planner knows or refuses them.
            let Some(id) = names::dataset_id(reference) else { continue };
            if tables.contains_key(&id) {
                continue;
            }
            let provider = match id.split_once('.') {
                Some((information::SCHEMA, name)) => {
                    let visible = self.visible(session).await?;
                    information::table(name, &visible).map_err(|error| author.told(&error))?
                }
                _ => self.governed(session, &id, author).await?.map(|table| table as _),
            };
            let Some(provider) = provider else { return Err(names::not_found(reference)) };
            tables.insert(id, provider_as_source(provider));
        }
        Ok(tables)
    }

    async fn governed(
        &self,
        session: &Session,
        id: &str,
        author: &Author,
    ) -> Result<Option<Arc<GovernedTable>>, SqlError> {
        let Some(contract) = self.pack.datasets.get(id) else { return Ok(None) };
        let Some(access) = self.access(&session.principal, contract).await? else {
            return Ok(None);
        };
        let raw = self.source.table(id, session.as_of).await.map_err(|e| author.told(&e))?;
        let raw = self.overlaid(session, contract, &access, raw, author).await?;
        self.govern(session, &access, id, raw, author).map(Some)
    }

    /// The rows under what the principal sees of the dataset.
    fn govern(
        &self,
        session: &Session,
        access: &Access,
        id: &str,
        raw: Arc<dyn TableProvider>,
        author: &Author,
    ) -> Result<Arc<GovernedTable>, SqlError> {
        let filter = access.row_filter.as_ref().map(|sql| {
            let schema = raw.schema();
            policy::row_filter(sql, &schema, &session.principal)
        });
        let key = TokenKey::derive(&self.options.secret, id);
        // A policy that cannot be planned closes the dataset; its author reads why in the log.
        let closed =
            |error: DataFusionError| author.internal("policy", &format!("{}: {error}", access.by));
        let filter = filter.transpose().map_err(closed)?;
        let table = GovernedTable::try_new(id, raw, &access.fields, filter, access.min_cell, key);
        Ok(Arc::new(table.map_err(closed)?))
    }

    /// Rows of a dataset that the caller holds, versions of its history for one, as the session's
    /// principal may see them: without those that are not the principal's to see, and masked.
    /// Where answers must be of a minimum size, none.
    pub async fn shown(
        &self,
        session: &Session,
        contract: &Contract,
        rows: RecordBatch,
    ) -> Result<Vec<RecordBatch>, SqlError> {
        self.may_ask(session)?;
        let access = self.access(&session.principal, contract).await?;
        let Some(access) = access.filter(|access| access.min_cell.is_none()) else {
            return Ok(Vec::new());
        };
        let author = self.author(session, "");
        let told = |error: DataFusionError| author.told(&error);
        let raw = MemTable::try_new(rows.schema(), vec![vec![rows]]).map_err(told)?;
        let table = self.govern(session, &access, &contract.id, Arc::new(raw), &author)?;
        let state = self.state();
        let plan = table.scan(&state, None, &[], None).await.map_err(told)?;
        collect(plan, state.task_ctx()).await.map_err(told)
    }

    /// The stored rows with the session's scenario over them. It lies under the policy.
    async fn overlaid(
        &self,
        session: &Session,
        contract: &Contract,
        access: &Access,
        stored: Arc<dyn TableProvider>,
        author: &Author,
    ) -> Result<Arc<dyn TableProvider>, SqlError> {
        let Some(name) = &session.scenario else { return Ok(stored) };
        let overlays = &self.options.overlays;
        let changes = match overlays.changes(&session.principal, name, &contract.id).await {
            Ok(changes) => changes,
            Err(error @ ScenarioError::Unknown(_)) => {
                return Err(SqlError::refused(error.to_string()));
            }
            Err(error) => return Err(author.internal("scenario", &error.to_string())),
        };
        if changes.is_empty() {
            return Ok(stored);
        }
        scenario::usable(contract, access)?;
        let overlay = Overlay::try_new(stored, contract, &changes);
        Ok(Arc::new(overlay.map_err(|error| author.told(&error))?))
    }

    /// What the principal sees of a dataset; `None`: not even that it exists.
    pub async fn access(
        &self,
        principal: &Principal,
        contract: &Contract,
    ) -> Result<Option<Access>, SqlError> {
        self.access_by(&self.asker(principal), principal, contract).await
    }

    /// The same, with the rules already in the principal's hands. What they close is closed
    /// before any policy or grant is looked at.
    pub(crate) async fn access_by(
        &self,
        asker: &Asker<'_>,
        principal: &Principal,
        contract: &Contract,
    ) -> Result<Option<Access>, SqlError> {
        if !asker.may(Action::Query, Thing::Dataset(contract)) {
            return Ok(None);
        }
        let grants = self.options.grants.as_ref();
        access::resolve(&self.pack, grants, principal, contract).await
    }

    /// Every dataset that the session's principal may know of, with its visible fields.
    pub async fn visible(&self, session: &Session) -> Result<Vec<Visible>, SqlError> {
        let (mut visible, principal) = (Vec::new(), &session.principal);
        let asker = self.asker(principal);
        for contract in self.pack.datasets.values() {
            let Some(access) = self.access_by(&asker, principal, contract).await? else { continue };
            let schema = access.schema(&contract.arrow_schema());
            visible.push(Visible { dataset: contract.id.clone(), schema });
        }
        Ok(visible)
    }
}

/// A statement has no more parameters than PostgreSQL's wire can count.
const PARAMETERS_MAX: usize = u16::MAX as usize;

/// The types of parameters whose values are at hand: what a function does with one depends on it.
/// A null may be of any type.
fn types_of(params: &[ScalarValue]) -> Vec<Option<FieldRef>> {
    let types = params.iter().map(ScalarValue::data_type);
    let field = |of: DataType| (!of.is_null()).then(|| Arc::new(Field::new("", of, true)));
    types.map(field).collect()
}

fn bind(
    plan: LogicalPlan,
    params: &[ScalarValue],
    author: &Author,
) -> Result<LogicalPlan, SqlError> {
    let names = plan.get_parameter_names().map_err(|error| invalid(&error, author))?;
    if names.is_empty() {
        return Ok(plan);
    }
    let values = ParamValues::from(params.to_vec());
    plan.with_param_values(values).map_err(|error| invalid(&error, author))
}

/// A failure to plan, as its author may see it. The planner speaks of the statement and of the
/// schemas that it was given, all of which the author knows; anything else stays in the log.
fn invalid(error: &DataFusionError, author: &Author) -> SqlError {
    match error.find_root() {
        DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => {
            SqlError::Invalid { reason: error.find_root().strip_backtrace() }
        }
        DataFusionError::NotImplemented(_) => {
            SqlError::refused(error.find_root().strip_backtrace())
        }
        DataFusionError::SQL(..) => statement::syntax(error),
        _ => author.told(error),
    }
}
