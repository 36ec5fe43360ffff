//! Every limit is met by a query of its own; that query fails with the limit's name, and the
//! catalogue goes on answering.

use std::time::{Duration, Instant};

use catalog::sql::{CatalogOptions, LimitKind, Limits};
use catalog::{Catalog, SqlError};
use futures::StreamExt;
use std::sync::Arc;

use crate::support::{ask, catalog_with, city_pack, options, refusal, rows, session, value};

fn limited(change: impl FnOnce(&mut Limits)) -> Arc<Catalog> {
    let mut limits = options().limits;
    change(&mut limits);
    catalog_with(city_pack(), rows(), CatalogOptions { limits, ..options() })
}

async fn over(catalog: &Catalog, sql: &str, expected: LimitKind) {
    let admin = session("admin");
    let error = refusal(catalog, &admin, sql).await;
    let SqlError::Limit { what, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*what, expected, "{error}");
    assert_eq!(value(catalog, &admin, "SELECT count(*) FROM air.pm25").await, "100");
}

#[tokio::test]
async fn statement_length() {
    let catalog = limited(|limits| limits.statement_bytes_max = 100);
    let sql = format!("SELECT 1 -- {}", "x".repeat(100));
    over(&catalog, &sql, LimitKind::StatementBytes).await;
}

#[tokio::test]
async fn nesting_and_chains_do_not_reach_the_stack() {
    let catalog = limited(|_| {});
    let deep = |open: &str, close: &str, n: usize| {
        format!("SELECT {}1{}", open.repeat(n), close.repeat(n))
    };
    for sql in [
        deep("(", ")", 5_000),
        deep("(", ")", 100_000),
        deep("-", "", 20_000),
        deep("NOT ", "", 20_000),
        deep("", " + 1", 20_000),
        deep("", " OR 1", 20_000),
        deep("", "::int", 20_000),
        deep("abs(", ")", 5_000),
        deep("CASE WHEN true THEN ", " END", 5_000),
        format!("SELECT x{} FROM (SELECT [1] AS x) t", "[1]".repeat(10_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5_000)),
        format!("SELECT 1 FROM air.pm25{}", " NATURAL JOIN air.pm25".repeat(2_000)),
        format!("SELECT * FROM {}air.pm25{}", "(SELECT * FROM ".repeat(2_000), ") x".repeat(2_000)),
    ] {
        let error = refusal(&catalog, &session("admin"), &sql).await;
        assert!(
            matches!(error, SqlError::Limit { .. } | SqlError::Syntax { .. }),
            "{}…: {error:?}",
            &sql[..60]
        );
    }
    // Many tables, each with a name of its own: wide, and deep once it is planned.
    let tables: Vec<String> = (0..500).map(|i| format!("air.pm25 t{i}")).collect();
    let sql = format!("SELECT 1 FROM {}", tables.join(", "));
    over(&catalog, &sql, LimitKind::PlanNodes).await;
    // Long lists are no chains.
    let list: Vec<String> = (0..5_000).map(|i| i.to_string()).collect();
    let sql = format!("SELECT count(*) FROM air.pm25 WHERE hour IN ({})", list.join(", "));
    assert_eq!(value(&catalog, &session("admin"), &sql).await, "100");
}

#[tokio::test]
async fn plan_size() {
    let catalog = limited(|limits| limits.plan_nodes_max = 20);
    let sql = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(30));
    over(&catalog, &sql, LimitKind::PlanNodes).await;
    // A short text that names each of its parts twice is a plan of a thousand million steps.
    let catalog = limited(|_| {});
    let mut sql = "WITH t0 AS (SELECT 1 AS x)".to_owned();
    for level in 1..30 {
        let below = level - 1;
        sql += &format!(", t{level} AS (SELECT a.x FROM t{below} a, t{below} b)");
    }
    over(&catalog, &(sql + " SELECT count(*) FROM t29"), LimitKind::PlanNodes).await;
    let catalog = limited(|limits| limits.plan_depth_max = 10);
    let sql = format!("SELECT * FROM {}air.pm25{}", "(SELECT * FROM ".repeat(12), ") x".repeat(12));
    over(&catalog, &sql, LimitKind::PlanDepth).await;
}

#[tokio::test]
async fn output_rows_and_bytes() {
    let catalog = limited(|limits| limits.output_rows_max = 1_000);
    over(&catalog, "SELECT * FROM generate_series(1, 100000)", LimitKind::OutputRows).await;
    let catalog = limited(|limits| limits.output_bytes_max = 100_000);
    over(
        &catalog,
        "SELECT repeat('x', 1000) FROM generate_series(1, 100000)",
        LimitKind::OutputBytes,
    )
    .await;
}

#[tokio::test]
async fn memory_of_one_query_and_of_all() {
    let hungry = "SELECT sum(array_length(x.values)) FROM (SELECT array_agg(b.value) AS values FROM \
                  generate_series(1, 1000) a, generate_series(1, 1000) b GROUP BY a.value) x";
    let catalog = limited(|limits| limits.query_memory_bytes_max = 200 << 10);
    over(&catalog, hungry, LimitKind::Memory).await;
    let catalog = limited(|limits| limits.process_memory_bytes_max = 200 << 10);
    over(&catalog, hungry, LimitKind::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_holds_while_rows_come() {
    let catalog = limited(|limits| limits.time_max = Duration::from_millis(500));
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) a, \
                   generate_series(1, 1000000) b WHERE a.value + b.value < 0";
    let started = Instant::now();
    over(&catalog, endless, LimitKind::Time).await;
    assert!(started.elapsed() < Duration::from_secs(10), "it ran for {:?}", started.elapsed());

    // One that gives its first rows in time and is then read slowly.
    let sql = "SELECT * FROM generate_series(1, 1000000)";
    let mut answer = catalog.query(&session("admin"), sql, &[]).await.expect("it starts");
    assert!(answer.stream.next().await.expect("rows").is_ok());
    tokio::time::sleep(Duration::from_millis(600)).await;
    let late = loop {
        match answer.stream.next().await {
            Some(Ok(_)) => {}
            other => break other,
        }
    };
    let timed_out = matches!(late, Some(Err(SqlError::Limit { what: LimitKind::Time, .. })));
    assert!(timed_out, "{late:?}");
    assert!(answer.stream.next().await.is_none(), "nothing comes after an error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrency_is_shared_out() {
    let catalog = limited(|limits| {
        limits.concurrent_max = 3;
        limits.concurrent_per_principal_max = 2;
        limits.admission_wait_max = Duration::from_millis(100);
    });
    let (admin, street) = (session("admin"), session("street"));
    let sql = "SELECT * FROM generate_series(1, 1000000)";
    let first = catalog.query(&admin, sql, &[]).await.expect("a place");
    let second = catalog.query(&admin, sql, &[]).await.expect("a place");
    let error = refusal(&catalog, &admin, "SELECT 1").await;
    assert!(matches!(error, SqlError::Limit { what: LimitKind::Concurrency, .. }), "{error:?}");
    // To describe is to plan, which is work like any other.
    let error = catalog.describe(&admin, "SELECT 1").await.expect_err("no place");
    assert!(matches!(error, SqlError::Limit { what: LimitKind::Concurrency, .. }), "{error:?}");
    // Somebody else still gets in, and the place is free again once an answer is dropped.
    let third = catalog.query(&street, sql, &[]).await.expect("a place");
    let error = refusal(&catalog, &session("police"), "SELECT 1").await;
    assert!(matches!(error, SqlError::Limit { what: LimitKind::Concurrency, .. }), "{error:?}");
    drop(first);
    assert!(ask(&catalog, &admin, "SELECT 1").await.is_ok());
    drop((second, third));
    assert!(ask(&catalog, &session("police"), "SELECT 1").await.is_ok());
}

#[tokio::test]
async fn a_panic_fails_alone() {
    let catalog = limited(|_| {});
    // A null geometry makes one of the spatial functions panic.
    let sql = "SELECT st_intersects(st_geomfromtext(CAST(NULL AS TEXT)), \
               st_geomfromtext('POINT(' || hour || ' 1)')) FROM air.pm25";
    match ask(&catalog, &session("admin"), sql).await {
        Ok(_) | Err(SqlError::Internal { .. } | SqlError::Invalid { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
    assert_eq!(value(&catalog, &session("admin"), "SELECT 1").await, "1");
}
