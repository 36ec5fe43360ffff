//! Text functions that can make much out of little, with a bound on what they make.
//!
//! Memory pools count what operators hold, not what an expression makes in one batch: `repeat`
//! of a large number would take the process down before any pool noticed. Each of these says in
//! advance how large its answer would be; regular expressions, which are compiled once, have
//! their patterns bounded.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::compute::kernels::concat_elements::concat_elements_utf8;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, exec_err};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{LimitKind, SqlError};

/// Text that one call may make over one batch of rows.
pub const TEXT_BYTES_MAX: u64 = 64 << 20;
/// A regular expression's source.
pub const PATTERN_BYTES_MAX: usize = 1_000;
/// Bytes of the longest character: what padding by one character may add.
const CHAR_BYTES_MAX: u64 = 4;

/// The function as it is, or with its bound.
pub(super) fn wrap(function: &Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let bound = match function.name() {
        "repeat" => Bound::Repeat,
        "lpad" | "rpad" => Bound::Pad,
        "replace" => Bound::Replace,
        "concat" | "concat_ws" | "overlay" => Bound::Sum,
        "regexp_like" | "regexp_match" | "regexp_count" | "regexp_instr" | "regexp_replace" => {
            Bound::Pattern
        }
        _ => return Arc::clone(function),
    };
    Arc::new(ScalarUDF::from(Bounded { inner: Arc::clone(function), bound }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bound {
    Repeat,
    Pad,
    Replace,
    Sum,
    Pattern,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    bound: Bound,
}

impl Bounded {
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let rows = args.number_rows;
        let sizes = args.args.iter().map(|arg| lengths(arg, rows)).collect::<Result<Vec<_>>>()?;
        let made: u64 = match (self.bound, args.args.as_slice()) {
            (Bound::Repeat, [_, times]) => {
                let times = integers(times, rows)?;
                sizes[0].iter().zip(&times).map(|(size, n)| size.saturating_mul(*n)).sum_capped()
            }
            (Bound::Pad, [_, width, ..]) => {
                let widths = integers(width, rows)?;
                widths.iter().map(|width| width.saturating_mul(CHAR_BYTES_MAX)).sum_capped()
            }
            (Bound::Replace, [..]) if sizes.len() == 3 => (0..rows)
                .map(|row| {
                    let (text, from, to) = (sizes[0][row], sizes[1][row], sizes[2][row]);
                    // An empty `from` matches between all characters.
                    let matches = text.checked_div(from).unwrap_or(text).saturating_add(1);
                    text.saturating_add(matches.saturating_mul(to))
                })
                .sum_capped(),
            (Bound::Pattern, [_, pattern, ..]) => {
                return bounded_pattern(lengths(pattern, rows)?);
            }
            _ => sizes.iter().flatten().copied().sum_capped(),
        };
        if made <= TEXT_BYTES_MAX {
            return Ok(());
        }
        over(format!("{} would make {made} bytes, at most {TEXT_BYTES_MAX} allowed", self.name()))
    }
}

fn bounded_pattern(sizes: Vec<u64>) -> Result<()> {
    let longest = sizes.into_iter().max().unwrap_or(0);
    if longest <= PATTERN_BYTES_MAX as u64 {
        return Ok(());
    }
    over(format!("a pattern of {longest} bytes, at most {PATTERN_BYTES_MAX} allowed"))
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

/// Bytes of each row's text; what is no text counts as its printed width at most.
fn lengths(value: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    const PRINTED_BYTES_MAX: u64 = 40;
    if let ColumnarValue::Scalar(scalar) = value {
        let size = match scalar.try_as_str() {
            Some(text) => text.map_or(0, |text| text.len() as u64),
            None => PRINTED_BYTES_MAX,
        };
        return Ok(vec![size; rows]);
    }
    let array = value.to_array(rows)?;
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().map(length).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(length).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(length).collect(),
        _ => vec![PRINTED_BYTES_MAX; rows],
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
        let sizes = args.args.iter().map(|arg| lengths(arg, args.number_rows));
        let sizes = sizes.collect::<Result<Vec<_>>>()?;
        let made = sizes.iter().flatten().copied().sum_capped();
        if made > TEXT_BYTES_MAX {
            return over(format!("|| would make {made} bytes, at most {TEXT_BYTES_MAX} allowed"));
        }
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [left, right] = arrays.as_slice() else {
            return exec_err!("|| takes two texts");
        };
        let (left, right) = (cast(left, &DataType::Utf8)?, cast(right, &DataType::Utf8)?);
        let joined = concat_elements_utf8(left.as_string::<i32>(), right.as_string::<i32>())?;
        Ok(ColumnarValue::Array(Arc::new(joined)))
    }
}
