//! Append, see, flush, recover; upsert and delete; look back; evolve; refuse.

use chrono::Utc;
use store::lake::{INGESTED_AT, Lake, LakeError, LakeOptions, Mode, TableSpec};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_visible_at_once_and_after_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("air.pm25")).await.unwrap();
    let ack = lake.append("air.pm25", many(0, 100), None).await.unwrap();
    assert!(!ack.duplicate);
    assert_eq!(count(&lake, "air.pm25").await, 100);

    // Replayed from the log.
    lake.close().await.unwrap();
    let lake = open(dir.path()).await;
    assert_eq!(count(&lake, "air.pm25").await, 100);

    // In files, and hot beside them.
    lake.flush("air.pm25").await.unwrap();
    let stats = lake.stats("air.pm25").unwrap();
    assert_eq!((stats.rows_hot, stats.rows_in_files, stats.hot_bytes), (0, 100, 0));
    lake.append("air.pm25", many(100, 50), None).await.unwrap();
    assert_eq!(count(&lake, "air.pm25").await, 150);

    // A crash instead of a close: the lake is dropped with its log as it is.
    drop(lake);
    let lake = reopen(dir.path()).await;
    assert_eq!(count(&lake, "air.pm25").await, 150);
    let answer = values(
        &lake,
        "air.pm25",
        "SELECT site, count(*), sum(value) FROM t GROUP BY site ORDER BY site LIMIT 1",
    )
    .await;
    assert_eq!(answer, ["s0 15 1050.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_known_in_memory_in_the_log_and_in_delta() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    let first = lake.append("r", many(0, 10), by("gate-1", 7)).await.unwrap();
    assert_eq!((first.duplicate, first.seq), (false, 7));
    for round in 0..3 {
        let again = lake.append("r", many(0, 10), by("gate-1", 7)).await.unwrap();
        assert_eq!((again.duplicate, again.seq), (true, 7), "round {round}");
    }
    lake.close().await.unwrap();
    let lake = open(dir.path()).await;
    assert!(lake.append("r", many(0, 10), by("gate-1", 7)).await.unwrap().duplicate);
    lake.flush("r").await.unwrap();
    lake.close().await.unwrap();
    let lake = open(dir.path()).await;
    assert!(lake.append("r", many(0, 10), by("gate-1", 7)).await.unwrap().duplicate);
    assert!(!lake.append("r", many(10, 10), by("gate-1", 8)).await.unwrap().duplicate);
    assert!(!lake.append("r", many(20, 10), by("gate-2", 7)).await.unwrap().duplicate);
    assert_eq!(count(&lake, "r").await, 30);
    // The log is gone once everything in it is in Delta.
    lake.flush("r").await.unwrap();
    let left = std::fs::read_dir(dir.path().join("wal/000")).unwrap().count();
    assert_eq!(left, 0, "spent segments are deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts_replace_and_deletes_remove_in_every_layer() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(census("c")).await.unwrap();
    let all = "SELECT site, value FROM t ORDER BY site";
    lake.append("c", rows(&[("a", 0, 1.0), ("b", 0, 2.0), ("a", 1, 3.0)]), None).await.unwrap();
    assert_eq!(values(&lake, "c", all).await, ["a 3.0", "b 2.0"]);
    lake.append("c", rows(&[("b", 0, 5.0), ("c", 0, 6.0)]), None).await.unwrap();
    assert_eq!(values(&lake, "c", all).await, ["a 3.0", "b 5.0", "c 6.0"]);
    lake.flush("c").await.unwrap();
    assert_eq!(values(&lake, "c", all).await, ["a 3.0", "b 5.0", "c 6.0"]);

    // Hot over cold.
    let key = |site: &str| {
        let schema = Arc::new(Schema::new(vec![Field::new("site", DataType::Utf8, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec![site]))]).unwrap()
    };
    lake.append("c", rows(&[("a", 9, 9.0)]), None).await.unwrap();
    lake.delete("c", key("b"), None).await.unwrap();
    assert_eq!(values(&lake, "c", all).await, ["a 9.0", "c 6.0"]);
    assert_eq!(values(&lake, "c", "SELECT value FROM t ORDER BY value").await, ["6.0", "9.0"]);
    assert_eq!(count(&lake, "c").await, 2);

    lake.close().await.unwrap();
    let lake = open(dir.path()).await;
    assert_eq!(values(&lake, "c", all).await, ["a 9.0", "c 6.0"]);
    lake.flush("c").await.unwrap();
    assert_eq!(values(&lake, "c", all).await, ["a 9.0", "c 6.0"]);
    // A deleted key may come back.
    lake.append("c", rows(&[("b", 1, 7.0)]), None).await.unwrap();
    lake.flush("c").await.unwrap();
    assert_eq!(values(&lake, "c", all).await, ["a 9.0", "b 7.0", "c 6.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_of_an_append_table_is_exact_to_the_batch() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    let before = Utc::now();
    let mut moments = Vec::new();
    for i in 0..6 {
        lake.append("r", many(i * 10, 10), None).await.unwrap();
        moments.push(Utc::now());
        if i == 1 || i == 4 {
            lake.flush("r").await.unwrap();
        }
    }
    for reopened in [false, true] {
        let lake = if reopened {
            lake.close().await.unwrap();
            open(dir.path()).await
        } else {
            lake.clone()
        };
        assert_eq!(count_at(&lake, "r", Some(before)).await, 0);
        for (files, at) in (1_i64..).zip(&moments) {
            assert_eq!(count_at(&lake, "r", Some(*at)).await, 10 * files);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_of_an_upsert_table_is_its_last_complete_version() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    let before = Utc::now();
    lake.ensure_table(census("c")).await.unwrap();
    lake.append("c", rows(&[("a", 0, 1.0), ("b", 0, 1.0)]), None).await.unwrap();
    lake.flush("c").await.unwrap();
    let first = Utc::now();
    lake.append("c", rows(&[("a", 0, 2.0)]), None).await.unwrap();
    lake.flush("c").await.unwrap();
    let second = Utc::now();
    lake.append("c", rows(&[("c", 0, 3.0)]), None).await.unwrap();
    let third = Utc::now();
    for (at, rows, sum) in [(first, 2, 2.0), (second, 2, 3.0), (third, 3, 6.0)] {
        assert_eq!(count_at(&lake, "c", Some(at)).await, rows);
        let answer = query_at(&lake, "c", Some(at), "SELECT sum(value) FROM t").await;
        let answer = answer[0].column(0).as_primitive::<arrow::datatypes::Float64Type>().value(0);
        assert_eq!(answer, sum);
    }
    assert_eq!(count_at(&lake, "c", Some(before)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_says_when_it_was_taken_if_asked() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(census("c")).await.unwrap();
    lake.append("c", rows(&[("a", 0, 1.0), ("b", 0, 1.0)]), None).await.unwrap();
    lake.flush("c").await.unwrap();
    let first = Utc::now();
    tokio::time::sleep(Duration::from_millis(2)).await;
    lake.append("c", rows(&[("b", 0, 2.0)]), None).await.unwrap();
    for flushed in [false, true] {
        if flushed {
            lake.flush("c").await.unwrap();
        }
        let context = SessionContext::new();
        context.register_table("t", lake.stamped("c").unwrap()).unwrap();
        for (later, sites) in [("<=", ["a"]), (">", ["b"])] {
            let first = first.to_rfc3339();
            let sql = format!("SELECT site FROM t WHERE {INGESTED_AT} {later} '{first}'");
            let found = context.sql(&sql).await.unwrap().collect().await.unwrap();
            let found: Vec<_> = found.iter().flat_map(|b| b.column(0).as_string::<i32>()).collect();
            assert_eq!(found, sites.map(Some), "{later}, flushed: {flushed}");
        }
    }
    let plain = lake.snapshot("c", None).await.unwrap();
    assert_eq!(plain.schema(), readings_schema(), "nobody else sees it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_grows_columns_and_refuses_what_would_change_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    lake.ensure_table(readings("r")).await.unwrap();
    lake.append("r", many(0, 10), None).await.unwrap();
    lake.flush("r").await.unwrap();
    lake.append("r", many(10, 10), None).await.unwrap();
    let mut fields = readings_schema().fields().to_vec();
    fields.push(Arc::new(Field::new("unit", DataType::Utf8, true)));
    let wider = TableSpec { schema: Arc::new(Schema::new(fields)), ..readings("r") };
    lake.ensure_table(wider.clone()).await.unwrap();
    assert_eq!(count(&lake, "r").await, 20);
    let sql = "SELECT count(*), count(unit) FROM t";
    assert_eq!(values(&lake, "r", sql).await, ["20 0"]);
    // The log still holds frames of the narrower schema.
    lake.close().await.unwrap();
    let lake = open(dir.path()).await;
    assert_eq!(values(&lake, "r", sql).await, ["20 0"]);
    let mut columns = many(20, 1).columns().to_vec();
    columns.push(Arc::new(StringArray::from(vec!["µg/m³"])));
    lake.append("r", RecordBatch::try_new(wider.schema.clone(), columns).unwrap(), None)
        .await
        .unwrap();
    assert_eq!(values(&lake, "r", sql).await, ["21 1"]);
    lake.flush("r").await.unwrap();
    assert_eq!(values(&lake, "r", sql).await, ["21 1"]);

    // Delta readers are told of a column that may be null from now on, too.
    let mut fields = wider.schema.fields().to_vec();
    fields[0] = Arc::new(fields[0].as_ref().clone().with_nullable(true));
    let wider = TableSpec { schema: Arc::new(Schema::new(fields)), ..wider };
    lake.ensure_table(wider.clone()).await.unwrap();
    assert_eq!(values(&lake, "r", sql).await, ["21 1"]);
    let log = files(&lake.table_dir("r").unwrap().join("_delta_log"), ".json").pop().unwrap();
    let log = std::fs::read_to_string(log).unwrap().replace('\\', "");
    assert!(log.contains(r#""name":"site","type":"string","nullable":true"#), "{log}");

    let refused = [
        readings("r"),
        TableSpec { mode: Mode::Upsert { key: vec!["site".to_owned()] }, ..wider.clone() },
        TableSpec { sort: vec!["nowhere".to_owned()], ..wider.clone() },
        TableSpec { name: "../r".to_owned(), ..wider.clone() },
    ];
    for spec in refused {
        let error = lake.ensure_table(spec).await.unwrap_err();
        assert!(matches!(error, LakeError::Spec { .. }), "{error}");
    }
    let error = lake.append("r", many(0, 1), None).await.unwrap_err();
    assert_eq!(error.to_string(), "rows do not fit table r: expected 4 columns, found 3");
    assert!(matches!(lake.append("x", many(0, 1), None).await, Err(LakeError::NoTable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_lake_refuses_and_takes_again_after_a_flush() {
    let dir = tempfile::tempdir().unwrap();
    let options = LakeOptions { table_bytes_max: 200_000, ..quiet(dir.path()) };
    let lake = Lake::open(options).await.unwrap();
    lake.ensure_table(readings("r")).await.unwrap();
    let mut taken = 0;
    let full = loop {
        match lake.append("r", many(taken, 1000), None).await {
            Ok(_) => taken += 1000,
            Err(error) => break error,
        }
        assert!(taken < 100_000, "the cap never bites");
    };
    assert!(full.is_back_pressure(), "{full}");
    assert_eq!(count(&lake, "r").await, taken);
    assert!(lake.stats("r").unwrap().hot_bytes <= 200_000);
    lake.flush("r").await.unwrap();
    lake.append("r", many(taken, 1000), None).await.unwrap();
    assert_eq!(count(&lake, "r").await, taken + 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_owns_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    assert!(matches!(Lake::open(quiet(dir.path())).await, Err(LakeError::Locked(_))));
    lake.close().await.unwrap();
    assert!(matches!(lake.ensure_table(readings("r")).await, Err(LakeError::Closed)));
    open(dir.path()).await.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_is_there_once_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    let mut bulk = lake.bulk("r", "import/abc").await.unwrap();
    assert_eq!(bulk.taken(), None);
    for seq in 0..5 {
        assert!(!bulk.write(many(seq * 100, 100), seq.unsigned_abs()).await.unwrap());
    }
    assert_eq!(count(&lake, "r").await, 0, "nothing is there before the commit");
    let ack = bulk.commit().await.unwrap();
    assert_eq!((ack.rows, ack.taken), (500, Some(4)));
    bulk.write(many(500, 100), 5).await.unwrap();
    // Dropped without a commit: number 5 was never taken.
    drop(bulk);
    assert_eq!(count(&lake, "r").await, 500);
    lake.close().await.unwrap();
    let lake = open(dir.path()).await;
    let mut bulk = lake.bulk("r", "import/abc").await.unwrap();
    assert_eq!(bulk.taken(), Some(4));
    assert!(bulk.write(many(0, 100), 0).await.unwrap());
    assert!(!bulk.write(many(500, 100), 5).await.unwrap());
    assert_eq!(bulk.commit().await.unwrap().rows, 100);
    assert_eq!(count(&lake, "r").await, 600);
    // The same numbers are known to the log as well.
    assert!(lake.append("r", many(0, 1), by("import/abc", 5)).await.unwrap().duplicate);
    lake.ensure_table(census("c")).await.unwrap();
    let mut bulk = lake.bulk("c", "import/abc").await.unwrap();
    bulk.write(rows(&[("a", 0, 1.0), ("b", 0, 1.0)]), 0).await.unwrap();
    assert!(bulk.write(rows(&[("a", 0, 1.0)]), 0).await.unwrap());
    assert_eq!(bulk.commit().await.unwrap().rows, 2);
    assert_eq!(count(&lake, "c").await, 2);
}
