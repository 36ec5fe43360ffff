//! The tables are plain Delta: Python's `deltalake` and DuckDB see the same rows.
//!
//! Needs `pip install deltalake duckdb pyarrow`; without them the test says so and passes.

use std::process::Command;

use super::*;

/// What `open_lake.py` says of a table, or `None` where its libraries are missing.
fn ask_python(folder: &Path) -> Option<serde_json::Value> {
    let available =
        Command::new("python3").args(["-c", "import deltalake, duckdb, pyarrow"]).output();
    if !available.is_ok_and(|output| output.status.success()) {
        println!("skipped: python3 with deltalake, duckdb and pyarrow is not installed");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python/open_lake.py");
    let output = Command::new("python3").arg(script).arg(folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn others_open_the_tables_as_plain_delta() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    lake.ensure_table(census("c")).await.unwrap();
    // Past a checkpoint of the Delta log, with a compaction in between.
    for i in 0..25 {
        lake.append("r", many(i * 100, 100), by("p", i.unsigned_abs())).await.unwrap();
        lake.append("c", many(i * 3, 10), None).await.unwrap();
        lake.flush("r").await.unwrap();
        lake.flush("c").await.unwrap();
        if i == 12 {
            lake.maintain("r").await.unwrap();
        }
    }
    let log = lake.table_dir("r").unwrap().join("_delta_log");
    assert!(!files(&log, ".checkpoint.parquet").is_empty(), "a checkpoint was due");
    let metadata = std::fs::read_to_string(log.join("00000000000000000000.json")).unwrap();
    assert!(
        !metadata.contains("setTransactionRetentionDuration"),
        "transactions are kept for ever"
    );
    for (table, rows) in [("r", 2500), ("c", 10)] {
        assert_eq!(count(&lake, table).await, rows);
        let Some(told) = ask_python(&lake.table_dir(table).unwrap()) else { return };
        assert_eq!(told["rows"]["deltalake"], rows);
        assert_eq!(told["rows"]["duckdb"], rows);
        assert_eq!(told["columns"], serde_json::json!(["site", "at", "value", "_ingested_at"]));
    }
}
