//! The catalogue's own tables in the records: entities and the migrations that make them.
//!
//! Columns are portable: text, UUID, 64-bit integers; times in µs UTC; lists and maps as JSON
//! text. What the rows mean is written where they are used ([`crate::audit`],
//! [`crate::sharing`], [`crate::corrections`], [`crate::scenario`]).

pub mod audit_entry;
pub mod audit_head;
pub mod correction;
pub mod counter;
mod migrations;
pub mod saved_query;
pub mod scenario;
pub mod scenario_change;
pub mod sharing_grant;
pub mod sharing_request;

use chrono::{DateTime, Utc};

pub use migrations::{later_migrations, migrations};

/// A time as the records keep it.
pub fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

/// A time from the records. Out of chrono's range only if the row was tampered with: the ends of
/// that range are 262,000 years away, so they serve as "always" and "never".
pub fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}
