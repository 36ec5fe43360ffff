//! A city that all tests look at, made once, and readers of its files.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Date32Type, Float64Type, Int64Type};
use pack::Pack;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use synth::Options;
use tempfile::TempDir;

pub const PEOPLE: usize = 60_000;
pub const SEED: u64 = 7;

pub fn chengdu() -> &'static Pack {
    static PACK: OnceLock<Pack> = OnceLock::new();
    PACK.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
        pack::load(&dir).expect("the pack has no mistakes")
    })
}

pub fn make(people: usize, seed: u64, threads: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    synth::generate(chengdu(), dir.path(), Options { people, seed, threads }, &|_| {}).unwrap();
    dir
}

pub fn file(dir: &Path, dataset: &str) -> PathBuf {
    dir.join(format!("{dataset}.parquet"))
}

pub fn read(dir: &Path, dataset: &str) -> RecordBatch {
    let file = std::fs::File::open(file(dir, dataset)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// The city of [`PEOPLE`].
pub fn table(dataset: &str) -> RecordBatch {
    static CITY: OnceLock<TempDir> = OnceLock::new();
    read(CITY.get_or_init(|| make(PEOPLE, SEED, 2)).path(), dataset)
}

pub fn texts<'a>(batch: &'a RecordBatch, column: &str) -> Vec<&'a str> {
    batch
        .column_by_name(column)
        .unwrap()
        .as_string::<i32>()
        .iter()
        .map(Option::unwrap_or_default)
        .collect()
}

/// A missing one is the least there is.
pub fn integers(batch: &RecordBatch, column: &str) -> Vec<i64> {
    let column = batch.column_by_name(column).unwrap().as_primitive::<Int64Type>();
    column.iter().map(|value| value.unwrap_or(i64::MIN)).collect()
}

pub fn numbers(batch: &RecordBatch, column: &str) -> Vec<f64> {
    let column = batch.column_by_name(column).unwrap().as_primitive::<Float64Type>();
    column.iter().map(|value| value.unwrap_or(f64::NAN)).collect()
}

pub fn days(batch: &RecordBatch, column: &str) -> Vec<i32> {
    batch.column_by_name(column).unwrap().as_primitive::<Date32Type>().values().to_vec()
}

/// Coordinates of points, lines and polygons of one ring.
pub fn shapes(batch: &RecordBatch) -> Vec<Vec<(f64, f64)>> {
    let column = batch.column_by_name("geometry").unwrap().as_binary::<i32>();
    assert_eq!(column.null_count(), 0);
    let shape = |wkb: Option<&[u8]>| {
        let wkb = wkb.unwrap();
        // Byte order and type, then no count for a point, one for a line, two for a polygon.
        let head = match wkb[1] {
            1 => 5,
            2 => 9,
            _ => 13,
        };
        wkb[head..].chunks(16).map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect()
    };
    column.iter().map(shape).collect()
}

fn number(bytes: &[u8]) -> f64 {
    f64::from_le_bytes(bytes.try_into().unwrap())
}

/// Rows of one of the pack's published tables, without notes and header.
pub fn published(table: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(chengdu().dir.join("synth").join(table)).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect()
}
