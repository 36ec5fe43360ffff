//! What the sensors of a city hang on, and which of them tell nothing: gateways that carry the
//! sensors of one kind in one district, one of which is gone with all that hangs on it; and sensors
//! that fell silent, that nobody ever heard, that are retired.
//!
//! What is planted here is in the truth of a stream, and where a register would know it, in the
//! sensors' properties ([`crate::thing`]).

use std::cmp::Reverse;

use crate::num::{real, round};
use crate::places::Places;
use crate::plan::Plan;
use crate::plane::Point;
use crate::rng::{Permutation, Rng, Topic};
use crate::sensor::{Fate, Health, Sensor, place_all};

/// A gateway that is gone carried as many sensors: fewer would be no network.
const CARRIED_MIN: usize = 5;
/// Sensors of a kind of which there are fewer are all needed.
const SPARED_KIND_MAX: usize = 10;
/// So many of each fate there are in any city.
const EACH_FATE_MIN: usize = 2;

/// What chance is asked for.
const GATEWAYS: u64 = 1;
const FATES: u64 = 2;

/// Carries the connection of sensors of one kind in one district.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub kind: usize,
    pub district: usize,
    /// Within its network, from 1.
    pub serial: u32,
    pub micro: usize,
    pub at: Point,
    /// Days since 1970.
    pub installed_on: i32,
    pub works: bool,
}

impl Gateway {
    pub fn id(&self, plan: &Plan) -> String {
        format!("GW-{}-{:02}", network(plan, self.kind, self.district), self.serial)
    }
}

/// The network of a kind's sensors in a district.
pub fn network(plan: &Plan, kind: usize, district: usize) -> String {
    let (prefix, code) = (&plan.facts.sensors.kind[kind].prefix, &plan.districts[district].code);
    format!("{prefix}-{}", pack::codes::area_prefix(code))
}

#[derive(Debug)]
pub struct Fleet {
    /// Kind by kind, then from district to district.
    pub sensors: Vec<Sensor>,
    pub gateways: Vec<Gateway>,
}

impl Fleet {
    pub fn of(places: &Places<'_>) -> Self {
        let plan = places.plan;
        let mut sensors = place_all(places);
        let mut gateways = connect(plan, &mut sensors);
        lose(plan, &mut sensors, &mut gateways);
        let counts = counts(plan, &sensors);
        settle(plan, &mut sensors, &counts);
        spoil(plan, &mut sensors, &counts);
        Self { sensors, gateways }
    }
}

fn counts(plan: &Plan, sensors: &[Sensor]) -> Vec<usize> {
    let mut counts = vec![0; plan.facts.sensors.kind.len()];
    for sensor in sensors {
        counts[sensor.kind] += 1;
    }
    counts
}

fn connect(plan: &Plan, sensors: &mut [Sensor]) -> Vec<Gateway> {
    let mut gateways: Vec<Gateway> = Vec::new();
    let mut carried = 0;
    for sensor in sensors {
        let Some(room) = plan.facts.sensors.kind[sensor.kind].per_gateway else { continue };
        let district = sensor.district(plan);
        let serial = match gateways.last() {
            Some(last) if (last.kind, last.district) == (sensor.kind, district) => {
                if carried < room { None } else { Some(last.serial + 1) }
            }
            _ => Some(1),
        };
        if let Some(serial) = serial {
            carried = 0;
            gateways.push(Gateway {
                kind: sensor.kind,
                district,
                serial,
                micro: sensor.micro,
                at: sensor.at,
                installed_on: sensor.installed_on,
                works: true,
            });
        }
        carried += 1;
        sensor.gateway = Some(gateways.len() - 1);
    }
    gateways
}

/// Some gateways are gone, at least one where one carries enough.
fn lose(plan: &Plan, sensors: &mut [Sensor], gateways: &mut [Gateway]) {
    let mut carried = vec![0; gateways.len()];
    for gateway in sensors.iter().filter_map(|sensor| sensor.gateway) {
        carried[gateway] += 1;
    }
    let large: Vec<usize> =
        (0..gateways.len()).filter(|gateway| carried[*gateway] >= CARRIED_MIN).collect();
    let count = round(real(gateways.len()) * plan.facts.sensors.gateways_gone_share).max(1);
    for gateway in some_of(plan.seed, GATEWAYS, &large, count) {
        gateways[gateway].works = false;
    }
    for sensor in sensors {
        if sensor.gateway.is_some_and(|gateway| !gateways[gateway].works) {
            sensor.fate = Fate::Gone;
        }
    }
}

/// Some sensors fall silent, are never heard, or are retired.
fn settle(plan: &Plan, sensors: &mut [Sensor], counts: &[usize]) {
    let facts = &plan.facts.sensors;
    let shares = [
        (Fate::Gone, facts.gone_share),
        (Fate::Unheard, facts.unheard_share),
        (Fate::Retired, facts.retired_share),
    ];
    let can = |sensor: &Sensor| is_sound(sensor) && counts[sensor.kind] > SPARED_KIND_MAX;
    let sound: Vec<usize> = (0..sensors.len()).filter(|at| can(&sensors[*at])).collect();
    let count = |share: f64| round(real(sensors.len()) * share).max(EACH_FATE_MIN);
    let fates: Vec<Fate> = shares
        .into_iter()
        .flat_map(|(fate, share)| std::iter::repeat_n(fate, count(share)))
        .collect();
    for (sensor, fate) in some_of(plan.seed, FATES, &sound, fates.len()).into_iter().zip(fates) {
        sensors[sensor].fate = fate;
    }
}

/// One sensor is stuck and one jumps, of the kind that tells most often: they can be watched.
fn spoil(plan: &Plan, sensors: &mut [Sensor], counts: &[usize]) {
    let kinds = plan.facts.sensors.kind.iter().enumerate();
    let busiest = kinds.min_by_key(|(number, kind)| (kind.period_s, Reverse(counts[*number])));
    let Some((busiest, _)) = busiest else { return };
    let sound = sensors.iter_mut().filter(|sensor| sensor.kind == busiest && is_sound(sensor));
    for (sensor, health) in sound.zip([Health::Stuck, Health::Spiking]) {
        sensor.health = health;
    }
}

fn is_sound(sensor: &Sensor) -> bool {
    sensor.fate == Fate::Working && sensor.health == Health::Good
}

fn some_of(seed: u64, what: u64, from: &[usize], count: usize) -> Vec<usize> {
    let mixed = Permutation::new(from.len() as u64, Rng::of(seed, Topic::Fates, what));
    let place = |at: usize| usize::try_from(mixed.at(at as u64)).expect("below a length");
    (0..count.min(from.len())).map(|at| from[place(at)]).collect()
}
