//! Typed rows as a batch of their dataset: columns by name, in the contract's order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use pack::Contract;

/// Whose rows are, and who may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub owner: String,
    /// `own` or `open`.
    pub sharing: String,
}

/// Columns of one dataset on their way to a batch.
pub(super) struct Columns<'r, R> {
    rows: &'r [R],
    arrays: HashMap<&'static str, ArrayRef>,
}

impl<'r, R> Columns<'r, R> {
    pub fn of(rows: &'r [R]) -> Self {
        Self { rows, arrays: HashMap::new() }
    }

    pub fn integer(self, name: &'static str, of: impl Fn(&R) -> i64) -> Self {
        self.integer_if(name, |row| Some(of(row)))
    }

    pub fn integer_if(self, name: &'static str, of: impl Fn(&R) -> Option<i64>) -> Self {
        let array: Int64Array = self.rows.iter().map(of).collect();
        self.with(name, Arc::new(array))
    }

    pub fn number_if(self, name: &'static str, of: impl Fn(&R) -> Option<f64>) -> Self {
        let array: Float64Array = self.rows.iter().map(of).collect();
        self.with(name, Arc::new(array))
    }

    pub fn flag(self, name: &'static str, of: impl Fn(&R) -> bool) -> Self {
        let array: BooleanArray = self.rows.iter().map(|row| Some(of(row))).collect();
        self.with(name, Arc::new(array))
    }

    pub fn text(self, name: &'static str, of: impl Fn(&R) -> &str) -> Self {
        self.text_if(name, |row| Some(of(row)))
    }

    pub fn text_if(self, name: &'static str, of: impl Fn(&R) -> Option<&str>) -> Self {
        let array: StringArray = self.rows.iter().map(of).collect();
        self.with(name, Arc::new(array))
    }

    pub fn instant(self, name: &'static str, of: impl Fn(&R) -> i64) -> Self {
        self.instant_if(name, |row| Some(of(row)))
    }

    /// µs since 1970, UTC.
    pub fn instant_if(self, name: &'static str, of: impl Fn(&R) -> Option<i64>) -> Self {
        let array: TimestampMicrosecondArray = self.rows.iter().map(of).collect();
        self.with(name, Arc::new(array.with_timezone("UTC")))
    }

    /// Well-known binary.
    pub fn place_if(self, name: &'static str, of: impl Fn(&R) -> Option<Vec<u8>>) -> Self {
        let places: Vec<Option<Vec<u8>>> = self.rows.iter().map(of).collect();
        let array: BinaryArray = places.iter().map(Option::as_deref).collect();
        self.with(name, Arc::new(array))
    }

    pub fn terms<'t>(self, of: impl Fn(&'r R) -> &'t Terms) -> Self {
        let owners: StringArray =
            self.rows.iter().map(|row| Some(of(row).owner.as_str())).collect();
        let sharing: StringArray =
            self.rows.iter().map(|row| Some(of(row).sharing.as_str())).collect();
        self.with("owner", Arc::new(owners)).with("sharing", Arc::new(sharing))
    }

    fn with(mut self, name: &'static str, array: ArrayRef) -> Self {
        self.arrays.insert(name, array);
        self
    }

    /// Columns that nobody gave are empty.
    pub fn batch(mut self, contract: &Contract) -> Result<RecordBatch, ArrowError> {
        let schema = contract.arrow_schema();
        let rows = self.rows.len();
        let columns = schema.fields().iter().map(|field| {
            let given = self.arrays.remove(field.name().as_str());
            given.unwrap_or_else(|| new_null_array(field.data_type(), rows))
        });
        let columns: Vec<ArrayRef> = columns.collect();
        RecordBatch::try_new(schema, columns)
    }
}
