//! What a city of a million Datastreams holds in memory: idle, and with observations coming in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::visible::{BACKGROUND, BACKGROUND_CLIENTS, BACKGROUND_SENT};
use super::{Cities, Found, make};
use crate::figures::scaled;
use crate::load::http::Load;
use crate::report::{Line, Verdict};
use crate::served::Served;
use crate::stats::median;
use crate::work::sense::USER;

const DATASTREAMS: u64 = 1_000_000;
/// What is read at the start is read then.
const SETTLE: Duration = Duration::from_secs(30);
const LOADED: Duration = Duration::from_secs(120);
const SAMPLE: Duration = Duration::from_secs(1);
const IDLE_MIB_BAR: f64 = 2_048.0;
const LOADED_MIB_BAR: f64 = 3_072.0;

pub(super) fn measure(cities: &mut Cities<'_>) -> anyhow::Result<Found> {
    let datastreams = scaled(DATASTREAMS, cities.settings.scale);
    let (dir, made) = make(cities.settings, "sensing-memory", datastreams, 0)?;
    let started = Instant::now();
    let served = Served::start_sensing(&dir, USER)?;
    let ready = started.elapsed().as_secs_f64();
    // Registers are held from the first question on: each is asked for once.
    let path = "/sta/v1.1/Datastreams(1)?$expand=Thing($expand=Locations),Sensor,ObservedProperty";
    served.get(path)?;
    std::thread::sleep(SETTLE);
    let idle = served.resident_mib()?;
    let stop = AtomicBool::new(false);
    let load = Load {
        sent: BACKGROUND_SENT,
        clients: BACKGROUND_CLIENTS,
        streams: datastreams,
        per_second: Some(BACKGROUND),
    };
    let mut resident = Vec::new();
    let told = std::thread::scope(|scope| {
        let background = scope.spawn(|| load.until(&served, &stop));
        let until = Instant::now() + LOADED;
        while Instant::now() < until && !background.is_finished() {
            std::thread::sleep(SAMPLE);
            resident.extend(served.resident_mib());
        }
        stop.store(true, Ordering::Relaxed);
        background.join().map_err(|_| anyhow!("the background panicked"))?
    })?;
    let peak_mib = served.peak_mib()?;
    let highest = resident.iter().copied().fold(idle, f64::max);
    let lowest = resident.iter().copied().fold(highest, f64::min);
    Ok(Found {
        lines: vec![
            Line { side: "memory: idle", value: idle, unit: "MiB", range: (idle, idle), peak_mib },
            Line {
                side: "memory: at 50,000 obs/s",
                value: median(&resident),
                unit: "MiB",
                range: (lowest, highest),
                peak_mib,
            },
        ],
        verdicts: vec![
            Verdict::at_most("memory: idle, MiB", idle, IDLE_MIB_BAR),
            Verdict::at_most("memory: highest at 50,000 obs/s, MiB", highest, LOADED_MIB_BAR),
            Verdict::reported("memory: load, obs/s", told.rows_per_second()),
            Verdict::reported("memory: from the command to ready, s", ready),
        ],
        notes: vec![format!(
            "memory: {datastreams} Datastreams of a quarter as many Things, put into their \
             registers in {:.0} s; resident set, sampled each second for {} s under load.",
            made.one("entities_seconds")?,
            LOADED.as_secs()
        )],
    })
}
