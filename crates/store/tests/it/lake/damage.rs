//! Damage on the disk: a clear error that names the file, never a wrong answer.

use datafusion::prelude::SessionContext;
use store::lake::{Lake, LakeError};

use super::*;

async fn lake_with_log(dir: &Path) -> PathBuf {
    let lake = open(dir).await;
    lake.ensure_table(readings("r")).await.unwrap();
    for i in 0..5 {
        lake.append("r", many(i * 10, 10), None).await.unwrap();
    }
    drop(lake);
    reopen(dir).await.close().await.unwrap();
    files(&dir.join("wal/000"), ".wal").pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_log_names_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    let log = lake_with_log(dir.path()).await;
    let whole = std::fs::read(&log).unwrap();
    for byte in (0..whole.len() - 100).step_by(97) {
        flip(&log, byte);
        match Lake::open(quiet(dir.path())).await {
            Err(LakeError::Corrupt { file, offset, .. }) => {
                assert_eq!(file, log.canonicalize().unwrap());
                assert!(offset <= byte as u64);
            }
            other => panic!("byte {byte}: {:?}", other.map(|_| "opened")),
        }
        std::fs::write(&log, &whole).unwrap();
    }
    assert_eq!(count(&open(dir.path()).await, "r").await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_dropped_once_and_the_lake_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    lake.append("r", many(0, 10), None).await.unwrap();
    let log = files(&dir.path().join("wal/000"), ".wal").pop().unwrap();
    let acknowledged = std::fs::metadata(&log).unwrap().len();
    lake.append("r", many(10, 10), None).await.unwrap();
    drop(lake);
    drop(reopen(dir.path()).await);
    // As if the crash had come before the second group was on the disk in full.
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.truncate(usize::try_from(acknowledged).unwrap() + 100);
    std::fs::write(&log, bytes).unwrap();
    for round in 1..4 {
        let lake = reopen(dir.path()).await;
        assert_eq!(count(&lake, "r").await, round * 10);
        lake.append("r", many(1000 * round, 10), None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_end_is_told_from_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let log = lake_with_log(dir.path()).await;
    let lake = open(dir.path()).await;
    lake.append("r", many(50, 10), None).await.unwrap();
    drop(lake);
    // The first segment is not the last any more: a cut, even between two frames, is damage.
    let bytes = std::fs::read(&log).unwrap();
    std::fs::write(&log, &bytes[..24]).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = Lake::open(quiet(dir.path())).await.unwrap_err();
    assert!(matches!(error, LakeError::Corrupt { offset: 24, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_anywhere_in_a_data_file_is_an_error_and_never_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    lake.append("r", many(0, 20_000), None).await.unwrap();
    lake.flush("r").await.unwrap();
    let file = files(&lake.table_dir("r").unwrap(), ".parquet").pop().unwrap();
    let len = std::fs::metadata(&file).unwrap().len();
    lake.close().await.unwrap();
    for byte in (0..usize::try_from(len).unwrap()).step_by(5003) {
        flip(&file, byte);
        let lake = open(dir.path()).await;
        let context = SessionContext::new();
        context.register_table("t", lake.snapshot("r", None).await.unwrap()).unwrap();
        let sql = "SELECT site, sum(value), max(at) FROM t GROUP BY site";
        let answer = context.sql(sql).await.unwrap().collect().await;
        let error = answer.expect_err("a damaged file gave an answer").to_string();
        assert!(error.contains(file.file_name().unwrap().to_str().unwrap()), "{error}");
        assert!(error.contains("checksum"), "{error}");
        lake.close().await.unwrap();
        flip(&file, byte);
    }
    // Cut short, or longer than it was.
    let whole = std::fs::read(&file).unwrap();
    for bytes in [whole[..whole.len() - 1].to_vec(), [&whole[..], b"x"].concat()] {
        std::fs::write(&file, bytes).unwrap();
        let lake = open(dir.path()).await;
        let context = SessionContext::new();
        context.register_table("t", lake.snapshot("r", None).await.unwrap()).unwrap();
        let answer = context.sql("SELECT sum(value) FROM t").await.unwrap().collect().await;
        assert!(answer.unwrap_err().to_string().contains("bytes"));
        lake.close().await.unwrap();
    }
    std::fs::write(&file, whole).unwrap();
    assert_eq!(count(&open(dir.path()).await, "r").await, 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_refuses_a_damaged_file_instead_of_copying_it() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    lake.ensure_table(census("c")).await.unwrap();
    for i in 0..4 {
        lake.append("r", many(i * 1000, 1000), None).await.unwrap();
        lake.flush("r").await.unwrap();
    }
    lake.append("c", rows(&[("a", 0, 1.0), ("b", 0, 2.0)]), None).await.unwrap();
    lake.flush("c").await.unwrap();
    for table in ["r", "c"] {
        let file = files(&lake.table_dir(table).unwrap(), ".parquet").remove(0);
        flip(&file, 20);
    }
    let error = lake.maintain("r").await.unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(lake.stats("r").unwrap().files, 4, "the inputs stay");
    lake.append("c", rows(&[("a", 0, 3.0)]), None).await.unwrap();
    let error = lake.flush("c").await.unwrap_err();
    assert!(matches!(error, LakeError::Corrupt { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_others_changed_beyond_us_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path()).await;
    lake.ensure_table(readings("r")).await.unwrap();
    lake.append("r", many(0, 10), None).await.unwrap();
    lake.flush("r").await.unwrap();
    let log = lake.table_dir("r").unwrap().join("_delta_log");
    lake.close().await.unwrap();
    let next = files(&log, ".json").len();
    let protocol = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}"#;
    std::fs::write(log.join(format!("{next:020}.json")), protocol).unwrap();
    let error = Lake::open(quiet(dir.path())).await.unwrap_err();
    assert!(error.to_string().contains("reader version to 3"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_spec_or_layout_is_named() {
    let dir = tempfile::tempdir().unwrap();
    lake_with_log(dir.path()).await;
    for name in ["specs/r.json", "lake.json"] {
        let path = dir.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = Lake::open(quiet(dir.path())).await.unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        std::fs::write(&path, &whole).unwrap();
        let newer = String::from_utf8(whole.clone()).unwrap();
        let newer = newer.replacen("\"version\": 1", "\"version\": 7", 1);
        let newer = newer.replacen("\"version\":1", "\"version\":7", 1);
        std::fs::write(&path, newer).unwrap();
        let error = Lake::open(quiet(dir.path())).await.unwrap_err();
        assert!(matches!(error, LakeError::Version { found: 7, known: 1, .. }), "{error}");
        std::fs::write(&path, &whole).unwrap();
    }
    std::fs::remove_file(dir.path().join("specs/r.json")).unwrap();
    let error = Lake::open(quiet(dir.path())).await.unwrap_err();
    assert!(error.to_string().contains("table r, which has no spec"), "{error}");
}
