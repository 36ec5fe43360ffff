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
//! Serves no HTTP and knows no command line; it asks endpoints of devices (`mapped/fetch.rs`).

mod answers;
mod atlas;
mod backup;
mod boards;
mod browse;
mod census;
mod checks;
mod edit;
mod error;
mod events;
mod facts;
pub mod folder;
mod import;
mod kept;
mod known;
mod live;
mod mapped;
mod newest;
mod objects;
mod observations;
mod open;
mod platform;
mod plausible;
mod quarantine;
mod register;
mod repair;
mod scratch;
mod sensing_view;
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
pub use mapped::{Mapped, MappedRefusal, SourceStanding, SourceState, SourceTally};
pub use objects::{FieldOf, Link, Object, area_field, name_field};
pub use open::{City, OPERATOR, OpenOptions};
pub use quarantine::{QUARANTINE, Rejected};
pub use repair::{Cell, LISTED_ROWS_MAX};
pub use scratch::Scratch;
pub use sensing_view::{
    AreaCovered, Blind, Census, CensusBy, CensusRow, Cluster, Coverage, DEVICE_STATES, Device,
    DevicePage, DeviceVersion, DevicesAsked, DevicesPage, Finding, FindingKind, Findings, Ingest,
    MAP_ZOOM_MAX, MapAsked, NEXT_MAX, NextPlace, NextPlaces, Point, ProducerRow, SERIES_MAX,
    SERIES_POINTS_MAX, SensorMap, Series, SeriesAsked, SeriesOf, StreamOf, Tally, Whereabouts,
};
pub use sta::{
    StaAnswer, StaCreated, StaDeed, StaFeed, StaGroups, StaListener, StaPublish, StaReading,
    StaShown, StaSight, StaTold, StaUpdate, StaWritten,
};
