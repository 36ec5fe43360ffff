//! The faces from outside, over a small city in memory.

mod http;
mod pg;
mod small;
