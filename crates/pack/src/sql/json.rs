//! Functions that look into JSON, which is kept as text: what stands at a JSON Pointer (RFC 6901),
//! as a text, a number, a truth, an instant, the name of its type or JSON again.
//!
//! Nothing of a row is an error. Text that is no JSON, a pointer to nothing, a value of another
//! type and JSON's `null` are all null, so that one odd row does not end a question. A pointer
//! that is written out is looked at before the question runs, and refused where it is none.
//!
//! ```text
//!  row ──► walk along the pointer ──► the value's own text ──► read as what was asked for
//!              others are skipped, not built        (no copy)
//! ```
//!
//! Answers are parts of their argument. Only [`canonical`] may write a number longer than it
//! came (`1e20`), by a constant and never again on its own answer, so that these need no place
//! among the catalogue's functions that make much out of little; [`texts`] bounds what is made.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use chrono::DateTime;
use datafusion::common::cast::as_string_array;
use datafusion::common::{Result, exec_err, plan_err, resources_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::canonical::canonical;

/// Parts of a pointer, and values inside values that are written anew: below the 128 at which
/// `serde_json` stops.
pub(super) const DEPTH_MAX: usize = 100;

/// Text that one call may make over one batch of rows. Far above what columns hold; an array of
/// texts has no room for more than 2 GiB.
const MADE_BYTES_MAX: usize = 256 << 20;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [Kind::Text, Kind::Number, Kind::Boolean, Kind::Instant, Kind::Type, Kind::Value]
        .map(|kind| {
            let signature = super::functions::text_signature(2, Volatility::Immutable);
            Arc::new(ScalarUDF::from(JsonUdf { kind, signature }))
        })
        .into()
}

/// What is read where the pointer leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Text,
    Number,
    Boolean,
    Instant,
    Type,
    Value,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonUdf {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for JsonUdf {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Text => "json_text",
            Kind::Number => "json_number",
            Kind::Boolean => "json_boolean",
            Kind::Instant => "json_instant",
            Kind::Type => "json_type",
            Kind::Value => "json_value",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Text | Kind::Type | Kind::Value => DataType::Utf8,
            Kind::Number => DataType::Float64,
            Kind::Boolean => DataType::Boolean,
            Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        })
    }

    // Where a pointer is the same for all rows, it is refused for none of them in particular.
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let pointer = args.scalar_arguments.get(1).copied().flatten();
        if let Some(text) = pointer.and_then(|pointer| pointer.try_as_str().flatten())
            && Pointer::parse(text).is_none()
        {
            return plan_err!(
                "{} takes a JSON Pointer such as `/name` or `/list/0`, of at most {DEPTH_MAX} \
                 parts and empty for the whole, not `{text}`",
                self.name()
            );
        }
        Ok(Arc::new(Field::new(self.name(), self.return_type(&[])?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [json, pointer] = args.args.as_slice() else {
            return exec_err!("{} takes a JSON text and a pointer", self.name());
        };
        let array = json.to_array(args.number_rows)?;
        let rows = as_string_array(&array)?;
        let found: Vec<Option<&str>> = match pointer {
            ColumnarValue::Scalar(pointer) => {
                match pointer.try_as_str().flatten().and_then(Pointer::parse) {
                    Some(pointer) => rows.iter().map(|json| pointer.find(json?)).collect(),
                    None => vec![None; rows.len()],
                }
            }
            ColumnarValue::Array(pointers) => {
                let pointers = as_string_array(pointers)?;
                let pairs = rows.iter().zip(pointers.iter());
                pairs.map(|(json, pointer)| Pointer::parse(pointer?)?.find(json?)).collect()
            }
        };
        Ok(ColumnarValue::Array(self.kind.read(self.name(), found)?))
    }
}

impl Kind {
    fn read(self, function: &str, found: Vec<Option<&str>>) -> Result<ArrayRef> {
        let found = found.into_iter();
        let array: ArrayRef = match self {
            Self::Text => Arc::new(found.map(|value| text_of(value?)).collect::<StringArray>()),
            Self::Number => Arc::new(found.map(|v| number_of(v?)).collect::<Float64Array>()),
            Self::Boolean => Arc::new(found.map(|v| boolean_of(v?)).collect::<BooleanArray>()),
            Self::Instant => {
                let instants = found.map(|value| instant_of(value?));
                Arc::new(instants.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            Self::Type => Arc::new(found.map(|value| type_of(value?)).collect::<StringArray>()),
            Self::Value => Arc::new(texts(function, found.map(|value| canonical(value?)))?),
        };
        Ok(array)
    }
}

/// Texts made row by row, bounded together.
pub(super) fn texts(
    function: &str,
    rows: impl Iterator<Item = Option<String>>,
) -> Result<StringArray> {
    let mut builder = StringBuilder::new();
    let mut made_bytes = 0;
    for row in rows {
        made_bytes += row.as_ref().map_or(0, String::len);
        bounded(function, made_bytes)?;
        builder.append_option(row);
    }
    Ok(builder.finish())
}

/// Refuses to make more than an array has room for.
pub(super) fn bounded(function: &str, made_bytes: usize) -> Result<()> {
    if made_bytes > MADE_BYTES_MAX {
        return resources_err!("{function} would make more than {MADE_BYTES_MAX} bytes of a batch");
    }
    Ok(())
}

/// The text of a JSON string. Null where it is none, or has half a surrogate pair in it.
pub(super) fn text_of(value: &str) -> Option<Cow<'_, str>> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        return serde_json::from_str(value).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inside))
}

/// The nearest double: the standard library reads every digit. Null beyond the largest.
fn number_of(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

fn boolean_of(value: &str) -> Option<bool> {
    match value {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// µs since 1970, UTC; what is finer is cut off.
fn instant_of(value: &str) -> Option<i64> {
    let instant = DateTime::parse_from_rfc3339(&text_of(value)?).ok()?;
    Some(instant.timestamp_micros())
}

fn type_of(value: &str) -> Option<&'static str> {
    Some(match value.as_bytes().first()? {
        b'{' => "object",
        b'[' => "array",
        b'"' => "string",
        b't' | b'f' => "boolean",
        b'-' | b'0'..=b'9' => "number",
        _ => return None,
    })
}

/// A JSON Pointer (RFC 6901) in its parts.
#[derive(Debug)]
struct Pointer<'a>(Vec<Part<'a>>);

/// A member's name, or the place in an array if it is written as one.
#[derive(Debug)]
struct Part<'a> {
    name: Cow<'a, str>,
    index: Option<usize>,
}

impl<'a> Pointer<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let parts = text.strip_prefix('/')?.split('/').take(DEPTH_MAX + 1).map(Part::parse);
        let parts = parts.collect::<Option<Vec<_>>>()?;
        (parts.len() <= DEPTH_MAX).then_some(Self(parts))
    }

    /// The text of the value that the pointer leads to, as it stands in the whole.
    fn find<'de>(&self, json: &'de str) -> Option<&'de str> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let found = Walk(&self.0).deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        found.filter(|value| *value != "null")
    }
}

impl<'a> Part<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let index = digits && (text == "0" || !text.starts_with('0'));
        let index = if index { text.parse().ok() } else { None };
        Some(Self { name: unescaped(text)?, index })
    }
}

/// `~1` is `/` and `~0` is `~`; anything else behind a `~` is a mistake.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    let Some((plain, escaped)) = text.split_once('~') else {
        return Some(Cow::Borrowed(text));
    };
    let mut name = plain.to_owned();
    for part in escaped.split('~') {
        name.push(match part.as_bytes().first()? {
            b'0' => '~',
            b'1' => '/',
            _ => return None,
        });
        name.push_str(&part[1..]);
    }
    Some(Cow::Owned(name))
}

/// What is left of the way.
struct Walk<'p>(&'p [Part<'p>]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<&'de str>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        match self.0.split_first() {
            None => {
                let value = <&'de RawValue>::deserialize(deserializer)?;
                Ok(Some(value.get()))
            }
            Some((part, rest)) => deserializer.deserialize_any(Inside { part, rest: Walk(rest) }),
        }
    }
}

/// A value into which the way leads on.
struct Inside<'p> {
    part: &'p Part<'p>,
    rest: Walk<'p>,
}

impl<'de> Visitor<'de> for Inside<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut items: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut found = None;
        if let Some(index) = self.part.index {
            for _ in 0..index {
                if items.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = items.next_element_seed(self.rest)?.flatten();
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    // A name that is there twice means what it says last, as to PostgreSQL's `jsonb`.
    fn visit_map<A: MapAccess<'de>>(
        self,
        mut members: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(wanted) = members.next_key_seed(Named(&self.part.name))? {
            if wanted {
                found = members.next_value_seed(Walk(self.rest.0))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a member has this name.
struct Named<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Named<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> std::result::Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(json: &'a str, pointer: &str) -> Option<&'a str> {
        Pointer::parse(pointer).unwrap().find(json)
    }

    #[test]
    fn pointers_lead_to_values() {
        // RFC 6901, 5.
        let json = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,
            "k\"l":6," ":7,"m~n":8}"#;
        for (pointer, value) in [
            ("/foo", r#"["bar","baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(find(json, pointer), Some(value), "{pointer}");
        }
        assert_eq!(find(json, ""), Some(json));
        assert_eq!(find(r#"{"~1":1}"#, "/~01"), Some("1"));
        assert_eq!(find(r#" { "蜀" : { "锦" : [ 1 , { "a" : 2 } ] } } "#, "/蜀/锦/1/a"), Some("2"));
        assert_eq!(find(r#"{"\u8700":1}"#, "/蜀"), Some("1"), "names are compared, not spellings");
        assert_eq!(find(r#"{"0":{"1":true}}"#, "/0/1"), Some("true"), "a number may be a name");
        assert_eq!(find(" 7 ", ""), Some("7"));
    }

    #[test]
    fn what_is_not_there_is_null() {
        for (json, pointer) in [
            ("null", ""),
            (r#"{"a":null}"#, "/a"),
            (r#"{"a":1}"#, "/b"),
            (r#"{"a":1}"#, "/a/b"),
            (r#"{"a":"b"}"#, "/a/0"),
            (r#"{"a":[1,2]}"#, "/a/2"),
            (r#"{"a":[1,2]}"#, "/a/-"),
            (r#"{"a":[1,2]}"#, "/a/01"),
            (r#"{"a":[1,2]}"#, "/a/+1"),
            (r#"{"a":[1,2]}"#, "/a/99999999999999999999999"),
            (r#"{"a":1.5e400}"#, "/a/b"),
        ] {
            assert_eq!(find(json, pointer), None, "{json} {pointer}");
        }
        // No JSON, wherever the mistake stands.
        for json in ["", " ", "{", r#"{"a":1"#, r#"{"a":1}x"#, r#"{"a":1,}"#, "{'a':1}", "NaN"] {
            assert_eq!(find(json, "/a"), None, "{json}");
            assert_eq!(find(json, ""), None, "{json}");
        }
    }

    #[test]
    fn the_last_of_two_members_counts() {
        assert_eq!(find(r#"{"a":1,"b":0,"a":2}"#, "/a"), Some("2"));
        assert_eq!(find(r#"{"a":{"b":1},"a":{}}"#, "/a/b"), None);
    }

    #[test]
    fn pointers_that_are_none() {
        for pointer in ["a", "$.a", "a/b", "/~", "/~2", "/a~", "#/a"] {
            assert!(Pointer::parse(pointer).is_none(), "{pointer}");
        }
        assert!(Pointer::parse(&"/a".repeat(DEPTH_MAX)).is_some());
        assert!(Pointer::parse(&"/a".repeat(DEPTH_MAX + 1)).is_none());
        assert!(Pointer::parse(&"/".repeat(1_000_000)).is_none());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let deepest = nested(DEPTH_MAX);
        assert_eq!(find(&deepest, &"/0".repeat(DEPTH_MAX)), Some("1"));
        // What is skipped may be as deep as it likes: it is not gone into.
        let json = format!(r#"{{"a":{},"b":2}}"#, nested(1_000_000));
        assert_eq!(find(&json, "/b"), Some("2"));
    }

    #[test]
    fn texts_are_unescaped() {
        assert_eq!(text_of(r#""蜀锦""#).unwrap(), "蜀锦");
        assert_eq!(text_of(r#""\"\\\/\b\f\n\r\t""#).unwrap(), "\"\\/\u{8}\u{c}\n\r\t");
        assert_eq!(text_of(r#""\u8700\ud83d\ude00""#).unwrap(), "蜀😀");
        assert_eq!(text_of(r#""""#).unwrap(), "");
        for other in ["1", "true", "{}", "[\"a\"]", r#""\ud83d""#] {
            assert_eq!(text_of(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_are_the_nearest_doubles() {
        assert_eq!(number_of("-1.5E+2"), Some(-150.0));
        assert_eq!(number_of("9007199254740993"), Some(9_007_199_254_740_992.0));
        assert_eq!(number_of("18446744073709551616"), Some(18_446_744_073_709_551_616.0));
        // More digits than a fast reading gets right to the last bit.
        assert_eq!(number_of("0.13002232910494966"), Some(0.130_022_329_104_949_66));
        assert_eq!(number_of("5e-324"), Some(5e-324));
        for other in ["1e400", "true", "\"1\"", "[1]", "{}"] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }

    #[test]
    fn instants_have_an_offset() {
        assert_eq!(instant_of(r#""1970-01-01T08:00:00.000001+08:00""#), Some(1));
        assert_eq!(instant_of(r#""1969-12-31T23:59:59.9999999Z""#), Some(-1));
        assert_eq!(instant_of(r#""2026-11-23T00:00:00\u005a""#), Some(1_795_392_000_000_000));
        for other in [
            r#""2026-11-23T00:00:00""#,
            r#""2026-11-23""#,
            r#""2026-02-29T00:00:00Z""#,
            r#""蜀""#,
            "0",
            "true",
        ] {
            assert_eq!(instant_of(other), None, "{other}");
        }
    }

    #[test]
    fn every_value_has_a_type() {
        for (value, name) in [
            ("{}", Some("object")),
            ("[]", Some("array")),
            ("\"\"", Some("string")),
            ("true", Some("boolean")),
            ("false", Some("boolean")),
            ("-1", Some("number")),
            ("0", Some("number")),
            ("null", None),
        ] {
            assert_eq!(type_of(value), name, "{value}");
        }
    }
}
