//! Which expressions cannot fail, whatever the row.
//!
//! Where rows are only told of in groups, a failure is an answer about one of them:
//! `WHERE id = '…' AND 1 / (CASE WHEN income > 5000 THEN 0 ELSE 1 END) = 1` fails for the rich and
//! not for the poor. So what runs over single rows there is made of parts that have a value for
//! every input. It is a list of what is known to be harmless; whatever is not on it is refused.
//!
//! It is asked of a plan whose types are coerced: a comparison of a text with a number hides a
//! cast, and that cast may fail.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use super::bounded::{JOIN_TEXT, PATTERN_BYTES_MAX};

/// Functions with a value for all arguments of their types.
const TOTAL: &[&str] = &[
    JOIN_TEXT,
    "area_prefix",
    "btrim",
    "ceil",
    "character_length",
    "coalesce",
    "concat",
    "contains",
    "current_date",
    "ends_with",
    "floor",
    "greatest",
    "isnan",
    "json_boolean",
    "json_instant",
    "json_number",
    "json_text",
    "json_type",
    "least",
    "lower",
    "ltrim",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "reverse",
    "rtrim",
    "starts_with",
    "strpos",
    "upper",
    "valid_area_code",
    "valid_credit_code",
    "valid_identity_number",
];

/// Functions that may not like their second and third argument: these are whole numbers, written
/// out, from 0 on.
const COUNTED: &[&str] = &["left", "right", "substr"];

/// Units of `date_part` and `date_trunc` that both know.
const UNITS: &[&str] = &["day", "hour", "minute", "month", "quarter", "second", "week", "year"];

/// The first part of a step's expressions that could fail for a single row, as text.
pub(super) fn loud(plan: &LogicalPlan) -> Result<Option<String>> {
    let Some(input) = plan.inputs().first().copied() else { return Ok(None) };
    let schema = input.schema();
    let mut loud = None;
    plan.apply_expressions(|expr| {
        expr.apply(|part| {
            if quiet(part, schema)? {
                return Ok(TreeNodeRecursion::Continue);
            }
            loud = Some(part.to_string());
            Ok(TreeNodeRecursion::Stop)
        })
    })?;
    Ok(loud)
}

/// Whether this part fails for no row whose own parts have values.
fn quiet(part: &Expr, schema: &DFSchema) -> Result<bool> {
    Ok(match part {
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::InList(_)
        | Expr::TryCast(_)
        | Expr::GroupingSet(_)
        // Aggregates themselves are listed elsewhere; their arguments are parts of their own.
        | Expr::AggregateFunction(_) => true,
        Expr::BinaryExpr(binary) => operator(binary, schema)?,
        Expr::Negative(value) => matches!(value.as_ref(), Expr::Column(_)),
        Expr::Like(Like { pattern, .. }) => short(pattern),
        Expr::Cast(cast) => sure(cast, schema)?,
        Expr::ScalarFunction(call) => total(call),
        // Run once, and not for a row: what they read, or whether they fail, tells of no row.
        Expr::Exists(exists) => exists.subquery.outer_ref_columns.is_empty(),
        Expr::InSubquery(within) => within.subquery.outer_ref_columns.is_empty(),
        Expr::SetComparison(comparison) => comparison.subquery.outer_ref_columns.is_empty(),
        Expr::ScalarSubquery(subquery) => subquery.outer_ref_columns.is_empty(),
        _ => false,
    })
}

fn operator(binary: &BinaryExpr, schema: &DFSchema) -> Result<bool> {
    let BinaryExpr { left, op, right } = binary;
    Ok(match op {
        Operator::And
        | Operator::Or
        | Operator::Eq
        | Operator::NotEq
        | Operator::Lt
        | Operator::LtEq
        | Operator::Gt
        | Operator::GtEq
        | Operator::IsDistinctFrom
        | Operator::IsNotDistinctFrom => true,
        // Whole numbers wrap around; moments and decimals fail.
        Operator::Plus | Operator::Minus | Operator::Multiply => {
            number(left, schema)? && number(right, schema)?
        }
        Operator::Divide | Operator::Modulo => {
            number(left, schema)? && number(right, schema)? && divides(right, schema)?
        }
        _ => false,
    })
}

fn number(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    let found = expr.get_type(schema)?;
    Ok(found.is_integer() || found.is_floating())
}

/// Fractions have a quotient for every divisor, whole numbers for a positive one.
fn divides(right: &Expr, schema: &DFSchema) -> Result<bool> {
    if right.get_type(schema)?.is_floating() {
        return Ok(true);
    }
    Ok(whole(right).is_some_and(|divisor| divisor > 0))
}

/// A whole number that is written out.
fn whole(expr: &Expr) -> Option<i64> {
    let value = match expr {
        Expr::Literal(value, _) => value,
        Expr::Cast(cast) => return whole(&cast.expr),
        _ => return None,
    };
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

/// A pattern that is written out, and not too long to be compiled.
fn short(pattern: &Expr) -> bool {
    match pattern {
        Expr::Literal(value, _) => value
            .try_as_str()
            .is_some_and(|text| text.is_none_or(|text| text.len() <= PATTERN_BYTES_MAX)),
        _ => false,
    }
}

fn sure(cast: &Cast, schema: &DFSchema) -> Result<bool> {
    let to = cast.field.data_type();
    if let Expr::Literal(value, _) = cast.expr.as_ref() {
        return Ok(value.cast_to(to).is_ok());
    }
    let from = cast.expr.get_type(schema)?;
    // Stored moments are of this age of the world; computed ones need not be.
    let stored = matches!(cast.expr.as_ref(), Expr::Column(_));
    Ok(match (&from, to) {
        (from, to) if from == to => true,
        (DataType::Null, _) => true,
        (from, to) if from.is_string() || from == &DataType::Boolean => to.is_string(),
        (from, to) if from.is_integer() || from.is_floating() => {
            to.is_string()
                || to == &DataType::Float64
                || from.is_integer() && to == &DataType::Float32
                || from.is_signed_integer()
                    && to.is_signed_integer()
                    && to.primitive_width() >= from.primitive_width()
        }
        (from, to) if from.is_temporal() => stored && (to.is_temporal() || to.is_string()),
        _ => false,
    })
}

fn total(call: &ScalarFunction) -> bool {
    let name = call.name();
    match (name, call.args.as_slice()) {
        ("round" | "trunc", [_]) => true,
        ("date_part" | "date_trunc", [Expr::Literal(unit, _), moment]) => {
            let unit = unit.try_as_str().flatten().map(str::to_lowercase);
            unit.is_some_and(|unit| UNITS.contains(&unit.as_str())) && known(moment)
        }
        (name, [_, counts @ ..]) if COUNTED.contains(&name) => {
            counts.iter().all(|count| whole(count).is_some_and(|count| count >= 0))
        }
        _ => TOTAL.contains(&name),
    }
}

/// A stored moment or the present one, perhaps in another unit.
fn known(moment: &Expr) -> bool {
    match moment {
        Expr::Column(_) => true,
        Expr::Cast(cast) => known(&cast.expr),
        Expr::ScalarFunction(call) => {
            call.args.is_empty() && matches!(call.name(), "now" | "current_date")
        }
        _ => false,
    }
}
