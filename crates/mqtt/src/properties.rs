//! Properties of MQTT 5 (OASIS MQTT 5.0, 2.2.2.2): read against the list of those that a packet may
//! have. One that stands twice is an error, but for user properties.

use bytes::{BufMut, Bytes, BytesMut};

use crate::decode::{Cursor, Malformed};
use crate::limits::USER_PROPERTIES_MAX;
use crate::reason::Reason;

pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
pub(crate) const CONTENT_TYPE: u8 = 0x03;
pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
pub(crate) const CORRELATION: u8 = 0x09;
pub(crate) const SUBSCRIPTION_ID: u8 = 0x0b;
pub(crate) const SESSION_EXPIRY: u8 = 0x11;
pub(crate) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(crate) const AUTH_METHOD: u8 = 0x15;
pub(crate) const AUTH_DATA: u8 = 0x16;
pub(crate) const PROBLEM_INFO: u8 = 0x17;
pub(crate) const WILL_DELAY: u8 = 0x18;
pub(crate) const RESPONSE_INFO: u8 = 0x19;
pub(crate) const REASON_STRING: u8 = 0x1f;
pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(crate) const TOPIC_ALIAS: u8 = 0x23;
pub(crate) const USER: u8 = 0x26;
pub(crate) const MAXIMUM_PACKET: u8 = 0x27;

/// What of a packet's properties is of use here; the others are read and left.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    pub subscription_id: Option<u32>,
    pub session_expiry_s: Option<u32>,
    pub has_auth_method: bool,
    pub problem_info: Option<bool>,
    pub will_delay_s: Option<u32>,
    pub receive_max: Option<u16>,
    pub alias: Option<u16>,
    pub packet_bytes_max: Option<u32>,
    pub user: Vec<(String, String)>,
}

impl Properties {
    /// Reads the properties of a packet that may have the `allowed` ones.
    pub fn read(cursor: &mut Cursor, allowed: &[u8]) -> Result<Self, Malformed> {
        let length = cursor.varint()?;
        let mut cursor = cursor.part(length)?;
        let mut found = Self::default();
        let mut seen = 0_u64;
        while !cursor.is_empty() {
            let id = cursor.byte()?;
            if !allowed.contains(&id) {
                return Err(protocol("a property that this packet does not have"));
            }
            if id != USER {
                let bit = 1_u64 << (id & 0x3f);
                if seen & bit != 0 {
                    return Err(protocol("a property that stands there twice"));
                }
                seen |= bit;
            }
            found.take(id, &mut cursor)?;
        }
        Ok(found)
    }

    fn take(&mut self, id: u8, cursor: &mut Cursor) -> Result<(), Malformed> {
        match id {
            PAYLOAD_FORMAT | RESPONSE_INFO => {
                flag(cursor)?;
            }
            MESSAGE_EXPIRY => {
                cursor.long()?;
            }
            CONTENT_TYPE | RESPONSE_TOPIC | REASON_STRING => {
                cursor.text()?;
            }
            CORRELATION | AUTH_DATA => {
                cursor.binary()?;
            }
            SUBSCRIPTION_ID => {
                let id = u32::try_from(cursor.varint()?).unwrap_or(0);
                self.subscription_id = Some(not_nought(id)?);
            }
            SESSION_EXPIRY => self.session_expiry_s = Some(cursor.long()?),
            AUTH_METHOD => {
                cursor.text()?;
                self.has_auth_method = true;
            }
            PROBLEM_INFO => self.problem_info = Some(flag(cursor)?),
            WILL_DELAY => self.will_delay_s = Some(cursor.long()?),
            RECEIVE_MAXIMUM => self.receive_max = Some(not_nought(cursor.short()?)?),
            TOPIC_ALIAS_MAXIMUM => {
                cursor.short()?;
            }
            TOPIC_ALIAS => self.alias = Some(cursor.short()?),
            MAXIMUM_PACKET => self.packet_bytes_max = Some(not_nought(cursor.long()?)?),
            USER => {
                let pair = (cursor.text()?, cursor.text()?);
                if self.user.len() == USER_PROPERTIES_MAX {
                    return Err(Malformed::new(Reason::QUOTA, "too many user properties"));
                }
                self.user.push(pair);
            }
            _ => return Err(Malformed::new(Reason::MALFORMED, "an unknown property")),
        }
        Ok(())
    }
}

fn flag(cursor: &mut Cursor) -> Result<bool, Malformed> {
    match cursor.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(protocol("a property that is 0 or 1 is neither")),
    }
}

fn not_nought<T: Default + PartialEq>(value: T) -> Result<T, Malformed> {
    if value == T::default() {
        return Err(protocol("a property that may not be 0 is 0"));
    }
    Ok(value)
}

fn protocol(what: &'static str) -> Malformed {
    Malformed::new(Reason::PROTOCOL_ERROR, what)
}

/// Properties on their way out.
#[derive(Debug, Default)]
pub(crate) struct Writing(BytesMut);

impl Writing {
    pub fn byte(&mut self, id: u8, value: u8) {
        self.0.put_slice(&[id, value]);
    }

    pub fn short(&mut self, id: u8, value: u16) {
        self.0.put_u8(id);
        self.0.put_u16(value);
    }

    pub fn long(&mut self, id: u8, value: u32) {
        self.0.put_u8(id);
        self.0.put_u32(value);
    }

    pub fn varint(&mut self, id: u8, value: u32) {
        self.0.put_u8(id);
        put_varint(&mut self.0, usize::try_from(value).unwrap_or(0));
    }

    pub fn text(&mut self, id: u8, value: &str) {
        self.0.put_u8(id);
        put_text(&mut self.0, value);
    }

    pub fn pair(&mut self, id: u8, name: &str, value: &str) {
        self.text(id, name);
        put_text(&mut self.0, value);
    }

    pub fn done(self) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.0.len() + 4);
        put_varint(&mut whole, self.0.len());
        whole.put_slice(&self.0);
        whole.freeze()
    }
}

/// A number in groups of seven bits. Packets are far below what four of them hold.
pub(crate) fn put_varint(out: &mut BytesMut, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.put_u8(low);
            return;
        }
        out.put_u8(low | 0x80);
    }
}

/// A text with its length; of one that is longer than a length can say, the beginning.
pub(crate) fn put_text(out: &mut BytesMut, text: &str) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.put_u16(u16::try_from(end).unwrap_or(u16::MAX));
    out.put_slice(&text.as_bytes()[..end]);
}
