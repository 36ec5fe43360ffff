//! Live readings of a city's sensors, with what is true behind them.
//!
//! A reading is a function of the sensor and the moment: base level, time of day and week, weather
//! that all share, noise of its own, what is wrong with the sensor, and incidents near it. So a
//! stream can begin anywhere and repeats exactly; what was planted is in [`Stream::incidents`].

mod incident;
mod signal;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use pack::Pack;

use crate::error::{Result, SynthError};
use crate::fleet::Fleet;
use crate::num::signed;
use crate::places::Places;
use crate::plan::Plan;
use crate::sensor::{Fate, Health};
pub use crate::stream::incident::Incident;
use crate::stream::signal::Signal;
use crate::thing::{battery_stream, sharing};

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
    /// As in the `properties` of its row of `sensing.thing`.
    pub device: String,
    /// The number of its row of `sensing.datastream`.
    pub datastream: i64,
    /// Of its row of `sensing.feature_of_interest`.
    pub feature: i64,
    /// Of the stream's kinds.
    pub kind: usize,
    pub observed_at: DateTime<Utc>,
    pub value: f64,
}

/// A sensor that does not work as it should, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub device: String,
    /// The number of its row of `sensing.datastream`.
    pub datastream: i64,
    pub kind: &'static str,
    /// The gateway that is gone with it.
    pub gateway: Option<String>,
}

/// Whose readings a stream is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tellers {
    /// All that tell anything these days.
    Working,
    /// Those that told something once, as they did then.
    Gone,
    /// One good device of each kind that has connections of its own: enough for a long series.
    Few,
}

/// Sensors that tell at the same moments.
#[derive(Debug)]
struct Lane {
    period_s: i64,
    of_batteries: bool,
    sensors: Vec<usize>,
}

/// Readings in order of time, then of sensor; batteries after what is observed.
#[derive(Debug)]
pub struct Stream {
    plan: Plan,
    fleet: Fleet,
    lanes: Vec<Lane>,
    pub incidents: Vec<Incident>,
    /// By sensor, which incidents reach it.
    reached: HashMap<usize, Vec<usize>>,
    signal: Signal,
    /// Seconds since 1970.
    now: i64,
    end: i64,
    step_s: i64,
    lane: usize,
    next: usize,
}

impl Stream {
    pub fn new(pack: &Pack, options: StreamOptions) -> Result<Self> {
        if !(0.0..=HOURS_MAX).contains(&options.hours) {
            let what = format!("readings of {} hours: at most {HOURS_MAX}", options.hours);
            return Err(SynthError::Drawing { what });
        }
        let plan = Plan::new(pack, options.people, options.seed)?;
        let fleet = Fleet::of(&Places::new(&plan));
        let seconds = crate::num::round_i64(options.hours * 3_600.0);
        let from = options.from.timestamp();
        let end = from + seconds;
        let incidents = incident::plant(&plan, &fleet.sensors, from, end);
        let mut reached: HashMap<usize, Vec<usize>> = HashMap::new();
        for (number, incident) in incidents.iter().enumerate() {
            for sensor in &incident.sensors {
                reached.entry(*sensor).or_default().push(number);
            }
        }
        let facts = &plan.facts.sensors;
        let periods = facts.kind.iter().map(|kind| kind.period_s).chain([facts.battery.period_s]);
        let step_s = i64::from(periods.fold(0, gcd).max(1));
        let stream = Self {
            lanes: Vec::new(),
            incidents,
            reached,
            signal: Signal::new(options.seed, pack.city.utc_offset_minutes),
            now: from.div_euclid(step_s) * step_s + if from % step_s == 0 { 0 } else { step_s },
            end,
            step_s,
            lane: 0,
            next: 0,
            plan,
            fleet,
        };
        Ok(stream.told_by(Tellers::Working))
    }

    /// The readings of others. To be said before the first is taken.
    #[must_use]
    pub fn told_by(mut self, tellers: Tellers) -> Self {
        let tells = |at: &usize| match (tellers, self.fleet.sensors[*at].fate) {
            (Tellers::Working | Tellers::Few, fate) => fate == Fate::Working,
            (Tellers::Gone, fate) => fate == Fate::Gone,
        };
        let kinds = self.plan.facts.sensors.kind.iter().enumerate();
        self.lanes = kinds
            .map(|(number, kind)| {
                let all = &self.fleet.sensors;
                let first = all.partition_point(|sensor| sensor.kind < number);
                let last = all.partition_point(|sensor| sensor.kind <= number);
                let mut sensors: Vec<usize> = (first..last).filter(tells).collect();
                if tellers == Tellers::Few {
                    sensors
                        .retain(|at| all[*at].health == Health::Good && all[*at].gateway.is_none());
                    sensors.truncate(1);
                }
                Lane { period_s: i64::from(kind.period_s), of_batteries: false, sensors }
            })
            .collect();
        self
    }

    /// With what devices without mains tell of their batteries.
    #[must_use]
    pub fn with_batteries(mut self) -> Self {
        let facts = &self.plan.facts.sensors;
        let tells = |at: &usize| facts.kind[self.fleet.sensors[*at].kind].battery;
        let all = self.lanes.iter().flat_map(|lane| &lane.sensors).copied();
        let sensors: Vec<usize> = all.filter(tells).collect();
        let period_s = i64::from(facts.battery.period_s);
        self.lanes.push(Lane { period_s, of_batteries: true, sensors });
        self
    }

    /// The Datastreams that its readings are of.
    pub fn datastreams(&self) -> BTreeSet<i64> {
        let of = |lane: &Lane, at: usize| match lane.of_batteries {
            true => battery_stream(&self.fleet, at),
            false => signed(at + 1),
        };
        let lanes = self.lanes.iter();
        lanes.flat_map(|lane| lane.sensors.iter().map(move |at| of(lane, *at))).collect()
    }

    /// Owner and sharing of each kind's readings.
    pub fn terms(&self) -> Vec<(String, &'static str)> {
        let kinds = self.plan.facts.sensors.kind.iter();
        kinds.map(|kind| (kind.owner.clone(), sharing(kind))).collect()
    }

    /// How many sensors there are.
    pub fn sensors(&self) -> usize {
        self.fleet.sensors.len()
    }

    /// The sensors that do not work as they should.
    pub fn faults(&self) -> impl Iterator<Item = Fault> + '_ {
        self.fleet.sensors.iter().zip(1..).filter_map(|(sensor, datastream)| {
            let kind = match (sensor.fate, sensor.health) {
                (Fate::Gone, _) => "gone",
                (Fate::Unheard, _) => "unheard",
                (Fate::Retired, _) => "retired",
                (Fate::Working, Health::Good) => return None,
                (Fate::Working, Health::Silent) => "silent",
                (Fate::Working, Health::Drifting) => "drifting",
                (Fate::Working, Health::Faulty) => "faulty",
                (Fate::Working, Health::Stuck) => "stuck",
                (Fate::Working, Health::Spiking) => "spiking",
            };
            let gateway = sensor.gateway.map(|gateway| &self.fleet.gateways[gateway]);
            let gateway = gateway.filter(|gateway| !gateway.works);
            let gateway = gateway.map(|gateway| gateway.id(&self.plan));
            Some(Fault { device: sensor.id(&self.plan), datastream, kind, gateway })
        })
    }

    /// What is true, an object a line: incidents with the devices that feel them, then faults.
    pub fn truth(&self) -> impl Iterator<Item = serde_json::Value> + '_ {
        let incidents = self.incidents.iter().map(|incident| {
            let kind = &self.plan.facts.sensors.incident[incident.kind];
            let [lon, lat] = self.plan.plane.degrees(incident.at);
            let devices: Vec<String> =
                incident.sensors.iter().map(|at| self.fleet.sensors[*at].id(&self.plan)).collect();
            serde_json::json!({
                "truth": "incident", "incident": kind.id, "zh": kind.name.zh, "en": kind.name.en,
                "sensor_kind": kind.kind, "from": moment(incident.begin), "to": moment(incident.end),
                "lon": lon, "lat": lat, "radius_m": kind.radius_m, "factor": kind.factor,
                "devices": devices,
            })
        });
        let faults = self.faults().map(|fault| {
            let mut told = serde_json::json!({
                "truth": "fault", "device": fault.device, "datastream": fault.datastream,
                "fault": fault.kind,
            });
            if let Some(gateway) = fault.gateway {
                told["gateway"] = gateway.into();
            }
            told
        });
        incidents.chain(faults)
    }

    /// The reading of a sensor at a moment, if it has one.
    fn reading(&self, number: usize) -> Option<Reading> {
        let sensor = &self.fleet.sensors[number];
        let kind = &self.plan.facts.sensors.kind[sensor.kind];
        let near = self.reached.get(&number).map_or(&[][..], Vec::as_slice);
        let lifted = near.iter().fold(1.0, |lifted, incident| {
            let incident = &self.incidents[*incident];
            let facts = &self.plan.facts.sensors.incident[incident.kind];
            lifted * incident.factor(facts, self.now, sensor.at)
        });
        let value = self.signal.value(kind, sensor, number, self.now, lifted)?;
        Some(self.told(number, signed(number + 1), value))
    }

    /// What a sensor tells of its battery.
    fn battery(&self, number: usize) -> Reading {
        let sensor = &self.fleet.sensors[number];
        let value = self.signal.battery(&self.plan.facts.sensors.battery, sensor, number, self.now);
        self.told(number, battery_stream(&self.fleet, number), value)
    }

    fn told(&self, number: usize, datastream: i64, value: f64) -> Reading {
        let sensor = &self.fleet.sensors[number];
        Reading {
            device: sensor.id(&self.plan),
            datastream,
            feature: signed(number + 1),
            kind: sensor.kind,
            observed_at: moment(self.now),
            value,
        }
    }
}

impl Iterator for Stream {
    type Item = Reading;

    fn next(&mut self) -> Option<Reading> {
        while self.now < self.end {
            while let Some(lane) = self.lanes.get(self.lane) {
                while self.now % lane.period_s == 0 && self.next < lane.sensors.len() {
                    let number = lane.sensors[self.next];
                    self.next += 1;
                    let reading = match lane.of_batteries {
                        true => Some(self.battery(number)),
                        false => self.reading(number),
                    };
                    if reading.is_some() {
                        return reading;
                    }
                }
                self.lane += 1;
                self.next = 0;
            }
            self.lane = 0;
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
