//! Compaction, retention and vacuum: fewer files, the same rows, and no more than is due.

use chrono::Utc;
use store::lake::{Lake, LakeError, LakeOptions, Retention, TableSpec};

use super::*;

const SUM: &str = "SELECT count(*), sum(value), min(at), max(at), count(DISTINCT site) FROM t";

#[tokio::test(flavor = "multi_thread")]
async fn compaction_changes_no_row_and_no_past() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    let mut moments = Vec::new();
    for i in 0..6 {
        lake.append("r", many(i * 100, 100), by("p", i.unsigned_abs())).await.unwrap();
        moments.push(Utc::now());
        lake.flush("r").await.unwrap();
    }
    let before = values(&lake, "r", SUM).await;
    let done = lake.maintain("r").await.unwrap();
    assert_eq!((done.files_merged, done.files_written, done.files_deleted), (6, 1, 0));
    assert_eq!(lake.stats("r").unwrap().files, 1);
    assert_eq!(values(&lake, "r", SUM).await, before);
    for (files, at) in (1_i64..).zip(&moments) {
        assert_eq!(count_at(&lake, "r", Some(*at)).await, 100 * files);
    }
    // The merged file is sorted, so that a point read finds its pages.
    let sorted = values(&lake, "r", "SELECT site, at FROM t").await;
    assert!(sorted.is_sorted(), "files are merged in the table's order");
    assert_eq!(lake.maintain("r").await.unwrap(), Default::default(), "nothing is left to do");
    assert!(lake.append("r", many(0, 1), by("p", 5)).await.unwrap().duplicate);
    lake.close().await.unwrap();
    assert_eq!(values(&open(dir.path()).await, "r", SUM).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_past_their_days_go_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    let retention = Some(Retention { column: "at".to_owned(), days: 30 });
    lake.ensure_table(TableSpec { retention, ..readings("r") }).await.unwrap();
    let minutes_ago = |days: i64| Utc::now().timestamp() / 60 - days * 24 * 60;
    // A file of old rows, one of old and new ones, one of new rows.
    for days in [&[90, 60][..], &[45, 10], &[5, 1]] {
        let batch: Vec<_> = days.iter().map(|d| ("s", minutes_ago(*d), *d as f64)).collect();
        lake.append("r", rows(&batch), None).await.unwrap();
        lake.flush("r").await.unwrap();
    }
    let done = lake.maintain("r").await.unwrap();
    assert_eq!(done.rows_expired, 3);
    assert_eq!(
        values(&lake, "r", "SELECT value FROM t ORDER BY value").await,
        ["1.0", "5.0", "10.0"]
    );
    assert_eq!(lake.stats("r").unwrap().files, 2);
    assert_eq!(lake.maintain("r").await.unwrap().rows_expired, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_deletes_what_no_kept_version_needs() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(census("c")).await.unwrap();
    lake.append("c", rows(&[("a", 0, 1.0)]), None).await.unwrap();
    lake.flush("c").await.unwrap();
    let first = Utc::now();
    lake.append("c", rows(&[("a", 0, 2.0)]), None).await.unwrap();
    lake.flush("c").await.unwrap();
    let folder = lake.table_dir("c").unwrap();
    let orphan = folder.join("part-orphan.parquet");
    std::fs::write(&orphan, b"left by a crash").unwrap();
    assert_eq!(lake.maintain("c").await.unwrap().files_deleted, 0, "all is within the history");
    assert_eq!(count_at(&lake, "c", Some(first)).await, 1);
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(4 * 24 * 60 * 60);
    std::fs::File::options().write(true).open(&orphan).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(lake.maintain("c").await.unwrap().files_deleted, 1, "an old orphan goes");
    lake.close().await.unwrap();

    let options = LakeOptions { history_days: 0, ..quiet(dir.path()) };
    let lake = Lake::open(options).await.unwrap();
    assert_eq!(lake.maintain("c").await.unwrap().files_deleted, 1);
    assert_eq!(files(&folder, ".parquet").len(), 1);
    assert_eq!(values(&lake, "c", "SELECT site, value FROM t").await, ["a 2.0"]);
    let error = lake.snapshot("c", Some(first)).await.unwrap_err();
    assert!(matches!(error, LakeError::HistoryGone { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_background_seals_what_waits_and_frees_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        LakeOptions { seal_after: Duration::from_millis(100), ..LakeOptions::new(dir.path()) };
    let lake = Lake::open(options).await.unwrap();
    lake.ensure_table(readings("r")).await.unwrap();
    lake.append("r", many(0, 100), None).await.unwrap();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let spent = files(&dir.path().join("wal/000"), ".wal").is_empty();
        if lake.stats("r").unwrap().rows_in_files == 100 && spent {
            assert_eq!(count(&lake, "r").await, 100);
            return;
        }
    }
    panic!("rows were never sealed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_steady_stream_does_not_hold_up_a_flush_or_a_backup() {
    const LIMIT: Duration = Duration::from_secs(60);
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    lake.append("r", many(0, 1000), None).await.unwrap();
    let streaming = {
        let lake = lake.clone();
        tokio::spawn(async move {
            loop {
                lake.append("r", many(0, 10), None).await.unwrap();
            }
        })
    };
    let before = count(&lake, "r").await;
    tokio::time::timeout(LIMIT, lake.flush("r")).await.expect("a flush ends").unwrap();
    assert!(i64::try_from(lake.stats("r").unwrap().rows_in_files).unwrap() >= before);
    let copy = tempfile::tempdir().unwrap();
    let before = count(&lake, "r").await;
    let backup = lake.backup(copy.path());
    tokio::time::timeout(LIMIT, backup).await.expect("a backup ends").unwrap();
    streaming.abort();
    assert!(count(&open(copy.path()).await, "r").await >= before);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_keep_their_moment_while_everything_moves() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    lake.append("r", many(0, 1000), None).await.unwrap();
    let context = SessionContext::new();
    context.register_table("t", lake.snapshot("r", None).await.unwrap()).unwrap();
    for i in 1..6 {
        lake.append("r", many(i * 1000, 1000), None).await.unwrap();
        lake.flush("r").await.unwrap();
    }
    lake.maintain("r").await.unwrap();
    let answer = context.sql("SELECT count(*) FROM t").await.unwrap().collect().await.unwrap();
    assert_eq!(answer[0].column(0).as_primitive::<Int64Type>().value(0), 1000);
    assert_eq!(count(&lake, "r").await, 6000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_read_prunes_files_row_groups_and_pages() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    let mut bulk = lake.bulk("r", "import/points").await.unwrap();
    // 400,000 rows of 2,000 series.
    for seq in 0..8_i64 {
        let names: Vec<String> = (0..2000).map(|i| format!("series-{i:05}")).collect();
        let batch: Vec<_> = (0..50_000_i64)
            .map(|i| {
                let n = seq * 50_000 + i;
                (names[usize::try_from(n % 2000).unwrap()].as_str(), n / 2000, n as f64)
            })
            .collect();
        bulk.write(rows(&batch), seq.unsigned_abs()).await.unwrap();
    }
    bulk.commit().await.unwrap();
    let context = SessionContext::new();
    context.register_table("t", lake.snapshot("r", None).await.unwrap()).unwrap();
    let sql = "EXPLAIN ANALYZE SELECT at, value FROM t WHERE site = 'series-01234' ORDER BY at DESC LIMIT 100";
    let plan = context.sql(sql).await.unwrap().collect().await.unwrap();
    let plan = arrow::util::pretty::pretty_format_batches(&plan).unwrap().to_string();
    assert!(plan.contains("row_groups_pruned_statistics=4 total → 1 matched"), "{plan}");
    let answer = values(
        &lake,
        "r",
        "SELECT at, value FROM t WHERE site = 'series-01234' ORDER BY at DESC LIMIT 100",
    )
    .await;
    assert_eq!(answer.len(), 100);
    assert!(answer[0].ends_with(" 399234.0"), "{}", answer[0]);
}
