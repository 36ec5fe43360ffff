//! Sensors as SensorThings has them: a Thing for each device and each gateway, where it is, a
//! Datastream of what it observes and, without mains, one of its battery.
//!
//! ```text
//!  kinds ─► sensing.sensor, sensing.observed_property
//!  fleet ─► sensing.location, .thing, .thing_location, .historical_location(_place), .datastream,
//!           .feature_of_interest
//! ```
//!
//! Rows are numbered from 1, devices before gateways: a device's number is that of its Thing, its
//! Location, its feature and its Datastream. A city that takes the files in gives these numbers to
//! nothing else.

mod sheets;

use std::path::Path;

use chrono::{DateTime, NaiveDate, TimeDelta};
use serde_json::json;

use crate::error::Result;
use crate::facts::SensorKind;
use crate::fleet::{Fleet, network};
use crate::num::signed;
use crate::plan::Plan;
use crate::plane::Point;
use crate::sensor::Fate;
use crate::sheet::{Rows, Sheet, Table, write};

pub use sheets::{
    DATASTREAM, FEATURE, HISTORY, HISTORY_PLACE, LOCATION, PROCEDURE, PROPERTY, THING,
    THING_LOCATION,
};

/// No row of any city has a greater number: there is a device for 41 people, with two Datastreams at
/// most, and a gateway for a few of them.
pub const NUMBERS_MAX: i64 = 2_000_000;

const ROWS_PER_BATCH: usize = 16 * 1024;
const GEOJSON: &str = "application/geo+json";
const MEASUREMENT: &str = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement";
const UCUM: &str = "http://unitsofmeasure.org/ucum.html";
/// Where a reader of made-up sensors is sent.
const METADATA: &str = "https://www.ogc.org/standard/sensorthings/";
const DAY_US: i64 = 86_400_000_000;
const DAYS_OF_A_YEAR: u32 = 365;
/// A device that is retired had at least a year.
const RETIRED_WITHIN_DAYS: u32 = 300;

/// The number of the Datastream that a device's battery is told in.
pub fn battery_stream(fleet: &Fleet, device: usize) -> i64 {
    signed(fleet.sensors.len() + device + 1)
}

/// How a kind's devices are shared.
pub fn sharing(kind: &SensorKind) -> &'static str {
    if kind.shared { "open" } else { "own" }
}

/// Columns of a Datastream that are empty here: what it observed is the platform's to know.
const UNSAID: usize = 6;

type Fill = fn(&Book<'_>, &Spot<'_>, &mut Rows);

pub fn write_all(plan: &Plan, fleet: &Fleet, dir: &Path) -> Result<Vec<(String, usize)>> {
    const FILLS: [(Sheet, Fill); 7] = [
        (LOCATION, location),
        (THING, thing),
        (THING_LOCATION, standing),
        (HISTORY, history),
        (HISTORY_PLACE, history_place),
        (DATASTREAM, datastreams),
        (FEATURE, feature),
    ];
    let book = Book { plan, fleet };
    let mut written = vec![procedures(plan, dir)?, properties(plan, dir)?];
    let things = fleet.sensors.len() + fleet.gateways.len();
    for (sheet, fill) in FILLS {
        let mut table = Table::create(dir, &sheet)?;
        for first in (0..things).step_by(ROWS_PER_BATCH) {
            let mut rows = Rows::new(&sheet);
            for at in first..things.min(first + ROWS_PER_BATCH) {
                fill(&book, &book.spot(at), &mut rows);
            }
            table.write(&rows.finish())?;
        }
        written.push((sheet.dataset.to_owned(), table.close()?));
    }
    Ok(written)
}

/// How each kind observes, and how batteries are told of, last.
fn procedures(plan: &Plan, dir: &Path) -> Result<(String, usize)> {
    let facts = &plan.facts.sensors;
    let mut rows = Rows::new(&PROCEDURE);
    for (id, kind) in (1..).zip(&facts.kind) {
        rows.integer(id).text(&kind.name.zh).text(&kind.name.en).text("text/html");
        rows.text(&json!(METADATA).to_string()).text(&kind.owner).text("open").nothing(1);
    }
    let (name, owner) = (&facts.battery.name, &facts.kind[0].owner);
    rows.count(facts.kind.len() + 1).text(&name.zh).text(&name.en).text("text/html");
    rows.text(&json!(METADATA).to_string()).text(owner).text("open").nothing(1);
    write(dir, &PROCEDURE, rows)
}

fn properties(plan: &Plan, dir: &Path) -> Result<(String, usize)> {
    let facts = &plan.facts.sensors;
    let own = |id: &str| format!("urn:shujin:observed-property:{id}");
    let mut rows = Rows::new(&PROPERTY);
    for (id, kind) in (1..).zip(&facts.kind) {
        let definition = kind.definition.clone().unwrap_or_else(|| own(&kind.id));
        rows.integer(id).text(&kind.observes.zh).text(&definition).text(&kind.observes.en);
        rows.text(&kind.owner).text("open").nothing(1);
    }
    let (name, owner) = (&facts.battery.name, &facts.kind[0].owner);
    rows.count(facts.kind.len() + 1).text(&name.zh).text(&own("battery")).text(&name.en);
    rows.text(owner).text("open").nothing(1);
    write(dir, &PROPERTY, rows)
}

/// What the rows are made of.
struct Book<'a> {
    plan: &'a Plan,
    fleet: &'a Fleet,
}

/// A device, or a gateway.
struct Spot<'a> {
    /// Among the devices; none of a gateway.
    device: Option<usize>,
    gateway: Option<usize>,
    number: i64,
    code: String,
    kind: &'a SensorKind,
    kind_number: usize,
    network: Option<String>,
    micro: usize,
    at: Point,
    installed_on: i32,
}

impl<'a> Book<'a> {
    fn spot(&self, at: usize) -> Spot<'a> {
        let Self { plan, fleet } = *self;
        let kinds = &plan.facts.sensors.kind;
        let number = signed(at + 1);
        if let Some(sensor) = fleet.sensors.get(at) {
            let network = sensor.gateway.map(|_| network(plan, sensor.kind, sensor.district(plan)));
            return Spot {
                device: Some(at),
                gateway: sensor.gateway,
                number,
                code: sensor.id(plan),
                kind: &kinds[sensor.kind],
                kind_number: sensor.kind,
                network,
                micro: sensor.micro,
                at: sensor.at,
                installed_on: sensor.installed_on,
            };
        }
        let gateway = &fleet.gateways[at - fleet.sensors.len()];
        Spot {
            device: None,
            gateway: None,
            number,
            code: gateway.id(plan),
            kind: &kinds[gateway.kind],
            kind_number: gateway.kind,
            network: Some(network(plan, gateway.kind, gateway.district)),
            micro: gateway.micro,
            at: gateway.at,
            installed_on: gateway.installed_on,
        }
    }

    fn geojson(&self, spot: &Spot<'_>) -> String {
        json!({ "type": "Point", "coordinates": self.plan.plane.degrees(spot.at) }).to_string()
    }

    /// What a device says of itself beside the standard.
    fn told(&self, spot: &Spot<'_>) -> String {
        let facts = &self.plan.facts.sensors;
        let mut told = json!({
            "device": spot.code,
            "kind": if spot.device.is_some() { spot.kind.id.as_str() } else { "gateway" },
            "owner": spot.kind.owner,
            "sharing": sharing(spot.kind),
            "area_code": self.plan.micros[spot.micro].code,
            "installed_on": date(spot.installed_on).to_string(),
        });
        let mut say = |member: &str, value: serde_json::Value| told[member] = value;
        if let Some(network) = &spot.network {
            say("network", json!(network));
        }
        if let Some(gateway) = spot.gateway {
            say("gateway", json!(self.fleet.sensors.len() + gateway + 1));
        }
        let Some(sensor) = spot.device.map(|device| &self.fleet.sensors[device]) else {
            return told.to_string();
        };
        let spread = |within: u32| i64::from(sensor.serial.wrapping_mul(2_654_435_761) % within);
        if sensor.fate == Fate::Retired {
            let worked = i64::from(DAYS_OF_A_YEAR) + spread(RETIRED_WITHIN_DAYS);
            say(
                "retired_on",
                json!((date(sensor.installed_on) + TimeDelta::days(worked)).to_string()),
            );
        } else {
            let due = facts.maintained_from + TimeDelta::days(spread(DAYS_OF_A_YEAR));
            say("maintenance_due", json!(due.to_string()));
        }
        told.to_string()
    }
}

fn date(since_1970: i32) -> NaiveDate {
    DateTime::UNIX_EPOCH.date_naive() + TimeDelta::days(i64::from(since_1970))
}

fn terms(spot: &Spot<'_>, rows: &mut Rows) {
    rows.text(&spot.kind.owner).text(sharing(spot.kind));
}

fn location(book: &Book<'_>, spot: &Spot<'_>, rows: &mut Rows) {
    rows.integer(spot.number).text(&spot.code).text(&book.plan.micros[spot.micro].name.zh);
    rows.text(GEOJSON).text(&book.geojson(spot));
    terms(spot, rows);
    rows.point(&book.plan.plane, spot.at).nothing(1);
}

fn thing(book: &Book<'_>, spot: &Spot<'_>, rows: &mut Rows) {
    let name = match spot.device {
        Some(_) => &spot.kind.name,
        None => &book.plan.facts.sensors.gateway_name,
    };
    rows.integer(spot.number).format(format_args!("{} {}", name.zh, spot.code)).text(&name.en);
    rows.text(&book.told(spot)).text(&book.plan.micros[spot.micro].code);
    rows.text_or(spot.network.as_deref());
    terms(spot, rows);
    rows.point(&book.plan.plane, spot.at);
}

fn standing(_: &Book<'_>, spot: &Spot<'_>, rows: &mut Rows) {
    rows.integer(spot.number).integer(spot.number);
    terms(spot, rows);
}

fn history(_: &Book<'_>, spot: &Spot<'_>, rows: &mut Rows) {
    rows.integer(spot.number).integer(spot.number);
    rows.timestamp(i64::from(spot.installed_on) * DAY_US);
    terms(spot, rows);
}

fn history_place(_: &Book<'_>, spot: &Spot<'_>, rows: &mut Rows) {
    rows.integer(spot.number).integer(spot.number);
    terms(spot, rows);
}

/// What a device observes, and its battery.
fn datastreams(book: &Book<'_>, spot: &Spot<'_>, rows: &mut Rows) {
    let Some(device) = spot.device else { return };
    let (facts, kind) = (&book.plan.facts.sensors, spot.kind);
    let mut plausible = json!({ "max": kind.range_max });
    if let Some(spike) = kind.spike {
        plausible["spike"] = json!(spike);
    }
    if let Some(readings) = kind.stuck_readings {
        plausible["stuck_readings"] = json!(readings);
    }
    let own = json!({ "period_s": kind.period_s, "plausible": plausible });
    let unit = json!({ "name": kind.unit_name, "symbol": kind.unit, "definition": UCUM });
    rows.integer(spot.number).format(format_args!("{} {}", kind.observes.zh, spot.code));
    rows.text(&kind.observes.en).text(MEASUREMENT).text(&unit.to_string());
    rows.boolean_or(Some(false)).text(&own.to_string()).integer(spot.number);
    rows.count(spot.kind_number + 1).count(spot.kind_number + 1);
    terms(spot, rows);
    rows.nothing(UNSAID);
    if !kind.battery {
        return;
    }
    let battery = &facts.battery;
    let own = json!({ "period_s": battery.period_s, "role": "battery" });
    let unit = json!({ "name": "percent", "symbol": "%", "definition": UCUM });
    rows.integer(battery_stream(book.fleet, device));
    rows.format(format_args!("{} {}", battery.name.zh, spot.code)).text(&battery.name.en);
    rows.text(MEASUREMENT).text(&unit.to_string());
    rows.boolean_or(Some(false)).text(&own.to_string()).integer(spot.number);
    rows.count(facts.kind.len() + 1).count(facts.kind.len() + 1);
    terms(spot, rows);
    rows.nothing(UNSAID);
}

/// The feature that observations are of: made from where the device stands, as for one that names
/// none.
fn feature(book: &Book<'_>, spot: &Spot<'_>, rows: &mut Rows) {
    if spot.device.is_none() {
        return;
    }
    rows.integer(spot.number).text(&spot.code).text(&book.plan.micros[spot.micro].name.zh);
    rows.text(GEOJSON).text(&book.geojson(spot)).integer(spot.number);
    terms(spot, rows);
    rows.point(&book.plan.plane, spot.at).nothing(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::days;

    #[test]
    fn dates_are_those_of_days() {
        let day = NaiveDate::from_ymd_opt(2023, 12, 31).unwrap();
        assert_eq!(date(days(day)), day);
    }
}
