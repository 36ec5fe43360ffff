//! From publishing a reading to its being seen, while others come in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;

use super::{Cities, Found, STREAMS};
use crate::load::http::{Load, Sent};
use crate::load::probe;
use crate::report::{Line, Verdict};
use crate::stats::{median, percentile};
use crate::work::sense::USER;

/// Observations a second that come in meanwhile …
pub const BACKGROUND: f64 = 50_000.0;
/// … in data arrays of so many, so many a request.
pub const BACKGROUND_SENT: Sent = Sent::Arrays { groups: 20, rows: 100 };
pub const BACKGROUND_CLIENTS: u32 = 4;
const READINGS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(100);
/// Until the background is what it shall be.
const BEFORE: Duration = Duration::from_secs(5);
const P99_MS_BAR: f64 = 100.0;

pub(super) fn measure(cities: &mut Cities<'_>) -> anyhow::Result<Found> {
    let served = cities.load()?;
    let stop = AtomicBool::new(false);
    // The last Datastream has the readings that are looked for, and no others.
    let load = Load {
        sent: BACKGROUND_SENT,
        clients: BACKGROUND_CLIENTS,
        streams: STREAMS - 1,
        per_second: Some(BACKGROUND),
    };
    let (told, seen) = std::thread::scope(|scope| {
        let background = scope.spawn(|| load.until(&served, &stop));
        std::thread::sleep(BEFORE);
        let seen = probe::run(&served, USER, STREAMS, READINGS, PAUSE);
        stop.store(true, Ordering::Relaxed);
        let told = background.join().map_err(|_| anyhow!("the background panicked"))??;
        anyhow::Ok((told, seen?))
    })?;
    let peak_mib = served.peak_mib()?;
    let mut found = Found::default();
    for (side, what, seen_ms) in [
        ("visible: in SQL (5–95 %)", "visible: in SQL, p99, ms", &seen.sql_ms),
        (
            "visible: by SensorThings (5–95 %)",
            "visible: by SensorThings, p99, ms",
            &seen.sensorthings_ms,
        ),
        (
            "visible: to a subscriber (5–95 %)",
            "visible: to a subscriber, p99, ms",
            &seen.subscriber_ms,
        ),
    ] {
        let range = (percentile(seen_ms, 5), percentile(seen_ms, 95));
        found.lines.push(Line { side, value: median(seen_ms), unit: "ms", range, peak_mib });
        found.verdicts.push(Verdict::at_most(what, percentile(seen_ms, 99), P99_MS_BAR));
    }
    found.verdicts.push(Verdict::reported("visible: background, obs/s", told.rows_per_second()));
    found.notes.push(format!(
        "visible: {READINGS} readings, one after the other, by MQTT with QoS 1, from before the \
         message is sent to the answer that has it; SQL and SensorThings are asked over and over, \
         so that the time of an answer is in it, and what asking costs."
    ));
    Ok(found)
}
