//! The broker as the program around it sees it: streams in, what there is to tell, an end.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::hooks::{Hooks, Message};
use crate::lanes::{self, Inbox, Lanes};
use crate::limits::{DELAYED_WILLS_MAX, SESSIONS_LOOK_SECONDS, seconds};
use crate::packet::QoS;
use crate::session::{Delivery, Session, Subscription};
use crate::sessions::Sessions;

/// A broker. Connections are served by [`Broker::serve`](crate::Broker::serve).
pub struct Broker<H: Hooks> {
    pub(crate) hooks: Arc<H>,
    pub(crate) sessions: Sessions<H>,
    pub(crate) inbox: Inbox<H::Client>,
    pub(crate) stop: watch::Sender<bool>,
    /// Wills that wait for their time.
    pub(crate) wills: Arc<Semaphore>,
    /// Where the next message to a group begins to look for who takes it.
    round: AtomicUsize,
}

/// A subscription that meets what is told.
pub struct Heard<'s, H: Hooks> {
    subscription: &'s Subscription<H>,
    session: &'s Session<H>,
    topic: &'s str,
}

/// A subscription with the topic that it meets.
struct Met<'t, H: Hooks> {
    subscription: Arc<Subscription<H>>,
    topic: &'t str,
}

impl<H: Hooks> Heard<'_, H> {
    pub fn client(&self) -> Arc<H::Client> {
        self.session.state.lock().client.clone()
    }

    /// The first of the topics that it meets.
    pub fn topic(&self) -> &str {
        self.topic
    }

    pub fn tag(&self) -> &H::Tag {
        &self.subscription.tag
    }
}

impl<H: Hooks> Broker<H> {
    /// A broker, and what carries its publishes to the hooks.
    pub fn start(hooks: Arc<H>) -> (Arc<Self>, Lanes) {
        let stop = watch::Sender::new(false);
        let (inbox, lanes) = lanes::open(&hooks, &stop.subscribe());
        let sessions = Sessions::default();
        let wills = Arc::new(Semaphore::new(permits(DELAYED_WILLS_MAX)));
        let round = AtomicUsize::new(0);
        (Arc::new(Self { hooks, sessions, inbox, stop, wills, round }), lanes)
    }

    pub fn hooks(&self) -> &Arc<H> {
        &self.hooks
    }

    /// Whether anybody subscribes to anything.
    pub fn is_heard(&self) -> bool {
        self.sessions.tree.read().len() > 0
    }

    /// The subscriptions that meet one of the topics, each once: of one thing that is known by
    /// several topics a subscription hears once.
    pub fn tell(
        &self,
        topics: &[String],
        origin: Option<u64>,
        mut say: impl FnMut(&Heard<'_, H>) -> Option<Message>,
    ) {
        let mut met: Vec<Met<'_, H>> = Vec::new();
        {
            let tree = self.sessions.tree.read();
            let mut found = Vec::new();
            for topic in topics {
                tree.meet(topic, &mut found);
                met.extend(found.drain(..).map(|subscription| Met { subscription, topic }));
            }
        }
        let mut told = HashSet::new();
        let mut groups: BTreeMap<(&str, &str), Vec<&Met<'_, H>>> = BTreeMap::new();
        for met in &met {
            let subscription = &met.subscription;
            if !told.insert(subscription.number) {
                continue;
            }
            match &subscription.group {
                Some(group) => {
                    let key = (group.as_str(), subscription.filter.as_str());
                    groups.entry(key).or_default().push(met);
                }
                None => {
                    let Some(session) = subscription.session.upgrade() else { continue };
                    if subscription.no_local && origin == Some(session.number) {
                        continue;
                    }
                    let heard = Heard { subscription, session: &session, topic: met.topic };
                    if let Some(message) = say(&heard) {
                        session.offer(delivery(subscription, message));
                    }
                }
            }
        }
        for members in groups.into_values() {
            self.tell_one(&members, &mut say);
        }
    }

    /// One member of a group, the next in turn of those that may hear it. Who is connected and has
    /// room goes before who is not.
    fn tell_one(
        &self,
        members: &[&Met<'_, H>],
        say: &mut impl FnMut(&Heard<'_, H>) -> Option<Message>,
    ) {
        let first = self.round.load(Ordering::Relaxed);
        for with_room in [true, false] {
            for place in 0..members.len() {
                let met = members[first.wrapping_add(place) % members.len()];
                let subscription = &met.subscription;
                let Some(session) = subscription.session.upgrade() else { continue };
                if session.has_room() != with_room {
                    continue;
                }
                let heard = Heard { subscription, session: &session, topic: met.topic };
                if let Some(message) = say(&heard) {
                    session.offer(delivery(subscription, message));
                    // Who is asked and told nothing takes no turn.
                    self.round.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
    }

    /// Looks after sessions until the broker is stopped.
    pub async fn tend(&self) {
        let mut stop = self.stop.subscribe();
        let mut look = tokio::time::interval(seconds(SESSIONS_LOOK_SECONDS));
        loop {
            tokio::select! {
                _ = look.tick() => self.sessions.expire(Instant::now()),
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// Says goodbye to every client and takes nothing more.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Returns after [`Broker::stop`] when no will waits any more.
    pub async fn ended(&self) {
        let _ = self.wills.acquire_many(DELAYED_WILLS_MAX).await;
    }
}

fn permits(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Resolves when the broker is to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn delivery<H: Hooks>(subscription: &Subscription<H>, message: Message) -> Delivery {
    let qos = message.qos.min(subscription.qos).min(QoS::AtLeastOnce);
    let subscription_id = subscription.id;
    Delivery { message: Arc::new(message), qos, retain: false, subscription_id }
}
