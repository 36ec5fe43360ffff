//! Sensing: every terminal of a city, by the open standard OGC SensorThings API 1.1 (OGC 18-088).
//!
//! ```text
//!  URL path, query options ──► odata ──► typed tree ──► (to come) plan, storage, faces
//!                                │
//!                                └── schema: entity types, properties, navigation
//! ```
//!
//! So far the crate holds the model's [`schema`] and the query language, [`odata`]. Both are pure:
//! they read text and know neither where entities are kept nor who asks.

pub mod entity;
pub mod odata;
pub mod plan;
pub mod schema;
