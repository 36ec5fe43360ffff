//! Dates and times as files write them, to days and microseconds since 1970 UTC.
//!
//! The fast path reads `YYYY-MM-DD HH:MM:SS` and `YYYY-MM-DDTHH:MM:SSZ` straight from the bytes;
//! everything else goes through a small cursor that knows slashes, dots, 年月日, 时分秒, compact
//! digits, fractions and offsets. Month-first and day-first dates are refused: they cannot be told
//! apart.

use super::text::half_width;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Longer texts are no time.
const TIME_BYTES_MAX: usize = 80;
/// Widest offset in use on Earth, UTC+14.
const OFFSET_MINUTES_MAX: i32 = 14 * 60;

/// A civil date and time, and the offset if the text named one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    days: i32,
    seconds: i64,
    micros: i64,
    offset_minutes: Option<i32>,
}

/// `YYYY-MM-DD HH:MM:SS` or with `T`, with `Z` behind or nothing. `None`: ask [`timestamp`].
#[inline]
pub fn fast_timestamp(bytes: &[u8], utc_offset_minutes: i32) -> Option<i64> {
    let (bytes, offset_minutes) = match bytes {
        [head @ .., b'Z'] if head.len() == 19 => (head, 0),
        _ => (bytes, utc_offset_minutes),
    };
    let bytes: &[u8; 19] = bytes.try_into().ok()?;
    if !matches!(bytes[10], b' ' | b'T') || bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    let days = fast_date(&bytes[..10])?;
    let (hour, minute, second) = (pair(bytes, 11)?, pair(bytes, 14)?, pair(bytes, 17)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let seconds = i64::from(days) * SECONDS_PER_DAY + seconds - i64::from(offset_minutes) * 60;
    Some(seconds * MICROS_PER_SECOND)
}

/// `YYYY-MM-DD` or with slashes. `None`: ask [`date`].
#[inline]
pub fn fast_date(bytes: &[u8]) -> Option<i32> {
    let bytes: &[u8; 10] = bytes.try_into().ok()?;
    if bytes[4] != bytes[7] || !matches!(bytes[4], b'-' | b'/') {
        return None;
    }
    let year = pair(bytes, 0)? * 100 + pair(bytes, 2)?;
    days_of(i32::try_from(year).ok()?, pair(bytes, 5)?, pair(bytes, 8)?)
}

#[inline]
fn pair(bytes: &[u8], at: usize) -> Option<u32> {
    let (tens, ones) = (bytes[at].wrapping_sub(b'0'), bytes[at + 1].wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// Days since 1970-01-01 of a date in the Gregorian calendar; `None` where there is no such day.
/// The year is taken to begin in March, so that the leap day is its last.
#[inline]
fn days_of(year: i32, month: u32, day: u32) -> Option<i32> {
    const MONTH_DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let length = MONTH_DAYS.get(index)? + u32::from(leap && month == 2);
    if day == 0 || day > length || !(1..=9999).contains(&year) {
        return None;
    }
    let (month, day) = (month.cast_signed(), day.cast_signed());
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year / 4 - year / 100 + year / 400;
    Some(year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468)
}

/// Microseconds since 1970 UTC; a text without an offset is in `utc_offset_minutes`.
pub fn timestamp(text: &str, utc_offset_minutes: i32) -> Option<i64> {
    let moment = moment(text)?;
    let offset_minutes = moment.offset_minutes.unwrap_or(utc_offset_minutes);
    let seconds = i64::from(moment.days) * SECONDS_PER_DAY + moment.seconds;
    Some((seconds - i64::from(offset_minutes) * 60) * MICROS_PER_SECOND + moment.micros)
}

/// Days since 1970; a time of day is allowed only if it is midnight and without an offset.
pub fn date(text: &str) -> Option<i32> {
    let moment = moment(text)?;
    let bare = moment.seconds == 0 && moment.micros == 0 && moment.offset_minutes.is_none();
    bare.then_some(moment.days)
}

fn moment(text: &str) -> Option<Moment> {
    if text.len() > TIME_BYTES_MAX {
        return None;
    }
    let text = half_width(text);
    let mut cursor = Cursor { rest: text.trim() };
    let days = cursor.date()?;
    cursor.skip(&['T', 't', ' ']);
    cursor.spaces();
    let (seconds, micros) = if cursor.rest.is_empty() { (0, 0) } else { cursor.time_of_day()? };
    cursor.spaces();
    let offset_minutes = if cursor.rest.is_empty() { None } else { Some(cursor.offset()?) };
    cursor.rest.is_empty().then_some(Moment { days, seconds, micros, offset_minutes })
}

/// Which twelve hours a word means.
#[derive(Debug, Clone, Copy)]
enum PartOfDay {
    Morning,
    Afternoon,
    Evening,
}

const PARTS_OF_DAY: [(&str, PartOfDay); 5] = [
    ("上午", PartOfDay::Morning),
    ("凌晨", PartOfDay::Morning),
    ("早上", PartOfDay::Morning),
    ("下午", PartOfDay::Afternoon),
    ("晚上", PartOfDay::Evening),
];

impl PartOfDay {
    /// The hour of the day that `hour` means; `None` where people disagree. 上午12 is midnight, as
    /// programs write it; 晚上12 and 晚上1 belong to a day that nobody can tell.
    fn hour(self, hour: u32) -> Option<u32> {
        match (self, hour) {
            (Self::Morning, 12) => Some(0),
            (Self::Morning, 0..=11) | (Self::Afternoon | Self::Evening, 13..=23) => Some(hour),
            (Self::Afternoon, 12) => Some(12),
            (Self::Afternoon, 0..=11) | (Self::Evening, 5..=11) => Some(hour + 12),
            _ => None,
        }
    }
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// The run of digits ahead, where it has between `min` and `max` of them.
    fn digits(&mut self, min: usize, max: usize) -> Option<&'a str> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(min..=max).contains(&count) {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        Some(digits)
    }

    fn number(&mut self, min: usize, max: usize) -> Option<u32> {
        self.digits(min, max)?.parse().ok()
    }

    fn skip(&mut self, any: &[char]) -> bool {
        let rest = self.rest.strip_prefix(any);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn date(&mut self) -> Option<i32> {
        let run = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if matches!(run, 8 | 14) {
            let (date, rest) = self.rest.split_at(8);
            self.rest = rest;
            let number = |from: usize, to: usize| date[from..to].parse::<u32>().ok();
            return days_of(date[..4].parse().ok()?, number(4, 6)?, number(6, 8)?);
        }
        let year = self.number(4, 4)?;
        let separator = self.rest.chars().next()?;
        self.rest = &self.rest[separator.len_utf8()..];
        self.spaces();
        let month = self.number(1, 2)?;
        self.spaces();
        let second = if separator == '年' { '月' } else { separator };
        if !matches!(separator, '-' | '/' | '.' | '年') || !self.skip(&[second]) {
            return None;
        }
        self.spaces();
        let day = self.number(1, 2)?;
        if separator == '年' && !self.skip(&['日', '号']) {
            return None;
        }
        days_of(i32::try_from(year).ok()?, month, day)
    }

    /// Seconds and microseconds. 24:00 is the next midnight, as Chinese statistics write it.
    fn time_of_day(&mut self) -> Option<(i64, i64)> {
        let run = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (hour, minute, second, micros) = if matches!(run, 4 | 6) {
            let digits = self.digits(4, 6)?;
            let second = if run == 6 { digits[4..].parse().ok()? } else { 0 };
            (digits[..2].parse().ok()?, digits[2..4].parse().ok()?, second, self.fraction()?)
        } else {
            self.separated_time()?
        };
        let whole_day = hour == 24 && minute == 0 && second == 0 && micros == 0;
        if (hour > 23 && !whole_day) || minute > 59 || second > 59 {
            return None;
        }
        Some((i64::from(hour * 3600 + minute * 60 + second), micros))
    }

    fn separated_time(&mut self) -> Option<(u32, u32, u32, i64)> {
        let part = PARTS_OF_DAY.iter().find(|(word, _)| self.word(word)).map(|(_, part)| *part);
        self.spaces();
        let hour = self.number(1, 2)?;
        let hour = part.map_or(Some(hour), |part| part.hour(hour))?;
        if !self.skip(&[':', '时', '点']) {
            return None;
        }
        self.spaces();
        let (mut minute, mut second, mut micros) = (0, 0, 0);
        if self.rest.starts_with(|character: char| character.is_ascii_digit()) {
            minute = self.number(1, 2)?;
            if self.skip(&[':', '分']) {
                self.spaces();
                if self.rest.starts_with(|character: char| character.is_ascii_digit()) {
                    second = self.number(1, 2)?;
                    micros = self.fraction()?;
                    self.skip(&['秒']);
                }
            }
        }
        Some((hour, minute, second, micros))
    }

    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// `.` and digits as microseconds, what lies beyond them cut off.
    fn fraction(&mut self) -> Option<i64> {
        if !self.skip(&['.', ',']) {
            return Some(0);
        }
        let digits = self.digits(1, 9)?;
        let kept = &digits[..digits.len().min(6)];
        let scale = 10i64.pow(6 - u32::try_from(kept.len()).ok()?);
        Some(kept.parse::<i64>().ok()? * scale)
    }

    /// `Z`, `UTC`, `+08:00`, `+0800`, `+08`.
    fn offset(&mut self) -> Option<i32> {
        if (self.word("UTC") || self.skip(&['Z', 'z'])) && self.rest.is_empty() {
            return Some(0);
        }
        let sign = if self.skip(&['+']) {
            1
        } else if self.skip(&['-']) {
            -1
        } else {
            return None;
        };
        let run = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (hours, minutes) = if run == 4 {
            let digits = self.digits(4, 4)?;
            (digits[..2].parse::<i32>().ok()?, digits[2..].parse::<i32>().ok()?)
        } else {
            let hours = self.digits(1, 2)?.parse().ok()?;
            let minutes = if self.skip(&[':']) { self.digits(2, 2)?.parse().ok()? } else { 0 };
            (hours, minutes)
        };
        let offset = hours * 60 + minutes;
        (minutes < 60 && offset <= OFFSET_MINUTES_MAX).then_some(sign * offset)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate};

    use super::*;

    const BEIJING: i32 = 480;

    #[track_caller]
    fn check(text: &str, utc: &str) {
        let expect = DateTime::parse_from_rfc3339(utc).expect("a time").timestamp_micros();
        let read = fast_timestamp(text.as_bytes(), BEIJING).or_else(|| timestamp(text, BEIJING));
        assert_eq!(read, Some(expect), "{text}");
        assert_eq!(timestamp(text, BEIJING), Some(expect), "{text} by the lenient parser");
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        check("2024-03-05 14:30:00", "2024-03-05T06:30:00Z");
        check("2024-03-05T14:30:00Z", "2024-03-05T14:30:00Z");
        check("2024-03-05T14:30:00+08:00", "2024-03-05T06:30:00Z");
        check("2024-03-05T14:30:00.250-0500", "2024-03-05T19:30:00.250Z");
        check("2024/3/5 4:05", "2024-03-04T20:05:00Z");
        check("2024年3月5日14时30分", "2024-03-05T06:30:00Z");
        check("2024年3月5日 下午2点30分15秒", "2024-03-05T06:30:15Z");
        check("２０２４年３月５日", "2024-03-04T16:00:00Z");
        check("20240305143000", "2024-03-05T06:30:00Z");
        check("2010-1-1 0:00", "2009-12-31T16:00:00Z");
        check("2024-03-05 24:00", "2024-03-05T16:00:00Z");
        check("2024-03-05 14时", "2024-03-05T06:00:00Z");
        check("2024/3/5 凌晨12:30", "2024-03-04T16:30:00Z");
        check("2024/3/5 上午12:30:00", "2024-03-04T16:30:00Z");
        check("2024/3/5 下午12:30", "2024-03-05T04:30:00Z");
        check("2024/3/5 晚上9点", "2024-03-05T13:00:00Z");
        check("2024/3/5 晚上21点", "2024-03-05T13:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2024",
            "2024-13-01",
            "2023-02-29",
            "3/5/2024",
            "2024-03-05 25:00",
            "2024-03/05",
            "2024-03-05 14:30:00 +15:00",
            "2024年3月5",
            "2024-03-05 14:30:61",
            "2024-03-05 上午14:30",
            "2024-03-05 晚上12:30",
            "2024-03-05 晚上1:30",
            "2024-03-05 凌晨24:00",
            "2024-03-05x",
            "12",
        ] {
            assert_eq!(timestamp(text, BEIJING), None, "{text}");
            assert_eq!(fast_timestamp(text.as_bytes(), BEIJING), None, "{text}");
        }
        assert_eq!(date("2024-03-05 14:30"), None);
    }

    proptest::proptest! {
        #[test]
        fn every_day_is_chrono_s_day(year in 1i32..=9999, month in 1u32..=12, day in 1u32..=31) {
            let expect = NaiveDate::from_ymd_opt(year, month, day).map(|date| {
                date.signed_duration_since(NaiveDate::default()).num_days()
            });
            let text = format!("{year:04}-{month:02}-{day:02}");
            proptest::prop_assert_eq!(fast_date(text.as_bytes()).map(i64::from), expect);
            proptest::prop_assert_eq!(date(&text).map(i64::from), expect);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = timestamp(&text, 480);
        }
    }
}
