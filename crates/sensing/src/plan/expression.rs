//! Expressions as values: literals, paths, calculations.

use chrono::{DateTime, FixedOffset, NaiveDate, Timelike};
use wkt::ToWkt;

use crate::odata::{BinaryOp, Expr, ExprKind, IsoDuration, Literal, Span};

use super::error::{PlanErrorKind, Result};
use super::scope::Compiler;
use super::sql::Value;
use super::term::{End, Length, Number, Period, Scalar, Term, micros, stamp};

impl Compiler<'_> {
    /// The value of an expression. The recursion is as deep as the tree.
    pub fn term(&mut self, expr: &Expr) -> Result<Term> {
        match &expr.value {
            ExprKind::Literal(literal) => Ok(self.literal(literal)),
            ExprKind::Path(path) => self.path(path, expr.span),
            ExprKind::Call { function, arguments } => self.call(*function, arguments, expr.span),
            ExprKind::Negate(operand) => {
                let operand_term = self.term(operand)?;
                self.negated(operand_term, expr.span)
            }
            ExprKind::Binary { op, left, right } if op.is_arithmetic() => {
                let (l, r) = (self.term(left)?, self.term(right)?);
                self.calculated(*op, l, r, expr.span)
            }
            ExprKind::Binary { .. } | ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Not(_) => {
                self.truth_value(expr)
            }
        }
    }

    fn literal(&mut self, literal: &Literal) -> Term {
        match literal {
            Literal::Null => Term::Null,
            Literal::Boolean(value) => {
                Term::Boolean(Scalar::certain(self.parameters.give(Value::Boolean(*value))))
            }
            Literal::Integer(value) => {
                Term::whole(Scalar::certain(self.parameters.give(Value::Integer(*value))))
            }
            Literal::Double(value) => {
                Term::number(Scalar::certain(self.parameters.give(Value::Number(*value))))
            }
            Literal::Text(text) => Term::Text {
                scalar: Scalar::certain(self.parameters.text(text)),
                literal: Some(text.clone()),
            },
            Literal::Instant(instant) => Term::Time(self.period(*instant, *instant)),
            Literal::Interval { start, end } => Term::Time(self.period(*start, *end)),
            Literal::Date(day) => self.day(*day),
            Literal::TimeOfDay(time) => {
                let seconds = i64::from(time.num_seconds_from_midnight());
                let micros = seconds * super::term::MICROS_PER_SECOND
                    + i64::from(time.nanosecond() % 1_000_000_000 / 1_000);
                let micros = self.parameters.give(Value::Integer(micros));
                Term::TimeOfDay(Scalar::certain(micros))
            }
            Literal::Duration(length) => Term::Duration(Length {
                scalar: Scalar::certain(self.parameters.give(Value::Integer(length.micros))),
                literal: Some(*length),
            }),
            Literal::Geography(geometry) => {
                let text = self.parameters.text(geometry.wkt_string());
                let geometry = Scalar::certain(format!("st_geomfromtext({text})"));
                Term::Geometry { geometry, given: None }
            }
        }
    }

    /// An instant, or an interval that is longer than nothing.
    pub fn period(&mut self, start: DateTime<FixedOffset>, end: DateTime<FixedOffset>) -> Period {
        let mut instant = |at: DateTime<FixedOffset>| {
            Scalar::certain(self.parameters.give(Value::Instant(at.timestamp_micros())))
        };
        let first = instant(start);
        let last = if start == end { End::Same } else { End::At(instant(end)) };
        Period { start: first, end: last, literal: Some((start, end)) }
    }

    pub fn day(&mut self, day: NaiveDate) -> Term {
        let midnight = day.and_hms_opt(0, 0, 0).map_or(0, |day| day.and_utc().timestamp_micros());
        let scalar = Scalar::certain(self.parameters.give(Value::Instant(midnight)));
        Term::Date { scalar, literal: Some(day) }
    }

    // --- Calculations -------------------------------------------------------------------------

    fn negated(&mut self, operand: Term, span: Span) -> Result<Term> {
        self.refuse_calendar(span, &operand)?;
        Ok(match operand {
            Term::Null => Term::Null,
            Term::Duration(length) => Term::length(length.scalar.map(|sql| format!("(-{sql})"))),
            Term::Number(Number { scalar, whole }) => {
                Term::Number(Number { scalar: scalar.map(|sql| format!("(-{sql})")), whole })
            }
            other => Term::number(other.as_double().map(|sql| format!("(-{sql})"))),
        })
    }

    fn calculated(&mut self, op: BinaryOp, left: Term, right: Term, span: Span) -> Result<Term> {
        let temporal =
            |term: &Term| matches!(term, Term::Time(_) | Term::Date { .. } | Term::Duration(_));
        if matches!(left, Term::Null) || matches!(right, Term::Null) {
            return Ok(Term::Null);
        }
        if temporal(&left) || temporal(&right) {
            return self.calculated_time(op, left, right, span);
        }
        Ok(Term::number(numbers(op, &left.as_double(), &right.as_double())))
    }

    fn calculated_time(
        &mut self,
        op: BinaryOp,
        left: Term,
        right: Term,
        span: Span,
    ) -> Result<Term> {
        let is_time = |term: &Term| matches!(term, Term::Time(_) | Term::Date { .. });
        match (op, left, right) {
            (BinaryOp::Add | BinaryOp::Sub, Term::Duration(l), Term::Duration(r)) => {
                self.refuse_calendar(span, &Term::Duration(l.clone()))?;
                self.refuse_calendar(span, &Term::Duration(r.clone()))?;
                let sign = if op == BinaryOp::Add { '+' } else { '-' };
                let sum = l.scalar.join(&r.scalar, |l, r| format!("({l} {sign} {r})"));
                Ok(Term::length(sum))
            }
            (BinaryOp::Add, Term::Duration(length), time)
            | (BinaryOp::Add | BinaryOp::Sub, time, Term::Duration(length))
                if is_time(&time) || time.is_dynamic() =>
            {
                self.moved(time, &length, op == BinaryOp::Sub, span)
            }
            (BinaryOp::Sub, left, right) if is_time(&left) || is_time(&right) => {
                let (Some(left), Some(right)) = (left.as_period(), right.as_period()) else {
                    return Ok(Term::Null);
                };
                let between = left.start.join(&right.start, |left, right| {
                    format!("({} - {})", micros(left), micros(right))
                });
                Ok(Term::length(between))
            }
            (BinaryOp::Mul | BinaryOp::Div, Term::Duration(length), factor)
            | (BinaryOp::Mul, factor, Term::Duration(length)) => {
                self.refuse_calendar(span, &Term::Duration(length.clone()))?;
                let micros = length.scalar.map(|sql| format!("CAST({sql} AS DOUBLE)"));
                Ok(Term::length(numbers(op, &micros, &factor.as_double())))
            }
            _ => Ok(Term::Null),
        }
    }

    /// A time that lies so much later, or earlier. Times of the request are calculated here.
    fn moved(&mut self, time: Term, by: &Length, back: bool, span: Span) -> Result<Term> {
        let is_day = matches!(time, Term::Date { .. });
        let literal_day = match &time {
            Term::Date { literal, .. } => *literal,
            _ => None,
        };
        let Some(mut period) = time.as_period() else { return Ok(Term::Null) };
        if is_day {
            period.end = End::Same;
        }
        let length = by.literal.map(|length| if back { negative(length) } else { length });
        if let (Some((start, end)), Some(length)) = (period.literal, length) {
            let end = if literal_day.is_some() { start } else { end };
            let (Some(start), Some(end)) = (length.after(start), length.after(end)) else {
                let why = "times lie in the years 0 to 9999";
                return Err(self.error(PlanErrorKind::Malformed, span, "a time too far", why));
            };
            let day = start.naive_utc();
            return Ok(match literal_day {
                Some(_) if day.time() == chrono::NaiveTime::MIN => self.day(day.date()),
                _ => Term::Time(self.period(start, end)),
            });
        }
        let shifted = |at: &str| match length {
            Some(length) => {
                let IsoDuration { months, micros } = length;
                // Numbers of ours, not text of the request.
                format!("({at} + INTERVAL '{months} months {micros} microseconds')")
            }
            None => {
                let sign = if back { '-' } else { '+' };
                let by = format!("TRY_CAST({} AS BIGINT)", by.scalar.sql);
                stamp(&format!("({} {sign} {by})", micros(at)))
            }
        };
        let end = match &period.end {
            End::Same => End::Same,
            End::OrStart(end) => End::OrStart(shifted(end)),
            End::At(end) => End::At(end.map(shifted)),
        };
        let start = Scalar {
            sql: shifted(&period.start.sql),
            certain: period.start.certain && by.scalar.certain,
        };
        Ok(Term::Time(Period { start, end, literal: None }))
    }

    /// Months have no length of their own: they can be added to a time and nothing else.
    pub fn refuse_calendar(&self, span: Span, term: &Term) -> Result<()> {
        match term {
            Term::Duration(Length { literal: Some(length), .. }) if length.months != 0 => {
                let what = format!("`{length}` where a length of time is needed");
                let why = "months and years are of several lengths; add them to a time";
                Err(self.error(PlanErrorKind::Malformed, span, what, why))
            }
            _ => Ok(()),
        }
    }
}

fn negative(length: IsoDuration) -> IsoDuration {
    IsoDuration { months: length.months.saturating_neg(), micros: length.micros.saturating_neg() }
}

/// Numbers calculate as doubles, as JSON's do: nothing overflows, and `div` keeps the fraction.
fn numbers(op: BinaryOp, left: &Scalar, right: &Scalar) -> Scalar {
    let (symbol, divides) = match op {
        BinaryOp::Sub => ('-', false),
        BinaryOp::Mul => ('*', false),
        BinaryOp::Div => ('/', true),
        BinaryOp::Mod => ('%', true),
        _ => ('+', false),
    };
    match divides {
        false => left.join(right, |left, right| format!("({left} {symbol} {right})")),
        // What is divided by zero is null.
        true => Scalar::nullable(format!("({} {symbol} nullif({}, 0))", left.sql, right.sql)),
    }
}
