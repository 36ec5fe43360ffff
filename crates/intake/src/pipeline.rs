//! One thread reads, several parse, and the chunks come out in order.
//!
//! Block n goes to parser n mod threads over a channel of its own, and chunk n is taken from that
//! parser's: order needs no sorting, and what is in memory is bounded by the channels alone.
//! Dropping the pipeline closes the channels, upon which every thread ends.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::bounds::{BLOCKS_IN_FLIGHT, THREADS_DEFAULT_MAX, THREADS_MAX};
use crate::chunk::Chunk;
use crate::error::IntakeError;
use crate::plan::Plan;
use crate::rows;
use crate::table::Table;

/// A piece of a file, not yet parsed. Turning it into a table is the parser's work.
pub type Piece = Box<dyn FnOnce(&Plan) -> Result<Table, IntakeError> + Send>;

/// Where pieces come from. Runs in the reading thread.
pub trait Work: Send {
    /// The next piece and the file's bytes read up to its end.
    fn next(&mut self) -> Result<Option<(Piece, u64)>, IntakeError>;
}

type Task = Result<(Piece, u64, u64), IntakeError>;
type Outcome = Result<Chunk, IntakeError>;

pub struct Pipeline {
    parsers: Vec<Receiver<Outcome>>,
    next_seq: u64,
    ended: bool,
    threads: Vec<JoinHandle<()>>,
}

pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(THREADS_DEFAULT_MAX)
}

impl Pipeline {
    pub fn start(plan: Arc<Plan>, work: Box<dyn Work>, threads: usize) -> Self {
        let count = threads.clamp(1, THREADS_MAX);
        let mut tasks = Vec::with_capacity(count);
        let mut parsers = Vec::with_capacity(count);
        let mut handles = Vec::with_capacity(count + 1);
        for number in 0..count {
            let (task_sender, task_receiver) = sync_channel::<Task>(BLOCKS_IN_FLIGHT);
            let (chunk_sender, chunk_receiver) = sync_channel::<Outcome>(BLOCKS_IN_FLIGHT);
            let plan = Arc::clone(&plan);
            let parser = move || parse(&plan, &task_receiver, &chunk_sender);
            handles.push(spawn(format!("intake-parse-{number}"), parser));
            tasks.push(task_sender);
            parsers.push(chunk_receiver);
        }
        handles.push(spawn("intake-read".to_owned(), move || read(work, &tasks)));
        Self { parsers, next_seq: 0, ended: false, threads: handles }
    }

    pub fn next(&mut self) -> Result<Option<Chunk>, IntakeError> {
        if self.ended {
            return Ok(None);
        }
        let parser = usize::try_from(self.next_seq).expect("fits") % self.parsers.len();
        match self.parsers[parser].recv() {
            Ok(Ok(chunk)) => {
                assert_eq!(chunk.seq, self.next_seq, "chunks come in order");
                self.next_seq += 1;
                Ok(Some(chunk))
            }
            Ok(Err(error)) => {
                self.ended = true;
                Err(error)
            }
            Err(_) => {
                self.ended = true;
                self.join()?;
                Ok(None)
            }
        }
    }

    /// A channel closes at the file's end and when a thread panics: only this tells which it was.
    fn join(&mut self) -> Result<(), IntakeError> {
        self.parsers.clear();
        let panicked = self.threads.drain(..).filter_map(|thread| thread.join().err()).count();
        if panicked == 0 {
            Ok(())
        } else {
            Err(IntakeError::Stopped("it panicked; please report this file"))
        }
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name).spawn(run).expect("the system starts a thread")
}

/// Deals pieces out until the file ends, one fails, or nobody wants them any more.
fn read(mut work: Box<dyn Work>, parsers: &[SyncSender<Task>]) {
    for (seq, parser) in (0u64..).zip(parsers.iter().cycle()) {
        let task = match work.next() {
            Ok(Some((piece, bytes_read))) => Ok((piece, seq, bytes_read)),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let failed = task.is_err();
        if parser.send(task).is_err() || failed {
            return;
        }
    }
}

fn parse(plan: &Arc<Plan>, tasks: &Receiver<Task>, chunks: &SyncSender<Outcome>) {
    for task in tasks {
        let outcome = task.and_then(|(piece, seq, bytes_read)| {
            let table = piece(plan)?;
            rows::chunk(plan, table, seq, bytes_read)
        });
        let failed = outcome.is_err();
        if chunks.send(outcome).is_err() || failed {
            return;
        }
    }
}
