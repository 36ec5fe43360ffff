//! A city: its pack, its stores, its catalogue and its registry, opened from a folder and wired
//! together in this one place.
//!
//! ```text
//!  pack ──► registry ──► principals                    server, shujin
//!    │          │                                           │
//!    ▼          ▼                                           ▼
//!  catalog ◄─ source ─► records │ lake │ blobs        City { import, query, quarantine, registers,
//!                                                            boards, events, maintain, backup }
//! ```
//!
//! Knows no HTTP and no command line.

mod answers;
mod atlas;
mod backup;
mod boards;
mod browse;
mod checks;
mod edit;
mod error;
mod events;
mod facts;
pub mod folder;
mod import;
mod kept;
mod known;
mod newest;
mod objects;
mod observations;
mod open;
mod platform;
mod quarantine;
mod register;
mod repair;
mod scratch;
mod source;
mod sta;
mod take;
mod tend;

pub use answers::Answered;
pub use atlas::{AtlasLimits, LayerSpec, Shown};
pub use backup::{BackupReport, restore};
pub use boards::{SourceOf, TILE_ROWS_MAX, TileAnswer};
pub use browse::{RegisterRow, RowsAsked, RowsPage};
pub use edit::{Edited, RowChange};
pub use error::CityError;
pub use events::{CityEvent, Events};
pub use import::{ImportRequest, ImportSummary, Progress, QUARANTINED_ROWS_MAX, Quality};
pub use objects::{FieldOf, Link, Object, area_field, name_field};
pub use open::{City, OPERATOR, OpenOptions};
pub use quarantine::{QUARANTINE, Rejected};
pub use repair::{Cell, LISTED_ROWS_MAX};
pub use scratch::Scratch;
pub use sta::{
    StaAnswer, StaCreated, StaDeed, StaListener, StaPublish, StaShown, StaSight, StaTold,
    StaUpdate, StaWritten,
};
