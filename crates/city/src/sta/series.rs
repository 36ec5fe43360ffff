//! Numbers of many Datastreams, appended by who plays them inside this process: the demonstration.
//!
//! They go the way of CreateObservations without its JSON, under the owner and the sharing that
//! each Datastream has. Nobody's rights are asked: who holds a city open acts for all in it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use catalog::Session;
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use sensing::entity::{Moment, Observation, ObservationRow, Outcome, TimeObject};

use super::columns::Terms;
use super::observe::{FRAME_ROWS_MAX, Observed};
use super::{DATASTREAM, OBSERVATION};
use crate::open::{ROOM_TRIES_MAX, ROOM_WAIT};
use crate::{City, CityError};

/// A number that a Datastream observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StaReading {
    pub datastream: i64,
    /// The FeatureOfInterest that it is of.
    pub feature: Option<i64>,
    pub time: DateTime<Utc>,
    pub result: f64,
}

/// Who appends, and whose the readings of Datastreams are, as of some version of these.
#[derive(Debug)]
pub struct StaFeed {
    session: Session,
    version: Option<u64>,
    terms: BTreeMap<i64, Terms>,
}

impl StaFeed {
    pub fn of(session: Session) -> Self {
        Self { session, version: None, terms: BTreeMap::new() }
    }
}

impl City {
    /// Appends readings, waiting while the lake is full; returns once all are on the disk. Those of
    /// a Datastream that is not there, or that are no number, are left out. Returns how many were
    /// kept. Up to 50,000 are one frame of the log: all of them are kept or none.
    pub async fn sta_append(
        &self,
        feed: &mut StaFeed,
        readings: &[StaReading],
    ) -> Result<usize, CityError> {
        self.renew(feed).await?;
        let moments =
            readings.iter().filter(|reading| feed.terms.contains_key(&reading.datastream));
        let moments = moments.map(|reading| (reading.datastream, reading.time.timestamp_micros()));
        let unsure = self.unsure_moments(moments);
        self.recall_moments(unsure).await?;
        let over = self.stores().over(None).await?;
        let mut observed = Vec::with_capacity(readings.len());
        for reading in readings.iter().filter(|reading| reading.result.is_finite()) {
            let moment = Moment::from_micros(reading.time.timestamp_micros());
            let terms = feed.terms.get(&reading.datastream);
            let (Some(time), Some(terms)) = (moment, terms) else { continue };
            let id = self.observation_id(&over, reading.datastream, time)?;
            let observation = Observation {
                phenomenon_time: TimeObject::Moment(time),
                result: Outcome::Number(reading.result),
                result_time: None,
                result_quality: None,
                valid_time: None,
                parameters: None,
            };
            let row = ObservationRow::new(id, observation, reading.feature);
            observed.push(Observed { row, terms });
        }
        for frame in observed.chunks(FRAME_ROWS_MAX) {
            self.append_frame(&feed.session, frame).await?;
        }
        Ok(observed.len())
    }

    async fn append_frame(
        &self,
        session: &Session,
        frame: &[Observed<'_>],
    ) -> Result<(), CityError> {
        for _ in 0..ROOM_TRIES_MAX {
            match self.append_observed(session, frame).await {
                Err(CityError::Lake(error)) if error.is_back_pressure() => {
                    tokio::time::sleep(ROOM_WAIT).await;
                }
                done => return done,
            }
        }
        let reason = "the lake made no room in a minute: its disk is too slow or full";
        Err(CityError::Busy(reason.to_owned()))
    }

    /// The newest moment of these Datastreams' observations since another.
    pub async fn sta_newest(
        &self,
        feed: &StaFeed,
        datastreams: RangeInclusive<i64>,
        since: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, CityError> {
        let sql = format!(
            "SELECT max(phenomenon_time) AS newest FROM {OBSERVATION} WHERE datastream >= {} AND \
             datastream <= {} AND phenomenon_time >= $1",
            datastreams.start(),
            datastreams.end()
        );
        let since = since.timestamp_micros();
        let since = ScalarValue::TimestampMicrosecond(Some(since), Some("UTC".into()));
        let newest = self.sta_rows(&feed.session, &sql, &[since]).await?.instant("newest", 0);
        Ok(newest.and_then(DateTime::from_timestamp_micros))
    }

    async fn renew(&self, feed: &mut StaFeed) -> Result<(), CityError> {
        // Before the rows are read: what changes meanwhile makes them old at once.
        let version = Some(self.registers().version(DATASTREAM));
        if feed.version == version {
            return Ok(());
        }
        let rows = self.registers().rows(self.contract(DATASTREAM)?, None).await?;
        feed.terms = rows.iter().flat_map(terms_of).collect();
        feed.version = version;
        Ok(())
    }
}

fn terms_of(rows: &RecordBatch) -> Vec<(i64, Terms)> {
    let ids = rows.column_by_name("id").and_then(|ids| ids.as_primitive_opt::<Int64Type>());
    let text =
        |name: &str| rows.column_by_name(name).and_then(|cells| cells.as_string_opt::<i32>());
    let (Some(ids), Some(owners), Some(sharing)) = (ids, text("owner"), text("sharing")) else {
        return Vec::new();
    };
    let terms = |row: usize| Terms {
        owner: owners.value(row).to_owned(),
        sharing: sharing.value(row).to_owned(),
    };
    (0..rows.num_rows())
        .filter(|row| ids.is_valid(*row))
        .map(|row| (ids.value(row), terms(row)))
        .collect()
}
