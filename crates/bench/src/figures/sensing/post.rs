//! Observations one by one, from clients that keep their connections.

use std::time::Duration;

use super::{Cities, Found, STREAMS};
use crate::figures::line;
use crate::load::http::{Load, Sent};
use crate::report::Verdict;
use crate::stats::median;

const CLIENTS: u32 = 64;
const SECONDS: u64 = 20;
const RATE_BAR: f64 = 10_000.0;
const P99_MS_BAR: f64 = 30.0;

pub(super) fn measure(cities: &mut Cities<'_>) -> anyhow::Result<Found> {
    let (mut rates, mut middles_ms, mut tails_ms) = (Vec::new(), Vec::new(), Vec::new());
    let mut peaks = Vec::new();
    for _ in 0..cities.settings.rounds {
        let served = cities.load()?;
        let sent = Sent::Single;
        let load = Load { sent, clients: CLIENTS, streams: STREAMS, per_second: None };
        let told = load.run(&served, Duration::from_secs(SECONDS))?;
        rates.push(told.rows_per_second());
        middles_ms.push(told.percentile_ms(50));
        tails_ms.push(told.percentile_ms(99));
        peaks.push(served.peak_mib()?);
    }
    Ok(Found {
        lines: vec![
            line("post: one by one", "obs/s", &rates, &peaks),
            line("post: one by one, p50", "ms", &middles_ms, &peaks),
            line("post: one by one, p99", "ms", &tails_ms, &peaks),
        ],
        verdicts: vec![
            Verdict::at_least("post: obs/s", median(&rates), RATE_BAR),
            Verdict::at_most("post: p99, ms", median(&tails_ms), P99_MS_BAR),
        ],
        notes: vec![format!(
            "post: {CLIENTS} clients with a connection each for {SECONDS} s, each waiting for its \
             answer, which comes after fsync."
        )],
    })
}
