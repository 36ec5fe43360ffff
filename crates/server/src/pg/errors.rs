//! Faults as PostgreSQL's error fields.

use pgwire::error::{ErrorInfo, PgWireError};

use crate::fault::{Code, Fault};

/// SQLSTATE of a fault (PostgreSQL 15, appendix A).
pub fn sqlstate(code: Code) -> &'static str {
    match code {
        Code::NotFound => "42P01",
        Code::ColumnNotFound => "42703",
        Code::Syntax => "42601",
        Code::Invalid => "22023",
        Code::Unauthenticated | Code::SecondFactor | Code::Throttled => "28P01",
        Code::Refused | Code::Csrf => "42501",
        Code::Conflict => "55000",
        Code::Unsupported => "0A000",
        Code::TooLarge => "54000",
        Code::Memory => "53200",
        Code::Busy | Code::TooManyRequests => "53300",
        Code::Timeout | Code::Cancelled => "57014",
        Code::Internal => "XX000",
    }
}

/// A fault of a statement. `sql` is the text that the client sent, for the position, and
/// `offset_chars` the statement's place in it.
pub fn wire(fault: Fault, sql: &str, offset_chars: usize) -> PgWireError {
    let mut info =
        ErrorInfo::new("ERROR".to_owned(), sqlstate(fault.code).to_owned(), fault.message);
    info.severity_nonlocalized = Some("ERROR".to_owned());
    info.position =
        fault.position.map(|position| (offset_chars + position.offset_chars(sql)).to_string());
    info.hint = fault.hint;
    if fault.code == Code::Internal {
        info.detail = Some(format!("correlation id: {}", fault.correlation));
    }
    PgWireError::UserError(Box::new(info))
}

/// A fault with no place in a statement.
pub fn plain(fault: Fault) -> PgWireError {
    wire(fault, "", 0)
}

/// An error under a SQLSTATE that has no [`Code`] of its own: protocol and session matters.
pub fn state(sqlstate: &str, message: impl Into<String>) -> PgWireError {
    let mut info = ErrorInfo::new("ERROR".to_owned(), sqlstate.to_owned(), message.into());
    info.severity_nonlocalized = Some("ERROR".to_owned());
    PgWireError::UserError(Box::new(info))
}

/// An error after which the connection is closed.
pub fn fatal(sqlstate: &str, message: impl Into<String>) -> PgWireError {
    let mut info = ErrorInfo::new("FATAL".to_owned(), sqlstate.to_owned(), message.into());
    info.severity_nonlocalized = Some("FATAL".to_owned());
    PgWireError::UserError(Box::new(info))
}
