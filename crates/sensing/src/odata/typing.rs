//! What type an expression is of, as far as that is known before there is a value, and which types
//! an operator joins.

use super::ast::{
    Aggregate, AggregateMethod, Apply, BinaryOp, Expr, ExprKind, GroupKey, Literal, Path, Step,
};
use crate::schema::ValueType;

impl ExprKind {
    pub fn value_type(&self) -> ValueType {
        match self {
            ExprKind::Literal(literal) => literal.value_type(),
            ExprKind::Path(path) => path.value_type(),
            ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Not(_) => ValueType::Boolean,
            ExprKind::Negate(operand) => negated(operand.value.value_type()),
            ExprKind::Binary { op, left, right } if op.is_arithmetic() => {
                arithmetic(*op, left.value.value_type(), right.value.value_type())
                    .unwrap_or(ValueType::Any)
            }
            ExprKind::Binary { .. } => ValueType::Boolean,
            ExprKind::Call { function, .. } => function.signature().returns,
        }
    }
}

impl Literal {
    pub fn value_type(&self) -> ValueType {
        match self {
            Literal::Null => ValueType::Null,
            Literal::Boolean(_) => ValueType::Boolean,
            Literal::Integer(_) => ValueType::Integer,
            Literal::Double(_) => ValueType::Number,
            Literal::Text(_) => ValueType::Text,
            Literal::Instant(_) => ValueType::Instant,
            Literal::Date(_) => ValueType::Date,
            Literal::TimeOfDay(_) => ValueType::TimeOfDay,
            Literal::Duration(_) => ValueType::Duration,
            Literal::Interval { .. } => ValueType::Interval,
            Literal::Geography(_) => ValueType::Geometry,
        }
    }
}

impl Path {
    pub fn value_type(&self) -> ValueType {
        match self.steps.last().map(|step| &step.value) {
            Some(Step::Property(property)) => property.value,
            Some(Step::Column(column)) => column.value,
            Some(Step::Key(_) | Step::Index(_)) => ValueType::Any,
            Some(Step::Navigation(_)) | None => ValueType::Json,
        }
    }
}

/// The results of `$apply` that have a name of their own.
pub(super) fn columns(apply: &Apply) -> impl Iterator<Item = (&str, ValueType)> {
    let windows = apply.keys.iter().filter_map(|key| match &key.value {
        GroupKey::Window(window) => Some((window.alias.as_str(), ValueType::Interval)),
        GroupKey::Path(_) => None,
    });
    let aggregates =
        apply.aggregates.iter().map(|item| (item.value.alias.as_str(), result_of(&item.value)));
    windows.chain(aggregates)
}

pub(super) fn column(apply: &Apply, name: &str) -> Option<ValueType> {
    columns(apply).find(|(column, _)| *column == name).map(|(_, value)| value)
}

fn result_of(aggregate: &Aggregate) -> ValueType {
    match aggregate.method {
        AggregateMethod::Rows | AggregateMethod::CountDistinct => ValueType::Integer,
        AggregateMethod::Average | AggregateMethod::Sum => ValueType::Number,
        AggregateMethod::First
        | AggregateMethod::Last
        | AggregateMethod::Max
        | AggregateMethod::Min => aggregate.path.as_ref().map_or(ValueType::Any, Path::value_type),
    }
}

/// Values of one family can be compared. Ids are compared as numbers or texts, whichever they meet.
fn comparable(left: ValueType, right: ValueType) -> bool {
    use ValueType::{Id, Text};
    if left.is_dynamic() || right.is_dynamic() {
        return true;
    }
    let id_with = |a: ValueType, b: ValueType| a == Id && (b == Text || b.is_numeric());
    left == right
        || (left.is_numeric() && right.is_numeric())
        || (left.is_temporal() && right.is_temporal())
        || id_with(left, right)
        || id_with(right, left)
}

/// Has the type an order? Every type has equality.
fn has_order(value: ValueType) -> bool {
    !matches!(value, ValueType::Boolean | ValueType::Geometry | ValueType::Json)
}

/// Why two types cannot be compared; `None` where they can.
pub(super) fn comparison(op: BinaryOp, left: ValueType, right: ValueType) -> Option<String> {
    if !comparable(left, right) {
        return Some(format!("`{}` cannot compare {left} with {right}", op.word()));
    }
    let needs_order = !matches!(op, BinaryOp::Eq | BinaryOp::Ne);
    let without = [left, right].into_iter().find(|value| needs_order && !has_order(*value))?;
    Some(format!("`{}` needs an order, and {without} has none", op.word()))
}

/// The type of a calculation; `None` where there is none.
pub(super) fn arithmetic(op: BinaryOp, left: ValueType, right: ValueType) -> Option<ValueType> {
    use ValueType::{Any, Date, Duration, Instant, Integer, Interval, Number, Time};
    if left.is_dynamic() || right.is_dynamic() {
        return Some(match (left, right) {
            // What is known of one side decides what comes out.
            (Instant, _) if op == BinaryOp::Add => Instant,
            (Integer | Number, _) | (_, Integer | Number) => Number,
            _ => Any,
        });
    }
    match (op, left, right) {
        (BinaryOp::Div, l, r) if l.is_numeric() && r.is_numeric() => Some(Number),
        (_, Integer, Integer) => Some(Integer),
        (_, l, r) if l.is_numeric() && r.is_numeric() => Some(Number),
        (BinaryOp::Add | BinaryOp::Sub, Instant | Interval | Time | Date, Duration) => Some(left),
        (BinaryOp::Add | BinaryOp::Sub, Duration, Duration) => Some(Duration),
        (BinaryOp::Add, Duration, Instant | Interval | Time | Date) => Some(right),
        (BinaryOp::Sub, Instant, Instant) | (BinaryOp::Sub, Date, Date) => Some(Duration),
        (BinaryOp::Mul | BinaryOp::Div, Duration, r) if r.is_numeric() => Some(Duration),
        (BinaryOp::Mul, l, Duration) if l.is_numeric() => Some(Duration),
        _ => None,
    }
}

/// The type of `-x`; [`can_negate`] tells whether there is one.
pub(super) fn negated(operand: ValueType) -> ValueType {
    if operand == ValueType::Null { ValueType::Any } else { operand }
}

pub(super) fn can_negate(operand: ValueType) -> bool {
    operand.is_numeric() || operand.is_dynamic() || operand == ValueType::Duration
}

/// May the value decide whether an entity is chosen?
pub(super) fn can_decide(value: ValueType) -> bool {
    value == ValueType::Boolean || value.is_dynamic()
}

/// Can entities be put in order, or in groups, by the value?
pub(super) fn can_sort(value: ValueType) -> bool {
    !matches!(value, ValueType::Geometry | ValueType::Json)
}

pub(super) fn of(expr: &Expr) -> ValueType {
    expr.value.value_type()
}
