//! Reason codes of MQTT 5 (OASIS MQTT 5.0, 2.4) and refusals that carry one.

use crate::limits::REASON_BYTES_MAX;

/// A reason code. Below 0x80 it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason(pub u8);

impl Reason {
    pub const SUCCESS: Self = Self(0x00);
    pub const DISCONNECT_WITH_WILL: Self = Self(0x04);
    pub const NO_SUBSCRIPTION_EXISTED: Self = Self(0x11);
    pub const UNSPECIFIED: Self = Self(0x80);
    pub const MALFORMED: Self = Self(0x81);
    pub const PROTOCOL_ERROR: Self = Self(0x82);
    pub const IMPLEMENTATION: Self = Self(0x83);
    pub const UNSUPPORTED_VERSION: Self = Self(0x84);
    pub const CLIENT_ID_INVALID: Self = Self(0x85);
    pub const BAD_LOGIN: Self = Self(0x86);
    pub const NOT_AUTHORIZED: Self = Self(0x87);
    pub const UNAVAILABLE: Self = Self(0x88);
    pub const BUSY: Self = Self(0x89);
    pub const STOPPING: Self = Self(0x8b);
    pub const BAD_METHOD: Self = Self(0x8c);
    pub const KEEP_ALIVE: Self = Self(0x8d);
    pub const TAKEN_OVER: Self = Self(0x8e);
    pub const FILTER_INVALID: Self = Self(0x8f);
    pub const TOPIC_INVALID: Self = Self(0x90);
    pub const ID_NOT_FOUND: Self = Self(0x92);
    pub const ALIAS_INVALID: Self = Self(0x94);
    pub const TOO_LARGE: Self = Self(0x95);
    pub const QUOTA: Self = Self(0x97);
    pub const PAYLOAD_INVALID: Self = Self(0x99);

    pub fn is_refusal(self) -> bool {
        self.0 >= 0x80
    }

    /// The same where a PUBACK or PUBREC may say it (OASIS MQTT 5.0, 3.4.2.1): a client may hang up
    /// on a code that its packet does not have.
    pub(crate) fn of_puback(self) -> Self {
        match self {
            Self::SUCCESS
            | Self::UNSPECIFIED
            | Self::IMPLEMENTATION
            | Self::NOT_AUTHORIZED
            | Self::TOPIC_INVALID
            | Self::QUOTA
            | Self::PAYLOAD_INVALID => self,
            Self::TOO_LARGE | Self::BUSY => Self::QUOTA,
            _ => Self::UNSPECIFIED,
        }
    }

    /// The same of a SUBACK (3.9.3).
    pub(crate) fn of_suback(self) -> Self {
        match self {
            Self::UNSPECIFIED
            | Self::IMPLEMENTATION
            | Self::NOT_AUTHORIZED
            | Self::FILTER_INVALID
            | Self::QUOTA => self,
            Self::TOPIC_INVALID | Self::PAYLOAD_INVALID => Self::FILTER_INVALID,
            Self::TOO_LARGE | Self::BUSY => Self::QUOTA,
            _ => Self::UNSPECIFIED,
        }
    }

    /// What a CONNACK of 3.1.1 says of it (OASIS MQTT 3.1.1, table 3.1).
    pub(crate) fn of_connack_311(self) -> u8 {
        match self {
            Self::SUCCESS => 0,
            Self::UNSUPPORTED_VERSION => 1,
            Self::CLIENT_ID_INVALID => 2,
            Self::BAD_LOGIN => 4,
            Self::NOT_AUTHORIZED => 5,
            _ => 3,
        }
    }
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// For whoever sent it.
    pub text: String,
    /// The same would be refused again. What is not lasting is to be sent again: a client of 3.1.1,
    /// which cannot be told, is hung up on, and keeps it.
    pub lasting: bool,
}

impl Refusal {
    /// Of what is wrong and stays so.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: cut(text.into()), lasting: true }
    }

    /// Of what may go well another time.
    pub fn for_now(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: cut(text.into()), lasting: false }
    }
}

fn cut(mut text: String) -> String {
    let mut end = REASON_BYTES_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_has_its_codes() {
        assert_eq!(Reason::TOO_LARGE.of_puback(), Reason::QUOTA);
        assert_eq!(Reason::UNAVAILABLE.of_puback(), Reason::UNSPECIFIED);
        assert_eq!(Reason::PAYLOAD_INVALID.of_suback(), Reason::FILTER_INVALID);
        assert_eq!(Reason::NOT_AUTHORIZED.of_suback(), Reason::NOT_AUTHORIZED);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let refusal = Refusal::new(Reason::UNSPECIFIED, "锦".repeat(REASON_BYTES_MAX));
        assert!(refusal.text.len() <= REASON_BYTES_MAX && refusal.text.ends_with('锦'));
        assert!(refusal.lasting && refusal.reason.is_refusal());
    }
}
