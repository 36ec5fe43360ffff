//! The lake from outside: what is acknowledged is there, once, whatever happens.

mod basics;
mod compat;
mod damage;
mod faults;
mod kill;
mod model;
mod python;
mod speed;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, Float64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use datafusion::prelude::SessionContext;
use store::lake::{Lake, LakeError, LakeOptions, Mode, Producer, TableSpec};

pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

pub fn readings_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("site", DataType::Utf8, false),
        Field::new("at", timestamp(), false),
        Field::new("value", DataType::Float64, true),
    ]))
}

pub fn readings(name: &str) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        schema: readings_schema(),
        mode: Mode::Append,
        sort: vec!["site".to_owned(), "at".to_owned()],
        retention: None,
    }
}

pub fn census(name: &str) -> TableSpec {
    TableSpec { mode: Mode::Upsert { key: vec!["site".to_owned()] }, ..readings(name) }
}

/// Rows `(site, minute, value)`.
pub fn rows(rows: &[(&str, i64, f64)]) -> RecordBatch {
    let sites: StringArray = rows.iter().map(|r| Some(r.0)).collect();
    let times: Vec<i64> = rows.iter().map(|r| r.1 * 60_000_000).collect();
    let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let values: Float64Array = rows.iter().map(|r| Some(r.2)).collect();
    let columns: Vec<Arc<dyn Array>> = vec![Arc::new(sites), Arc::new(times), Arc::new(values)];
    RecordBatch::try_new(readings_schema(), columns).unwrap()
}

/// `count` rows of sites `s0` … `s9`, minute by minute from `from`.
pub fn many(from: i64, count: i64) -> RecordBatch {
    let names: Vec<String> = (0..10).map(|i| format!("s{i}")).collect();
    let all: Vec<_> = (from..from + count)
        .map(|i| (names[usize::try_from(i % 10).unwrap()].as_str(), i, i as f64))
        .collect();
    rows(&all)
}

pub fn by(producer: &str, seq: u64) -> Option<Producer> {
    Some(Producer { id: producer.to_owned(), seq })
}

pub fn quiet(dir: &Path) -> LakeOptions {
    LakeOptions { background: false, ..LakeOptions::new(dir) }
}

pub async fn open(dir: &Path) -> Arc<Lake> {
    Lake::open(quiet(dir)).await.unwrap()
}

pub async fn query_at(
    lake: &Arc<Lake>,
    table: &str,
    as_of: Option<DateTime<Utc>>,
    sql: &str,
) -> Vec<RecordBatch> {
    let context = SessionContext::new();
    context.register_table("t", lake.snapshot(table, as_of).await.unwrap()).unwrap();
    context.sql(sql).await.unwrap().collect().await.unwrap()
}

pub async fn query(lake: &Arc<Lake>, table: &str, sql: &str) -> Vec<RecordBatch> {
    query_at(lake, table, None, sql).await
}

pub async fn count_at(lake: &Arc<Lake>, table: &str, as_of: Option<DateTime<Utc>>) -> i64 {
    let answer = query_at(lake, table, as_of, "SELECT count(*), count(site) FROM t").await;
    let count = answer[0].column(0).as_primitive::<Int64Type>().value(0);
    // COUNT(*) may be answered from statistics, count(site) reads the rows.
    assert_eq!(count, answer[0].column(1).as_primitive::<Int64Type>().value(0));
    count
}

pub async fn count(lake: &Arc<Lake>, table: &str) -> i64 {
    count_at(lake, table, None).await
}

pub async fn values(lake: &Arc<Lake>, table: &str, sql: &str) -> Vec<String> {
    let batches = query(lake, table, sql).await;
    let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() < 5 {
        return Vec::new();
    }
    let cell = |line: &&str| {
        line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ")
    };
    lines[3..lines.len() - 1].iter().map(cell).collect()
}

/// Opens a lake whose last owner was dropped, as soon as its threads have let go of the lock.
pub async fn reopen(dir: &Path) -> Arc<Lake> {
    for _ in 0..100 {
        match Lake::open(quiet(dir)).await {
            Ok(lake) => return lake,
            Err(LakeError::Locked(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the lock is still held");
}

/// The files of a folder with an ending, sorted.
pub fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = entries.filter(|p| p.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}

/// Flips one bit of a file.
pub fn flip(path: &Path, byte: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[byte] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}
