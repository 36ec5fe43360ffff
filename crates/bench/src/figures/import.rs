//! A CSV file of 10 million rows taken in under a contract, beside DuckDB's COPY to Parquet.

use super::{fresh, line, scaled, threads};
use crate::report::{Report, Verdict};
use crate::stats::median;
use crate::{Settings, peers, readings, side};

const ROWS: u64 = 10_000_000;
const RATIO_BAR: f64 = 0.6;
const PEAK_MIB_BAR: f64 = 1_536.0;

pub fn measure(settings: &Settings) -> anyhow::Result<Report> {
    let rows = scaled(ROWS, settings.scale);
    let file = settings.dir.join(format!("readings-{rows}.csv"));
    readings::csv(&file, rows)?;
    let file_arg = file.display().to_string();
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    let (mut our_peaks, mut peer_peaks) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let dir = fresh(&settings.dir, "import")?;
        let sample =
            side::start(&["import".to_owned(), dir.display().to_string(), file_arg.clone()])?;
        expect_rows(&sample, rows)?;
        ours.push(sample.one("seconds")?);
        our_peaks.push(sample.peak_mib);
        std::fs::remove_dir_all(dir)?;

        let out = settings.dir.join("import.parquet").display().to_string();
        let sample = peers::python("import.py", &[&file_arg, &out, &threads()], "")?;
        expect_rows(&sample, rows)?;
        peers.push(sample.one("seconds")?);
        peer_peaks.push(sample.peak_mib);
        std::fs::remove_file(out)?;
    }
    let our_peak = our_peaks.iter().copied().fold(0.0, f64::max);
    Ok(Report {
        name: "import",
        what: format!(
            "a CSV file of {rows} rows is taken in: converted, checked by the contract and two \
             quality rules, logged, written as Parquet and committed; {} rounds",
            settings.rounds
        ),
        lines: vec![
            line("shujin", "s", &ours, &our_peaks),
            line("DuckDB, COPY csv to parquet", "s", &peers, &peer_peaks),
        ],
        verdicts: vec![
            Verdict::at_least("speed, of DuckDB's", median(&peers) / median(&ours), RATIO_BAR),
            Verdict::at_most("our peak memory, MiB", our_peak, PEAK_MIB_BAR),
        ],
        notes: vec![
            "Ours ends when every row is acknowledged and sealed; the peer's when its file is \
             fsynced. The peer converts types and checks nothing else."
                .to_owned(),
        ],
    })
}

fn expect_rows(sample: &side::Sample, rows: u64) -> anyhow::Result<()> {
    #[expect(clippy::cast_precision_loss)]
    let expected = rows as f64;
    let found = sample.one("rows")?;
    anyhow::ensure!((found - expected).abs() < 0.5, "a side took {found} rows of {rows}");
    Ok(())
}
