//! The figures, one file each: what is measured, on which sides, against which bar.

pub mod analytic;
pub mod append;
pub mod browsers;
pub mod import;
pub mod point;
pub mod sensing;
pub mod tiles;

use std::path::{Path, PathBuf};

use crate::report::Line;
use crate::stats::median;

/// A folder for one side of one round, new and empty.
fn fresh(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    if path.exists() {
        std::fs::remove_dir_all(&path)?;
    }
    Ok(path)
}

/// A side's rounds as one line.
fn line(side: &'static str, unit: &'static str, rounds: &[f64], peaks_mib: &[f64]) -> Line {
    let low = rounds.iter().copied().fold(f64::INFINITY, f64::min);
    let high = rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let peak_mib = peaks_mib.iter().copied().fold(0.0, f64::max);
    Line { side, value: median(rounds), unit, range: (low, high), peak_mib }
}

/// The full number of rows at this scale; at least a batch, so that a quick look still runs.
fn scaled(rows: u64, scale: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let scaled = (rows as f64 * scale) as u64;
    scaled.max(1_000)
}

/// How many threads a peer may use: as many as we.
fn threads() -> String {
    std::thread::available_parallelism().map_or(1, usize::from).to_string()
}
