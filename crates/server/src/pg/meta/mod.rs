//! `pg_catalog` and `information_schema` for one principal.
//!
//! ```text
//!  Backend::visible ─► Directory (names, numbers) ─► system tables ─┐
//!                                     static export of PostgreSQL ──┼─► SessionContext without rows
//!                                     look-up functions ────────────┘
//! ```
//!
//! The context holds no dataset, so nothing asked of it can tell a row. It is built when a session
//! first asks, and again when policies moved.

pub mod build;
pub mod functions;
pub mod information;
pub mod names;
mod rewrite;
pub mod system;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::generate_series_arg_coercion::CoerceIntArgsToBigInt;
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use datafusion_pg_catalog::pg_catalog::{
    PgCatalogSchemaProvider, PgCatalogStaticTables, array_bounds_udf, create_current_schema_udf,
    create_current_schemas_udf, format_type, quote_ident_udf,
};
use futures::{StreamExt, TryStreamExt};

use self::names::Directory;
use super::settings::Settings;
use crate::backend::{Answer, Description, Rows, Visible};
use crate::fault::{Code, Fault};
use crate::limits::{META_MEMORY_BYTES_MAX, META_ROWS_MAX, META_SECONDS_MAX, seconds};

type Fallback = PgCatalogSchemaProvider<
    Arc<dyn datafusion::catalog::CatalogProviderList>,
    EmptyContextProvider,
>;

/// The rows that are the same in every database, decoded once for all sessions.
static STATIC_TABLES: LazyLock<Result<Arc<PgCatalogStaticTables>, String>> = LazyLock::new(|| {
    PgCatalogStaticTables::try_new().map(Arc::new).map_err(|error| error.to_string())
});

/// What one session's catalogue queries run in.
pub struct Meta {
    context: SessionContext,
    directory: Arc<Directory>,
}

/// `pg_catalog`: the session's own tables, then the static ones.
#[derive(Debug)]
struct SystemSchema {
    own: BTreeMap<&'static str, Arc<dyn TableProvider>>,
    fallback: Fallback,
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.fallback.table_names();
        names.extend(self.own.keys().map(ToString::to_string));
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        match self.own.get(name) {
            Some(table) => Ok(Some(table.clone())),
            None => self.fallback.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.fallback.table_exist(name)
    }
}

impl Meta {
    pub fn build(
        database: &str,
        user: &str,
        visible: &[Visible],
        settings: &Arc<Mutex<Settings>>,
    ) -> Result<Self, Fault> {
        let directory = Arc::new(Directory::new(database, user, visible));
        Self::of(&directory, settings).map_err(Fault::internal)
    }

    fn of(
        directory: &Arc<Directory>,
        settings: &Arc<Mutex<Settings>>,
    ) -> Result<Self, DataFusionError> {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(&directory.database, "public")
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false)
            .with_target_partitions(1);
        config.options_mut().sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
        // System columns hold a few thousand values: hash joins of them need no statistics.
        config.options_mut().execution.collect_statistics = false;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(META_MEMORY_BYTES_MAX)))
            .build_arc()?;
        let state = SessionStateBuilder::new_with_default_features()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_type_planner(Arc::new(PgOidTypePlanner))
            .build();
        let context = SessionContext::new_with_state(state);

        let catalog = Arc::new(MemoryCatalogProvider::new());
        context.register_catalog(&directory.database, catalog.clone());
        let public = Arc::new(MemorySchemaProvider::new());
        catalog.register_schema("public", public.clone())?;
        let information = MemorySchemaProvider::new();
        for (name, table) in information::tables(directory)? {
            information.register_table(name.to_owned(), table)?;
        }
        catalog.register_schema("information_schema", Arc::new(information))?;
        let static_tables = STATIC_TABLES.clone().map_err(DataFusionError::Plan)?;
        let fallback = PgCatalogSchemaProvider::try_new(
            context.state().catalog_list().clone(),
            static_tables.clone(),
            EmptyContextProvider,
        )?;
        let settings_now =
            settings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let own = system::tables(directory, &settings_now)?;
        // Names that the rewriting does not qualify are found without their schema too.
        for (name, table) in &own {
            public.register_table((*name).to_owned(), table.clone())?;
        }
        catalog.register_schema("pg_catalog", Arc::new(SystemSchema { own, fallback }))?;

        for function in functions::all(directory, settings) {
            context.register_udf(function);
        }
        context.register_udf(create_current_schema_udf());
        context.register_udf(create_current_schemas_udf());
        context.register_udf(format_type::create_format_type_udf());
        context.register_udf(quote_ident_udf::create_quote_ident_udf());
        context.register_udf(quote_ident_udf::create_parse_ident_udf());
        context.register_udf(array_bounds_udf::create_array_upper_udf());
        context.register_udf(array_bounds_udf::create_array_lower_udf());
        context.register_udtf("pg_get_keywords", static_tables.pg_get_keywords.clone());
        CoerceIntArgsToBigInt::widen(&context);
        Ok(Self { context, directory: directory.clone() })
    }

    async fn plan(&self, sql: &str) -> Result<LogicalPlan, Fault> {
        let statement = rewrite::rewrite(sql, &self.directory)?;
        let state = self.context.state();
        let plan = state
            .statement_to_plan(SqlStatement::Statement(Box::new(statement)))
            .await
            .map_err(|error| planning(&error))?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|error| Fault::new(Code::Refused, first_line(&error)))?;
        Ok(plan)
    }

    pub async fn describe(&self, sql: &str) -> Result<Description, Fault> {
        let plan = self.plan(sql).await?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let types = plan.get_parameter_types().map_err(|error| planning(&error))?;
        Ok(Description { schema, parameters: in_order(types) })
    }

    pub async fn query(&self, sql: &str, parameters: Vec<ScalarValue>) -> Result<Answer, Fault> {
        let run = async {
            let plan = self.plan(sql).await?;
            let plan = match parameters.is_empty() {
                true => plan,
                false => plan
                    .replace_params_with_values(&ParamValues::from(parameters))
                    .map_err(|error| planning(&error))?,
            };
            let frame = self.context.execute_logical_plan(plan).await;
            let stream = frame.map_err(|error| planning(&error))?.execute_stream().await;
            stream.map_err(|error| planning(&error))
        };
        let deadline = tokio::time::Instant::now() + seconds(META_SECONDS_MAX);
        let stream =
            tokio::time::timeout_at(deadline, run).await.map_err(|_| Fault::timeout())??;
        let schema = stream.schema();
        let mut rows_left = META_ROWS_MAX;
        let rows = stream.map_err(|error| running(&error)).and_then(move |batch| {
            let within = batch.num_rows() <= rows_left;
            rows_left = rows_left.saturating_sub(batch.num_rows());
            let too_many = || {
                let reason = format!("a catalogue query may answer {META_ROWS_MAX} rows at most");
                Fault::new(Code::TooLarge, reason)
            };
            std::future::ready(if within { Ok(batch) } else { Err(too_many()) })
        });
        let rows: Rows = Box::pin(until(deadline, rows.boxed()));
        Ok(Answer { id: uuid::Uuid::now_v7().to_string(), schema, rows })
    }
}

/// Ends a stream with a fault when the deadline has passed.
fn until(
    deadline: tokio::time::Instant,
    rows: Rows,
) -> impl futures::Stream<Item = Result<arrow::array::RecordBatch, Fault>> + Send {
    futures::stream::try_unfold(rows, move |mut rows| async move {
        match tokio::time::timeout_at(deadline, rows.next()).await {
            Ok(Some(batch)) => batch.map(|batch| Some((batch, rows))),
            Ok(None) => Ok(None),
            Err(_) => Err(Fault::timeout()),
        }
    })
}

/// `$1`, `$2`, … in order, with holes where a number is not used.
fn in_order(types: std::collections::HashMap<String, Option<DataType>>) -> Vec<Option<DataType>> {
    let numbered: BTreeMap<usize, Option<DataType>> = types
        .into_iter()
        .filter_map(|(name, ty)| Some((name.trim_start_matches('$').parse().ok()?, ty)))
        .collect();
    let count = numbered.keys().next_back().copied().unwrap_or(0);
    (1..=count).map(|number| numbered.get(&number).cloned().flatten()).collect()
}

fn first_line(error: &DataFusionError) -> String {
    error.strip_backtrace().lines().next().unwrap_or_default().to_owned()
}

/// System tables hold names that the principal may know: what the planner says may be shown.
fn planning(error: &DataFusionError) -> Fault {
    let message = first_line(error);
    let code = match error.find_root() {
        DataFusionError::SchemaError(..) => Code::ColumnNotFound,
        DataFusionError::ResourcesExhausted(_) => Code::Memory,
        DataFusionError::NotImplemented(_) => Code::Unsupported,
        DataFusionError::Plan(text) if text.contains("not found") => Code::NotFound,
        _ => Code::Invalid,
    };
    Fault::new(code, message)
}

fn running(error: &DataFusionError) -> Fault {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            Fault::new(Code::Memory, "the catalogue query needs more memory than it may have")
        }
        DataFusionError::Plan(text) => Fault::new(Code::Invalid, text.clone()),
        other => Fault::internal(other),
    }
}
