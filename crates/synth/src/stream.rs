//! Live readings of a city's sensors, with what is true behind them.
//!
//! A reading is a function of the sensor and the moment: base level, time of day and week, weather
//! that all share, noise of its own, what is wrong with the sensor, and incidents near it. So a
//! stream can begin anywhere and repeats exactly; what was planted is in [`Stream::incidents`].

mod incident;
mod signal;

use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use pack::Pack;

use crate::error::{Result, SynthError};
use crate::places::Places;
use crate::plan::Plan;
use crate::sensor::{Health, Sensor, place_all};
pub use crate::stream::incident::Incident;
use crate::stream::signal::Signal;

/// The longest stretch that is played at once.
pub const HOURS_MAX: f64 = 24.0 * 366.0;

#[derive(Debug, Clone, Copy)]
pub struct StreamOptions {
    pub people: usize,
    pub seed: u64,
    pub from: DateTime<Utc>,
    pub hours: f64,
}

/// One value of one sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// As in `sensing.device`.
    pub device: String,
    pub observed_at: DateTime<Utc>,
    pub value: f64,
}

/// A sensor that does not work as it should, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub device: String,
    pub kind: &'static str,
}

/// Readings in order of time, then of sensor.
#[derive(Debug)]
pub struct Stream {
    plan: Plan,
    sensors: Vec<Sensor>,
    /// Each kind's sensors.
    kinds: Vec<Range<usize>>,
    pub incidents: Vec<Incident>,
    /// By sensor, which incidents reach it.
    reached: HashMap<usize, Vec<usize>>,
    signal: Signal,
    /// Seconds since 1970.
    now: i64,
    end: i64,
    step_s: i64,
    kind: usize,
    next: usize,
}

impl Stream {
    pub fn new(pack: &Pack, options: StreamOptions) -> Result<Self> {
        if !(0.0..=HOURS_MAX).contains(&options.hours) {
            let what = format!("readings of {} hours: at most {HOURS_MAX}", options.hours);
            return Err(SynthError::Drawing { what });
        }
        let plan = Plan::new(pack, options.people, options.seed)?;
        let sensors = place_all(&Places::new(&plan));
        let step_s = plan.facts.sensors.kind.iter().map(|kind| kind.period_s).fold(0, gcd);
        let step_s = i64::from(step_s.max(1));
        let seconds = crate::num::round_i64(options.hours * 3_600.0);
        let from = options.from.timestamp();
        let end = from + seconds;
        let incidents = incident::plant(&plan, &sensors, from, end);
        let mut reached: HashMap<usize, Vec<usize>> = HashMap::new();
        for (number, incident) in incidents.iter().enumerate() {
            for sensor in &incident.sensors {
                reached.entry(*sensor).or_default().push(number);
            }
        }
        let kinds = (0..plan.facts.sensors.kind.len()).map(|kind| {
            let first = sensors.partition_point(|sensor| sensor.kind < kind);
            first..sensors.partition_point(|sensor| sensor.kind <= kind)
        });
        Ok(Self {
            kinds: kinds.collect(),
            incidents,
            reached,
            signal: Signal::new(options.seed, pack.city.utc_offset_minutes),
            now: from.div_euclid(step_s) * step_s + if from % step_s == 0 { 0 } else { step_s },
            end,
            step_s,
            kind: 0,
            next: 0,
            plan,
            sensors,
        })
    }

    /// How many sensors there are.
    pub fn sensors(&self) -> usize {
        self.sensors.len()
    }

    /// The sensors that do not work as they should.
    pub fn faults(&self) -> impl Iterator<Item = Fault> + '_ {
        self.sensors.iter().filter_map(|sensor| {
            let kind = match sensor.health {
                Health::Good => return None,
                Health::Silent => "silent",
                Health::Drifting => "drifting",
                Health::Faulty => "faulty",
            };
            Some(Fault { device: sensor.id(&self.plan), kind })
        })
    }

    /// What is true, an object a line: incidents with the devices that feel them, then faults.
    pub fn truth(&self) -> impl Iterator<Item = serde_json::Value> + '_ {
        let incidents = self.incidents.iter().map(|incident| {
            let kind = &self.plan.facts.sensors.incident[incident.kind];
            let [lon, lat] = self.plan.plane.degrees(incident.at);
            let devices: Vec<String> =
                incident.sensors.iter().map(|at| self.sensors[*at].id(&self.plan)).collect();
            serde_json::json!({
                "truth": "incident", "incident": kind.id, "zh": kind.name.zh, "en": kind.name.en,
                "sensor_kind": kind.kind, "from": moment(incident.begin), "to": moment(incident.end),
                "lon": lon, "lat": lat, "radius_m": kind.radius_m, "factor": kind.factor,
                "devices": devices,
            })
        });
        let faults = self.faults().map(|fault| {
            serde_json::json!({ "truth": "fault", "device": fault.device, "fault": fault.kind })
        });
        incidents.chain(faults)
    }

    /// The reading of a sensor at a moment, if it has one.
    fn reading(&self, number: usize) -> Option<Reading> {
        let sensor = &self.sensors[number];
        let kind = &self.plan.facts.sensors.kind[sensor.kind];
        let near = self.reached.get(&number).map_or(&[][..], Vec::as_slice);
        let lifted = near.iter().fold(1.0, |lifted, incident| {
            let incident = &self.incidents[*incident];
            let facts = &self.plan.facts.sensors.incident[incident.kind];
            lifted * incident.factor(facts, self.now, sensor.at)
        });
        let value = self.signal.value(kind, sensor, number, self.now, lifted)?;
        Some(Reading { device: sensor.id(&self.plan), observed_at: moment(self.now), value })
    }
}

impl Iterator for Stream {
    type Item = Reading;

    fn next(&mut self) -> Option<Reading> {
        while self.now < self.end {
            while self.kind < self.kinds.len() {
                let period = i64::from(self.plan.facts.sensors.kind[self.kind].period_s);
                let range = self.kinds[self.kind].clone();
                while self.now % period == 0 && self.next < range.len() {
                    self.next += 1;
                    if let Some(reading) = self.reading(range.start + self.next - 1) {
                        return Some(reading);
                    }
                }
                self.kind += 1;
                self.next = 0;
            }
            self.kind = 0;
            self.now += self.step_s;
        }
        None
    }
}

fn moment(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
