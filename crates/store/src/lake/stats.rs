//! Statistics of a data file: typed for pruning, and as the JSON that Delta keeps.
//!
//! Ranges may be wider than the data (long texts are cut) but never narrower.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, SecondsFormat};
use datafusion::common::ScalarValue;
use serde_json::{Map, Value, json};

use super::spec::Spec;

/// Least and greatest value of a column, nulls aside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnRange {
    pub min: ScalarValue,
    pub max: ScalarValue,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ColumnStats {
    pub range: Option<ColumnRange>,
    pub nulls: Option<u64>,
}

/// Statistics in the order of the stored schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FileStats {
    pub rows: u64,
    pub columns: Vec<ColumnStats>,
}

pub(crate) fn has_order(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Binary | DataType::Boolean)
}

/// The range over all row groups; `None` when a group does not tell.
pub(crate) fn span(mins: &ArrayRef, maxes: &ArrayRef) -> Option<ColumnRange> {
    let mut range: Option<ColumnRange> = None;
    for i in 0..mins.len() {
        let min = ScalarValue::try_from_array(mins, i).ok()?;
        let max = ScalarValue::try_from_array(maxes, i).ok()?;
        if min.is_null() || max.is_null() || is_nan(&min) || is_nan(&max) {
            return None;
        }
        range = Some(match range {
            None => ColumnRange { min, max },
            Some(known) => ColumnRange {
                min: if min < known.min { min } else { known.min },
                max: if max > known.max { max } else { known.max },
            },
        });
    }
    range
}

fn is_nan(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float32(Some(x)) => x.is_nan(),
        ScalarValue::Float64(Some(x)) => x.is_nan(),
        _ => false,
    }
}

/// Delta's per-file statistics. Of a file written before a column was added only the number of
/// rows is told: its statistics stand in the order of another schema.
pub(crate) fn to_json(spec: &Spec, stats: &FileStats) -> String {
    if stats.columns.len() != spec.stored.fields().len() {
        return json!({ "numRecords": stats.rows }).to_string();
    }
    let (mut mins, mut maxes, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (field, column) in spec.stored.fields().iter().zip(&stats.columns) {
        if let Some(range) = &column.range
            && let (Some(min), Some(max)) = (json_of(&range.min), json_of(&range.max))
        {
            mins.insert(field.name().clone(), min);
            maxes.insert(field.name().clone(), max);
        }
        if let Some(count) = column.nulls {
            nulls.insert(field.name().clone(), json!(count));
        }
    }
    json!({
        "numRecords": stats.rows,
        "minValues": mins,
        "maxValues": maxes,
        "nullCount": nulls,
    })
    .to_string()
}

/// Reads statistics back; what cannot be read is unknown, which only costs pruning.
pub(crate) fn from_json(spec: &Spec, text: Option<&str>) -> Option<FileStats> {
    let json: Value = serde_json::from_str(text?).ok()?;
    let rows = json.get("numRecords")?.as_u64()?;
    let columns = spec.stored.fields().iter().map(|field| {
        let value = |part: &str| {
            let value = json.get(part)?.get(field.name())?;
            scalar_of(value, field.data_type())
        };
        let range = match (value("minValues"), value("maxValues")) {
            (Some(min), Some(max)) => Some(widened(ColumnRange { min, max })),
            _ => None,
        };
        let nulls = json.get("nullCount").and_then(|n| n.get(field.name())?.as_u64());
        ColumnStats { range, nulls }
    });
    Some(FileStats { rows, columns: columns.collect() })
}

/// A decimal text may be read back some steps off: the reader rounds the digits, the power of ten
/// and their product by half a step each, and a step is up to twice as fine there. Ranges must not
/// become narrower.
const STEPS_OFF_MAX: usize = 4;

fn widened(range: ColumnRange) -> ColumnRange {
    let off = |from: f64, step: fn(f64) -> f64| (0..STEPS_OFF_MAX).fold(from, |at, _| step(at));
    match (range.min, range.max) {
        (ScalarValue::Float64(Some(min)), ScalarValue::Float64(Some(max))) => ColumnRange {
            min: ScalarValue::Float64(Some(off(min, f64::next_down))),
            max: ScalarValue::Float64(Some(off(max, f64::next_up))),
        },
        (min, max) => ColumnRange { min, max },
    }
}

fn json_of(value: &ScalarValue) -> Option<Value> {
    Some(match value {
        ScalarValue::Int8(Some(x)) => json!(x),
        ScalarValue::Int16(Some(x)) => json!(x),
        ScalarValue::Int32(Some(x)) => json!(x),
        ScalarValue::Int64(Some(x)) => json!(x),
        ScalarValue::Float32(Some(x)) if x.is_finite() => json!(x),
        ScalarValue::Float64(Some(x)) if x.is_finite() => json!(x),
        ScalarValue::Utf8(Some(x)) => json!(x),
        ScalarValue::Date32(Some(days)) => {
            let date = NaiveDate::from_epoch_days(*days)?;
            json!(date.format("%Y-%m-%d").to_string())
        }
        ScalarValue::TimestampMicrosecond(Some(at), _) => {
            let at = DateTime::from_timestamp_micros(*at)?;
            json!(at.to_rfc3339_opts(SecondsFormat::Micros, true))
        }
        _ => return None,
    })
}

fn scalar_of(value: &Value, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Int8 => ScalarValue::Int8(Some(i8::try_from(value.as_i64()?).ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(i16::try_from(value.as_i64()?).ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(i32::try_from(value.as_i64()?).ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(value.as_i64()?)),
        // Rounding to 32 bits could narrow the range; without statistics nothing is lost but time.
        DataType::Float32 => return None,
        DataType::Float64 => ScalarValue::Float64(Some(value.as_f64()?)),
        DataType::Utf8 => ScalarValue::Utf8(Some(value.as_str()?.to_owned())),
        DataType::Date32 => {
            let date = NaiveDate::parse_from_str(value.as_str()?, "%Y-%m-%d").ok()?;
            ScalarValue::Date32(Some(date.to_epoch_days()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let at = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
            ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), zone.clone())
        }
        _ => return None,
    })
}
