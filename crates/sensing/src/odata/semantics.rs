//! What operators and functions mean, where the standard leaves it open or says two things. Pure
//! helpers for whoever evaluates a tree or puts it into another language.
//!
//! # `indexof` counts from 1, `substring` from 0
//!
//! **Forces.** OGC 18-088 says that its functions are OData's, and requires them to be "as defined
//! in table 23". OData's `indexof` counts from 0 and gives -1 where nothing is found. Table 23 has
//! `indexof(description,'Sensor') eq 1` beside `length(description) eq 13` and
//! `substring(description,1) eq 'ensor Things'`: the description is `Sensor Things`, so `indexof`
//! counts from 1 and `substring` from 0.
//!
//! **Decision.** The table binds, so both are as it shows. What is not found has the index 0.
//!
//! **Costs.** `substring(name, indexof(name,'-'))` begins *after* the dash; OData's begins at it.
//!
//! # Null and the three truths
//!
//! A path to what is not there is null, and so is a calculation or a function with a null in it, a
//! division by zero, and arithmetic on a value whose wrong type only came to light in the row.
//! Comparisons are always true or false (OData 4.0 part 2, 5.1.1.1): `null eq null` is true,
//! `5 ne null` is true, `gt ge lt le` with a null are false; see [`compare`]. Values of different
//! types, such as a text `result` against a number, are not equal and have no order. `and`, `or`
//! and `not` know three truths ([`and`], [`or`], [`not`]), because a Boolean member of JSON may be
//! null. An entity is chosen where the filter is true, not where it is false or null.
//!
//! # Paths to many
//!
//! A comparison or function with a path to many holds where it holds for any of the related
//! entities. Paths of one filter that share their navigations speak of the same related entity: the
//! standard's example `Datastreams/Observations/FeatureOfInterest/id eq 'FOI_1' and
//! Datastreams/Observations/resultTime ge 2010-06-01T00:00:00Z` means one Observation, not two.
//!
//! # Numbers
//!
//! JSON has one kind of number, so `div` keeps the fraction, whether or not both sides are whole.
//! `mod` has the sign of the left side. `round` takes halves away from zero. `length`, `indexof`
//! and `substring` count characters (Unicode scalar values), never bytes.
//!
//! # Times
//!
//! Instants are compared as points on the time line, whatever their offsets. Stored times keep no
//! offset, so `totaloffsetminutes` of them is 0 and `date`, `time`, `hour` … are those of UTC; a
//! literal's are those of its own offset. An interval stands for its start in `year` … `time`.
//! Intervals hold their start and not their end; see [`Period`].

use std::cmp::Ordering;

use chrono::{DateTime, Datelike, Days, FixedOffset, Months, NaiveDate, TimeDelta, TimeZone, Utc};

use super::ast::{BinaryOp, Window};

/// The number of characters.
pub fn length(text: &str) -> usize {
    text.chars().count()
}

/// Where the first occurrence begins, counted in characters from 1; 0 where there is none.
pub fn index_of(text: &str, part: &str) -> usize {
    text.find(part).map_or(0, |at| length(&text[..at]) + 1)
}

/// From a character, counted from 0, to the end or for so many. What lies beyond is left out.
pub fn substring(text: &str, start: usize, count: Option<usize>) -> &str {
    let byte_of = |text: &str, character: usize| {
        text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
    };
    let rest = &text[byte_of(text, start)..];
    match count {
        Some(count) => &rest[..byte_of(rest, count)],
        None => rest,
    }
}

/// Three truths: false decides, then null.
pub fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// Three truths: true decides, then null.
pub fn or(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    not(and(not(left), not(right)))
}

/// Not null is null.
pub fn not(operand: Option<bool>) -> Option<bool> {
    operand.map(|value| !value)
}

/// A comparison of values that may be null. `None` from the order means that they have none, as of
/// different types. Arithmetic operators compare nothing: false.
pub fn compare<T>(
    op: BinaryOp,
    left: Option<&T>,
    right: Option<&T>,
    order: impl Fn(&T, &T) -> Option<Ordering>,
) -> bool {
    let (equal, order) = match (left, right) {
        (None, None) => (true, None),
        (Some(left), Some(right)) => {
            let order = order(left, right);
            (order == Some(Ordering::Equal), order)
        }
        _ => (false, None),
    };
    match op {
        BinaryOp::Eq => equal,
        BinaryOp::Ne => !equal,
        BinaryOp::Gt => order == Some(Ordering::Greater),
        BinaryOp::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        BinaryOp::Lt => order == Some(Ordering::Less),
        BinaryOp::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => false,
    }
}

/// A stretch of time: an interval, which does not hold its end, or an instant, which is both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl Period {
    pub fn instant(at: DateTime<Utc>) -> Self {
        Self { start: at, end: at }
    }

    fn is_instant(self) -> bool {
        self.start == self.end
    }

    /// `lt`, and FROST's `before`: over when the other begins.
    pub fn before(self, other: Self) -> bool {
        if self.is_instant() { self.end < other.start } else { self.end <= other.start }
    }

    /// `gt`, and FROST's `after`.
    pub fn after(self, other: Self) -> bool {
        other.before(self)
    }

    /// One ends where the other begins.
    pub fn meets(self, other: Self) -> bool {
        self.end == other.start || other.end == self.start
    }

    /// Wholly inside the other.
    pub fn during(self, other: Self) -> bool {
        let last_is_in = self.end < other.end
            || (self.end == other.end && (!self.is_instant() || other.is_instant()));
        self.start >= other.start && last_is_in
    }

    /// They have a moment in common.
    pub fn overlaps(self, other: Self) -> bool {
        !self.before(other) && !self.after(other)
    }

    /// They begin together.
    pub fn starts(self, other: Self) -> bool {
        self.start == other.start
    }

    /// They end together.
    pub fn finishes(self, other: Self) -> bool {
        self.end == other.end
    }

    /// Comparison operators where one side may be an interval: `ge` begins no earlier, `le` ends no
    /// later. For two instants it is what it always was.
    pub fn compare(self, op: BinaryOp, other: Self) -> bool {
        match op {
            BinaryOp::Eq => self == other,
            BinaryOp::Ne => self != other,
            BinaryOp::Lt => self.before(other),
            BinaryOp::Gt => self.after(other),
            BinaryOp::Le => self.end <= other.end,
            BinaryOp::Ge => self.start >= other.start,
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => false,
        }
    }
}

/// The window of `$apply` that an instant falls into; its end is where the next one begins.
///
/// Windows are laid on the clock of the window's offset: fixed lengths from Monday, 5 January 1970,
/// 00:00, so that hours, days and weeks begin where people begin them; months from January 1970, so
/// that quarters and years do. A window without an offset is laid on the clock of `zone`. `None` at
/// the ends of what can be written.
pub fn window_of(window: &Window, zone: FixedOffset, at: DateTime<Utc>) -> Option<Period> {
    let offset = window.offset.unwrap_or(zone);
    let local = at.with_timezone(&offset).naive_local();
    let length = window.length;
    let (start, end) = if length.months > 0 {
        let since = i64::from(local.year() - 1970) * 12 + i64::from(local.month0());
        let index = since.div_euclid(i64::from(length.months));
        let first = index * i64::from(length.months);
        (month_start(first)?, month_start(first + i64::from(length.months))?)
    } else {
        let anchor = monday()?;
        let since = local.signed_duration_since(anchor).num_microseconds()?;
        let start = since.div_euclid(length.micros).checked_mul(length.micros)?;
        let moved = |micros| anchor.checked_add_signed(TimeDelta::microseconds(micros));
        (moved(start)?, moved(start.checked_add(length.micros)?)?)
    };
    let utc = |local: chrono::NaiveDateTime| -> Option<DateTime<Utc>> {
        let instant: DateTime<FixedOffset> = offset.from_local_datetime(&local).single()?;
        Some(instant.with_timezone(&Utc))
    };
    Some(Period { start: utc(start)?, end: utc(end)? })
}

fn monday() -> Option<chrono::NaiveDateTime> {
    NaiveDate::from_ymd_opt(1970, 1, 1)?.checked_add_days(Days::new(4))?.and_hms_opt(0, 0, 0)
}

/// The first of a month, counted from January 1970.
fn month_start(months: i64) -> Option<chrono::NaiveDateTime> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let distance = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    let first = if months < 0 {
        epoch.checked_sub_months(distance)?
    } else {
        epoch.checked_add_months(distance)?
    };
    first.and_hms_opt(0, 0, 0)
}
