//! Rows that were not taken: kept with reason, file, line and text until a person corrects or
//! dismisses them. The quarantine is a dataset like any other, so it is searched in SQL, and its
//! rows are seen by those who answer for the dataset they were meant for.
//!
//! A row is known by its file's fingerprint and its place in it: importing the file again finds
//! the same rows here, whatever became of them since.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field as ArrowField, Schema};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use pack::Contract;
use serde::Serialize;

use crate::CityError;

pub use pack::platform::QUARANTINE;

/// States of a row.
pub const OPEN: &str = "open";
pub const REPAIRED: &str = "repaired";
pub const DISMISSED: &str = "dismissed";

/// A row on its way into the quarantine, or read back from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    pub id: String,
    pub dataset: String,
    /// The dataset's owner organisation: whose row this is.
    pub owner: String,
    pub file: String,
    pub line: i64,
    pub field: Option<String>,
    /// A code to count by: `type`, `required`, or a quality rule's id.
    pub reason: String,
    pub message: String,
    /// The record as the file has it; a JSON object of the contract's fields where the row was
    /// whole, broke a rule and has a longer text than is kept.
    pub raw: String,
    /// The file's column names as a JSON list; empty for an object of the contract's fields.
    pub columns: String,
    pub mapping: Option<String>,
    pub crs: String,
    pub state: String,
    pub remark: Option<String>,
    pub by: String,
    pub at: DateTime<Utc>,
}

/// The quarantine's contract: the platform's own, the same in every city.
pub fn contract(owner: &str) -> Contract {
    pack::platform::quarantine(owner)
}

/// Rows as the lake keeps them.
pub fn to_batch(rows: &[Rejected]) -> Result<RecordBatch, CityError> {
    let texts = |of: fn(&Rejected) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let options = |of: fn(&Rejected) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        texts(|row| &row.id),
        texts(|row| &row.dataset),
        texts(|row| &row.owner),
        texts(|row| &row.file),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.line))),
        options(|row| row.field.as_deref()),
        texts(|row| &row.reason),
        texts(|row| &row.message),
        texts(|row| &row.raw),
        texts(|row| &row.columns),
        options(|row| row.mapping.as_deref()),
        texts(|row| &row.crs),
        texts(|row| &row.state),
        options(|row| row.remark.as_deref()),
        texts(|row| &row.by),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(
                rows.iter().map(|row| row.at.timestamp_micros()),
            )
            .with_timezone("UTC"),
        ),
    ];
    Ok(RecordBatch::try_new(contract("").arrow_schema(), columns)?)
}

/// Rows as the lake gave them back.
pub fn from_batch(batch: &RecordBatch) -> Result<Vec<Rejected>, CityError> {
    use arrow::array::AsArray;
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .ok_or_else(|| CityError::Invalid(format!("the quarantine has no column {name}")))
    };
    let text = |name: &str, row: usize| -> Result<String, CityError> {
        Ok(column(name)?.as_string::<i32>().value(row).to_owned())
    };
    let option = |name: &str, row: usize| -> Result<Option<String>, CityError> {
        use arrow::array::Array;
        let values = column(name)?.as_string::<i32>();
        Ok(values.is_valid(row).then(|| values.value(row).to_owned()))
    };
    (0..batch.num_rows())
        .map(|row| {
            let micros =
                column("handled_at")?.as_primitive::<TimestampMicrosecondType>().value(row);
            Ok(Rejected {
                id: text("id", row)?,
                dataset: text("dataset", row)?,
                owner: text("owner", row)?,
                file: text("file", row)?,
                line: column("line")?.as_primitive::<Int64Type>().value(row),
                field: option("field", row)?,
                reason: text("reason", row)?,
                message: text("message", row)?,
                raw: text("raw", row)?,
                columns: text("columns", row)?,
                mapping: option("mapping", row)?,
                crs: text("crs", row)?,
                state: text("state", row)?,
                remark: option("remark", row)?,
                by: text("handled_by", row)?,
                at: DateTime::from_timestamp_micros(micros).unwrap_or_default(),
            })
        })
        .collect()
}

/// The rows' ids alone, for telling which are there already.
pub fn ids_batch(rows: &[Rejected]) -> Result<RecordBatch, CityError> {
    let schema = Schema::new(vec![ArrowField::new("id", DataType::Utf8, false)]);
    let ids = StringArray::from_iter_values(rows.iter().map(|row| &row.id));
    Ok(RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids)])?)
}

/// One row as a JSON object in the forms that import reads: geometry as GeoJSON.
pub fn row_json(row: &RecordBatch) -> Result<String, CityError> {
    let mut bytes = Vec::new();
    arrow::json::LineDelimitedWriter::new(&mut bytes).write(row)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_the_lake_form() {
        let row = Rejected {
            id: "f:7:0".into(),
            dataset: "air.pm25".into(),
            owner: "ecology_environment".into(),
            file: "a.csv".into(),
            line: 7,
            field: Some("pm25".into()),
            reason: "type".into(),
            message: "expected a number, found `x`".into(),
            raw: "草堂寺,x".into(),
            columns: r#"["site","pm25"]"#.into(),
            mapping: None,
            crs: "wgs84".into(),
            state: OPEN.into(),
            remark: None,
            by: "operator".into(),
            at: DateTime::from_timestamp_micros(1_700_000_000_000_001).unwrap(),
        };
        let batch = to_batch(std::slice::from_ref(&row)).unwrap();
        assert_eq!(from_batch(&batch).unwrap(), [row]);
    }
}
