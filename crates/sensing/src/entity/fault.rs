//! What is wrong with a body, and where: one error type for all that is read here.
//!
//! It holds what the sender wrote and nothing else, so it may be shown to them whole.

use std::fmt;

use serde_json::Value;

use crate::odata::{ParseError, Span};

/// At most this many characters of what was found are printed back.
const FOUND_CHARS_MAX: usize = 40;

/// What sort of answer a fault calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No JSON, or JSON that breaks a rule of the model: 400.
    Invalid,
    /// What it asks for does not fit what is there, such as a failed `test`: 409.
    Conflict,
    /// Larger than a bound of this service: 413.
    TooLarge,
}

/// A fault in a body, said so that whoever wrote it can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    pub kind: FaultKind,
    /// Where it stands in the body, as a JSON pointer (RFC 6901); empty for the whole of it.
    pub pointer: String,
    /// What is wrong.
    pub what: String,
    pub expected: Option<String>,
    pub found: Option<String>,
    /// How to mend it.
    pub hint: Option<String>,
}

/// Boxed: a fault is rare and large, what is read is frequent and small.
pub type Result<T> = std::result::Result<T, Box<Fault>>;

impl Fault {
    pub fn new(at: At<'_>, what: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            kind: FaultKind::Invalid,
            pointer: at.to_string(),
            what: what.into(),
            expected: None,
            found: None,
            hint: None,
        })
    }

    /// A value of another type than was asked for.
    pub fn wrong_type(at: At<'_>, expected: impl Into<String>, found: &Value) -> Box<Self> {
        Self::new(at, "a value of the wrong type").expected(expected).found(describe(found))
    }

    #[must_use]
    pub fn kind(mut self: Box<Self>, kind: FaultKind) -> Box<Self> {
        self.kind = kind;
        self
    }

    #[must_use]
    pub fn expected(mut self: Box<Self>, expected: impl Into<String>) -> Box<Self> {
        self.expected = Some(expected.into());
        self
    }

    #[must_use]
    pub fn found(mut self: Box<Self>, found: impl Into<String>) -> Box<Self> {
        self.found = Some(found.into());
        self
    }

    #[must_use]
    pub fn hint(mut self: Box<Self>, hint: impl Into<String>) -> Box<Self> {
        self.hint = Some(hint.into());
        self
    }

    /// "did you mean …?" where a known name is near, else all names where they are few: by the
    /// same rule as in a query.
    #[must_use]
    pub fn suggest<'a>(
        mut self: Box<Self>,
        wrong: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Box<Self> {
        self.hint = ParseError::new("", "", Span::default(), "").suggest(wrong, known).hint;
        self
    }
}

/// `/Datastreams/0/name: what is wrong: expected X, found Y; how to mend`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the body" } else { &self.pointer };
        write!(f, "{place}: {}", self.what)?;
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => write!(f, ": expected {expected}, found {found}")?,
            (Some(expected), None) => write!(f, ": expected {expected}")?,
            (None, Some(found)) => write!(f, ": found {found}")?,
            (None, None) => {}
        }
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// A place in a body: a list on the stack, so that a place costs nothing until it is printed.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    Root,
    Member(&'a At<'a>, &'a str),
    Element(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub fn member(&'a self, name: &'a str) -> At<'a> {
        At::Member(self, name)
    }

    pub fn element(&'a self, index: usize) -> At<'a> {
        At::Element(self, index)
    }
}

/// As a JSON pointer.
impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(above, name) => {
                let name = cut(name).replace('~', "~0").replace('/', "~1");
                write!(f, "{above}/{name}")
            }
            Self::Element(above, index) => write!(f, "{above}/{index}"),
        }
    }
}

/// A text as it is printed back: cut off where it is long.
fn cut(text: &str) -> String {
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) fn quote(text: &str) -> String {
    format!("`{}`", cut(text))
}

/// A value as it reads in a sentence: "found a text `abc`".
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {}", cut(&number.to_string())),
        Value::String(text) => format!("the text {}", quote(text)),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_where_what_and_how() {
        let (root, value) = (At::Root, Value::from(5));
        let streams = root.member("Datastreams");
        let first = streams.element(0);
        let fault = Fault::wrong_type(first.member("na/me"), "a text", &value).suggest("x", []);
        let expected =
            "/Datastreams/0/na~1me: a value of the wrong type: expected a text, found the number 5";
        assert_eq!(fault.to_string(), expected);
    }

    #[test]
    fn what_is_long_is_cut() {
        let long = "蜀".repeat(1_000);
        assert_eq!(quote(&long).chars().count(), FOUND_CHARS_MAX + 3);
    }
}
