//! What screens and programs ask of the city's sensors, over HTTP: parameters checked and answers
//! written. What is answered, and to whom, is `city`'s.

pub mod census;
pub mod coverage;
pub mod devices;
pub mod findings;
pub mod ingest;
pub mod map;
pub mod series;

use chrono::{DateTime, Utc};

use super::Http;
use super::boards::prefix_of;
use crate::fault::{Code, Fault};

/// Characters of a department's or a kind's code.
const CODE_CHARS_MAX: usize = 64;

fn invalid(reason: impl Into<String>) -> Fault {
    Fault::new(Code::Invalid, reason)
}

/// A code as it was given; nothing where it is empty.
fn code(name: &str, given: Option<String>) -> Result<Option<String>, Fault> {
    let given = given.filter(|code| !code.is_empty());
    match &given {
        Some(code) if code.chars().count() > CODE_CHARS_MAX => {
            Err(invalid(format!("`{name}` has at most {CODE_CHARS_MAX} characters")))
        }
        _ => Ok(given),
    }
}

/// An area's code; nothing where it is empty.
fn area(given: Option<String>) -> Result<Option<String>, Fault> {
    prefix_of(given.as_deref())?;
    let given = given.map(|code| code.trim().to_owned());
    Ok(given.filter(|code| !code.is_empty()))
}

/// A moment from µs since 1970.
fn moment(micros: Option<i64>) -> Option<DateTime<Utc>> {
    micros.and_then(DateTime::from_timestamp_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_bounded_and_areas_are_digits() {
        assert_eq!(code("kind", Some(String::new())).unwrap(), None);
        assert_eq!(code("kind", Some("air".into())).unwrap().as_deref(), Some("air"));
        assert!(code("kind", Some("a".repeat(65))).is_err());
        assert_eq!(area(Some(" 510104000000 ".into())).unwrap().as_deref(), Some("510104000000"));
        assert_eq!(area(Some(String::new())).unwrap(), None);
        assert!(area(Some("51' OR".into())).is_err());
    }
}
