//! What can go wrong at a face, in one vocabulary that each face translates for its clients:
//! SQLSTATE on the PostgreSQL wire, a status and `application/problem+json` over HTTP.
//!
//! A fault's message is fit to be read by whoever asked. What is not fit (values, paths, the
//! insides of a library) goes to the log under the correlation id that the fault carries.

use std::fmt;

use pack::access::Action;
use uuid::Uuid;

/// The kinds of failure that a client can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The named thing is not there, or the principal may not know of it.
    NotFound,
    /// A column that the named datasets do not have, or do not show.
    ColumnNotFound,
    /// The statement cannot be read.
    Syntax,
    /// The request is readable but wrong: a bad parameter, a value out of range.
    Invalid,
    /// Who asks is not known.
    Unauthenticated,
    /// A code of the second factor is wanted, or the one that came is not good.
    SecondFactor,
    /// Failed to sign in too often: wait.
    Throttled,
    /// A request by cookie did not show that its own page sent it.
    Csrf,
    /// Who asks may not.
    Refused,
    /// The thing is not in a state that allows this.
    Conflict,
    /// Understood, and not done here.
    Unsupported,
    /// More rows, bytes, or text than one request may have.
    TooLarge,
    /// The query needs more memory than it may have.
    Memory,
    /// Too many connections or queries at once.
    Busy,
    /// More requests than one may make in so short a time.
    TooManyRequests,
    /// The deadline passed.
    Timeout,
    /// The client asked to stop.
    Cancelled,
    /// A fault of ours.
    Internal,
}

impl Code {
    /// The code's name in problem documents and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::ColumnNotFound => "column_not_found",
            Self::Syntax => "syntax",
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::SecondFactor => "second_factor",
            Self::Throttled => "throttled",
            Self::Csrf => "csrf",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::Memory => "memory",
            Self::Busy => "busy",
            Self::TooManyRequests => "too_many_requests",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// A place in a statement. Lines and columns count characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

impl Position {
    /// The character of `sql` at this place, counted from 1, as PostgreSQL's clients want it.
    pub fn offset_chars(self, sql: &str) -> usize {
        let line = usize::try_from(self.line).unwrap_or(usize::MAX).saturating_sub(1);
        let before: usize =
            sql.split_inclusive('\n').take(line).map(|line| line.chars().count()).sum();
        before + usize::try_from(self.column).unwrap_or(usize::MAX).max(1)
    }
}

/// A failure with its kind, its reason in words and the id under which the log knows it.
#[derive(Debug, Clone)]
pub struct Fault {
    pub code: Code,
    pub message: String,
    /// What to do about it, where that is not plain from the message.
    pub hint: Option<String>,
    pub position: Option<Position>,
    pub correlation: Uuid,
    /// What the access rules do not permit, where they are why.
    pub action: Option<Action>,
    /// When to come again.
    pub retry_after_s: Option<u64>,
}

impl Fault {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            position: None,
            correlation: Uuid::now_v7(),
            action: None,
            retry_after_s: None,
        }
    }

    /// A fault of ours: the reason is logged, the client learns the correlation id.
    pub fn internal(reason: impl fmt::Display) -> Self {
        let fault = Self::new(Code::Internal, "the server could not complete this request");
        tracing::error!(correlation = %fault.correlation, %reason, "internal fault");
        fault
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn at(mut self, position: Option<Position>) -> Self {
        self.position = position;
        self
    }

    pub fn cancelled() -> Self {
        Self::new(Code::Cancelled, "canceling statement due to user request")
    }

    pub fn timeout() -> Self {
        Self::new(Code::Timeout, "canceling statement due to statement timeout")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Fault {}

/// The place that an error of the SQL parser names at its end, ` at Line: 1, Column: 8`.
pub fn parser_position(message: &str) -> (String, Option<Position>) {
    let Some((before, place)) = message.rsplit_once(" at Line: ") else {
        return (message.to_owned(), None);
    };
    let mut numbers = place
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => (before.to_owned(), Some(Position { line, column })),
        _ => (message.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_error_gives_up_its_place() {
        let (message, position) =
            parser_position("Expected: an expression, found: FROM at Line: 2, Column: 3");
        assert_eq!(message, "Expected: an expression, found: FROM");
        let position = position.expect("the place is there");
        assert_eq!(position, Position { line: 2, column: 3 });
        assert_eq!(position.offset_chars("select 成都,\n  from x"), 14);
    }

    #[test]
    fn a_message_without_a_place_is_kept_whole() {
        assert_eq!(parser_position("no such thing"), ("no such thing".to_owned(), None));
    }
}
