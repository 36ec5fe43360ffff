//! The query language of SensorThings API 1.1 (OGC 18-088, clause 9): resource paths and query
//! options, from the text of a URL to a typed tree and back.
//!
//! ```text
//!  Things(1)/Datastreams ? $filter=result%20gt%205&$top=3
//!  └── resource ──┘        └── query ──┬── expression ── path, literal, function
//!                                      ├── expand, select, orderby
//!                                      └── apply
//!        └──────────── ast: every node with its bytes ────────────┘
//!                                  print: the tree as a URL's text
//! ```
//!
//! Every name is looked up in a [`Schema`](crate::schema::Schema) while it is read, so a tree that
//! was made can be planned: what is unknown or of the wrong type was refused with its place. What
//! the operators then mean is written down in [`semantics`]. Nothing here evaluates anything.
//!
//! [`ResourcePath::parse`] and [`QueryOptions::parse`] take the text **as it stands in the URL**:
//! percent-decoding, and what a `+` means, belong to this module (`url.rs`), because a caller who
//! decodes first can no longer tell `&` in a text from `&` between options. Their `Display` gives
//! such a text back, the same for every way of writing the same, so that a next link keeps parent
//! path and options.
//!
//! Beyond the standard: `$apply` with time windows, array indexes in paths, members in quotes,
//! `contains`, the functions on intervals that FROST has, operators and function names in any case
//! (FROST's client sends `DESC`). Refused although OData has it: `in`, `has`, `any`, `all`, `$it`
//! and type casts; none of them is in 1.1. An option without `$` is not the language's.

mod apply;
mod ast;
mod cursor;
mod error;
mod expand;
mod expression;
mod function;
mod geography;
mod literal;
mod path;
mod print;
mod query;
mod resource;
pub mod semantics;
mod time;
mod typing;
mod url;

#[cfg(test)]
mod tests;

pub use ast::{
    Aggregate, AggregateMethod, Apply, BinaryOp, Column, Direction, EntityId, Expand, Expr,
    ExprKind, GroupKey, Literal, OrderBy, Path, QueryOptions, ResourceEnd, ResourcePath,
    ResourceSegment, ResultFormat, SelectItem, Spanned, Step, Target, Window,
};
pub use error::{ErrorKind, ParseError, Place, Result, Span};
pub use function::{Function, Parameter, Signature};
pub use time::IsoDuration;

/// A query may hold the outline of a district; a megabyte is no query.
pub const QUERY_BYTES_MAX: usize = 64 * 1024;
pub const PATH_BYTES_MAX: usize = 8 * 1024;
/// Steps of a URL's path, and steps of a path in an expression.
pub const PATH_STEPS_MAX: usize = 32;
/// Expressions inside expressions. Whoever walks a tree by recursion may rely on it.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// Nodes of one expression: a plan is made of each.
pub const EXPRESSION_NODES_MAX: usize = 2_000;
/// Expansions inside expansions.
pub const EXPAND_DEPTH_MAX: usize = 8;
/// Expansions of a whole query: the model has cycles, each is a join.
pub const EXPANDS_MAX: usize = 64;
/// Items of one `$select`, `$orderby`, `groupby` or `aggregate`.
pub const LIST_ITEMS_MAX: usize = 64;

/// Arbitrary text through the parsers: nothing may panic, and what is understood must read the same
/// after it was printed. For the fuzz target, which has no test of its own.
pub fn fuzz(text: &str) {
    use crate::schema::SENSORTHINGS_1_1;

    let (path, query) = text.split_once('?').unwrap_or(("Observations", text));
    let mut target = Target::Collection(crate::schema::EntityKind::Observation);
    match ResourcePath::parse(&SENSORTHINGS_1_1, path) {
        Ok(parsed) => {
            let printed = parsed.to_string();
            let again = ResourcePath::parse(&SENSORTHINGS_1_1, &printed);
            assert_eq!(again.as_ref(), Ok(&parsed), "printed as {printed}");
            target = parsed.target();
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
    match QueryOptions::parse(&SENSORTHINGS_1_1, target, query) {
        Ok(parsed) => {
            let printed = parsed.to_string();
            // Printed, a query may be longer than it was and run into the bound.
            if printed.len() <= QUERY_BYTES_MAX {
                let again = QueryOptions::parse(&SENSORTHINGS_1_1, target, &printed);
                assert_eq!(again.as_ref(), Ok(&parsed), "printed as {printed}");
            }
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}
