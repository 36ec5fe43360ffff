//! Bytes to packets. What is not MQTT is said with its reason; nothing panics, and nothing is kept
//! for a packet that is larger than it may be.

use bytes::{Buf, Bytes, BytesMut};

use crate::limits::FILTERS_OF_PACKET_MAX;
use crate::packet::{
    Asked, Connect, Disconnect, Packet, Publish, QoS, RetainHandling, Subscribe, Unsubscribe,
    Version, Will,
};
use crate::properties::{self as property, Properties};
use crate::reason::Reason;

/// Bytes of a length at most (2.1.4 of OASIS MQTT 5.0).
const LENGTH_BYTES_MAX: usize = 4;

/// The first byte of a CONNECT.
const CONNECT: u8 = 0x10;

/// Bytes that are no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Malformed {
    pub reason: Reason,
    pub what: &'static str,
}

impl Malformed {
    pub fn new(reason: Reason, what: &'static str) -> Self {
        Self { reason, what }
    }
}

fn malformed(what: &'static str) -> Malformed {
    Malformed::new(Reason::MALFORMED, what)
}

/// Takes the next packet off the buffer, where it is there whole. The version is none before the
/// first packet, which says it.
pub(crate) fn next(
    buffer: &mut BytesMut,
    version: Option<Version>,
    bytes_max: usize,
) -> Result<Option<Packet>, Malformed> {
    let Some((&first, rest)) = buffer.split_first() else { return Ok(None) };
    if version.is_none() && first != CONNECT {
        // Whatever speaks another protocol is not waited for.
        return Err(malformed("the first packet is no CONNECT"));
    }
    let Some((length, length_bytes)) = length_of(rest)? else { return Ok(None) };
    let head = 1 + length_bytes;
    if head + length > bytes_max {
        return Err(Malformed::new(Reason::TOO_LARGE, "the packet is larger than it may be"));
    }
    if buffer.len() < head + length {
        return Ok(None);
    }
    buffer.advance(head);
    let mut cursor = Cursor(buffer.split_to(length).freeze());
    let packet = packet(first, &mut cursor, version)?;
    if !cursor.is_empty() {
        return Err(malformed("the packet is longer than what it says"));
    }
    Ok(Some(packet))
}

/// The length that stands at the beginning, with its own bytes; none where it is not there whole.
fn length_of(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut length = 0;
    for (place, byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some((length, place + 1)));
        }
    }
    match bytes.len() < LENGTH_BYTES_MAX {
        true => Ok(None),
        false => Err(malformed("a length of more than four bytes")),
    }
}

fn packet(first: u8, cursor: &mut Cursor, version: Option<Version>) -> Result<Packet, Malformed> {
    let (kind, flags) = (first >> 4, first & 0x0f);
    let Some(version) = version else {
        return match (kind, flags) {
            (1, 0) => connect(cursor).map(|connect| Packet::Connect(Box::new(connect))),
            _ => Err(malformed("the first packet is no CONNECT")),
        };
    };
    let five = version == Version::V5;
    match (kind, flags) {
        (3, _) => publish(flags, cursor, five).map(Packet::Publish),
        (4, 0) => acknowledged(cursor, five).map(Packet::Puback),
        (6, 2) => acknowledged(cursor, five).map(Packet::Pubrel),
        (8, 2) => subscribe(cursor, five).map(Packet::Subscribe),
        (10, 2) => unsubscribe(cursor, five).map(Packet::Unsubscribe),
        (12, 0) => Ok(Packet::Pingreq),
        (14, 0) => disconnect(cursor, five).map(Packet::Disconnect),
        (1, _) => Err(Malformed::new(Reason::PROTOCOL_ERROR, "a second CONNECT")),
        (15, 0) if five => Err(Malformed::new(Reason::PROTOCOL_ERROR, "no AUTH was asked for")),
        // Nothing is sent at QoS 2, so PUBREC and PUBCOMP answer nothing.
        _ => Err(Malformed::new(Reason::PROTOCOL_ERROR, "a packet that a client does not send")),
    }
}

fn connect(cursor: &mut Cursor) -> Result<Connect, Malformed> {
    let unsupported = |what| Malformed::new(Reason::UNSUPPORTED_VERSION, what);
    if cursor.text()? != "MQTT" {
        return Err(unsupported("the protocol is not MQTT 3.1.1 or 5"));
    }
    let version = match cursor.byte()? {
        4 => Version::V311,
        5 => Version::V5,
        _ => return Err(unsupported("the protocol is not MQTT 3.1.1 or 5")),
    };
    let five = version == Version::V5;
    let flags = cursor.byte()?;
    if flags & 0x01 != 0 {
        return Err(malformed("the reserved flag of CONNECT is set"));
    }
    let keep_alive_s = cursor.short()?;
    let properties = match five {
        true => Properties::read(
            cursor,
            &[
                property::SESSION_EXPIRY,
                property::RECEIVE_MAXIMUM,
                property::MAXIMUM_PACKET,
                property::TOPIC_ALIAS_MAXIMUM,
                property::RESPONSE_INFO,
                property::PROBLEM_INFO,
                property::USER,
                property::AUTH_METHOD,
                property::AUTH_DATA,
            ],
        )?,
        false => Properties::default(),
    };
    let client_id = cursor.text()?;
    let will = will(flags, cursor, five)?;
    let user = if flags & 0x80 != 0 { Some(cursor.text()?) } else { None };
    if !five && flags & 0xc0 == 0x40 {
        return Err(malformed("a password without a user name"));
    }
    let password = if flags & 0x40 != 0 { Some(cursor.binary()?) } else { None };
    let clean_start = flags & 0x02 != 0;
    let session_expiry_s = match (five, clean_start) {
        (true, _) => properties.session_expiry_s.unwrap_or(0),
        // A session of 3.1.1 ends with its connection or not at all.
        (false, true) => 0,
        (false, false) => u32::MAX,
    };
    let packet_bytes_max = properties.packet_bytes_max.unwrap_or(u32::MAX);
    Ok(Connect {
        version,
        client_id,
        clean_start,
        keep_alive_s,
        user,
        password,
        will,
        session_expiry_s,
        receive_max: properties.receive_max.unwrap_or(u16::MAX),
        packet_bytes_max: usize::try_from(packet_bytes_max).unwrap_or(usize::MAX),
        problem_info: properties.problem_info.unwrap_or(true),
        auth_method: properties.has_auth_method,
    })
}

fn will(flags: u8, cursor: &mut Cursor, five: bool) -> Result<Option<Will>, Malformed> {
    if flags & 0x04 == 0 {
        return match flags & 0x38 {
            0 => Ok(None),
            _ => Err(malformed("flags of a will that is not there")),
        };
    }
    if QoS::of((flags >> 3) & 0x03).is_none() {
        return Err(malformed("a QoS that there is not"));
    }
    let properties = match five {
        true => Properties::read(
            cursor,
            &[
                property::WILL_DELAY,
                property::PAYLOAD_FORMAT,
                property::MESSAGE_EXPIRY,
                property::CONTENT_TYPE,
                property::RESPONSE_TOPIC,
                property::CORRELATION,
                property::USER,
            ],
        )?,
        false => Properties::default(),
    };
    let (topic, payload) = (cursor.text()?, cursor.binary()?);
    let delay_s = properties.will_delay_s.unwrap_or(0);
    Ok(Some(Will { topic, payload, delay_s, user: properties.user }))
}

fn publish(flags: u8, cursor: &mut Cursor, five: bool) -> Result<Publish, Malformed> {
    let qos = QoS::of((flags >> 1) & 0x03).ok_or_else(|| malformed("a QoS that there is not"))?;
    // A client that sends one again has had no answer: it is taken like any other.
    if flags & 0x08 != 0 && qos == QoS::AtMostOnce {
        return Err(malformed("a duplicate at QoS 0"));
    }
    let topic = cursor.text()?;
    let packet_id = if qos == QoS::AtMostOnce { 0 } else { cursor.packet_id()? };
    let properties = match five {
        true => Properties::read(
            cursor,
            &[
                property::PAYLOAD_FORMAT,
                property::MESSAGE_EXPIRY,
                property::CONTENT_TYPE,
                property::RESPONSE_TOPIC,
                property::CORRELATION,
                property::TOPIC_ALIAS,
                property::USER,
            ],
        )?,
        false => Properties::default(),
    };
    let payload = cursor.rest();
    let Properties { alias, user, .. } = properties;
    Ok(Publish { topic, packet_id, qos, payload, alias, user })
}

/// The packet that is acknowledged. Reasons and words of a client change nothing here.
fn acknowledged(cursor: &mut Cursor, five: bool) -> Result<u16, Malformed> {
    let packet_id = cursor.packet_id()?;
    if five && !cursor.is_empty() {
        cursor.byte()?;
        if !cursor.is_empty() {
            Properties::read(cursor, &[property::REASON_STRING, property::USER])?;
        }
    }
    Ok(packet_id)
}

fn subscribe(cursor: &mut Cursor, five: bool) -> Result<Subscribe, Malformed> {
    let packet_id = cursor.packet_id()?;
    let properties = match five {
        true => Properties::read(cursor, &[property::SUBSCRIPTION_ID, property::USER])?,
        false => Properties::default(),
    };
    let mut filters = Vec::new();
    while !cursor.is_empty() {
        room(filters.len())?;
        let filter = cursor.text()?;
        let options = cursor.byte()?;
        let reserved = if five { 0xc0 } else { 0xfc };
        if options & reserved != 0 {
            return Err(malformed("reserved options of a subscription are set"));
        }
        let qos = QoS::of(options & 0x03).ok_or_else(|| malformed("a QoS that there is not"))?;
        let retain = match (options >> 4) & 0x03 {
            0 => RetainHandling::Always,
            1 => RetainHandling::WhereNew,
            2 => RetainHandling::Never,
            _ => return Err(malformed("a retain handling that there is not")),
        };
        filters.push(Asked { filter, qos, no_local: options & 0x04 != 0, retain });
    }
    some(&filters)?;
    Ok(Subscribe { packet_id, id: properties.subscription_id, filters })
}

fn unsubscribe(cursor: &mut Cursor, five: bool) -> Result<Unsubscribe, Malformed> {
    let packet_id = cursor.packet_id()?;
    if five {
        Properties::read(cursor, &[property::USER])?;
    }
    let mut filters = Vec::new();
    while !cursor.is_empty() {
        room(filters.len())?;
        filters.push(cursor.text()?);
    }
    some(&filters)?;
    Ok(Unsubscribe { packet_id, filters })
}

fn room(filters: usize) -> Result<(), Malformed> {
    match filters < FILTERS_OF_PACKET_MAX {
        true => Ok(()),
        false => Err(Malformed::new(Reason::QUOTA, "too many filters in one packet")),
    }
}

fn some<T>(filters: &[T]) -> Result<(), Malformed> {
    match filters.is_empty() {
        false => Ok(()),
        true => Err(Malformed::new(Reason::PROTOCOL_ERROR, "no filter at all")),
    }
}

fn disconnect(cursor: &mut Cursor, five: bool) -> Result<Disconnect, Malformed> {
    let mut said = Disconnect { reason: Reason::SUCCESS, session_expiry_s: None };
    if five && !cursor.is_empty() {
        said.reason = Reason(cursor.byte()?);
        if !cursor.is_empty() {
            let allowed = [property::SESSION_EXPIRY, property::REASON_STRING, property::USER];
            said.session_expiry_s = Properties::read(cursor, &allowed)?.session_expiry_s;
        }
    }
    Ok(said)
}

/// What is left of a packet.
#[derive(Debug)]
pub(crate) struct Cursor(Bytes);

impl Cursor {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| short())
    }

    pub fn short(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().map_err(|_| short())
    }

    pub fn long(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| short())
    }

    pub fn varint(&mut self) -> Result<usize, Malformed> {
        let (value, bytes) = length_of(&self.0)?.ok_or_else(short)?;
        self.0.advance(bytes);
        Ok(value)
    }

    /// The next bytes as a whole of their own.
    pub fn part(&mut self, length: usize) -> Result<Self, Malformed> {
        match length <= self.0.len() {
            true => Ok(Self(self.0.split_to(length))),
            false => Err(short()),
        }
    }

    pub fn binary(&mut self) -> Result<Bytes, Malformed> {
        let length = usize::from(self.short()?);
        self.part(length).map(|part| part.0)
    }

    pub fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.binary()?;
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed("a text is not UTF-8"))?;
        match text.contains('\0') {
            true => Err(malformed("a text holds U+0000")),
            false => Ok(text.to_owned()),
        }
    }

    fn packet_id(&mut self) -> Result<u16, Malformed> {
        match self.short()? {
            0 => Err(Malformed::new(Reason::PROTOCOL_ERROR, "a packet's number is 0")),
            id => Ok(id),
        }
    }

    fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }
}

fn short() -> Malformed {
    malformed("the packet ends in the midst of what it says")
}
