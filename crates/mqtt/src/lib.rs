//! An MQTT broker, 3.1.1 and 5, for a program that takes and gives messages itself.
//!
//! ```text
//!  stream ─► decode ─► connection ─┬─► publishes ─► lanes ─► Hooks::publish, by the hundreds
//!                        ▲  │      │                                  │ durable
//!                        │  ▼      └─◄── PUBACK, in order ◄────────────┘
//!                     session: queue, in flight
//!                        ▲
//!  Broker::tell ─► tree of filters: which subscription hears it, and what of it
//! ```
//!
//! What a client publishes goes to the [`Hooks`] and nowhere else: nothing is echoed. What
//! subscribers hear, the program tells by [`Broker::tell`]; what of it each may hear it decides for
//! each. A publish is acknowledged once the hook has answered for it, so that a hook which answers
//! after its fsync makes acknowledged publishes durable.
//!
//! Sessions live in memory: subscriptions and queues outlast a connection, not the process. Inbound
//! messages have QoS 0, 1 or 2, outbound ones 0 or 1. Every bound is in [`limits`].
//!
//! Knows no city, no topic's meaning, no listener and no certificate.

mod broker;
mod connection;
mod decode;
mod encode;
mod figures;
mod handshake;
mod hooks;
mod lanes;
pub mod limits;
mod packet;
mod properties;
mod reason;
mod session;
mod sessions;
mod topic;

#[cfg(test)]
mod tests;

pub use broker::{Broker, Heard};
pub use connection::Peer;
pub use figures::{FIGURES, Figures};
pub use hooks::{Credentials, Grant, Hooks, Message, Publication};
pub use lanes::Lanes;
pub use packet::{QoS, Version};
pub use reason::{Reason, Refusal};
pub use topic::{filter_fault, name_fault};

/// Arbitrary bytes through the reader of packets: nothing may panic. For the fuzz target.
pub fn fuzz(input: &[u8]) {
    for version in [None, Some(Version::V311), Some(Version::V5)] {
        let mut buffer = bytes::BytesMut::from(input);
        // Each packet takes bytes of the buffer, so this ends.
        while let Ok(Some(_)) = decode::next(&mut buffer, version, limits::PACKET_BYTES_MAX) {}
    }
}
