//! The store from outside, room by room: one binary, because linking is slow.

#![allow(clippy::unwrap_used, reason = "tests")]

mod lake;
