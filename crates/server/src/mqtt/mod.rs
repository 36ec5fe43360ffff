//! MQTT 3.1.1 and 5 over SensorThings: devices say what they observe, listeners hear what is new.
//!
//! ```text
//!  TcpListener ─► TLS? ─► mqtt::Broker ─► face ─┬─► who connects: tokens, certificates
//!                              ▲                ├─► City::sta_observe_many, by the hundreds
//!                              │                └─► what is there now, for new subscribers
//!                            told ◄── City::sta_listen: what is durable since just now
//! ```
//!
//! The broker knows the protocol; the city knows who may what. Here they meet, and nothing is
//! decided but what a topic means.

mod face;
mod names;
mod told;
mod topics;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use city::City;
use futures::FutureExt;
use mqtt::{Broker, Peer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::face::Face;
use crate::http::{RateOptions, Rates, Shares};
use crate::limits::{
    MQTT_CONNECTIONS_MAX, MQTT_CONNECTIONS_OF_ADDRESS_MAX, MQTT_RATE_OF_PRINCIPAL_PER_SECOND,
    RATE_OF_ADDRESS_PER_SECOND, SHUTDOWN_SECONDS_MAX, TLS_SECONDS_MAX, seconds,
};
use crate::stopped;
use crate::throttle::Throttle;

/// ALPN name of the protocol, for clients that say it.
pub const ALPN: &[u8] = b"mqtt";
/// Wait after a failed `accept`, so that running out of file handles does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Rows that subscribers were not told of, because too many came at once.
pub(crate) static MISSED_ROWS: AtomicU64 = AtomicU64::new(0);

/// Where and how MQTT is served.
#[derive(Debug, Clone)]
pub struct MqttOptions {
    pub address: SocketAddr,
    /// Certificate chain and private key, both PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Who has a certificate of one of these (PEM) is the user that it names.
    pub client_ca: Option<PathBuf>,
    /// Publishes a second of one principal; more wait.
    pub principal_per_second: NonZeroU32,
}

impl MqttOptions {
    /// In clear, with the usual limits.
    pub fn new(address: SocketAddr) -> Self {
        let principal_per_second = NonZeroU32::new(MQTT_RATE_OF_PRINCIPAL_PER_SECOND);
        Self {
            address,
            tls: None,
            client_ca: None,
            principal_per_second: principal_per_second.expect("the limit is no nought"),
        }
    }
}

/// What serving needs beside the listener.
pub(crate) struct Mqtt {
    pub city: Arc<City>,
    pub tls: Option<TlsAcceptor>,
    pub throttle: Arc<Throttle>,
    pub principal_per_second: NonZeroU32,
    /// The root of links in entities, without a slash at its end.
    pub root: String,
}

/// Serves until `stop` turns true; then clients are told goodbye.
pub(crate) async fn serve(listener: TcpListener, mqtt: Mqtt, mut stop: watch::Receiver<bool>) {
    let address_per_second = NonZeroU32::new(RATE_OF_ADDRESS_PER_SECOND);
    let rates = Rates::new(RateOptions {
        principal_per_second: mqtt.principal_per_second,
        address_per_second: address_per_second.expect("the limit is no nought"),
    });
    let listening = mqtt.city.sta_listen();
    let face = Face {
        backend: mqtt.city.clone(),
        city: mqtt.city,
        throttle: mqtt.throttle,
        rates,
        root: mqtt.root,
    };
    let (broker, lanes) = Broker::start(Arc::new(face));
    let mut others = JoinSet::new();
    others.spawn(told::tell(broker.clone(), listening, stop.clone()));
    let tended = broker.clone();
    others.spawn(async move { tended.tend().await });

    let places = Arc::new(Semaphore::new(MQTT_CONNECTIONS_MAX));
    let shares = Shares::of(MQTT_CONNECTIONS_OF_ADDRESS_MAX);
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
                tracing::warn!(%error, "cannot accept an MQTT connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "too many MQTT connections: one turned away");
            continue;
        };
        let Some(share) = shares.take(peer.ip()) else {
            tracing::warn!(%peer, "too many MQTT connections of one address: one turned away");
            continue;
        };
        let (broker, tls) = (broker.clone(), mqtt.tls.clone());
        connections.spawn(async move {
            let served = std::panic::AssertUnwindSafe(connection(socket, peer, tls, broker));
            if let Err(panic) = served.catch_unwind().await {
                tracing::error!(%peer, reason = crate::panic_text(&*panic), "connection lost");
            }
            drop((place, share));
        });
    }
    drop(listener);
    broker.stop();
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(seconds(SHUTDOWN_SECONDS_MAX), ended).await.is_err() {
        tracing::warn!("open MQTT connections were cut off");
        connections.shutdown().await;
    }
    lanes.ended().await;
    broker.ended().await;
    while others.join_next().await.is_some() {}
}

async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    broker: Arc<Broker<Face>>,
) {
    // Acknowledgements are small, and somebody waits for each.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "a connection that is gone already");
        return;
    }
    let address = peer.ip();
    let Some(tls) = tls else {
        broker.serve(socket, Peer { address, certified: Vec::new() }).await;
        return;
    };
    match tokio::time::timeout(seconds(TLS_SECONDS_MAX), tls.accept(socket)).await {
        Ok(Ok(socket)) => {
            let shown = socket.get_ref().1.peer_certificates();
            let certified = shown.and_then(<[_]>::first).map(names::of).unwrap_or_default();
            broker.serve(socket, Peer { address, certified }).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS connection came about"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
    }
}
