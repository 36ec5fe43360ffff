//! The broker over streams in memory, spoken to in bytes: what is acknowledged, refused, told, kept.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::Semaphore;

use crate::{
    Broker, Credentials, Grant, Hooks, Lanes, Message, Peer, Publication, QoS, Reason, Refusal,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Takes what is published to `good/…`; the user's name is its password.
struct Book {
    taken: Mutex<Vec<String>>,
    /// Batches are answered while there are permits.
    open: Semaphore,
}

#[async_trait]
impl Hooks for Book {
    type Client = String;
    type Tag = String;

    async fn authenticate(&self, shown: Credentials<'_>) -> Result<String, Refusal> {
        match (shown.user, shown.password) {
            (Some(user), Some(password)) if user.as_bytes() == password => Ok(user.to_owned()),
            _ => Err(Refusal::new(Reason::BAD_LOGIN, "who are you")),
        }
    }

    fn user<'c>(&self, client: &'c String) -> &'c str {
        client
    }

    fn same(&self, before: &String, now: &String) -> bool {
        before == now
    }

    async fn still_good(&self, _client: &String) -> bool {
        true
    }

    fn pace(&self, _client: &String) -> Option<Duration> {
        None
    }

    async fn subscribe(&self, _client: &String, filter: &str) -> Result<Grant<String>, Refusal> {
        match filter.starts_with("no/") {
            true => Err(Refusal::new(Reason::NOT_AUTHORIZED, "not you")),
            false => Ok(Grant { filter: filter.to_owned(), tag: filter.to_owned() }),
        }
    }

    async fn retained(&self, _client: &String, tag: &String) -> Option<Message> {
        (tag == "kept").then(|| message("kept", "the newest"))
    }

    async fn publish(&self, batch: Vec<Publication<String>>) -> Vec<Result<(), Refusal>> {
        self.open.acquire().await.expect("it stays open").forget();
        let answer = |publication: &Publication<String>| {
            if publication.topic.starts_with("good/") {
                self.taken.lock().push(publication.topic.clone());
                Ok(())
            } else if publication.topic.starts_with("full/") {
                Err(Refusal::for_now(Reason::QUOTA, "full"))
            } else {
                Err(Refusal::new(Reason::TOPIC_INVALID, "no such topic"))
            }
        };
        batch.iter().map(answer).collect()
    }
}

fn message(topic: &str, text: &str) -> Message {
    Message {
        topic: topic.into(),
        payload: Bytes::copy_from_slice(text.as_bytes()),
        content_type: None,
        until: None,
        qos: QoS::AtLeastOnce,
        user_properties: Vec::new(),
    }
}

fn broker(open: usize) -> (Arc<Broker<Book>>, Lanes) {
    let taken = Mutex::default();
    Broker::start(Arc::new(Book { taken, open: Semaphore::new(open) }))
}

struct Client(DuplexStream);

impl Client {
    fn new(broker: &Arc<Broker<Book>>) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let broker = broker.clone();
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        tokio::spawn(async move {
            broker.serve(theirs, Peer { address, certified: Vec::new() }).await;
        });
        Self(ours)
    }

    /// Connects, and drops the answer after a look at its code.
    async fn connected(broker: &Arc<Broker<Book>>, level: u8, flags: u8, id: &str) -> Self {
        let mut client = Self::new(broker);
        client.send(&connect(level, flags, id, "lin", "lin")).await;
        let answer = client.packet().await;
        assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:?}");
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next packet: its first byte, its length, the rest. Short packets only.
    async fn packet(&mut self) -> Vec<u8> {
        let read = async {
            let mut packet = vec![0; 2];
            self.0.read_exact(&mut packet).await.unwrap();
            assert!(packet[1] < 0x80, "a short packet");
            packet.resize(2 + usize::from(packet[1]), 0);
            self.0.read_exact(&mut packet[2..]).await.unwrap();
            packet
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a packet comes")
    }

    async fn is_hung_up_on(&mut self) {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        end.expect("it is hung up on").unwrap();
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut packet = vec![first, u8::try_from(body.len()).unwrap()];
    assert!(body.len() < 0x80);
    packet.extend(body);
    packet
}

/// `flags`: 2 for a clean start; at level 5 without it the session lasts a minute.
fn connect(level: u8, flags: u8, id: &str, user: &str, password: &str) -> Vec<u8> {
    let properties: &[u8] = match (level, flags & 2) {
        (5, 0) => &[5, 0x11, 0, 0, 0, 60],
        (5, _) => &[0],
        _ => &[],
    };
    let head = [level, 0xc0 | flags, 0, 60];
    let (user, password) = (text(user), text(password));
    packet(0x10, &[&text("MQTT"), &head, properties, &text(id), &user, &password])
}

fn publish(level: u8, topic: &str, id: u8) -> Vec<u8> {
    let properties: &[u8] = if level == 5 { &[0] } else { &[] };
    packet(0x32, &[&text(topic), &[0, id], properties, b"x"])
}

fn subscribe(level: u8, filter: &str, qos: u8) -> Vec<u8> {
    let properties: &[u8] = if level == 5 { &[0] } else { &[] };
    packet(0x82, &[&[0, 9], properties, &text(filter), &[qos]])
}

#[tokio::test]
async fn a_publish_is_acknowledged_after_the_hook_has_taken_it_and_in_order() {
    let (broker, _lanes) = broker(0);
    let mut client = Client::connected(&broker, 4, 2, "a").await;
    for id in 1..=3 {
        client.send(&publish(4, "good/x", id)).await;
    }
    client.send(&[0xc0, 0]).await;
    assert_eq!(client.packet().await[0], 0xd0, "nothing before the answer to the ping");
    broker.hooks().open.add_permits(100);
    for id in 1..=3 {
        assert_eq!(client.packet().await, [0x40, 2, 0, id]);
    }
    assert_eq!(broker.hooks().taken.lock().len(), 3);
}

#[tokio::test]
async fn a_refusal_has_a_reason_where_the_version_has_one() {
    let (broker, _lanes) = broker(100);
    let mut five = Client::connected(&broker, 5, 2, "five").await;
    five.send(&publish(5, "elsewhere", 7)).await;
    let answer = five.packet().await;
    assert_eq!(answer[..5], [0x40, answer[1], 0, 7, 0x90]);
    assert!(answer.ends_with(b"no such topic"), "{answer:?}");

    let mut three = Client::connected(&broker, 4, 2, "three").await;
    three.send(&publish(4, "elsewhere", 7)).await;
    assert_eq!(three.packet().await, [0x40, 2, 0, 7]);
    // What is to be sent again must not be acknowledged.
    three.send(&publish(4, "full/x", 8)).await;
    three.is_hung_up_on().await;
    five.send(&publish(5, "full/x", 8)).await;
    assert_eq!(five.packet().await[4], 0x97);
}

#[tokio::test]
async fn nobody_comes_in_without_being_known_and_garbage_harms_nobody() {
    let (broker, _lanes) = broker(100);
    let mut good = Client::connected(&broker, 4, 2, "good").await;
    let mut wrong = Client::new(&broker);
    wrong.send(&connect(4, 2, "x", "lin", "wrong")).await;
    assert_eq!(wrong.packet().await, [0x20, 2, 0, 4]);
    wrong.is_hung_up_on().await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x10, 0xff, 0xff, 0xff, 0xff], &[0x30, 0]] {
        let mut client = Client::new(&broker);
        client.send(garbage).await;
        client.is_hung_up_on().await;
    }
    let mut client = Client::connected(&broker, 5, 2, "then-garbage").await;
    client.send(&[0xf3, 1, 2]).await;
    assert_eq!(client.packet().await[0], 0xe0, "a reason is said");
    client.is_hung_up_on().await;
    good.send(&[0xc0, 0]).await;
    assert_eq!(good.packet().await, [0xd0, 0]);
}

#[tokio::test]
async fn what_is_told_is_heard_once_and_by_one_of_a_group() {
    let (broker, _lanes) = broker(100);
    let mut one = Client::connected(&broker, 4, 2, "one").await;
    let mut two = Client::connected(&broker, 4, 2, "two").await;
    one.send(&subscribe(4, "a/#", 1)).await;
    assert_eq!(one.packet().await, [0x90, 3, 0, 9, 1]);
    one.send(&subscribe(4, "no/x", 1)).await;
    assert_eq!(one.packet().await, [0x90, 3, 0, 9, 0x80]);
    for client in [&mut one, &mut two] {
        client.send(&subscribe(4, "$share/g/b", 2)).await;
        assert_eq!(client.packet().await, [0x90, 3, 0, 9, 1], "at least once is what there is");
    }
    let topics = ["a/1".to_owned(), "a/2".to_owned()];
    broker.tell(&topics, None, |heard| {
        assert_eq!((heard.tag().as_str(), heard.client().as_str()), ("a/#", "lin"));
        Some(message("a/1", "hello"))
    });
    assert_eq!(one.packet().await, packet(0x32, &[&text("a/1"), &[0, 1], b"hello"]));
    one.send(&[0x40, 2, 0, 1]).await;
    // A round for each member: each hears one of two.
    for _ in 0..2 {
        broker.tell(&["b".to_owned()], None, |_| Some(message("b", "turn")));
    }
    assert!(one.packet().await.ends_with(b"turn") && two.packet().await.ends_with(b"turn"));
    one.send(&[0xc0, 0]).await;
    assert_eq!(one.packet().await[0], 0xd0, "and nothing more");
}

#[tokio::test]
async fn what_is_retained_comes_with_its_flag_after_the_subscription() {
    let (broker, _lanes) = broker(100);
    let mut client = Client::connected(&broker, 4, 2, "a").await;
    client.send(&subscribe(4, "kept", 0)).await;
    assert_eq!(client.packet().await[0], 0x90);
    assert_eq!(client.packet().await, packet(0x31, &[&text("kept"), b"the newest"]));
}

#[tokio::test]
async fn a_session_waits_for_its_client_and_goes_to_the_one_that_comes_last() {
    let (broker, _lanes) = broker(100);
    let mut first = Client::connected(&broker, 4, 0, "lasting").await;
    first.send(&subscribe(4, "a", 1)).await;
    first.packet().await;
    broker.tell(&["a".to_owned()], None, |_| Some(message("a", "one")));
    assert!(first.packet().await.ends_with(b"one"));
    // Not acknowledged: it comes again, marked, to whoever takes the session over.
    let mut second = Client::new(&broker);
    second.send(&connect(4, 0, "lasting", "lin", "lin")).await;
    assert_eq!(second.packet().await, [0x20, 2, 1, 0], "the session was there");
    first.is_hung_up_on().await;
    let again = second.packet().await;
    assert!(again[0] == 0x3a && again.ends_with(b"one"), "{again:?}");
    second.send(&[0x40, 2, 0, 1]).await;
    second.send(&[0xc0, 0]).await;
    assert_eq!(second.packet().await, [0xd0, 0]);
    drop(second);
    let gone = async {
        while broker.sessions.tree.read().len() > 0 {
            broker.tell(&["a".to_owned()], None, |_| Some(message("a", "two")));
            let mut third = Client::new(&broker);
            third.send(&connect(4, 0, "lasting", "lin", "lin")).await;
            assert_eq!(third.packet().await[..3], [0x20, 2, 1]);
            assert!(third.packet().await.ends_with(b"two"));
            // Who starts anew has nothing of what was.
            let mut clean = Client::new(&broker);
            clean.send(&connect(4, 2, "lasting", "lin", "lin")).await;
            assert_eq!(clean.packet().await, [0x20, 2, 0, 0]);
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("a clean start takes the session away");
}

#[tokio::test]
async fn a_will_is_published_where_nobody_said_goodbye() {
    let (broker, _lanes) = broker(100);
    let head = [4, 0xc6, 0, 60];
    let will = [text("good/will"), text("gone")].concat();
    let (id, lin) = (text("w"), text("lin"));
    let connect = packet(0x10, &[&text("MQTT"), &head, &id, &will, &lin, &lin]);
    for (says_goodbye, wills) in [(true, 0), (false, 1)] {
        let mut client = Client::new(&broker);
        client.send(&connect).await;
        client.packet().await;
        if says_goodbye {
            client.send(&[0xe0, 0]).await;
            client.is_hung_up_on().await;
        }
        drop(client);
        let published = async {
            while broker.hooks().taken.lock().len() < wills {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, published).await.expect("the will comes");
        assert_eq!(broker.hooks().taken.lock().len(), wills);
    }
}

#[tokio::test]
async fn a_stopped_broker_ends_with_all_that_it_had_taken() {
    let (broker, lanes) = broker(100);
    let mut client = Client::connected(&broker, 5, 2, "a").await;
    client.send(&publish(5, "good/x", 1)).await;
    assert_eq!(client.packet().await[..4], [0x40, 2, 0, 1]);
    broker.stop();
    let goodbye = client.packet().await;
    assert_eq!((goodbye[0], goodbye[2]), (0xe0, 0x8b));
    tokio::time::timeout(PATIENCE, lanes.ended()).await.expect("the lanes end");
    tokio::time::timeout(PATIENCE, broker.ended()).await.expect("no will waits");
}
