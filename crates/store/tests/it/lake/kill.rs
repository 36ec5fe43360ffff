//! kill -9 at random moments, again and again: nothing acknowledged is lost, nothing is doubled.
//!
//! The test runs itself as a child that appends, upserts, deletes and imports in bulk while seals
//! and compactions run, and tells each acknowledgement on its standard output. The parent kills
//! it, opens the lake, and compares with what was told. `KILL_ROUNDS` sets how often (12 by
//! default).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use arrow::array::Int64Array;
use store::lake::{Lake, LakeOptions};

use super::*;

const CHILD_DIR: &str = "SHUJIN_TEST_LAKE_CHILD";
const CHILD_STARTS: &str = "SHUJIN_TEST_LAKE_STARTS";
const CHILD_COMPACTS: &str = "SHUJIN_TEST_LAKE_COMPACTS";
const PRODUCERS: u64 = 3;
/// A bulk commits after this many numbers.
const BULK_COMMIT_EVERY: u64 = 4;
/// Keys of each producer in the upsert table.
const KEYS: u64 = 7;

fn counts_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("producer", DataType::Int64, false),
        Field::new("seq", DataType::Int64, false),
        Field::new("i", DataType::Int64, false),
    ]))
}

fn keyed_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("producer", DataType::Int64, false),
        Field::new("key", DataType::Int64, false),
        Field::new("seq", DataType::Int64, false),
    ]))
}

fn specs() -> [TableSpec; 3] {
    let counts = |name: &str| TableSpec {
        name: name.to_owned(),
        schema: counts_schema(),
        mode: Mode::Append,
        sort: vec!["producer".to_owned(), "seq".to_owned()],
        retention: None,
    };
    let key = vec!["producer".to_owned(), "key".to_owned()];
    let keyed = TableSpec {
        name: "keyed".to_owned(),
        schema: keyed_schema(),
        mode: Mode::Upsert { key: key.clone() },
        sort: key,
        retention: None,
    };
    [counts("counts"), counts("bulk"), keyed]
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap()
}

/// How many rows a number stands for.
fn rows_of(producer: u64, seq: u64) -> u64 {
    1 + (seq * 7 + producer * 3) % 40
}

fn counts(producer: u64, seq: u64) -> RecordBatch {
    let rows = rows_of(producer, seq);
    let column = |value: &dyn Fn(u64) -> u64| {
        Arc::new((0..rows).map(|i| Some(int(value(i)))).collect::<Int64Array>()) as Arc<dyn Array>
    };
    let columns = vec![column(&|_| producer), column(&|_| seq), column(&|i| i)];
    RecordBatch::try_new(counts_schema(), columns).unwrap()
}

/// Whether the producer's number deletes its key instead of writing it.
fn deletes(seq: u64) -> bool {
    seq % 5 == 4
}

fn keyed(producer: u64, seq: u64) -> RecordBatch {
    let one = |value: u64| Arc::new(Int64Array::from(vec![int(value)])) as Arc<dyn Array>;
    let columns = vec![one(producer), one(seq % KEYS), one(seq)];
    RecordBatch::try_new(keyed_schema(), columns).unwrap()
}

/// The next number of each `table/producer`.
type Starts = BTreeMap<String, u64>;

fn tell(line: &str) {
    // One write a line: a kill between two lines leaves both whole.
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

async fn append_for_ever(lake: Arc<Lake>, producer: u64, starts: Arc<Starts>) {
    let name = format!("p{producer}");
    let mut seq = starts.get(&format!("counts/{name}")).copied().unwrap_or(0);
    let mut key_seq = starts.get(&format!("keyed/{name}")).copied().unwrap_or(0);
    loop {
        lake.append("counts", counts(producer, seq), by(&name, seq)).await.unwrap();
        tell(&format!("counts/{name} {seq}"));
        seq += 1;
        let rows = keyed(producer, key_seq);
        if deletes(key_seq) {
            let keys = rows.project(&[0, 1]).unwrap();
            lake.delete("keyed", keys, by(&name, key_seq)).await.unwrap();
        } else {
            lake.append("keyed", rows, by(&name, key_seq)).await.unwrap();
        }
        tell(&format!("keyed/{name} {key_seq}"));
        key_seq += 1;
    }
}

async fn import_for_ever(lake: Arc<Lake>) {
    let producer = PRODUCERS;
    let mut bulk = lake.bulk("bulk", &format!("p{producer}")).await.unwrap();
    let mut seq = bulk.taken().map_or(0, |taken| taken + 1);
    loop {
        for _ in 0..BULK_COMMIT_EVERY {
            bulk.write(counts(producer, seq), seq).await.unwrap();
            seq += 1;
        }
        bulk.commit().await.unwrap();
        tell(&format!("bulk/p{producer} {}", seq - 1));
    }
}

/// The child: does nothing unless the parent test started it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let options = LakeOptions {
        seal_after: Duration::from_millis(40),
        seal_bytes: 64 * 1024,
        ..LakeOptions::new(dir)
    };
    let starts: Starts = serde_json::from_str(&std::env::var(CHILD_STARTS).unwrap()).unwrap();
    let starts = Arc::new(starts);
    let lake = Lake::open(options).await.unwrap();
    for spec in specs() {
        lake.ensure_table(spec).await.unwrap();
    }
    tell("open");
    for producer in 0..PRODUCERS {
        tokio::spawn(append_for_ever(lake.clone(), producer, starts.clone()));
    }
    tokio::spawn(import_for_ever(lake.clone()));
    let compacts = std::env::var_os(CHILD_COMPACTS).is_some();
    loop {
        tokio::time::sleep(Duration::from_millis(30)).await;
        if compacts {
            for table in lake.tables() {
                lake.flush(&table).await.unwrap();
                lake.maintain(&table).await.unwrap();
            }
        }
    }
}

fn start_child(dir: &Path, starts: &Starts, compacts: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "lake::kill::child", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .env(CHILD_STARTS, serde_json::to_string(starts).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if compacts {
        command.env(CHILD_COMPACTS, "1");
    }
    command.spawn().unwrap()
}

/// Runs a child for a while, kills it, and returns what it told: the last number acknowledged.
fn run_and_kill(dir: &Path, starts: &Starts, compacts: bool, wait: Duration) -> Starts {
    let mut child = start_child(dir, starts, compacts);
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut errors = child.stderr.take().unwrap();
    let (opened, is_open) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut told = Starts::new();
        for line in output.lines().map_while(Result::ok) {
            // The test harness prints its own words before the first line.
            if line.ends_with("open") {
                let _ = opened.send(());
            }
            let Some((who, seq)) = line.rsplit_once(' ') else { continue };
            if let (true, Ok(seq)) = (who.contains("/p"), seq.parse()) {
                told.insert(who.to_owned(), seq);
            }
        }
        told
    });
    // Some kills hit the opening itself, with its replay.
    if !wait.as_millis().is_multiple_of(4) {
        let _ = is_open.recv_timeout(Duration::from_secs(60));
    }
    std::thread::sleep(wait);
    let died = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let told = reader.join().unwrap();
    if let Some(status) = died {
        let mut text = String::new();
        let _ = std::io::Read::read_to_string(&mut errors, &mut text);
        panic!("the child ended by itself ({status}): {text}");
    }
    told
}

/// `(producer) → (last number, rows, distinct rows)`.
async fn taken(lake: &Arc<Lake>, table: &str) -> BTreeMap<u64, (u64, u64, u64)> {
    let sql = "SELECT producer, max(seq), count(*), count(DISTINCT seq * 1000 + i) FROM t GROUP BY producer";
    let lines = values(lake, table, sql).await;
    let numbers = lines.iter().map(|line| {
        let n: Vec<u64> = line.split(' ').map(|x| x.parse().unwrap()).collect();
        (n[0], (n[1], n[2], n[3]))
    });
    numbers.collect()
}

/// Compares the lake with what was told; returns where each producer goes on.
async fn check(dir: &Path, told: &Starts, round: u64) -> Starts {
    let lake = reopen(dir).await;
    if lake.tables().len() < specs().len() {
        assert!(told.is_empty(), "round {round}: tables are gone");
        lake.close().await.unwrap();
        return Starts::new();
    }
    let mut next = Starts::new();
    for (table, producers) in [("counts", 0..PRODUCERS), ("bulk", PRODUCERS..PRODUCERS + 1)] {
        let taken = taken(&lake, table).await;
        for producer in producers {
            let name = format!("{table}/p{producer}");
            let told = told.get(&name).copied();
            let found = taken.get(&producer).copied();
            let last = found.map(|f| f.0);
            assert!(last >= told, "round {round}: {name} was told {told:?}, {last:?} is there");
            let Some((last, rows, distinct)) = found else { continue };
            let expected: u64 = (0..=last).map(|seq| rows_of(producer, seq)).sum();
            assert_eq!(rows, expected, "round {round}: {name} lost or doubled rows up to {last}");
            assert_eq!(distinct, expected, "round {round}: {name} doubled and lost rows");
            // The last number acknowledged is sent again: it must be known.
            next.insert(name, told.unwrap_or(last));
        }
    }
    for producer in 0..PRODUCERS {
        check_keyed(&lake, producer, told, round, &mut next).await;
    }
    lake.close().await.unwrap();
    next
}

async fn check_keyed(
    lake: &Arc<Lake>,
    producer: u64,
    told: &Starts,
    round: u64,
    next: &mut Starts,
) {
    let name = format!("keyed/p{producer}");
    let Some(told) = told.get(&name).copied() else { return };
    let sql = format!("SELECT key, seq FROM t WHERE producer = {producer} ORDER BY key");
    let found = values(lake, "keyed", &sql).await;
    // The number after the last one told may or may not have been taken.
    let fits = (told..=told + 1).any(|last| {
        let mut state = BTreeMap::new();
        for seq in 0..=last {
            if deletes(seq) {
                state.remove(&(seq % KEYS));
            } else {
                state.insert(seq % KEYS, seq);
            }
        }
        let expected: Vec<String> = state.iter().map(|(k, s)| format!("{k} {s}")).collect();
        expected == found
    });
    assert!(fits, "round {round}: {name} told up to {told}, found {found:?}");
    next.insert(name, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_doubled_by_kills() {
    let rounds = std::env::var("KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let dir = tempfile::tempdir().unwrap();
    let mut seed = std::env::var("KILL_SEED")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs());
    println!("KILL_SEED={seed} KILL_ROUNDS={rounds}");
    let (mut told, mut starts) = (Starts::new(), Starts::new());
    let started = Instant::now();
    for round in 0..rounds {
        // A linear congruence is random enough for moments.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let wait = Duration::from_millis((seed >> 33) % 400);
        let heard = run_and_kill(dir.path(), &starts, round % 2 == 1, wait);
        told.extend(heard);
        starts = check(dir.path(), &told, round).await;
    }
    let total: u64 = told.values().sum();
    println!("{rounds} kills, {total} acknowledgements, {:?}", started.elapsed());
    assert!(total > rounds * 5, "the child hardly came to work: {total} acknowledgements");
}
