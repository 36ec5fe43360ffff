//! The rows that every figure uses: readings of 50,000 series, made by arithmetic alone, so that
//! row *n* is the same in every run and on every side.
//!
//! They come as a city's sensors send them: all series at one tick, then all at the next.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, SecondsFormat};

pub const SERIES: u64 = 50_000;
/// 2024-01-01T00:00:00Z.
const FIRST_TICK_US: i64 = 1_704_067_200_000_000;
const TICK_US: i64 = 900_000_000;
/// One value in so many is missing.
const MISSING_EVERY: u64 = 97;
pub const AREAS: [&str; 5] =
    ["510104000000", "510105000000", "510106000000", "510107000000", "510108000000"];

/// One reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub series: String,
    pub area: &'static str,
    pub observed_at_us: i64,
    pub value: Option<f64>,
    pub status: i64,
}

pub fn reading(row: u64) -> Reading {
    let noise = scramble(row);
    let series = row % SERIES;
    let area = usize::try_from(series).map_or(0, |series| series % AREAS.len());
    // 0.0 – 499.9, in steps that a decimal text keeps exactly.
    let tenths = u32::try_from(noise % 5_000).expect("below 5,000");
    Reading {
        series: series_name(series),
        area: AREAS[area],
        observed_at_us: tick_us(row / SERIES),
        value: (!noise.is_multiple_of(MISSING_EVERY)).then(|| f64::from(tenths) / 10.0),
        status: i64::try_from((noise >> 32) % 4).expect("below 4"),
    }
}

pub fn series_name(series: u64) -> String {
    format!("S{series:05}")
}

fn tick_us(tick: u64) -> i64 {
    FIRST_TICK_US + i64::try_from(tick).expect("ticks are few") * TICK_US
}

/// SplitMix64's finaliser: spreads consecutive numbers over all of `u64`.
pub fn scramble(row: u64) -> u64 {
    let mut z = row.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Rows `first .. first + count`, in the columns of the contract `bench.reading`.
pub fn batch(schema: &SchemaRef, first: u64, count: u64) -> anyhow::Result<RecordBatch> {
    let rows: Vec<Reading> = (first..first + count).map(reading).collect();
    let times = rows.iter().map(|row| row.observed_at_us).collect::<Vec<_>>();
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.series))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.area))),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(rows.iter().map(|row| row.value).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.status).collect::<Int64Array>()),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Rows `0 .. count` as a CSV file with a header, where it is not there yet.
pub fn csv(path: &Path, count: u64) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let unfinished = path.with_extension("unfinished");
    let file = std::fs::File::create(&unfinished)
        .with_context(|| format!("cannot make {}", unfinished.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(b"series,area,observed_at,value,status\n")?;
    let (mut tick, mut time) = (i64::MIN, String::new());
    for row in 0..count {
        let reading = reading(row);
        if reading.observed_at_us != tick {
            tick = reading.observed_at_us;
            time = rfc3339(tick);
        }
        write!(out, "{},{},{time},", reading.series, reading.area)?;
        if let Some(value) = reading.value {
            write!(out, "{value:.1}")?;
        }
        writeln!(out, ",{}", reading.status)?;
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    Ok(std::fs::rename(unfinished, path)?)
}

/// A multi-row INSERT of rows `first .. first + count`.
pub fn insert(first: u64, count: u64) -> String {
    let rows = (first..first + count).map(|row| {
        let reading = reading(row);
        let time = rfc3339(reading.observed_at_us);
        let value = reading.value.map_or_else(|| "NULL".to_owned(), |value| format!("{value:.1}"));
        format!("('{}','{}','{time}',{value},{})", reading.series, reading.area, reading.status)
    });
    // pgbench ends a command at the line's end, so it is all on one.
    format!("INSERT INTO reading VALUES {};", rows.collect::<Vec<_>>().join(","))
}

fn rfc3339(us: i64) -> String {
    DateTime::from_timestamp_micros(us)
        .expect("ticks lie in this century")
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The peer's table for the same columns.
pub const POSTGRES_TABLE: &str = "CREATE TABLE reading (series text NOT NULL, area text NOT NULL, \
     observed_at timestamptz NOT NULL, value double precision, status bigint)";

#[cfg(test)]
mod tests {
    use super::{SERIES, insert, reading};

    #[test]
    fn rows_are_the_same_each_time_and_come_tick_by_tick() {
        assert_eq!(reading(12_345), reading(12_345));
        assert_eq!(reading(7).series, reading(7 + SERIES).series);
        assert!(reading(7).observed_at_us < reading(7 + SERIES).observed_at_us);
        let missing = (0..10_000).filter(|&row| reading(row).value.is_none()).count();
        assert!((50..200).contains(&missing), "{missing} of 10,000 values are missing");
    }

    #[test]
    fn an_insert_is_one_line() {
        let sql = insert(0, 3);
        assert_eq!(sql.lines().count(), 1);
        assert_eq!(sql.matches("('S").count(), 3);
    }
}
