//! What a query's author is told when it fails.
//!
//! An error must never carry a value that the author may not see. Reasons are written by this
//! crate; whatever DataFusion says while rows are being read (a failed cast prints the text it
//! could not cast) is kept back, and the author gets a correlation id to hand to an operator.

use uuid::Uuid;

/// Which bound a query went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    StatementBytes,
    PlanNodes,
    PlanDepth,
    Memory,
    OutputRows,
    OutputBytes,
    Time,
    Concurrency,
    ArgumentSize,
}

impl LimitKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StatementBytes => "statement bytes",
            Self::PlanNodes => "plan nodes",
            Self::PlanDepth => "plan depth",
            Self::Memory => "memory",
            Self::OutputRows => "output rows",
            Self::OutputBytes => "output bytes",
            Self::Time => "time",
            Self::Concurrency => "concurrent queries",
            Self::ArgumentSize => "argument size",
        }
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum SqlError {
    /// Understood and not allowed.
    #[error("refused: {reason}")]
    Refused { reason: String },
    /// No such dataset, or none that this principal may know of: the two are not told apart.
    #[error("table '{name}' does not exist, or you have no access to it")]
    NotFound { name: String },
    /// The text is not SQL. Lines and columns count from 1; 0 where the parser gives no place.
    #[error("syntax error at line {line}, column {column}: {message}")]
    Syntax { line: u64, column: u64, message: String },
    /// SQL that means nothing over the tables that the principal sees: an unknown column, types
    /// that do not fit.
    #[error("{reason}")]
    Invalid { reason: String },
    /// Over a limit. Only this query fails.
    #[error("over the limit of {}: {reason}", .what.as_str())]
    Limit { what: LimitKind, reason: String },
    /// Failed while rows were read: a code that carries no value. The details went to
    /// [`Events`](super::Events) under this id.
    #[error("the query failed while it ran ({code}); ask the operator about {correlation_id}")]
    Internal { code: &'static str, correlation_id: Uuid },
}

impl SqlError {
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }

    pub(crate) fn limit(what: LimitKind, reason: impl Into<String>) -> Self {
        Self::Limit { what, reason: reason.into() }
    }

    /// The five-character code that PostgreSQL clients branch on.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "42501",
            Self::NotFound { .. } => "42P01",
            Self::Syntax { .. } => "42601",
            Self::Invalid { .. } => "42000",
            Self::Limit { what: LimitKind::Time, .. } => "57014",
            Self::Limit { what: LimitKind::Memory, .. } => "53200",
            Self::Limit { what: LimitKind::Concurrency, .. } => "53300",
            Self::Limit { .. } => "54000",
            Self::Internal { .. } => "XX000",
        }
    }
}
