//! Functions that can make much out of little, with a bound on what they make.
//!
//! Memory pools count what operators hold, not what an expression makes in one batch: `repeat`
//! of a large number would take the process down before any pool noticed, and so would a list
//! that is put behind itself forty times. Each of these says in advance how large its answer
//! would be, and [`shared`] shares a statement's allowance out among its calls. Comparing two
//! texts letter by letter has its steps bounded; regular expressions, which are compiled, their
//! patterns.
//!
//! Functions whose answer is a part of their argument, or the same in another form (`json_value`,
//! `st_asgeojson`), are not among them: what they make is a few times what is there already, and
//! made again of itself it does not grow. They stop by themselves where an array has no room.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, GenericListArray, OffsetSizeTrait};
use arrow::compute::cast;
use arrow::compute::kernels::concat_elements::concat_elements_utf8;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{LimitKind, SqlError};

/// Text that one call may make over one batch of rows.
pub const TEXT_BYTES_MAX: u64 = 64 << 20;
/// Text that all calls of a statement together may make over one batch of rows.
const STATEMENT_TEXT_BYTES_MAX: u64 = 512 << 20;
/// Pairs of letters, or of items, that one call may compare over one batch of rows: about a
/// second's work.
const STEPS_MAX: u64 = 1 << 28;
/// Pairs that all calls of a statement together may compare over one batch of rows.
const STATEMENT_STEPS_MAX: u64 = 1 << 30;
/// A regular expression's source.
pub const PATTERN_BYTES_MAX: usize = 1_000;
/// Different patterns in one batch of rows: each is compiled and kept until the batch is done.
const PATTERNS_MAX: usize = 32;
/// Bytes of the longest character: what padding by one character may add.
const CHAR_BYTES_MAX: u64 = 4;
/// Bytes that one byte of a time's format may become: `%c` is a whole date.
const FORMAT_GROWTH_MAX: u64 = 20;

/// The function as it is, or with its bound.
pub(super) fn wrap(function: &Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match bound_of(function.name()) {
        Some(bound) => limited(function, bound, bound.call_max()),
        None => Arc::clone(function),
    }
}

fn bound_of(function: &str) -> Option<Bound> {
    Some(match function {
        "repeat" => Bound::Repeat,
        "lpad" | "rpad" => Bound::Pad,
        "replace" => Bound::Replace,
        "array_append" | "array_concat" | "concat" | "encode" | "make_array" | "overlay"
        | JOIN_TEXT => Bound::Sum,
        "concat_ws" => Bound::Joined,
        "array_to_string" => Bound::JoinedList,
        "to_char" => Bound::Format,
        "regexp_replace" => Bound::PatternReplace,
        "regexp_count" | "regexp_instr" | "regexp_like" | "regexp_match" => Bound::Pattern,
        "array_has_all" | "array_has_any" => Bound::ListPairs,
        "levenshtein" => Bound::Pairs,
        _ => return None,
    })
}

fn limited(function: &Arc<ScalarUDF>, bound: Bound, made_max: u64) -> Arc<ScalarUDF> {
    let inner = match function.inner().downcast_ref::<Bounded>() {
        Some(bounded) => Arc::clone(&bounded.inner),
        None => Arc::clone(function),
    };
    Arc::new(ScalarUDF::from(Bounded { inner, bound, made_max }))
}

/// Every bounded call of a plan with its share of what the statement may make. It meets those,
/// too, that syntax of its own stands for (`[a, b]`, lists with `||`, `OVERLAY`), for which the
/// planner puts in the bare function.
pub(super) fn shared(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut calls = 0_u64;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr {
                    calls += u64::from(bound_of(call.name()).is_some());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if calls == 0 {
        return Ok(plan);
    }
    let share = |expr: Expr| {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else {
            return Ok(Transformed::no(expr));
        };
        let Some(bound) = bound_of(func.name()) else {
            return Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })));
        };
        let made_max = bound.call_max().min(bound.statement_max() / calls);
        let func = limited(&func, bound, made_max);
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
    };
    let plan = plan
        .transform_up_with_subqueries(|node| node.map_expressions(|expr| expr.transform_up(share)));
    Ok(plan?.data)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bound {
    Repeat,
    Pad,
    Replace,
    /// All arguments, one behind the other.
    Sum,
    /// All arguments after the first, which stands between them.
    Joined,
    /// A list's items, the second argument between them.
    JoinedList,
    Format,
    Pattern,
    PatternReplace,
    /// Not made but done: each letter of one text against each of the other.
    Pairs,
    /// Each item of one list against each of the other.
    ListPairs,
}

impl Bound {
    /// Whether steps are counted, not bytes.
    fn steps(self) -> bool {
        matches!(self, Self::Pairs | Self::ListPairs)
    }

    fn call_max(self) -> u64 {
        if self.steps() { STEPS_MAX } else { TEXT_BYTES_MAX }
    }

    fn statement_max(self) -> u64 {
        if self.steps() { STATEMENT_STEPS_MAX } else { STATEMENT_TEXT_BYTES_MAX }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    bound: Bound,
    /// Bytes, or steps, over one batch of rows.
    made_max: u64,
}

impl Bounded {
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let rows = args.number_rows;
        if let (Bound::Pattern | Bound::PatternReplace, [_, pattern, ..]) =
            (self.bound, args.args.as_slice())
        {
            bounded_pattern(pattern, rows)?;
            if self.bound == Bound::Pattern {
                return Ok(());
            }
        }
        let made = self.made(args)?;
        if made <= self.made_max {
            return Ok(());
        }
        let (name, most) = (self.name(), self.made_max);
        over(if self.bound.steps() {
            format!("{name} would take {made} steps, at most {most} allowed")
        } else {
            format!("{name} would make {made} bytes, at most {most} allowed")
        })
    }

    /// Bytes, or steps, that this call would make over its rows.
    fn made(&self, args: &ScalarFunctionArgs) -> Result<u64> {
        let rows = args.number_rows;
        let sizes = args.args.iter().map(|arg| lengths(arg, rows)).collect::<Result<Vec<_>>>()?;
        let each = |of: &dyn Fn(usize) -> u64| (0..rows).map(of).sum_capped();
        Ok(match (self.bound, args.args.as_slice()) {
            (Bound::Repeat, [_, times]) => {
                let times = integers(times, rows)?;
                each(&|row| sizes[0][row].saturating_mul(times[row]))
            }
            (Bound::Pad, [_, width, ..]) => {
                let widths = integers(width, rows)?;
                each(&|row| widths[row].saturating_mul(CHAR_BYTES_MAX))
            }
            (Bound::Replace, [_, _, _]) => each(&|row| {
                let (text, from, to) = (sizes[0][row], sizes[1][row], sizes[2][row]);
                // An empty `from` matches between all characters.
                let matches = text.checked_div(from).unwrap_or(text).saturating_add(1);
                text.saturating_add(matches.saturating_mul(to))
            }),
            (Bound::Joined, [_, parts @ ..]) => each(&|row| {
                let between = sizes[0][row].saturating_mul(parts.len() as u64);
                sizes[1..].iter().map(|size| size[row]).sum_capped().saturating_add(between)
            }),
            (Bound::JoinedList, [list, ..]) => {
                let items = items(list, rows)?;
                let extra = |row: usize| sizes[1..].iter().map(|size| size[row]).sum_capped();
                each(&|row| {
                    let an_item = extra(row).saturating_add(PRINTED_BYTES_MAX);
                    sizes[0][row].saturating_add(items[row].saturating_mul(an_item))
                })
            }
            (Bound::Format, [_, _]) => each(&|row| sizes[1][row].saturating_mul(FORMAT_GROWTH_MAX)),
            (Bound::PatternReplace, [_, _, to, flags @ ..]) => {
                let everywhere = flags.first().is_some_and(|flags| !says_not(flags, &['g']));
                let quotes = !says_not(to, &['\\', '$']);
                each(&|row| {
                    let (text, to) = (sizes[0][row], sizes[2][row]);
                    let matches = if everywhere { text.saturating_add(1) } else { 1 };
                    // What a replacement quotes of a match is never more than the text, for each
                    // of the two characters that it takes to quote.
                    let quoted = if quotes { (to / 2).saturating_mul(text) } else { 0 };
                    text.saturating_add(matches.saturating_mul(to)).saturating_add(quoted)
                })
            }
            (Bound::Pairs, [_, _]) => each(&|row| sizes[0][row].saturating_mul(sizes[1][row])),
            (Bound::ListPairs, [one, other]) => {
                let (one, other) = (items(one, rows)?, items(other, rows)?);
                each(&|row| one[row].saturating_mul(other[row]))
            }
            _ => sizes.iter().flatten().copied().sum_capped(),
        })
    }
}

/// Whether a text that is the same for all rows has none of these characters.
fn says_not(value: &ColumnarValue, characters: &[char]) -> bool {
    let ColumnarValue::Scalar(scalar) = value else { return false };
    scalar.try_as_str().is_some_and(|text| text.is_none_or(|text| !text.contains(characters)))
}

fn bounded_pattern(pattern: &ColumnarValue, rows: usize) -> Result<()> {
    let longest = lengths(pattern, rows)?.into_iter().max().unwrap_or(0);
    if longest > PATTERN_BYTES_MAX as u64 {
        return over(format!("a pattern of {longest} bytes, at most {PATTERN_BYTES_MAX} allowed"));
    }
    let ColumnarValue::Array(array) = pattern else { return Ok(()) };
    let texts = cast(array, &DataType::Utf8)?;
    let different: HashSet<Option<&str>> = texts.as_string::<i32>().iter().collect();
    if different.len() > PATTERNS_MAX {
        return over(format!(
            "{} different patterns in a few rows, at most {PATTERNS_MAX} allowed",
            different.len()
        ));
    }
    Ok(())
}

fn over<T>(reason: String) -> Result<T> {
    Err(DataFusionError::External(Box::new(SqlError::limit(LimitKind::ArgumentSize, reason))))
}

trait SumCapped {
    fn sum_capped(self) -> u64;
}

impl<I: Iterator<Item = u64>> SumCapped for I {
    fn sum_capped(self) -> u64 {
        self.fold(0, u64::saturating_add)
    }
}

/// What is neither text nor bytes nor a list counts as its printed width at most.
const PRINTED_BYTES_MAX: u64 = 40;

/// Bytes of each row's value.
fn lengths(value: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    let array = match value {
        ColumnarValue::Scalar(scalar) if !scalar.data_type().is_nested() => {
            return Ok(vec![scalar_length(scalar); rows]);
        }
        ColumnarValue::Scalar(scalar) => {
            let size = slice_bytes(scalar.to_array()?.as_ref())?;
            return Ok(vec![size; rows]);
        }
        ColumnarValue::Array(array) => array,
    };
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().map(length).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(length).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(length).collect(),
        DataType::Binary => array.as_binary::<i32>().iter().map(bytes).collect(),
        DataType::LargeBinary => array.as_binary::<i64>().iter().map(bytes).collect(),
        DataType::BinaryView => array.as_binary_view().iter().map(bytes).collect(),
        nested if nested.is_nested() => {
            // Only their sum is asked for.
            let each = slice_bytes(array.as_ref())? / (rows as u64).max(1) + 1;
            vec![each; rows]
        }
        _ => vec![PRINTED_BYTES_MAX; rows],
    })
}

fn scalar_length(scalar: &ScalarValue) -> u64 {
    match scalar {
        ScalarValue::Binary(value)
        | ScalarValue::LargeBinary(value)
        | ScalarValue::BinaryView(value) => bytes(value.as_deref()),
        _ => scalar.try_as_str().map_or(PRINTED_BYTES_MAX, length),
    }
}

fn slice_bytes(array: &dyn Array) -> Result<u64> {
    Ok(array.to_data().get_slice_memory_size()? as u64)
}

fn bytes(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| value.len() as u64)
}

/// How many items each row's list has. What is no list is taken to be all items.
fn items(value: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    fn of<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Vec<u64> {
        let sizes = lists.offsets().windows(2).map(|ends| (ends[1] - ends[0]).as_usize() as u64);
        sizes.collect()
    }
    let array = match value {
        ColumnarValue::Scalar(scalar) => scalar.to_array()?,
        ColumnarValue::Array(array) => Arc::clone(array),
    };
    let found = match array.data_type() {
        DataType::List(_) => of(array.as_list::<i32>()),
        DataType::LargeList(_) => of(array.as_list::<i64>()),
        _ => return lengths(value, rows),
    };
    Ok(match (value, found.first()) {
        (ColumnarValue::Scalar(_), Some(one)) => vec![*one; rows],
        _ => found,
    })
}

fn length(text: Option<&str>) -> u64 {
    text.map_or(0, |text| text.len() as u64)
}

fn integers(value: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    let one = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    if let ColumnarValue::Scalar(scalar) = value {
        let n = match scalar.cast_to(&DataType::Int64)? {
            ScalarValue::Int64(n) => one(n),
            _ => 0,
        };
        return Ok(vec![n; rows]);
    }
    let array = cast(&value.to_array(rows)?, &DataType::Int64)?;
    Ok(array.as_primitive::<Int64Type>().iter().map(one).collect())
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        self.inner.return_type(args)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(args)
    }

    // A bounded function is never rewritten into something else that is not bounded.
    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }
}

/// Plans `a || b` of texts as a bounded function: as an operator it could double a text in each
/// of a hundred subqueries.
#[derive(Debug)]
pub(super) struct JoinText;

impl ExprPlanner for JoinText {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let list = |side: &Expr| {
            let found = side.get_type(schema);
            found.is_ok_and(|found| found.is_nested())
        };
        if expr.op != BinaryOperator::StringConcat || list(&expr.left) || list(&expr.right) {
            return Ok(PlannerResult::Original(expr));
        }
        let join = ScalarUDF::from(Join { signature: Signature::any(2, Volatility::Immutable) });
        let join = wrap(&Arc::new(join));
        Ok(PlannerResult::Planned(join.call(vec![expr.left, expr.right])))
    }
}

/// The name that no statement can call, since it is no identifier.
pub(super) const JOIN_TEXT: &str = "||";

/// `||`: null where either side is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Join {
    signature: Signature,
}

impl ScalarUDFImpl for Join {
    fn name(&self) -> &str {
        JOIN_TEXT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [left, right] = arrays.as_slice() else {
            return exec_err!("|| takes two texts");
        };
        let (left, right) = (cast(left, &DataType::Utf8)?, cast(right, &DataType::Utf8)?);
        let joined = concat_elements_utf8(left.as_string::<i32>(), right.as_string::<i32>())?;
        Ok(ColumnarValue::Array(Arc::new(joined)))
    }
}
