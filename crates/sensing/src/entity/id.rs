//! Ids in bodies and links, and the id by which an observation is found.
//!
//! An observation's id is not stored: it says where the row is (decision 0012).

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::fault::{At, Fault, Result};
use super::time::Moment;
use crate::odata::EntityId;

/// A text longer than this is nobody's id.
pub const ID_BYTES_MAX: usize = 255;

/// What stands in a segment of a path as it is (RFC 3986, `pchar`); everything else is encoded.
const IN_LINK: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// Where an observation is: `datastream-time-ordinal`, the time in µs since 1970, the ordinal 0
/// for the first of its stream and moment.
///
/// One observation has one such text: no sign or zero more than needed is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObservationId {
    datastream: i64,
    time: Moment,
    ordinal: u32,
}

impl ObservationId {
    /// None where the datastream's number is negative: no entity has one.
    pub fn new(datastream: i64, time: Moment, ordinal: u32) -> Option<Self> {
        (datastream >= 0).then_some(Self { datastream, time, ordinal })
    }

    pub fn datastream(self) -> i64 {
        self.datastream
    }

    pub fn time(self) -> Moment {
        self.time
    }

    pub fn ordinal(self) -> u32 {
        self.ordinal
    }

    /// None for what this service never wrote: no observation has such an id.
    pub fn parse(text: &str) -> Option<Self> {
        let (datastream, rest) = text.split_once('-')?;
        let (time, ordinal) = rest.rsplit_once('-')?;
        let time = Moment::from_micros(canonical(time)?)?;
        Self::new(canonical(datastream)?, time, canonical(ordinal)?)
    }
}

/// A number that is written as it would be printed.
fn canonical<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !digits.starts_with('0');
    if plain && shortest { text.parse().ok() } else { None }
}

impl fmt::Display for ObservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.datastream, self.time.micros(), self.ordinal)
    }
}

impl From<ObservationId> for EntityId {
    fn from(id: ObservationId) -> Self {
        Self::Text(id.to_string())
    }
}

/// The id in a body.
pub(super) fn read(at: At<'_>, value: &Value) -> Result<EntityId> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(id) => Ok(EntityId::Integer(id)),
            None => Err(Fault::wrong_type(at, "an id", value)),
        },
        Value::String(text) if text.len() > ID_BYTES_MAX => {
            Err(Fault::new(at, format!("an id of more than {ID_BYTES_MAX} bytes")))
        }
        Value::String(text) => Ok(EntityId::Text(text.clone())),
        other => Err(Fault::wrong_type(at, "an id: an integer or a text", other)),
    }
}

/// An id as it stands in a link: `(1)`, `('a''b')`, encoded.
pub(super) struct Link<'a>(pub &'a EntityId);

impl fmt::Display for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            EntityId::Integer(id) => write!(f, "({id})"),
            EntityId::Text(_) => {
                write!(f, "({})", utf8_percent_encode(&self.0.to_string(), IN_LINK))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::odata::ResourcePath;
    use crate::schema::SENSORTHINGS_1_1;

    #[test]
    fn an_observation_says_where_it_is() {
        let id = ObservationId::parse("12-1366301700000000-0").unwrap();
        assert_eq!(id.datastream(), 12);
        assert_eq!(id.time(), Moment::parse("2013-04-18T16:15:00Z").unwrap());
        let early = ObservationId::new(7, Moment::from_micros(-5).unwrap(), 3).unwrap();
        assert_eq!(early.to_string(), "7--5-3");
        assert_eq!(ObservationId::parse("7--5-3"), Some(early));
    }

    #[test]
    fn one_observation_has_one_id() {
        for text in [
            "",
            "-",
            "--",
            "1",
            "1-2",
            "1-2-",
            "-1-2-3",
            "1-2-3-4",
            "01-2-3",
            "1-02-3",
            "1-2-00",
            "1-+2-3",
            "1--0-3",
            "1-2--0",
            "+1-2-3",
            "1-2-4294967296",
            "1-9223372036854775807-0",
            "9223372036854775808-2-3",
            "１-2-3",
            " 1-2-3",
        ] {
            assert_eq!(ObservationId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_is_quoted_and_encoded() {
        let link = |text: &str| Link(&EntityId::Text(text.to_owned())).to_string();
        assert_eq!(link("it's"), "('it''s')");
        assert_eq!(link("a/b c%"), "('a%2Fb%20c%25')");
        assert_eq!(link("蜀"), "('%E8%9C%80')");
        assert_eq!(Link(&EntityId::Integer(-3)).to_string(), "(-3)");
    }

    proptest! {
        #[test]
        fn a_link_leads_back_to_its_id(text in "\\PC{0,20}") {
            let id = EntityId::Text(text);
            let path = format!("Things{}", Link(&id));
            let path = ResourcePath::parse(&SENSORTHINGS_1_1, &path).unwrap();
            prop_assert_eq!(path.last().id.as_ref(), Some(&id));
        }

        #[test]
        fn an_observation_s_id_reads_back(
            datastream in 0..i64::MAX,
            micros in Moment::MIN.micros()..=Moment::MAX.micros(),
            ordinal: u32,
        ) {
            let time = Moment::from_micros(micros).unwrap();
            let id = ObservationId::new(datastream, time, ordinal).unwrap();
            prop_assert_eq!(ObservationId::parse(&id.to_string()), Some(id));
        }

        #[test]
        fn no_text_is_a_panic(text in "[0-9-]{0,30}|\\PC{0,20}") {
            if let Some(id) = ObservationId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
