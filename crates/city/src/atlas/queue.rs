//! Whose layer is made next: so many at once, so many in the queue, and few of one principal.
//!
//! ```text
//!  asked for ─► the principal's own line ─► the queue of all ─► made
//!                one for now, one for the past
//! ```
//!
//! Each moment asked about is a layer to be made. Whoever asks for many of them waits in a line of
//! its own and takes two places of the queue, so that everybody else's turn comes as before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, oneshot};

use crate::CityError;

/// Layers that are made at once; others wait. Making one is reading a dataset from end to end.
const BUILDS_MAX: usize = 2;
/// Layers that wait for their turn, those being made included; whoever asks for one more is told
/// to come again.
const BUILDS_WAITING_MAX: usize = 32;
/// Of those, layers of one principal: as many of now, and as many of the past. What it asks for
/// beyond them waits in its own line.
const BUILDS_OF_PRINCIPAL_MAX: usize = 2;
/// Layers in one line, those that are further on included: more than a map has of one moment.
const LINE_MAX: usize = 32;

/// Whose line it is, and whether it is that for the past: the layers of now are few and others
/// wait for them too, so that none of them may stand behind somebody's hundred moments.
type LineName = (String, bool);

#[derive(Debug)]
struct Line {
    places: Arc<Semaphore>,
    members: usize,
}

#[derive(Debug)]
pub(super) struct Queue {
    builds: Semaphore,
    waiting: Semaphore,
    /// No line is kept that nobody stands in.
    lines: Mutex<HashMap<LineName, Line>>,
}

/// The right to make a layer, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    _build: SemaphorePermit<'a>,
    _waiting: SemaphorePermit<'a>,
    _place: OwnedSemaphorePermit,
    _member: Member<'a>,
}

/// One who stands in a line, until it is dropped.
#[derive(Debug)]
struct Member<'a> {
    queue: &'a Queue,
    name: LineName,
    places: Arc<Semaphore>,
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let mut lines = self.queue.lock();
        match lines.get_mut(&self.name) {
            Some(line) if line.members > 1 => line.members -= 1,
            _ => {
                lines.remove(&self.name);
            }
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        let (builds, waiting) = (Semaphore::new(BUILDS_MAX), Semaphore::new(BUILDS_WAITING_MAX));
        Self { builds, waiting, lines: Mutex::default() }
    }
}

impl Queue {
    /// A turn at making a layer for a user, unless whoever asked goes away before it comes.
    pub async fn turn(
        &self,
        user: &str,
        past: bool,
        mut asker: oneshot::Sender<()>,
    ) -> Result<Turn<'_>, CityError> {
        let member = self.enter(user, past)?;
        tokio::select! {
            biased;
            () = asker.closed() => Err(CityError::Busy("nobody waits for this layer".to_owned())),
            turn = self.line_up(member) => turn,
        }
    }

    fn enter(&self, user: &str, past: bool) -> Result<Member<'_>, CityError> {
        let name = (user.to_owned(), past);
        let mut lines = self.lock();
        let line = lines.entry(name.clone()).or_insert_with(|| Line {
            places: Arc::new(Semaphore::new(BUILDS_OF_PRINCIPAL_MAX)),
            members: 0,
        });
        if line.members >= LINE_MAX {
            let reason = format!("{LINE_MAX} layers are being made for {user}: try again");
            return Err(CityError::Busy(reason));
        }
        line.members += 1;
        Ok(Member { queue: self, name, places: line.places.clone() })
    }

    async fn line_up<'a>(&'a self, member: Member<'a>) -> Result<Turn<'a>, CityError> {
        let place = member.places.clone().acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        let waiting = self.waiting.try_acquire().map_err(|_| {
            CityError::Busy(format!("{BUILDS_WAITING_MAX} layers are being made: try again"))
        })?;
        let build = self.builds.acquire().await.expect("the semaphore is never closed");
        Ok(Turn { _build: build, _waiting: waiting, _place: place, _member: member })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LineName, Line>> {
        self.lines.lock().expect("no one panics while holding the lines")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(builds: usize) -> Queue {
        Queue { builds: Semaphore::new(builds), ..Queue::default() }
    }

    fn members(queue: &Queue) -> usize {
        queue.lock().values().map(|line| line.members).sum()
    }

    #[tokio::test]
    async fn nobody_makes_what_nobody_waits_for() {
        let queue = queue(1);
        let (asker, here) = oneshot::channel();
        let held = queue.turn("lin", false, asker).await.unwrap();
        let (asker, gone) = oneshot::channel();
        let queued = queue.turn("zhao", false, asker);
        let leaving = async { drop(gone) };
        let (queued, ()) = tokio::join!(queued, leaving);
        assert!(matches!(queued, Err(CityError::Busy(_))));
        drop((held, here));
        let (asker, gone) = oneshot::channel();
        drop(gone);
        let late = queue.turn("lin", false, asker).await;
        assert!(matches!(late, Err(CityError::Busy(_))), "gone before its turn came");
        assert_eq!(queue.builds.available_permits(), 1);
        assert_eq!(members(&queue), 0);
    }

    #[tokio::test]
    async fn who_asks_for_many_moments_keeps_nobody_else_waiting() {
        let queue = Arc::new(queue(1));
        let (asker, _here) = oneshot::channel();
        let held = queue.turn("lin", true, asker).await.unwrap();
        let (mut here, mut tasks) = (Vec::new(), Vec::new());
        let mut ask = |user: &'static str, past: bool| {
            let (asker, receiver) = oneshot::channel();
            here.push(receiver);
            let queue = queue.clone();
            tasks.push(tokio::spawn(async move { queue.turn(user, past, asker).await.map(drop) }));
        };
        (1..LINE_MAX).for_each(|_| ask("lin", true));
        // The same one's map of now, and another's.
        ask("lin", false);
        ask("zhao", true);
        while members(&queue) < LINE_MAX + 2 {
            tokio::task::yield_now().await;
        }
        let taken = BUILDS_WAITING_MAX - queue.waiting.available_permits();
        assert_eq!(taken, BUILDS_OF_PRINCIPAL_MAX + 2, "two of the past, and one each");
        let (asker, _more) = oneshot::channel();
        let more = queue.turn("lin", true, asker).await;
        assert!(matches!(more, Err(CityError::Busy(_))), "the line is full");

        drop(held);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(members(&queue), 0);
        assert_eq!(queue.waiting.available_permits(), BUILDS_WAITING_MAX);
    }
}
