//! The id of an Observation: `datastream-time-ordinal`, which says where the row is.

use std::fmt;
use std::str::FromStr;

use crate::odata::EntityId;

/// The key of an Observation's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObservationKey {
    pub datastream: i64,
    /// µs since 1970, UTC: where phenomenon time begins.
    pub time_us: i64,
    /// From 0, for observations of one Datastream and moment.
    pub ordinal: i64,
}

impl fmt::Display for ObservationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.datastream, self.time_us, self.ordinal)
    }
}

/// A text that is the id of no observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an observation's id is `datastream-time-ordinal`, such as 12-1704067200000000-0")]
pub struct NoObservationKey;

impl FromStr for ObservationKey {
    type Err = NoObservationKey;

    /// Reads only what is printed: `012-5-0` is another text, so it is nobody's id.
    fn from_str(text: &str) -> Result<Self, NoObservationKey> {
        let (datastream, rest) = text.split_once('-').ok_or(NoObservationKey)?;
        let (time, ordinal) = rest.rsplit_once('-').ok_or(NoObservationKey)?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| NoObservationKey);
        let key = Self {
            datastream: number(datastream)?,
            time_us: number(time)?,
            ordinal: number(ordinal)?,
        };
        if key.to_string() == text { Ok(key) } else { Err(NoObservationKey) }
    }
}

/// An id that all but Observations have; `None` where there can be no such entity.
pub(super) fn integer_of(id: &EntityId) -> Option<i64> {
    match id {
        EntityId::Integer(id) => Some(*id),
        // Clients that know only text ids put them in quotes.
        EntityId::Text(text) => text.parse().ok().filter(|id: &i64| id.to_string() == *text),
    }
}

/// The key that an Observation's id says; `None` where there can be no such Observation.
pub(super) fn observation_of(id: &EntityId) -> Option<ObservationKey> {
    match id {
        EntityId::Integer(_) => None,
        EntityId::Text(text) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_printed() {
        for text in ["12-1704067200000000-0", "1--5-3", "0-0-0"] {
            assert_eq!(text.parse::<ObservationKey>().unwrap().to_string(), text);
        }
        for text in ["", "12", "12-5", "012-5-0", "12-5-0 ", "a-b-c", "12-+5-0", "-1-5-0"] {
            assert_eq!(text.parse::<ObservationKey>(), Err(NoObservationKey), "{text}");
        }
    }

    #[test]
    fn an_integer_may_stand_in_quotes() {
        assert_eq!(integer_of(&EntityId::Text("5".into())), Some(5));
        assert_eq!(integer_of(&EntityId::Text("05".into())), None);
        assert_eq!(integer_of(&EntityId::Text("x".into())), None);
    }
}
