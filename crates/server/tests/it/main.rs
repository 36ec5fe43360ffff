//! The faces from outside, over a small city in memory.

mod pg;
mod small;
