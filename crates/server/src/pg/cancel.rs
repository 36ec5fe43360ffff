//! Cancel requests. They come on a connection of their own with the key of the one that is busy,
//! and stop whatever statement runs there, its streaming included.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use pgwire::api::cancel::CancelHandler;
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::startup::SecretKey;
use std::sync::Mutex;
use tokio::sync::oneshot;

/// The connections that can be asked to stop, by process id and secret.
#[derive(Debug, Default)]
pub struct CancelDesk {
    slots: Mutex<HashMap<(i32, Bytes), Arc<CancelSlot>>>,
}

/// One connection's running statement, if any.
#[derive(Debug, Default)]
pub struct CancelSlot {
    running: Mutex<Option<oneshot::Sender<()>>>,
}

/// A slot's place on the desk; dropping it takes the slot away.
#[derive(Debug)]
pub struct Place {
    desk: Arc<CancelDesk>,
    key: (i32, Bytes),
}

impl CancelDesk {
    pub fn register(
        self: &Arc<Self>,
        pid: i32,
        secret: &SecretKey,
        slot: Arc<CancelSlot>,
    ) -> Place {
        let key = (pid, secret.to_bytes());
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), slot);
        Place { desk: self.clone(), key }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.desk.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[async_trait]
impl CancelHandler for CancelDesk {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let key = (request.pid, request.secret_key.to_bytes());
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(slot) = slot {
            slot.cancel();
        }
    }
}

impl CancelSlot {
    /// Marks the start of a statement; the receiver resolves when it is to stop. A request that
    /// comes while nothing runs is lost, as it must be: it was for the statement before.
    pub fn begin(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    pub fn end(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn cancel(&self) {
        let sender = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // The statement may have ended between the two: then there is nothing to stop.
            let _ = sender.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_key_stops_and_only_what_runs() {
        let desk = Arc::new(CancelDesk::default());
        let slot = Arc::new(CancelSlot::default());
        let place = desk.register(7, &SecretKey::I32(99), slot.clone());

        desk.on_cancel_request(CancelRequest::new(7, SecretKey::I32(99))).await;
        let mut running = slot.begin();
        desk.on_cancel_request(CancelRequest::new(7, SecretKey::I32(98))).await;
        desk.on_cancel_request(CancelRequest::new(8, SecretKey::I32(99))).await;
        assert!(running.try_recv().is_err(), "neither an early nor a wrong key stops it");
        desk.on_cancel_request(CancelRequest::new(7, SecretKey::I32(99))).await;
        assert_eq!(running.try_recv(), Ok(()));

        drop(place);
        let mut running = slot.begin();
        desk.on_cancel_request(CancelRequest::new(7, SecretKey::I32(99))).await;
        assert!(running.try_recv().is_err(), "a closed connection is off the desk");
    }
}
