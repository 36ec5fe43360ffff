//! CreateObservations in data arrays of 100, beside PostgreSQL with FROST's schema, filled by
//! INSERT and by COPY.

use std::time::{Duration, Instant};

use super::{Cities, Found, STREAMS, frost};
use crate::figures::{line, scaled};
use crate::load::http::{Load, Sent};
use crate::peers::PgBench;
use crate::report::Verdict;
use crate::stats::median;

const ROWS: u64 = 100;
/// Data arrays of the larger body.
const GROUPS: u64 = 20;
const CLIENTS: u32 = 8;
const SECONDS: u32 = 20;
const COPIED_ROWS: u64 = 2_000_000;
const RATE_BAR: f64 = 200_000.0;
const RATIO_BAR: f64 = 20.0;

pub(super) fn measure(cities: &mut Cities<'_>) -> anyhow::Result<Found> {
    let settings = cities.settings;
    let (mut one, mut many) = (Vec::new(), Vec::new());
    let (mut tails_ms, mut peaks) = (Vec::new(), Vec::new());
    let (mut inserted, mut copied, mut peer_peaks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let served = cities.load()?;
        for (rates, groups) in [(&mut one, 1), (&mut many, GROUPS)] {
            let sent = Sent::Arrays { groups, rows: ROWS };
            let load = Load { sent, clients: CLIENTS, streams: STREAMS, per_second: None };
            let told = load.run(&served, Duration::from_secs(u64::from(SECONDS)))?;
            rates.push(told.rows_per_second());
            if groups == GROUPS {
                tails_ms.push(told.percentile_ms(99));
            }
        }
        peaks.push(served.peak_mib()?);
        drop(served);

        let folder = tempfile::tempdir_in(&settings.dir)?;
        let server = frost::start()?;
        frost::index(&server)?;
        let watch = server.watch();
        let latencies = server.pgbench(&PgBench {
            scripts: &frost::inserts(folder.path(), ROWS, STREAMS)?,
            clients: CLIENTS,
            seconds: SECONDS,
            per_second: None,
            dir: &settings.dir,
        })?;
        inserted.push(latencies.per_second() * ROWS as f64);
        let rows = scaled(COPIED_ROWS, settings.scale);
        let statement = frost::copy(folder.path(), rows, STREAMS)?;
        let started = Instant::now();
        server.sql(&statement)?;
        copied.push(rows as f64 / started.elapsed().as_secs_f64());
        peer_peaks.push(watch.peak_mib());
    }
    let best = median(&many).max(median(&one));
    Ok(Found {
        lines: vec![
            line("create: shujin, 1 data array a request", "obs/s", &one, &peaks),
            line("create: shujin, 20 data arrays a request", "obs/s", &many, &peaks),
            line("create: shujin, 20 data arrays, p99", "ms", &tails_ms, &peaks),
            line(
                "create: PostgreSQL, FROST's schema, INSERT of 100",
                "obs/s",
                &inserted,
                &peer_peaks,
            ),
            line("create: PostgreSQL, FROST's schema, COPY", "obs/s", &copied, &peer_peaks),
        ],
        verdicts: vec![
            Verdict::at_least("create: obs/s, 1 data array a request", median(&one), RATE_BAR),
            Verdict::at_least("create: obs/s, 20 data arrays a request", median(&many), RATE_BAR),
            Verdict::at_least(
                "create: of PostgreSQL's INSERT",
                best / median(&inserted),
                RATIO_BAR,
            ),
            Verdict::reported("create: of PostgreSQL's COPY", best / median(&copied)),
        ],
        notes: vec![format!(
            "create: {CLIENTS} clients for {SECONDS} s, data arrays of {ROWS} rows as JSON over \
             HTTP, under a token and the access rules, acknowledged after fsync. The peer is sent \
             SQL by pgbench: no JSON is read, nothing is looked up, there are neither FROST's \
             foreign keys nor its triggers, and its {ROWS} rows are one statement, where FROST \
             sends one for each."
        )],
    })
}
