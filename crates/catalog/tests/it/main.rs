//! Governed SQL from the outside: attacks, golden answers, limits, and answers compared with
//! plain SQL over rows that were filtered and masked beforehand.

#![allow(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod beneath;
mod cells;
mod golden;
mod limits;
mod reference;
mod scenarios;
mod shelves;
mod sights;
mod spatial;
mod support;
