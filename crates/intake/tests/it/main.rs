//! Whole files in, chunks out.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, reason = "tests")]

mod common;
mod csv;
mod formats;
mod packs;
mod real;
