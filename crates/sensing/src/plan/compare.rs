//! Comparisons (`eq ne gt ge lt le`) as SQL, as [`odata::semantics`](crate::odata::semantics) has
//! them: always true or false; values of different types are not equal and have no order.

use crate::odata::{BinaryOp, Function};

use super::key::ObservationKey;
use super::scope::Compiler;
use super::sql::{FALSE, TRUE, Value, all, any, is_not_true, not};
use super::term::{End, Id, Period, Scalar, Term};

/// A comparison in SQL: what is true where it holds, and what is true where it does not. Where one
/// is not true it is false or null.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Predicate {
    pub holds: String,
    pub fails: String,
}

impl Predicate {
    pub fn new(holds: String) -> Self {
        let fails = is_not_true(&holds);
        Self { holds, fails }
    }

    fn never() -> Self {
        Self::new(FALSE.to_owned())
    }

    fn always() -> Self {
        Self::new(TRUE.to_owned())
    }

    #[must_use]
    fn negated(self) -> Self {
        Self { holds: self.fails, fails: self.holds }
    }

    /// True or false, never null.
    pub fn value(&self) -> String {
        match self.holds.as_str() {
            TRUE | FALSE => self.holds.clone(),
            holds => format!("({holds} IS TRUE)"),
        }
    }
}

/// `a = b`, nulls being equal.
fn equal(left: &Scalar, right: &Scalar) -> Predicate {
    let (l, r) = (&left.sql, &right.sql);
    let fails = format!("({l} IS DISTINCT FROM {r})");
    let holds = match left.certain || right.certain {
        true => format!("({l} = {r})"),
        false => format!("({l} IS NOT DISTINCT FROM {r})"),
    };
    Predicate { holds, fails }
}

fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        _ => "=",
    }
}

fn scalars(op: BinaryOp, left: &Scalar, right: &Scalar) -> Predicate {
    match op {
        BinaryOp::Eq => equal(left, right),
        _ => Predicate::new(format!("({} {} {})", left.sql, symbol(op), right.sql)),
    }
}

impl Compiler<'_> {
    /// A comparison of two values.
    pub fn compare(&mut self, op: BinaryOp, left: &Term, right: &Term) -> Predicate {
        match op {
            BinaryOp::Ne => self.compare(BinaryOp::Eq, left, right).negated(),
            _ => match (left, right) {
                (Term::Null, other) | (other, Term::Null) => match op {
                    BinaryOp::Eq => {
                        let holds = other.is_null();
                        Predicate { fails: not(&holds), holds }
                    }
                    _ => Predicate::never(),
                },
                _ if left.is_dynamic() && right.is_dynamic() => dynamic(op, left, right),
                _ if left.is_dynamic() || right.is_dynamic() => self.half_known(op, left, right),
                _ => self.known(op, left, right),
            },
        }
    }

    /// Both types are known.
    fn known(&mut self, op: BinaryOp, left: &Term, right: &Term) -> Predicate {
        match (left, right) {
            (Term::Id(_), _) | (_, Term::Id(_)) => self.ids(op, left, right),
            (Term::Text { scalar: l, .. }, Term::Text { scalar: r, .. })
            | (Term::Boolean(l), Term::Boolean(r))
            | (Term::TimeOfDay(l), Term::TimeOfDay(r))
            | (Term::Date { scalar: l, .. }, Term::Date { scalar: r, .. }) => scalars(op, l, r),
            (Term::Number(l), Term::Number(r)) => scalars(op, &l.scalar, &r.scalar),
            (Term::Duration(l), Term::Duration(r)) => scalars(op, &l.scalar, &r.scalar),
            (Term::Time(_) | Term::Date { .. }, Term::Time(_) | Term::Date { .. }) => {
                match (left.as_period(), right.as_period()) {
                    (Some(left), Some(right)) => periods(op, &left, &right),
                    _ => Predicate::never(),
                }
            }
            (Term::Geometry { geometry: l, .. }, Term::Geometry { geometry: r, .. }) => {
                let same = format!("st_equals({}, {})", l.sql, r.sql);
                with_nulls(op, same, left, right)
            }
            (Term::Object(_), Term::Object(_)) => match (left.as_value(), right.as_value()) {
                (Some(l), Some(r)) => scalars(op, &l, &r),
                _ => Predicate::never(),
            },
            _ => both_null(op, left, right),
        }
    }

    /// One type is known; the other value is looked at as one of that type.
    fn half_known(&mut self, op: BinaryOp, left: &Term, right: &Term) -> Predicate {
        let known = if left.is_dynamic() { right } else { left };
        let holds = match known {
            Term::Time(_) | Term::Date { .. } => match (left.as_period(), right.as_period()) {
                (Some(l), Some(r)) => periods(op, &l, &r).holds,
                _ => FALSE.to_owned(),
            },
            Term::Geometry { .. } => match (left.as_geometry(), right.as_geometry()) {
                (Some(l), Some(r)) if op == BinaryOp::Eq => {
                    format!("st_equals({}, {})", l.sql, r.sql)
                }
                _ => FALSE.to_owned(),
            },
            _ => {
                let faces = match known {
                    Term::Text { .. } | Term::Id(Id::Observation(_)) => {
                        Some((left.as_text(), right.as_text()))
                    }
                    Term::Number(_) | Term::Id(Id::Integer(_)) => {
                        Some((left.as_number(), right.as_number()))
                    }
                    Term::Boolean(_) => Some((left.as_boolean(), right.as_boolean())),
                    Term::Object(_) => left.as_value().zip(right.as_value()),
                    _ => None,
                };
                match faces {
                    // A face that is missing is no null: nulls are looked at below.
                    Some((l, r)) => format!("({} {} {})", l.sql, symbol(op), r.sql),
                    None => FALSE.to_owned(),
                }
            }
        };
        with_nulls(op, holds, left, right)
    }

    /// Ids are compared as numbers or texts, whichever they meet, and Observations' in the order
    /// of their rows.
    fn ids(&mut self, op: BinaryOp, left: &Term, right: &Term) -> Predicate {
        match (left, right) {
            (Term::Id(Id::Integer(id)), Term::Text { literal: Some(text), .. })
                if op == BinaryOp::Eq =>
            {
                match text.parse::<i64>() {
                    Ok(number) if number.to_string() == *text => {
                        let number = self.parameters.give(Value::Integer(number));
                        equal(id, &Scalar::certain(number))
                    }
                    _ => Predicate::never(),
                }
            }
            (Term::Id(Id::Observation(alias)), Term::Text { literal: Some(text), .. }) => {
                match text.parse() {
                    Ok(key) => Predicate::new(self.observation(op, alias, key)),
                    Err(_) => Predicate::never(),
                }
            }
            (Term::Text { literal: Some(_), .. }, Term::Id(_)) => {
                self.ids(mirrored(op), right, left)
            }
            (Term::Id(Id::Observation(_)), Term::Number(_))
            | (Term::Number(_), Term::Id(Id::Observation(_))) => Predicate::never(),
            (
                Term::Number(_) | Term::Id(Id::Integer(_)),
                Term::Number(_) | Term::Id(Id::Integer(_)),
            ) => scalars(op, &left.as_number(), &right.as_number()),
            (Term::Text { .. } | Term::Id(_), Term::Text { .. } | Term::Id(_)) => {
                scalars(op, &left.as_text(), &right.as_text())
            }
            _ => both_null(op, left, right),
        }
    }

    /// An Observation's key against one that is known: what comes first decides, as in the lake.
    pub fn observation(&mut self, op: BinaryOp, alias: &str, key: ObservationKey) -> String {
        let ObservationKey { datastream, time_us, ordinal } = key;
        let datastream = self.parameters.give(Value::Integer(datastream));
        let time = self.parameters.give(Value::Instant(time_us));
        let ordinal = self.parameters.give(Value::Integer(ordinal));
        let (d, t, o) = (
            format!("{alias}.datastream"),
            format!("{alias}.phenomenon_time"),
            format!("{alias}.ordinal"),
        );
        let strict = match op {
            BinaryOp::Gt | BinaryOp::Ge => ">",
            BinaryOp::Lt | BinaryOp::Le => "<",
            _ => {
                return format!("({d} = {datastream} AND {t} = {time} AND {o} = {ordinal})");
            }
        };
        let last = symbol(op);
        format!(
            "({d} {strict}= {datastream} AND ({d} {strict} {datastream} OR {t} {strict} {time} OR \
             ({t} = {time} AND {o} {last} {ordinal})))"
        )
    }
}

fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::Ge => BinaryOp::Le,
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::Le => BinaryOp::Ge,
        other => other,
    }
}

/// Values of different types: equal only where both are null.
fn both_null(op: BinaryOp, left: &Term, right: &Term) -> Predicate {
    with_nulls(op, FALSE.to_owned(), left, right)
}

/// `eq` holds between two nulls as well.
fn with_nulls(op: BinaryOp, holds: String, left: &Term, right: &Term) -> Predicate {
    if op != BinaryOp::Eq || left.is_certain() || right.is_certain() {
        return Predicate::new(holds);
    }
    let nulls = all(vec![left.is_null(), right.is_null()]);
    if nulls == TRUE { Predicate::always() } else { Predicate::new(any(vec![holds, nulls])) }
}

/// Neither type is known: each face with its like.
fn dynamic(op: BinaryOp, left: &Term, right: &Term) -> Predicate {
    let face = |l: Scalar, r: Scalar| format!("({} {} {})", l.sql, symbol(op), r.sql);
    let mut holds = vec![face(left.as_number(), right.as_number())];
    match (op, left.as_value().zip(right.as_value())) {
        (BinaryOp::Eq, Some((l, r))) => holds.push(face(l, r)),
        _ => holds.push(face(left.as_text(), right.as_text())),
    }
    with_nulls(op, any(holds), left, right)
}

// --- Times ------------------------------------------------------------------------------------

/// As [`Period::compare`](crate::odata::semantics::Period::compare).
fn periods(op: BinaryOp, left: &Period, right: &Period) -> Predicate {
    match op {
        BinaryOp::Lt => Predicate::new(before(left, right)),
        BinaryOp::Gt => Predicate::new(before(right, left)),
        BinaryOp::Le => Predicate::new(ends_by(left, &right.end().sql)),
        BinaryOp::Ge => Predicate::new(format!("({} >= {})", left.start.sql, right.start.sql)),
        _ => same(left, right),
    }
}

/// Over when the other begins.
///
/// An instant must lie before, an interval may end there: since an interval begins before it ends,
/// both is to begin before and to end by then.
fn before(left: &Period, right: &Period) -> String {
    let (l, r) = (&left.start.sql, &right.start.sql);
    match &left.end {
        End::Same => format!("({l} < {r})"),
        End::OrStart(end) => format!("({l} < {r} AND ({end} IS NULL OR {end} <= {r}))"),
        End::At(end) => format!("({l} < {r} AND {} <= {r})", end.sql),
    }
}

/// Ends no later than then. That it begins no later goes without saying, and lets rows be found.
fn ends_by(period: &Period, then: &str) -> String {
    let start = &period.start.sql;
    match &period.end {
        End::Same => format!("({start} <= {then})"),
        End::OrStart(end) => {
            format!("({start} <= {then} AND ({end} IS NULL OR {end} <= {then}))")
        }
        End::At(end) => format!("({} <= {then})", end.sql),
    }
}

fn same(left: &Period, right: &Period) -> Predicate {
    let starts = equal(&left.start, &right.start);
    match (&left.end, &right.end) {
        (End::Same, End::Same) => starts,
        (End::OrStart(end), End::Same) | (End::Same, End::OrStart(end)) => {
            let instant = if matches!(left.end, End::Same) { left } else { right };
            let ends = format!("({end} IS NULL OR {end} = {})", instant.start.sql);
            Predicate::new(all(vec![starts.holds, ends]))
        }
        _ => {
            let ends = equal(&left.end(), &right.end());
            Predicate::new(all(vec![starts.holds, ends.holds]))
        }
    }
}

/// FROST's relations of times. A null makes the answer null.
pub(super) fn relation(function: Function, left: &Period, right: &Period) -> String {
    let (l, r) = (&left.start.sql, &right.start.sql);
    let (left_end, right_end) = (left.end().sql, right.end().sql);
    match function {
        Function::Before => before(left, right),
        Function::After => before(right, left),
        Function::Meets => format!("({left_end} = {r} OR {right_end} = {l})"),
        Function::During => format!(
            "({l} >= {r} AND ({left_end} < {right_end} OR ({left_end} = {right_end} AND \
             ({l} < {left_end} OR {r} = {right_end}))))"
        ),
        Function::Overlaps => {
            format!("(NOT {} AND NOT {})", before(left, right), before(right, left))
        }
        Function::Starts => format!("({l} = {r})"),
        _ => format!("({left_end} = {right_end})"),
    }
}
