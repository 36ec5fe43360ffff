//! Whole files in, chunks out.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod csv;
mod formats;
mod packs;
mod real;
