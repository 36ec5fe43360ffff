//! Sorting rows by a table's sort columns, the way it pays for what cities send.
//!
//! Two columns of text and time are the common case: texts are ranked once each, times are mapped
//! to order-preserving integers, and the pair is compared as one 128-bit number. Anything else
//! takes Arrow's general way. Rows that are in order already are left alone.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{
    DataType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;

use super::error::{LakeError, Result};

/// Columns that fit into one packed key.
const PACKED_COLUMNS_MAX: usize = 2;

/// The rows sorted by `columns`, ascending, nulls first; equal rows keep their order.
pub(crate) fn sorted(batch: RecordBatch, columns: &[usize]) -> Result<RecordBatch> {
    if columns.is_empty() || batch.num_rows() < 2 {
        return Ok(batch);
    }
    let indices = match packed(&batch, columns) {
        Some(keys) => {
            if keys.is_sorted() {
                return Ok(batch);
            }
            let mut order: Vec<(u128, u32)> = keys.into_iter().zip(0..).collect();
            // The position makes every key distinct, so an unstable sort keeps equal rows in order.
            order.sort_unstable();
            UInt32Array::from_iter_values(order.into_iter().map(|(_, row)| row))
        }
        None => lexsorted(&batch, columns)?,
    };
    take_record_batch(&batch, &indices).map_err(LakeError::arrow("sort rows"))
}

fn lexsorted(batch: &RecordBatch, columns: &[usize]) -> Result<UInt32Array> {
    let options = Some(SortOptions { descending: false, nulls_first: true });
    let columns = columns.iter().map(|i| SortColumn { values: batch.column(*i).clone(), options });
    lexsort_to_indices(&columns.collect::<Vec<_>>(), None).map_err(LakeError::arrow("sort rows"))
}

/// One number per row that orders like the columns do; `None` if they do not fit.
fn packed(batch: &RecordBatch, columns: &[usize]) -> Option<Vec<u128>> {
    if columns.len() > PACKED_COLUMNS_MAX {
        return None;
    }
    let mut keys = vec![0_u128; batch.num_rows()];
    for column in columns {
        let ranks = ranks(batch.column(*column))?;
        for (key, rank) in keys.iter_mut().zip(ranks) {
            *key = *key << 64 | u128::from(rank);
        }
    }
    Some(keys)
}

/// Order-preserving integers for one column; null is 0.
fn ranks(array: &ArrayRef) -> Option<Vec<u64>> {
    let ranks = match array.data_type() {
        DataType::Int8 => integers(array.as_primitive::<Int8Type>().iter()),
        DataType::Int16 => integers(array.as_primitive::<Int16Type>().iter()),
        DataType::Int32 => integers(array.as_primitive::<Int32Type>().iter()),
        DataType::Date32 => integers(array.as_primitive::<Date32Type>().iter()),
        DataType::Int64 => return wide(array.as_primitive::<Int64Type>().values(), array),
        DataType::Timestamp(..) => {
            return wide(array.as_primitive::<TimestampMicrosecondType>().values(), array);
        }
        DataType::Utf8 => texts(array),
        _ => return None,
    };
    Some(ranks)
}

fn integers<T: Into<i64>>(values: impl Iterator<Item = Option<T>>) -> Vec<u64> {
    values.map(|value| value.map_or(0, |v| unsigned(v.into()) + 1)).collect()
}

/// Full-width integers leave no room for null below the least of them.
fn wide(values: &[i64], array: &ArrayRef) -> Option<Vec<u64>> {
    (array.null_count() == 0).then(|| values.iter().map(|v| unsigned(*v)).collect())
}

fn unsigned(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

fn texts(array: &ArrayRef) -> Vec<u64> {
    let array = array.as_string::<i32>();
    let mut seen: HashMap<&str, u64> = HashMap::new();
    for text in array.iter().flatten() {
        seen.entry(text).or_insert(0);
    }
    let mut distinct: Vec<&str> = seen.keys().copied().collect();
    distinct.sort_unstable();
    for (rank, text) in (1..).zip(distinct) {
        seen.insert(text, rank);
    }
    array.iter().map(|text| text.map_or(0, |t| seen[t])).collect()
}
