//! `sensing.datastream_state`: every Datastream with its newest reading and its state.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use pack::Contract;

use super::batch;
use super::facts::{Chunk, StreamFacts, ThingFacts, cell};
use super::state::{self, Sensors, State};
use crate::live::StreamState;

/// A Datastream, with the places of its row and its Thing's.
struct Stream<'a> {
    chunk: usize,
    row: usize,
    id: i64,
    thing: i64,
    /// Chunk and row of the Thing.
    of: Option<(usize, usize)>,
    facts: &'a StreamFacts,
    property: Option<&'a str>,
    known: Option<StreamState>,
    state: State,
}

pub(super) fn rows(
    contract: &Contract,
    sensors: &Sensors,
    things: &[Chunk<ThingFacts>],
    facts: &[Chunk<StreamFacts>],
) -> Result<RecordBatch, ArrowError> {
    let streams = streams(sensors, things, facts);
    let own = |name: &str| texts(&sensors.streams, name, &streams, |s| Some((s.chunk, s.row)));
    let thing_s = |name: &str| texts(&sensors.things, name, &streams, |stream| stream.of);
    let mut columns: HashMap<&'static str, ArrayRef> = HashMap::new();
    columns.insert("datastream", integers(&streams, |stream| Some(stream.id)));
    columns.insert("thing", integers(&streams, |stream| Some(stream.thing)));
    for name in ["name", "owner", "sharing"] {
        columns.insert(name, own(name));
    }
    for name in ["area_code", "network"] {
        columns.insert(name, thing_s(name));
    }
    let units = streams.iter().map(|stream| stream.facts.unit.as_deref());
    columns.insert("unit", Arc::new(units.collect::<StringArray>()));
    let properties = streams.iter().map(|stream| stream.property);
    columns.insert("observed_property", Arc::new(properties.collect::<StringArray>()));
    let kinds = streams.iter().map(|stream| {
        let (chunk, row) = stream.of?;
        things[chunk][row].kind.as_deref()
    });
    columns.insert("kind", Arc::new(kinds.collect::<StringArray>()));
    columns.insert("period_s", numbers(&streams, |stream| stream.facts.period_s));
    let states = streams.iter().map(|stream| Some(stream.state.as_str()));
    columns.insert("state", Arc::new(states.collect::<StringArray>()));
    columns.insert("newest_at", times(&streams, |stream| Some(stream.known?.newest_us)));
    columns.insert("result", numbers(&streams, |stream| stream.known?.result));
    columns.insert("flags", integers(&streams, |stream| Some(stream.known?.flags)));
    columns.insert("received_at", times(&streams, |stream| Some(stream.known?.received_us)));
    let counted = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let count = |stream: &Stream<'_>| Some(stream.known.map_or(0, |known| counted(known.count)));
    columns.insert("count", integers(&streams, count));
    let flagged =
        |stream: &Stream<'_>| Some(stream.known.map_or(0, |known| counted(known.flagged)));
    columns.insert("flagged", integers(&streams, flagged));
    batch(contract, streams.len(), columns)
}

fn streams<'a>(
    sensors: &'a Sensors,
    things: &[Chunk<ThingFacts>],
    facts: &'a [Chunk<StreamFacts>],
) -> Vec<Stream<'a>> {
    let places = by_id(&sensors.things, |chunk, row| (chunk, row));
    let names = names(&sensors.properties);
    let mut streams = Vec::new();
    for (chunk, (batch, facts)) in sensors.streams.iter().zip(facts).enumerate() {
        let column = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let (Some(ids), Some(of)) = (column("id"), column("thing")) else { continue };
        let properties = column("observed_property");
        for (row, facts) in facts.iter().enumerate() {
            let (id, thing) = (ids.value(row), of.value(row));
            let of = places.get(&thing).copied();
            let known = sensors.live.of(id);
            let retired = of.and_then(|(chunk, row)| things[chunk][row].retired_on);
            let state = match retired.is_some_and(|day| sensors.has_come(day)) {
                true => State::Retired,
                false => state::of_stream(known.as_ref(), facts.period_s, sensors.now_us),
            };
            let property = properties.filter(|column| column.is_valid(row));
            let property = property.and_then(|column| names.get(&column.value(row)).copied());
            streams.push(Stream { chunk, row, id, thing, of, facts, property, known, state });
        }
    }
    streams
}

/// What is told of each row by its number.
fn by_id<T>(batches: &[RecordBatch], of: impl Fn(usize, usize) -> T) -> HashMap<i64, T> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut by_id = HashMap::with_capacity(rows);
    for (chunk, batch) in batches.iter().enumerate() {
        let ids = batch.column_by_name("id").and_then(|ids| ids.as_primitive_opt::<Int64Type>());
        if let Some(ids) = ids {
            by_id.extend(ids.values().iter().enumerate().map(|(row, id)| (*id, of(chunk, row))));
        }
    }
    by_id
}

/// The names of observed properties.
fn names(batches: &[RecordBatch]) -> HashMap<i64, &str> {
    let columns: Vec<Option<&StringArray>> =
        batches.iter().map(|batch| batch.column_by_name("name")?.as_string_opt::<i32>()).collect();
    by_id(batches, |chunk, row| cell(columns[chunk], row).unwrap_or_default())
}

fn texts(
    batches: &[RecordBatch],
    name: &str,
    streams: &[Stream<'_>],
    place: impl Fn(&Stream<'_>) -> Option<(usize, usize)>,
) -> ArrayRef {
    let columns: Vec<Option<&StringArray>> =
        batches.iter().map(|batch| batch.column_by_name(name)?.as_string_opt::<i32>()).collect();
    let cells = streams.iter().map(|stream| {
        let (chunk, row) = place(stream)?;
        cell(columns[chunk], row)
    });
    Arc::new(cells.collect::<StringArray>())
}

fn integers(streams: &[Stream<'_>], of: impl Fn(&Stream<'_>) -> Option<i64>) -> ArrayRef {
    Arc::new(streams.iter().map(of).collect::<Int64Array>())
}

fn numbers(streams: &[Stream<'_>], of: impl Fn(&Stream<'_>) -> Option<f64>) -> ArrayRef {
    Arc::new(streams.iter().map(of).collect::<Float64Array>())
}

fn times(streams: &[Stream<'_>], of: impl Fn(&Stream<'_>) -> Option<i64>) -> ArrayRef {
    let times = streams.iter().map(of).collect::<TimestampMicrosecondArray>();
    Arc::new(times.with_timezone("UTC"))
}
