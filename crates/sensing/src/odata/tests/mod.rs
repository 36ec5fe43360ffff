//! The language held to the standard, to what clients send, and to arbitrary text.

mod arbitrary;
mod clients;
mod faults;
mod semantics;
mod standard;
mod trees;

use crate::odata::{Expr, ParseError, QueryOptions, ResourcePath, Target};
use crate::schema::{EntityKind, SENSORTHINGS_1_1};

/// A filter as it reads after it was understood.
#[track_caller]
fn filter(kind: EntityKind, text: &str) -> String {
    match Expr::parse_filter(&SENSORTHINGS_1_1, kind, text) {
        Ok(filter) => filter.to_string(),
        Err(fault) => panic!("{text}\n{fault}"),
    }
}

/// Why a filter is not understood.
#[track_caller]
fn no_filter(kind: EntityKind, text: &str) -> Box<ParseError> {
    match Expr::parse_filter(&SENSORTHINGS_1_1, kind, text) {
        Ok(filter) => panic!("{text} is understood as {filter}"),
        Err(fault) => fault,
    }
}

/// A request, path and query, read.
fn request(text: &str) -> crate::odata::Result<(ResourcePath, QueryOptions)> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let path = ResourcePath::parse(&SENSORTHINGS_1_1, path)?;
    let query = QueryOptions::parse(&SENSORTHINGS_1_1, path.target(), query)?;
    Ok((path, query))
}

/// A request that must be understood; also that it prints as itself.
#[track_caller]
fn read(text: &str) -> (ResourcePath, QueryOptions) {
    let (path, query) = request(text).unwrap_or_else(|fault| panic!("{text}\n{fault}"));
    let printed = format!("{path}?{query}");
    assert_eq!(request(&printed), Ok((path.clone(), query.clone())), "{text}\nprints {printed}");
    (path, query)
}

/// Why a request is not understood.
#[track_caller]
fn refused(text: &str) -> Box<ParseError> {
    match request(text) {
        Ok((path, query)) => panic!("{text} is understood as {path}?{query}"),
        Err(fault) => fault,
    }
}

fn options(target: Target, raw: &str) -> crate::odata::Result<QueryOptions> {
    QueryOptions::parse(&SENSORTHINGS_1_1, target, raw)
}
