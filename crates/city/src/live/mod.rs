//! What is kept in memory of each Datastream: its newest observation, how many there are.
//!
//! Nothing is kept yet, so nothing is known and everybody asks the lake.

/// What is remembered of one Datastream.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(dead_code, reason = "some of it is read by others")]
pub(crate) struct StreamState {
    /// Phenomenon time of the newest observation.
    pub newest_us: i64,
    /// And its ordinal: with the Datastream its id.
    pub ordinal: u32,
    /// Its result where it is a number.
    pub result: Option<f64>,
    /// Its flags.
    pub flags: i64,
    /// When the last one came in.
    pub received_us: i64,
    /// Oldest phenomenon time.
    pub first_us: i64,
    /// Observations kept, corrections and deletions counted in.
    pub count: u64,
    /// Of them, with flags.
    pub flagged: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Live;

static NOTHING: Live = Live;

impl Live {
    pub(crate) fn of(&self, _datastream: i64) -> Option<StreamState> {
        None
    }

    pub(crate) fn is_whole(&self) -> bool {
        false
    }
}

impl crate::City {
    pub(crate) fn live(&self) -> &Live {
        &NOTHING
    }
}
