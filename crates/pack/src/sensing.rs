//! What a pack says of the city's sensors (`sensing.toml`): which readings are plausible, which
//! areas have to be covered, and how far a sensor of a kind reaches.
//!
//! Plain data. How readings are judged and areas covered is `city`'s.

use crate::model::{Place, Text};

/// All of `sensing.toml`; empty in a pack that has none.
#[derive(Debug, Clone, Default)]
pub struct SensingPlan {
    /// Areas that have to be covered by sensors.
    pub key_areas: Vec<KeyArea>,
    /// How far sensors reach, by kind.
    pub ranges: Vec<SensorRange>,
    /// Tried in order: the first that fits a Datastream judges it.
    pub plausible: Vec<Plausible>,
    /// For every Datastream whose rule does not say otherwise.
    pub clock: ClockBounds,
}

/// What the time of a reading is held to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockBounds {
    /// A reading may be ahead of its receipt by so much.
    pub ahead_s: Option<u32>,
    /// And behind it.
    pub late_s: Option<u32>,
}

/// Areas that are looked at as one: is it covered?
#[derive(Debug, Clone)]
pub struct KeyArea {
    pub id: String,
    pub title: Text,
    /// Codes of areas.
    pub areas: Vec<String>,
    pub place: Place,
}

/// How far a sensor of a kind reaches.
#[derive(Debug, Clone)]
pub struct SensorRange {
    pub kind: String,
    pub metres: f64,
    pub place: Place,
}

/// What readings of some Datastreams are held to. All figures are in `unit`.
#[derive(Debug, Clone, Default)]
pub struct Plausible {
    pub id: String,
    /// Names or definitions of observed properties.
    pub properties: Vec<String>,
    /// Kinds of Things; beside `properties`, both have to fit.
    pub kinds: Vec<String>,
    /// From the pack's unit list.
    pub unit: Option<String>,
    /// Other spellings of it that devices use.
    pub spellings: Vec<String>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Where nearly all readings lie; what lies outside it and would lie inside in one of the
    /// units of `also` is taken for that.
    pub usual: Option<[f64; 2]>,
    pub also: Vec<OtherUnit>,
    /// The largest change between neighbouring readings.
    pub rate_per_h: Option<f64>,
    /// As many equal readings in a row are a sensor that is stuck.
    pub stuck_readings: Option<u32>,
    /// Equal readings for so long are one.
    pub stuck_s: Option<u32>,
    /// A reading that leaves its neighbours by more than this and comes back.
    pub spike: Option<f64>,
    pub clock: ClockBounds,
    /// Where the figures are from.
    pub source: Option<Text>,
    pub place: Place,
}

/// A unit that readings may be in by mistake, or by declaration: `value × factor + offset` is in
/// the rule's own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OtherUnit {
    pub unit: String,
    pub spellings: Vec<String>,
    pub factor: f64,
    pub offset: f64,
}
