//! The functions that SQL from people may call: the pack's registry, which rules are written in,
//! and some more that only make sense in queries.
//!
//! It is a list of names, not a list of exclusions, so that a function which a new DataFusion
//! brings is closed until somebody has looked at it. Whatever tells of files, settings or the
//! machine stays out (`input_file_name`, `version`), and so do array makers whose size an argument
//! decides, higher-order functions, and structs, whose type doubles where one is put into itself
//! twice. Functions that can make much out of little are in, with a bound ([`bounded`]).

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use super::{bounded, geo};

/// Scalar functions beside those of [`pack::sql::functions`].
const QUERY_SCALAR: &[&str] = &[
    "array_append",
    "array_concat",
    "array_has_all",
    "arrow_typeof",
    "current_time",
    "decode",
    "empty",
    "encode",
    "get_field",
    "initcap",
    "lpad",
    "md5",
    "random",
    "repeat",
    "rpad",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "to_timestamp_nanos",
];

/// Aggregates beside those of the pack.
const QUERY_AGGREGATE: &[&str] =
    &["any_value", "bit_and", "bit_or", "bit_xor", "regr_sxx", "regr_sxy", "regr_syy"];

/// Aggregates whose answer over many rows tells of the rows only together. All others — minimum,
/// median, array_agg and what may come — give back values of single rows, and are closed under a
/// minimum cell size.
pub(super) const GROUP_AGGREGATES: &[&str] = &[
    "approx_distinct",
    "avg",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "grouping",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
];

/// The allow-list with the functions themselves, by every name they answer to.
#[derive(Debug)]
pub(super) struct Functions {
    pub(super) scalar: HashMap<String, Arc<ScalarUDF>>,
    pub(super) aggregate: HashMap<String, Arc<AggregateUDF>>,
    pub(super) window: HashMap<String, Arc<WindowUDF>>,
    pub(super) planners: Vec<Arc<dyn ExprPlanner>>,
}

impl Functions {
    pub(super) fn new() -> Self {
        let pack = pack::sql::functions();
        let mut scalar = HashMap::new();
        let extra = SessionStateDefaults::default_scalar_functions()
            .into_iter()
            .filter(|function| QUERY_SCALAR.contains(&function.name()));
        // Ours come last: their `st_x` reads any encoding of a point.
        for function in pack.scalar.iter().cloned().chain(extra).chain(geo::functions()) {
            let function = bounded::wrap(&function);
            for name in names(function.name(), function.aliases()) {
                scalar.insert(name, Arc::clone(&function));
            }
        }
        let mut aggregate = HashMap::new();
        let extra = SessionStateDefaults::default_aggregate_functions()
            .into_iter()
            .filter(|function| QUERY_AGGREGATE.contains(&function.name()));
        for function in pack.aggregate.iter().cloned().chain(extra) {
            for name in names(function.name(), function.aliases()) {
                aggregate.insert(name, Arc::clone(&function));
            }
        }
        let mut window = HashMap::new();
        for function in &pack.window {
            for name in names(function.name(), function.aliases()) {
                window.insert(name, Arc::clone(function));
            }
        }
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(bounded::JoinText)];
        planners.extend(pack::sql::expr_planners());
        Self { scalar, aggregate, window, planners }
    }
}

fn names(name: &str, aliases: &[String]) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(aliases.iter().cloned()).collect()
}
