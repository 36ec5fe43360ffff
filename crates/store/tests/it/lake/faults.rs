//! A disk that fails: every failure is told, and nothing acknowledged is lost or doubled.

use std::sync::atomic::Ordering::SeqCst;

use store::lake::faults::FaultIo;
use store::lake::{Lake, LakeError, LakeOptions};

use super::*;

async fn open_faulty(dir: &Path) -> (Arc<Lake>, FaultIo) {
    let io = FaultIo::default();
    let options = LakeOptions { io: Arc::new(io.clone()), ..quiet(dir) };
    let lake = Lake::open(options).await.unwrap();
    lake.ensure_table(readings("r")).await.unwrap();
    (lake, io)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_fsync_the_lane_takes_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, io) = open_faulty(dir.path()).await;
    lake.append("r", many(0, 10), by("p", 1)).await.unwrap();
    io.faults.fail_sync.store(true, SeqCst);
    let error = lake.append("r", many(10, 10), by("p", 2)).await.unwrap_err();
    assert!(error.to_string().contains("cannot fsync"), "{error}");
    io.faults.fail_sync.store(false, SeqCst);
    let error = lake.append("r", many(10, 10), by("p", 2)).await.unwrap_err();
    assert!(matches!(error, LakeError::Poisoned { .. }), "{error}");
    assert_eq!(count(&lake, "r").await, 10, "reading goes on");
    assert!(lake.close().await.is_err(), "the failure is told once more");
    // Nobody was told about number 2: it may be there or not, and a retry settles it.
    let lake = open(dir.path()).await;
    lake.append("r", many(10, 10), by("p", 2)).await.unwrap();
    assert_eq!(count(&lake, "r").await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_appends_and_lets_them_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, io) = open_faulty(dir.path()).await;
    lake.append("r", many(0, 10), None).await.unwrap();
    for room in [0, 7, 100, 500] {
        io.faults.bytes_left.store(room, SeqCst);
        let error = lake.append("r", many(10, 100), None).await.unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
        assert_eq!(count(&lake, "r").await, 10);
        io.faults.bytes_left.store(-1, SeqCst);
    }
    lake.append("r", many(10, 100), None).await.unwrap();
    assert_eq!(count(&lake, "r").await, 110);
    drop(lake);
    let lake = reopen(dir.path()).await;
    assert_eq!(count(&lake, "r").await, 110, "half-written groups left no trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_whose_log_cannot_be_cut_stops_the_lane_but_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, io) = open_faulty(dir.path()).await;
    lake.append("r", many(0, 10), None).await.unwrap();
    io.faults.bytes_left.store(100, SeqCst);
    io.faults.fail_set_len.store(true, SeqCst);
    lake.append("r", many(10, 100), None).await.unwrap_err();
    io.faults.bytes_left.store(-1, SeqCst);
    let error = lake.append("r", many(10, 100), None).await.unwrap_err();
    assert!(matches!(error, LakeError::Poisoned { .. }), "{error}");
    drop(lake);
    let lake = reopen(dir.path()).await;
    assert_eq!(count(&lake, "r").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_that_fails_anywhere_leaves_the_rows_and_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, io) = open_faulty(dir.path()).await;
    lake.append("r", many(0, 1000), by("p", 1)).await.unwrap();
    // From the first byte of the Parquet file through its checksums to the commit's last byte.
    let mut failures = 0;
    let mut room = 0;
    loop {
        io.faults.bytes_left.store(room, SeqCst);
        let flushed = lake.flush("r").await;
        io.faults.bytes_left.store(-1, SeqCst);
        assert_eq!(count(&lake, "r").await, 1000, "with room for {room} bytes");
        if flushed.is_ok() {
            break;
        }
        let told = lake.stats("r").unwrap().seal_error.unwrap();
        assert!(told.contains("no space left"), "{told}");
        failures += 1;
        room += 997;
    }
    assert!(failures > 5, "only {failures} failures were tried");
    let parquet = files(&lake.table_dir("r").unwrap(), ".parquet");
    assert_eq!(parquet.len(), 1, "failed tries left files on the full disk: {parquet:?}");
    lake.append("r", many(1000, 10), by("p", 2)).await.unwrap();
    io.faults.fail_sync_dir.store(true, SeqCst);
    lake.flush("r").await.unwrap_err();
    io.faults.fail_sync_dir.store(false, SeqCst);
    lake.flush("r").await.unwrap();
    assert_eq!(count(&lake, "r").await, 1010);
    assert_eq!(lake.stats("r").unwrap().seal_error, None);
    drop(lake);
    let lake = reopen(dir.path()).await;
    assert_eq!(count(&lake, "r").await, 1010);
    assert!(lake.append("r", many(0, 1000), by("p", 1)).await.unwrap().duplicate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_not_made_twice_and_forgets_no_producer() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, io) = open_faulty(dir.path()).await;
    lake.append("r", many(0, 10), by("p", 1)).await.unwrap();
    io.faults.fail_commit_answer.store(true, SeqCst);
    lake.flush("r").await.unwrap_err();
    // Taken between the commit and the retry that finds it made: `q` is not in that commit.
    lake.append("r", many(10, 10), by("q", 1)).await.unwrap();
    lake.append("r", many(20, 10), by("p", 2)).await.unwrap();
    io.faults.fail_commit_answer.store(false, SeqCst);
    lake.flush("r").await.unwrap();
    assert_eq!(count(&lake, "r").await, 30);
    assert_eq!(files(&lake.table_dir("r").unwrap(), ".parquet").len(), 2);
    lake.close().await.unwrap();
    assert_eq!(files(&dir.path().join("wal/000"), ".wal"), Vec::<PathBuf>::new());
    let lake = open(dir.path()).await;
    assert_eq!(count(&lake, "r").await, 30);
    for (producer, seq) in [("p", 1), ("p", 2), ("q", 1)] {
        let again = lake.append("r", many(0, 10), by(producer, seq)).await.unwrap();
        assert!(again.duplicate, "{producer} {seq} was forgotten");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_whose_commit_was_not_answered_is_shown_by_its_retry() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, io) = open_faulty(dir.path()).await;
    let mut bulk = lake.bulk("r", "import/x").await.unwrap();
    bulk.write(many(0, 1000), 0).await.unwrap();
    io.faults.fail_commit_answer.store(true, SeqCst);
    bulk.commit().await.unwrap_err();
    io.faults.fail_commit_answer.store(false, SeqCst);
    assert_eq!(bulk.commit().await.unwrap().rows, 1000);
    assert_eq!(count(&lake, "r").await, 1000, "what is acknowledged is visible");
    drop(bulk);
    assert_eq!(count(&lake, "r").await, 1000);
    // The same when the retry is another bulk.
    let mut bulk = lake.bulk("r", "import/y").await.unwrap();
    bulk.write(many(0, 500), 0).await.unwrap();
    io.faults.fail_commit_answer.store(true, SeqCst);
    bulk.commit().await.unwrap_err();
    drop(bulk);
    io.faults.fail_commit_answer.store(false, SeqCst);
    let mut bulk = lake.bulk("r", "import/y").await.unwrap();
    bulk.write(many(0, 500), 0).await.unwrap();
    bulk.commit().await.unwrap();
    assert_eq!(count(&lake, "r").await, 1500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_on_a_full_disk_commits_nothing_and_can_be_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, io) = open_faulty(dir.path()).await;
    let mut bulk = lake.bulk("r", "import/x").await.unwrap();
    bulk.write(many(0, 1000), 0).await.unwrap();
    io.faults.bytes_left.store(1000, SeqCst);
    let error = bulk.commit().await.unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    io.faults.bytes_left.store(-1, SeqCst);
    assert!(bulk.commit().await.is_err(), "a bulk that lost rows commits no more");
    assert_eq!(count(&lake, "r").await, 0);
    assert_eq!(files(&lake.table_dir("r").unwrap(), ".parquet"), Vec::<PathBuf>::new());
    let mut bulk = lake.bulk("r", "import/x").await.unwrap();
    assert_eq!(bulk.taken(), None);
    bulk.write(many(0, 1000), 0).await.unwrap();
    bulk.commit().await.unwrap();
    assert_eq!(count(&lake, "r").await, 1000);
}
