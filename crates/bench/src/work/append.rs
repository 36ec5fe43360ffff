//! Producers that append to a lake, each waiting for its acknowledgement before it sends more.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use store::lake::{Lake, LakeOptions, Mode, Producer, TableSpec};

use super::{DATASET, Values, pack_dir};
use crate::readings;

/// Rows of one append.
pub const BATCH_ROWS: u32 = 1_000;
/// How long a producer that was told to come back later waits.
const BACK_OFF: Duration = Duration::from_millis(5);

pub async fn run(
    dir: &Path,
    producers: u64,
    seconds: u64,
    per_second: Option<f64>,
) -> anyhow::Result<Values> {
    let pack = pack::load(&pack_dir()).map_err(|faults| anyhow::anyhow!("{faults}"))?;
    let schema = pack.datasets[DATASET].arrow_schema();
    let lake = Lake::open(LakeOptions::new(dir)).await?;
    lake.ensure_table(TableSpec {
        name: DATASET.to_owned(),
        schema: Arc::clone(&schema),
        mode: Mode::Append,
        sort: vec!["series".to_owned(), "observed_at".to_owned()],
        retention: None,
    })
    .await?;

    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let pace = per_second.map(|rate| {
        let producers = u32::try_from(producers).unwrap_or(u32::MAX);
        Duration::from_secs_f64(f64::from(producers) / rate)
    });
    let mut tasks = Vec::new();
    for number in 0..producers {
        let rows = u64::from(BATCH_ROWS);
        // Made beforehand: what is measured is the lake, not the making of rows.
        let batches = (0..BATCHES_EACH)
            .map(|batch| readings::batch(&schema, (number * BATCHES_EACH + batch) * rows, rows))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let work = Work { lake: Arc::clone(&lake), number, batches, until, pace };
        tasks.push(tokio::spawn(work.run()));
    }
    let mut latencies_ms = Vec::new();
    let mut refused = 0.0;
    for task in tasks {
        let (acknowledged, full) = task.await??;
        latencies_ms.extend(acknowledged);
        refused += full;
    }
    let elapsed_seconds = started.elapsed().as_secs_f64();
    lake.close().await?;
    let batches = f64::from(u32::try_from(latencies_ms.len())?);
    let mut values = BTreeMap::new();
    values.insert(
        "rows_per_second".to_owned(),
        vec![batches * f64::from(BATCH_ROWS) / elapsed_seconds],
    );
    values.insert("refused".to_owned(), vec![refused]);
    values.insert("latency_ms".to_owned(), latencies_ms);
    Ok(values)
}

/// Different batches a producer sends in turn.
const BATCHES_EACH: u64 = 16;

struct Work {
    lake: Arc<Lake>,
    number: u64,
    batches: Vec<arrow::record_batch::RecordBatch>,
    until: Instant,
    /// Time between two batches of this producer; none: as fast as acknowledged.
    pace: Option<Duration>,
}

impl Work {
    /// Latencies of what was acknowledged, and how often the lake said “later”.
    async fn run(self) -> anyhow::Result<(Vec<f64>, f64)> {
        let (mut latencies_ms, mut refused) = (Vec::new(), 0.0);
        let mut due = Instant::now();
        for seq in 0_u64.. {
            if let Some(pace) = self.pace {
                tokio::time::sleep_until(due.into()).await;
                due += pace;
            }
            let sent = self.pace.map_or_else(Instant::now, |pace| due - pace);
            if sent >= self.until {
                break;
            }
            let which = usize::try_from(seq % BATCHES_EACH)?;
            loop {
                let producer = Producer { id: format!("bench/{}", self.number), seq };
                let batch = self.batches[which].clone();
                match self.lake.append(DATASET, batch, Some(producer)).await {
                    Ok(_) => break,
                    Err(error) if error.is_back_pressure() => {
                        refused += 1.0;
                        tokio::time::sleep(BACK_OFF).await;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            latencies_ms.push(sent.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok((latencies_ms, refused))
    }
}
