//! Sensing: every terminal of a city, by the open standard OGC SensorThings API 1.1 (OGC 18-088).
//!
//! ```text
//!  URL path, query options ──► odata ──► typed tree ──► plan ──► SQL, which `city` asks
//!                                │                                             │
//!                                └── schema: entity types, properties          │
//!  body ──► entity: read, change ──► rows of the tables ◄──────────────────────┘
//!  answer ◄── entity: write ◄── rows
//! ```
//!
//! All of it is pure: text in, text out. It knows neither where entities are kept nor who asks;
//! `docs/decisions/0012` says where they are kept.

pub mod entity;
pub mod odata;
pub mod plan;
pub mod schema;
