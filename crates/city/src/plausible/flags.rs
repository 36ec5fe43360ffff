//! What an observation is flagged for: bits of `sensing.observation.flags`.

/// Below or above what the instrument can measure.
pub(crate) const RANGE: i64 = 1;
/// Changed faster than the thing can.
pub(crate) const RATE: i64 = 2;
/// The same value again and again.
pub(crate) const STUCK: i64 = 4;
/// Left its neighbours and came back.
pub(crate) const SPIKE: i64 = 8;
/// A value of another unit.
pub(crate) const UNIT: i64 = 16;
/// Its time is ahead of its receipt.
pub(crate) const CLOCK: i64 = 32;
/// It came long after its time. This alone leaves no reading out.
pub(crate) const LATE: i64 = 64;
/// What the value has no part in.
pub(crate) const OF_TIME: i64 = CLOCK | LATE;
