//! The pack as a whole: the real city, one small pack made wrong in many ways, and the functions
//! that SQL may call, run.

#![allow(clippy::unwrap_used, reason = "tests")]

mod chengdu;
mod mistakes;
mod sql;
