//! Typed columns of a file to the contract's types, whole arrays at a time.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use pack::FieldType;

use crate::chunk::Reason;
use crate::columns::{Column, Refusal, Row, required};
use crate::geometry;
use crate::plan::{FieldPlan, Plan};

const MICROS_PER_MINUTE: i64 = 60_000_000;

/// Whether a column of this type is converted here; any other goes by way of text.
pub fn converts(field: FieldType, column: &DataType) -> bool {
    match field {
        FieldType::Integer => column.is_integer(),
        FieldType::Number => column.is_numeric() && !matches!(column, DataType::Decimal256(..)),
        FieldType::Boolean => *column == DataType::Boolean,
        FieldType::Date => *column == DataType::Date32,
        FieldType::Timestamp => matches!(column, DataType::Timestamp(..)),
        FieldType::Geometry => {
            matches!(column, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
        }
        FieldType::Money | FieldType::Text | FieldType::AreaCode | FieldType::OrganisationId => {
            false
        }
    }
}

/// The rows of a column as the field's type; `None` if [`converts`] says no.
pub fn column(plan: &Plan, field: &FieldPlan, array: &ArrayRef, rows: &[Row]) -> Option<Column> {
    if !converts(field.ty, array.data_type()) {
        return None;
    }
    let records: UInt32Array = rows.iter().map(|row| row.record).collect::<Vec<_>>().into();
    let before = take(array, &records, None).expect("rows are of this batch");
    let mut refused = Vec::new();
    let array = match field.ty {
        FieldType::Geometry => geometries(plan, &before, &mut refused),
        _ => {
            let array = convert(plan, field, &before);
            refuse_lost(&before, &array, field, &mut refused);
            array
        }
    };
    if field.required {
        let gaps = (0..before.len()).filter(|row| before.is_null(*row));
        refused.extend(gaps.map(|row| (row, required())));
        refused.sort_by_key(|(row, _)| *row);
    }
    Some(Column { array, refused })
}

fn convert(plan: &Plan, field: &FieldPlan, before: &ArrayRef) -> ArrayRef {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let to = |target: &DataType| {
        cast_with_options(before, target, &options).expect("`converts` allows only casts that are")
    };
    match (field.ty, before.data_type()) {
        (FieldType::Number, _) => {
            let numbers = to(&DataType::Float64);
            let numbers = numbers.as_primitive::<Float64Type>();
            Arc::new(
                numbers.unary_opt::<_, Float64Type>(|value| value.is_finite().then_some(value)),
            )
        }
        (FieldType::Timestamp, DataType::Timestamp(_, zone)) => {
            // Without a zone it is the clock's time in the city, as a text without one would be.
            let offset = if zone.is_some() { 0 } else { i64::from(plan.utc_offset_minutes) };
            let micros = to(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone()));
            let micros = micros.as_primitive::<TimestampMicrosecondType>();
            let utc: TimestampMicrosecondArray =
                micros.unary_opt(|value| value.checked_sub(offset * MICROS_PER_MINUTE));
            Arc::new(utc.with_timezone("UTC"))
        }
        _ => to(&field.ty.arrow()),
    }
}

/// A value that the conversion made null did not fit. NaN is how numeric programs write that there
/// is none, so it is a null and no fault.
fn refuse_lost(
    before: &ArrayRef,
    after: &ArrayRef,
    field: &FieldPlan,
    refused: &mut Vec<(usize, Refusal)>,
) {
    if before.null_count() == after.null_count() {
        return;
    }
    for row in (0..before.len()).filter(|row| before.is_valid(*row) && after.is_null(*row)) {
        if is_nan(before, row) {
            if field.required {
                refused.push((row, required()));
            }
            continue;
        }
        let found = arrow::util::display::array_value_to_string(before, row).unwrap_or_default();
        let message = format!("expected a finite value in range, found `{found}`");
        refused.push((row, Refusal { reason: Reason::Type, message }));
    }
}

fn is_nan(array: &ArrayRef, row: usize) -> bool {
    match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).is_nan(),
        DataType::Float32 => {
            array.as_primitive::<arrow::datatypes::Float32Type>().value(row).is_nan()
        }
        _ => false,
    }
}

fn geometries(plan: &Plan, before: &ArrayRef, refused: &mut Vec<(usize, Refusal)>) -> ArrayRef {
    let wkb = cast_with_options(before, &DataType::Binary, &CastOptions::default())
        .expect("binary columns cast to each other");
    let mut out = BinaryBuilder::with_capacity(wkb.len(), wkb.get_buffer_memory_size());
    for (row, wkb) in wkb.as_binary::<i32>().iter().enumerate() {
        match wkb.map(|wkb| geometry::from_wkb(wkb, plan.crs)) {
            Some(Ok(wkb)) => out.append_value(wkb),
            Some(Err(problem)) => {
                refused.push((row, Refusal { reason: Reason::Geometry, message: problem }));
                out.append_null();
            }
            None => out.append_null(),
        }
    }
    Arc::new(out.finish())
}
