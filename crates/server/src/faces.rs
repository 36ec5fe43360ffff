//! Starts all faces of a city together, and stops them together.

use std::net::SocketAddr;
use std::sync::Arc;

use city::City;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::backend::Backend;
use crate::fault::Fault;
use crate::http::doors::Doors;
use crate::http::{self, Http, Ui};
use crate::pg;
use crate::tls::{PgTls, TlsError, load};

/// Why the faces could not start. None of them is left running then.
#[derive(Debug, thiserror::Error)]
pub enum FacesError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot listen on {address}: {source}; is another server running there?")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(
        "{address} is reachable from other machines and HTTP would be served in clear, tokens and \
         all: listen on 127.0.0.1, or give --http-behind-proxy where a proxy in front ends TLS"
    )]
    ClearHttp { address: SocketAddr },
    #[error("{0}")]
    Http(Fault),
}

/// The served faces of one city.
#[derive(Debug)]
pub struct Faces {
    http: SocketAddr,
    pg: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Faces {
    /// Listens on both addresses and serves; port 0 takes a free one. TLS that is asked for and
    /// cannot be had is an error, never clear text. HTTP knows no TLS of its own: beyond loopback
    /// it is served where `http_behind_proxy` says that somebody else sees to it.
    pub async fn start(
        city: Arc<City>,
        http: SocketAddr,
        pg: SocketAddr,
        tls: PgTls,
        http_behind_proxy: bool,
        mut doors: Doors,
        ui: Arc<dyn Ui>,
    ) -> Result<Self, FacesError> {
        if !http.ip().is_loopback() && !http_behind_proxy {
            return Err(FacesError::ClearHttp { address: http });
        }
        let tls = load(&tls, pg, &[pg::ALPN])?;
        let pg_listener = listen(pg).await?;
        let http_listener = listen(http).await?;
        let (http, pg) = (address(&http_listener, http), address(&pg_listener, pg));
        // Where a proxy in front ends TLS, what browsers see is https.
        let https = |url: &String| url.starts_with("https:");
        doors.secure |= http_behind_proxy || doors.public_url.as_ref().is_some_and(https);
        let throttle = doors.throttle.clone();
        let base_url = doors.public_url.clone().unwrap_or_else(|| format!("http://{http}"));
        let state =
            Http::with_doors(city.clone(), base_url, doors, ui).map_err(FacesError::Http)?;
        let (stop, stopped) = watch::channel(false);
        let backend: Arc<dyn Backend> = city;
        let tasks = vec![
            tokio::spawn(pg::serve(pg_listener, backend, tls, throttle, stopped.clone())),
            tokio::spawn(http::serve(http_listener, state, stopped)),
        ];
        Ok(Self { http, pg, stop, tasks })
    }

    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    pub fn pg_addr(&self) -> SocketAddr {
        self.pg
    }

    /// Takes no more requests, and returns when those under way have ended or have had their
    /// moment to.
    pub async fn stop(self) {
        // The tasks hold the receivers: where both have ended already, there is nobody to tell.
        let _ = self.stop.send(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a face ended badly");
            }
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, FacesError> {
    TcpListener::bind(address).await.map_err(|source| FacesError::Listen { address, source })
}

fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}
