//! One client's connection: its packets in, acknowledgements and messages out, in one task.
//!
//! Publishes go to the lanes as they come and are acknowledged in their order. While as many wait
//! as may, the client is not read from: it waits, and nothing grows.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::broker::{Broker, stopped};
use crate::decode;
use crate::encode::{self, Sending};
use crate::figures::{Counted, FIGURES, count};
use crate::handshake::{Greeted, Line, greet};
use crate::hooks::{Grant, Hooks, Publication};
use crate::lanes::Answer;
use crate::limits::{
    IN_FLIGHT_MAX, PACE_SECONDS_MAX, PACES_MAX, PACKET_BYTES_MAX, RECEIVE_MAX, RECHECK_SECONDS,
    SESSION_EXPIRY_SECONDS_MAX, SETTLE_SECONDS_MAX, TOPIC_ALIASES_MAX, WRITE_BYTES,
    WRITTEN_AT_ONCE_MAX, seconds,
};
use crate::packet::{
    Asked, Disconnect, Packet, Publish, QoS, RetainHandling, Subscribe, Unsubscribe, Version, Will,
};
use crate::reason::{Reason, Refusal};
use crate::session::{Delivery, Session, Subscription};
use crate::topic::{filter_fault, name_fault, shared};

/// Where a stream comes from.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: IpAddr,
    /// Names in the certificate that was shown and checked.
    pub certified: Vec<String>,
}

/// How a connection ends.
enum End {
    /// The stream is at its end, or broken.
    Gone,
    /// The client has said goodbye.
    Said(Disconnect),
    /// It is hung up on.
    Refused(Reason, String),
    /// Another connection has the session.
    TakenOver,
    /// The broker stops.
    Stopping,
}

/// A publish that is not answered yet.
struct Pending {
    packet_id: u16,
    qos: QoS,
    answer: oneshot::Receiver<Answer>,
}

struct Connection<'b, H: Hooks, S> {
    broker: &'b Arc<Broker<H>>,
    line: Line<S>,
    version: Version,
    session: Arc<Session<H>>,
    turn: u64,
    client: Arc<H::Client>,
    pending: VecDeque<Pending>,
    aliases: HashMap<u16, String>,
    /// Messages that the client takes at once.
    window: usize,
    packet_bytes_max: usize,
    /// Reasons in words are wanted.
    words: bool,
    silence: Duration,
    heard: Instant,
    check: Instant,
}

impl<H: Hooks> Broker<H> {
    /// Serves one connection to its end.
    pub async fn serve<S>(self: &Arc<Self>, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let _counted = Counted::new();
        let mut line = Line::of(stream);
        let Some(Greeted { mut connect, attached, silence }) = greet(self, &mut line, &peer).await
        else {
            return;
        };
        let will = connect.will.take();
        let client = attached.session.state.lock().client.clone();
        let mut connection = Connection {
            broker: self,
            line,
            version: connect.version,
            session: attached.session,
            turn: attached.turn,
            client,
            pending: VecDeque::new(),
            aliases: HashMap::new(),
            window: usize::from(connect.receive_max).min(IN_FLIGHT_MAX),
            packet_bytes_max: connect.packet_bytes_max,
            words: connect.problem_info,
            silence,
            heard: Instant::now(),
            check: Instant::now() + seconds(RECHECK_SECONDS),
        };
        let end = connection.run().await;
        connection.end(end, will, connect.session_expiry_s).await;
    }
}

impl<H: Hooks, S: AsyncRead + AsyncWrite + Send + Unpin> Connection<'_, H, S> {
    async fn run(&mut self) -> End {
        let mut stop = self.broker.stop.subscribe();
        let mut turns = self.session.turn.subscribe();
        let mut look = pin!(tokio::time::sleep_until(self.next_look()));
        loop {
            if let Err(end) = self.work().await {
                return end;
            }
            tokio::select! {
                read = self.line.read(), if self.pending.len() < usize::from(RECEIVE_MAX) => {
                    match read {
                        Ok(0) | Err(_) => return End::Gone,
                        Ok(_) => self.heard = Instant::now(),
                    }
                }
                answer = first_answer(&mut self.pending) => {
                    if let Err(end) = self.answered(answer) {
                        return end;
                    }
                }
                () = self.session.waiting.notified() => {}
                () = look.as_mut() => {
                    if let Err(end) = self.looked_at().await {
                        return end;
                    }
                    let next = self.next_look();
                    look.as_mut().reset(next);
                }
                () = lost(&mut turns, self.turn) => return End::TakenOver,
                () = stopped(&mut stop) => return End::Stopping,
            }
        }
    }

    fn next_look(&self) -> Instant {
        // A client that is not read from is not silent: it is looked at again.
        let silent = (self.heard + self.silence).max(Instant::now() + seconds(1));
        silent.min(self.check)
    }

    /// Is the client still there, and still good?
    async fn looked_at(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let reads = self.pending.len() < usize::from(RECEIVE_MAX);
        if reads && now >= self.heard + self.silence {
            let text = "nothing was heard for one and a half times the keep-alive";
            return Err(End::Refused(Reason::KEEP_ALIVE, text.to_owned()));
        }
        if now >= self.check {
            if !self.broker.hooks.still_good(&self.client).await {
                let text = "the login has ended, or its rights have changed: connect again";
                return Err(End::Refused(Reason::NOT_AUTHORIZED, text.to_owned()));
            }
            self.check = Instant::now() + seconds(RECHECK_SECONDS);
        }
        Ok(())
    }

    /// Does what can be done without waiting for anybody but the lanes.
    async fn work(&mut self) -> Result<(), End> {
        self.answer_ready()?;
        while self.pending.len() < usize::from(RECEIVE_MAX) {
            let next = decode::next(&mut self.line.inbox, Some(self.version), PACKET_BYTES_MAX);
            match next {
                Ok(Some(packet)) => self.packet(packet).await?,
                Ok(None) => break,
                Err(fault) => {
                    count(&FIGURES.malformed, 1);
                    return Err(End::Refused(fault.reason, fault.what.to_owned()));
                }
            }
            if self.line.out.len() >= WRITE_BYTES {
                self.flush().await?;
            }
        }
        self.send();
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.line.flush().await.map_err(|_| End::Gone)
    }

    /// Acknowledges what has been answered meanwhile.
    fn answer_ready(&mut self) -> Result<(), End> {
        while let Some(first) = self.pending.front_mut() {
            let answer = match first.answer.try_recv() {
                Ok(answer) => answer,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Closed) => Err(unanswered()),
            };
            self.answered(answer)?;
        }
        Ok(())
    }

    /// Acknowledges the publish that has waited longest.
    fn answered(&mut self, answer: Answer) -> Result<(), End> {
        if self.pending.len() >= usize::from(RECEIVE_MAX) {
            self.heard = Instant::now();
        }
        let Some(Pending { packet_id, qos, .. }) = self.pending.pop_front() else { return Ok(()) };
        let refusal = answer.err().map(|refusal| self.worded(refusal));
        if let Some(refusal) = refusal.as_ref().filter(|_| self.version == Version::V311)
            && !refusal.lasting
        {
            // No acknowledgement: the client keeps it, and sends it again.
            return Err(End::Refused(refusal.reason, refusal.text.clone()));
        }
        let (out, version) = (&mut self.line.out, self.version);
        match qos {
            QoS::ExactlyOnce => {
                if refusal.is_none() {
                    self.session.state.lock().received.insert(packet_id);
                }
                encode::pubrec(out, version, packet_id, refusal.as_ref());
            }
            _ => encode::puback(out, version, packet_id, refusal.as_ref()),
        }
        Ok(())
    }

    /// A refusal as this client wants to read it.
    fn worded(&self, mut refusal: Refusal) -> Refusal {
        if !self.words {
            refusal.text.clear();
        }
        refusal
    }

    /// Writes messages that wait for the client.
    fn send(&mut self) {
        let now = Instant::now();
        let taken = {
            let mut state = self.session.state.lock();
            if *self.session.turn.borrow() != self.turn {
                // Whoever has the session now may be who was to be woken.
                self.session.waiting.notify_one();
                return;
            }
            state.take(WRITTEN_AT_ONCE_MAX, self.window, now)
        };
        if !taken.is_empty() {
            // There may be more: after the client has been heard.
            self.session.waiting.notify_one();
        }
        for numbered in taken {
            let Delivery { message, qos, retain, subscription_id } = &numbered.delivery;
            let left = |until: Instant| until.saturating_duration_since(now).as_secs();
            let expiry_s =
                message.until.map(|until| u32::try_from(left(until)).unwrap_or(u32::MAX));
            let sending = Sending {
                topic: &message.topic,
                payload: &message.payload,
                qos: *qos,
                dup: numbered.dup,
                retain: *retain,
                packet_id: numbered.packet_id,
                subscription_id: *subscription_id,
                content_type: message.content_type,
                expiry_s,
                user: &message.user_properties,
            };
            let (out, bytes_max) = (&mut self.line.out, self.packet_bytes_max);
            match encode::publish(out, self.version, bytes_max, &sending) {
                true => count(&FIGURES.sent, 1),
                false => self.session.state.lock().unsent(numbered.packet_id),
            }
        }
    }

    async fn packet(&mut self, packet: Packet) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(publish).await?,
            Packet::Puback(packet_id) => self.session.state.lock().acknowledged(packet_id),
            Packet::Pubrel(packet_id) => {
                let known = self.session.state.lock().received.remove(&packet_id);
                let unknown = Refusal::new(Reason::ID_NOT_FOUND, "");
                let refusal = Some(&unknown).filter(|_| !known);
                encode::pubcomp(&mut self.line.out, self.version, packet_id, refusal);
            }
            Packet::Subscribe(subscribe) => self.subscribe(subscribe).await?,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe),
            Packet::Pingreq => encode::pingresp(&mut self.line.out),
            Packet::Disconnect(said) => return Err(End::Said(said)),
            Packet::Connect(_) => {
                let text = "a second CONNECT".to_owned();
                return Err(End::Refused(Reason::PROTOCOL_ERROR, text));
            }
        }
        Ok(())
    }

    async fn publish(&mut self, publish: Publish) -> Result<(), End> {
        count(&FIGURES.received, 1);
        let topic = self.topic_of(publish.topic, publish.alias)?;
        if let Some(fault) = name_fault(&topic) {
            return Err(End::Refused(Reason::TOPIC_INVALID, fault.to_owned()));
        }
        self.paced().await?;
        let answer = match publish.qos {
            QoS::AtMostOnce => None,
            qos => {
                let (sender, answer) = oneshot::channel();
                self.pending.push_back(Pending { packet_id: publish.packet_id, qos, answer });
                let taken = qos == QoS::ExactlyOnce
                    && self.session.state.lock().received.contains(&publish.packet_id);
                if taken {
                    let _ = sender.send(Ok(()));
                    return Ok(());
                }
                Some(sender)
            }
        };
        let publication = Publication {
            client: self.client.clone(),
            origin: self.session.number,
            topic,
            payload: publish.payload,
            user_properties: publish.user,
        };
        match self.broker.inbox.put(publication, answer).await {
            true => Ok(()),
            false => Err(End::Stopping),
        }
    }

    /// Waits for the principal's rate; what is answered meanwhile is acknowledged.
    async fn paced(&mut self) -> Result<(), End> {
        for _ in 0..PACES_MAX {
            let Some(wait) = self.broker.hooks.pace(&self.client) else { break };
            self.answer_ready()?;
            self.flush().await?;
            if *self.broker.stop.borrow() {
                return Err(End::Stopping);
            }
            tokio::time::sleep(wait.min(seconds(PACE_SECONDS_MAX))).await;
        }
        Ok(())
    }

    fn topic_of(&mut self, topic: String, alias: Option<u16>) -> Result<String, End> {
        let invalid = |text: &str| Err(End::Refused(Reason::ALIAS_INVALID, text.to_owned()));
        match alias {
            None => Ok(topic),
            Some(alias) if alias == 0 || alias > TOPIC_ALIASES_MAX => {
                invalid("a topic's alias is from 1 to what CONNACK says")
            }
            Some(alias) if topic.is_empty() => match self.aliases.get(&alias) {
                Some(topic) => Ok(topic.clone()),
                None => invalid("the topic's alias stands for nothing"),
            },
            Some(alias) => {
                self.aliases.insert(alias, topic.clone());
                Ok(topic)
            }
        }
    }

    async fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), End> {
        let Subscribe { packet_id, id, filters } = subscribe;
        let (mut codes, mut retained) = (Vec::with_capacity(filters.len()), Vec::new());
        for asked in filters {
            // Each is a question or two.
            self.paced().await?;
            if asked.no_local && shared(&asked.filter).0.is_some() {
                let text = "a shared subscription cannot leave out one's own".to_owned();
                return Err(End::Refused(Reason::PROTOCOL_ERROR, text));
            }
            let subscribed = self.subscribe_one(asked, id, &mut retained).await;
            codes.push(subscribed.map_err(|refusal| self.worded(refusal)));
        }
        encode::suback(&mut self.line.out, self.version, packet_id, &codes);
        for delivery in retained {
            self.session.offer(delivery);
        }
        Ok(())
    }

    async fn subscribe_one(
        &mut self,
        asked: Asked,
        id: Option<u32>,
        retained: &mut Vec<Delivery>,
    ) -> Result<QoS, Refusal> {
        if let Some(fault) = filter_fault(&asked.filter) {
            return Err(Refusal::new(Reason::FILTER_INVALID, fault));
        }
        let (group, plain) = shared(&asked.filter);
        let hooks = &self.broker.hooks;
        let Grant { filter, tag } = hooks.subscribe(&self.client, plain).await?;
        let qos = asked.qos.min(QoS::AtLeastOnce);
        let subscription = Subscription {
            number: self.broker.sessions.number(),
            session: Arc::downgrade(&self.session),
            filter,
            group: group.map(str::to_owned),
            qos,
            no_local: asked.no_local,
            id,
            tag,
        };
        let sessions = &self.broker.sessions;
        let (is_new, held) = sessions.subscribe(&self.session, &asked.filter, subscription)?;
        let wanted = match asked.retain {
            RetainHandling::Always => true,
            RetainHandling::WhereNew => is_new,
            RetainHandling::Never => false,
        };
        // Nothing retained goes to groups (OASIS MQTT 5.0, 4.8.2).
        if wanted
            && held.group.is_none()
            && let Some(message) = hooks.retained(&self.client, &held.tag).await
        {
            let qos = message.qos.min(qos);
            let message = Arc::new(message);
            retained.push(Delivery { message, qos, retain: true, subscription_id: id });
        }
        Ok(qos)
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) {
        let sessions = &self.broker.sessions;
        let codes: Vec<Reason> = unsubscribe
            .filters
            .iter()
            .map(|filter| match sessions.unsubscribe(&self.session, filter) {
                true => Reason::SUCCESS,
                false => Reason::NO_SUBSCRIPTION_EXISTED,
            })
            .collect();
        encode::unsuback(&mut self.line.out, self.version, unsubscribe.packet_id, &codes);
    }

    /// Waits a little for publishes that are under way: where the server stops, so that what is kept
    /// is acknowledged and not sent again; at QoS 2, so that the session knows what was taken.
    async fn settle(&mut self, end: &End) {
        let stops = matches!(end, End::Stopping);
        if !stops && self.pending.iter().all(|pending| pending.qos != QoS::ExactlyOnce) {
            return;
        }
        let until = Instant::now() + seconds(SETTLE_SECONDS_MAX);
        while let Some(first) = self.pending.front_mut() {
            let answer = tokio::time::timeout_at(until, &mut first.answer).await;
            let Ok(Ok(answer)) = answer else { return };
            if self.answered(answer).is_err() && stops {
                return;
            }
        }
    }

    /// Says goodbye, lets go of the session and does what the will says.
    async fn end(mut self, end: End, mut will: Option<Will>, asked_expiry_s: u32) {
        self.settle(&end).await;
        let version = self.version;
        let (reason, text) = match &end {
            End::Refused(reason, text) => (Some(*reason), text.as_str()),
            End::TakenOver => (Some(Reason::TAKEN_OVER), "another connection has the session"),
            End::Stopping => (Some(Reason::STOPPING), "the server stops"),
            End::Gone | End::Said(_) => (None, ""),
        };
        if let Some(reason) = reason {
            let text = if self.words { text } else { "" };
            encode::disconnect(&mut self.line.out, version, reason, text);
        }
        if let End::Said(said) = &end {
            if said.reason != Reason::DISCONNECT_WITH_WILL {
                will = None;
            }
            // A session that was to end with its connection does so.
            if let Some(expiry_s) = said.session_expiry_s.filter(|_| asked_expiry_s > 0) {
                let mut state = self.session.state.lock();
                state.expiry_s = expiry_s.min(SESSION_EXPIRY_SECONDS_MAX);
            }
        }
        let expiry_s = self.session.state.lock().expiry_s;
        self.broker.sessions.detach(&self.session, self.turn);
        match (&end, will) {
            (End::Stopping, _) | (_, None) => {}
            (End::TakenOver, Some(will)) if will.delay_s > 0 => {}
            (_, Some(will)) => self.leave(will, expiry_s).await,
        }
        self.line.close().await;
    }

    /// Publishes the will: at once, or when it is time and the client has not come back.
    async fn leave(&mut self, will: Will, expiry_s: u32) {
        let delay = seconds(u64::from(will.delay_s.min(expiry_s)));
        let publication = Publication {
            client: self.client.clone(),
            origin: self.session.number,
            topic: will.topic,
            payload: will.payload,
            user_properties: will.user,
        };
        let broker = self.broker.clone();
        let Ok(place) = broker.wills.clone().try_acquire_owned() else {
            tracing::warn!("too many wills wait: one is published at once");
            broker.inbox.put(publication, None).await;
            return;
        };
        if delay.is_zero() {
            broker.inbox.put(publication, None).await;
            return;
        }
        let (session, turn) = (self.session.clone(), self.turn);
        let (mut stop, mut turns) = (broker.stop.subscribe(), session.turn.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => {
                    broker.inbox.put(publication, None).await;
                }
                () = lost(&mut turns, turn) => {}
                () = stopped(&mut stop) => {}
            }
            drop((broker, session, place));
        });
    }
}

/// The answer that has been waited for longest; with none to wait for it never comes.
async fn first_answer(pending: &mut VecDeque<Pending>) -> Answer {
    match pending.front_mut() {
        Some(first) => (&mut first.answer).await.unwrap_or_else(|_| Err(unanswered())),
        None => std::future::pending().await,
    }
}

fn unanswered() -> Refusal {
    Refusal::for_now(Reason::UNAVAILABLE, "the server stops: send it again")
}

/// Resolves when the session has another connection than that of this turn.
async fn lost(turns: &mut watch::Receiver<u64>, turn: u64) {
    // A session that is forgotten drops its sender: that is a loss too.
    let _ = turns.wait_for(|now| *now != turn).await;
}
