//! The catalogue: datasets under contract, and the one governed way to read them.
//!
//! ```text
//!  Session { principal, as_of, scenario }
//!      │ sql
//!      ▼
//!  parse ─► allow-list ─► plan over governed tables ─► optimise ─► limits ─► Answer { stream, lineage }
//!                              │
//!                              └─ inner scan ► row filter ► masks ► barrier
//! ```
//!
//! The catalogue knows contracts and policies. It knows no engine, no HTTP and no file format:
//! rows reach it through [`Source`], principals arrive resolved.

pub mod audit;
pub mod corrections;
pub mod dcat;
#[cfg(test)]
mod fixtures;
pub mod knowledge;
pub mod lineage;
pub mod page;
pub mod procedure;
pub mod quality;
pub mod records;
pub mod saved;
pub mod scenario;
pub mod search;
pub mod session;
pub mod sharing;
pub mod source;
pub mod sql;
pub mod statistics;
pub mod usage;

pub use session::{Principal, Session, Surface};
pub use source::Source;
pub use sql::{Answer, Catalog, CatalogOptions, Limits, Sight, SqlError};
