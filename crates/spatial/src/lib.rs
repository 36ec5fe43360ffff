//! Features packed for a map: projected once, indexed, simplified for every zoom, drawn as vector
//! tiles and found by place or by name.
//!
//! ```text
//!  rows ─► Builder: WKB ─► grid ─► levels ─► order ─► Layer ─► tile(z, x, y): bytes
//!          (Arrow)                                       ├────► within(rect): features
//!                                                        └────► named(text): features
//! ```
//!
//! A [`Layer`] is immutable and holds what one reader may see: whoever builds it answers for that.
//! This crate knows no dataset, no reader, no HTTP and no file.

mod build;
mod clip;
mod column;
mod geojson;
mod grid;
mod hits;
mod index;
mod label;
mod layer;
mod mvt;
mod shape;
mod simplify;
mod tile;
mod wkb;

pub use build::{BuildError, Builder, Plan, ZoomRule};
pub use column::{Column, Kind, Value};
pub use geojson::geojson;
pub use grid::{
    EXTENT, LATITUDE_MAX, Rect, Spot, TileId, ZOOM_MAX, from_mercator, project, to_mercator,
    unproject,
};
pub use layer::Layer;
pub use shape::ShapeKind;
pub use tile::{BUFFER_UNITS, Caps, Drawn, finish};
