//! The city pack: all that is about one city, read from text and checked.
//!
//! ```text
//!  packs/<city>/*.toml, *.sql, *.csv ──► load ──► Pack (typed, each definition with its place)
//!                                          │
//!                                          └────► Diagnostics: file:line:col, expected, found, how to mend
//! ```
//!
//! This crate knows no storage and no network. A [`Pack`] that loads without diagnostics is one
//! that the rest of the house may rely on: every reference resolves, every SQL expression plans.

pub mod access;
mod check;
pub mod codes;
mod diagnostics;
pub mod keys;
mod load;
mod map;
pub mod mapped;
pub mod model;
pub mod platform;
mod reader;
mod sensing;
mod source;
pub mod sql;

pub use diagnostics::{Diagnostic, Diagnostics};
pub use load::load;
pub use map::{AreaFields, Layer, LayerShape, MapPlan, Zooms};
pub use model::*;
pub use sensing::{ClockBounds, KeyArea, OtherUnit, Plausible, SensingPlan, SensorRange};
