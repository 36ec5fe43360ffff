//! The faces from outside, over a small city in memory.

#![allow(clippy::unwrap_used, reason = "tests")]

mod access;
mod http;
mod pg;
mod small;
