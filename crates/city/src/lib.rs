//! A city: its pack, its stores, its catalogue and its registry, opened from a folder and wired
//! together in this one place.
//!
//! ```text
//!  pack ──► registry ──► principals                    server, shujin
//!    │          │                                           │
//!    ▼          ▼                                           ▼
//!  catalog ◄─ source ─► records │ lake │ blobs        City { import, query, quarantine,
//!                                                            maintain, backup }
//! ```
//!
//! Knows no HTTP and no command line.

mod atlas;
mod backup;
mod error;
mod facts;
pub mod folder;
mod import;
mod known;
mod open;
mod quarantine;
mod register;
mod repair;
mod scratch;
mod source;

pub use atlas::{AtlasLimits, LayerSpec, Shown};
pub use backup::{BackupReport, restore};
pub use error::CityError;
pub use import::{ImportRequest, ImportSummary, Progress, QUARANTINED_ROWS_MAX, Quality};
pub use open::{City, OPERATOR, OpenOptions};
pub use quarantine::{QUARANTINE, Rejected};
pub use repair::LISTED_ROWS_MAX;
pub use scratch::Scratch;
