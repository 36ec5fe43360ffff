//! A city of Things and Datastreams, made without SensorThings: entities are put into their
//! registers, observations go to files past the log. What is measured is what comes afterwards.
//!
//! ```text
//!  Thing 1 ─ Location 1 ─ Feature 1        observations: a year, tick by tick, all Datastreams at
//!    ├─ Datastream 1 … 4                   each; some Datastreams have a reading a minute
//!    └─ a district, one after the other
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::record_batch::RecordBatch;
use chrono::Utc;
use city::{City, OPERATOR, OpenOptions};
use pack::{AreaLevel, Contract};
use registry::NewUser;
use registry::registers::Stamp;

use super::Values;
use crate::readings::scramble;
use crate::served;

/// Who brings in what the city senses.
pub const USER: &str = "bench";
pub const OWNER: &str = "ecology_environment";
const ROLE: &str = "data_steward";

pub const STREAMS_OF_THING: u64 = 4;
/// 2026-01-01T00:00:00Z, the end of the year of observations.
pub const END_US: i64 = 1_767_225_600_000_000;
const MINUTE_US: i64 = 60_000_000;
const YEAR_MINUTES: u64 = 525_600;
pub const START_US: i64 = END_US - 365 * 24 * 60 * MINUTE_US;
/// One observation in so many is of a Datastream that has one a minute.
const MINUTELY_EVERY: u64 = 10;

/// Rows that a register is given at once.
const REGISTER_ROWS: u64 = 10_000;
const BATCH_ROWS: u64 = 200_000;

const UNIT: &str = r#"{"name":"microgram per cubic metre","symbol":"ug/m3","definition":"http://unitsofmeasure.org/ucum.html#ug/m3"}"#;
const MEASUREMENT: &str = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement";
pub const OBSERVATION: &str = "sensing.observation";

/// How observations lie over Datastreams: the first so many have one a minute, the others one a
/// tick.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub datastreams: u64,
    pub minutely: u64,
    pub ticks: u64,
}

impl Shape {
    pub fn of(datastreams: u64, observations: u64) -> Self {
        if observations == 0 {
            return Self { datastreams, minutely: 0, ticks: 0 };
        }
        let wanted = (observations / MINUTELY_EVERY).div_ceil(YEAR_MINUTES);
        let minutely = wanted.clamp(1, datastreams.max(2) - 1);
        let left = observations.saturating_sub(minutely * YEAR_MINUTES);
        Self {
            datastreams,
            minutely,
            ticks: (left / (datastreams - minutely).max(1)).clamp(1, YEAR_MINUTES),
        }
    }

    pub fn observations(&self) -> u64 {
        match self.ticks {
            0 => 0,
            ticks => self.minutely * YEAR_MINUTES + (self.datastreams - self.minutely) * ticks,
        }
    }
}

pub async fn make(dir: &Path, datastreams: u64, observations: u64) -> anyhow::Result<Values> {
    let options = OpenOptions { dir: dir.to_owned(), ..OpenOptions::default() };
    let city = City::create(&options, &served::pack_dir()).await?;
    let user = NewUser {
        name: USER.to_owned(),
        organisation: OWNER.to_owned(),
        roles: vec![ROLE.to_owned()],
        areas: Vec::new(),
        password: None,
    };
    city.registry().create_user(OPERATOR, user, city.pack(), Utc::now()).await?;
    let mut values: Values = BTreeMap::new();
    let started = Instant::now();
    entities(&city, datastreams).await?;
    values.insert("entities_seconds".to_owned(), vec![started.elapsed().as_secs_f64()]);
    let shape = Shape::of(datastreams, observations);
    if shape.ticks > 0 {
        let started = Instant::now();
        observe(&city, shape).await?;
        values.insert("fill_seconds".to_owned(), vec![started.elapsed().as_secs_f64()]);
        let started = Instant::now();
        city.maintain(Some(OBSERVATION)).await?;
        values.insert("compaction_seconds".to_owned(), vec![started.elapsed().as_secs_f64()]);
        let stats = city.lake().stats(OBSERVATION)?;
        values.insert("rows".to_owned(), vec![stats.rows_in_files as f64]);
        values.insert("bytes".to_owned(), vec![stats.file_bytes as f64]);
        values.insert("files".to_owned(), vec![stats.files as f64]);
    }
    city.close().await?;
    Ok(values)
}

/// Puts the entities, a register after the other: what others link to goes first.
async fn entities(city: &City, datastreams: u64) -> anyhow::Result<()> {
    let things = datastreams.div_ceil(STREAMS_OF_THING);
    let districts: Vec<String> = (city.pack().areas.iter())
        .filter(|area| area.level == AreaLevel::District)
        .map(|area| area.code.clone())
        .collect();
    anyhow::ensure!(!districts.is_empty(), "the pack has no districts");
    let parts: [(&str, u64); 7] = [
        ("sensing.sensor", 1),
        ("sensing.observed_property", 1),
        ("sensing.thing", things),
        ("sensing.location", things),
        ("sensing.thing_location", things),
        ("sensing.feature_of_interest", things),
        ("sensing.datastream", datastreams),
    ];
    for (dataset, count) in parts {
        let contract = city.contract(dataset)?;
        // Who makes more of them by SensorThings goes on behind these.
        city.registers().reserve(dataset, i64::try_from(count)?).await?;
        for first in (0..count).step_by(usize::try_from(REGISTER_ROWS)?) {
            let end = (first + REGISTER_ROWS).min(count);
            let ids = (first..end).map(|row| i64::try_from(row + 1)).collect::<Result<_, _>>()?;
            let rows = rows(contract, ids, &districts)?;
            let stamp = Stamp {
                by: OPERATOR.to_owned(),
                reason: "bench".to_owned(),
                now: Utc::now(),
                event: None,
            };
            city.registers().put(contract, &rows, stamp).await?;
        }
    }
    Ok(())
}

/// Rows of a register by their ids, from 1.
fn rows(contract: &Contract, ids: Vec<i64>, districts: &[String]) -> anyhow::Result<RecordBatch> {
    let count = ids.len();
    let per_thing = i64::try_from(STREAMS_OF_THING)?;
    let mut given: Vec<(&str, ArrayRef)> = vec![
        ("owner", same(OWNER, count)),
        ("sharing", same("open", count)),
        ("description", same("made by the bench", count)),
    ];
    let of = |value: fn(i64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(ids.iter().map(|id| value(*id))))
    };
    let points = || -> ArrayRef {
        let points: Vec<Vec<u8>> = ids.iter().map(|id| wkb(place(*id))).collect();
        Arc::new(BinaryArray::from_iter_values(points))
    };
    let integers = |value: fn(i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| value(*id))))
    };
    match contract.id.as_str() {
        "sensing.sensor" => given.extend([
            ("name", same("BAM-1020", count)),
            ("encoding_type", same("text/html", count)),
            ("metadata", same("\"https://metone.com\"", count)),
        ]),
        "sensing.observed_property" => given.extend([
            ("name", same("PM2.5", count)),
            ("definition", same("http://dd.eionet.europa.eu/vocabulary/aq/pollutant/6001", count)),
        ]),
        "sensing.thing" => {
            let codes = ids.iter().map(|id| district(*id, districts));
            given.extend([
                ("name", of(|id| format!("station {id}"))),
                ("properties", same(r#"{"kind":"air"}"#, count)),
                ("area_code", Arc::new(StringArray::from_iter_values(codes)) as ArrayRef),
                ("network", same("bench", count)),
                ("geometry", points()),
            ]);
        }
        "sensing.location" => given.extend([
            ("name", of(|id| format!("place {id}"))),
            ("encoding_type", same("application/geo+json", count)),
            ("location", of(|id| geojson(place(id)))),
            ("geometry", points()),
        ]),
        "sensing.thing_location" => {
            given.extend([("thing", integers(|id| id)), ("location", integers(|id| id))]);
        }
        "sensing.feature_of_interest" => given.extend([
            ("name", of(|id| format!("place {id}"))),
            ("encoding_type", same("application/geo+json", count)),
            ("feature", of(|id| geojson(place(id)))),
            ("location", integers(|id| id)),
            ("geometry", points()),
        ]),
        "sensing.datastream" => {
            let things = ids.iter().map(|id| (id - 1) / per_thing + 1);
            given.extend([
                ("name", of(|id| format!("PM2.5 {id}"))),
                ("observation_type", same(MEASUREMENT, count)),
                ("unit_of_measurement", same(UNIT, count)),
                ("multi", Arc::new(BooleanArray::from(vec![false; count])) as ArrayRef),
                ("properties", same(r#"{"period_s":60}"#, count)),
                ("thing", Arc::new(Int64Array::from_iter_values(things)) as ArrayRef),
                ("sensor", integers(|_| 1)),
                ("observed_property", integers(|_| 1)),
            ]);
        }
        other => anyhow::bail!("{other} is not filled"),
    }
    given.push(("id", Arc::new(Int64Array::from(ids.clone()))));
    batch(contract, count, given)
}

/// The columns of a contract; those that nobody gave are empty, and those that it has not are left
/// out.
fn batch(
    contract: &Contract,
    rows: usize,
    given: Vec<(&str, ArrayRef)>,
) -> anyhow::Result<RecordBatch> {
    let schema = contract.arrow_schema();
    let mut given: BTreeMap<&str, ArrayRef> = given.into_iter().collect();
    let columns: Vec<ArrayRef> = (schema.fields().iter())
        .map(|field| {
            let column = given.remove(field.name().as_str());
            column.unwrap_or_else(|| new_null_array(field.data_type(), rows))
        })
        .collect();
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn same(text: &str, count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count)))
}

fn district(id: i64, districts: &[String]) -> &str {
    let place = usize::try_from(id).map_or(0, |id| id % districts.len());
    &districts[place]
}

/// Within Chengdu, longitude and latitude.
fn place(id: i64) -> [f64; 2] {
    let noise = scramble(id.unsigned_abs());
    let share = |bits: u64| f64::from(u16::try_from(bits & 0xffff).unwrap_or(0)) / 65_536.0;
    [103.5 + share(noise), 30.3 + share(noise >> 16)]
}

fn geojson([longitude, latitude]: [f64; 2]) -> String {
    format!(r#"{{"type":"Point","coordinates":[{longitude:.6},{latitude:.6}]}}"#)
}

/// A point in well-known binary, little-endian.
fn wkb([longitude, latitude]: [f64; 2]) -> Vec<u8> {
    let mut out = vec![1, 1, 0, 0, 0];
    out.extend(longitude.to_le_bytes());
    out.extend(latitude.to_le_bytes());
    out
}

/// Writes the year to files, tick by tick as sensors would have sent it, in one commit.
async fn observe(city: &City, shape: Shape) -> anyhow::Result<()> {
    let contract = city.contract(OBSERVATION)?;
    let mut bulk = city.lake().bulk(OBSERVATION, "bench").await?;
    let mut seq = 0;
    let minutes_a_tick = YEAR_MINUTES / shape.ticks;
    for tick in 0..shape.ticks {
        let at = |minutes: u64| -> anyhow::Result<i64> {
            Ok(START_US + i64::try_from(minutes)? * MINUTE_US)
        };
        let until =
            if tick + 1 == shape.ticks { YEAR_MINUTES } else { (tick + 1) * minutes_a_tick };
        let now_us = at(until - 1)?;
        let mut keys: Vec<(i64, i64)> = Vec::new();
        for minute in tick * minutes_a_tick..until {
            for stream in 1..=shape.minutely {
                keys.push((i64::try_from(stream)?, at(minute)?));
            }
        }
        for stream in shape.minutely + 1..=shape.datastreams {
            keys.push((i64::try_from(stream)?, now_us));
        }
        for keys in keys.chunks(usize::try_from(BATCH_ROWS)?) {
            seq += 1;
            bulk.write(observations(contract, keys, seq)?, seq).await?;
        }
    }
    let taken = bulk.commit().await?;
    anyhow::ensure!(taken.rows == shape.observations(), "{} rows were taken", taken.rows);
    Ok(())
}

/// Observations of Datastreams at moments; `seq` makes their values others than the last ones'.
fn observations(contract: &Contract, keys: &[(i64, i64)], seq: u64) -> anyhow::Result<RecordBatch> {
    let count = keys.len();
    let per_thing = i64::try_from(STREAMS_OF_THING)?;
    let times: Vec<i64> = keys.iter().map(|(_, time)| *time).collect();
    let noise = (0..count as u64).map(|row| scramble(seq * BATCH_ROWS + row) % 5_000);
    // 0.0 – 499.9, any of them: what compresses worst of what a station says.
    let results = noise.map(|tenths| u32::try_from(tenths).map_or(0.0, f64::from) / 10.0);
    let features = keys.iter().map(|(stream, _)| (stream - 1) / per_thing + 1);
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"));
    let streams = keys.iter().map(|(stream, _)| *stream);
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; count]));
    let given: Vec<(&str, ArrayRef)> = vec![
        ("datastream", Arc::new(Int64Array::from_iter_values(streams))),
        ("phenomenon_time", times),
        ("ordinal", Arc::clone(&zeros)),
        ("result_number", Arc::new(Float64Array::from_iter_values(results))),
        ("feature_of_interest", Arc::new(Int64Array::from_iter_values(features))),
        ("flags", zeros),
        ("owner", same(OWNER, count)),
        ("sharing", same("open", count)),
    ];
    batch(contract, count, given).context("an observation does not fit its contract")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_about_as_many_observations_as_are_wanted() {
        for (datastreams, observations) in [(100_000, 10_000_000), (1_000_000, 100_000_000)] {
            let shape = Shape::of(datastreams, observations);
            assert!(shape.observations().abs_diff(observations) <= observations / 20, "{shape:?}");
            assert!(shape.ticks <= YEAR_MINUTES && shape.minutely > 0, "{shape:?}");
        }
        assert_eq!(Shape::of(10, 0).observations(), 0);
    }

    #[test]
    fn rows_fit_the_contracts_of_the_pack() {
        let pack = pack::load(&served::pack_dir()).unwrap_or_else(|faults| panic!("{faults}"));
        let districts = vec!["510104000000".to_owned()];
        for dataset in [
            "sensing.sensor",
            "sensing.observed_property",
            "sensing.thing",
            "sensing.location",
            "sensing.thing_location",
            "sensing.feature_of_interest",
            "sensing.datastream",
        ] {
            let made = rows(&pack.datasets[dataset], vec![1, 2, 5], &districts).unwrap();
            assert_eq!(made.num_rows(), 3, "{dataset}");
        }
        let made = observations(&pack.datasets[OBSERVATION], &[(1, START_US), (5, END_US)], 1);
        assert_eq!(made.unwrap().num_rows(), 2);
    }
}
