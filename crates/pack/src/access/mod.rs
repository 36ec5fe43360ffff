//! Who may do what: the pack's access rules, written in Cedar, read once and asked for ever after.
//!
//! ```text
//!  access.cedar ──► policies ─┐
//!  roles, organisations ──► schema ──► validated, each mistake with its place
//!                             │
//!  Subject, Action, Thing ────┴──► allowed or not; what no rule permits is not
//! ```
//!
//! An action stands for a route, a group of routes or a step that a face takes for somebody. These
//! rules say who may take it at all; which rows and fields come back is the policies' to say. This
//! module knows no route and no session.

mod actions;
mod rules;
mod schema;

pub use actions::{Action, On};
pub use rules::{Asker, Rules, Subject, Thing, denial};
pub(crate) use schema::{CLASSES, PLATFORM, SHARING, schema};
