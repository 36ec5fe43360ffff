//! One reading after another, and when it is seen: in SQL, by SensorThings, by a subscriber.
//!
//! Each is looked for by a thread of its own, which asks again as soon as it was answered; a
//! reading is seen when an answer that has it has come.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};

use super::mqtt::{Login, Packet, acknowledge, connect, publish, subscribe, take};
use super::{moment, moments_ms, reading};
use crate::served::Served;

/// How long a reading is looked for.
const SEEN_SECONDS_MAX: u64 = 30;
const BUFFER_BYTES: usize = 4 * 1024;

/// How long after its publishing each reading was seen, ms.
#[derive(Debug, Default)]
pub struct Seen {
    pub sql_ms: Vec<f64>,
    pub sensorthings_ms: Vec<f64>,
    pub subscriber_ms: Vec<f64>,
}

/// A blocking connection to a broker.
struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    fn to(port: u16, name: &str, login: &Login) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(SEEN_SECONDS_MAX)))?;
        let mut client = Self { stream, read: Vec::new() };
        client.stream.write_all(&connect(name, Some(login)))?;
        let answer = client.heard()?;
        ensure!(answer == Packet::Connected { reason: 0 }, "a login failed: {answer:?}");
        Ok(client)
    }

    fn heard(&mut self) -> anyhow::Result<Packet> {
        let mut more = [0; BUFFER_BYTES];
        loop {
            if let Some((packet, used)) = take(&self.read)? {
                self.read.drain(..used);
                return Ok(packet);
            }
            let count = self.stream.read(&mut more)?;
            ensure!(count > 0, "the broker closed a connection");
            self.read.extend(&more[..count]);
        }
    }
}

/// A reading that is looked for, and when it was published.
type Wanted = (String, Instant);

/// Publishes so many readings of a Datastream, one after the other, with a pause between them.
pub fn run(
    served: &Served,
    user: &str,
    stream: u64,
    readings: u32,
    pause: Duration,
) -> anyhow::Result<Seen> {
    let login = Login { user: user.to_owned(), token: served.token.clone() };
    let topic = format!("v1.1/Datastreams({stream})/Observations");
    let mut subscriber = Client::to(served.mqtt, "bench-ear", &login)?;
    subscriber.stream.write_all(&subscribe(&topic))?;
    let answer = subscriber.heard()?;
    ensure!(matches!(answer, Packet::Subscribed { reason: 0..3 }), "no subscription: {answer:?}");
    let mut publisher = Client::to(served.mqtt, "bench-mouth", &login)?;
    std::thread::scope(|scope| {
        let (to_sql, sql) = channel();
        let (to_sta, sta) = channel();
        let (to_ear, ear) = channel();
        let sql = scope.spawn(move || by_sql(served, stream, &sql));
        let sta = scope.spawn(move || by_sensorthings(served, stream, &sta));
        let ear = scope.spawn(move || by_ear(subscriber, &ear));
        let asking: [Sender<Wanted>; 3] = [to_sql, to_sta, to_ear];
        let mut out = Vec::new();
        for _ in 0..readings {
            let ms = moments_ms(1);
            out.clear();
            publish(&mut out, &topic, 1, reading(ms).as_bytes());
            let wanted = (moment(ms), Instant::now());
            publisher.stream.write_all(&out)?;
            for asking in &asking {
                asking.send(wanted.clone()).map_err(|_| anyhow!("who looks has gone"))?;
            }
            let answer = publisher.heard()?;
            let kept = matches!(answer, Packet::Acknowledged { number: 1, reason: 0..0x80 });
            ensure!(kept, "a reading was refused: {answer:?}");
            std::thread::sleep(pause);
        }
        drop(asking);
        let join = |thread: std::thread::ScopedJoinHandle<'_, anyhow::Result<Vec<f64>>>| {
            thread.join().map_err(|_| anyhow!("who looks has panicked"))?
        };
        Ok(Seen { sql_ms: join(sql)?, sensorthings_ms: join(sta)?, subscriber_ms: join(ear)? })
    })
}

fn by_sql(served: &Served, stream: u64, wanted: &Receiver<Wanted>) -> anyhow::Result<Vec<f64>> {
    let mut talk = served.talk()?;
    look(wanted, |moment| {
        let body = format!(
            r#"{{"sql":"SELECT result_number FROM sensing.observation WHERE datastream = {stream} AND phenomenon_time = TIMESTAMP '{moment}'"}}"#
        );
        let (answer, text) = talk.post("/api/sql", &served.token, body.as_bytes())?;
        ensure!(answer.status == 200, "SQL was answered {}", answer.status);
        Ok(contains(&text, "\"row_count\":1"))
    })
}

fn by_sensorthings(
    served: &Served,
    stream: u64,
    wanted: &Receiver<Wanted>,
) -> anyhow::Result<Vec<f64>> {
    let mut talk = served.talk()?;
    let path = format!(
        "/sta/v1.1/Datastreams({stream})/Observations?$orderby=phenomenonTime%20desc&$top=1\
         &$select=phenomenonTime"
    );
    look(wanted, |moment| {
        let (answer, text) = talk.get_body(&path, &served.token)?;
        ensure!(answer.status == 200, "SensorThings was answered {}", answer.status);
        Ok(contains(&text, moment))
    })
}

fn by_ear(mut ear: Client, wanted: &Receiver<Wanted>) -> anyhow::Result<Vec<f64>> {
    look(wanted, |moment| {
        let Packet::Message { number, payload } = ear.heard()? else { return Ok(false) };
        if let Some(number) = number {
            ear.stream.write_all(&acknowledge(number))?;
        }
        Ok(contains(&payload, moment))
    })
}

/// Looks for each until it is there.
fn look(
    wanted: &Receiver<Wanted>,
    mut is_there: impl FnMut(&str) -> anyhow::Result<bool>,
) -> anyhow::Result<Vec<f64>> {
    let mut seen_ms = Vec::new();
    for (moment, published) in wanted {
        while !is_there(&moment)? {
            let waited = published.elapsed();
            let late = || format!("the reading of {moment} is not to be seen");
            (waited.as_secs() < SEEN_SECONDS_MAX).then_some(()).with_context(late)?;
        }
        seen_ms.push(published.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(seen_ms)
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}
