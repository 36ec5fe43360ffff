//! The cells of a row: from the parser's events to a value or to a fault of that row, and never to
//! an error of the parser, which would end the body.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::super::fault::{At, Fault, Result};
use super::super::id;
use super::super::json::{Bounded, Json};
use super::super::model::Outcome;
use super::super::time::{Moment, Period, TimeObject, moment_at, period_at, time_object_at};
use crate::odata::EntityId;

/// What a cell is before it is known what it should be.
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
}

impl Scalar<'_> {
    pub fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Signed(value) => (*value).into(),
            Self::Unsigned(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Text(value) => (*value).into(),
        }
    }
}

/// How a kind of cell is read.
pub(super) trait Cell {
    type Out;

    fn scalar(self, value: Scalar<'_>) -> Result<Self::Out>;

    /// An array or an object.
    fn nested(self, value: Value) -> Result<Self::Out>;
}

/// A [`Cell`] as the parser wants it.
pub(super) struct Seed<C>(pub C);

impl<'de, C: Cell> DeserializeSeed<'de> for Seed<C> {
    type Value = Result<C::Out>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The methods of a visitor for scalars, all of which go one way.
macro_rules! visit_scalars {
    () => {
        fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
            Ok(self.scalar(Scalar::Null))
        }

        fn visit_bool<E>(self, value: bool) -> std::result::Result<Self::Value, E> {
            Ok(self.scalar(Scalar::Bool(value)))
        }

        fn visit_i64<E>(self, value: i64) -> std::result::Result<Self::Value, E> {
            Ok(self.scalar(Scalar::Signed(value)))
        }

        fn visit_u64<E>(self, value: u64) -> std::result::Result<Self::Value, E> {
            Ok(self.scalar(Scalar::Unsigned(value)))
        }

        fn visit_f64<E>(self, value: f64) -> std::result::Result<Self::Value, E> {
            Ok(self.scalar(Scalar::Float(value)))
        }

        fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E> {
            Ok(self.scalar(Scalar::Text(value)))
        }
    };
}
pub(super) use visit_scalars;

impl<C: Cell> Seed<C> {
    fn scalar(self, value: Scalar<'_>) -> Result<C::Out> {
        self.0.scalar(value)
    }
}

impl<'de, C: Cell> Visitor<'de> for Seed<C> {
    type Value = Result<C::Out>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    visit_scalars!();

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> std::result::Result<Self::Value, A::Error> {
        Bounded { depth: 0 }.visit_seq(items).map(|value| self.0.nested(value))
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        members: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        Bounded { depth: 0 }.visit_map(members).map(|value| self.0.nested(value))
    }
}

/// A time of some kind, or null.
pub(super) struct TimeCell<'a, T> {
    pub at: At<'a>,
    pub expected: &'static str,
    pub read: fn(At<'_>, &str) -> Result<T>,
}

impl<'a> TimeCell<'a, TimeObject> {
    pub fn object(at: At<'a>) -> Self {
        Self { at, expected: "an instant or an interval", read: time_object_at }
    }
}

impl<'a> TimeCell<'a, Moment> {
    pub fn moment(at: At<'a>) -> Self {
        Self { at, expected: "an instant", read: moment_at }
    }
}

impl<'a> TimeCell<'a, Period> {
    pub fn period(at: At<'a>) -> Self {
        Self { at, expected: "an interval", read: period_at }
    }
}

impl<T> Cell for TimeCell<'_, T> {
    type Out = Option<T>;

    fn scalar(self, value: Scalar<'_>) -> Result<Option<T>> {
        match value {
            Scalar::Text(text) => (self.read)(self.at, text).map(Some),
            Scalar::Null => Ok(None),
            other => Err(Fault::wrong_type(self.at, self.expected, &other.value())),
        }
    }

    fn nested(self, value: Value) -> Result<Option<T>> {
        Err(Fault::wrong_type(self.at, self.expected, &value))
    }
}

/// A result of any type.
pub(super) struct ResultCell;

/// Whole numbers up to here are the same with a fraction.
const WHOLE_MAX: u64 = 1 << 53;

impl Cell for ResultCell {
    type Out = Outcome;

    #[expect(clippy::cast_precision_loss, reason = "no more than 53 bits")]
    fn scalar(self, value: Scalar<'_>) -> Result<Outcome> {
        Ok(match value {
            Scalar::Float(number) => Outcome::Number(number),
            Scalar::Signed(whole) if whole.unsigned_abs() <= WHOLE_MAX => {
                Outcome::Number(whole as f64)
            }
            Scalar::Unsigned(whole) if whole <= WHOLE_MAX => Outcome::Number(whole as f64),
            other => Outcome::of(&other.value()),
        })
    }

    fn nested(self, value: Value) -> Result<Outcome> {
        Ok(Outcome::of(&value))
    }
}

/// Any JSON, none for null.
pub(super) struct JsonCell;

impl Cell for JsonCell {
    type Out = Option<Json>;

    fn scalar(self, value: Scalar<'_>) -> Result<Option<Json>> {
        Ok(Some(value.value()).filter(|value| !value.is_null()).map(|value| Json::of(&value)))
    }

    fn nested(self, value: Value) -> Result<Option<Json>> {
        Ok(Some(Json::of(&value)))
    }
}

/// A JSON object or array, none for null.
pub(super) struct MembersCell<'a>(pub At<'a>);

impl Cell for MembersCell<'_> {
    type Out = Option<Json>;

    fn scalar(self, value: Scalar<'_>) -> Result<Option<Json>> {
        match value {
            Scalar::Null => Ok(None),
            other => Err(Fault::wrong_type(self.0, "an object", &other.value())),
        }
    }

    fn nested(self, value: Value) -> Result<Option<Json>> {
        Ok(Some(Json::of(&value)))
    }
}

/// The id of an entity, none for null.
pub(super) struct IdCell<'a>(pub At<'a>);

impl Cell for IdCell<'_> {
    type Out = Option<EntityId>;

    fn scalar(self, value: Scalar<'_>) -> Result<Option<EntityId>> {
        match value {
            Scalar::Null => Ok(None),
            Scalar::Signed(id) => Ok(Some(EntityId::Integer(id))),
            other => id::read(self.0, &other.value()).map(Some),
        }
    }

    fn nested(self, value: Value) -> Result<Option<EntityId>> {
        id::read(self.0, &value).map(Some)
    }
}
