//! Opening a lake: the folder's lock and layout, the tables, and what the log still holds.
//!
//! ```text
//! LOCK                     held by the owning process
//! lake.json                the layout's version
//! specs/<table>.json       declarations, with every schema the log may need
//! wal/<lane>/<seq>.wal     the log
//! tables/<table>/          Delta: _delta_log/, part-*.parquet, _crc/
//! ```
//! Replay reads, per lane and table, the last frame that Delta committed and takes later ones
//! only, in the order of their numbers over all lanes.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::buffer::Buffer;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::delta::ingest_app;
use super::error::{LakeError, Result};
use super::frame::Kind;
use super::hot::Chunk;
use super::io::{Io, make_dir, write_durable};
use super::lane::{Clock, Lane};
use super::scan::Files;
use super::segments::{Closed, LaneReader, Replayed, lane_dir};
use super::spec::Spec;
use super::sums::SUMS_DIR;
use super::table::{Meter, Table};
use super::{Lake, LakeOptions, Producer, cold_state, ipc, open_all, open_delta};

const LAYOUT_VERSION: u32 = 1;
/// Lanes a lake may have had.
const LANES_MAX: u16 = 16;

#[derive(Serialize, Deserialize)]
struct Layout {
    version: u32,
}

pub(crate) fn table_dir(root: &Path, table: &str) -> PathBuf {
    root.join("tables").join(table)
}

pub(crate) fn spec_path(root: &Path, table: &str) -> PathBuf {
    root.join("specs").join(format!("{table}.json"))
}

pub(crate) fn make_table_dirs(io: &dyn Io, root: &Path, table: &str) -> Result<()> {
    make_dir(io, root, &table_dir(root, table).join(SUMS_DIR))
}

pub(crate) async fn open(mut options: LakeOptions) -> Result<Lake> {
    std::fs::create_dir_all(&options.dir).map_err(LakeError::io("make folder", &options.dir))?;
    let absolute = options.dir.canonicalize();
    options.dir = absolute.map_err(LakeError::io("find", &options.dir))?;
    options.lanes = options.lanes.clamp(1, LANES_MAX);
    let lock = lock(&options.dir)?;
    let io = options.io.as_ref();
    check_layout(io, &options.dir)?;
    for folder in ["specs", "wal", "tables"] {
        make_dir(io, &options.dir, &options.dir.join(folder))?;
    }
    let total = Arc::new(Meter::new("the lake".to_owned(), options.total_bytes_max));
    let specs = load_specs(io, &options.dir)?;
    let started = chrono::Utc::now().timestamp_micros();
    let closed = Arc::new(AtomicBool::new(false));
    let tables = open_all(&options, &total, &closed, specs, started).await?;
    let replay = replay(&options, &tables)?;
    let clock = Arc::new(Clock::new(replay.last_seq + 1, replay.last_micros));
    let tables = Arc::new(parking_lot::RwLock::new(tables));
    let mut lanes = Vec::new();
    for (lane, segments) in (0..).zip(replay.closed) {
        let dir = lane_dir(&options.dir, lane);
        let (clock, tables) = (clock.clone(), tables.clone());
        lanes.push(Lane::start(lane, options.io.clone(), dir, segments, clock, tables)?);
    }
    let files = Arc::new(Files::new(&options.dir));
    Ok(Lake {
        options,
        tables,
        lanes,
        clock,
        files,
        total,
        work: Arc::new(Notify::new()),
        closed,
        declaring: tokio::sync::Mutex::default(),
        lock: parking_lot::Mutex::new(Some(lock)),
    })
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("LOCK");
    let file = File::create(&path).map_err(LakeError::io("make", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LakeError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(LakeError::io("lock", &path)(error)),
    }
}

fn check_layout(io: &dyn Io, dir: &Path) -> Result<()> {
    let path = dir.join("lake.json");
    let bytes = match io.read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let layout = Layout { version: LAYOUT_VERSION };
            let text = serde_json::to_vec(&layout).expect("the layout is plain data");
            return write_durable(io, &path, &text);
        }
        Err(error) => return Err(LakeError::io("read", &path)(error)),
    };
    let layout: Layout = serde_json::from_slice(&bytes).map_err(|error| LakeError::Corrupt {
        file: path.clone(),
        offset: 0,
        what: error.to_string(),
    })?;
    if layout.version != LAYOUT_VERSION {
        let (found, known) = (layout.version, LAYOUT_VERSION);
        return Err(LakeError::Version { file: path, found, known });
    }
    Ok(())
}

fn load_specs(io: &dyn Io, root: &Path) -> Result<Vec<Arc<Spec>>> {
    let dir = root.join("specs");
    let listed = io.list(&dir).map_err(LakeError::io("list", &dir))?;
    let is_spec = |path: &&PathBuf| {
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        !hidden && path.extension().is_some_and(|e| e == "json")
    };
    listed.iter().filter(is_spec).map(|path| Spec::load(io, path).map(Arc::new)).collect()
}

/// Opens a table's Delta side; rows from the log are added by the replay.
pub(crate) async fn open_table(
    options: &LakeOptions,
    total: &Arc<Meter>,
    closed: &Arc<AtomicBool>,
    spec: Arc<Spec>,
    started_micros: i64,
) -> Result<Table> {
    make_table_dirs(options.io.as_ref(), &options.dir, spec.name())?;
    let dir = table_dir(&options.dir, spec.name());
    let mut delta = open_delta(options, &dir, &spec).await?;
    delta.evolve(&spec).await?;
    let mut committed = HashMap::new();
    for lane in 0..LANES_MAX.min(lanes_seen(options)?) {
        if let Some(seq) = delta.transaction(&ingest_app(lane, spec.name())).await? {
            committed.insert(lane, seq);
        }
    }
    let cold = delta.cold(&spec, &Default::default());
    // Versions must not repeat after a restart, or a cache could serve what is no longer so.
    let version = started_micros.unsigned_abs();
    let state = cold_state(spec, cold, version);
    let (cap, total, closed) = (options.table_bytes_max, total.clone(), closed.clone());
    Ok(Table::new(&dir, state, delta, committed, cap, total, closed))
}

/// Lanes that are in use now or left segments behind.
fn lanes_seen(options: &LakeOptions) -> Result<u16> {
    let dir = options.dir.join("wal");
    let listed = options.io.list(&dir).map_err(LakeError::io("list", &dir))?;
    let numbers = listed.iter().filter_map(|path| path.file_name()?.to_str()?.parse::<u16>().ok());
    Ok(numbers.map(|n| n + 1).max().unwrap_or(0).max(options.lanes))
}

/// What the log told.
struct Replay {
    last_seq: u64,
    last_micros: i64,
    /// Segments that are still there, per lane.
    closed: Vec<Vec<Closed>>,
}

fn replay(options: &LakeOptions, tables: &HashMap<Arc<str>, Arc<Table>>) -> Result<Replay> {
    let lanes = lanes_seen(options)?;
    let mut readers = Vec::new();
    for lane in 0..lanes {
        let dir = lane_dir(&options.dir, lane);
        make_dir(options.io.as_ref(), &options.dir, &dir)?;
        readers.push(LaneReader::open(options.io.as_ref(), &dir)?);
    }
    let mut last_micros = i64::MIN;
    let mut fronts = readers.iter_mut().map(LaneReader::next).collect::<Result<Vec<_>>>()?;
    // The lane whose next frame is oldest, until all are empty.
    while let Some(lane) = (0..fronts.len())
        .filter(|i| fronts[*i].is_some())
        .min_by_key(|i| fronts[*i].as_ref().map(|f| f.head.seq))
    {
        let frame = fronts[lane].take().expect("it was just found");
        last_micros = last_micros.max(frame.head.ingested_at);
        apply(frame, tables)?;
        fronts[lane] = readers[lane].next()?;
    }
    let committed = tables.values().flat_map(|t| (0..lanes).filter_map(|lane| t.committed(lane)));
    let in_log = readers.iter().map(LaneReader::last_seq);
    let through = tables.values().map(|t| t.state().cold.through).max();
    Ok(Replay {
        last_seq: committed.chain(in_log).max().unwrap_or(0),
        last_micros: through.unwrap_or(i64::MIN).max(last_micros),
        closed: readers.into_iter().map(|r| r.closed).collect(),
    })
}

fn apply(frame: Replayed, tables: &HashMap<Arc<str>, Arc<Table>>) -> Result<()> {
    let Replayed { head, body, file, offset } = frame;
    let corrupt = |what: String| LakeError::Corrupt { file: file.to_path_buf(), offset, what };
    let Some(table) = tables.get(head.table.as_str()) else {
        return Err(corrupt(format!("the frame is of table {}, which has no spec", head.table)));
    };
    if table.committed(head.lane).is_some_and(|seq| seq >= head.seq) {
        return Ok(());
    }
    let spec = table.state().spec.clone();
    let schema = match head.kind {
        Kind::Deletes => spec.key_schema.clone(),
        Kind::Rows | Kind::End => spec.schema_by_id(head.schema_id).ok_or_else(|| {
            corrupt(format!("the frame's schema {:016x} is unknown", head.schema_id))
        })?,
    };
    // A copy: the body is a slice of its whole segment, which one row would keep in memory.
    let body = Buffer::from(body.as_slice());
    let batch = ipc::decode(&body, schema).map_err(|error| corrupt(error.to_string()))?;
    let producer = head.producer.map(|(id, seq)| Producer { id, seq });
    let mut chunk =
        Chunk::taken(head.kind, &batch, head.lane, head.seq, head.ingested_at, producer)?;
    chunk.bytes = body.len();
    table.hold(chunk.bytes);
    table.publish(vec![chunk])
}
