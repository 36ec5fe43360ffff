//! The names that a statement may use. DataFusion's planner asks here and nowhere else, so what
//! is not handed out here — raw tables, files, settings, unlisted functions — cannot be reached.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, TableReference, plan_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF,
};

use super::functions::Functions;
use super::{CATALOG_NAME, SqlError, series};

/// Names of one statement, resolved before it is planned.
pub(super) struct Names<'a> {
    pub(super) tables: HashMap<String, Arc<dyn TableSource>>,
    pub(super) functions: &'a Functions,
    pub(super) state: &'a SessionState,
}

/// `schema.table` of a reference, or `None` where it names another catalogue or no schema.
pub(super) fn dataset_id(reference: &TableReference) -> Option<String> {
    match reference {
        TableReference::Bare { .. } => None,
        TableReference::Partial { schema, table } => Some(format!("{schema}.{table}")),
        TableReference::Full { catalog, schema, table } => {
            (catalog.as_ref() == CATALOG_NAME).then(|| format!("{schema}.{table}"))
        }
    }
}

pub(super) fn not_found(reference: &TableReference) -> SqlError {
    SqlError::NotFound { name: reference.to_string() }
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        dataset_id(&name)
            .and_then(|id| self.tables.get(&id))
            .cloned()
            .ok_or_else(|| DataFusionError::External(Box::new(not_found(&name))))
    }

    fn get_table_function_source(
        &self,
        name: &str,
        args: Vec<Expr>,
    ) -> Result<Arc<dyn TableSource>> {
        match name {
            "generate_series" | "range" => series::table(name, args, self.state),
            _ => plan_err!("there is no table function '{name}'"),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.functions.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.window.get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.scalar.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.functions.aggregate.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.functions.window.keys().cloned().collect()
    }
}
