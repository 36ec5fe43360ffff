//! Sensors: kinds, places, owners, periods, and what is wrong with a few of them. What they hang on
//! and which of them tell nothing is [`crate::fleet`]'s, readings are [`crate::stream`]'s.

use chrono::{Datelike, NaiveDate};

use crate::num::{real, round};
use crate::places::Places;
use crate::plan::Plan;
use crate::plane::Point;
use crate::rng::{Rng, Topic};

/// What is wrong with a sensor. The register does not know; the truth of a stream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Good,
    /// Drops readings, hours at a time.
    Silent,
    /// Its readings wander off.
    Drifting,
    /// Sticks, jumps, or shows its full scale, a few hours each.
    Faulty,
    /// Shows one value all day.
    Stuck,
    /// Jumps now and then, day after day.
    Spiking,
}

/// Whether a sensor tells anything at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Working,
    /// Told something once.
    Gone,
    /// Was set up and has never told anything.
    Unheard,
    Retired,
}

#[derive(Debug, Clone)]
pub struct Sensor {
    /// Of the facts' kinds.
    pub kind: usize,
    /// Within its kind, from 1.
    pub serial: u32,
    pub micro: usize,
    pub at: Point,
    pub health: Health,
    pub fate: Fate,
    /// Of the fleet's gateways.
    pub gateway: Option<usize>,
    /// How its level differs from the kind's, as a factor.
    pub level: f64,
    /// Days since 1970.
    pub installed_on: i32,
}

impl Sensor {
    pub fn id(&self, plan: &Plan) -> String {
        format!("{}{:07}", plan.facts.sensors.kind[self.kind].prefix, self.serial)
    }

    /// Of the plan's districts.
    pub fn district(&self, plan: &Plan) -> usize {
        plan.communities[plan.grids[plan.micros[self.micro].grid].community].district
    }
}

/// All sensors, kind by kind, spread as people are.
pub fn place_all(places: &Places<'_>) -> Vec<Sensor> {
    let plan = places.plan;
    let facts = &plan.facts.sensors;
    let mut sensors = Vec::new();
    for (kind_number, kind) in facts.kind.iter().enumerate() {
        let mut rng = Rng::of(plan.seed, Topic::Sensors, kind_number as u64);
        let total = round(real(plan.people) / kind.people_per_sensor).max(1);
        let start = rng.unit();
        let weight = |at: usize| real(plan.communities[at].people);
        let mut serial = 0;
        for (community, count) in places.spread(total, weight, start).into_iter().enumerate() {
            for _ in 0..count {
                serial += 1;
                let (micro, at) = places.somewhere(community, &mut rng);
                sensors.push(Sensor {
                    kind: kind_number,
                    serial,
                    micro,
                    at,
                    health: health(plan, &mut rng),
                    fate: Fate::Working,
                    gateway: None,
                    level: rng.log_normal(1.0, 0.12),
                    installed_on: installed(plan, &mut rng),
                });
            }
        }
    }
    sensors
}

fn health(plan: &Plan, rng: &mut Rng) -> Health {
    let facts = &plan.facts.sensors;
    let at = rng.unit();
    match at {
        _ if at < facts.silent_share => Health::Silent,
        _ if at < facts.silent_share + facts.drifting_share => Health::Drifting,
        _ if at < facts.silent_share + facts.drifting_share + facts.faulty_share => Health::Faulty,
        _ => Health::Good,
    }
}

fn installed(plan: &Plan, rng: &mut Rng) -> i32 {
    let facts = &plan.facts.sensors;
    let first = NaiveDate::from_ymd_opt(facts.installed_from_year, 1, 1).map_or(0, days);
    let span = usize::try_from(days(facts.installed_to) - first).unwrap_or(0);
    let after = i32::try_from(rng.below(span + 1)).expect("days of a few years");
    first + after
}

/// Days since 1970.
pub fn days(date: NaiveDate) -> i32 {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).map_or(0, |epoch| epoch.num_days_from_ce());
    date.num_days_from_ce() - epoch
}
