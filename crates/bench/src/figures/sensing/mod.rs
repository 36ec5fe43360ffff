//! Sensing: observations in over HTTP and MQTT, out by question, and what they cost in memory and
//! on the disk.
//!
//! ```text
//!  a city with Datastreams ─► serve ─┬─ create, post, mqtt: how many, acknowledged after fsync
//!                                    └─ visible: when a reading is seen, with others coming in
//!  10^8 observations ─► compaction ─┬─ disk: bytes of each
//!                                   └─► serve ─ ask: the newest, how many, a district's, a year's
//!  10^6 Datastreams ─► serve ─ memory: idle, and with observations coming in
//! ```

mod ask;
mod create;
mod frost;
mod memory;
mod messages;
mod mosquitto;
mod post;
mod soak;
mod visible;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::fresh;
use crate::report::{Line, Report, Verdict};
use crate::served::Served;
use crate::work::sense::USER;
use crate::{Settings, side};

/// Datastreams of the city that producers send to.
const STREAMS: u64 = 10_000;

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Parts of the figure `sensing`, by comma; all but the soak where none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    parts: Vec<Part>,
    /// Observations that are asked about.
    #[arg(long, default_value_t = 10_000_000)]
    observations: u64,
    /// Datastreams that they are of; by default one for each hundred of them.
    #[arg(long)]
    datastreams: Option<u64>,
    /// How long the soak lasts, minutes.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// CreateObservations, beside PostgreSQL with FROST's schema.
    Create,
    /// Observations one by one.
    Post,
    /// QoS 1 from 1,000 clients, beside mosquitto.
    Mqtt,
    /// From publishing to being seen.
    Visible,
    /// Questions about many observations, beside PostgreSQL with FROST's schema.
    Ask,
    /// Resident set at 10^6 Datastreams.
    Memory,
    /// Bytes of an observation after compaction.
    Disk,
    /// Half load for long.
    Soak,
}

const USUAL: [Part; 7] =
    [Part::Create, Part::Post, Part::Mqtt, Part::Visible, Part::Ask, Part::Memory, Part::Disk];

/// What a part found.
#[derive(Debug, Default)]
struct Found {
    lines: Vec<Line>,
    verdicts: Vec<Verdict>,
    notes: Vec<String>,
}

impl Found {
    /// Tells of each verdict at once: the whole takes long.
    fn told(self, name: &str) -> Self {
        for verdict in &self.verdicts {
            let bar = verdict.bar.as_deref().unwrap_or("reported");
            let reached = match verdict.reached {
                Some(true) => ", reached",
                Some(false) => ", missed",
                None => "",
            };
            eprintln!("sensing {name}: {}: {:.3} ({bar}{reached})", verdict.what, verdict.value);
        }
        self
    }
}

/// Folders that parts share, made when the first one asks.
struct Cities<'s> {
    settings: &'s Settings,
    load: Option<PathBuf>,
    asked: Option<(PathBuf, side::Sample)>,
}

impl Cities<'_> {
    /// A city with Datastreams, served.
    fn load(&mut self) -> anyhow::Result<Served> {
        let dir = match &self.load {
            Some(dir) => dir.clone(),
            None => {
                let (dir, _) = make(self.settings, "sensing-load", STREAMS, 0)?;
                self.load.insert(dir).clone()
            }
        };
        Served::start_sensing(&dir, USER)
    }

    /// A city with a year of observations, and what making it told.
    fn asked(&mut self) -> anyhow::Result<&(PathBuf, side::Sample)> {
        if self.asked.is_none() {
            let observations = self.settings.sensing.observations;
            let streams = datastreams(self.settings);
            let made = make(self.settings, "sensing-asked", streams, observations)?;
            self.asked = Some(made);
        }
        Ok(self.asked.as_ref().expect("it was just made"))
    }
}

/// Datastreams of the observations that are asked about.
fn datastreams(settings: &Settings) -> u64 {
    settings.sensing.datastreams.unwrap_or(settings.sensing.observations / 100).max(100)
}

/// Has a city made by a process of its own.
fn make(
    settings: &Settings,
    name: &str,
    datastreams: u64,
    observations: u64,
) -> anyhow::Result<(PathBuf, side::Sample)> {
    let dir = fresh(&settings.dir, name)?;
    eprintln!("sensing: a city of {datastreams} Datastreams, {observations} observations");
    let sample = side::start(&[
        "sense".to_owned(),
        dir.display().to_string(),
        format!("--datastreams={datastreams}"),
        format!("--observations={observations}"),
    ])?;
    Ok((dir, sample))
}

pub fn measure(settings: &Settings) -> anyhow::Result<Report> {
    let mut cities = Cities { settings, load: None, asked: None };
    let wanted = match settings.sensing.parts.as_slice() {
        [] => USUAL.to_vec(),
        parts => parts.to_vec(),
    };
    let mut whole = Found::default();
    for part in wanted {
        let (name, found) = match part {
            Part::Create => ("create", create::measure(&mut cities)?),
            Part::Post => ("post", post::measure(&mut cities)?),
            Part::Mqtt => ("mqtt", messages::measure(&mut cities)?),
            Part::Visible => ("visible", visible::measure(&mut cities)?),
            Part::Ask => ("ask", ask::measure(&mut cities)?),
            Part::Memory => ("memory", memory::measure(&mut cities)?),
            Part::Disk => ("disk", ask::disk(&mut cities)?),
            Part::Soak => ("soak", soak::measure(&mut cities)?),
        };
        let found = found.told(name);
        whole.lines.extend(found.lines);
        whole.verdicts.extend(found.verdicts);
        whole.notes.extend(found.notes);
    }
    whole.notes.push(
        "Producers, server and peers share this machine's cores. Cities are made without \
         SensorThings: entities are put into their registers, observations go to files past the \
         log, tick by tick."
            .to_owned(),
    );
    Ok(Report {
        name: "sensing",
        what: format!(
            "observations over HTTP and MQTT into a served city, and questions about them; {} \
             rounds where there is more than one",
            settings.rounds
        ),
        lines: whole.lines,
        verdicts: whole.verdicts,
        notes: whole.notes,
    })
}
