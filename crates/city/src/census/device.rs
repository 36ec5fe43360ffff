//! `sensing.device_state`: every Thing that has Datastreams, and whether it works.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use pack::Contract;

use super::batch;
use super::facts::{Chunk, StreamFacts, ThingFacts, cell};
use super::state::{self, Sensors, State};

/// What a Thing's Datastreams say together.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    streams: i64,
    count: u64,
    flagged: u64,
    newest_us: Option<i64>,
    first_us: Option<i64>,
    period_s: Option<f64>,
    reports: bool,
    silent_from_us: Option<i64>,
    expected: f64,
    came: f64,
    battery: Option<f64>,
}

impl Sum {
    fn add(&mut self, sensors: &Sensors, stream: i64, facts: &StreamFacts) {
        self.streams += 1;
        if let Some(period_s) = facts.period_s {
            self.period_s = Some(self.period_s.map_or(period_s, |least| least.min(period_s)));
        }
        let Some(known) = sensors.live.of(stream) else { return };
        self.count += known.count;
        self.flagged += known.flagged;
        self.newest_us = self.newest_us.max(Some(known.newest_us));
        self.first_us = Some(self.first_us.map_or(known.first_us, |us| us.min(known.first_us)));
        if facts.is_battery {
            self.battery = known.result.or(self.battery);
        }
        if let Some(period_s) = facts.period_s {
            let silent_from = state::silent_from_us(&known, period_s);
            self.silent_from_us = self.silent_from_us.max(Some(silent_from));
            self.reports |= sensors.now_us <= silent_from;
            let expected = state::expected(&sensors.live, stream, period_s, sensors.now_us);
            if let Some((expected, came)) = expected {
                self.expected += expected;
                self.came += came;
            }
        }
    }

    /// The state, and since when.
    fn state(&self, sensors: &Sensors, facts: &ThingFacts) -> (State, Option<i64>) {
        if let Some(day) = facts.retired_on.filter(|day| sensors.has_come(*day)) {
            return (State::Retired, Some(sensors.begins_us(day)));
        }
        match (self.count, self.period_s) {
            (0, _) => (State::Registered, None),
            (_, None) => (State::Connected, self.first_us),
            _ if self.reports => (State::Reporting, self.first_us),
            _ => (State::Silent, self.silent_from_us.or(self.newest_us)),
        }
    }
}

/// A share of a count, for people: a double is more than enough.
fn share(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share needs no 16th digit")]
    let share = |part: u64, whole: u64| part as f64 / whole as f64;
    (whole > 0).then(|| share(part, whole))
}

/// One device, with its row in its chunk.
struct Device<'a> {
    chunk: usize,
    row: usize,
    id: i64,
    facts: &'a ThingFacts,
    sum: Sum,
    state: State,
    since_us: Option<i64>,
}

pub(super) fn rows(
    contract: &Contract,
    sensors: &Sensors,
    things: &[Chunk<ThingFacts>],
    streams: &[Chunk<StreamFacts>],
) -> Result<RecordBatch, ArrowError> {
    let sums = sums(sensors, streams);
    let devices = devices(sensors, things, &sums);
    let texts = |name: &str| -> ArrayRef {
        let columns: Vec<Option<&StringArray>> = sensors
            .things
            .iter()
            .map(|batch| batch.column_by_name(name)?.as_string_opt::<i32>())
            .collect();
        let cells = devices.iter().map(|device| cell(columns[device.chunk], device.row));
        Arc::new(cells.collect::<StringArray>())
    };
    let places: Vec<Option<&BinaryArray>> = sensors
        .things
        .iter()
        .map(|batch| batch.column_by_name("geometry")?.as_binary_opt::<i32>())
        .collect();
    let place = |device: &Device<'_>| {
        let column = places[device.chunk].filter(|column| column.is_valid(device.row))?;
        Some(column.value(device.row))
    };
    let mut columns: HashMap<&'static str, ArrayRef> = HashMap::new();
    columns.insert("thing", integers(&devices, |device| Some(device.id)));
    for name in ["name", "owner", "sharing", "area_code", "network"] {
        columns.insert(name, texts(name));
    }
    let kinds = devices.iter().map(|device| device.facts.kind.as_deref());
    columns.insert("kind", Arc::new(kinds.collect::<StringArray>()));
    columns.insert("gateway", integers(&devices, |device| device.facts.gateway));
    let states = devices.iter().map(|device| Some(device.state.as_str()));
    columns.insert("state", Arc::new(states.collect::<StringArray>()));
    columns.insert("since", times(&devices, |device| device.since_us));
    columns.insert("datastreams", integers(&devices, |device| Some(device.sum.streams)));
    columns.insert("newest_at", times(&devices, |device| device.sum.newest_us));
    columns.insert("period_s", numbers(&devices, |device| device.sum.period_s));
    let uptime = |device: &Device<'_>| {
        let Sum { expected, came, .. } = device.sum;
        // Of one that is retired nothing is expected.
        (expected > 0.0 && device.state != State::Retired).then(|| came / expected)
    };
    columns.insert("uptime_share", numbers(&devices, uptime));
    let valid = |device: &Device<'_>| {
        let Sum { count, flagged, .. } = device.sum;
        share(count.saturating_sub(flagged), count)
    };
    columns.insert("valid_share", numbers(&devices, valid));
    columns.insert("battery_percent", numbers(&devices, |device| device.sum.battery));
    let due = devices.iter().map(|device| device.facts.maintenance_due);
    columns.insert("maintenance_due", Arc::new(due.collect::<Date32Array>()));
    columns.insert("geometry", Arc::new(devices.iter().map(place).collect::<BinaryArray>()));
    batch(contract, devices.len(), columns)
}

fn integers(devices: &[Device<'_>], of: impl Fn(&Device<'_>) -> Option<i64>) -> ArrayRef {
    Arc::new(devices.iter().map(of).collect::<Int64Array>())
}

fn numbers(devices: &[Device<'_>], of: impl Fn(&Device<'_>) -> Option<f64>) -> ArrayRef {
    Arc::new(devices.iter().map(of).collect::<Float64Array>())
}

fn times(devices: &[Device<'_>], of: impl Fn(&Device<'_>) -> Option<i64>) -> ArrayRef {
    let times = devices.iter().map(of).collect::<TimestampMicrosecondArray>();
    Arc::new(times.with_timezone("UTC"))
}

/// What Datastreams say, by Thing.
fn sums(sensors: &Sensors, facts: &[Chunk<StreamFacts>]) -> HashMap<i64, Sum> {
    let mut sums: HashMap<i64, Sum> = HashMap::new();
    for (batch, facts) in sensors.streams.iter().zip(facts) {
        let column = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let (Some(ids), Some(things)) = (column("id"), column("thing")) else { continue };
        for (row, facts) in facts.iter().enumerate() {
            sums.entry(things.value(row)).or_default().add(sensors, ids.value(row), facts);
        }
    }
    sums
}

fn devices<'a>(
    sensors: &Sensors,
    facts: &'a [Chunk<ThingFacts>],
    sums: &HashMap<i64, Sum>,
) -> Vec<Device<'a>> {
    let mut devices = Vec::with_capacity(sums.len());
    for (chunk, (batch, facts)) in sensors.things.iter().zip(facts).enumerate() {
        let ids = batch.column_by_name("id").and_then(|ids| ids.as_primitive_opt::<Int64Type>());
        let Some(ids) = ids else { continue };
        for (row, facts) in facts.iter().enumerate() {
            let id = ids.value(row);
            // A Thing without Datastreams is a place or a gateway, and no sensor.
            let Some(sum) = sums.get(&id).copied() else { continue };
            let (state, since_us) = sum.state(sensors, facts);
            devices.push(Device { chunk, row, id, facts, sum, state, since_us });
        }
    }
    devices
}
