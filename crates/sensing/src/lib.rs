//! Sensing: every terminal of a city, by the open standard OGC SensorThings API 1.1 (OGC 18-088).
//!
//! So far the crate holds the model's [`schema`].

pub mod schema;
