//! Parquet and GeoParquet: typed columns stay typed where the contract's type allows it.
//!
//! A column whose type is the field's, or widens to it, is converted whole ([`crate::typed`]);
//! any other is written as text and read by the common path, so that mappings work on Parquet too.

use std::fs::File;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use pack::Crs;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::Value;

use crate::bounds::{
    COLUMNS_MAX, PARQUET_BLOCK_BYTES, PARQUET_PART_BYTES_MAX, PARQUET_PARTS, SAMPLE_RECORDS,
    rows_per_block,
};
use crate::error::IntakeError;
use crate::excel::push_csv;
use crate::json::crs_of;
use crate::pipeline::{Piece, Work};
use crate::plan::{Plan, Source};
use crate::table::Table;
use crate::typed;
use crate::{Opened, Read, rows};

pub fn open<'a>(read: &Read<'a>) -> Result<Opened<'a>, IntakeError> {
    let bytes = |file: &File| file.metadata().map_or(0, |data| data.len());
    let (reader, schema, geometry, crs, rows_total) = start(read)?;
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    if names.len() > COLUMNS_MAX {
        return Err(IntakeError::TooManyColumns { found: names.len(), max: COLUMNS_MAX });
    }
    let (plan, mut drift, mapping) = read.plan_with_geometry(names, false, crs, geometry)?;
    let mut sample = start(read)?.0;
    if let Some(batch) = sample.next() {
        let batch = batch.map_err(content)?;
        let table = table(&plan, batch.slice(0, batch.num_rows().min(SAMPLE_RECORDS)), 1);
        drift.retyped = rows::retyped(&plan, &table, SAMPLE_RECORDS);
    }
    let file = File::open(&read.path)
        .map_err(|source| IntakeError::Read { path: read.path.clone(), source })?;
    let work = Batches { reader, first_row: 1, rows_total, bytes: bytes(&file) };
    Ok(Opened { plan, drift, mapping, work: Box::new(work) })
}

fn content(error: impl std::fmt::Display) -> IntakeError {
    IntakeError::Content { format: "Parquet", problem: error.to_string() }
}

type Started = (ParquetRecordBatchReader, SchemaRef, Option<String>, Option<Crs>, u64);

fn start(read: &Read<'_>) -> Result<Started, IntakeError> {
    let file = File::open(&read.path)
        .map_err(|source| IntakeError::Read { path: read.path.clone(), source })?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(content)?;
    let metadata = builder.metadata().file_metadata();
    let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
    let pairs = metadata.key_value_metadata().map_or(&[][..], Vec::as_slice);
    let geo = pairs.iter().find(|pair| pair.key == "geo").and_then(|pair| pair.value.as_deref());
    let (geometry, crs) = match geo {
        Some(geo) => geo_metadata(geo, read.options.crs)?,
        None => (None, None),
    };
    let schema = builder.schema().clone();
    let part_rows = rows_per_block(schema.fields().len()).div_ceil(PARQUET_PARTS);
    let reader = builder.with_batch_size(part_rows).build().map_err(content)?;
    Ok((reader, schema, geometry, crs, rows))
}

/// The primary geometry column and its coordinate system, from GeoParquet's file metadata. What
/// the caller says of the coordinates wins, for GeoParquet has no name for GCJ-02.
fn geo_metadata(
    geo: &str,
    said: Option<Crs>,
) -> Result<(Option<String>, Option<Crs>), IntakeError> {
    let geo: Value = serde_json::from_str(geo)
        .map_err(|error| content(format!("its `geo` metadata is no JSON: {error}")))?;
    let Some(primary) = geo.get("primary_column").and_then(Value::as_str) else {
        return Ok((None, None));
    };
    let column = geo.get("columns").and_then(|columns| columns.get(primary));
    let encoding = column.and_then(|column| column.get("encoding")).and_then(Value::as_str);
    if let Some(encoding) = encoding
        && !encoding.eq_ignore_ascii_case("wkb")
    {
        return Err(content(format!("geometries encoded as {encoding}: write them as WKB")));
    }
    let crs = match (said, column.and_then(|column| column.get("crs"))) {
        (Some(said), _) => Some(said),
        (None, None | Some(Value::Null)) => None,
        (None, Some(crs)) => Some(projjson(crs)?),
    };
    Ok((Some(primary.to_owned()), crs))
}

fn projjson(crs: &Value) -> Result<Crs, IntakeError> {
    let text = |pointer: &str| match crs.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let (authority, code, name) = (text("/id/authority"), text("/id/code"), text("/name"));
    if code.is_empty() {
        return match name.as_str() {
            "WGS 84" | "WGS 84 (CRS84)" => Ok(Crs::Wgs84),
            "China Geodetic Coordinate System 2000" => Ok(Crs::Cgcs2000),
            _ => Err(IntakeError::Crs { found: name }),
        };
    }
    crs_of(&format!("{authority}:{code}"))
        .map_err(|_| IntakeError::Crs { found: format!("{authority}:{code} ({name})") })
}

struct Batches {
    reader: ParquetRecordBatchReader,
    /// From 1, for a format without lines.
    first_row: u64,
    rows_total: u64,
    bytes: u64,
}

impl Batches {
    /// The rows of a chunk: all its parts, or fewer where they are long.
    fn block(&mut self) -> Result<Option<RecordBatch>, IntakeError> {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        while parts.len() < PARQUET_PARTS && bytes < PARQUET_BLOCK_BYTES {
            let Some(part) = self.reader.next().transpose().map_err(content)? else { break };
            let part_bytes = part.get_array_memory_size();
            if part_bytes > PARQUET_PART_BYTES_MAX {
                let rows = part.num_rows();
                return Err(content(format!(
                    "{rows} rows of it take more than {PARQUET_PART_BYTES_MAX} bytes: split its \
                     long texts off"
                )));
            }
            bytes += part_bytes;
            parts.push(part);
        }
        let Some(first) = parts.first() else { return Ok(None) };
        concat_batches(&first.schema(), &parts).map(Some).map_err(content)
    }
}

impl Work for Batches {
    fn next(&mut self) -> Result<Option<(Piece, u64)>, IntakeError> {
        let Some(batch) = self.block()? else { return Ok(None) };
        let first_row = self.first_row;
        self.first_row += batch.num_rows() as u64;
        let done = u128::from(self.first_row - 1) * u128::from(self.bytes)
            / u128::from(self.rows_total.max(1));
        let piece = move |plan: &Plan| Ok(table(plan, batch, first_row));
        Ok(Some((Box::new(piece), u64::try_from(done).unwrap_or(self.bytes))))
    }
}

/// A batch as a table: text cells only in the columns that are read as text.
fn table(plan: &Plan, batch: RecordBatch, first_row: u64) -> Table {
    let needed = text_columns(plan, &batch);
    let options = FormatOptions::default().with_null("");
    let formatters: Vec<Option<ArrayFormatter<'_>>> = batch
        .columns()
        .iter()
        .zip(&needed)
        .map(|(array, needed)| {
            needed.then(|| ArrayFormatter::try_new(array.as_ref(), &options).ok()).flatten()
        })
        .collect();
    let mut table = Table::new(batch.num_columns());
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        for (array, formatter) in batch.columns().iter().zip(&formatters) {
            match formatter {
                Some(formatter) if array.is_valid(row) => {
                    text.clear();
                    // What cannot be written is an empty cell, and a missing value if required.
                    let _ = formatter.value(row).write(&mut text);
                    table.push_scratch(text.as_bytes());
                }
                _ => table.push_null(),
            }
        }
        table.end_record(0, 0, first_row + row as u64);
    }
    drop(formatters);
    table.batch = Some(batch);
    table
}

fn text_columns(plan: &Plan, batch: &RecordBatch) -> Vec<bool> {
    let mut needed = vec![false; batch.num_columns()];
    let whole =
        plan.fields.iter().any(|field| !matches!(field.source, Source::Cell(_) | Source::Absent));
    for field in &plan.fields {
        if let Source::Cell(column) = field.source
            && !typed::converts(field.ty, batch.column(column).data_type())
        {
            needed[column] = true;
        }
    }
    for (column, _) in &plan.skip {
        needed[*column] = true;
    }
    for (column, needed) in needed.iter_mut().enumerate() {
        let binary = matches!(
            batch.column(column).data_type(),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        );
        *needed |= whole && !binary;
    }
    needed
}

/// A row as CSV, for whoever is to look at it.
pub fn raw(batch: &RecordBatch, row: usize) -> Vec<u8> {
    let options = FormatOptions::default().with_null("");
    let mut out = Vec::new();
    for (number, array) in batch.columns().iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        if let Ok(formatter) = ArrayFormatter::try_new(array.as_ref(), &options) {
            push_csv(&mut out, formatter.value(row).to_string().as_bytes());
        }
    }
    out
}
