//! Every bound of the broker in one place, each with its unit last.

use std::time::Duration;

/// A packet, whatever its kind: observations in bulk are the largest.
pub const PACKET_BYTES_MAX: usize = 1 << 20;
/// The first packet, before it is known who sends it.
pub const CONNECT_BYTES_MAX: usize = 64 << 10;
/// A client that has not said who it is by then is cut off.
pub const CONNECT_SECONDS_MAX: u64 = 10;
/// A client that takes nothing for so long is cut off.
pub const WRITE_SECONDS_MAX: u64 = 20;
/// Silence that is borne where a client asks for no keep-alive, or for a longer one.
pub const KEEP_ALIVE_SECONDS_MAX: u16 = 3_600;
/// What is under way at a connection's end is waited for so long.
pub const SETTLE_SECONDS_MAX: u64 = 3;
/// How often it is asked whether a client is still good.
pub const RECHECK_SECONDS: u64 = 10;

/// Publishes of one connection that wait for their acknowledgement; it is not read from meanwhile.
pub const RECEIVE_MAX: u16 = 256;
/// Messages to one client that wait for its acknowledgement.
pub const IN_FLIGHT_MAX: usize = 256;
/// Messages that wait for one client. The oldest give way to new ones, and are counted.
pub const QUEUED_MESSAGES_MAX: usize = 1_000;
/// And their bytes.
pub const QUEUED_BYTES_MAX: usize = 4 << 20;
/// The same of all clients together, with what they have not acknowledged.
pub const HELD_BYTES_MAX: usize = 512 << 20;
/// Messages that are written to a client before it is read from again.
pub const WRITTEN_AT_ONCE_MAX: usize = 256;
/// And about so many of their bytes.
pub const WRITTEN_AT_ONCE_BYTES_MAX: usize = 1 << 20;

/// Publishes that wait in one lane.
pub const LANE_PUBLISHES_MAX: usize = 8_192;
/// Publishes that go to the hook together.
pub const BATCH_PUBLISHES_MAX: usize = 8_192;
/// Lanes: batches under way at once. A connection's publishes stay in one, and so in order.
pub const LANES: usize = 4;
/// Bytes of publishes that wait or are under way, of all connections.
pub const INBOX_BYTES_MAX: usize = 128 << 20;

/// Topics and filters.
pub const TOPIC_BYTES_MAX: usize = 1_024;
pub const TOPIC_LEVELS_MAX: usize = 16;
/// Topics that a connection of MQTT 5 may give a number.
pub const TOPIC_ALIASES_MAX: u16 = 32;
/// Filters in one SUBSCRIBE or UNSUBSCRIBE.
pub const FILTERS_OF_PACKET_MAX: usize = 100;
/// User properties of one packet.
pub const USER_PROPERTIES_MAX: usize = 32;
pub const CLIENT_ID_BYTES_MAX: usize = 256;
pub const USER_BYTES_MAX: usize = 256;
pub const PASSWORD_BYTES_MAX: usize = 4 << 10;
/// A reason in words.
pub const REASON_BYTES_MAX: usize = 512;

/// Sessions, connected or waiting for their client.
pub const SESSIONS_MAX: usize = 50_000;
/// Of those, one user's.
pub const SESSIONS_OF_USER_MAX: usize = 20_000;
/// A session waits so long for its client at most.
pub const SESSION_EXPIRY_SECONDS_MAX: u32 = 86_400;
/// How often sessions are looked through for those whose time is over.
pub const SESSIONS_LOOK_SECONDS: u64 = 5;
pub const SUBSCRIPTIONS_OF_CLIENT_MAX: usize = 200;
pub const SUBSCRIPTIONS_OF_USER_MAX: usize = 20_000;
pub const SUBSCRIPTIONS_MAX: usize = 200_000;
/// Wills of clients that are gone, which wait for their time.
pub const DELAYED_WILLS_MAX: u32 = 50_000;
/// Waits of a publish for its principal's rate, after which it is let through.
pub const PACES_MAX: usize = 30;
/// One of those.
pub const PACE_SECONDS_MAX: u64 = 1;

/// Bytes that gather before they are written.
pub const WRITE_BYTES: usize = 64 << 10;
/// Bytes that are read at once from a connection that sends little, and from one that sends much.
pub const READ_BYTES: usize = 2 << 10;
pub const READ_MUCH_BYTES: usize = 32 << 10;

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
