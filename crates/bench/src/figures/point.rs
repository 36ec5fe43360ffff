//! The newest 100 rows of one series among 50,000, beside PostgreSQL with an index on both.

use super::{fresh, line, scaled, threads};
use crate::peers::{PgBench, Server};
use crate::report::{Report, Verdict};
use crate::stats::median;
use crate::{Settings, readings, side};

const ROWS: u64 = 10_000_000;
/// Single reads, one after another, each of a series chosen at random.
const READS: u32 = 500;
const PEER_SECONDS: u32 = 10;
const MS_BAR: f64 = 10.0;

pub fn measure(settings: &Settings) -> anyhow::Result<Report> {
    let rows = scaled(ROWS, settings.scale);
    let file = settings.dir.join(format!("readings-{rows}.csv"));
    readings::csv(&file, rows)?;
    let file_arg = file.display().to_string();

    let dir = fresh(&settings.dir, "point")?;
    let keyed = "--keyed".to_owned();
    side::start(&["import".to_owned(), dir.display().to_string(), file_arg.clone(), keyed])?;
    let server = Server::start()?;
    server.sql(readings::POSTGRES_TABLE)?;
    server.sql(&format!("\\copy reading FROM '{file_arg}' (FORMAT csv, HEADER)"))?;
    server.sql("CREATE INDEX reading_newest ON reading (series, observed_at DESC)")?;
    server.sql("VACUUM ANALYZE reading")?;
    let script = settings.dir.join("point.sql");
    std::fs::write(&script, peer_script())?;

    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    let (mut our_peaks, mut peer_peaks) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let reads = format!("--reads={READS}");
        let sample = side::start(&["point".to_owned(), dir.display().to_string(), reads])?;
        ours.push(median(sample.all("latency_ms")?));
        our_peaks.push(sample.peak_mib);
        let watch = server.watch();
        let latencies = server.pgbench(&PgBench {
            scripts: std::slice::from_ref(&script),
            clients: 1,
            seconds: PEER_SECONDS,
            per_second: None,
            dir: &settings.dir,
        })?;
        peers.push(median(&latencies.ms));
        peer_peaks.push(watch.peak_mib());
    }
    Ok(Report {
        name: "point",
        what: format!(
            "the newest 100 rows of a random series of {} in {rows} rows, one read after another; \
             median of {READS} reads, {} rounds, {} threads",
            readings::SERIES,
            settings.rounds,
            threads()
        ),
        lines: vec![
            line("shujin, governed", "ms", &ours, &our_peaks),
            line("PostgreSQL, index", "ms", &peers, &peer_peaks),
        ],
        verdicts: vec![
            Verdict::at_most("a read, ms", median(&ours), MS_BAR),
            Verdict::reported("time, of PostgreSQL's", median(&ours) / median(&peers)),
        ],
        notes: vec![
            "Ours is planned anew each time under the asker's policy; the peer's text is parsed \
             and planned each time as well."
                .to_owned(),
        ],
    })
}

fn peer_script() -> String {
    format!(
        "\\set series random(0, {})\n\
         SELECT * FROM reading WHERE series = 'S' || lpad(:series::text, 5, '0') \
         ORDER BY observed_at DESC LIMIT 100;\n",
        readings::SERIES - 1
    )
}
