//! The functions that SQL from people may call: a list of names, not a list of exclusions, so
//! that a function which a new DataFusion brings is closed until somebody has looked at it.
//!
//! Left out on purpose: whatever tells of files, settings or the machine (`input_file_name`,
//! `file_row_index`, `version`), what turns a type into another behind the planner's back
//! (`arrow_cast`, `with_metadata`), array makers whose size an argument decides (`range`,
//! `array_repeat`, `array_resize`), and higher-order functions.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use datafusion::prelude::SessionContext;

use super::bounded;

const SCALAR: &[&str] = &[
    // Numbers.
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "power",
    "radians",
    "random",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc", // Text.
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "find_in_set",
    "initcap",
    "left",
    "levenshtein",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "octet_length",
    "overlay",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "to_hex",
    "translate",
    "upper",
    "encode",
    "decode", // Times.
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "now",
    "to_char",
    "to_date",
    "to_local_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime", // Conditions.
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "nvl",
    "nvl2", // Structures.
    "named_struct",
    "struct",
    "get_field",
    "arrow_typeof",
    "array_append",
    "array_concat",
    "array_distinct",
    "array_element",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_length",
    "array_max",
    "array_min",
    "array_position",
    "array_slice",
    "array_sort",
    "array_to_string",
    "cardinality",
    "empty",
    "flatten",
    "make_array",
    "string_to_array",
    // Geometry: see `geo` for those over the sphere.
    "st_area",
    "st_astext",
    "st_asbinary",
    "st_centroid",
    "st_contains",
    "st_convexhull",
    "st_coveredby",
    "st_covers",
    "st_crosses",
    "st_disjoint",
    "st_distance",
    "st_envelope",
    "st_equals",
    "st_geometrytype",
    "st_geomfromtext",
    "st_geomfromwkb",
    "st_intersects",
    "st_isempty",
    "st_isvalid",
    "st_length",
    "st_makepoint",
    "st_npoints",
    "st_overlaps",
    "st_point",
    "st_pointonsurface",
    "st_touches",
    "st_within",
    "st_x",
    "st_xmax",
    "st_xmin",
    "st_y",
    "st_ymax",
    "st_ymin",
    "st_geohash",
    "st_distance_sphere",
    "st_dwithin_sphere",
    "st_area_sphere",
    "st_dwithin",
];

const AGGREGATE: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
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
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// Aggregates that give back single values of single rows: closed under a minimum cell size.
pub(super) const ROW_REVEALING_AGGREGATES: &[&str] = &[
    "any_value",
    "array_agg",
    "first_value",
    "last_value",
    "max",
    "min",
    "nth_value",
    "string_agg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "median",
    "approx_median",
    "percentile_cont",
    "approx_percentile_cont",
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
        let state = SessionStateBuilder::new_with_default_features().build();
        let planners = state.expr_planners().to_vec();
        let context = SessionContext::new_with_state(state);
        geodatafusion::register(&context);
        let mut state = context.state();
        for function in super::geo::functions() {
            state.register_udf(function).expect("a session takes new functions");
        }
        let mut functions = Self {
            scalar: HashMap::new(),
            aggregate: HashMap::new(),
            window: HashMap::new(),
            planners,
        };
        for function in state.scalar_functions().values() {
            if SCALAR.contains(&function.name()) {
                let function = bounded::wrap(function);
                for name in std::iter::once(function.name()).chain(names(function.aliases())) {
                    functions.scalar.insert(name.to_owned(), Arc::clone(&function));
                }
            }
        }
        for function in state.aggregate_functions().values() {
            if AGGREGATE.contains(&function.name()) {
                for name in std::iter::once(function.name()).chain(names(function.aliases())) {
                    functions.aggregate.insert(name.to_owned(), Arc::clone(function));
                }
            }
        }
        for function in state.window_functions().values() {
            if WINDOW.contains(&function.name()) {
                for name in std::iter::once(function.name()).chain(names(function.aliases())) {
                    functions.window.insert(name.to_owned(), Arc::clone(function));
                }
            }
        }
        functions
    }
}

fn names(aliases: &[String]) -> impl Iterator<Item = &str> {
    aliases.iter().map(String::as_str)
}
