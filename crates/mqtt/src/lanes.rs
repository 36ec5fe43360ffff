//! From many connections to few calls: publishes wait in lanes, and whatever waits in one goes to
//! the hook together. While a batch becomes durable the next one gathers, so that the batches are
//! as large as the disk is slow.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::broker::stopped;
use crate::figures::{FIGURES, count};
use crate::hooks::{Hooks, Publication};
use crate::limits::{BATCH_PUBLISHES_MAX, INBOX_BYTES_MAX, LANE_PUBLISHES_MAX, LANES};
use crate::reason::{Reason, Refusal};

/// What became of a publish.
pub(crate) type Answer = Result<(), Refusal>;

struct Waiting<C> {
    publication: Publication<C>,
    /// None wants to know at QoS 0.
    answer: Option<oneshot::Sender<Answer>>,
    room: OwnedSemaphorePermit,
}

/// The end that connections put publishes into.
pub(crate) struct Inbox<C> {
    lanes: Vec<mpsc::Sender<Waiting<C>>>,
    bytes: Arc<Semaphore>,
}

impl<C> Inbox<C> {
    /// Waits for room, and puts it into its session's lane. Where nobody takes publishes any more,
    /// the answer never comes.
    pub async fn put(
        &self,
        publication: Publication<C>,
        answer: Option<oneshot::Sender<Answer>>,
    ) -> bool {
        let bytes = publication.payload.len() + publication.topic.len();
        let bytes = u32::try_from(bytes.clamp(1, INBOX_BYTES_MAX)).unwrap_or(1);
        let Ok(room) = self.bytes.clone().acquire_many_owned(bytes).await else { return false };
        let count = u64::try_from(self.lanes.len()).unwrap_or(1).max(1);
        let lane = usize::try_from(publication.origin % count).unwrap_or(0);
        let waiting = Waiting { publication, answer, room };
        match self.lanes.get(lane) {
            Some(lane) => lane.send(waiting).await.is_ok(),
            None => false,
        }
    }
}

/// What takes publishes out again. It ends after [`Broker::stop`](crate::Broker::stop), when all
/// that was put in has been answered.
#[derive(Debug)]
pub struct Lanes(JoinSet<()>);

impl Lanes {
    pub async fn ended(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

pub(crate) fn open<H: Hooks>(
    hooks: &Arc<H>,
    stop: &watch::Receiver<bool>,
) -> (Inbox<H::Client>, Lanes) {
    let mut tasks = JoinSet::new();
    let mut lanes = Vec::with_capacity(LANES);
    for _ in 0..LANES {
        let (sender, receiver) = mpsc::channel(LANE_PUBLISHES_MAX);
        lanes.push(sender);
        tasks.spawn(lane(hooks.clone(), receiver, stop.clone()));
    }
    (Inbox { lanes, bytes: Arc::new(Semaphore::new(INBOX_BYTES_MAX)) }, Lanes(tasks))
}

async fn lane<H: Hooks>(
    hooks: Arc<H>,
    mut receiver: mpsc::Receiver<Waiting<H::Client>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut stopping = false;
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = receiver.recv_many(&mut batch, BATCH_PUBLISHES_MAX) => {
                if taken == 0 {
                    return;
                }
            }
            () = stopped(&mut stop), if !stopping => {
                // What is in is still answered; nothing more comes in.
                stopping = true;
                receiver.close();
                continue;
            }
        }
        answer(&*hooks, std::mem::take(&mut batch)).await;
    }
}

async fn answer<H: Hooks>(hooks: &H, batch: Vec<Waiting<H::Client>>) {
    let (mut publications, mut answers) = (Vec::new(), Vec::new());
    for Waiting { publication, answer, room } in batch {
        publications.push(publication);
        answers.push((answer, room));
    }
    let sent = publications.len();
    let published = AssertUnwindSafe(hooks.publish(publications)).catch_unwind().await;
    let mut results = published.unwrap_or_else(|_| {
        tracing::error!(publishes = sent, "a batch of publishes was lost to a panic");
        Vec::new()
    });
    // An answer that is missing is none that anything was kept by.
    results.resize_with(sent, || {
        Err(Refusal::for_now(Reason::IMPLEMENTATION, "the server could not take it: send it again"))
    });
    count(&FIGURES.refused, results.iter().filter(|result| result.is_err()).count());
    for ((answer, _room), result) in answers.into_iter().zip(results) {
        if let Some(answer) = answer {
            // Who is gone will send it again.
            let _ = answer.send(result);
        }
    }
}
