//! The registry's own tables in the records: entities and the migrations that make them.
//!
//! Organisations and areas are bitemporal. `valid` says when a fact held in the world (an open
//! beginning: before anybody asked), `recorded` when the registry held it to be so. A change never
//! overwrites: it ends the recording of the old row, records it again with its validity ended, and
//! opens a new row. So the registry can be asked what it said last May, whatever it says now.

pub mod area;
mod migrations;
pub mod organisation;
pub mod register_row;
pub mod second_factor;
pub mod session;
pub mod succession;
pub mod token;
pub mod user;

pub use migrations::migrations;
