//! Packets to bytes: what a broker sends. Of MQTT 5 where the client speaks it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::{PACKET_BYTES_MAX, RECEIVE_MAX, TOPIC_ALIASES_MAX};
use crate::packet::{QoS, Version};
use crate::properties::{self as property, Writing, put_text, put_varint};
use crate::reason::{Reason, Refusal};

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBCOMP: u8 = 0x70;

/// What a CONNACK says.
#[derive(Debug)]
pub(crate) struct Connack<'a> {
    pub reason: Reason,
    pub text: &'a str,
    pub session_present: bool,
    /// What was not as the client asked for it.
    pub assigned_id: Option<&'a str>,
    pub session_expiry_s: Option<u32>,
    pub keep_alive_s: Option<u16>,
}

impl<'a> Connack<'a> {
    pub fn refusing(refusal: &'a Refusal) -> Self {
        Self {
            reason: refusal.reason,
            text: &refusal.text,
            session_present: false,
            assigned_id: None,
            session_expiry_s: None,
            keep_alive_s: None,
        }
    }
}

pub(crate) fn connack(out: &mut BytesMut, version: Version, said: &Connack<'_>) {
    let present = u8::from(said.session_present);
    if version == Version::V311 {
        out.put_slice(&[0x20, 2, present, said.reason.of_connack_311()]);
        return;
    }
    let mut writing = Writing::default();
    if said.reason.is_refusal() {
        writing.text(property::REASON_STRING, said.text);
    } else {
        writing.short(property::RECEIVE_MAXIMUM, RECEIVE_MAX);
        writing.long(property::MAXIMUM_PACKET, u32::try_from(PACKET_BYTES_MAX).unwrap_or(u32::MAX));
        writing.short(property::TOPIC_ALIAS_MAXIMUM, TOPIC_ALIASES_MAX);
        if let Some(id) = said.assigned_id {
            writing.text(property::ASSIGNED_CLIENT_ID, id);
        }
        if let Some(seconds) = said.session_expiry_s {
            writing.long(property::SESSION_EXPIRY, seconds);
        }
        if let Some(seconds) = said.keep_alive_s {
            writing.short(property::SERVER_KEEP_ALIVE, seconds);
        }
    }
    let properties = writing.done();
    out.put_u8(0x20);
    put_varint(out, 2 + properties.len());
    out.put_slice(&[present, said.reason.0]);
    out.put_slice(&properties);
}

pub(crate) fn puback(out: &mut BytesMut, version: Version, id: u16, refusal: Option<&Refusal>) {
    answer(out, PUBACK, version, id, refusal);
}

pub(crate) fn pubrec(out: &mut BytesMut, version: Version, id: u16, refusal: Option<&Refusal>) {
    answer(out, PUBREC, version, id, refusal);
}

pub(crate) fn pubcomp(out: &mut BytesMut, version: Version, id: u16, refusal: Option<&Refusal>) {
    answer(out, PUBCOMP, version, id, refusal);
}

fn answer(out: &mut BytesMut, kind: u8, version: Version, id: u16, refusal: Option<&Refusal>) {
    let [high, low] = id.to_be_bytes();
    match refusal.filter(|_| version == Version::V5) {
        None => out.put_slice(&[kind, 2, high, low]),
        Some(refusal) => {
            let properties = words(&refusal.text);
            out.put_u8(kind);
            put_varint(out, 3 + properties.len());
            let reason = if kind == PUBCOMP { refusal.reason } else { refusal.reason.of_puback() };
            out.put_slice(&[high, low, reason.0]);
            out.put_slice(&properties);
        }
    }
}

fn words(text: &str) -> Bytes {
    let mut writing = Writing::default();
    if !text.is_empty() {
        writing.text(property::REASON_STRING, text);
    }
    writing.done()
}

/// `codes`: for each filter, in order, the QoS that is granted or a reason.
pub(crate) fn suback(
    out: &mut BytesMut,
    version: Version,
    id: u16,
    codes: &[Result<QoS, Refusal>],
) {
    let code = |code: &Result<QoS, Refusal>| match (code, version) {
        (Ok(qos), _) => qos.bits(),
        (Err(_), Version::V311) => Reason::UNSPECIFIED.0,
        (Err(refusal), Version::V5) => refusal.reason.of_suback().0,
    };
    let first = codes.iter().find_map(|code| code.as_ref().err());
    let codes: Vec<u8> = codes.iter().map(code).collect();
    listed(out, 0x90, version, id, first.map_or("", |refusal| refusal.text.as_str()), &codes);
}

pub(crate) fn unsuback(out: &mut BytesMut, version: Version, id: u16, codes: &[Reason]) {
    let codes: Vec<u8> = match version {
        Version::V311 => Vec::new(),
        Version::V5 => codes.iter().map(|reason| reason.0).collect(),
    };
    listed(out, 0xb0, version, id, "", &codes);
}

fn listed(out: &mut BytesMut, kind: u8, version: Version, id: u16, text: &str, codes: &[u8]) {
    let properties = if version == Version::V5 { words(text) } else { Bytes::new() };
    out.put_u8(kind);
    put_varint(out, 2 + properties.len() + codes.len());
    out.put_u16(id);
    out.put_slice(&properties);
    out.put_slice(codes);
}

pub(crate) fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xd0, 0]);
}

/// Says goodbye with a reason, where the client's version has one.
pub(crate) fn disconnect(out: &mut BytesMut, version: Version, reason: Reason, text: &str) {
    if version == Version::V311 {
        return;
    }
    let properties = words(text);
    out.put_u8(0xe0);
    put_varint(out, 1 + properties.len());
    out.put_u8(reason.0);
    out.put_slice(&properties);
}

/// One message to one client.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: QoS,
    pub dup: bool,
    pub retain: bool,
    /// 0 at QoS 0.
    pub packet_id: u16,
    pub subscription_id: Option<u32>,
    pub content_type: Option<&'a str>,
    /// What is left of its time.
    pub expiry_s: Option<u32>,
    pub user: &'a [(String, String)],
}

/// Writes a message; false where it is larger than the client takes.
pub(crate) fn publish(
    out: &mut BytesMut,
    version: Version,
    bytes_max: usize,
    message: &Sending<'_>,
) -> bool {
    let properties = match version {
        Version::V311 => Bytes::new(),
        Version::V5 => properties_of(message),
    };
    let id_bytes = if message.qos == QoS::AtMostOnce { 0 } else { 2 };
    let length = 2 + message.topic.len() + id_bytes + properties.len() + message.payload.len();
    // Five bytes stand before it at most.
    if length + 5 > bytes_max || length > PACKET_BYTES_MAX {
        return false;
    }
    let (dup, retain) = (u8::from(message.dup), u8::from(message.retain));
    let flags = (dup << 3) | (message.qos.bits() << 1) | retain;
    out.reserve(length + 5);
    out.put_u8(0x30 | flags);
    put_varint(out, length);
    put_text(out, message.topic);
    if id_bytes > 0 {
        out.put_u16(message.packet_id);
    }
    out.put_slice(&properties);
    out.put_slice(message.payload);
    true
}

fn properties_of(message: &Sending<'_>) -> Bytes {
    let mut writing = Writing::default();
    if let Some(content_type) = message.content_type {
        // All that has a content type here is text.
        writing.byte(property::PAYLOAD_FORMAT, 1);
        writing.text(property::CONTENT_TYPE, content_type);
    }
    if let Some(seconds) = message.expiry_s {
        writing.long(property::MESSAGE_EXPIRY, seconds);
    }
    if let Some(id) = message.subscription_id {
        writing.varint(property::SUBSCRIPTION_ID, id);
    }
    for (name, value) in message.user {
        writing.pair(property::USER, name, value);
    }
    writing.done()
}
