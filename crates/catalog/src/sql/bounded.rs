//! Text functions that can make much out of little, with a bound on what they make.
//!
//! Memory pools count what operators hold, not what an expression makes in one batch: `repeat`
//! of a large number would take the process down before any pool noticed. Each of these says in
//! advance how large its answer would be; regular expressions, which are compiled once, have
//! their patterns bounded.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

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
