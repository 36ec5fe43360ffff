//! What is wrong with a request's text, and where: one error type for paths and query options.
//!
//! It holds what the asker wrote and nothing else, so it may be shown to them whole.

use std::fmt;

/// At most this many characters of what was found are printed back.
const FOUND_CHARS_MAX: usize = 40;
/// At most this many names of a list are printed in a hint.
const NAMES_LISTED_MAX: usize = 12;
/// A name that begins with the other is near, if the shorter has at least this many characters.
const PREFIX_CHARS_MIN: usize = 4;

/// Where something stands: bytes of the decoded text, the end left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of this to the end of the other.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

/// What sort of answer a fault calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text breaks a rule of the language: 400.
    Malformed,
    /// A path that leads nowhere: 404.
    NotFound,
    /// A system query option that this service does not have: 501 (OGC 18-088, 9.3.3).
    Unsupported,
}

/// The place of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which text: `path`, or the name of a query option such as `$filter`.
    pub part: String,
    pub span: Span,
    /// The first character of the span, counted from 1.
    pub character: usize,
}

/// A fault in a path or a query option, said so that whoever wrote it can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    pub kind: ErrorKind,
    pub at: Place,
    /// What is wrong.
    pub what: String,
    pub expected: Option<String>,
    pub found: Option<String>,
    /// How to mend it.
    pub hint: Option<String>,
}

/// Boxed: a fault is rare and large, what is read is frequent and small.
pub type Result<T> = std::result::Result<T, Box<ParseError>>;

impl ParseError {
    pub fn new(part: &str, text: &str, span: Span, what: impl Into<String>) -> Box<Self> {
        let character = text.get(..span.start).map_or(0, |before| before.chars().count()) + 1;
        Box::new(Self {
            kind: ErrorKind::Malformed,
            at: Place { part: part.to_owned(), span, character },
            what: what.into(),
            expected: None,
            found: None,
            hint: None,
        })
    }

    #[must_use]
    pub fn kind(mut self: Box<Self>, kind: ErrorKind) -> Box<Self> {
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

    /// "did you mean …?" where a known name is near, else all names where they are few.
    #[must_use]
    pub fn suggest<'a>(
        self: Box<Self>,
        wrong: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Box<Self> {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(wrong, &known) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None if known.len() <= NAMES_LISTED_MAX => {
                self.hint(format!("use one of: {}", known.join(", ")))
            }
            None => self,
        }
    }
}

/// `$filter, character 8: what is wrong: expected X, found Y; how to mend`.
impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, character {}: {}", self.at.part, self.at.character, self.what)?;
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

/// A text as it is printed back: quoted, cut off where it is long.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    // A name as long as this is nobody's slip of the pen, and distance is quadratic.
    if wrong.chars().count() > FOUND_CHARS_MAX {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let distance_max = (wrong.chars().count() / 3).max(1);
    known
        .iter()
        .map(|name| (distance(&wrong, &name.to_lowercase()), *name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, name)| name)
}

fn distance(wrong: &str, known: &str) -> usize {
    let begins = known.starts_with(wrong) || wrong.starts_with(known);
    if begins && wrong.chars().count().min(known.chars().count()) >= PREFIX_CHARS_MIN {
        return usize::from(wrong != known);
    }
    strsim::damerau_levenshtein(wrong, known)
}
