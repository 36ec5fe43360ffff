//! Any order of appends, retries, deletes, seals, compactions and restarts gives what a plain map
//! gives.

use std::collections::BTreeMap;

use arrow::array::Int64Array;
use proptest::prelude::*;
use store::lake::{Lake, LakeOptions};

use super::*;

/// Something that happens to a lake.
#[derive(Debug, Clone)]
enum Step {
    Append { key: i64, rows: i64 },
    Retry,
    Upsert { keys: Vec<i64> },
    Delete { keys: Vec<i64> },
    Bulk { rows: i64 },
    Flush,
    Maintain,
    Close,
    Crash { lanes: u16 },
}

fn any_step() -> impl Strategy<Value = Step> {
    let keys = || prop::collection::vec(0_i64..12, 1..6);
    prop_oneof![
        4 => (0_i64..12, 0_i64..30).prop_map(|(key, rows)| Step::Append { key, rows }),
        2 => Just(Step::Retry),
        4 => keys().prop_map(|keys| Step::Upsert { keys }),
        2 => keys().prop_map(|keys| Step::Delete { keys }),
        1 => (1_i64..50).prop_map(|rows| Step::Bulk { rows }),
        3 => Just(Step::Flush),
        2 => Just(Step::Maintain),
        1 => Just(Step::Close),
        2 => (1_u16..3).prop_map(|lanes| Step::Crash { lanes }),
    ]
}

fn schema() -> SchemaRef {
    let field = |name| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![field("key"), field("n")]))
}

fn spec(name: &str, mode: Mode) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        schema: schema(),
        mode,
        sort: vec!["key".to_owned()],
        retention: None,
    }
}

fn pairs(pairs: impl IntoIterator<Item = (i64, i64)>) -> RecordBatch {
    let (keys, numbers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let columns: Vec<Arc<dyn Array>> =
        vec![Arc::new(Int64Array::from(keys)), Arc::new(Int64Array::from(numbers))];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// What the lake should hold.
#[derive(Debug, Default)]
struct Model {
    appended: BTreeMap<i64, i64>,
    upserted: BTreeMap<i64, i64>,
    n: i64,
    seq: u64,
    bulk_seq: u64,
}

async fn open_with(dir: &Path, lanes: u16) -> Arc<Lake> {
    for _ in 0..200 {
        match Lake::open(LakeOptions { lanes, ..quiet(dir) }).await {
            Err(LakeError::Locked(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            lake => return lake.unwrap(),
        }
    }
    panic!("the lock is still held");
}

async fn take(lake: Arc<Lake>, dir: &Path, model: &mut Model, step: &Step) -> Arc<Lake> {
    match step {
        Step::Append { key, rows } => {
            model.seq += 1;
            let batch = pairs((0..*rows).map(|i| (*key, i)));
            let ack = lake.append("a", batch, by("p", model.seq)).await.unwrap();
            assert!(!ack.duplicate);
            *model.appended.entry(*key).or_default() += rows;
        }
        Step::Retry if model.seq > 0 => {
            let ack = lake.append("a", pairs([(99, 99)]), by("p", model.seq)).await.unwrap();
            assert!(ack.duplicate);
        }
        Step::Retry => {}
        Step::Upsert { keys } => {
            let first = model.n;
            let batch: Vec<_> = keys.iter().copied().zip(first + 1..).collect();
            model.n += i64::try_from(keys.len()).unwrap();
            lake.append("u", pairs(batch.clone()), None).await.unwrap();
            model.upserted.extend(batch);
        }
        Step::Delete { keys } => {
            let batch = pairs(keys.iter().map(|k| (*k, 0))).project(&[0]).unwrap();
            lake.delete("u", batch, None).await.unwrap();
            model.upserted.retain(|key, _| !keys.contains(key));
        }
        Step::Bulk { rows } => {
            model.bulk_seq += 1;
            let mut bulk = lake.bulk("a", "import/m").await.unwrap();
            bulk.write(pairs((0..*rows).map(|i| (i % 12, i))), model.bulk_seq).await.unwrap();
            bulk.commit().await.unwrap();
            (0..*rows).for_each(|i| *model.appended.entry(i % 12).or_default() += 1);
        }
        Step::Flush => {
            lake.flush("a").await.unwrap();
            lake.flush("u").await.unwrap();
        }
        Step::Maintain => {
            lake.maintain("a").await.unwrap();
            lake.maintain("u").await.unwrap();
        }
        Step::Close => {
            lake.close().await.unwrap();
            return open_with(dir, 1).await;
        }
        Step::Crash { lanes } => {
            drop(lake);
            return open_with(dir, *lanes).await;
        }
    }
    lake
}

async fn compare(lake: &Arc<Lake>, model: &Model) {
    let lines = |map: &BTreeMap<i64, i64>| -> Vec<String> {
        map.iter().filter(|(_, n)| **n > 0).map(|(k, n)| format!("{k} {n}")).collect()
    };
    let found = values(lake, "a", "SELECT key, count(*) FROM t GROUP BY key ORDER BY key").await;
    assert_eq!(found, lines(&model.appended));
    let found = values(lake, "u", "SELECT key, n FROM t ORDER BY key").await;
    assert_eq!(found, lines(&model.upserted));
    // The key is not read, and some files are ruled out.
    let found = values(lake, "u", "SELECT n FROM t WHERE key >= 6 ORDER BY n").await;
    let mut expected: Vec<i64> = model.upserted.range(6..).map(|(_, n)| *n).collect();
    expected.sort_unstable();
    assert_eq!(found, expected.iter().map(ToString::to_string).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_history_gives_what_a_map_gives(steps in prop::collection::vec(any_step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut lake = open_with(dir.path(), 2).await;
            lake.ensure_table(spec("a", Mode::Append)).await.unwrap();
            lake.ensure_table(spec("u", Mode::Upsert { key: vec!["key".to_owned()] })).await.unwrap();
            let mut model = Model::default();
            for step in &steps {
                lake = take(lake, dir.path(), &mut model, step).await;
                compare(&lake, &model).await;
            }
        });
    }
}
