//! A scenario's rows: from JSON to the contract's Arrow columns.
//!
//! Values are written as JSON writes them; dates and times as ISO 8601 text, geometries as
//! well-known text in WGS-84.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use geoarrow_array::GeoArrowArray;
use geoarrow_array::array::WktArray;
use geoarrow_array::cast::to_wkb;
use pack::{Contract, FieldType};
use serde_json::{Map, Value};

use super::Change;
use crate::quality::text_of;
use crate::sql::Access;

/// The key of a change that somebody with this access can make: known fields only, all of the
/// key, values that fit.
pub(super) fn check(
    contract: &Contract,
    access: &Access,
    change: &Change,
) -> Result<String, String> {
    let row = change.row();
    for name in row.keys() {
        // A field that its author cannot see is as unknown as one that is not there.
        if !access.fields.iter().any(|(visible, _)| visible == name) {
            return Err(format!("there is no field '{name}'"));
        }
    }
    if contract.key.is_empty() {
        return Err(format!("dataset {} has no key to change rows by", contract.id));
    }
    if let Some(name) = contract.key.iter().find(|name| row.get(*name).is_none_or(Value::is_null)) {
        return Err(format!("the key field '{name}' is missing"));
    }
    if let Change::Remove(row) = change
        && let Some(extra) = row.keys().find(|name| !contract.key.contains(name))
    {
        return Err(format!("'{extra}' is not of the key; a removal names the key alone"));
    }
    batch(contract, &[row]).and_then(|batch| key(contract, &batch)).map_err(|e| e.to_string())
}

/// The key's values in the contract's order, as JSON text of what they mean: `7`, `"7"` and `7.0`
/// name one row, and so do two ways to write one moment.
fn key(contract: &Contract, row: &RecordBatch) -> Result<String, ArrowError> {
    let names = contract.key.iter();
    let values = names.filter_map(|name| row.column_by_name(name)).map(|column| text_of(column, 0));
    let values = values.collect::<Result<Vec<Option<String>>, _>>()?;
    serde_json::to_string(&values).map_err(|error| ArrowError::JsonError(error.to_string()))
}

/// The contract's schema as an overlay keeps it: its authors may not see, and so leave out, any
/// field beside the key.
pub(super) fn schema(contract: &Contract) -> SchemaRef {
    let stored = contract.arrow_schema();
    let fields = stored.fields().iter().map(|field| {
        let key = contract.key.contains(field.name());
        field.as_ref().clone().with_nullable(!key)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Rows as columns; a field that a row leaves out is null.
pub(super) fn batch(
    contract: &Contract,
    rows: &[&Map<String, Value>],
) -> Result<RecordBatch, ArrowError> {
    let stored = contract.arrow_schema();
    let text = |name: &str| {
        let field = contract.field(name);
        field.is_some_and(|field| field.ty == FieldType::Geometry)
    };
    let written = stored.fields().iter().map(|field| {
        let data_type = if text(field.name()) { DataType::Utf8 } else { field.data_type().clone() };
        Field::new(field.name(), data_type, true)
    });
    let written = Arc::new(Schema::new(written.collect::<Vec<_>>()));
    let mut decoder = ReaderBuilder::new(Arc::clone(&written))
        .with_strict_mode(true)
        .with_batch_size(rows.len().max(1))
        .build_decoder()?;
    decoder.serialize(rows)?;
    let read = decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(written));
    let columns: Result<Vec<ArrayRef>, ArrowError> = read
        .columns()
        .iter()
        .zip(stored.fields())
        .map(
            |(column, field)| if text(field.name()) { wkb(column) } else { Ok(Arc::clone(column)) },
        )
        .collect();
    RecordBatch::try_new(schema(contract), columns?)
}

fn wkb(text: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let external = |error| ArrowError::ExternalError(Box::new(error));
    let texts = WktArray::new(text.as_string::<i32>().clone(), Default::default());
    let binary = to_wkb::<i32>(&texts).map_err(external)?;
    Ok(binary.into_array_ref())
}
