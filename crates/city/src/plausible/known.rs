//! Which rule a Datastream is judged by: found once, and again where one of the rows that it was
//! found from has changed.
//!
//! ```text
//!  datastream ─► unit, own bounds ──┐
//!  observed property ─► its name ───┼─► the first rule of the pack that fits, in this unit
//!  thing ─► its kind ───────────────┘
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use pack::{ClockBounds, Plausible, SensingPlan};
use serde_json::{Map, Value};

use super::rule::{Rule, Unit};
use crate::CityError;
use crate::observations::DATASTREAM;
use crate::source::Stores;

const THING: &str = "sensing.thing";
const PROPERTY: &str = "sensing.observed_property";
const MICROS: i64 = 1_000_000;
const SECONDS_PER_HOUR: f64 = 3_600.0;
/// What a Datastream may say of itself, in its `properties`.
const OVERRIDES: &str = "plausible";

/// The rules that were found.
#[derive(Debug, Default)]
pub(super) struct KnownRules {
    streams: Mutex<HashMap<i64, Known>>,
    /// Rules that many Datastreams are judged by: by their place in the pack and that of the unit.
    shared: Mutex<HashMap<(Option<usize>, usize), Arc<Rule>>>,
}

/// What a rule was found from.
#[derive(Debug, Clone)]
struct Known {
    /// The registers' versions, added up: while they stay the rows do, too.
    registers: u64,
    /// The rows' own.
    versions: [i64; 3],
    thing: i64,
    property: Option<i64>,
    rule: Option<Arc<Rule>>,
}

/// What decides which rule fits.
#[derive(Debug, Default)]
pub(super) struct About {
    pub property: String,
    pub definition: String,
    pub kind: String,
    pub unit: Value,
    pub overrides: Map<String, Value>,
}

impl Stores {
    /// The rules of some Datastreams, of those that have one.
    pub(super) async fn rules(
        &self,
        streams: &[i64],
    ) -> Result<HashMap<i64, Arc<Rule>>, CityError> {
        // Before the rows are read: what changes meanwhile is looked at again.
        let registers: u64 =
            [DATASTREAM, THING, PROPERTY].iter().map(|id| self.registers.version(id)).sum();
        let mut rules = HashMap::with_capacity(streams.len());
        let mut old = Vec::new();
        {
            let known = self.plausible.rules.streams.lock().expect("no one panics with the rules");
            for stream in streams {
                match known.get(stream) {
                    Some(known) if known.registers == registers => {
                        rules.extend(known.rule.clone().map(|rule| (*stream, rule)));
                    }
                    other => old.push((*stream, other.cloned())),
                }
            }
        }
        for (stream, before) in old {
            let known = match before {
                Some(before) if self.row_versions(stream, &before).await? == before.versions => {
                    Known { registers, ..before }
                }
                _ => match self.find_rule(stream, registers).await? {
                    Some(known) => known,
                    None => continue,
                },
            };
            rules.extend(known.rule.clone().map(|rule| (stream, rule)));
            let mut all =
                self.plausible.rules.streams.lock().expect("no one panics with the rules");
            all.insert(stream, known);
        }
        Ok(rules)
    }

    async fn row_versions(&self, stream: i64, known: &Known) -> Result<[i64; 3], CityError> {
        let property = known.property.unwrap_or_default();
        let mut versions = [0; 3];
        let rows = [(DATASTREAM, stream), (THING, known.thing), (PROPERTY, property)];
        for (version, (dataset, id)) in versions.iter_mut().zip(rows) {
            if let Some(contract) = self.pack.datasets.get(dataset) {
                let key = id.to_string();
                let found = self.registers.versions(contract, std::slice::from_ref(&key)).await?;
                *version = found.get(&key).copied().unwrap_or_default();
            }
        }
        Ok(versions)
    }

    async fn row_of(
        &self,
        dataset: &str,
        id: i64,
    ) -> Result<Option<(i64, RecordBatch)>, CityError> {
        match self.pack.datasets.get(dataset) {
            Some(contract) => Ok(self.registers.row(contract, &id.to_string()).await?),
            None => Ok(None),
        }
    }

    /// The rule of a Datastream; none where there is no such row.
    async fn find_rule(&self, stream: i64, registers: u64) -> Result<Option<Known>, CityError> {
        let Some((version, row)) = self.row_of(DATASTREAM, stream).await? else { return Ok(None) };
        let thing = integer(&row, "thing").unwrap_or_default();
        let property = integer(&row, "observed_property");
        let mut versions = [version, 0, 0];
        let mut about = About {
            unit: object_in(&row, "unit_of_measurement").map_or(Value::Null, Value::Object),
            ..About::default()
        };
        let own = object_in(&row, "properties").and_then(|mut own| own.remove(OVERRIDES));
        if let Some(Value::Object(overrides)) = own {
            about.overrides = overrides;
        }
        if let Some((version, row)) = self.row_of(THING, thing).await? {
            versions[1] = version;
            let own = object_in(&row, "properties");
            let kind = own.as_ref().and_then(|own| own.get("kind")?.as_str());
            about.kind = kind.unwrap_or_default().to_owned();
        }
        if let Some(property) = property
            && let Some((version, row)) = self.row_of(PROPERTY, property).await?
        {
            versions[2] = version;
            about.property = text(&row, "name").unwrap_or_default();
            about.definition = text(&row, "definition").unwrap_or_default();
        }
        let rule = self.plausible.rules.rule(&self.pack.sensing, &about);
        Ok(Some(Known { registers, versions, thing, property, rule }))
    }
}

impl KnownRules {
    fn rule(&self, plan: &SensingPlan, about: &About) -> Option<Arc<Rule>> {
        let (place, unit) = match fitting(plan, about) {
            Some((place, unit)) => (Some(place), unit),
            None => (None, 0),
        };
        let make = || resolved(place.map(|place| &plan.plausible[place]), unit, plan.clock);
        let rule = if about.overrides.is_empty() {
            let mut shared = self.shared.lock().expect("no one panics with the rules");
            Arc::clone(shared.entry((place, unit)).or_insert_with(|| Arc::new(make())))
        } else {
            let mut rule = make();
            own_bounds(&mut rule, &about.overrides);
            Arc::new(rule)
        };
        (*rule != Rule::default()).then_some(rule)
    }
}

/// The first rule that fits, and which of its units the Datastream has: 0 for its own, and those
/// of `also` from 1.
pub(super) fn fitting(plan: &SensingPlan, about: &About) -> Option<(usize, usize)> {
    let fits = |rule: &Plausible| {
        let property = rule.properties.iter().any(|name| {
            *name == about.definition || name.eq_ignore_ascii_case(about.property.trim())
        });
        let kind = rule.kinds.iter().any(|kind| *kind == about.kind);
        (rule.properties.is_empty() || property) && (rule.kinds.is_empty() || kind)
    };
    plan.plausible.iter().enumerate().find_map(|(place, rule)| {
        fits(rule).then(|| unit_of(rule, &about.unit)).flatten().map(|unit| (place, unit))
    })
}

fn unit_of(rule: &Plausible, unit: &Value) -> Option<usize> {
    let Some(own) = &rule.unit else { return Some(0) };
    let said: Vec<String> = ["symbol", "name", "definition"]
        .iter()
        .filter_map(|member| unit.get(member)?.as_str())
        .map(plain)
        .collect();
    let is_said = |code: &str, spellings: &[String]| {
        std::iter::once(code).chain(spellings.iter().map(String::as_str)).any(|spelling| {
            let spelling = plain(spelling);
            // A definition names a code behind its `#`.
            said.iter().any(|said| {
                *said == spelling || said.rsplit_once('#').is_some_and(|(_, code)| code == spelling)
            })
        })
    };
    if is_said(own, &rule.spellings) {
        return Some(0);
    }
    let other = rule.also.iter().position(|other| is_said(&other.unit, &other.spellings));
    other.map(|place| place + 1)
}

/// One spelling for signs that look alike.
fn plain(unit: &str) -> String {
    let sign = |sign: char| match sign {
        'µ' | 'μ' => 'u',
        '²' => '2',
        '³' => '3',
        other => other,
    };
    unit.trim().chars().map(sign).collect()
}

/// A rule of the pack for a Datastream in one of its units.
pub(super) fn resolved(rule: Option<&Plausible>, unit: usize, clock: ClockBounds) -> Rule {
    let us = |seconds: Option<u32>| seconds.map(|seconds| i64::from(seconds) * MICROS);
    let clock_of = rule.map(|rule| rule.clock).unwrap_or_default();
    let mut held = Rule {
        ahead_us: us(clock_of.ahead_s.or(clock.ahead_s)),
        late_us: us(clock_of.late_s.or(clock.late_s)),
        ..Rule::default()
    };
    let Some(rule) = rule else { return held };
    let also = rule.also.iter().map(|other| Unit { factor: other.factor, offset: other.offset });
    let mut units: Vec<Unit> = std::iter::once(Unit::OWN).chain(also).collect();
    held.unit = units.remove(unit.min(units.len() - 1));
    held.others = units;
    held.min = rule.min;
    held.max = rule.max;
    held.usual = rule.usual;
    held.rate_per_s = rule.rate_per_h.map(|rate| rate / SECONDS_PER_HOUR);
    held.stuck_readings = rule.stuck_readings;
    held.stuck_us = us(rule.stuck_s);
    held.spike = rule.spike;
    held
}

/// What a Datastream says of itself, in its own unit. What is no number is not heard.
pub(super) fn own_bounds(rule: &mut Rule, own: &Map<String, Value>) {
    let number = |name: &str| own.get(name).and_then(Value::as_f64);
    let positive = |name: &str| number(name).filter(|number| *number > 0.0);
    let seconds = |name: &str| {
        let whole = own.get(name).and_then(Value::as_u64);
        whole.and_then(|whole| u32::try_from(whole).ok()).map(|whole| i64::from(whole) * MICROS)
    };
    let readings = own.get("stuck_readings").and_then(Value::as_u64).filter(|many| *many > 1);
    let in_unit = |value: f64| rule.unit.factor * value + rule.unit.offset;
    let steep = rule.unit.factor.abs();
    let (min, max) = (number("min").map(in_unit), number("max").map(in_unit));
    let rate = positive("rate_per_h").map(|rate| rate * steep / SECONDS_PER_HOUR);
    let spike = positive("spike").map(|spike| spike * steep);
    rule.min = min.or(rule.min);
    rule.max = max.or(rule.max);
    rule.rate_per_s = rate.or(rule.rate_per_s);
    rule.spike = spike.or(rule.spike);
    rule.stuck_readings =
        readings.and_then(|many| u32::try_from(many).ok()).or(rule.stuck_readings);
    rule.stuck_us = seconds("stuck_s").or(rule.stuck_us);
    rule.ahead_us = seconds("ahead_s").or(rule.ahead_us);
    rule.late_us = seconds("late_s").or(rule.late_us);
}

fn integer(row: &RecordBatch, name: &str) -> Option<i64> {
    let column = row.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
    (!column.is_empty() && column.is_valid(0)).then(|| column.value(0))
}

fn text(row: &RecordBatch, name: &str) -> Option<String> {
    let column = row.column_by_name(name)?.as_string_opt::<i32>()?;
    (!column.is_empty() && column.is_valid(0)).then(|| column.value(0).to_owned())
}

fn object_in(row: &RecordBatch, name: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(&text(row, name)?).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}
