//! Rows on the wire: Arrow batches as PostgreSQL's text and binary values.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use arrow_pg::datatypes::{arrow_schema_to_pg_fields, encode_recordbatch};
use arrow_pg::encoder::encode_value;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use pgwire::api::portal::Format;
use pgwire::api::results::{CopyCsvOptions, CopyEncoder, CopyTextOptions, FieldInfo};
use pgwire::error::PgWireResult;
use pgwire::messages::data::DataRow;

use super::command::{CopyFormat, Titles};
use super::errors::plain;
use super::meta::names::type_len;
use crate::backend::Rows;
use crate::fault::Fault;

/// A value that does not fit its wire type is an error, never a null.
const WHOLE: CastOptions<'_> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

/// The columns of an answer as its client will get them.
#[derive(Debug, Clone)]
pub struct Shape {
    pub fields: Arc<Vec<FieldInfo>>,
    /// The Arrow types that are encoded, after [`wire_type`].
    schema: SchemaRef,
}

impl Shape {
    /// `zone` is the session's, in which times with a zone are shown.
    pub fn new(schema: &Schema, format: &Format, zone: &str) -> PgWireResult<Self> {
        Self::titled(schema, &None, format, zone)
    }

    /// As [`Shape::new`], with the columns' names where there is one for each.
    pub fn titled(
        schema: &Schema,
        titles: &Titles,
        format: &Format,
        zone: &str,
    ) -> PgWireResult<Self> {
        let titles = titles.as_ref().filter(|titles| titles.len() == schema.fields().len());
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let field = wire_field(field, zone);
                Arc::new(match titles {
                    Some(titles) => field.with_name(&titles[index]),
                    None => field,
                })
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        // A client may give one format for all columns, or one for each and no more.
        if let Format::Individual(codes) = format
            && codes.len() != schema.fields().len()
        {
            return Err(super::errors::state(
                "08P01",
                format!(
                    "bind message has {} result formats but query has {} columns",
                    codes.len(),
                    schema.fields().len()
                ),
            ));
        }
        let fields = arrow_schema_to_pg_fields(&schema, format, None)?
            .into_iter()
            .map(|field| {
                let len = type_len(field.datatype());
                field.with_type_size(len)
            })
            .collect();
        Ok(Self { fields: Arc::new(fields), schema })
    }

    fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch, Fault> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns
            .map(|(column, field)| match column.data_type() == field.data_type() {
                true => Ok(column.clone()),
                false => cast_with_options(column, field.data_type(), &WHOLE),
            })
            .collect::<Result<Vec<ArrayRef>, _>>()
            .map_err(Fault::internal)?;
        RecordBatch::try_new(self.schema.clone(), columns).map_err(Fault::internal)
    }

    /// Data rows as they come.
    pub fn rows(&self, rows: Rows) -> impl Stream<Item = PgWireResult<DataRow>> + Send + use<> {
        let shape = self.clone();
        rows.flat_map(move |batch| {
            let encoded: Box<dyn Iterator<Item = _> + Send> =
                match batch.and_then(|batch| shape.fit(&batch)) {
                    Ok(batch) => Box::new(rows_of(batch, shape.fields.clone()).into_iter()),
                    Err(fault) => Box::new(std::iter::once(Err(plain(fault)))),
                };
            stream::iter(encoded)
        })
    }

    /// Lines of `COPY … TO STDOUT`, one row each, the header first where it is asked for.
    pub fn copy(
        &self,
        rows: Rows,
        format: &CopyFormat,
    ) -> impl Stream<Item = PgWireResult<Bytes>> + Send + use<> {
        let shape = self.clone();
        let format = format.clone();
        let header = format.header.then(|| Ok(header_line(&shape.fields, &format)));
        let lines = rows.flat_map(move |batch| {
            let lines = batch
                .map_err(plain)
                .and_then(|batch| copy_lines(&shape, &batch, &format))
                .unwrap_or_else(|error| vec![Err(error)]);
            stream::iter(lines)
        });
        stream::iter(header).chain(lines)
    }
}

/// The encoder's iterator is not `Send`, so a batch's rows are made at once. Batches are small
/// (8,192 rows at most), and their rows are sent before the next batch is asked for.
fn rows_of(batch: RecordBatch, fields: Arc<Vec<FieldInfo>>) -> Vec<PgWireResult<DataRow>> {
    encode_recordbatch(fields, batch).collect()
}

fn copy_lines(
    shape: &Shape,
    batch: &RecordBatch,
    format: &CopyFormat,
) -> PgWireResult<Vec<PgWireResult<Bytes>>> {
    let batch = shape.fit(batch).map_err(plain)?;
    let delimiter = format.delimiter.to_string();
    let mut encoder = if format.csv {
        let options = CopyCsvOptions {
            delimiter: delimiter.as_str().into(),
            quote: format.quote.to_string().as_str().into(),
            null_string: format.null.as_str().into(),
            ..CopyCsvOptions::default()
        };
        CopyEncoder::new_csv(shape.fields.clone(), options)
    } else {
        let options = CopyTextOptions {
            delimiter: delimiter.as_str().into(),
            null_string: format.null.as_str().into(),
        };
        CopyEncoder::new_text(shape.fields.clone(), options)
    };
    let mut lines = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        for (index, column) in batch.columns().iter().enumerate() {
            let field = shape.schema.field(index);
            encode_value(&mut encoder, column, row, field, &shape.fields[index])?;
        }
        lines.push(Ok(encoder.take_copy().data));
    }
    Ok(lines)
}

fn header_line(fields: &[FieldInfo], format: &CopyFormat) -> Bytes {
    let names: Vec<_> = fields
        .iter()
        .map(|field| {
            let name = field.name();
            let quoted = format.csv && name.contains([format.delimiter, format.quote, '\n', '\r']);
            match quoted {
                true => {
                    let quote = format.quote.to_string();
                    format!("{quote}{}{quote}", name.replace(&quote, &quote.repeat(2)))
                }
                false => name.to_owned(),
            }
        })
        .collect();
    format!("{}\n", names.join(&format.delimiter.to_string())).into()
}

fn wire_field(field: &Field, zone: &str) -> Field {
    let data_type = wire_type(field.data_type(), zone);
    field.clone().with_data_type(data_type)
}

/// The type in which a column is sent: times in the session's zone and in microseconds, and what
/// PostgreSQL has no type for as its nearest kin.
fn wire_type(data_type: &DataType, zone: &str) -> DataType {
    match data_type {
        DataType::Timestamp(_, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()))
        }
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        // Counts and row numbers, which are `bigint` in PostgreSQL.
        DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, value) => wire_type(value, zone),
        DataType::Decimal256(..) | DataType::Map(..) | DataType::Union(..) => DataType::Utf8,
        other => other.clone(),
    }
}
