//! JSON as it comes in, bounded, and JSON as it is kept: text that is known to be JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::fault::{At, Fault, FaultKind, Result};
use super::{BODY_BYTES_MAX, JSON_DEPTH_MAX};

/// A JSON value as text, without white space between its parts. Its members keep their order and
/// its numbers their value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(Box<str>);

impl Json {
    /// Of a text that is JSON, such as one from storage.
    pub fn parse(text: &str) -> Result<Self> {
        value_of(text.as_bytes()).map(|value| Self::of(&value))
    }

    pub fn of(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_text(self) -> String {
        self.0.into()
    }

    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).expect("it was made of a value")
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a body.
///
/// Bounded in bytes and in depth. A member that is given twice is refused: one of the two would be
/// lost, and readers differ in which.
pub(super) fn value_of(body: &[u8]) -> Result<Value> {
    if body.len() > BODY_BYTES_MAX {
        let what = format!("a body of more than {BODY_BYTES_MAX} bytes");
        return Err(Fault::new(At::Root, what).kind(FaultKind::TooLarge));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Bounded { depth: 0 }.deserialize(&mut reader).and_then(|value| {
        reader.end()?;
        Ok(value)
    });
    value.map_err(|cause| no_json(&cause))
}

/// What the library says of a text that is no JSON, with its line and column.
pub(super) fn no_json(cause: &serde_json::Error) -> Box<Fault> {
    Fault::new(At::Root, "no JSON that can be read").found(cause.to_string())
}

/// A value so deep in the others.
#[derive(Clone, Copy)]
pub(super) struct Bounded {
    pub depth: usize,
}

impl Bounded {
    fn below<E: Error>(self) -> std::result::Result<Self, E> {
        if self.depth >= JSON_DEPTH_MAX {
            return Err(E::custom(format!("values nested more than {JSON_DEPTH_MAX} deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Bounded {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> std::result::Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(below)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if values.contains_key(&name) {
                return Err(A::Error::custom(format!("the member `{name}` is given twice")));
            }
            let value = members.next_value_seed(below)?;
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}

/// Appends a text as JSON.
pub(super) fn push_text(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x20.. => continue,
            _ => "",
        };
        out.push_str(&text[plain..at]);
        out.push_str(short);
        if short.is_empty() {
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Appends a number so that it reads back equal: a whole one without a fraction.
pub(super) fn push_number(out: &mut String, number: f64) {
    use fmt::Write;

    debug_assert!(number.is_finite(), "JSON has no other numbers");
    /// Below it every whole number is one of its own.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let minus_zero = number == 0.0 && number.is_sign_negative();
    let written = if number.fract() == 0.0 && number.abs() < WHOLE_MAX && !minus_zero {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        let whole = number as i64;
        write!(out, "{whole}")
    } else {
        // The shortest digits that are read as the same number.
        write!(out, "{number:?}")
    };
    written.expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_and_numbers_are_kept() {
        let text = r#"{"z":1.50,"a":[18446744073709551615,-9007199254740993,0.1]}"#;
        let json = Json::parse(text).unwrap();
        let expected = r#"{"z":1.5,"a":[18446744073709551615,-9007199254740993,0.1]}"#;
        assert_eq!(json.as_str(), expected);
        // More digits than a fast reading gets right to the last bit.
        for text in ["0.13002232910494966", "123456789012345678e-25", "8.41e21", "5e-324"] {
            let read = Json::parse(text).unwrap().value().as_f64().unwrap();
            assert_eq!(read.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
    }

    #[test]
    fn bodies_are_bounded() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(value_of(deep(JSON_DEPTH_MAX).as_bytes()).is_ok());
        let fault = value_of(deep(JSON_DEPTH_MAX + 1).as_bytes()).unwrap_err();
        assert!(fault.to_string().contains("deep"), "{fault}");
        assert!(value_of(deep(100_000).as_bytes()).is_err());
        let long = vec![b' '; BODY_BYTES_MAX + 1];
        assert_eq!(value_of(&long).unwrap_err().kind, FaultKind::TooLarge);
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        for body in ["", "{", "{\"a\":1}x", "{\"a\":1,\"a\":2}", "[1e999]", "'a'", "NaN"] {
            let fault = value_of(body.as_bytes()).unwrap_err();
            assert!(fault.to_string().contains("column"), "{body}: {fault}");
        }
        assert!(value_of(b"\"\xff\"").is_err());
    }

    proptest! {
        #[test]
        fn a_text_reads_back(text in any::<String>()) {
            let mut out = String::new();
            push_text(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }

        #[test]
        fn a_number_reads_back(number in any::<f64>().prop_filter("JSON", |n| n.is_finite())) {
            let mut out = String::new();
            push_number(&mut out, number);
            let back = value_of(out.as_bytes()).unwrap().as_f64().unwrap();
            prop_assert_eq!(back.to_bits(), number.to_bits(), "{}", out);
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in any::<Vec<u8>>()) {
            let _ = value_of(&bytes);
        }
    }
}
