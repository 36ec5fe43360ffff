//! Instants and intervals as SensorThings writes them (ISO 8601), to µs since 1970 and back.
//!
//! Read by hand and not by a date library: a bulk has two of them in every row. Any offset is read,
//! with a colon or without one, as the standard's own examples have both; `Z` is written. Digits
//! beyond the µs are cut off: no stream is told apart by them.

use std::fmt;

use super::fault::{At, Fault, Result, quote};

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Of a fraction of a second; a nanosecond is nine.
const FRACTION_DIGITS_MAX: usize = 12;
const OFFSET_HOURS_MAX: i64 = 23;

/// An instant in µs since 1970, UTC, in the years 0000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment(i64);

impl Moment {
    /// 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200 * MICROS_PER_SECOND);
    /// The last µs of the year 9999.
    pub const MAX: Self = Self(253_402_300_800 * MICROS_PER_SECOND - 1);

    /// None outside of the years that can be written.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&micros).then_some(Self(micros))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub fn parse(text: &str) -> std::result::Result<Self, TimeFault> {
        let bytes = text.as_bytes();
        let (moment, length) = moment(bytes)?;
        if length == bytes.len() { Ok(moment) } else { Err(TimeFault::Trailing) }
    }
}

/// From one instant to a later or the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Period {
    start: Moment,
    end: Moment,
}

impl Period {
    /// None where it ends before it begins.
    pub fn new(start: Moment, end: Moment) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    pub fn start(self) -> Moment {
        self.start
    }

    pub fn end(self) -> Moment {
        self.end
    }

    pub fn parse(text: &str) -> std::result::Result<Self, TimeFault> {
        match TimeObject::parse(text)? {
            TimeObject::Period(period) => Ok(period),
            TimeObject::Moment(_) => Err(TimeFault::NoInterval),
        }
    }
}

/// An instant or an interval (`TM_Object`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeObject {
    Moment(Moment),
    Period(Period),
}

impl TimeObject {
    pub fn start(self) -> Moment {
        match self {
            Self::Moment(moment) => moment,
            Self::Period(period) => period.start,
        }
    }

    /// None for an instant.
    pub fn end(self) -> Option<Moment> {
        match self {
            Self::Moment(_) => None,
            Self::Period(period) => Some(period.end),
        }
    }

    pub fn parse(text: &str) -> std::result::Result<Self, TimeFault> {
        let bytes = text.as_bytes();
        let (start, length) = moment(bytes)?;
        let Some((slash, rest)) = bytes[length..].split_first() else {
            return Ok(Self::Moment(start));
        };
        if *slash != b'/' {
            return Err(TimeFault::Trailing);
        }
        if rest.first() == Some(&b'P') {
            return Err(TimeFault::EndIsDuration);
        }
        let (end, length) = moment(rest)?;
        if length != rest.len() {
            return Err(TimeFault::Trailing);
        }
        Period::new(start, end).map(Self::Period).ok_or(TimeFault::Backwards)
    }
}

/// Why a text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFault {
    Shape,
    NoSuchDay,
    NoSuchTime,
    NoOffset,
    OutOfRange,
    Trailing,
    NoInterval,
    EndIsDuration,
    Backwards,
}

impl TimeFault {
    pub(super) fn at(self, at: At<'_>, expected: &str, text: &str) -> Box<Fault> {
        let (what, hint) = match self {
            Self::Shape => ("no time", "write it as 2026-11-23T08:00:00+08:00"),
            Self::NoSuchDay => ("a day that no month has", ""),
            Self::NoSuchTime => ("a time that no day has", ""),
            Self::NoOffset => ("a time without its offset from UTC", "add `Z` or `+08:00`"),
            Self::OutOfRange => ("a time outside of the years 0000 to 9999", ""),
            Self::Trailing => ("a time with something behind it", ""),
            Self::NoInterval => ("an instant in place of an interval", "write both: start/end"),
            Self::EndIsDuration => ("an interval given by its length", "write both: start/end"),
            Self::Backwards => ("an interval that ends before it begins", ""),
        };
        let fault = Fault::new(at, what).expected(expected).found(quote(text));
        if hint.is_empty() { fault } else { fault.hint(hint) }
    }
}

/// The instant that the bytes begin with, and its length.
fn moment(bytes: &[u8]) -> std::result::Result<(Moment, usize), TimeFault> {
    let year = number(bytes, 0, 4).ok_or(TimeFault::Shape)?;
    let month = after(bytes, 4, b'-').ok_or(TimeFault::Shape)?;
    let day = after(bytes, 7, b'-').ok_or(TimeFault::Shape)?;
    if !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) {
        return Err(TimeFault::NoSuchDay);
    }
    match bytes.get(10) {
        Some(b'T' | b't' | b' ') => {}
        Some(_) => return Err(TimeFault::Shape),
        None => return Err(TimeFault::NoOffset),
    }
    let hour = number(bytes, 11, 2).ok_or(TimeFault::Shape)?;
    let minute = after(bytes, 13, b':').ok_or(TimeFault::Shape)?;
    let mut at = 16;
    let (mut second, mut micros) = (0, 0);
    if bytes.get(at) == Some(&b':') {
        second = number(bytes, 17, 2).ok_or(TimeFault::Shape)?;
        at = 19;
        if let Some(b'.' | b',') = bytes.get(at) {
            let digits = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 || digits > FRACTION_DIGITS_MAX {
                return Err(TimeFault::Shape);
            }
            micros = fraction(&bytes[at + 1..at + 1 + digits]);
            at += 1 + digits;
        }
    }
    // A leap second is the moment after it, as clocks that know none count.
    if hour > 23 || minute > 59 || second > 60 {
        return Err(TimeFault::NoSuchTime);
    }
    let (offset_seconds, length) = offset(&bytes[at..])?;
    let days = days_since_1970(year, month, day);
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset_seconds;
    let moment = Moment::from_micros(seconds * MICROS_PER_SECOND + micros);
    Ok((moment.ok_or(TimeFault::OutOfRange)?, at + length))
}

/// `Z`, `+08:00`, `+0800`, `+08`: seconds east of Greenwich, and the length.
fn offset(bytes: &[u8]) -> std::result::Result<(i64, usize), TimeFault> {
    let sign = match bytes.first() {
        Some(b'Z' | b'z') => return Ok((0, 1)),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(TimeFault::NoOffset),
    };
    let hours = number(bytes, 1, 2).ok_or(TimeFault::NoOffset)?;
    let colon = usize::from(bytes.get(3) == Some(&b':'));
    let (minutes, length) = match number(bytes, 3 + colon, 2) {
        Some(minutes) => (minutes, 5 + colon),
        None if colon == 0 => (0, 3),
        None => return Err(TimeFault::NoOffset),
    };
    if hours > OFFSET_HOURS_MAX || minutes > 59 {
        return Err(TimeFault::NoSuchTime);
    }
    Ok((sign * (hours * 3600 + minutes * 60), length))
}

/// So many digits as a number.
fn number(bytes: &[u8], at: usize, count: usize) -> Option<i64> {
    bytes.get(at..at + count)?.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// Two digits behind a sign.
fn after(bytes: &[u8], at: usize, sign: u8) -> Option<i64> {
    if bytes.get(at) == Some(&sign) { number(bytes, at + 1, 2) } else { None }
}

/// Digits behind the point in µs.
fn fraction(digits: &[u8]) -> i64 {
    let digit = |index: usize| digits.get(index).map_or(0, |byte| i64::from(byte - b'0'));
    (0..6).fold(0, |micros, index| micros * 10 + digit(index))
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Of the proleptic Gregorian calendar. Years begin in March here, so that the leap day is last:
/// 153 days are five months, 146,097 days 400 years.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day, the other way round.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_of_year = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_of_year + 2) / 5 + 1;
    let month = if month_of_year < 10 { month_of_year + 3 } else { month_of_year - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// UTC with `Z`; three or six digits of a second where there are any.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) =
            (self.0.div_euclid(MICROS_PER_SECOND), self.0.rem_euclid(MICROS_PER_SECOND));
        let (days, second) =
            (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let mut text = *b"0000-00-00T00:00:00.000000";
        for (at, length, value) in [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, hour),
            (14, 2, minute),
            (17, 2, second),
            (20, 6, micros),
        ] {
            put(&mut text[at..at + length], value);
        }
        let length = match micros {
            0 => 19,
            _ if micros % 1_000 == 0 => 23,
            _ => 26,
        };
        f.write_str(std::str::from_utf8(&text[..length]).expect("digits"))?;
        f.write_str("Z")
    }
}

/// A number's last digits.
fn put(digits: &mut [u8], mut value: i64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).expect("one digit");
        value /= 10;
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.start, self.end)
    }
}

impl fmt::Display for TimeObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moment(moment) => moment.fmt(f),
            Self::Period(period) => period.fmt(f),
        }
    }
}

/// Texts of times in a body.
pub(super) fn moment_at(at: At<'_>, text: &str) -> Result<Moment> {
    Moment::parse(text).map_err(|fault| fault.at(at, "an instant", text))
}

pub(super) fn period_at(at: At<'_>, text: &str) -> Result<Period> {
    Period::parse(text).map_err(|fault| fault.at(at, "an interval", text))
}

pub(super) fn time_object_at(at: At<'_>, text: &str) -> Result<TimeObject> {
    TimeObject::parse(text).map_err(|fault| fault.at(at, "an instant or an interval", text))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str) -> String {
        Moment::parse(text).unwrap().to_string()
    }

    #[test]
    fn offsets_are_read_and_z_is_written() {
        assert_eq!(moment("2013-04-18T16:15:00-07:00"), "2013-04-18T23:15:00Z");
        assert_eq!(moment("2012-06-26T03:42:02-0600"), "2012-06-26T09:42:02Z");
        assert_eq!(moment("2026-11-23T08:00+08"), "2026-11-23T00:00:00Z");
        assert_eq!(moment("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00Z");
    }

    #[test]
    fn digits_are_written_where_there_are_any() {
        assert_eq!(moment("2009-01-11T16:22:25.00Z"), "2009-01-11T16:22:25Z");
        assert_eq!(moment("2009-01-11T16:22:25.5Z"), "2009-01-11T16:22:25.500Z");
        assert_eq!(moment("2009-01-11T16:22:25.123456789Z"), "2009-01-11T16:22:25.123456Z");
    }

    #[test]
    fn what_is_no_time_is_told() {
        for (text, fault) in [
            ("", TimeFault::Shape),
            ("yesterday", TimeFault::Shape),
            ("2026-02-29T00:00:00Z", TimeFault::NoSuchDay),
            ("2026-11-23T24:00:00Z", TimeFault::NoSuchTime),
            ("2026-11-23T00:00:00", TimeFault::NoOffset),
            ("2026-11-23", TimeFault::NoOffset),
            ("2026-11-23T00:00:00+8:00", TimeFault::NoOffset),
            ("2026-11-23T00:00:00Zulu", TimeFault::Trailing),
            ("0000-01-01T00:00:00+01:00", TimeFault::OutOfRange),
        ] {
            assert_eq!(Moment::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn an_interval_has_two_ends_in_order() {
        let text = "2014-03-01T13:00:00Z/2015-05-11T15:30:00Z";
        assert_eq!(Period::parse(text).unwrap().to_string(), text);
        let backwards = "2015-05-11T15:30:00Z/2014-03-01T13:00:00Z";
        assert_eq!(Period::parse(backwards), Err(TimeFault::Backwards));
        assert_eq!(Period::parse("2014-03-01T13:00:00Z"), Err(TimeFault::NoInterval));
        let length = "2014-03-01T13:00:00Z/PT1H";
        assert_eq!(TimeObject::parse(length), Err(TimeFault::EndIsDuration));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(micros in Moment::MIN.micros()..=Moment::MAX.micros()) {
            let moment = Moment::from_micros(micros).unwrap();
            prop_assert_eq!(Moment::parse(&moment.to_string()), Ok(moment));
        }

        #[test]
        fn the_calendar_is_chrono_s(micros in Moment::MIN.micros()..=Moment::MAX.micros()) {
            let text = Moment::from_micros(micros).unwrap().to_string();
            let other = DateTime::from_timestamp_micros(micros).unwrap();
            prop_assert_eq!(text, other.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,40}|[0-9TZ:+./ -]{0,60}") {
            let _ = TimeObject::parse(&text);
        }
    }
}
