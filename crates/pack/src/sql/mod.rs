//! The one language for rules: SQL expressions over one row, planned against a contract.
//!
//! ```text
//!  text ──parse──► names known? ──► types fit, bottom up? ──► Boolean? ──► Expr
//!                     └──────────────────┴──────────────────────┴───────► SqlFault, with its place
//! ```
//!
//! The checker and the catalogue plan with the same registry ([`functions`]), so that what a pack
//! was checked with is what runs. Session functions are typed here and answered in `catalog`.

mod canonical;
mod chains;
mod functions;
mod geojson;
mod geometry;
mod json;
mod plan;
mod points;
mod query;
mod relate;
mod types;

pub use chains::overlong_chain;
pub use functions::{
    Functions, SESSION_FUNCTIONS, SessionFunction, expr_planners, functions, planning_state,
    session_functions,
};
pub use plan::{SqlFault, SqlPosition, at_moment, plan_predicate, plan_predicate_over};

pub use query::{AREA_PARAMETER, QUERY_CHARS_MAX, QueryShape, in_area};

pub use types::word as type_word;

pub(crate) use plan::faults;
pub(crate) use query::shape;

/// Where an expression stands, which decides the functions that it may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Over a row alone: quality rules, import mappings.
    Row,
    /// Over a row as somebody reads it: row filters, which may also ask who that is.
    Session,
}

/// An expression longer than this is refused: rules are read by people.
pub const EXPRESSION_CHARS_MAX: usize = 4_000;

/// Operators in a row in one expression, for the same reason.
pub const EXPRESSION_CHAIN_MAX: usize = 100;
