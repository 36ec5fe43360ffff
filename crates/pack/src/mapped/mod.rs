//! Devices that speak something else: how their messages become observations, as a pack says it.
//!
//! ```text
//!  sources/*.toml ──► Source ─┬─ arrival   a topic of MQTT, or an address that is asked
//!                             ├─ form      JSON with paths, CSV with columns
//!                             ├─ device    which Thing: a level of the topic, or a value
//!                             ├─ time      when, and how far a clock may be off
//!                             ├─ duplicate what is the same reading again
//!                             └─ readings  a value each, its unit, the Datastream it is for
//! ```
//!
//! Plain data and what can be computed from it. Knows no storage and no network.

mod path;
mod topic;
pub mod units;

use std::fmt;
use std::net::IpAddr;

pub use path::{JsonPath, PathFault};
pub use topic::{TopicFault, TopicPattern};

use crate::model::{Place, Text};

/// A source of readings.
#[derive(Debug, Clone)]
pub struct Source {
    pub id: String,
    pub title: Text,
    /// The organisation whose Things its devices are.
    pub owner: String,
    pub arrival: Arrival,
    pub form: Form,
    pub device: Find,
    pub time: TimeRule,
    pub clock: ClockRule,
    pub duplicate: Duplicate,
    pub readings: Vec<Reading>,
    pub place: Place,
}

impl Source {
    /// What is asked for its readings, where it is asked at all.
    pub fn poll(&self) -> Option<&Poll> {
        match &self.arrival {
            Arrival::Poll(poll) => Some(poll),
            Arrival::Mqtt { .. } => None,
        }
    }

    pub fn topic(&self) -> Option<&TopicPattern> {
        match &self.arrival {
            Arrival::Mqtt { topic } => Some(topic),
            Arrival::Poll(_) => None,
        }
    }
}

/// How messages come.
#[derive(Debug, Clone)]
pub enum Arrival {
    Mqtt { topic: TopicPattern },
    Poll(Poll),
}

/// An address that is asked again and again.
#[derive(Debug, Clone)]
pub struct Poll {
    /// http or https, without a user.
    pub url: String,
    /// In whose name its readings are taken.
    pub user: String,
    pub every_s: u32,
    pub timeout_s: u32,
    pub headers: Vec<Header>,
    /// Addresses of the link alone (169.254.0.0/16, fe80::/10) may be asked: clouds answer there
    /// with credentials, so it is said.
    pub link_local: bool,
}

#[derive(Debug, Clone)]
pub struct Header {
    pub name: String,
    pub value: HeaderText,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderText {
    Plain(String),
    /// What stands in a file of the folder of secrets, behind a prefix such as `Bearer `.
    Secret {
        file: String,
        prefix: String,
    },
}

/// How a message is written.
#[derive(Debug, Clone)]
pub enum Form {
    /// One record, or as many as the path leads to.
    Json { records: Option<JsonPath> },
    Csv {
        separator: u8,
        /// The first line names the columns.
        header: bool,
        /// Names of the columns in order, where no line does.
        columns: Vec<String>,
    },
}

/// Where a value is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Find {
    /// In the record.
    Path(JsonPath),
    /// In the message around the records.
    Around(JsonPath),
    Column(Column),
    /// A named level of the topic.
    Topic(String),
    /// The same always.
    Fixed(String),
}

/// A column of CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    Name(String),
    /// From 1.
    Number(usize),
}

impl fmt::Display for Find {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) | Self::Around(path) => write!(f, "{path}"),
            Self::Column(Column::Name(name)) => write!(f, "column {name}"),
            Self::Column(Column::Number(number)) => write!(f, "column {number}"),
            Self::Topic(level) => write!(f, "level {level} of the topic"),
            Self::Fixed(text) => write!(f, "{text}"),
        }
    }
}

/// When it was so.
#[derive(Debug, Clone)]
pub enum TimeRule {
    /// When the message came.
    Receipt,
    Said {
        find: Find,
        form: TimeForm,
        /// East of UTC, for times that do not say it themselves; the city's where it is not said.
        offset_minutes: Option<i32>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeForm {
    EpochSeconds,
    EpochMillis,
    EpochMicros,
    Rfc3339,
    /// strftime, as chrono reads it.
    Pattern {
        pattern: String,
        has_offset: bool,
    },
}

/// How far a device's clock may be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockRule {
    pub ahead_s: i64,
    /// `None`: history may come as late as it likes.
    pub behind_s: Option<i64>,
    pub outside: Outside,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    Refuse,
    /// Kept, with the flag `clock`, and left out of aggregates.
    Flag,
}

/// What is the same reading again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duplicate {
    /// One of the same Datastream and moment with the same value.
    Time,
    /// One of the same Datastream with the same number, and the same moment where messages say it.
    Sequence(Find),
}

/// One value of a record.
#[derive(Debug, Clone)]
pub struct Reading {
    pub find: Find,
    pub stream: StreamBy,
    /// The unit it comes in; that of its Datastream where it is not said.
    pub unit: Option<String>,
    /// The unit that its Datastream has to have.
    pub to: Option<String>,
    pub kind: ReadingKind,
    /// Texts and numbers that stand for no reading.
    pub missing: Vec<String>,
    /// A record without it is refused; otherwise it has one reading less.
    pub required: bool,
    pub place: Place,
}

/// Which Datastream a reading is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamBy {
    /// The one of the device's Thing with this `source_key`.
    Key(String),
    Id(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingKind {
    /// A number, also one that is written as a text.
    Number,
    /// What it is: a text, a truth, a number.
    Value,
}

/// An address that only neighbours on the link have, written in whichever way. Clouds answer there
/// with credentials.
pub fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => {
            let mapped = ip.to_ipv4_mapped().is_some_and(|ip| ip.is_link_local());
            mapped || (ip.segments()[0] & 0xffc0) == 0xfe80
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_link_are_told_in_every_dress() {
        for ip in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"] {
            assert!(is_link_local(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["192.168.1.1", "127.0.0.1", "fd00::1", "::1"] {
            assert!(!is_link_local(ip.parse().unwrap()), "{ip}");
        }
    }
}
