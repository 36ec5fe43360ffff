//! Which functions SQL may call, everywhere in the house.
//!
//! A list of what is allowed, not of what is forbidden: a function that a new DataFusion brings
//! stays out until somebody has thought about it. Out on purpose are those that look outside the
//! rows (`input_file_name`, `version`), differ on each call (`random`, `uuid`), let one row fill
//! the memory (`repeat`, `lpad`, `rpad`, `array_repeat`, `array_resize`, `range`,
//! `generate_series`) or reach below the types (`arrow_cast`).

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::common::{Result, exec_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::context::{SessionConfig, SessionContext, SessionState};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, WindowUDF,
};

use super::{Scope, geometry, json, points, relate};
use crate::codes;

const SCALAR: [&str; 5] = [
    // Choice and nulls.
    "coalesce greatest least nullif nvl nvl2",
    // Numbers.
    "abs acos acosh asin asinh atan atan2 atanh cbrt ceil cos cosh cot degrees exp floor gcd \
     isnan iszero lcm ln log log10 log2 nanvl pi power radians round signum sin sinh sqrt tan \
     tanh trunc",
    // Times.
    "current_date date_bin date_part date_trunc from_unixtime make_date now to_char to_date \
     to_local_time to_timestamp to_timestamp_micros to_timestamp_millis to_timestamp_seconds \
     to_unixtime",
    // Texts.
    "ascii bit_length btrim character_length chr concat concat_ws contains ends_with find_in_set \
     initcap left levenshtein lower ltrim octet_length overlay regexp_count regexp_instr \
     regexp_like regexp_match regexp_replace replace reverse right rtrim split_part starts_with \
     strpos substr substr_index to_hex translate upper",
    // Lists, whose length is that of what is already there.
    "array_distinct array_element array_has array_has_all array_has_any array_length array_max \
     array_min array_position array_slice array_sort array_to_string cardinality make_array \
     string_to_array",
];

const AGGREGATE: &str = "approx_distinct approx_median approx_percentile_cont array_agg avg \
    bool_and bool_or corr count covar_pop covar_samp first_value grouping last_value max median \
    min nth_value percentile_cont regr_avgx regr_avgy regr_count regr_intercept regr_r2 \
    regr_slope stddev stddev_pop string_agg sum var var_pop";

const WINDOW: &str = "cume_dist dense_rank first_value lag last_value lead nth_value ntile \
    percent_rank rank row_number";

/// The functions that SQL may call, session functions apart.
#[derive(Debug, Clone)]
pub struct Functions {
    pub scalar: Vec<Arc<ScalarUDF>>,
    pub aggregate: Vec<Arc<AggregateUDF>>,
    pub window: Vec<Arc<WindowUDF>>,
}

static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| {
    let allowed = |names: &'static str| names.split_whitespace().collect::<BTreeSet<_>>();
    let scalar_allowed: BTreeSet<&str> = SCALAR.into_iter().flat_map(allowed).collect();
    let mut scalar: Vec<_> = SessionStateDefaults::default_scalar_functions()
        .into_iter()
        .filter(|function| scalar_allowed.contains(function.name()))
        .collect();
    let spatial = spatial_state();
    let own: Vec<_> = [points::functions(), geometry::functions(), json::functions()].concat();
    let shadowed = |name: &str| own.iter().any(|function| function.name() == name);
    let spatial_scalar = distinct(spatial.scalar_functions().values(), |f| f.name());
    let spatial_scalar = relate::right_both_ways(spatial_scalar);
    scalar.extend(spatial_scalar.into_iter().filter(|function| !shadowed(function.name())));
    scalar.extend(own);
    scalar.extend(CODE_FUNCTIONS.map(|function| Arc::new(ScalarUDF::from(function.build()))));

    let aggregate_allowed = allowed(AGGREGATE);
    let mut aggregate: Vec<_> = SessionStateDefaults::default_aggregate_functions()
        .into_iter()
        .filter(|function| aggregate_allowed.contains(function.name()))
        .collect();
    aggregate.extend(distinct(spatial.aggregate_functions().values(), |f| f.name()));

    let window_allowed = allowed(WINDOW);
    let window = SessionStateDefaults::default_window_functions()
        .into_iter()
        .filter(|function| window_allowed.contains(function.name()))
        .collect();
    Functions { scalar, aggregate, window }
});

/// The one registry of functions for rules and for queries.
pub fn functions() -> &'static Functions {
    &FUNCTIONS
}

/// What turns SQL's own syntax (`EXTRACT`, `SUBSTRING`, `x[1]`) into function calls.
pub fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    SessionStateDefaults::default_expr_planners()
}

/// Only geodatafusion's functions: it registers into a context, so we give it an empty one.
fn spatial_state() -> SessionState {
    let context = SessionContext::new_with_state(SessionStateBuilder::new().build());
    geodatafusion::register(&context);
    context.state()
}

/// A registry lists a function once for its name and once for each alias.
fn distinct<'a, F: 'a>(
    functions: impl Iterator<Item = &'a Arc<F>>,
    name: impl Fn(&F) -> &str,
) -> Vec<Arc<F>> {
    let mut seen = BTreeSet::new();
    let mut functions: Vec<_> =
        functions.filter(|function| seen.insert(name(function).to_owned())).cloned().collect();
    functions.sort_by(|a, b| name(a).cmp(name(b)));
    functions
}

/// A state that plans expressions and can run nothing: no tables, no files, no stores.
pub fn planning_state(scope: Scope) -> &'static SessionState {
    static ROW: LazyLock<SessionState> = LazyLock::new(|| build_state(Vec::new()));
    static SESSION: LazyLock<SessionState> = LazyLock::new(|| build_state(session_functions()));
    match scope {
        Scope::Row => &ROW,
        Scope::Session => &SESSION,
    }
}

fn build_state(session: Vec<Arc<ScalarUDF>>) -> SessionState {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.dialect = datafusion::common::config::Dialect::PostgreSQL;
    let Functions { scalar, aggregate, window } = functions().clone();
    SessionStateBuilder::new()
        .with_config(config)
        .with_expr_planners(expr_planners())
        .with_scalar_functions(scalar.into_iter().chain(session).collect())
        .with_aggregate_functions(aggregate)
        .with_window_functions(window)
        .build()
}

/// A function about who reads: typed here, answered by `catalog`, which replaces it by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionFunction {
    pub name: &'static str,
    /// Number of arguments, all text.
    pub arguments: usize,
    pub answer: Answer,
}

/// What a session function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    Boolean,
    Text,
}

impl Answer {
    fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Text => DataType::Utf8,
        }
    }
}

pub const SESSION_FUNCTIONS: [SessionFunction; 4] = [
    // Whether an area code lies in the reader's area scope.
    SessionFunction { name: "in_area", arguments: 1, answer: Answer::Boolean },
    // Whether an organisation is the reader's or below it.
    SessionFunction { name: "in_organisation", arguments: 1, answer: Answer::Boolean },
    SessionFunction { name: "my_organisation", arguments: 0, answer: Answer::Text },
    SessionFunction { name: "has_role", arguments: 1, answer: Answer::Boolean },
];

/// The session functions as stubs that plan and refuse to run.
pub fn session_functions() -> Vec<Arc<ScalarUDF>> {
    SESSION_FUNCTIONS
        .iter()
        .map(|function| {
            let signature = text_signature(function.arguments, Volatility::Stable);
            Arc::new(ScalarUDF::from(SessionStub { function: *function, signature }))
        })
        .collect()
}

pub(super) fn text_signature(arguments: usize, volatility: Volatility) -> Signature {
    match arguments {
        0 => Signature::nullary(volatility),
        count => Signature::exact(vec![DataType::Utf8; count], volatility),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SessionStub {
    function: SessionFunction,
    signature: Signature,
}

impl ScalarUDFImpl for SessionStub {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.function.answer.arrow())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{} needs a session; the catalogue answers it", self.function.name)
    }
}

/// Functions about official codes, for quality rules: text in, null for null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CodeFunction {
    ValidCreditCode,
    ValidIdentityNumber,
    ValidAreaCode,
    AreaPrefix,
}

const CODE_FUNCTIONS: [CodeFunction; 4] = [
    CodeFunction::ValidCreditCode,
    CodeFunction::ValidIdentityNumber,
    CodeFunction::ValidAreaCode,
    CodeFunction::AreaPrefix,
];

impl CodeFunction {
    fn build(self) -> CodeUdf {
        CodeUdf { function: self, signature: text_signature(1, Volatility::Immutable) }
    }

    fn apply(self, texts: &StringArray) -> ArrayRef {
        let test = |valid: fn(&str) -> bool| -> ArrayRef {
            Arc::new(texts.iter().map(|text| text.map(valid)).collect::<BooleanArray>())
        };
        match self {
            Self::ValidCreditCode => test(codes::valid_credit_code),
            Self::ValidIdentityNumber => test(codes::valid_identity_number),
            Self::ValidAreaCode => test(codes::valid_area_code),
            Self::AreaPrefix => {
                Arc::new(texts.iter().map(|t| t.map(codes::area_prefix)).collect::<StringArray>())
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CodeUdf {
    function: CodeFunction,
    signature: Signature,
}

impl ScalarUDFImpl for CodeUdf {
    fn name(&self) -> &str {
        match self.function {
            CodeFunction::ValidCreditCode => "valid_credit_code",
            CodeFunction::ValidIdentityNumber => "valid_identity_number",
            CodeFunction::ValidAreaCode => "valid_area_code",
            CodeFunction::AreaPrefix => "area_prefix",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.function {
            CodeFunction::AreaPrefix => DataType::Utf8,
            _ => DataType::Boolean,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        Ok(ColumnarValue::Array(self.function.apply(as_string_array(&arrays[0])?)))
    }
}
