//! Half load for long: memory has to stay where it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};

use super::visible::{BACKGROUND, BACKGROUND_CLIENTS, BACKGROUND_SENT};
use super::{Cities, Found, STREAMS};
use crate::load::http::Load;
use crate::report::{Line, Verdict};
use crate::stats::median;

const SAMPLE: Duration = Duration::from_secs(10);
/// The share of a soak at its start that is warming up.
const WARM_SHARE: f64 = 0.25;
/// What half an hour may add.
const SLOPE_MIB_BAR: f64 = 20.0;
const MINUTES_OF_SLOPE: f64 = 30.0;

pub(super) fn measure(cities: &mut Cities<'_>) -> anyhow::Result<Found> {
    let minutes = cities.settings.sensing.minutes;
    let served = cities.load()?;
    let stop = AtomicBool::new(false);
    let load = Load {
        sent: BACKGROUND_SENT,
        clients: BACKGROUND_CLIENTS,
        streams: STREAMS,
        per_second: Some(BACKGROUND / 2.0),
    };
    let mut samples: Vec<(f64, f64)> = Vec::new();
    let told = std::thread::scope(|scope| {
        let background = scope.spawn(|| load.until(&served, &stop));
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(minutes * 60) && !background.is_finished() {
            std::thread::sleep(SAMPLE);
            let minute = started.elapsed().as_secs_f64() / 60.0;
            samples.extend(served.resident_mib().map(|mib| (minute, mib)));
            if let Some((minute, mib)) = samples.last() {
                eprintln!("sensing soak: {minute:.1} min, {mib:.0} MiB");
            }
        }
        stop.store(true, Ordering::Relaxed);
        background.join().map_err(|_| anyhow!("the background panicked"))?
    })?;
    let warm = minutes as f64 * WARM_SHARE;
    let warmed: Vec<(f64, f64)> =
        samples.iter().copied().filter(|(minute, _)| *minute >= warm).collect();
    ensure!(warmed.len() > 2, "the soak was too short to say anything");
    let resident: Vec<f64> = warmed.iter().map(|(_, mib)| *mib).collect();
    let range = (
        resident.iter().copied().fold(f64::INFINITY, f64::min),
        resident.iter().copied().fold(0.0, f64::max),
    );
    let peak_mib = served.peak_mib()?;
    let value = median(&resident);
    Ok(Found {
        lines: vec![Line { side: "soak: resident", value, unit: "MiB", range, peak_mib }],
        verdicts: vec![
            Verdict::at_most(
                "soak: MiB more in half an hour, by the slope",
                slope(&warmed) * MINUTES_OF_SLOPE,
                SLOPE_MIB_BAR,
            ),
            Verdict::reported("soak: load, obs/s", told.rows_per_second()),
        ],
        notes: vec![format!(
            "soak: {minutes} minutes; the resident set each 10 s, without the first quarter; the \
             slope is that of least squares."
        )],
    })
}

/// Of a line through points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let both: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    both / spread
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn the_slope_of_a_line_is_its_slope() {
        let points: Vec<(f64, f64)> =
            (0..10).map(|x| (f64::from(x), 3.0 * f64::from(x) + 7.0)).collect();
        assert!((slope(&points) - 3.0).abs() < 1e-9);
    }
}
