//! Literals that begin with a digit or a name in front of quotes: numbers, times, durations.
//!
//! A whole run of characters is taken first and its shape found afterwards, so that `2020-13-01` is
//! called a date with no such month and not a number followed by something else.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime};
use winnow::Parser;
use winnow::combinator::{alt, opt, preceded, terminated};
use winnow::error::ContextError;
use winnow::token::{one_of, take_while};

use super::ast::Literal;
use super::time::{IsoDuration, Parts};

/// Digits of a fraction of a second: nanoseconds.
const FRACTION_DIGITS_MAX: usize = 9;
/// Durations are kept in microseconds.
const DURATION_FRACTION_DIGITS_MAX: usize = 6;
const OFFSET_HOURS_MAX: u32 = 23;

/// Why a run of characters is no literal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoLiteral {
    pub what: String,
    pub hint: Option<String>,
}

impl NoLiteral {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    fn hint(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()) }
    }
}

type Shape<T> = winnow::Result<T, ContextError>;

/// The characters that a number, a date or a time is made of.
pub(super) fn belongs_to_run(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '+' | '-')
}

/// Could an interval go on after this run and a slash?
pub(super) fn may_begin_interval(run: &str) -> bool {
    run.len() > "2020-01-01T".len() && run.get(10..11).is_some_and(|t| t.eq_ignore_ascii_case("t"))
}

/// What a run of characters says, with or without a slash in it.
pub(super) fn of_run(run: &str) -> Result<Literal, NoLiteral> {
    if let Some((start, end)) = run.split_once('/') {
        return interval(start, end);
    }
    if let Ok(shape) = date_time.parse(run) {
        return instant_of(shape).map(Literal::Instant);
    }
    if let Ok(shape) = date.parse(run) {
        return date_of(shape).map(Literal::Date);
    }
    if let Ok(shape) = time_of_day.parse(run) {
        return time_of(shape).map(Literal::TimeOfDay);
    }
    if (date, one_of(['T', 't']), time_of_day).parse(run).is_ok() {
        return Err(NoLiteral::hint(
            "a time without its offset from UTC",
            "add `Z` or an offset such as `+08:00`, which stands in a URL as `%2B08:00`",
        ));
    }
    number(run)
}

fn number(run: &str) -> Result<Literal, NoLiteral> {
    if integer_shape.parse(run).is_ok() {
        return run.parse().map(Literal::Integer).map_err(|_| {
            NoLiteral::hint("a number too large for an integer", "write it with a fraction: `.0`")
        });
    }
    if double_shape.parse(run).is_ok() {
        let value: f64 = run.parse().map_err(|_| NoLiteral::new("not a number"))?;
        return match value.is_finite() {
            true => Ok(Literal::Double(value)),
            false => Err(NoLiteral::new("a number too large to be kept")),
        };
    }
    Err(NoLiteral::new("neither a number nor a time"))
}

fn interval(start: &str, end: &str) -> Result<Literal, NoLiteral> {
    let instant = |text: &str| match date_time.parse(text) {
        Ok(shape) => instant_of(shape),
        Err(_) => Err(NoLiteral::hint(
            "an interval needs an instant on each side",
            "write 2020-01-01T00:00:00Z/2020-01-02T00:00:00Z, or a duration after the slash",
        )),
    };
    let start = instant(start)?;
    let end = if end.starts_with(['P', 'p']) {
        let too_far = || NoLiteral::new("an interval that ends beyond the year 9999");
        duration(end)?.after(start).ok_or_else(too_far)?
    } else {
        instant(end)?
    };
    if end < start {
        return Err(NoLiteral::new("an interval that ends before it begins"));
    }
    Ok(Literal::Interval { start, end })
}

fn digits<'a>(count: usize) -> impl Parser<&'a str, &'a str, ContextError> {
    take_while(count..=count, |c: char| c.is_ascii_digit())
}

fn integer_shape<'a>(input: &mut &'a str) -> Shape<&'a str> {
    (opt('-'), take_while(1.., |c: char| c.is_ascii_digit())).take().parse_next(input)
}

fn double_shape<'a>(input: &mut &'a str) -> Shape<&'a str> {
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), take_while(1.., is_digit));
    let fraction = ('.', take_while(1.., is_digit));
    (integer_shape, opt(fraction), opt(exponent)).take().parse_next(input)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

type DateShape = (u32, u32, u32);
type TimeShape<'a> = (u32, u32, u32, &'a str);

fn number_of<'a>(count: usize) -> impl Parser<&'a str, u32, ContextError> {
    digits(count).try_map(str::parse::<u32>)
}

fn date(input: &mut &str) -> Shape<DateShape> {
    (terminated(number_of(4), '-'), terminated(number_of(2), '-'), number_of(2)).parse_next(input)
}

fn time_of_day<'a>(input: &mut &'a str) -> Shape<TimeShape<'a>> {
    let fraction = preceded('.', take_while(1.., is_digit));
    let seconds = preceded(':', (number_of(2), opt(fraction)));
    let (hour, minute) = (terminated(number_of(2), ':'), number_of(2)).parse_next(input)?;
    let (second, fraction) = opt(seconds).parse_next(input)?.unwrap_or((0, None));
    Ok((hour, minute, second, fraction.unwrap_or_default()))
}

/// The sign, hours and minutes of an offset; none for `Z`.
type OffsetShape = Option<(char, u32, u32)>;

fn offset(input: &mut &str) -> Shape<OffsetShape> {
    let hours = (one_of(['+', '-']), terminated(number_of(2), ':'), number_of(2));
    alt((one_of(['Z', 'z']).value(None), hours.map(Some))).parse_next(input)
}

fn date_time<'a>(input: &mut &'a str) -> Shape<(DateShape, TimeShape<'a>, OffsetShape)> {
    (terminated(date, one_of(['T', 't'])), time_of_day, offset).parse_next(input)
}

fn date_of((year, month, day): DateShape) -> Result<NaiveDate, NoLiteral> {
    i32::try_from(year)
        .ok()
        .and_then(|year| NaiveDate::from_ymd_opt(year, month, day))
        .ok_or_else(|| NoLiteral::new("no such day"))
}

fn time_of((hour, minute, second, fraction): TimeShape<'_>) -> Result<NaiveTime, NoLiteral> {
    if fraction.len() > FRACTION_DIGITS_MAX {
        return Err(NoLiteral::new("a fraction of more than nine digits"));
    }
    let nanos = fraction_of(fraction, FRACTION_DIGITS_MAX);
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
        .ok_or_else(|| NoLiteral::new("no such time of day"))
}

/// A fraction's digits in units of its last possible digit: `5` of three is 500.
fn fraction_of(digits: &str, digits_max: usize) -> u32 {
    format!("{digits:0<digits_max$}").parse().expect("at most nine digits")
}

fn offset_of(shape: OffsetShape) -> Result<FixedOffset, NoLiteral> {
    let (sign, hours, minutes) = shape.unwrap_or(('+', 0, 0));
    if hours > OFFSET_HOURS_MAX || minutes > 59 {
        return Err(NoLiteral::new("no such offset from UTC"));
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).expect("less than a day");
    let east = if sign == '-' { -seconds } else { seconds };
    Ok(FixedOffset::east_opt(east).expect("less than a day"))
}

fn instant_of(
    (date, time, offset): (DateShape, TimeShape<'_>, OffsetShape),
) -> Result<DateTime<FixedOffset>, NoLiteral> {
    let local = date_of(date)?.and_time(time_of(time)?);
    local
        .and_local_timezone(offset_of(offset)?)
        .single()
        .ok_or_else(|| NoLiteral::new("no such instant"))
}

/// `+08:00` or `Z`, as a text in `window(…)`.
pub(super) fn offset_from_utc(text: &str) -> Result<FixedOffset, NoLiteral> {
    let wrong = || NoLiteral::hint("no offset from UTC", "write `+08:00`, in a URL `%2B08:00`");
    offset_of(offset.parse(text).map_err(|_| wrong())?)
}

/// ISO 8601, 5.5.2: `P1Y2M3W4DT5H6M7.5S`, each part once and in this order, at least one.
pub(super) fn duration(text: &str) -> Result<IsoDuration, NoLiteral> {
    let parts = duration_shape
        .parse(text)
        .ok()
        .filter(|_| text.ends_with(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'P' | 'T')))
        .ok_or_else(|| NoLiteral::hint("no duration", "write `P1D`, `PT15M`, `PT1H30M`"))?;
    IsoDuration::from_parts(parts).ok_or_else(|| NoLiteral::new("a duration too long to be kept"))
}

/// A number in a duration: more than 32 bits of anything are too long.
fn count(input: &mut &str) -> Shape<u32> {
    take_while(1.., is_digit).try_map(str::parse).parse_next(input)
}

fn part<'a>(unit: char) -> impl Parser<&'a str, i64, ContextError> {
    opt(terminated(count, unit)).map(|count| i64::from(count.unwrap_or(0)))
}

fn seconds_part(input: &mut &str) -> Shape<(i64, i64)> {
    let fraction = preceded('.', take_while(1..=DURATION_FRACTION_DIGITS_MAX, is_digit));
    let seconds = terminated((count, opt(fraction)), 'S');
    let (seconds, fraction) = opt(seconds).parse_next(input)?.unwrap_or((0, None));
    let micros = fraction_of(fraction.unwrap_or_default(), DURATION_FRACTION_DIGITS_MAX);
    Ok((i64::from(seconds), i64::from(micros)))
}

fn duration_shape(input: &mut &str) -> Shape<Parts> {
    let negative = opt('-').parse_next(input)?.is_some();
    let _ = 'P'.parse_next(input)?;
    let (years, months, weeks, days) =
        (part('Y'), part('M'), part('W'), part('D')).parse_next(input)?;
    let clock = preceded('T', (part('H'), part('M'), seconds_part));
    let (hours, minutes, (seconds, micros)) = opt(clock).parse_next(input)?.unwrap_or_default();
    Ok(Parts { negative, years, months, weeks, days, hours, minutes, seconds, micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed_in_their_shortest_form() {
        for (text, printed) in [
            ("P1Y2M3DT4H5M6.789S", "P1Y2M3DT4H5M6.789S"),
            ("P2W", "P14D"),
            ("PT36H", "P1DT12H"),
            ("P13M", "P1Y1M"),
            ("-PT1M", "-PT1M"),
            ("PT0S", "PT0S"),
            ("PT0.000001S", "PT0.000001S"),
        ] {
            let duration = duration(text).unwrap();
            assert_eq!(duration.to_string(), printed);
            assert_eq!(super::duration(printed), Ok(duration));
        }
        for text in ["", "P", "PT", "P1", "P1DT", "1D", "P1H", "PT1D", "PT1.5H", "P1D2Y", "P-1D"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(duration("PT0.0000001S").is_err());
        assert!(duration("P4294967295Y").unwrap_err().what.contains("too long"));
    }

    #[test]
    fn a_run_is_what_its_shape_says() {
        assert_eq!(of_run("10.00"), Ok(Literal::Double(10.0)));
        assert_eq!(of_run("1e5"), Ok(Literal::Double(1e5)));
        assert_eq!(of_run("1E-5"), Ok(Literal::Double(1e-5)));
        assert_eq!(of_run("-7"), Ok(Literal::Integer(-7)));
        assert_eq!(of_run("-9223372036854775808"), Ok(Literal::Integer(i64::MIN)));
        for (run, what) in [
            ("12abc", "neither a number nor a time"),
            ("5.", "neither a number"),
            ("1e400", "too large"),
            ("9223372036854775808", "too large for an integer"),
            ("2021-02-29", "no such day"),
            ("2021-02-01T25:00:00Z", "no such time of day"),
            ("2021-02-01T00:00:60Z", "no such time of day"),
            ("2021-02-01T00:00:00+24:00", "no such offset"),
            ("2021-02-01T00:00:00", "without its offset"),
            ("2021-02-01T00:00:00.1234567890Z", "more than nine digits"),
            ("2021-02-01T00:00:00Z/2021-01-01T00:00:00Z", "ends before it begins"),
            ("2021-02-01T00:00:00Z/5", "an instant on each side"),
            ("9999-02-01T00:00:00Z/P1Y", "beyond the year 9999"),
        ] {
            let fault = of_run(run).unwrap_err();
            assert!(fault.what.contains(what), "{run}: {}", fault.what);
        }
    }

    #[test]
    fn an_interval_may_be_a_start_and_a_duration() {
        let whole = of_run("2020-01-31T00:00:00+08:00/2020-02-29T00:00:00+08:00");
        assert_eq!(of_run("2020-01-31T00:00:00+08:00/P1M"), whole);
    }
}
