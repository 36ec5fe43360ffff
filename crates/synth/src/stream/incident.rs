//! Incidents that are planted among the readings. Whether one begins in a stretch of time depends on
//! the stretch alone, so two streams that overlap tell of the same ones.

use crate::facts::IncidentKind;
use crate::num::round_i64;
use crate::plan::Plan;
use crate::plane::{Point, distance};
use crate::rng::{Rng, Topic};
use crate::sensor::Sensor;

const HOUR_S: f64 = 3_600.0;
/// Shares of an incident in which it rises and falls.
const RISE_SHARE: f64 = 0.1;
const FALL_SHARE: f64 = 0.25;
/// How much of it is felt at the edge.
const EDGE_SHARE: f64 = 0.3;

#[derive(Debug, Clone)]
pub struct Incident {
    /// Of the facts' incidents.
    pub kind: usize,
    pub at: Point,
    /// Seconds since 1970.
    pub begin: i64,
    pub end: i64,
    /// The sensors that it reaches.
    pub sensors: Vec<usize>,
}

/// All incidents that last into a stretch of time, in order of kind and time.
pub fn plant(plan: &Plan, sensors: &[Sensor], from: i64, to: i64) -> Vec<Incident> {
    let facts = &plan.facts.sensors;
    let mut incidents = Vec::new();
    for (number, kind) in facts.incident.iter().enumerate() {
        let Some(sensor_kind) = facts.kind.iter().position(|known| known.id == kind.kind) else {
            continue;
        };
        let first = sensors.partition_point(|sensor| sensor.kind < sensor_kind);
        let last = sensors.partition_point(|sensor| sensor.kind <= sensor_kind);
        if first == last {
            continue;
        }
        let every = round_i64(kind.every_hours * HOUR_S).max(1);
        let lasts = round_i64(kind.hours * HOUR_S).max(1);
        // One that began before the stretch may last into it.
        for slot in (from - lasts).div_euclid(every)..=to.div_euclid(every) {
            let thing = mixed(number, slot);
            let mut rng = Rng::of(plan.seed, Topic::Incidents, thing);
            let begin = slot * every + round_i64(rng.unit() * 0.999 * real(every));
            let end = begin + lasts;
            let at = sensors[first + rng.below(last - first)].at;
            if end <= from || begin >= to {
                continue;
            }
            let near = |at_number: &usize| distance(sensors[*at_number].at, at) <= kind.radius_m;
            let sensors = (first..last).filter(near).collect();
            incidents.push(Incident { kind: number, at, begin, end, sensors });
        }
    }
    incidents
}

#[expect(clippy::cast_sign_loss, reason = "bits are mixed, not reckoned with")]
fn mixed(kind: usize, slot: i64) -> u64 {
    ((kind as u64) << 48) ^ slot as u64
}

#[expect(clippy::cast_precision_loss, reason = "seconds stay below 2^53")]
fn real(seconds: i64) -> f64 {
    seconds as f64
}

impl Incident {
    /// What it multiplies a reading by.
    pub fn factor(&self, kind: &IncidentKind, moment: i64, at: Point) -> f64 {
        if !(self.begin..self.end).contains(&moment) {
            return 1.0;
        }
        let share = real(moment - self.begin) / real(self.end - self.begin);
        let height = (share / RISE_SHARE).min((1.0 - share) / FALL_SHARE).min(1.0);
        let away = (distance(self.at, at) / kind.radius_m).min(1.0);
        let felt = 1.0 - (1.0 - EDGE_SHARE) * away * away;
        1.0 + (kind.factor - 1.0) * height * felt
    }
}
