//! Packets as types, one form for both versions: what 3.1.1 lacks is empty.

use bytes::Bytes;

use crate::reason::Reason;

/// Which protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V311,
    V5,
}

/// How surely a message arrives: at most once, at least once, exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QoS {
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}

impl QoS {
    pub(crate) fn of(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    pub(crate) fn bits(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }
}

/// What a client may send.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Packet {
    Connect(Box<Connect>),
    Publish(Publish),
    Puback(u16),
    Pubrel(u16),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    Pingreq,
    Disconnect(Disconnect),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Connect {
    pub version: Version,
    pub client_id: String,
    pub clean_start: bool,
    pub keep_alive_s: u16,
    pub user: Option<String>,
    pub password: Option<Bytes>,
    pub will: Option<Will>,
    /// Seconds that the session outlasts its connection.
    pub session_expiry_s: u32,
    /// Messages that the client takes at once.
    pub receive_max: u16,
    /// Bytes of a packet that the client takes.
    pub packet_bytes_max: usize,
    /// Whether reasons in words are wanted.
    pub problem_info: bool,
    /// An extended authentication was asked for.
    pub auth_method: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Will {
    pub topic: String,
    pub payload: Bytes,
    pub delay_s: u32,
    pub user: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Publish {
    /// Empty where an alias stands for it.
    pub topic: String,
    /// 0 at QoS 0.
    pub packet_id: u16,
    pub qos: QoS,
    pub payload: Bytes,
    pub alias: Option<u16>,
    pub user: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subscribe {
    pub packet_id: u16,
    /// Said again with every message that it leads to.
    pub id: Option<u32>,
    pub filters: Vec<Asked>,
}

/// One filter that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub filter: String,
    pub qos: QoS,
    pub no_local: bool,
    pub retain: RetainHandling,
}

/// When what is retained is sent to a new subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetainHandling {
    Always,
    WhereNew,
    Never,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unsubscribe {
    pub packet_id: u16,
    pub filters: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Disconnect {
    pub reason: Reason,
    pub session_expiry_s: Option<u32>,
}
