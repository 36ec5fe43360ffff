//! A lane: the one thread that writes the log, groups appends under one fsync, and then tells.
//!
//! ```text
//! callers ─► queue ─► gather ≤ 4 MiB, ≤ 5 ms ─► write ─► fsync ─► publish to hot ─► acknowledge
//! ```
//! After a failed fsync the lane takes nothing more: nobody can say what is on the disk. It knows
//! frames and tables' states; not Delta, not queries.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use super::error::{LakeError, Result};
use super::frame::{Head, Kind, SEGMENT_HEAD_BYTES, encode_segment_head, end_mark};
use super::hot::Chunk;
use super::io::{Io, IoFile};
use super::segments::{Closed, delete, segment_path};
use super::table::{Reservation, Table};
use super::{Ack, Producer};

/// A group is written when it has this many bytes …
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// … or has gathered for this long.
const GROUP_WAIT_MS_MAX: u64 = 5;
/// Appends waiting for the lane; more make their callers wait.
const QUEUE_REQUESTS_MAX: usize = 1024;
/// A segment is closed when it has passed this.
const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bodies above this are written from where they lie instead of being copied together.
const COPY_BYTES_MAX: usize = 256 * 1024;

pub(crate) type Tables = RwLock<HashMap<Arc<str>, Arc<Table>>>;

/// One append on its way to the log; encoded already, by its caller.
#[derive(Debug)]
pub(crate) struct Request {
    pub table: Arc<Table>,
    pub kind: Kind,
    pub batch: RecordBatch,
    pub schema_id: u64,
    pub body: Vec<u8>,
    pub body_crc: u32,
    pub producer: Option<Producer>,
    pub reservation: Reservation,
    pub reply: oneshot::Sender<Result<Ack>>,
}

#[derive(Debug)]
pub(crate) enum Message {
    Write(Box<Request>),
    /// Delete segments that nobody needs any more.
    Collect(oneshot::Sender<Result<()>>),
    /// Mark the log as closed in order, and end.
    Close(oneshot::Sender<Result<()>>),
}

/// Numbers and times shared by all lanes.
#[derive(Debug)]
pub(crate) struct Clock {
    next_seq: AtomicU64,
    last_micros: AtomicI64,
}

impl Clock {
    pub fn new(next_seq: u64, last_micros: i64) -> Self {
        Self { next_seq: AtomicU64::new(next_seq), last_micros: AtomicI64::new(last_micros) }
    }

    fn seq(&self) -> u64 {
        self.next_seq.fetch_add(1, Ordering::Relaxed)
    }

    /// Now, in µs UTC, but later than every answer before.
    pub fn now(&self) -> i64 {
        let wall = chrono::Utc::now().timestamp_micros();
        let later = |last: i64| Some(wall.max(last + 1));
        let last = self.last_micros.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        wall.max(last.unwrap_or(i64::MIN).saturating_add(1))
    }
}

/// The way into a lane.
#[derive(Debug)]
pub(crate) struct Lane {
    pub sender: mpsc::Sender<Message>,
    thread: parking_lot::Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Lane {
    pub fn start(
        lane: u16,
        io: Arc<dyn Io>,
        dir: PathBuf,
        closed: Vec<Closed>,
        clock: Arc<Clock>,
        tables: Arc<Tables>,
    ) -> Result<Self> {
        let (sender, queue) = mpsc::channel(QUEUE_REQUESTS_MAX);
        let mut writer = Writer {
            lane,
            io,
            segment: None,
            dir,
            closed,
            clock,
            tables,
            poison: None,
            appends_last: 1,
            runtime: tokio::runtime::Handle::current(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("lake-lane-{lane}"))
            .spawn(move || writer.run(queue))
            .map_err(LakeError::io("start a thread for", Path::new("the log")))?;
        Ok(Self { sender, thread: parking_lot::Mutex::new(Some(thread)) })
    }

    pub async fn write(
        &self,
        request: Request,
        reply: oneshot::Receiver<Result<Ack>>,
    ) -> Result<Ack> {
        let sent = self.sender.send(Message::Write(Box::new(request))).await;
        sent.map_err(|_| LakeError::Closed)?;
        reply.await.map_err(|_| LakeError::Closed)?
    }

    pub async fn collect(&self) -> Result<()> {
        let (reply, done) = oneshot::channel();
        self.sender.send(Message::Collect(reply)).await.map_err(|_| LakeError::Closed)?;
        done.await.map_err(|_| LakeError::Closed)?
    }

    /// Ends the lane; returns when its thread has let go of the files.
    pub async fn close(&self) -> Result<()> {
        let (reply, done) = oneshot::channel();
        if self.sender.send(Message::Close(reply)).await.is_err() {
            return Ok(());
        }
        let closed = done.await.unwrap_or(Ok(()));
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(ended, Ok(Ok(()))) {
                return Err(LakeError::Task("the log's writer panicked".to_owned()));
            }
        }
        closed
    }
}

/// The segment being written.
#[derive(Debug)]
struct Open {
    file: Box<dyn IoFile>,
    path: PathBuf,
    /// Bytes that are fsynced.
    durable_bytes: u64,
    last_seqs: HashMap<Arc<str>, u64>,
}

#[derive(Debug)]
struct Writer {
    lane: u16,
    io: Arc<dyn Io>,
    dir: PathBuf,
    segment: Option<Open>,
    closed: Vec<Closed>,
    clock: Arc<Clock>,
    tables: Arc<Tables>,
    poison: Option<String>,
    /// Appends in the last group: how many callers are likely to come again.
    appends_last: usize,
    runtime: tokio::runtime::Handle,
}

impl Writer {
    fn run(&mut self, mut queue: mpsc::Receiver<Message>) {
        while let Some(first) = queue.blocking_recv() {
            let (group, control) = self.gather(first, &mut queue);
            if !group.is_empty() {
                self.appends_last = group.len();
                self.write_group(group);
            }
            match control {
                Some(Message::Collect(reply)) => {
                    let _ = reply.send(self.collect());
                }
                Some(Message::Close(reply)) => {
                    queue.close();
                    let _ = reply.send(self.end());
                    return;
                }
                Some(Message::Write(_)) | None => {}
            }
        }
    }

    /// Takes what is waiting, and waits a little for callers that came with the last group.
    fn gather(
        &self,
        first: Message,
        queue: &mut mpsc::Receiver<Message>,
    ) -> (Vec<Request>, Option<Message>) {
        let deadline = Instant::now() + Duration::from_millis(GROUP_WAIT_MS_MAX);
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        loop {
            match next.take() {
                Some(Message::Write(request)) => {
                    bytes += request.body.len();
                    group.push(*request);
                }
                Some(control) => return (group, Some(control)),
                None => return (group, None),
            }
            if bytes >= GROUP_BYTES_MAX {
                return (group, None);
            }
            next = queue.try_recv().ok();
            if next.is_none() && group.len() < self.appends_last {
                let left = deadline.saturating_duration_since(Instant::now());
                let wait = async { tokio::time::timeout(left, queue.recv()).await };
                next = self.runtime.block_on(wait).ok().flatten();
            }
        }
    }

    fn poisoned(&self) -> Option<LakeError> {
        let reason = self.poison.clone()?;
        Some(LakeError::Poisoned { lane: self.lane, reason })
    }

    /// Writes a group, shows it, and answers everybody in it.
    fn write_group(&mut self, group: Vec<Request>) {
        let ingested_at = self.clock.now();
        let written = match self.poisoned() {
            Some(error) => Err(error),
            None => self.write_frames(&group, ingested_at),
        };
        let seqs = match written {
            Ok(seqs) => seqs,
            Err(error) => return refuse(group, &error),
        };
        let mut answers = Vec::with_capacity(group.len());
        // What the group makes visible, by table.
        let mut fresh: HashMap<Arc<str>, (Arc<Table>, Vec<Chunk>)> = HashMap::new();
        for (request, seq) in group.into_iter().zip(seqs) {
            let Request { table, kind, batch, producer, reservation, reply, .. } = request;
            let ack = Ack {
                duplicate: seq.is_none(),
                seq: producer.as_ref().map_or(seq.unwrap_or(0), |p| p.seq),
            };
            answers.push((reply, ack));
            let Some(seq) = seq else { continue };
            let entry = fresh.entry(table.name.clone());
            let (_, chunks) = entry.or_insert_with(|| (table.clone(), Vec::new()));
            match Chunk::taken(kind, &batch, self.lane, seq, ingested_at, producer) {
                Ok(mut chunk) => {
                    chunk.bytes = reservation.keep();
                    chunks.push(chunk);
                }
                Err(error) => self.poison = Some(error.to_string()),
            }
        }
        for (table, chunks) in fresh.into_values() {
            if let Err(error) = table.publish(chunks) {
                // The rows are durable but cannot be shown; a restart will say why.
                self.poison = Some(error.to_string());
            }
        }
        for (reply, ack) in answers {
            // A caller that went away is not told; the rows are taken all the same.
            let _ = reply.send(self.poisoned().map_or(Ok(ack), Err));
        }
    }

    /// The number of each append's frame; `None` for what a producer gave before.
    fn number(&self, group: &[Request]) -> Vec<Option<u64>> {
        let mut given: HashMap<(Arc<str>, String), u64> = HashMap::new();
        let mut numbers = Vec::with_capacity(group.len());
        for request in group {
            let Some(producer) = &request.producer else {
                numbers.push(Some(self.clock.seq()));
                continue;
            };
            let key = (request.table.name.clone(), producer.id.clone());
            let before = given.get(&key).copied().max(request.table.taken_from(&producer.id));
            if before.is_some_and(|seq| seq >= producer.seq) {
                numbers.push(None);
            } else {
                given.insert(key, producer.seq);
                numbers.push(Some(self.clock.seq()));
            }
        }
        numbers
    }

    /// Writes and fsyncs a group's frames.
    fn write_frames(&mut self, group: &[Request], ingested_at: i64) -> Result<Vec<Option<u64>>> {
        let seqs = self.number(group);
        let Some(first_seq) = seqs.iter().flatten().next().copied() else { return Ok(seqs) };
        self.open_segment(first_seq)?;
        let lane = self.lane;
        let open = self.segment.as_mut().expect("it was just opened");
        let written = write_all(open, lane, group, &seqs, ingested_at);
        let end = match written {
            Ok(end) => end,
            Err(error) => {
                // Nothing of the group was fsynced: cut it off and the lane can go on.
                let cut = open.file.set_len(open.durable_bytes).and_then(|()| open.file.sync());
                let error = LakeError::io("write", &open.path)(error);
                if let Err(cut) = cut {
                    self.poison = Some(format!("{error}; cutting it off failed too: {cut}"));
                }
                return Err(error);
            }
        };
        if let Err(error) = open.file.sync() {
            let error = LakeError::io("fsync", &open.path)(error);
            self.poison = Some(error.to_string());
            return Err(error);
        }
        open.durable_bytes = end;
        for (request, seq) in group.iter().zip(&seqs) {
            if let Some(seq) = seq {
                open.last_seqs.insert(request.table.name.clone(), *seq);
            }
        }
        if open.durable_bytes >= SEGMENT_BYTES_MAX {
            // The group is safe whatever becomes of the mark; a failure is met by the next group.
            if let Err(error) = self.close_segment() {
                tracing::error!(%error, "could not close a log segment; it is used on");
            }
        }
        Ok(seqs)
    }

    fn open_segment(&mut self, first_seq: u64) -> Result<()> {
        if self.segment.is_some() {
            return Ok(());
        }
        let path = segment_path(&self.dir, first_seq);
        let head = encode_segment_head(self.lane, first_seq);
        let mut file = self.io.create(&path).map_err(LakeError::io("make", &path))?;
        let written = file.write_all(&head).and_then(|()| self.io.sync_dir(&self.dir));
        if let Err(error) = written {
            // A headless segment must not stay: later ones would make it look like damage.
            if let Err(stuck) = self.io.remove(&path) {
                self.poison = Some(format!("{} cannot be removed: {stuck}", path.display()));
            }
            return Err(LakeError::io("write", &path)(error));
        }
        debug_assert_eq!(head.len(), SEGMENT_HEAD_BYTES);
        let durable_bytes = SEGMENT_HEAD_BYTES as u64;
        self.segment = Some(Open { file, path, durable_bytes, last_seqs: HashMap::new() });
        Ok(())
    }

    /// Puts the end mark behind the last frame. Damage found later, even a clean cut, is then
    /// known to be damage. If the mark cannot be written, the segment stays open.
    fn close_segment(&mut self) -> Result<()> {
        let Some(open) = self.segment.as_mut() else { return Ok(()) };
        let mark = end_mark(self.lane, self.clock.seq(), open.durable_bytes, self.clock.now());
        let ended = open.file.write_all(&mark).and_then(|()| open.file.sync());
        if let Err(error) = ended {
            let error = LakeError::io("write", &open.path)(error);
            let cut = open.file.set_len(open.durable_bytes).and_then(|()| open.file.sync());
            if let Err(cut) = cut {
                self.poison = Some(format!("{error}; cutting it off failed too: {cut}"));
            }
            return Err(error);
        }
        let open = self.segment.take().expect("it was there above");
        self.closed.push(Closed {
            path: open.path,
            bytes: open.durable_bytes + mark.len() as u64,
            last_seqs: open.last_seqs,
        });
        Ok(())
    }

    /// Deletes every segment whose rows are all in Delta, fsynced.
    fn collect(&mut self) -> Result<()> {
        if let Some(error) = self.poisoned() {
            return Err(error);
        }
        if self.segment.as_ref().is_some_and(|open| self.is_spent(&open.last_seqs)) {
            self.close_segment()?;
        }
        let closed = std::mem::take(&mut self.closed);
        let mut result = Ok(());
        for segment in closed {
            if result.is_ok() && self.is_spent(&segment.last_seqs) {
                tracing::debug!(file = %segment.path.display(), bytes = segment.bytes, "log segment done");
                result = delete(self.io.as_ref(), &segment.path);
            } else {
                self.closed.push(segment);
            }
        }
        result
    }

    fn is_spent(&self, last_seqs: &HashMap<Arc<str>, u64>) -> bool {
        let tables = self.tables.read();
        last_seqs.iter().all(|(name, last)| {
            let committed = tables.get(name).and_then(|table| table.committed(self.lane));
            committed.is_some_and(|seq| seq >= *last)
        })
    }

    /// Ends the log in order.
    fn end(&mut self) -> Result<()> {
        if let Some(error) = self.poisoned() {
            return Err(error);
        }
        let collected = self.collect();
        self.close_segment().and(collected)
    }
}

fn refuse(group: Vec<Request>, error: &LakeError) {
    for request in group {
        let _ = request.reply.send(Err(error.clone()));
    }
}

/// Writes a group's frames behind each other; returns where they end.
fn write_all(
    open: &mut Open,
    lane: u16,
    group: &[Request],
    seqs: &[Option<u64>],
    ingested_at: i64,
) -> std::io::Result<u64> {
    let mut end = open.durable_bytes;
    let mut buffer = Vec::new();
    for (request, seq) in group.iter().zip(seqs) {
        let Some(seq) = *seq else { continue };
        let head = Head {
            kind: request.kind,
            lane,
            seq,
            group_start: open.durable_bytes,
            ingested_at,
            schema_id: request.schema_id,
            producer: request.producer.as_ref().map(|p| (p.id.clone(), p.seq)),
            table: request.table.name.to_string(),
            body_len: u32::try_from(request.body.len()).expect("bodies are bounded"),
            body_crc: request.body_crc,
        };
        let before = buffer.len();
        head.encode(&mut buffer);
        end += (buffer.len() - before + request.body.len()) as u64;
        if request.body.len() <= COPY_BYTES_MAX {
            buffer.extend_from_slice(&request.body);
        } else {
            open.file.write_all(&buffer)?;
            buffer.clear();
            open.file.write_all(&request.body)?;
        }
    }
    open.file.write_all(&buffer)?;
    Ok(end)
}
