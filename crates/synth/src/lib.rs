//! A synthetic city at any scale, from the facts that its pack publishes.
//!
//! ```text
//!  pack ─► facts ─► plan (areas, people, households) ─┬─► a Parquet file for each dataset
//!                                                     └─► live readings of its sensors
//! ```
//!
//! The same pack, number of people and seed make the same city, byte by byte, on any number of
//! threads. Nothing here is about a real person, household or firm. Knows the pack and nothing
//! else of the house: what it writes goes in by `shujin import`, as a city's own files would.

mod apportion;
mod boundary;
mod census;
mod enterprise;
mod error;
mod facility;
mod facts;
mod fleet;
mod land;
mod mesh;
mod metro;
mod num;
mod order;
mod people;
mod places;
mod plan;
mod plane;
mod power;
mod rng;
mod sensor;
mod sheet;
mod stream;
mod street;
mod thing;

pub use error::{Result, SynthError};
pub use facts::Facts;
pub use plan::{PEOPLE_MAX, PEOPLE_MIN, Plan};
pub use sheet::{Kind, Sheet};
pub use stream::{Fault, HOURS_MAX, Incident, Reading, Stream, StreamOptions, Tellers};
pub use thing::NUMBERS_MAX;

use std::path::Path;

use pack::Pack;

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub people: usize,
    pub seed: u64,
    /// How many work at it; what comes out does not depend on it.
    pub threads: usize,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub what: &'static str,
    pub done: usize,
    pub total: usize,
}

/// The datasets that were written, with their rows, in the order of writing.
pub type Written = Vec<(String, usize)>;

/// Makes a city up and writes `DATASET.parquet` for each of its datasets into a folder.
pub fn generate(
    pack: &Pack,
    dir: &Path,
    options: Options,
    told: &dyn Fn(Progress),
) -> Result<Written> {
    std::fs::create_dir_all(dir).map_err(|error| sheet::failed(dir, &error))?;
    told(Progress { what: "areas", done: 0, total: 1 });
    let plan = Plan::new(pack, options.people, options.seed)?;
    let places = places::Places::new(&plan);
    let mut written = vec![boundary::boundaries(&plan, pack, dir)?];
    written.push(census::write_all(&plan, dir)?);
    told(Progress { what: "streets", done: 0, total: 1 });
    written.extend(street::write(&plan, &street::draw(&plan)?, dir)?);
    written.extend(metro::write_all(&plan, dir)?);
    written.push(facility::write_all(&places, dir)?);
    written.extend(thing::write_all(&plan, &fleet::Fleet::of(&places), dir)?);
    written.extend(land::write_all(&places, dir)?);
    let total = plan.people;
    let tell = |done| told(Progress { what: "people", done, total });
    written.extend(people::people(&plan, dir, options.threads, &tell)?);
    let total = plan.scaled(plan.facts.enterprises.total);
    let tell = |done| told(Progress { what: "enterprises", done, total });
    written.extend(enterprise::enterprises(&places, dir, options.threads, &tell)?);
    Ok(written)
}

/// What each file holds; a test holds them against the pack's contracts.
pub const SHEETS: [Sheet; 25] = [
    boundary::BOUNDARY,
    street::NODE,
    street::EDGE,
    metro::STATION,
    metro::LINE,
    facility::FACILITY,
    thing::PROCEDURE,
    thing::PROPERTY,
    thing::LOCATION,
    thing::THING,
    thing::THING_LOCATION,
    thing::HISTORY,
    thing::HISTORY_PLACE,
    thing::DATASTREAM,
    thing::FEATURE,
    land::VENUE,
    land::PARK,
    land::PARCEL,
    people::BUILDING,
    people::HOUSEHOLD,
    people::RESIDENT,
    people::BY_BUILDING,
    enterprise::ENTERPRISE,
    enterprise::PROFILE,
    census::CENSUS,
];
