//! The HTTP listener: so many connections at once, each with a time by which it must have asked.
//!
//! The framework's own loop has neither bound: whoever opens sockets and says nothing would in the
//! end take every file handle of the process, and the other faces' with them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Layer;

use super::gate::Peer;
use super::{Http, router};
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEAD_SECONDS_MAX, SHUTDOWN_SECONDS_MAX, seconds};
use crate::stopped;

/// Wait after a failed `accept`, so that running out of file handles does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves until `stop` turns true; then open requests get a moment to end.
pub async fn serve(listener: TcpListener, http: Arc<Http>, mut stop: watch::Receiver<bool>) {
    let router = router(http.clone());
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
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
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            connection(socket, peer.ip(), router, stop, seconds(HTTP_HEAD_SECONDS_MAX)).await;
            drop(place);
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

/// One connection's requests, one after another.
async fn connection(
    socket: TcpStream,
    peer: IpAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
    head_time_max: Duration,
) {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_time_max);
    let service = TowerToHyperService::new(Extension(Peer(peer)).layer(router));
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "HTTP connection ended");
                }
                return;
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
    async fn answer_to(text: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, peer) = listener.accept().await.unwrap();
        let (_open, stop) = watch::channel(false);
        let router = Router::new().route("/", get(|| async { "here" }));
        let served =
            tokio::spawn(connection(socket, peer.ip(), router, stop, Duration::from_millis(100)));
        client.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let hung_up =
            tokio::time::timeout(Duration::from_secs(10), client.read_to_string(&mut answer));
        // A connection that is reset has ended too.
        let _ = hung_up.await.expect("the server hangs up");
        served.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_or_half_a_word_is_hung_up_on() {
        assert!(!answer_to("").await.contains("here"));
        assert!(!answer_to("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.contains("here"));
        assert!(answer_to("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.ends_with("here"));
    }
}
