//! Birth dates by age, and the parts of an identity number that follow from them (GB 11643).

use std::fmt::Write as _;

use chrono::{Datelike, Days, Months, NaiveDate};

use crate::rng::Rng;

/// Nobody is older.
pub const AGE_MAX: u32 = 105;
/// Birthdays of one age run over so many days, so that everyone has had theirs.
const DAYS_OF_AN_AGE: usize = 365;

/// Dates of birth for each age on a day of reference.
#[derive(Debug)]
pub struct Births {
    /// Days since 1970 of who has a birthday on the day of reference, by age.
    latest: Vec<i32>,
    first_day: i32,
    /// `YYYYMMDD` of each day from the first.
    digits: String,
}

const DIGITS: usize = 8;

fn since_1970(date: NaiveDate) -> i32 {
    date.num_days_from_ce()
        - NaiveDate::from_ymd_opt(1970, 1, 1).map_or(0, |d| d.num_days_from_ce())
}

impl Births {
    pub fn new(reference: NaiveDate) -> Self {
        let birthday =
            |age: u32| reference.checked_sub_months(Months::new(12 * age)).unwrap_or(reference);
        let first = birthday(AGE_MAX)
            .checked_sub_days(Days::new(DAYS_OF_AN_AGE as u64))
            .unwrap_or(reference);
        let mut digits = String::new();
        for day in first.iter_days().take_while(|day| *day <= reference) {
            write!(digits, "{:04}{:02}{:02}", day.year(), day.month(), day.day())
                .expect("writing to memory does not fail");
        }
        let latest = (0..=AGE_MAX).map(|age| since_1970(birthday(age))).collect();
        Self { latest, first_day: since_1970(first), digits }
    }

    /// A day of birth, in days since 1970, of somebody of this age.
    pub fn day(&self, age: u32, rng: &mut Rng) -> i32 {
        let latest = self.latest[age.min(AGE_MAX) as usize];
        latest - i32::try_from(rng.below(DAYS_OF_AN_AGE)).expect("days of a year")
    }

    /// The day as `YYYYMMDD`.
    pub fn digits(&self, day: i32) -> &str {
        let at = usize::try_from(day - self.first_day).expect("days come from `day`") * DIGITS;
        &self.digits[at..at + DIGITS]
    }
}

/// GB 11643-1999, ISO 7064 MOD 11-2: weights of the first 17 digits.
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: &[u8; 11] = b"10X98765432";

/// The check character of 17 digits.
pub fn check_character(digits: &str) -> char {
    let sum: u32 =
        digits.bytes().zip(WEIGHTS).map(|(b, weight)| u32::from(b - b'0') * weight).sum();
    char::from(CHECKS[(sum % 11) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Topic;

    #[test]
    fn ages_are_whole_years_on_the_day() {
        let reference = NaiveDate::from_ymd_opt(2020, 11, 1).unwrap();
        let births = Births::new(reference);
        let mut rng = Rng::of(1, Topic::People, 0);
        for age in 0..=AGE_MAX {
            for _ in 0..50 {
                let day = births.day(age, &mut rng);
                let born = NaiveDate::parse_from_str(births.digits(day), "%Y%m%d").unwrap();
                assert_eq!(since_1970(born), day);
                assert_eq!(reference.years_since(born), Some(age));
            }
        }
    }

    #[test]
    fn checks_are_those_of_the_standard() {
        // The worked example of GB 11643-1999, annex A.
        assert_eq!(check_character("11010519491231002"), 'X');
        assert!(pack::codes::valid_identity_number("11010519491231002X"));
    }
}
