//! One client's session: what it subscribes to, what waits for it, what it has not acknowledged.
//! It outlasts its connection for as long as the client asked, within bounds.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::figures::{FIGURES, count};
use crate::hooks::{Hooks, Message};
use crate::limits::{
    HELD_BYTES_MAX, QUEUED_BYTES_MAX, QUEUED_MESSAGES_MAX, WRITTEN_AT_ONCE_BYTES_MAX,
};
use crate::packet::QoS;

/// Bytes that are held for all clients of the process: in queues and in flight.
static HELD_BYTES: AtomicUsize = AtomicUsize::new(0);

/// A filter that a client subscribes to.
pub(crate) struct Subscription<H: Hooks> {
    pub number: u64,
    pub session: Weak<Session<H>>,
    /// The filter that topics have to meet.
    pub filter: String,
    pub group: Option<String>,
    pub qos: QoS,
    pub no_local: bool,
    /// Said with every message, where the client gave one.
    pub id: Option<u32>,
    pub tag: H::Tag,
}

/// A message on its way to one client.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub message: Arc<Message>,
    pub qos: QoS,
    pub retain: bool,
    pub subscription_id: Option<u32>,
}

impl Delivery {
    fn bytes(&self) -> usize {
        self.message.payload.len() + self.message.topic.len()
    }

    fn is_late(&self, now: Instant) -> bool {
        self.message.until.is_some_and(|until| until <= now)
    }
}

/// A delivery with its packet's number, 0 at QoS 0.
pub(crate) struct Numbered {
    pub packet_id: u16,
    pub dup: bool,
    pub delivery: Delivery,
}

pub(crate) struct Session<H: Hooks> {
    pub number: u64,
    pub user: String,
    pub client_id: String,
    pub state: Mutex<State<H>>,
    /// Something waits for the client.
    pub waiting: Notify,
    /// Which connection the session belongs to; one that sees another number has lost it.
    pub turn: watch::Sender<u64>,
}

pub(crate) struct State<H: Hooks> {
    pub client: Arc<H::Client>,
    pub subscriptions: HashMap<String, Arc<Subscription<H>>>,
    pub is_connected: bool,
    pub expiry_s: u32,
    /// Of a session whose client is away.
    pub ends: Option<Instant>,
    /// Publishes at QoS 2 that were taken and not released.
    pub received: HashSet<u16>,
    queue: VecDeque<Delivery>,
    queued_bytes: usize,
    /// Sent and not acknowledged, in order.
    in_flight: VecDeque<(u16, Delivery)>,
    in_flight_bytes: usize,
    last_id: u16,
    /// How many of those in flight have been sent on this connection.
    sent_again: usize,
}

impl<H: Hooks> Session<H> {
    pub fn new(number: u64, client: Arc<H::Client>, user: String, client_id: String) -> Self {
        Self {
            number,
            user,
            client_id,
            state: Mutex::new(State {
                client,
                subscriptions: HashMap::new(),
                is_connected: true,
                expiry_s: 0,
                ends: None,
                received: HashSet::new(),
                queue: VecDeque::new(),
                queued_bytes: 0,
                in_flight: VecDeque::new(),
                in_flight_bytes: 0,
                last_id: 0,
                sent_again: 0,
            }),
            waiting: Notify::new(),
            turn: watch::Sender::new(0),
        }
    }

    /// Puts a message into the queue. The oldest give way where it is full.
    pub fn offer(&self, delivery: Delivery) {
        {
            let mut state = self.state.lock();
            if !state.is_connected && delivery.qos == QoS::AtMostOnce {
                return;
            }
            let bytes = delivery.bytes();
            state.queued_bytes += bytes;
            let held_bytes = HELD_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
            state.queue.push_back(delivery);
            let mut dropped = usize::from(held_bytes > HELD_BYTES_MAX && state.drop_oldest());
            while state.queue.len() > QUEUED_MESSAGES_MAX || state.queued_bytes > QUEUED_BYTES_MAX {
                if !state.drop_oldest() {
                    break;
                }
                dropped += 1;
            }
            count(&FIGURES.dropped, dropped);
        }
        self.waiting.notify_one();
    }

    /// Whether a member of a group can take a message now.
    pub fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.is_connected && state.queue.len() < QUEUED_MESSAGES_MAX
    }
}

impl<H: Hooks> Drop for State<H> {
    fn drop(&mut self) {
        HELD_BYTES.fetch_sub(self.queued_bytes + self.in_flight_bytes, Ordering::Relaxed);
    }
}

impl<H: Hooks> State<H> {
    /// True: there was one.
    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.queue.pop_front() else { return false };
        self.queued_bytes -= oldest.bytes();
        HELD_BYTES.fetch_sub(oldest.bytes(), Ordering::Relaxed);
        true
    }

    /// Begins a connection: what was in flight is sent again.
    pub fn connected(&mut self) {
        self.is_connected = true;
        self.ends = None;
        self.sent_again = 0;
    }

    /// Takes what may be sent now: at most `most`, and of those to be acknowledged no more than
    /// `window` at a time.
    pub fn take(&mut self, most: usize, window: usize, now: Instant) -> Vec<Numbered> {
        let (mut taken, mut taken_bytes) = (Vec::new(), 0);
        while taken.len() < most && taken_bytes < WRITTEN_AT_ONCE_BYTES_MAX {
            if let Some((packet_id, delivery)) = self.in_flight.get(self.sent_again) {
                if self.sent_again == window {
                    break;
                }
                let (packet_id, delivery) = (*packet_id, delivery.clone());
                taken_bytes += delivery.bytes();
                taken.push(Numbered { packet_id, dup: true, delivery });
                self.sent_again += 1;
                continue;
            }
            let Some(next) = self.queue.front() else { break };
            let is_full = self.in_flight.len() >= window || self.in_flight_bytes > QUEUED_BYTES_MAX;
            if next.qos != QoS::AtMostOnce && is_full {
                break;
            }
            let Some(delivery) = self.queue.pop_front() else { break };
            let bytes = delivery.bytes();
            self.queued_bytes -= bytes;
            if delivery.is_late(now) {
                HELD_BYTES.fetch_sub(bytes, Ordering::Relaxed);
                count(&FIGURES.dropped, 1);
                continue;
            }
            let mut packet_id = 0;
            if delivery.qos == QoS::AtMostOnce {
                HELD_BYTES.fetch_sub(bytes, Ordering::Relaxed);
            } else {
                packet_id = self.next_id();
                self.in_flight.push_back((packet_id, delivery.clone()));
                self.in_flight_bytes += bytes;
                self.sent_again = self.in_flight.len();
            }
            taken_bytes += bytes;
            taken.push(Numbered { packet_id, dup: false, delivery });
        }
        taken
    }

    /// A number that nothing in flight has: there are far fewer in flight than numbers.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = self.last_id;
            if id != 0 && !self.in_flight.iter().any(|(taken, _)| *taken == id) {
                return id;
            }
        }
    }

    /// The client has a message. One that is not in flight changes nothing.
    pub fn acknowledged(&mut self, packet_id: u16) {
        let place = self.in_flight.iter().position(|(id, _)| *id == packet_id);
        if let Some(place) = place
            && let Some((_, delivery)) = self.in_flight.remove(place)
        {
            self.in_flight_bytes -= delivery.bytes();
            HELD_BYTES.fetch_sub(delivery.bytes(), Ordering::Relaxed);
            if place < self.sent_again {
                self.sent_again -= 1;
            }
        }
    }

    /// A message that turned out too large for the client: it is not waited for.
    pub fn unsent(&mut self, packet_id: u16) {
        if packet_id != 0 {
            self.acknowledged(packet_id);
        }
        count(&FIGURES.dropped, 1);
    }
}
