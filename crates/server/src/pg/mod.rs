//! The PostgreSQL wire: psql, drivers, Grafana, Metabase and their kin, each as its own user.
//!
//! ```text
//!  TcpListener ─► TLS? ─► login (SCRAM) ─► messages ─► command ─┬─► session statement
//!                                                              ├─► datasets: Backend::query
//!                                                              └─► pg_catalog: Meta
//! ```
//!
//! The wire library reads and writes messages. Everything that decides is here: who logs in, what
//! is asked, what is answered, when it stops. Read-only; no statement changes a row.

mod cancel;
pub mod command;
mod encode;
mod errors;
mod face;
mod held;
mod login;
mod meta;
mod metered;
mod params;
mod route;
mod run;
mod scram;
mod session;
mod settings;
mod split;
mod titles;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, SinkExt, StreamExt};
use pgwire::api::{ClientInfo, NoopHandler, PgWireConnectionState, RandomPidSecretKeyGenerator};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use pgwire::tokio::server::{
    MaybeTls, PgWireMessageServerCodec, negotiate_tls, process_error, process_message,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::codec::{Framed, FramedParts};

use self::cancel::CancelDesk;
use self::face::{Face, Prepared};
use self::metered::Metered;
use crate::backend::Backend;
use crate::fault::Fault;
use crate::limits::{
    PG_CONNECTIONS_MAX, PG_IDLE_SECONDS_MAX, PG_LOGIN_MESSAGE_BYTES_MAX, PG_LOGIN_SECONDS_MAX,
    PG_MESSAGE_BYTES_MAX, PG_MESSAGE_SECONDS_MAX, SHUTDOWN_SECONDS_MAX, seconds,
};
use crate::stopped;
use crate::throttle::Throttle;
use crate::tls::Tls;

/// ALPN name of the protocol, for clients that start with TLS directly.
pub const ALPN: &[u8] = b"postgresql";

/// Wait after a failed `accept`, so that running out of file handles does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What logging in is set up with, beside TLS.
#[derive(Debug, Clone, Default)]
pub struct Doors {
    /// Failures, counted together with those of the other faces.
    pub throttle: Arc<Throttle>,
    /// Everybody knows the passwords: no role asks for a second factor.
    pub demonstration: bool,
}

/// What the connections of one listener share.
pub(crate) struct Shared {
    backend: Arc<dyn Backend>,
    tls: Tls,
    desk: Arc<CancelDesk>,
    keys: RandomPidSecretKeyGenerator,
    throttle: Arc<Throttle>,
    demonstration: bool,
}

/// Serves until `stop` turns true; then open statements get a moment to end.
pub async fn serve(
    listener: TcpListener,
    backend: Arc<dyn Backend>,
    tls: Tls,
    doors: Doors,
    mut stop: watch::Receiver<bool>,
) {
    let shared = Arc::new(Shared {
        backend,
        tls,
        desk: Arc::default(),
        keys: RandomPidSecretKeyGenerator::default(),
        throttle: doors.throttle,
        demonstration: doors.demonstration,
    });
    let places = Arc::new(Semaphore::new(PG_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a PostgreSQL connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            // Closing at once is what there is to say before TLS is settled.
            tracing::warn!(%peer, "too many PostgreSQL connections: one turned away");
            continue;
        };
        let (shared, stop) = (shared.clone(), stop.clone());
        connections.spawn(async move {
            let served = std::panic::AssertUnwindSafe(connection(socket, peer, shared, stop));
            if let Err(panic) = served.catch_unwind().await {
                let fault = Fault::internal(crate::panic_text(&*panic));
                tracing::error!(%peer, correlation = %fault.correlation, "connection lost");
            }
            drop(place);
        });
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(seconds(SHUTDOWN_SECONDS_MAX), ended).await;
}

type Codec = PgWireMessageServerCodec<Arc<Prepared>>;
type Socket = Framed<Metered<MaybeTls>, Codec>;

async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let login_until = tokio::time::Instant::now() + seconds(PG_LOGIN_SECONDS_MAX);
    let negotiated = negotiate_tls(socket, shared.tls.acceptor.clone());
    match tokio::time::timeout_at(login_until, negotiated).await {
        Ok(Ok(Some(socket))) => {
            let mut socket = metered(socket);
            if let Err(error) = messages(&mut socket, shared, stop, login_until).await {
                tracing::debug!(%peer, %error, "PostgreSQL connection ended");
            }
        }
        Ok(Ok(None)) => tracing::debug!(%peer, "TLS was asked for and is not served"),
        Ok(Err(error)) => tracing::debug!(%peer, %error, "PostgreSQL connection not established"),
        Err(_) => tracing::debug!(%peer, "PostgreSQL login took too long"),
    }
}

fn metered(socket: Framed<MaybeTls, Codec>) -> Socket {
    let before = socket.into_parts();
    let mut parts = FramedParts::new::<PgWireBackendMessage>(Metered::new(before.io), before.codec);
    (parts.read_buf, parts.write_buf) = (before.read_buf, before.write_buf);
    Framed::from_parts(parts)
}

async fn messages(
    socket: &mut Socket,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
    login_until: tokio::time::Instant,
) -> std::io::Result<()> {
    let face = Arc::new(Face::new(shared.clone()));
    loop {
        let (until, bytes_max) = match socket.state() {
            PgWireConnectionState::AwaitingStartup
            | PgWireConnectionState::AuthenticationInProgress => {
                (login_until, PG_LOGIN_MESSAGE_BYTES_MAX)
            }
            _ => {
                let idle_until = tokio::time::Instant::now() + seconds(PG_IDLE_SECONDS_MAX);
                (idle_until, PG_MESSAGE_BYTES_MAX)
            }
        };
        socket.get_mut().allow(bytes_max);
        let message = tokio::select! {
            message = socket.next() => message,
            () = tokio::time::sleep_until(until) => {
                Some(Err(errors::fatal("57P05", "terminating connection due to idle timeout")))
            }
            () = stopped(&mut stop) => {
                Some(Err(errors::fatal("57P01", "terminating connection: the server stops")))
            }
        };
        let message = match message {
            None => return Ok(()),
            Some(Err(error)) => return process_error(socket, error, true).await,
            Some(Ok(PgWireFrontendMessage::Terminate(_))) => return Ok(()),
            Some(Ok(message)) => message,
        };
        let extended = message.is_extended_query();
        let before_login = matches!(
            socket.state(),
            PgWireConnectionState::AwaitingStartup
                | PgWireConnectionState::AuthenticationInProgress
        );
        let cancelling = matches!(message, PgWireFrontendMessage::CancelRequest(_));
        let answered = process_message(
            message,
            socket,
            face.clone(),
            face.clone(),
            face.clone(),
            Arc::new(NoopHandler),
            shared.desk.clone(),
        );
        // A client that stops reading holds its statement no longer than this.
        let answered = tokio::time::timeout(seconds(PG_MESSAGE_SECONDS_MAX), answered).await;
        match answered.map_err(|_| std::io::ErrorKind::TimedOut)? {
            Ok(()) if cancelling => return Ok(()),
            Ok(()) => {}
            Err(error) if before_login => {
                // Nothing may follow a failed login, whatever its severity.
                let info: pgwire::error::ErrorInfo = error.into();
                socket.send(PgWireBackendMessage::ErrorResponse(info.into())).await?;
                return socket.close().await;
            }
            Err(error) => {
                let fatal = matches!(&error, pgwire::error::PgWireError::UserError(info) if info.is_fatal());
                process_error(socket, error, extended).await?;
                if fatal {
                    return Ok(());
                }
            }
        }
    }
}
