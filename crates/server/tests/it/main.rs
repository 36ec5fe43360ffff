//! The faces from outside, over a small city in memory.

mod access;
mod http;
mod pg;
mod small;
