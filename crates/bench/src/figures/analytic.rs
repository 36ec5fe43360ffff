//! Ten analytic queries over 20 million rows: governed, by bare DataFusion over the same files,
//! and by DuckDB over the same files.

use std::path::Path;

use super::{fresh, line, scaled, threads};
use crate::report::{Report, Verdict};
use crate::stats::median;
use crate::{Settings, peers, readings, side};

const ROWS: u64 = 20_000_000;
const OVERHEAD_BAR: f64 = 1.10;

/// Over `reading`, which each side binds to its own table. Plain SQL that all three speak.
pub const QUERIES: [(&str, &str); 10] = [
    ("q01", "SELECT count(*), sum(value), avg(value) FROM reading"),
    ("q02", "SELECT area, avg(value), max(value) FROM reading GROUP BY area ORDER BY area"),
    ("q03", "SELECT status, count(*) FROM reading WHERE value > 400 GROUP BY status"),
    (
        "q04",
        "SELECT date_trunc('day', observed_at) AS day, avg(value) FROM reading GROUP BY 1 ORDER BY 1",
    ),
    (
        "q05",
        "SELECT series, avg(value) AS mean FROM reading GROUP BY series ORDER BY mean DESC, series LIMIT 20",
    ),
    (
        "q06",
        "SELECT area, status, count(*), stddev(value) FROM reading GROUP BY area, status ORDER BY 1, 2",
    ),
    (
        "q07",
        "SELECT count(*) FROM reading WHERE observed_at >= TIMESTAMP '2024-01-02 00:00:00' \
         AND observed_at < TIMESTAMP '2024-01-03 00:00:00' AND status = 1",
    ),
    ("q08", "SELECT count(DISTINCT series) FROM reading WHERE value IS NULL"),
    (
        "q09",
        "SELECT series, observed_at, value FROM reading WHERE value IS NOT NULL \
         ORDER BY value DESC, observed_at, series LIMIT 100",
    ),
    (
        "q10",
        "SELECT area, date_trunc('hour', observed_at) AS hour, \
         sum(CASE WHEN value > 250 THEN 1 ELSE 0 END) AS high FROM reading \
         GROUP BY 1, 2 HAVING count(*) > 10 ORDER BY 1, 2",
    ),
];

pub fn measure(settings: &Settings) -> anyhow::Result<Report> {
    let rows = scaled(ROWS, settings.scale);
    let dir = fresh(&settings.dir, "analytic")?;
    let file = settings.dir.join(format!("readings-{rows}.csv"));
    readings::csv(&file, rows)?;
    side::start(&["import".to_owned(), dir.display().to_string(), file.display().to_string()])?;

    let (mut governed, mut duckdb) = (Sums::default(), Sums::default());
    let (mut same, mut unfiltered) = (Sums::default(), Sums::default());
    let rounds = format!("--rounds={}", settings.rounds);
    // Twice each, in turn, so that a machine that slows down slows all sides.
    for _ in 0..2 {
        governed.add(&ours("governed", &dir, &[&rounds])?)?;
        same.add(&ours("bare", &dir, &[&rounds, "--filtered"])?)?;
        unfiltered.add(&ours("bare", &dir, &[&rounds])?)?;
        duckdb.add(&peer(&dir, settings.rounds)?)?;
    }
    let (ours, plain, theirs) = (governed.total(), same.total(), duckdb.total());
    Ok(Report {
        name: "analytic",
        what: format!(
            "{} queries over {rows} rows, {} rounds twice; the sum of each query's median",
            QUERIES.len(),
            settings.rounds
        ),
        lines: vec![
            line("shujin, governed", "s", &governed.totals, &governed.peaks_mib),
            line("DataFusion alone, same plan", "s", &same.totals, &same.peaks_mib),
            line(
                "DataFusion alone, without the filter",
                "s",
                &unfiltered.totals,
                &unfiltered.peaks_mib,
            ),
            line("DuckDB, same files", "s", &duckdb.totals, &duckdb.peaks_mib),
        ],
        verdicts: vec![
            Verdict::at_most(
                "time, of the same plan's by DataFusion alone",
                ours / plain,
                OVERHEAD_BAR,
            ),
            Verdict::reported(
                "time, of DataFusion's without the filter",
                ours / unfiltered.total(),
            ),
            Verdict::reported("time, of DuckDB's", ours / theirs),
        ],
        notes: vec![
            "The asker's policy filters rows by area, and all pass: the column is read and \
             compared for every row. The same plan is the same filter written out in SQL."
                .to_owned(),
            per_query([&governed, &same, &unfiltered, &duckdb]),
        ],
    })
}

fn ours(side: &str, dir: &Path, options: &[&str]) -> anyhow::Result<side::Sample> {
    let mut arguments = vec![side.to_owned(), dir.display().to_string()];
    arguments.extend(options.iter().map(|option| (*option).to_owned()));
    side::start(&arguments)
}

fn peer(dir: &Path, rounds: usize) -> anyhow::Result<side::Sample> {
    let queries: serde_json::Map<_, _> =
        QUERIES.iter().map(|(name, sql)| ((*name).to_owned(), (*sql).into())).collect();
    let table = crate::work::table_dir(dir).display().to_string();
    let arguments = [table.as_str(), &rounds.to_string(), &threads()];
    peers::python("analytic.py", &arguments, &serde_json::to_string(&queries)?)
}

/// Medians by query, of each process.
#[derive(Debug, Default)]
struct Sums {
    by_query: Vec<Vec<f64>>,
    totals: Vec<f64>,
    peaks_mib: Vec<f64>,
}

impl Sums {
    fn add(&mut self, sample: &side::Sample) -> anyhow::Result<()> {
        let medians = QUERIES
            .iter()
            .map(|(name, _)| Ok(median(sample.all(name)?)))
            .collect::<anyhow::Result<Vec<f64>>>()?;
        self.totals.push(medians.iter().sum());
        self.by_query.push(medians);
        self.peaks_mib.push(sample.peak_mib);
        Ok(())
    }

    fn total(&self) -> f64 {
        median(&self.totals)
    }

    fn query(&self, index: usize) -> f64 {
        median(&self.by_query.iter().map(|medians| medians[index]).collect::<Vec<_>>())
    }
}

fn per_query(sides: [&Sums; 4]) -> String {
    let rows = QUERIES.iter().enumerate().map(|(index, (name, _))| {
        let ms = sides.map(|sums| format!("{:.0}", sums.query(index) * 1_000.0));
        format!("| {name} | {} |", ms.join(" | "))
    });
    let rows: Vec<_> = rows.collect();
    let head = "| ms | governed | same plan | no filter | DuckDB |\n|---|---|---|---|---|";
    format!("{head}\n{}", rows.join("\n"))
}
