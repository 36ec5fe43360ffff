//! MQTT 5, as much of it as a producer of readings needs: CONNECT, PUBLISH with QoS 1, PUBACK,
//! SUBSCRIBE; and a thousand such producers on one runtime.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use super::{Told, moments_ms, reading};

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const DISCONNECT: u8 = 0xe0;
/// A clean start; with user name and password.
const CLEAN: u8 = 0x02;
const WITH_LOGIN: u8 = 0xc0;
const QOS_1: u8 = 0x02;
/// Reason codes from here on say no.
const REFUSED_FROM: u8 = 0x80;
/// Bytes of a length at most.
const LENGTH_BYTES_MAX: usize = 4;
const BUFFER_BYTES: usize = 4 * 1024;

/// What a broker says.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    Connected {
        reason: u8,
    },
    Acknowledged {
        number: u16,
        reason: u8,
    },
    Subscribed {
        reason: u8,
    },
    /// With its number where it wants to be acknowledged.
    Message {
        number: Option<u16>,
        payload: Vec<u8>,
    },
    Other,
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(text.as_bytes());
}

fn packet(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    let mut left = body.len();
    loop {
        let digit = u8::try_from(left % 128).unwrap_or(0);
        left /= 128;
        out.push(if left > 0 { digit | 0x80 } else { digit });
        if left == 0 {
            break;
        }
    }
    out.extend(body);
}

/// Who logs in: none where the broker takes everybody.
#[derive(Debug, Clone)]
pub struct Login {
    pub user: String,
    pub token: String,
}

pub fn connect(client: &str, login: Option<&Login>) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    // Version 5; no keep-alive; no properties.
    body.extend([5, if login.is_some() { CLEAN | WITH_LOGIN } else { CLEAN }, 0, 0, 0]);
    text(&mut body, client);
    if let Some(login) = login {
        text(&mut body, &login.user);
        text(&mut body, &login.token);
    }
    let mut out = Vec::new();
    packet(&mut out, CONNECT, &body);
    out
}

pub fn publish(out: &mut Vec<u8>, topic: &str, number: u16, payload: &[u8]) {
    let mut body = Vec::with_capacity(topic.len() + payload.len() + 5);
    text(&mut body, topic);
    body.extend(number.to_be_bytes());
    body.push(0);
    body.extend(payload);
    packet(out, PUBLISH | QOS_1, &body);
}

pub fn subscribe(topic: &str) -> Vec<u8> {
    let mut body = vec![0, 1, 0];
    text(&mut body, topic);
    body.push(1);
    let mut out = Vec::new();
    packet(&mut out, SUBSCRIBE, &body);
    out
}

pub fn acknowledge(number: u16) -> Vec<u8> {
    let mut out = Vec::new();
    packet(&mut out, PUBACK, &number.to_be_bytes());
    out
}

/// The first packet of what was read, and its bytes; none where it is not whole yet.
pub fn take(read: &[u8]) -> anyhow::Result<Option<(Packet, usize)>> {
    let Some((kind, rest)) = read.split_first() else { return Ok(None) };
    let Some((length, digits)) = length(rest)? else { return Ok(None) };
    let Some(body) = rest.get(digits..digits + length) else { return Ok(None) };
    let packet = match kind & 0xf0 {
        CONNACK => Packet::Connected { reason: *body.get(1).context("a CONNACK too short")? },
        PUBACK => Packet::Acknowledged {
            number: number(body)?,
            reason: body.get(2).copied().unwrap_or(0),
        },
        SUBACK => Packet::Subscribed { reason: *body.last().context("a SUBACK too short")? },
        PUBLISH => message(*kind, body)?,
        DISCONNECT => bail!("the broker ended the connection: {:x?}", body.first()),
        _ => Packet::Other,
    };
    Ok(Some((packet, 1 + digits + length)))
}

fn message(kind: u8, body: &[u8]) -> anyhow::Result<Packet> {
    let mut at = 2 + usize::from(number(body)?);
    let mut asked = None;
    if kind & 0x06 != 0 {
        asked = Some(number(body.get(at..).context("a PUBLISH too short")?)?);
        at += 2;
    }
    let rest = body.get(at..).context("a PUBLISH too short")?;
    let (properties, digits) = length(rest)?.context("a PUBLISH too short")?;
    let payload = rest.get(digits + properties..).context("a PUBLISH too short")?;
    Ok(Packet::Message { number: asked, payload: payload.to_vec() })
}

fn number(body: &[u8]) -> anyhow::Result<u16> {
    let bytes = body.first_chunk().context("a packet without its number")?;
    Ok(u16::from_be_bytes(*bytes))
}

/// A length and how many bytes it took.
fn length(read: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let mut value = 0;
    for (place, digit) in read.iter().enumerate().take(LENGTH_BYTES_MAX) {
        value |= usize::from(digit & 0x7f) << (7 * place);
        if digit & 0x80 == 0 {
            return Ok(Some((value, place + 1)));
        }
    }
    ensure!(read.len() < LENGTH_BYTES_MAX, "a length that is none");
    Ok(None)
}

/// A thousand producers.
#[derive(Debug, Clone)]
pub struct Load {
    pub port: u16,
    pub login: Option<Login>,
    pub clients: usize,
    /// Messages of a client that are on the way at once.
    pub window: u16,
    pub streams: u64,
    pub time: Duration,
}

impl Load {
    pub fn run(self) -> anyhow::Result<Told> {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(self.all())
    }

    async fn all(self) -> anyhow::Result<Told> {
        let load = Arc::new(self);
        // All are connected before the first one sends.
        let together = Arc::new(Barrier::new(load.clients + 1));
        let clients: Vec<_> = (0..load.clients)
            .map(|client| tokio::spawn(Arc::clone(&load).client(client, Arc::clone(&together))))
            .collect();
        together.wait().await;
        let started = Instant::now();
        let mut told = Told::default();
        for client in clients {
            told.add(client.await??);
        }
        told.seconds = started.elapsed().as_secs_f64();
        Ok(told)
    }

    async fn client(
        self: Arc<Self>,
        client: usize,
        together: Arc<Barrier>,
    ) -> anyhow::Result<Told> {
        let connected = self.connected(client).await;
        // Who has no connection does not keep the others waiting.
        together.wait().await;
        let mut stream = connected?;
        let until = Instant::now() + self.time;
        let stream_id = client as u64 % self.streams + 1;
        let topic = format!("v1.1/Datastreams({stream_id})/Observations");
        let mut sent = vec![None; usize::from(self.window)];
        let (mut told, mut out) = (Told::default(), Vec::new());
        let mut read = Vec::with_capacity(BUFFER_BYTES);
        loop {
            if Instant::now() < until {
                for (slot, place) in (1_u16..).zip(sent.iter_mut()) {
                    if place.is_none() {
                        let payload = reading(moments_ms(1));
                        publish(&mut out, &topic, slot, payload.as_bytes());
                        *place = Some(Instant::now());
                    }
                }
            }
            if sent.iter().all(Option::is_none) {
                return Ok(told);
            }
            if !out.is_empty() {
                stream.write_all(&out).await?;
                out.clear();
            }
            ensure!(stream.read_buf(&mut read).await? > 0, "the broker closed a connection");
            let mut used = 0;
            while let Some((packet, bytes)) = take(&read[used..])? {
                used += bytes;
                let Packet::Acknowledged { number, reason } = packet else { continue };
                let place = sent.get_mut(usize::from(number).wrapping_sub(1));
                let begun = place.and_then(Option::take).context("nobody sent this number")?;
                match reason {
                    REFUSED_FROM.. => told.refused += 1,
                    _ => {
                        told.rows += 1;
                        told.latencies_ms.push(begun.elapsed().as_secs_f64() * 1_000.0);
                    }
                }
            }
            read.drain(..used);
        }
    }

    async fn connected(&self, client: usize) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let name = format!("bench-{client}");
        stream.write_all(&connect(&name, self.login.as_ref())).await?;
        let mut read = Vec::with_capacity(BUFFER_BYTES);
        loop {
            ensure!(stream.read_buf(&mut read).await? > 0, "the broker closed a connection");
            if let Some((packet, _)) = take(&read)? {
                ensure!(packet == Packet::Connected { reason: 0 }, "a login failed: {packet:?}");
                return Ok(stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_taken_when_they_are_whole() {
        let mut out = Vec::new();
        publish(&mut out, "v1.1/Datastreams(1)/Observations", 7, &[b'x'; 200]);
        let whole = Packet::Message { number: Some(7), payload: vec![b'x'; 200] };
        assert_eq!(take(&out).unwrap(), Some((whole, out.len())));
        for end in 0..out.len() {
            assert_eq!(take(&out[..end]).unwrap(), None, "{end}");
        }
        let answers = [0x20, 3, 0, 0, 0, 0x40, 2, 0, 9, 0x40, 4, 0, 9, 0x99, 0];
        assert_eq!(take(&answers).unwrap(), Some((Packet::Connected { reason: 0 }, 5)));
        let kept = Packet::Acknowledged { number: 9, reason: 0 };
        assert_eq!(take(&answers[5..]).unwrap(), Some((kept, 4)));
        let refused = Packet::Acknowledged { number: 9, reason: 0x99 };
        assert_eq!(take(&answers[9..]).unwrap(), Some((refused, 6)));
        assert!(take(&[0xe0, 1, 0x8e]).is_err());
        assert!(take(&[0x40, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
