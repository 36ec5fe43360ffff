//! Whole queries of a pack: planned against its contracts when it loads, so that a board whose
//! column was renamed fails where its author sees it and not on a wall at night.
//!
//! Knows the shapes of datasets and no rows. What one principal may read of them is the
//! catalogue's to say, each time the query runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, TableReference, plan_err};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::logical_plan::builder::LogicalTableSource;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner};
use datafusion::logical_expr::{
    AggregateUDF, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::optimizer::Analyzer;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

use super::plan::{SqlFault, SqlPosition, one_line, syntax_fault};
use super::types::word;
use super::{Scope, expr_planners, planning_state};
use crate::diagnostics::nearest;

/// A query longer than this is refused: it is shown to whoever asks where a number comes from.
pub const QUERY_CHARS_MAX: usize = 8_000;

/// What stands in a query for the area that is looked at, as a prefix of its code.
pub const AREA_PARAMETER: &str = "$area";

/// What a query answers and what it reads.
#[derive(Debug, Clone)]
pub struct QueryShape {
    pub schema: SchemaRef,
    pub datasets: BTreeSet<String>,
}

impl QueryShape {
    /// A column's type in the words of contracts.
    pub fn word(&self, column: &str) -> Option<String> {
        let field = self.schema.field_with_name(column).ok()?;
        Some(word(field.data_type()))
    }
}

/// The query about one area: `prefix` is the beginning of the codes of all that lies in it, and
/// empty for everywhere. `None` where it is no such prefix.
pub fn in_area(sql: &str, prefix: &str) -> Option<String> {
    let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| sql.replace(AREA_PARAMETER, &format!("'{prefix}'")))
}

/// Plans one `SELECT` over datasets of these shapes.
pub(crate) fn shape(
    sql: &str,
    datasets: &BTreeMap<&str, SchemaRef>,
) -> std::result::Result<QueryShape, SqlFault> {
    let length_chars = sql.chars().count();
    if length_chars > QUERY_CHARS_MAX {
        let fault = SqlFault::new(None, "the query is too long");
        return Err(
            fault.types(format!("at most {QUERY_CHARS_MAX} characters"), length_chars.to_string())
        );
    }
    let sql = in_area(sql, "").expect("nothing is digits alone");
    let statement = parse(&sql)?;
    let (tables, _) = resolve_table_references(&statement, true).map_err(|e| fault(&e))?;
    let mut read = BTreeSet::new();
    for table in &tables {
        let id = dataset_id(table);
        if !datasets.contains_key(id.as_str()) {
            let fault = SqlFault::new(None, format!("unknown dataset `{id}`"));
            return Err(match nearest(&id, datasets.keys().copied()) {
                Some(near) => fault.mend(format!("did you mean `{near}`?")),
                None => fault.mend("write `domain.name` of a dataset of this pack"),
            });
        }
        read.insert(id);
    }
    let names = Names { datasets, state: planning_state(Scope::Row), planners: expr_planners() };
    let options = ParserOptions {
        collect_spans: true,
        ..ParserOptions::from(&names.state.config_options().sql_parser)
    };
    let plan = SqlToRel::new_with_options(&names, options)
        .statement_to_plan(statement)
        .and_then(|plan| typed(plan, names.state.config_options()))
        .map_err(|error| fault(&error))?;
    Ok(QueryShape { schema: Arc::clone(plan.schema().inner()), datasets: read })
}

fn parse(sql: &str) -> std::result::Result<Statement, SqlFault> {
    let dialect = PostgreSqlDialect {};
    let parsed = DFParserBuilder::new(sql)
        .with_dialect(&dialect)
        .build()
        .and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| syntax_fault(&error))?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement @ Statement::Statement(_)), true) if reads(&statement) => Ok(statement),
        _ => Err(SqlFault::new(None, "the text is not one query").mend("write one SELECT")),
    }
}

fn reads(statement: &Statement) -> bool {
    matches!(statement, Statement::Statement(inner) if matches!(**inner, SqlStatement::Query(_)))
}

/// Types settled: what does not go together is found here.
fn typed(plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
    Analyzer::new().execute_and_check(plan, options, |_, _| {})
}

fn fault(error: &DataFusionError) -> SqlFault {
    let span = error.diagnostic().and_then(|diagnostic| diagnostic.span.as_ref());
    let position = span.and_then(|span| {
        let line = u32::try_from(span.start.line).ok().filter(|&line| line > 0)?;
        Some(SqlPosition { line, column: u32::try_from(span.start.column).ok()? })
    });
    SqlFault::new(position, one_line(error))
}

fn dataset_id(name: &TableReference) -> String {
    match name.schema() {
        Some(schema) => format!("{schema}.{}", name.table()),
        None => name.table().to_owned(),
    }
}

struct Names<'a> {
    datasets: &'a BTreeMap<&'a str, SchemaRef>,
    state: &'a SessionState,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        match self.datasets.get(dataset_id(&name).as_str()) {
            Some(schema) => Ok(Arc::new(LogicalTableSource::new(Arc::clone(schema)))),
            None => plan_err!("unknown dataset `{name}`"),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn planned(sql: &str) -> std::result::Result<QueryShape, String> {
        let schema = Schema::new(vec![
            Field::new("area_code", DataType::Utf8, false),
            Field::new("people", DataType::Int64, false),
        ]);
        let datasets = BTreeMap::from([("people.resident", Arc::new(schema) as SchemaRef)]);
        shape(sql, &datasets).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_query_has_a_shape_and_sources() {
        let shape = planned(
            "SELECT substr(area_code, 1, 6) AS district, sum(people) AS people \
             FROM people.resident WHERE starts_with(area_code, $area) GROUP BY 1",
        )
        .unwrap();
        assert_eq!(shape.word("people").as_deref(), Some("integer"));
        assert_eq!(shape.word("district").as_deref(), Some("text"));
        assert_eq!(shape.datasets.iter().collect::<Vec<_>>(), ["people.resident"]);
    }

    #[test]
    fn what_does_not_plan_says_where_and_why() {
        let fault = planned("SELECT people FROM people.residents").unwrap_err();
        assert!(fault.contains("did you mean `people.resident`"), "{fault}");
        let fault = planned("SELECT 1,\n  peopel FROM people.resident").unwrap_err();
        assert!(fault.contains("line 2, column 3") && fault.contains("peopel"), "{fault}");
        let fault = planned("SELECT sum(area_code) FROM people.resident").unwrap_err();
        assert!(fault.contains("sum"), "{fault}");
        let fault = planned("SELECT 1 FROM people.resident\nGROUP 1").unwrap_err();
        assert!(fault.contains("line 2"), "{fault}");
        assert!(planned("SELECT people FROM").is_err());
        assert!(planned("DELETE FROM people.resident").is_err());
        assert!(planned("SELECT 1; SELECT 2").is_err());
        assert!(planned("SELECT read_file('x') FROM people.resident").is_err());
    }

    #[test]
    fn an_area_is_digits_and_nothing_else() {
        let sql = "SELECT 1 WHERE starts_with('1', $area)";
        assert_eq!(in_area(sql, "51").unwrap(), "SELECT 1 WHERE starts_with('1', '51')");
        assert_eq!(in_area(sql, "' OR 1=1 --"), None);
    }
}
