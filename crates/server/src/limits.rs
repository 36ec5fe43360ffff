//! Every bound of the faces in one place, each with its unit last. A request over a bound fails
//! alone and says which bound; the server lives.

use std::num::NonZeroU32;
use std::time::Duration;

/// Connections to the PostgreSQL wire at once, those still logging in included.
pub const PG_CONNECTIONS_MAX: usize = 200;
/// A client that has not finished logging in by then is cut off.
pub const PG_LOGIN_SECONDS_MAX: u64 = 20;
/// A connection on which nothing was asked for so long is closed.
pub const PG_IDLE_SECONDS_MAX: u64 = 3_600;
/// Time that one message may take to be answered, a slow reader's sending included.
pub const PG_MESSAGE_SECONDS_MAX: u64 = 600;
/// A statement's deadline where the client sets no shorter one.
pub const STATEMENT_SECONDS_MAX: u64 = 300;
/// Length of one statement, whichever face it came in by.
pub const STATEMENT_BYTES_MAX: usize = 1 << 20;
/// Statements in one simple-protocol message.
pub const STATEMENTS_MAX: usize = 100;
/// Bytes of one message before its sender has logged in: a name, and SCRAM's few lines.
pub const PG_LOGIN_MESSAGE_BYTES_MAX: usize = 32 << 10;
/// Bytes of one message: a statement, or its parameters.
pub const PG_MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Prepared statements and portals that one connection may hold, each.
pub const PREPARED_MAX: usize = 1_000;
/// Bytes of all of them, each.
pub const PREPARED_BYTES_MAX: usize = 32 << 20;
/// Parameters of one statement.
pub const PARAMETERS_MAX: usize = 1_000;
/// Rows that a catalogue query (`pg_catalog`, `information_schema`) may answer.
pub const META_ROWS_MAX: usize = 100_000;
/// Memory that one connection's catalogue queries may use.
pub const META_MEMORY_BYTES_MAX: usize = 256 << 20;
/// A catalogue query's deadline: it reads nothing but a few thousand small rows.
pub const META_SECONDS_MAX: u64 = 30;
/// Wait before a failed login is answered, so that guessing is slow.
pub const LOGIN_FAILURE_MS: u64 = 400;
/// Failed logins of one name from one address, after which it has to wait.
pub const LOGIN_FAILURES_MAX: u32 = 10;
/// Failed logins from one address, whatever the names: an office may share one.
pub const LOGIN_FAILURES_OF_ADDRESS_MAX: u32 = 100;
/// The wait, and how long a failure is remembered.
pub const LOGIN_WINDOW_SECONDS: u64 = 900;
/// Failed logins of one name from anywhere: whoever guesses from many addresses locks the name, but
/// for the addresses that it has logged in from.
pub const LOGIN_FAILURES_OF_NAME_MAX: u32 = 50;
/// Guessers that are remembered at once.
pub const LOGIN_GUESSERS_MAX: usize = 20_000;
/// Of so many guessers the least guilty are forgotten together when all places are taken.
pub const LOGIN_GUESSERS_FORGOTTEN: usize = LOGIN_GUESSERS_MAX / 16;

/// HTTP connections at once.
pub const HTTP_CONNECTIONS_MAX: usize = 1_000;
/// Of those, one address's: an office may share one, and no machine can take them all. A proxy
/// that stands in front has all of them.
pub const HTTP_CONNECTIONS_OF_ADDRESS_MAX: usize = 500;
/// A client that has not sent a request's head by then is cut off, one that asks nothing between
/// two requests too.
pub const HTTP_HEAD_SECONDS_MAX: u64 = 60;
/// Streams of one HTTP/2 connection at once: a map asks for many tiles.
pub const HTTP_STREAMS_MAX: u32 = 128;
/// A request's head over HTTP/2.
pub const HTTP_HEADERS_BYTES_MAX: u32 = 64 << 10;
/// HTTP connections' requests in flight at once.
pub const HTTP_REQUESTS_MAX: usize = 512;
/// Of those, requests to what is open to everybody, signing in before all: one who has not shown
/// who it is must not be able to take every place.
pub const HTTP_STRANGERS_MAX: usize = 128;
/// Of those, one address's.
pub const HTTP_STRANGERS_OF_ADDRESS_MAX: usize = 64;
/// Body of a request.
pub const HTTP_BODY_BYTES_MAX: usize = 4 << 20;
/// Time to the first byte of an answer; the body of a query has the statement's deadline.
pub const HTTP_SECONDS_MAX: u64 = 310;
/// The same for a file that is imported and for a backup.
pub const HTTP_LONG_SECONDS_MAX: u64 = 3_600;
/// A client that has not finished the TLS handshake by then is cut off.
pub const TLS_SECONDS_MAX: u64 = 10;
/// Requests a second of one principal, whatever the address. A map that is dragged about asks for
/// some fifty tiles at a time.
pub const RATE_OF_PRINCIPAL_PER_SECOND: u32 = 200;
/// Requests a second of one address, whoever asks: an office may share one.
pub const RATE_OF_ADDRESS_PER_SECOND: u32 = 1_000;
/// So many seconds' worth may come at once after a rest.
pub const RATE_BURST_SECONDS: NonZeroU32 = NonZeroU32::new(5).expect("five is not nought");
/// Principals and addresses, each, that are remembered before those that rest are forgotten.
pub const RATE_KEYS_MAX: usize = 100_000;
/// Characters of a request's id that a proxy gave it.
pub const REQUEST_ID_CHARS_MAX: usize = 64;
/// Rows of one answer over HTTP; the engine's own limits may be tighter.
pub const HTTP_ROWS_MAX: u64 = 5_000_000;
/// Bytes of one answer over HTTP.
pub const HTTP_ANSWER_BYTES_MAX: u64 = 2 << 30;
/// Time that a request to what is open to everybody may take, the sending of its body included.
pub const SIGN_IN_SECONDS_MAX: u64 = 20;
/// Body of such a request: a name, a password and a code.
pub const SIGN_IN_BODY_BYTES_MAX: usize = 16 << 10;
/// Bytes of a user's name, a password or a code as they come in.
pub const SIGN_IN_TEXT_BYTES_MAX: usize = 1_024;
/// Sign-ins that are with their OpenID provider at once.
pub const OIDC_PENDING_MAX: usize = 1_000;
/// The same of one client's network; the oldest gives way.
pub const OIDC_PENDING_OF_NETWORK_MAX: usize = 20;
/// Time that one may take to sign in there.
pub const OIDC_MINUTES_MAX: u64 = 10;
/// Time that a provider may take to answer us.
pub const OIDC_ANSWER_SECONDS_MAX: u64 = 10;
/// How long a provider that did not answer is not asked again.
pub const OIDC_FAILURE_SECONDS: u64 = 10;
/// How long a provider's metadata and keys are believed.
pub const OIDC_METADATA_MINUTES_MAX: u64 = 60;
/// Refusals that go to the audit in one minute; more are counted in the log alone.
pub const DENIALS_A_MINUTE_MAX: usize = 1_000;
/// Items on a page of a list.
pub const PAGE_ITEMS_MAX: usize = 200;
/// Items on a page where none is asked for.
pub const PAGE_ITEMS_DEFAULT: usize = 50;
/// Length of a search's text.
pub const SEARCH_CHARS_MAX: usize = 200;
/// Features of one tile; the least important are left out.
pub const TILE_FEATURES_MAX: usize = 30_000;
/// Bytes of one tile, for the same reason.
pub const TILE_BYTES_MAX: usize = 1 << 20;
/// Tiles that are drawn, and searches through features, at once; others wait.
pub const TILES_DRAWN_MAX: usize = 8;
/// Trees of areas kept at once: one for each set of areas that somebody sees.
pub const AREA_TREES_MAX: usize = 8;
/// Areas one inside the other.
pub const AREA_DEPTH_MAX: usize = 16;
/// Areas that a search finds.
pub const FOUND_PLACES_MAX: usize = 20;
/// Objects that a search finds.
pub const FOUND_OBJECTS_MAX: usize = 30;
/// Datasets that a search finds.
pub const FOUND_DATASETS_MAX: usize = 10;
/// Features on a page of OGC API Features.
pub const OGC_ITEMS_MAX: usize = 5_000;
/// The same where none are asked for.
pub const OGC_ITEMS_DEFAULT: usize = 100;
/// Digits of an area's code, the grids' included.
pub const AREA_CODE_CHARS_MAX: usize = 24;
/// Tiles of one board that are asked at once: half of what one principal may ask.
pub const TILES_AT_ONCE_MAX: usize = 4;
/// Streams of events at once, and so fewer than connections.
pub const EVENT_STREAMS_MAX: usize = 600;
/// Of those, streams of one user: a window each.
pub const EVENT_STREAMS_OF_USER_MAX: usize = 20;
/// A stream of events ends after this; the browser opens another, with the rights of that time.
pub const EVENT_STREAM_SECONDS_MAX: u64 = 900;
/// A stream says this often that it is there, and looks whether its reader still may listen.
pub const EVENT_BEAT_SECONDS: u64 = 15;
/// How long a browser waits before it opens a stream again.
pub const EVENT_RETRY_MS: u64 = 3_000;
/// MQTT connections at once: a device keeps its own open.
pub const MQTT_CONNECTIONS_MAX: usize = 20_000;
/// Of those, one address's: gateways and carriers stand for many devices.
pub const MQTT_CONNECTIONS_OF_ADDRESS_MAX: usize = 12_000;
/// Publishes a second of one principal; more are not refused but wait.
pub const MQTT_RATE_OF_PRINCIPAL_PER_SECOND: u32 = 100_000;
/// Time that open requests and connections get to end when the server stops.
pub const SHUTDOWN_SECONDS_MAX: u64 = 10;
/// The same for files that are being imported: who still waits for one is told that it was cut.
pub const IMPORT_SHUTDOWN_SECONDS_MAX: u64 = 5;

const _: () = assert!(HTTP_STRANGERS_MAX < HTTP_REQUESTS_MAX);
const _: () = assert!(SIGN_IN_SECONDS_MAX < HTTP_SECONDS_MAX);
const _: () = assert!(IMPORT_SHUTDOWN_SECONDS_MAX < SHUTDOWN_SECONDS_MAX);

/// [`PG_IDLE_SECONDS_MAX`] and its kin as durations.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
