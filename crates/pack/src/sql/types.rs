//! What types go together in an expression: stricter than DataFusion, which would compare a
//! number with a text by making both texts.
//!
//! Looks at one node at a time; `plan` walks.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};

/// Types that compare with one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    Number,
    Boolean,
    Time,
    Span,
    Bytes,
    Null,
    Other,
}

fn family(ty: &DataType) -> Family {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Family::Text,
        DataType::Dictionary(_, value) => family(value),
        DataType::Boolean => Family::Boolean,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => Family::Time,
        DataType::Interval(_) | DataType::Duration(_) => Family::Span,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Family::Bytes,
        DataType::Null => Family::Null,
        ty if ty.is_numeric() => Family::Number,
        _ => Family::Other,
    }
}

/// A type in the words of contracts.
pub fn word(ty: &DataType) -> String {
    match family(ty) {
        Family::Text => "text".to_owned(),
        Family::Number if ty.is_integer() => "integer".to_owned(),
        Family::Number => "number".to_owned(),
        Family::Boolean => "boolean".to_owned(),
        Family::Time if matches!(ty, DataType::Timestamp(_, _)) => "timestamp".to_owned(),
        Family::Time => "date".to_owned(),
        Family::Span => "interval".to_owned(),
        Family::Bytes => "geometry".to_owned(),
        Family::Null => "null".to_owned(),
        Family::Other => ty.to_string().to_lowercase(),
    }
}

/// Two operands that do not go together.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub problem: String,
    pub expected: String,
    pub found: String,
}

/// Looks at the top of an expression only; its operands were looked at before it.
pub(super) fn mismatch(expr: &Expr, schema: &DFSchema) -> Option<Mismatch> {
    match expr {
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::And | Operator::Or => [&binary.left, &binary.right]
                .into_iter()
                .find_map(|side| must_be(side, Family::Boolean, "boolean", binary.op, schema)),
            Operator::LikeMatch
            | Operator::ILikeMatch
            | Operator::NotLikeMatch
            | Operator::NotILikeMatch
            | Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch
            | Operator::StringConcat => [&binary.left, &binary.right]
                .into_iter()
                .find_map(|side| must_be(side, Family::Text, "text", binary.op, schema)),
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom => compared(&binary.left, &binary.right, schema),
            op if op.is_numerical_operators() => [&binary.left, &binary.right]
                .into_iter()
                .find_map(|side| must_count(side, op, schema)),
            _ => None,
        },
        Expr::Not(inner) => must_be(inner, Family::Boolean, "boolean", "NOT", schema),
        Expr::Negative(inner) => must_count(inner, "-", schema),
        Expr::Like(like) | Expr::SimilarTo(like) => [&like.expr, &like.pattern]
            .into_iter()
            .find_map(|side| must_be(side, Family::Text, "text", "LIKE", schema)),
        Expr::Between(between) => [&between.low, &between.high]
            .into_iter()
            .find_map(|bound| compared(&between.expr, bound, schema)),
        Expr::InList(list) => list.list.iter().find_map(|item| compared(&list.expr, item, schema)),
        _ => None,
    }
}

fn must_be(
    operand: &Expr,
    wanted: Family,
    wanted_word: &str,
    operator: impl std::fmt::Display,
    schema: &DFSchema,
) -> Option<Mismatch> {
    let ty = operand.get_type(schema).ok()?;
    let fits = matches!(family(&ty), found if found == wanted || found == Family::Null);
    (!fits).then(|| Mismatch {
        problem: format!("`{operator}` cannot take {}", shown(operand)),
        expected: wanted_word.to_owned(),
        found: word(&ty),
    })
}

fn must_count(
    operand: &Expr,
    operator: impl std::fmt::Display,
    schema: &DFSchema,
) -> Option<Mismatch> {
    let ty = operand.get_type(schema).ok()?;
    let fits = matches!(family(&ty), Family::Number | Family::Time | Family::Span | Family::Null);
    (!fits).then(|| Mismatch {
        problem: format!("`{operator}` cannot take {}", shown(operand)),
        expected: "a number or a time".to_owned(),
        found: word(&ty),
    })
}

fn compared(left: &Expr, right: &Expr, schema: &DFSchema) -> Option<Mismatch> {
    let (left_ty, right_ty) = (left.get_type(schema).ok()?, right.get_type(schema).ok()?);
    let (left_family, right_family) = (family(&left_ty), family(&right_ty));
    if left_family == right_family
        || left_family == Family::Null
        || right_family == Family::Null
        || written_time(left, right_family, &right_ty)
        || written_time(right, left_family, &left_ty)
    {
        return None;
    }
    // The field is what stays; the other side is what somebody wrote wrong.
    let (kept, kept_ty, other, other_ty) = match left {
        Expr::Literal(..) => (right, right_ty, left, left_ty),
        _ => (left, left_ty, right, right_ty),
    };
    Some(Mismatch {
        problem: format!("{} cannot be compared with {}", shown(kept), shown(other)),
        expected: word(&kept_ty),
        found: word(&other_ty),
    })
}

/// Times are written as texts (`'2020-01-01'`), which must then read as times.
fn written_time(text: &Expr, other: Family, other_ty: &DataType) -> bool {
    match text {
        Expr::Literal(
            value @ (ScalarValue::Utf8(_) | ScalarValue::Utf8View(_) | ScalarValue::LargeUtf8(_)),
            _,
        ) => other == Family::Time && value.cast_to(other_ty).is_ok(),
        _ => false,
    }
}

fn shown(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => format!("`{}`", column.name),
        Expr::Literal(value, _) => match value {
            ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
                format!("`'{text}'`")
            }
            value => format!("`{value}`"),
        },
        expr => format!("`{}`", expr.schema_name()),
    }
}

/// The names that an expression over this schema may use.
pub(super) fn names(schema: &Schema) -> impl Iterator<Item = &str> {
    schema.fields().iter().map(|field| field.name().as_str())
}
