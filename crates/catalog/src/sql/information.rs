//! `information_schema`, made anew for each statement from what its principal may see. A dataset
//! or field that is not in here is not anywhere else either.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::Result;

use super::CATALOG_NAME;

pub(super) const SCHEMA: &str = "information_schema";
pub(super) const TABLES: &[&str] = &["tables", "columns", "schemata", "views"];

/// A dataset as its principal sees it.
#[derive(Debug, Clone)]
pub struct Visible {
    /// `schema.table`.
    pub dataset: String,
    /// Visible fields as they are shown: a token mask makes text of a number.
    pub schema: SchemaRef,
}

pub(super) fn table(name: &str, visible: &[Visible]) -> Result<Option<Arc<dyn TableProvider>>> {
    let batch = match name {
        "tables" => tables(visible)?,
        "columns" => columns(visible)?,
        "schemata" => schemata(visible)?,
        "views" => text_batch(["table_catalog", "table_schema", "table_name", "definition"], &[])?,
        _ => return Ok(None),
    };
    Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
}

fn tables(visible: &[Visible]) -> Result<RecordBatch> {
    let mut rows: Vec<[String; 4]> =
        visible.iter().map(|one| row(&one.dataset, "BASE TABLE")).collect();
    rows.extend(TABLES.iter().map(|name| row(&format!("{SCHEMA}.{name}"), "VIEW")));
    text_batch(["table_catalog", "table_schema", "table_name", "table_type"], &rows)
}

fn row(dataset: &str, kind: &str) -> [String; 4] {
    let (schema, table) = split(dataset);
    [CATALOG_NAME.into(), schema.into(), table.into(), kind.into()]
}

fn split(dataset: &str) -> (&str, &str) {
    dataset.split_once('.').unwrap_or(("public", dataset))
}

fn schemata(visible: &[Visible]) -> Result<RecordBatch> {
    let mut names: Vec<&str> = visible.iter().map(|one| split(&one.dataset).0).collect();
    names.push(SCHEMA);
    names.sort_unstable();
    names.dedup();
    let rows: Vec<[String; 2]> =
        names.into_iter().map(|name| [CATALOG_NAME.into(), name.into()]).collect();
    text_batch(["catalog_name", "schema_name"], &rows)
}

fn columns(visible: &[Visible]) -> Result<RecordBatch> {
    let mut rows: Vec<[String; 6]> = Vec::new();
    let mut positions: Vec<i32> = Vec::new();
    for one in visible {
        let (schema, table) = split(&one.dataset);
        for (position, field) in (1..).zip(one.schema.fields()) {
            let nullable = if field.is_nullable() { "YES" } else { "NO" };
            rows.push([
                CATALOG_NAME.into(),
                schema.into(),
                table.into(),
                field.name().clone(),
                nullable.into(),
                sql_type(field.data_type()),
            ]);
            positions.push(position);
        }
    }
    let names =
        ["table_catalog", "table_schema", "table_name", "column_name", "is_nullable", "data_type"];
    let text = text_batch(names, &rows)?;
    let mut named: Vec<(&str, ArrayRef)> =
        names.into_iter().zip(text.columns().iter().cloned()).collect();
    named.insert(4, ("ordinal_position", Arc::new(Int32Array::from(positions))));
    Ok(RecordBatch::try_from_iter(named)?)
}

/// The type's name as PostgreSQL's clients know it.
fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int32 => "integer".into(),
        DataType::Int64 => "bigint".into(),
        DataType::Float64 => "double precision".into(),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".into(),
        DataType::Timestamp(_, None) => "timestamp without time zone".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea".into(),
        other => other.to_string(),
    }
}

fn text_batch<const N: usize>(names: [&str; N], rows: &[[String; N]]) -> Result<RecordBatch> {
    let columns = names.into_iter().enumerate().map(|(index, name)| {
        let values = rows.iter().map(|row| row[index].as_str());
        let array: ArrayRef = Arc::new(StringArray::from_iter_values(values));
        (name, array)
    });
    Ok(RecordBatch::try_from_iter(columns)?)
}
