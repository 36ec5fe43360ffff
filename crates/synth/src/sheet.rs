//! Tables on their way to a Parquet file: columns filled cell by cell, and the file they end in.
//!
//! Geometries are written as GeoParquet 1.1 (WKB, WGS-84), money as decimals of yuan. What a table
//! holds is said once, in a [`Sheet`]; a test holds the sheets against the pack's contracts.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::error::{Result, SynthError};
use crate::plane::{Plane, Point};

/// Rows that a reader takes in one go, and that are kept while they are written.
const ROW_GROUP_ROWS: usize = 256 * 1024;
const MONEY_DIGITS: u8 = 20;
const MONEY_SCALE: i8 = 2;

/// What a column holds; named after the types of contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    Date,
    Timestamp,
    Money,
    Point,
    Line,
    Polygon,
}

/// The columns of a dataset's file.
#[derive(Debug, Clone, Copy)]
pub struct Sheet {
    pub dataset: &'static str,
    pub columns: &'static [(&'static str, Kind)],
}

impl Kind {
    fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Money => DataType::Decimal128(MONEY_DIGITS, MONEY_SCALE),
            Self::Point | Self::Line | Self::Polygon => DataType::Binary,
        }
    }

    /// By OGC's name.
    fn geometry(self) -> Option<&'static str> {
        match self {
            Self::Point => Some("Point"),
            Self::Line => Some("LineString"),
            Self::Polygon => Some("Polygon"),
            _ => None,
        }
    }
}

impl Sheet {
    fn schema(&self) -> SchemaRef {
        let field = |(name, kind): &(&str, Kind)| Field::new(*name, kind.arrow(), true);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// GeoParquet's description of the file; without `crs` coordinates are WGS-84 longitude first.
    fn geo(&self) -> Option<String> {
        let (name, shape) = self
            .columns
            .iter()
            .find_map(|(name, kind)| kind.geometry().map(|shape| (name, shape)))?;
        let column = serde_json::json!({ "encoding": "WKB", "geometry_types": [shape] });
        let geo = serde_json::json!({
            "version": "1.1.0", "primary_column": name, "columns": { *name: column },
        });
        Some(geo.to_string())
    }
}

#[derive(Debug)]
enum Column {
    Text(StringBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Money(Decimal128Builder),
    Shape(BinaryBuilder),
}

/// Rows of a sheet. Cells are given in the order of the columns, row after row.
#[derive(Debug)]
pub struct Rows {
    schema: SchemaRef,
    columns: Vec<Column>,
    next: usize,
}

impl Rows {
    pub fn new(sheet: &Sheet) -> Self {
        let column = |(_, kind): &(&str, Kind)| match kind {
            Kind::Text => Column::Text(StringBuilder::new()),
            Kind::Integer => Column::Integer(Int64Builder::new()),
            Kind::Number => Column::Number(Float64Builder::new()),
            Kind::Boolean => Column::Boolean(BooleanBuilder::new()),
            Kind::Date => Column::Date(Date32Builder::new()),
            Kind::Timestamp => {
                Column::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
            }
            Kind::Money => Column::Money(Decimal128Builder::new().with_data_type(kind.arrow())),
            Kind::Point | Kind::Line | Kind::Polygon => Column::Shape(BinaryBuilder::new()),
        };
        let columns = sheet.columns.iter().map(column).collect();
        Self { schema: sheet.schema(), columns, next: 0 }
    }

    fn column(&mut self) -> &mut Column {
        let at = self.next;
        self.next = (at + 1) % self.columns.len();
        &mut self.columns[at]
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.text_or(Some(value))
    }

    pub fn text_or(&mut self, value: Option<&str>) -> &mut Self {
        match self.column() {
            Column::Text(column) => column.append_option(value),
            other => wrong(other, "text"),
        }
        self
    }

    /// A text that is put together, without keeping it.
    pub fn format(&mut self, value: fmt::Arguments<'_>) -> &mut Self {
        match self.column() {
            Column::Text(column) => {
                fmt::Write::write_fmt(column, value).expect("writing to memory does not fail");
                column.append_value("");
            }
            other => wrong(other, "text"),
        }
        self
    }

    pub fn integer(&mut self, value: i64) -> &mut Self {
        self.integer_or(Some(value))
    }

    pub fn integer_or(&mut self, value: Option<i64>) -> &mut Self {
        match self.column() {
            Column::Integer(column) => column.append_option(value),
            other => wrong(other, "integer"),
        }
        self
    }

    pub fn count(&mut self, value: usize) -> &mut Self {
        self.integer(crate::num::signed(value))
    }

    pub fn number(&mut self, value: f64) -> &mut Self {
        self.number_or(Some(value))
    }

    pub fn number_or(&mut self, value: Option<f64>) -> &mut Self {
        match self.column() {
            Column::Number(column) => column.append_option(value),
            other => wrong(other, "number"),
        }
        self
    }

    pub fn boolean_or(&mut self, value: Option<bool>) -> &mut Self {
        match self.column() {
            Column::Boolean(column) => column.append_option(value),
            other => wrong(other, "boolean"),
        }
        self
    }

    /// Days since 1970.
    pub fn date(&mut self, days: i32) -> &mut Self {
        match self.column() {
            Column::Date(column) => column.append_value(days),
            other => wrong(other, "date"),
        }
        self
    }

    pub fn timestamp(&mut self, micros: i64) -> &mut Self {
        self.timestamp_or(Some(micros))
    }

    pub fn timestamp_or(&mut self, micros: Option<i64>) -> &mut Self {
        match self.column() {
            Column::Timestamp(column) => column.append_option(micros),
            other => wrong(other, "timestamp"),
        }
        self
    }

    pub fn cents(&mut self, cents: i64) -> &mut Self {
        match self.column() {
            Column::Money(column) => column.append_value(i128::from(cents)),
            other => wrong(other, "money"),
        }
        self
    }

    pub fn shape(&mut self, wkb: &[u8]) -> &mut Self {
        match self.column() {
            Column::Shape(column) => column.append_value(wkb),
            other => wrong(other, "geometry"),
        }
        self
    }

    pub fn point(&mut self, plane: &Plane, point: Point) -> &mut Self {
        self.shape(&wkb_point(plane.degrees(point)))
    }

    /// Leaves the next cells empty.
    pub fn nothing(&mut self, cells: usize) -> &mut Self {
        for _ in 0..cells {
            match self.column() {
                Column::Text(column) => column.append_null(),
                Column::Integer(column) => column.append_null(),
                Column::Number(column) => column.append_null(),
                Column::Boolean(column) => column.append_null(),
                Column::Date(column) => column.append_null(),
                Column::Timestamp(column) => column.append_null(),
                Column::Money(column) => column.append_null(),
                Column::Shape(column) => column.append_null(),
            }
        }
        self
    }

    pub fn finish(mut self) -> RecordBatch {
        assert_eq!(self.next, 0, "the last row is whole");
        let array = |column: &mut Column| -> ArrayRef {
            match column {
                Column::Text(column) => Arc::new(column.finish()),
                Column::Integer(column) => Arc::new(column.finish()),
                Column::Number(column) => Arc::new(column.finish()),
                Column::Boolean(column) => Arc::new(column.finish()),
                Column::Date(column) => Arc::new(column.finish()),
                Column::Timestamp(column) => Arc::new(column.finish()),
                Column::Money(column) => Arc::new(column.finish()),
                Column::Shape(column) => Arc::new(column.finish()),
            }
        };
        let columns = self.columns.iter_mut().map(array).collect();
        RecordBatch::try_new(self.schema, columns).expect("columns are filled row by row")
    }
}

fn wrong(column: &Column, given: &str) -> ! {
    unreachable!("a cell of {given} for {column:?}: the sheet and its writer disagree")
}

const LITTLE_ENDIAN: u8 = 1;

fn wkb_head(kind: u32) -> Vec<u8> {
    let mut wkb = vec![LITTLE_ENDIAN];
    wkb.extend_from_slice(&kind.to_le_bytes());
    wkb
}

fn push(wkb: &mut Vec<u8>, degrees: Point) {
    wkb.extend_from_slice(&degrees[0].to_le_bytes());
    wkb.extend_from_slice(&degrees[1].to_le_bytes());
}

pub fn wkb_point(degrees: Point) -> Vec<u8> {
    let mut wkb = wkb_head(1);
    push(&mut wkb, degrees);
    wkb
}

pub fn wkb_line(degrees: &[Point]) -> Vec<u8> {
    let mut wkb = wkb_head(2);
    wkb.extend_from_slice(&crate::num::index(degrees.len()).to_le_bytes());
    for point in degrees {
        push(&mut wkb, *point);
    }
    wkb
}

/// A polygon of one ring, which is closed here.
pub fn wkb_polygon(ring: &[Point]) -> Vec<u8> {
    let mut wkb = wkb_head(3);
    wkb.extend_from_slice(&1_u32.to_le_bytes());
    wkb.extend_from_slice(&crate::num::index(ring.len() + 1).to_le_bytes());
    for point in ring.iter().chain(ring.first()) {
        push(&mut wkb, *point);
    }
    wkb
}

/// A dataset's file, written batch by batch.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    writer: ArrowWriter<File>,
    rows: usize,
}

impl Table {
    /// `DIR/dataset.parquet`; a file of that name is replaced.
    pub fn create(dir: &Path, sheet: &Sheet) -> Result<Self> {
        let path = dir.join(format!("{}.parquet", sheet.dataset));
        let file = File::create(&path).map_err(|error| failed(&path, &error))?;
        let geo = sheet.geo().map(|geo| vec![KeyValue::new("geo".to_owned(), geo)]);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by("shujin".to_owned())
            .set_key_value_metadata(geo)
            .build();
        let writer = ArrowWriter::try_new(file, sheet.schema(), Some(properties))
            .map_err(|error| failed(&path, &error))?;
        Ok(Self { path, writer, rows: 0 })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        self.writer.write(batch).map_err(|error| failed(&self.path, &error))
    }

    /// Ends the file and says how many rows it holds.
    pub fn close(self) -> Result<usize> {
        self.writer.close().map_err(|error| failed(&self.path, &error))?;
        Ok(self.rows)
    }
}

/// A table that is small enough to be made at once.
pub fn write(dir: &Path, sheet: &Sheet, rows: Rows) -> Result<(String, usize)> {
    let mut table = Table::create(dir, sheet)?;
    table.write(&rows.finish())?;
    Ok((sheet.dataset.to_owned(), table.close()?))
}

pub fn failed(path: &Path, error: &dyn fmt::Display) -> SynthError {
    SynthError::Write { path: path.to_owned(), problem: error.to_string() }
}
