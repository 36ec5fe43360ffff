//! What happens in a city while people look at it: rows that came in, requests that moved.
//!
//! One bounded channel. Nobody who tells waits for anybody who listens: a listener that falls
//! behind loses its place, and asks for the whole again.

use catalog::sharing::Stepped;
use chrono::{DateTime, Utc};
use tokio::sync::broadcast;

/// Events that a listener may fall behind by.
const EVENTS_BEHIND_MAX: usize = 256;

/// Something that a screen may want to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CityEvent {
    /// So many rows of a dataset are new or changed.
    Dataset { id: String, at: DateTime<Utc>, rows: u64 },
    /// A sharing request was made or moved on.
    Request(Stepped),
}

/// Where events are told.
#[derive(Debug, Clone)]
pub struct Events {
    sender: broadcast::Sender<CityEvent>,
}

impl Default for Events {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(EVENTS_BEHIND_MAX) }
    }
}

impl Events {
    pub fn tell(&self, event: CityEvent) {
        // Nobody listening is the usual case.
        let _ = self.sender.send(event);
    }

    pub fn listen(&self) -> broadcast::Receiver<CityEvent> {
        self.sender.subscribe()
    }
}
