//! How fast the lake is, printed. Not run by default:
//!
//! ```text
//! cargo test --release -p store --test it -- --ignored --nocapture --test-threads=1 speed
//! ```
//! `bench/` measures the same beside peers; this is the quick look while working on the lake.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use store::lake::{Lake, LakeOptions};

use super::*;

const PRODUCERS: i64 = 8;
const BATCH_ROWS: i64 = 1000;
const SERIES: i64 = 50_000;

fn env(name: &str, default: i64) -> i64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// `count` rows, in the order in which they would come in: all series of one minute, then the next.
fn stream(names: &[String], from: i64, count: i64) -> RecordBatch {
    let series = |n: i64| &names[usize::try_from(n % SERIES).unwrap()];
    let sites: StringArray = (from..from + count).map(|n| Some(series(n))).collect();
    let times: Vec<i64> = (from..from + count).map(|n| n / SERIES * 60_000_000).collect();
    let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let values: Float64Array =
        (from..from + count).map(|n| Some((n * 37 % 2000) as f64 / 10.0)).collect();
    let columns: Vec<Arc<dyn Array>> = vec![Arc::new(sites), Arc::new(times), Arc::new(values)];
    RecordBatch::try_new(readings_schema(), columns).unwrap()
}

fn names() -> Vec<String> {
    (0..SERIES).map(|i| format!("sensor-{i:06}")).collect()
}

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Appends from eight producers for some seconds; returns rows a second and sorted latencies.
async fn load(lake: &Arc<Lake>, seconds: u64, pause: Duration) -> (f64, Vec<Duration>) {
    let names = Arc::new(names());
    let next = Arc::new(AtomicI64::new(0));
    let started = Instant::now();
    let mut producers = Vec::new();
    for p in 0..PRODUCERS {
        let (lake, names, next) = (lake.clone(), names.clone(), next.clone());
        producers.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut seq = 0;
            while started.elapsed() < Duration::from_secs(seconds) {
                let from = next.fetch_add(BATCH_ROWS, Ordering::Relaxed);
                let batch = stream(&names, from, BATCH_ROWS);
                let sent = Instant::now();
                seq += 1;
                let ack =
                    lake.append("r", batch, by(&format!("p{p}/{seconds}/{pause:?}"), seq)).await;
                match ack {
                    Ok(_) => latencies.push(sent.elapsed()),
                    Err(error) if error.is_back_pressure() => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            latencies
        }));
    }
    let mut latencies = Vec::new();
    for producer in producers {
        latencies.extend(producer.await.unwrap());
    }
    latencies.sort();
    let rows = latencies.len() as f64 * BATCH_ROWS as f64;
    (rows / started.elapsed().as_secs_f64(), latencies)
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run it alone"]
async fn speed_of_appends() {
    let dir =
        tempfile::tempdir_in(std::env::var("LAKE_BENCH_DIR").unwrap_or("/tmp".into())).unwrap();
    let lake = Lake::open(LakeOptions::new(dir.path())).await.unwrap();
    lake.ensure_table(readings("r")).await.unwrap();
    let (rate, all) = load(&lake, 8, Duration::ZERO).await;
    println!(
        "full load: {rate:.0} rows/s, p50 {:?}, p99 {:?}",
        percentile(&all, 50),
        percentile(&all, 99)
    );
    let per_producer = rate / PRODUCERS as f64 / BATCH_ROWS as f64;
    let pause =
        Duration::from_secs_f64(1.0 / (per_producer / 2.0)).saturating_sub(percentile(&all, 50));
    let (half, all) = load(&lake, 8, pause).await;
    println!(
        "half load: {half:.0} rows/s, p50 {:?}, p99 {:?}",
        percentile(&all, 50),
        percentile(&all, 99)
    );
    println!("peak memory {} MiB", rss_mib());
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run it alone"]
async fn speed_of_bulk_and_of_a_point_read() {
    let rows = env("LAKE_BENCH_ROWS", 20_000_000);
    let dir =
        tempfile::tempdir_in(std::env::var("LAKE_BENCH_DIR").unwrap_or("/tmp".into())).unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    let names = names();
    let mut making = Duration::ZERO;
    let started = Instant::now();
    let mut bulk = lake.bulk("r", "import/bench").await.unwrap();
    for (seq, from) in (0..rows).step_by(65_536).enumerate() {
        let made = Instant::now();
        let batch = stream(&names, from, 65_536.min(rows - from));
        making += made.elapsed();
        bulk.write(batch, seq as u64).await.unwrap();
    }
    bulk.commit().await.unwrap();
    let took = started.elapsed();
    println!(
        "bulk: {rows} rows in {took:?} ({making:?} to make them), {:.0} rows/s, peak memory {} MiB",
        rows as f64 / took.as_secs_f64(),
        rss_mib()
    );
    println!("{:?}", lake.stats("r").unwrap());
    point_reads(&lake, "as imported").await;
    let started = Instant::now();
    let done = lake.maintain("r").await.unwrap();
    println!("maintain: {done:?} in {:?}, peak memory {} MiB", started.elapsed(), rss_mib());
    println!("{:?}", lake.stats("r").unwrap());
    point_reads(&lake, "compacted").await;
}

async fn point_reads(lake: &Arc<Lake>, state: &str) {
    let context = SessionContext::new();
    let (mut planning, mut reading) = (Vec::new(), Vec::new());
    let sql = |i: i64| {
        let series = (i * 7919) % SERIES;
        format!(
            "SELECT at, value FROM t WHERE site = 'sensor-{series:06}' ORDER BY at DESC LIMIT 100"
        )
    };
    for i in 0..60_i64 {
        let started = Instant::now();
        // Resolved and planned anew, as each query of a city would be.
        context.deregister_table("t").unwrap();
        context.register_table("t", lake.snapshot("r", None).await.unwrap()).unwrap();
        let plan = context.sql(&sql(i)).await.unwrap().create_physical_plan().await.unwrap();
        planning.push(started.elapsed());
        let answer = datafusion::physical_plan::collect(plan, context.task_ctx()).await.unwrap();
        assert!(answer.iter().map(RecordBatch::num_rows).sum::<usize>() > 0);
        reading.push(started.elapsed());
    }
    let first = reading[0];
    let mut warm = reading.split_off(10);
    warm.sort();
    planning.sort();
    println!(
        "point read, {state}: first {first:?}, p50 {:?} (planned after {:?}), p99 {:?}",
        percentile(&warm, 50),
        percentile(&planning, 50),
        percentile(&warm, 99)
    );
    let analyze = format!("EXPLAIN ANALYZE {}", sql(77));
    let plan = context.sql(&analyze).await.unwrap().collect().await.unwrap();
    println!("{}", arrow::util::pretty::pretty_format_batches(&plan).unwrap());
}
