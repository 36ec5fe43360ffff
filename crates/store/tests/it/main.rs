//! The store from outside, room by room: one binary, because linking is slow.

mod lake;
