//! Durable appends: 8 producers, batches of 1,000 rows, each acknowledged after an fsync, beside
//! 8 clients of PostgreSQL that insert 1,000 rows a statement with `synchronous_commit` on.

use anyhow::Context;

use super::{fresh, line};
use crate::peers::{PgBench, Server};
use crate::readings;
use crate::report::{Report, Verdict};
use crate::stats::{median, percentile};
use crate::work::append::BATCH_ROWS;
use crate::{Settings, side};

const PRODUCERS: u32 = 8;
/// Long enough for the lake to seal and commit while it takes more in.
const SECONDS: u32 = 20;
/// Different statements, so that the peer's pages are not all alike.
const SCRIPTS: u64 = 16;
const RATIO_BAR: f64 = 10.0;
const P99_MS_BAR: f64 = 25.0;

pub fn measure(settings: &Settings) -> anyhow::Result<Report> {
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    let (mut our_peaks, mut peer_peaks) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let sample = append(settings, None)?;
        ours.push(sample.one("rows_per_second")?);
        our_peaks.push(sample.peak_mib);
        let (rows_per_second, peak_mib) = insert(settings)?;
        peers.push(rows_per_second);
        peer_peaks.push(peak_mib);
    }
    let half_per_second = median(&ours) / f64::from(BATCH_ROWS) / 2.0;
    let mut tails_ms = Vec::new();
    let mut tail_peaks = Vec::new();
    for _ in 0..settings.rounds {
        let sample = append(settings, Some(half_per_second))?;
        tails_ms.push(percentile(sample.all("latency_ms")?, 99));
        tail_peaks.push(sample.peak_mib);
    }
    Ok(Report {
        name: "append",
        what: format!(
            "{PRODUCERS} producers append batches of {BATCH_ROWS} rows for {SECONDS} s, each \
             waiting for its acknowledgement after fsync; {} rounds",
            settings.rounds
        ),
        lines: vec![
            line("shujin", "rows/s", &ours, &our_peaks),
            line("PostgreSQL, multi-row INSERT", "rows/s", &peers, &peer_peaks),
            line("shujin at half load, p99", "ms", &tails_ms, &tail_peaks),
        ],
        verdicts: vec![
            Verdict::at_least("rows/s, of PostgreSQL's", median(&ours) / median(&peers), RATIO_BAR),
            Verdict::at_most("p99 at half load, ms", median(&tails_ms), P99_MS_BAR),
        ],
        notes: vec![
            "Producers hand Arrow batches over in the process; pgbench sends SQL text over \
             loopback, as clients of PostgreSQL do. The peer's table has no index. Latency counts \
             from when a batch was due, so a queue shows. PostgreSQL's memory is the sum of its \
             processes' proportional shares, sampled."
                .to_owned(),
        ],
    })
}

fn append(settings: &Settings, per_second: Option<f64>) -> anyhow::Result<side::Sample> {
    let dir = fresh(&settings.dir, "append")?;
    let mut arguments = vec!["append".to_owned(), dir.display().to_string()];
    arguments.push(format!("--producers={PRODUCERS}"));
    arguments.push(format!("--seconds={SECONDS}"));
    arguments.extend(per_second.map(|rate| format!("--per-second={rate}")));
    let sample = side::start(&arguments)?;
    std::fs::remove_dir_all(dir)?;
    Ok(sample)
}

/// Rows a second of the peer, and its peak memory.
fn insert(settings: &Settings) -> anyhow::Result<(f64, f64)> {
    let server = Server::start()?;
    server.sql(readings::POSTGRES_TABLE)?;
    let folder = tempfile::tempdir_in(&settings.dir)?;
    let mut scripts = Vec::new();
    for number in 0..SCRIPTS {
        let path = folder.path().join(format!("insert-{number}.sql"));
        let rows = u64::from(BATCH_ROWS);
        std::fs::write(&path, readings::insert(number * rows, rows))
            .context("cannot write the peer's statements")?;
        scripts.push(path);
    }
    let watch = server.watch();
    let latencies = server.pgbench(&PgBench {
        scripts: &scripts,
        clients: PRODUCERS,
        seconds: SECONDS,
        per_second: None,
        dir: &settings.dir,
    })?;
    Ok((latencies.per_second() * f64::from(BATCH_ROWS), watch.peak_mib()))
}
