//! The same queries through the catalogue and by DataFusion alone, over one city's rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use catalog::{Principal, Session, Surface};
use datafusion::execution::context::SessionContext;
use datafusion::prelude::{SessionConfig, col, lit};

use super::city::open;
use super::{DATASET, KEYED, Values};
use crate::figures::analytic::QUERIES;
use crate::readings;

/// Every tenth series or so, so that reads do not meet what the last one left in a cache.
const SERIES_STRIDE: u64 = 7_919;

/// The asker's areas: every row's is one of them, and all codes below them sort before the second.
const AREAS: &str = "5101";
const AREAS_END: &str = "5102";

pub async fn governed(dir: &Path, rounds: usize) -> anyhow::Result<Values> {
    let city = open(dir).await?;
    let session = session();
    let mut values = BTreeMap::new();
    for (name, sql) in QUERIES {
        let sql = sql.replace("FROM reading", &format!("FROM {DATASET}"));
        let mut seconds = Vec::new();
        for round in 0..=rounds {
            let started = Instant::now();
            let rows = city.query(&session, &sql, &[]).await?.collect().await?;
            note(&mut seconds, round, started, &rows);
        }
        values.insert(name.to_owned(), seconds);
    }
    city.close().await?;
    Ok(values)
}

pub async fn bare(dir: &Path, filtered: bool, rounds: usize) -> anyhow::Result<Values> {
    let city = open(dir).await?;
    let mut config = SessionConfig::new();
    config.options_mut().execution.time_zone = Some("UTC".into());
    let context = SessionContext::new_with_config(config);
    let table = city.lake().snapshot(DATASET, None).await?;
    let table = match filtered {
        true => {
            let rule = col("area").gt_eq(lit(AREAS)).and(col("area").lt(lit(AREAS_END)));
            context.read_table(table)?.filter(rule)?.into_view()
        }
        false => table,
    };
    context.register_table("reading", table)?;
    let mut values = BTreeMap::new();
    for (name, sql) in QUERIES {
        let mut seconds = Vec::new();
        for round in 0..=rounds {
            let started = Instant::now();
            let rows = context.sql(sql).await?.collect().await?;
            note(&mut seconds, round, started, &rows);
        }
        values.insert(name.to_owned(), seconds);
    }
    city.close().await?;
    Ok(values)
}

pub async fn point(dir: &Path, reads: u64) -> anyhow::Result<Values> {
    let city = open(dir).await?;
    let session = session();
    let mut latencies_ms = Vec::new();
    for read in 0..=reads {
        let series = readings::series_name(read * SERIES_STRIDE % readings::SERIES);
        let sql = format!(
            "SELECT * FROM {KEYED} WHERE series = '{series}' ORDER BY observed_at DESC LIMIT 100"
        );
        let started = Instant::now();
        let rows = city.query(&session, &sql, &[]).await?.collect().await?;
        let found: usize = rows.iter().map(arrow::array::RecordBatch::num_rows).sum();
        anyhow::ensure!(found > 0, "series {series} has no rows");
        // The first read opens files; a server does that once.
        if read > 0 {
            latencies_ms.push(started.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    city.close().await?;
    Ok(BTreeMap::from([("latency_ms".to_owned(), latencies_ms)]))
}

/// Counts a round, except the first, which opens files.
fn note<T>(seconds: &mut Vec<f64>, round: usize, started: Instant, rows: &T) {
    std::hint::black_box(rows);
    if round > 0 {
        seconds.push(started.elapsed().as_secs_f64());
    }
}

/// Somebody who is not the owner: the policy's row filter applies, and lets every row through.
fn session() -> Session {
    let principal = Principal {
        user: "bench".to_owned(),
        organisation: "planning".to_owned(),
        ancestors: vec!["planning".to_owned()],
        organisations: BTreeSet::from(["planning".to_owned()]),
        area_prefixes: vec![AREAS.to_owned()],
        roles: BTreeSet::from(["analyst".to_owned()]),
        permissions: BTreeSet::from(["query".to_owned(), "read_catalogue".to_owned()]),
    };
    Session {
        principal: Arc::new(principal),
        as_of: None,
        scenario: None,
        surface: Surface::Engine,
    }
}
