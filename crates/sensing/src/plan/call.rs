//! Functions of expressions as SQL; what they compute is told in
//! [`odata::semantics`](crate::odata::semantics).
//!
//! `geo.distance` and `geo.length` are in the units of the reference system, which are degrees, as
//! OData defines them and FROST answers them.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, Timelike, Utc};

use crate::odata::{Expr, ExprKind, Function, Literal, Span};

use super::compare::relation;
use super::error::Result;
use super::scope::Compiler;
use super::sql::Value;
use super::term::{
    MICROS_PER_DAY, MICROS_PER_SECOND, Number, Period, Scalar, Term, above_multiple, micros, stamp,
};

const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;

impl Compiler<'_> {
    pub fn call(&mut self, function: Function, arguments: &[Expr], span: Span) -> Result<Term> {
        use Function::{
            After, Before, Ceiling, Concat, Contains, Date, Day, During, EndsWith, Finishes, Floor,
            FractionalSeconds, GeoDistance, GeoIntersects, GeoLength, Hour, IndexOf, Length,
            MaxDateTime, Meets, MinDateTime, Minute, Month, Now, Overlaps, Round, Second,
            StContains, StCrosses, StDisjoint, StEquals, StIntersects, StOverlaps, StRelate,
            StTouches, StWithin, Starts, StartsWith, Substring, SubstringOf, Time, ToLower,
            ToUpper, TotalOffsetMinutes, Trim, Year,
        };
        let terms =
            arguments.iter().map(|argument| self.term(argument)).collect::<Result<Vec<_>>>()?;
        Ok(match function {
            SubstringOf => truth(joined("contains", &terms[1].as_text(), &terms[0].as_text())),
            Contains => truth(joined("contains", &terms[0].as_text(), &terms[1].as_text())),
            EndsWith => truth(joined("ends_with", &terms[0].as_text(), &terms[1].as_text())),
            StartsWith => truth(joined("starts_with", &terms[0].as_text(), &terms[1].as_text())),
            Length => Term::whole(of("character_length", &terms[0].as_text())),
            IndexOf => Term::whole(joined("strpos", &terms[0].as_text(), &terms[1].as_text())),
            Substring => self.substring(&terms, arguments),
            ToLower => Term::text(of("lower", &terms[0].as_text())),
            ToUpper => Term::text(of("upper", &terms[0].as_text())),
            Trim => Term::text(of("btrim", &terms[0].as_text())),
            Concat => {
                let (left, right) = (terms[0].as_text(), terms[1].as_text());
                Term::text(left.join(&right, |left, right| format!("({left} || {right})")))
            }

            Year | Month | Day | Hour | Minute | Second => self.part_of_time(function, &terms[0]),
            FractionalSeconds => self.fraction(&terms[0]),
            Date => self.date(&terms[0]),
            Time => self.time_of_day(&terms[0]),
            TotalOffsetMinutes => self.offset(&terms[0]),
            Now => self.moment(self.context.now),
            MinDateTime => self.moment(first_moment()),
            MaxDateTime => self.moment(last_moment()),

            Before | After | Meets | During | Overlaps | Starts | Finishes => {
                match (terms[0].as_period(), terms[1].as_period()) {
                    (Some(left), Some(right)) => {
                        truth(Scalar::nullable(relation(function, &left, &right)))
                    }
                    _ => truth(Scalar::null("BOOLEAN")),
                }
            }

            Round => Term::number(of("round", &terms[0].as_double())),
            Floor => Term::number(of("floor", &terms[0].as_double())),
            Ceiling => Term::number(of("ceil", &terms[0].as_double())),

            GeoDistance => Term::number(spatial("st_distance", &terms, "DOUBLE")),
            GeoLength => Term::number(spatial("st_length", &terms, "DOUBLE")),
            GeoIntersects | StIntersects => truth(spatial("st_intersects", &terms, "BOOLEAN")),
            StEquals => truth(spatial("st_equals", &terms, "BOOLEAN")),
            StDisjoint => truth(spatial("st_disjoint", &terms, "BOOLEAN")),
            StTouches => truth(spatial("st_touches", &terms, "BOOLEAN")),
            StWithin => truth(spatial("st_within", &terms, "BOOLEAN")),
            StOverlaps => truth(spatial("st_overlaps", &terms, "BOOLEAN")),
            StCrosses => truth(spatial("st_crosses", &terms, "BOOLEAN")),
            StContains => truth(spatial("st_contains", &terms, "BOOLEAN")),
            StRelate => {
                let matrix = terms[2].as_text().sql;
                match (terms[0].as_geometry(), terms[1].as_geometry()) {
                    (Some(left), Some(right)) => truth(left.join(&right, |left, right| {
                        format!("st_relate({left}, {right}, {matrix})")
                    })),
                    _ => return Err(self.no_geometry(span)),
                }
            }
        })
    }

    fn no_geometry(&self, span: Span) -> Box<super::error::PlanError> {
        self.unsupported(span, "a relation of places", "an argument is no geometry")
    }

    /// From a character counted from 0; SQL counts from 1. What is negative counts as 0.
    fn substring(&mut self, terms: &[Term], arguments: &[Expr]) -> Term {
        let text = terms[0].as_text();
        let mut count = |index: usize, add: i64| match &arguments[index].value {
            ExprKind::Literal(Literal::Integer(number)) => {
                let number = number.saturating_add(add);
                Scalar::certain(self.parameters.give(Value::Integer(number)))
            }
            _ => terms[index].as_number().map(|number| {
                let whole = format!("greatest(TRY_CAST({number} AS BIGINT), 0)");
                // `greatest` passes over nulls.
                let whole = format!("CASE WHEN {number} IS NOT NULL THEN {whole}");
                if add == 0 { format!("{whole} END") } else { format!("{whole} + {add} END") }
            }),
        };
        let from = count(1, 1);
        let arguments = match terms.len() {
            2 => format!("{}, {}", text.sql, from.sql),
            _ => format!("{}, {}, {}", text.sql, from.sql, count(2, 0).sql),
        };
        Term::text(Scalar::nullable(format!("substr({arguments})")))
    }

    // --- Times --------------------------------------------------------------------------------

    fn moment(&mut self, at: DateTime<Utc>) -> Term {
        let at = at.fixed_offset();
        Term::Time(self.period(at, at))
    }

    /// Parts of a time that is written in the request are those of its own offset; of all others
    /// those of UTC.
    fn part_of_time(&mut self, function: Function, term: &Term) -> Term {
        if let Some(at) = written(term) {
            let part = match function {
                Function::Year => at.year(),
                Function::Month => at.month().cast_signed(),
                Function::Day => at.day().cast_signed(),
                Function::Hour => at.hour().cast_signed(),
                Function::Minute => at.minute().cast_signed(),
                _ => at.second().cast_signed(),
            };
            return self.integer(part.into());
        }
        if let Term::TimeOfDay(micros) = term {
            let (unit, most) = match function {
                Function::Hour => (MICROS_PER_HOUR, 24),
                Function::Minute => (MICROS_PER_MINUTE, 60),
                Function::Second => (MICROS_PER_SECOND, 60),
                _ => return Term::Null,
            };
            return Term::whole(micros.map(|micros| format!("({micros} / {unit} % {most})")));
        }
        let part = match function {
            Function::Year => "year",
            Function::Month => "month",
            Function::Day => "day",
            Function::Hour => "hour",
            Function::Minute => "minute",
            _ => "second",
        };
        start_of(term).map_or(Term::Null, |start| {
            Term::whole(start.map(|start| format!("date_part('{part}', {start})")))
        })
    }

    fn integer(&mut self, number: i64) -> Term {
        Term::whole(Scalar::certain(self.parameters.give(Value::Integer(number))))
    }

    fn fraction(&mut self, term: &Term) -> Term {
        let micros = match term {
            Term::TimeOfDay(micros) => micros.clone(),
            _ => match start_of(term) {
                Some(start) => start.map(micros),
                None => return Term::Null,
            },
        };
        Term::number(micros.map(|micros| {
            let above = above_multiple(micros, MICROS_PER_SECOND);
            format!("(CAST({above} AS DOUBLE) / {MICROS_PER_SECOND})")
        }))
    }

    fn date(&mut self, term: &Term) -> Term {
        if let Some(at) = written(term) {
            return self.day(at.date_naive());
        }
        start_of(term).map_or(Term::Null, |start| {
            let scalar = start.map(|start| {
                let micros = micros(start);
                stamp(&format!("({micros} - {})", above_multiple(&micros, MICROS_PER_DAY)))
            });
            Term::Date { scalar, literal: None }
        })
    }

    fn time_of_day(&mut self, term: &Term) -> Term {
        if let Some(at) = written(term) {
            let seconds = i64::from(at.num_seconds_from_midnight());
            let fraction = i64::from(at.nanosecond() % 1_000_000_000 / 1_000);
            let micros = Value::Integer(seconds * MICROS_PER_SECOND + fraction);
            return Term::TimeOfDay(Scalar::certain(self.parameters.give(micros)));
        }
        if let Term::TimeOfDay(_) = term {
            return term.clone();
        }
        start_of(term).map_or(Term::Null, |start| {
            Term::TimeOfDay(start.map(|start| above_multiple(&micros(start), MICROS_PER_DAY)))
        })
    }

    /// Stored times keep no offset.
    fn offset(&mut self, term: &Term) -> Term {
        if let Some(at) = written(term) {
            return self.integer(i64::from(at.offset().local_minus_utc() / 60));
        }
        start_of(term).map_or(Term::Null, |start| {
            let zero = format!("CASE WHEN {} IS NOT NULL THEN 0 END", start.sql);
            Term::Number(Number { scalar: Scalar::nullable(format!("({zero})")), whole: true })
        })
    }
}

fn truth(scalar: Scalar) -> Term {
    Term::Boolean(scalar)
}

fn of(function: &str, argument: &Scalar) -> Scalar {
    argument.map(|argument| format!("{function}({argument})"))
}

fn joined(function: &str, first: &Scalar, second: &Scalar) -> Scalar {
    first.join(second, |first, second| format!("{function}({first}, {second})"))
}

fn spatial(function: &str, terms: &[Term], answer: &str) -> Scalar {
    let places: Option<Vec<String>> =
        terms.iter().map(|term| term.as_geometry().map(|place| place.sql)).collect();
    match places {
        Some(places) => Scalar::nullable(format!("{function}({})", places.join(", "))),
        None => Scalar::null(answer),
    }
}

/// The instant that a time of the request begins at, in its own offset.
fn written(term: &Term) -> Option<DateTime<FixedOffset>> {
    match term {
        Term::Time(Period { literal: Some((start, _)), .. }) => Some(*start),
        Term::Date { literal: Some(day), .. } => {
            Some(day.and_hms_opt(0, 0, 0)?.and_utc().fixed_offset())
        }
        _ => None,
    }
}

fn start_of(term: &Term) -> Option<Scalar> {
    term.as_period().map(|period| period.start)
}

/// The ends of what can be written.
fn first_moment() -> DateTime<Utc> {
    day(1, 1, 1)
}

fn last_moment() -> DateTime<Utc> {
    day(9999, 12, 31) + chrono::TimeDelta::microseconds(MICROS_PER_DAY - 1)
}

fn day(year: i32, month: u32, day: u32) -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(year, month, day)
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .map(|day| day.and_utc())
        .expect("a day of the calendar")
}
