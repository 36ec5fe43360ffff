//! The HTTP listener, in clear or over TLS: so many connections at once, each with a time by which
//! it must have asked.
//!
//! The framework's own loop has neither bound: whoever opens sockets and says nothing would in the
//! end take every file handle of the process, and the other faces' with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt as _;

use super::shares::Shares;
use super::watch::Peer;
use super::{Http, router};
use crate::limits::{
    HTTP_CONNECTIONS_MAX, HTTP_CONNECTIONS_OF_ADDRESS_MAX, HTTP_HEAD_SECONDS_MAX,
    HTTP_HEADERS_BYTES_MAX, HTTP_STREAMS_MAX, SHUTDOWN_SECONDS_MAX, TLS_SECONDS_MAX, seconds,
};
use crate::stopped;

/// Wait after a failed `accept`, so that running out of file handles does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What a client may agree on in the TLS handshake.
pub const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Serves until `stop` turns true; then open requests get a moment to end. With an acceptor, a
/// connection that is not TLS is hung up on.
pub async fn serve(
    listener: TcpListener,
    http: Arc<Http>,
    tls: Option<TlsAcceptor>,
    mut stop: watch::Receiver<bool>,
) {
    let router = router(http.clone());
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    let of_address = match http.options.behind_proxy {
        true => HTTP_CONNECTIONS_MAX,
        false => HTTP_CONNECTIONS_OF_ADDRESS_MAX,
    };
    let shares = Shares::of(of_address);
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
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "too many HTTP connections: one turned away");
            continue;
        };
        let Some(share) = shares.take(peer.ip()) else {
            tracing::warn!(%peer, "too many HTTP connections of one address: one turned away");
            continue;
        };
        let (router, tls, stop) = (router.clone(), tls.clone(), stop.clone());
        connections.spawn(async move {
            let (peer, rest_max) = (Peer(peer.ip()), seconds(HTTP_HEAD_SECONDS_MAX));
            match tls {
                None => connection(socket, peer, router, Protocols::Clear, stop, rest_max).await,
                Some(tls) => {
                    if let Some(socket) = shaken(&tls, socket).await {
                        connection(socket, peer, router, Protocols::Tls, stop, rest_max).await;
                    }
                }
            }
            drop((place, share));
        });
    }
    drop(listener);
    http.closing.send_replace(true);
    drop(http);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(seconds(SHUTDOWN_SECONDS_MAX), ended).await.is_err() {
        tracing::warn!("open HTTP requests were cut off");
    }
}

/// How far a connection has come: requests that it brought, and answers that are sent.
#[derive(Debug, Default)]
struct Line {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Line {
    /// Requests so far, where all of them are answered.
    fn at_rest(&self) -> Option<u64> {
        let ended = self.ended.load(Ordering::Acquire);
        (self.begun.load(Ordering::Acquire) == ended).then_some(ended)
    }
}

/// Goes with a request, and then with its answer until that is sent or let go.
#[derive(Debug)]
pub struct Held(Arc<Line>);

impl Held {
    fn of(line: &Arc<Line>) -> Arc<Self> {
        line.begun.fetch_add(1, Ordering::AcqRel);
        Arc::new(Self(line.clone()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

/// The socket behind a TLS handshake, where one comes about in time.
async fn shaken(tls: &TlsAcceptor, socket: TcpStream) -> Option<TlsStream<TcpStream>> {
    match tokio::time::timeout(seconds(TLS_SECONDS_MAX), tls.accept(socket)).await {
        Ok(Ok(socket)) => Some(socket),
        Ok(Err(error)) => {
            tracing::debug!(%error, "no TLS connection came about");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

/// HTTP/2 is spoken over TLS alone, where the handshake agrees on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocols {
    Clear,
    Tls,
}

impl Protocols {
    fn builder(self, rest_max: Duration) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(rest_max);
        if self == Self::Clear {
            return builder.http1_only();
        }
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Some(rest_max))
            .max_concurrent_streams(Some(HTTP_STREAMS_MAX))
            .max_header_list_size(HTTP_HEADERS_BYTES_MAX);
        builder
    }
}

/// One connection's requests. On one that has been at rest for so long it is said goodbye.
async fn connection(
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: Peer,
    router: Router,
    protocols: Protocols,
    mut stop: watch::Receiver<bool>,
    rest_max: Duration,
) {
    let builder = protocols.builder(rest_max);
    let line = Arc::new(Line::default());
    let of = line.clone();
    let service = TowerToHyperService::new(router.map_request(move |mut request: Request<_>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(Held::of(&of));
        request
    }));
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
    let mut look = tokio::time::interval(rest_max);
    let mut rested = None;
    let mut stopping = false;
    look.tick().await;
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "HTTP connection ended");
                }
                return;
            }
            _ = look.tick() => {
                let now = line.at_rest();
                let resting = now.is_some() && now == rested;
                rested = now;
                if resting && stopping {
                    // It was told, and does not answer.
                    return;
                }
                if resting {
                    stopping = true;
                    served.as_mut().graceful_shutdown();
                }
            }
            () = stopped(&mut stop), if !stopping => {
                stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What a client that sends `text`, and then nothing, gets until it is hung up on.
    async fn answer_to(text: &[u8], protocols: Protocols) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, peer) = listener.accept().await.unwrap();
        let (_open, stop) = watch::channel(false);
        let router = Router::new().route("/", get(|| async { "here" }));
        let time_max = Duration::from_millis(100);
        let peer = Peer(peer.ip());
        let served = tokio::spawn(connection(socket, peer, router, protocols, stop, time_max));
        client.write_all(text).await.unwrap();
        let mut answer = Vec::new();
        let hung_up =
            tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut answer));
        // A connection that is reset has ended too.
        let _ = hung_up.await.expect("the server hangs up");
        served.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_or_half_a_word_is_hung_up_on() {
        for protocols in [Protocols::Clear, Protocols::Tls] {
            let answer = async |text: &str| {
                let answer = answer_to(text.as_bytes(), protocols).await;
                String::from_utf8_lossy(&answer).into_owned()
            };
            assert!(!answer("").await.contains("here"));
            assert!(!answer("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.contains("here"));
            assert!(answer("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.ends_with("here"));
        }
    }

    #[tokio::test]
    async fn a_client_that_greets_in_http_2_and_falls_silent_is_hung_up_on() {
        // The preface, and an empty SETTINGS frame (RFC 9113, 3.4).
        let greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let answer = answer_to(greeting, Protocols::Tls).await;
        assert!(answer.len() > 9, "it greets back: {answer:?}");
        let answer = answer_to(greeting, Protocols::Clear).await;
        assert!(!answer.starts_with(&[0, 0]), "in clear nobody speaks HTTP/2: {answer:?}");
    }
}
