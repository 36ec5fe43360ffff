//! What cannot be planned, where it stands in the request, and why.

use std::fmt;

use crate::odata::Span;

/// What sort of answer a fault calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanErrorKind {
    /// The request says something that has no meaning: 400.
    Malformed,
    /// It has a meaning, and this service does not answer it: 501.
    Unsupported,
    /// It asks for more than one request may: 400.
    TooLarge,
}

/// A fault of a request that was read without one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PlanError {
    pub kind: PlanErrorKind,
    /// `path`, or the name of a query option such as `$filter`.
    pub part: &'static str,
    /// Bytes of the decoded text of that part.
    pub span: Span,
    pub what: String,
    pub why: String,
}

/// Boxed: a fault is rare and large.
pub type Result<T> = std::result::Result<T, Box<PlanError>>;

impl PlanError {
    pub(super) fn new(
        kind: PlanErrorKind,
        part: &'static str,
        span: Span,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self { kind, part, span, what: what.into(), why: why.into() })
    }
}

/// `$filter, byte 8: what cannot be done: why`.
impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, byte {}: {}: {}", self.part, self.span.start + 1, self.what, self.why)
    }
}
