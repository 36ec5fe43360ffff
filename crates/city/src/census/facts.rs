//! What Things and Datastreams say of themselves in their JSON, read once for each chunk of their
//! register: a chunk that did not change is known by its column, which is the same one in memory.

use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use chrono::{Datelike, NaiveDate};
use serde_json::{Map, Value};

/// Days from 0001-01-01 to 1970-01-01, as chrono counts them.
const EPOCH_DAYS_FROM_CE: i32 = 719_163;
/// The role of a Datastream whose result is the battery's charge in per cent.
const BATTERY: &str = "battery";
/// A longer period than a year is none.
const PERIOD_S_MAX: f64 = 366.0 * 86_400.0;

/// What a Thing says of itself. Dates are days since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ThingFacts {
    pub kind: Option<Box<str>>,
    pub maintenance_due: Option<i32>,
    pub retired_on: Option<i32>,
    pub gateway: Option<i64>,
}

/// What a Datastream says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StreamFacts {
    pub period_s: Option<f64>,
    pub is_battery: bool,
    pub unit: Option<Box<str>>,
}

/// The facts of a chunk, in the order of its rows.
pub(super) type Chunk<T> = Arc<Vec<T>>;

/// What was read last.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    things: Arc<Mutex<Vec<Read<ThingFacts>>>>,
    streams: Arc<Mutex<Vec<Read<StreamFacts>>>>,
}

#[derive(Debug, Clone)]
struct Read<T> {
    /// Held, so that no other column comes to lie at its place.
    column: ArrayRef,
    rows: Arc<Vec<T>>,
}

impl Facts {
    pub fn things(&self, batches: &[RecordBatch]) -> Vec<Chunk<ThingFacts>> {
        read(&self.things, batches, |properties, _| thing_facts(properties))
    }

    pub fn streams(&self, batches: &[RecordBatch]) -> Vec<Chunk<StreamFacts>> {
        read(&self.streams, batches, stream_facts)
    }
}

/// Reads the chunks that are new. `of` is given a row's properties and unit.
fn read<T>(
    known: &Mutex<Vec<Read<T>>>,
    batches: &[RecordBatch],
    of: impl Fn(Option<&str>, Option<&str>) -> T,
) -> Vec<Chunk<T>> {
    let mut known = known.lock().expect("no one panics while holding what was read");
    let mut chunks = Vec::with_capacity(batches.len());
    for batch in batches {
        let Some(column) = batch.column_by_name("properties") else {
            let rows = (0..batch.num_rows()).map(|_| of(None, None)).collect();
            chunks.push(Read { column: Arc::clone(batch.column(0)), rows: Arc::new(rows) });
            continue;
        };
        if let Some(same) = known.iter().find(|read| Arc::ptr_eq(&read.column, column)) {
            chunks.push(Read { column: Arc::clone(column), rows: Arc::clone(&same.rows) });
            continue;
        }
        let properties = column.as_string_opt::<i32>();
        let units = batch.column_by_name("unit_of_measurement");
        let units = units.and_then(|units| units.as_string_opt::<i32>());
        let rows = (0..batch.num_rows()).map(|row| of(cell(properties, row), cell(units, row)));
        let rows = Arc::new(rows.collect());
        chunks.push(Read { column: Arc::clone(column), rows });
    }
    let rows = chunks.iter().map(|read| Arc::clone(&read.rows)).collect();
    *known = chunks;
    rows
}

pub(super) fn cell(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

fn object(json: Option<&str>) -> Map<String, Value> {
    match json.map(serde_json::from_str) {
        Some(Ok(Value::Object(object))) => object,
        _ => Map::new(),
    }
}

fn thing_facts(properties: Option<&str>) -> ThingFacts {
    let object = object(properties);
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let gateway = object.get("gateway").and_then(|gateway| match gateway {
        // Clients that know only text ids put them in quotes.
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    });
    ThingFacts {
        kind: text("kind").map(Into::into),
        maintenance_due: text("maintenance_due").and_then(day),
        retired_on: text("retired_on").and_then(day),
        gateway,
    }
}

/// What a Datastream says of itself by its properties and its unit, both JSON.
pub(crate) fn stream_facts(properties: Option<&str>, unit: Option<&str>) -> StreamFacts {
    let (properties, unit) = (object(properties), object(unit));
    let period_s = properties.get("period_s").and_then(Value::as_f64);
    let told = |name: &str| unit.get(name).and_then(Value::as_str);
    StreamFacts {
        period_s: period_s.filter(|period| *period > 0.0 && *period <= PERIOD_S_MAX),
        is_battery: properties.get("role").and_then(Value::as_str) == Some(BATTERY),
        unit: told("symbol").or_else(|| told("name")).map(Into::into),
    }
}

/// A date, or the date of a time, as days since 1970.
fn day(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()?;
    Some(date.num_days_from_ce() - EPOCH_DAYS_FROM_CE)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn chunk(rows: &[&str]) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("properties", DataType::Utf8, true)]);
        let column: StringArray = rows.iter().map(|row| Some(*row)).collect();
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(column)]).unwrap()
    }

    #[test]
    fn what_a_thing_says_is_read_and_what_is_odd_is_not() {
        let text = r#"{"kind": "water", "retired_on": "1970-01-11", "gateway": "7",
                       "maintenance_due": "soon", "more": [1]}"#;
        let facts = thing_facts(Some(text));
        assert_eq!(facts.kind.as_deref(), Some("water"));
        assert_eq!((facts.retired_on, facts.maintenance_due), (Some(10), None));
        assert_eq!(facts.gateway, Some(7));
        assert_eq!(thing_facts(Some("no JSON")), ThingFacts::default());
    }

    #[test]
    fn what_a_datastream_says_is_read_and_what_is_odd_is_not() {
        let unit = Some(r#"{"symbol": null, "name": "per cent"}"#);
        let facts = stream_facts(Some(r#"{"period_s": 0.5, "role": "battery"}"#), unit);
        assert_eq!((facts.period_s, facts.is_battery), (Some(0.5), true));
        assert_eq!(facts.unit.as_deref(), Some("per cent"));
        assert_eq!(stream_facts(Some(r#"{"period_s": -1}"#), None).period_s, None);
    }

    #[test]
    fn a_chunk_is_read_once() {
        let facts = Facts::default();
        let (one, other) = (chunk(&[r#"{"kind": "air"}"#]), chunk(&["{}"]));
        let first = facts.things(&[one.clone(), other.clone()]);
        let changed = chunk(&[r#"{"kind": "noise"}"#]);
        let second = facts.things(&[changed, one]);
        assert!(Arc::ptr_eq(&first[0], &second[1]), "known by its column");
        assert_eq!(second[0][0].kind.as_deref(), Some("noise"));
        drop(other);
    }
}
