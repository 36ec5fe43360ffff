//! The demonstration's sensors: while it is served their readings come in as those of a city's
//! devices would, moment by moment, into the log of their dataset.
//!
//! All readings of a moment are one message, numbered by the moment. So what is played again after
//! a restart is known and not taken twice, and what came due in between is made up for.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use city::{City, CityError};
use store::lake::Producer;
use synth::{Reading, Stream, StreamOptions};
use tokio::task::spawn_blocking;

/// Which city's sensors are played.
#[derive(Debug, Clone, Copy)]
pub struct Sensors {
    pub people: usize,
    pub seed: u64,
}

const DATASET: &str = "sensing.reading";
const PRODUCER: &str = "demonstration/sensors";
/// So much of the past is there when a demonstration begins.
const PAST_MINUTES: i64 = 60;
/// A stream is as long as this, then another begins.
const STREAM_HOURS: f64 = 24.0 * 7.0;
/// How soon after its moment a reading comes in, at most.
const EVERY: Duration = Duration::from_secs(5);
/// Larger cities have more readings than a demonstration should spend its machine on.
const PEOPLE_MAX: usize = 1_000_000;

/// Plays until the task is ended; what goes wrong ends it with a word and harms nothing else.
pub async fn play(city: &City, sensors: Sensors) {
    if sensors.people > PEOPLE_MAX {
        return;
    }
    if let Err(error) = feed(city, sensors).await {
        eprintln!("the sensors' readings have ended: {error:#}");
    }
}

async fn feed(city: &City, Sensors { people, seed }: Sensors) -> Result<()> {
    let mut from = Utc::now() - TimeDelta::minutes(PAST_MINUTES);
    loop {
        let pack = city.pack().clone();
        let options = StreamOptions { people, seed, from, hours: STREAM_HOURS };
        let mut stream = spawn_blocking(move || Stream::new(&pack, options)).await??.peekable();
        while stream.peek().is_some() {
            let (rest, moments) = spawn_blocking(move || due(stream, Utc::now())).await?;
            stream = rest;
            for readings in moments {
                from = readings[0].observed_at;
                append(city, &readings).await?;
            }
            tokio::time::sleep(EVERY).await;
        }
        from += TimeDelta::seconds(1);
    }
}

/// Takes the readings up to a moment off a stream, those of one moment together.
fn due(
    mut stream: Peekable<Stream>,
    until: DateTime<Utc>,
) -> (Peekable<Stream>, Vec<Vec<Reading>>) {
    let mut moments: Vec<Vec<Reading>> = Vec::new();
    while let Some(reading) = stream.next_if(|reading| reading.observed_at <= until) {
        match moments.last_mut().filter(|last| last[0].observed_at == reading.observed_at) {
            Some(last) => last.push(reading),
            None => moments.push(vec![reading]),
        }
    }
    (stream, moments)
}

async fn append(city: &City, readings: &[Reading]) -> Result<()> {
    const ROOM_WAIT: Duration = Duration::from_secs(1);
    let rows = rows(city, readings)?;
    let seq = u64::try_from(readings[0].observed_at.timestamp()).context("before 1970")?;
    loop {
        let producer = Producer { id: PRODUCER.to_owned(), seq };
        match city.append_readings(DATASET, rows.clone(), producer).await {
            Ok(_) => return Ok(()),
            Err(CityError::Lake(error)) if error.is_back_pressure() => {
                tokio::time::sleep(ROOM_WAIT).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The readings as rows of their dataset; columns are found by their names.
fn rows(city: &City, readings: &[Reading]) -> Result<RecordBatch> {
    let schema = city.lake().spec(DATASET)?.schema;
    let column = |name: &str| -> Result<ArrayRef> {
        Ok(match name {
            "device" => Arc::new(StringArray::from_iter_values(readings.iter().map(|r| &r.device))),
            "observed_at" => {
                let micros = readings.iter().map(|r| r.observed_at.timestamp_micros());
                Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
            }
            "value" => Arc::new(Float64Array::from_iter_values(readings.iter().map(|r| r.value))),
            other => anyhow::bail!("{DATASET} has a field `{other}` that no sensor tells"),
        })
    };
    let columns: Result<Vec<ArrayRef>> =
        schema.fields().iter().map(|field| column(field.name())).collect();
    Ok(RecordBatch::try_new(schema.clone(), columns?)?)
}
