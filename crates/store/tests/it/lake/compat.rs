//! Folders written by earlier versions still open: `tests/golden/lake-v1` is one, as it was.
//!
//! It holds what must be readable for ever: the layout, a spec and a log segment. Should a format
//! change, its version rises and another golden folder is added; this one stays.

use super::*;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_version_1_opens() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lake-v1");
    let dir = tempfile::tempdir().unwrap();
    if std::env::var_os("BLESS").is_some() && !golden.exists() {
        let lake = open(dir.path()).await;
        lake.ensure_table(readings("air.pm25")).await.unwrap();
        lake.ensure_table(census("people")).await.unwrap();
        lake.append(
            "air.pm25",
            rows(&[("草堂寺", 0, 35.0), ("金泉两河", 60, 41.5)]),
            by("gate", 7),
        )
        .await
        .unwrap();
        lake.append("people", rows(&[("510104", 0, 1.0), ("510105", 0, 2.0)]), None).await.unwrap();
        let keys = rows(&[("510104", 0, 1.0)]).project(&[0]).unwrap();
        lake.delete("people", keys, None).await.unwrap();
        lake.close().await.unwrap();
        for part in ["specs", "wal"] {
            copy(&dir.path().join(part), &golden.join(part));
        }
        std::fs::copy(dir.path().join("lake.json"), golden.join("lake.json")).unwrap();
        panic!("wrote {}; run the test again", golden.display());
    }
    copy(&golden, dir.path());
    let lake = open(dir.path()).await;
    let sql = "SELECT site, value FROM t ORDER BY site";
    assert_eq!(values(&lake, "air.pm25", sql).await, ["草堂寺 35.0", "金泉两河 41.5"]);
    assert_eq!(values(&lake, "people", sql).await, ["510105 2.0"]);
    assert!(lake.append("air.pm25", rows(&[]), by("gate", 7)).await.unwrap().duplicate);
}
