//! What a sensor shows at a moment, as a function without memory.

use crate::facts::{BatteryFacts, SensorKind};
use crate::rng::{mix, unit};
use crate::sensor::{Health, Sensor};

const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;
/// Weather that all sensors of a kind share changes over so many hours.
const WEATHER_S: i64 = 6 * HOUR_S;
/// Sensors that drift are set right every so many days.
const CALIBRATED_DAYS: i64 = 30;
const LOST_SHARE: f64 = 0.004;
const GAP_SHARE: f64 = 0.003;
const SILENT_BLOCK_S: i64 = 3 * HOUR_S;
const SILENT_BLOCK_SHARE: f64 = 0.5;
const FAULT_BLOCK_S: i64 = 6 * HOUR_S;
const SPIKE_SHARE: f64 = 0.08;
const SPIKE: f64 = 5.0;
/// A battery is changed when it has so much left (%).
const BATTERY_LEFT_MIN: f64 = 4.0;

#[derive(Debug)]
pub struct Signal {
    seed: u64,
    offset_s: i64,
}

/// What a number is drawn for.
#[derive(Clone, Copy)]
enum What {
    Weather = 1,
    Slow,
    Fast,
    Lost,
    Gap,
    Silent,
    Fault,
    Spike,
    Direction,
    Battery,
}

impl Signal {
    pub fn new(seed: u64, utc_offset_minutes: i32) -> Self {
        Self { seed: mix(seed ^ 0x7374_7265_616d), offset_s: i64::from(utc_offset_minutes) * 60 }
    }

    /// Between 0 and 1, always the same for the same three.
    #[expect(clippy::cast_sign_loss, reason = "bits are mixed, not reckoned with")]
    fn chance(&self, what: What, thing: usize, moment: i64) -> f64 {
        let bits = self.seed ^ mix(((what as u64) << 56) ^ thing as u64);
        unit(mix(bits ^ mix(moment as u64)))
    }

    /// Between -1 and 1, changing smoothly over so many seconds.
    fn smooth(&self, what: What, thing: usize, moment: i64, over_s: i64) -> f64 {
        let step = moment.div_euclid(over_s);
        let share = crate::num::real(usize::try_from(moment.rem_euclid(over_s)).unwrap_or(0))
            / crate::num::real(usize::try_from(over_s).unwrap_or(1));
        let eased = share * share * (3.0 - 2.0 * share);
        let at = |step| 2.0 * self.chance(what, thing, step) - 1.0;
        at(step) + (at(step + 1) - at(step)) * eased
    }

    /// None where there is no reading. `lifted`: what incidents multiply it by.
    pub fn value(
        &self,
        kind: &SensorKind,
        sensor: &Sensor,
        number: usize,
        moment: i64,
        lifted: f64,
    ) -> Option<f64> {
        if self.missing(sensor, number, moment) {
            return None;
        }
        let shown = match sensor.health {
            Health::Faulty => self.faulty(kind, sensor, number, moment, lifted),
            Health::Drifting => {
                let day = moment.div_euclid(DAY_S) - i64::from(sensor.installed_on);
                let days = usize::try_from(day.rem_euclid(CALIBRATED_DAYS)).unwrap_or(0);
                let up = self.chance(What::Direction, number, 0) < 0.5;
                let drift = kind.drift_per_day * crate::num::real(days);
                let wrong = if up { 1.0 + drift } else { (1.0 - drift).max(0.0) };
                self.right(kind, sensor, number, moment) * lifted * wrong
            }
            Health::Stuck => self.right(kind, sensor, number, moment.div_euclid(DAY_S) * DAY_S),
            Health::Spiking => {
                self.right(kind, sensor, number, moment) * lifted * self.spike(number, moment)
            }
            Health::Good | Health::Silent => self.right(kind, sensor, number, moment) * lifted,
        };
        Some((shown.clamp(0.0, kind.range_max) * 100.0).round() / 100.0)
    }

    /// What a battery has left (%): it falls evenly from when it is changed to when it is again.
    pub fn battery(
        &self,
        facts: &BatteryFacts,
        sensor: &Sensor,
        number: usize,
        moment: i64,
    ) -> f64 {
        let lasts_s = facts.days * (0.8 + 0.4 * self.chance(What::Battery, number, 0));
        let lasts_s = crate::num::round_i64(lasts_s * 86_400.0).max(1);
        let used_s = (moment - i64::from(sensor.installed_on) * DAY_S).rem_euclid(lasts_s);
        let share = |seconds: i64| crate::num::real(usize::try_from(seconds).unwrap_or(0));
        let left = 100.0 - (100.0 - BATTERY_LEFT_MIN) * share(used_s) / share(lasts_s);
        (left * 10.0).round() / 10.0
    }

    fn spike(&self, number: usize, moment: i64) -> f64 {
        if self.chance(What::Spike, number, moment) < SPIKE_SHARE { SPIKE } else { 1.0 }
    }

    fn missing(&self, sensor: &Sensor, number: usize, moment: i64) -> bool {
        let silent = sensor.health == Health::Silent
            && self.chance(What::Silent, number, moment.div_euclid(SILENT_BLOCK_S))
                < SILENT_BLOCK_SHARE;
        silent
            || self.chance(What::Lost, number, moment) < LOST_SHARE
            || self.chance(What::Gap, number, moment.div_euclid(HOUR_S)) < GAP_SHARE
    }

    /// What a good sensor shows: level, rhythm, weather, noise.
    fn right(&self, kind: &SensorKind, sensor: &Sensor, number: usize, moment: i64) -> f64 {
        let local = moment + self.offset_s;
        let seconds = usize::try_from(local.rem_euclid(DAY_S)).unwrap_or(0);
        let hour = crate::num::real(seconds) / 3_600.0;
        let turn = std::f64::consts::TAU * (hour - kind.peak_hour) / 24.0;
        let daily = 1.0 + kind.daily * (0.8 * turn.cos() + 0.2 * (2.0 * turn).cos());
        // 1 January 1970 was a Thursday.
        let weekday = (local.div_euclid(DAY_S) + 3).rem_euclid(7);
        let weekly = if weekday >= 5 { 1.0 + kind.weekly } else { 1.0 };
        let weather = 1.0 + kind.noise * self.smooth(What::Weather, sensor.kind, moment, WEATHER_S);
        let slow = 1.0 + kind.noise * 0.6 * self.smooth(What::Slow, number, moment, 2 * HOUR_S);
        let fast = 1.0 + kind.noise * 0.5 * (2.0 * self.chance(What::Fast, number, moment) - 1.0);
        kind.base * sensor.level * daily * weekly * weather * slow * fast
    }

    /// Hours in which it sticks, jumps or shows its full scale, among hours in which it is right.
    fn faulty(
        &self,
        kind: &SensorKind,
        sensor: &Sensor,
        number: usize,
        moment: i64,
        lifted: f64,
    ) -> f64 {
        let block = moment.div_euclid(FAULT_BLOCK_S);
        let right = |at: i64| self.right(kind, sensor, number, at);
        match self.chance(What::Fault, number, block) {
            at if at < 0.3 => right(block * FAULT_BLOCK_S),
            at if at < 0.55 => right(moment) * lifted * self.spike(number, moment),
            at if at < 0.7 => kind.range_max,
            _ => right(moment) * lifted,
        }
    }
}
