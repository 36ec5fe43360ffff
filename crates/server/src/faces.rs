//! Starts all faces of a city together, and stops them together.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use city::City;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::backend::Backend;
use crate::fault::Fault;
use crate::http::doors::Doors;
use crate::http::{self, Http, HttpOptions, Imports, RateOptions, Ui};
use crate::mqtt::{self, MqttOptions};
use crate::pg;
use crate::stopped;
use crate::tls::{PgTls, TlsError, load, load_with_clients};

/// Why the faces could not start. None of them is left running then.
#[derive(Debug, thiserror::Error)]
pub enum FacesError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot listen on {address}: {source}; is another server running there?")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(
        "{address} is reachable from other machines and HTTP would be served in clear, tokens and \
         all: give --http-tls-cert and --http-tls-key, or listen on 127.0.0.1, or give \
         --http-behind-proxy where a proxy in front ends TLS"
    )]
    ClearHttp { address: SocketAddr },
    #[error(
        "{address} is reachable from other machines and MQTT would be served in clear, tokens and \
         all: give --mqtt-tls-cert and --mqtt-tls-key, or listen on 127.0.0.1"
    )]
    ClearMqtt { address: SocketAddr },
    #[error("{0}")]
    Http(Fault),
}

/// Where and how the faces are served.
#[derive(Debug, Clone)]
pub struct FacesOptions {
    pub http: SocketAddr,
    /// Certificate chain and private key, both PEM, of the HTTP face.
    pub http_tls: Option<(PathBuf, PathBuf)>,
    /// A proxy in front ends TLS for HTTP and says for whom it speaks.
    pub http_behind_proxy: bool,
    pub rates: RateOptions,
    /// `/metrics` is open to this machine.
    pub metrics_on_loopback: bool,
    pub pg: SocketAddr,
    pub pg_tls: PgTls,
    /// None where MQTT is not served.
    pub mqtt: Option<MqttOptions>,
}

impl FacesOptions {
    /// Loopback, in clear, with the usual limits.
    pub fn new(http: SocketAddr, pg: SocketAddr) -> Self {
        Self {
            http,
            http_tls: None,
            http_behind_proxy: false,
            rates: RateOptions::default(),
            metrics_on_loopback: false,
            pg,
            pg_tls: PgTls::Off,
            mqtt: None,
        }
    }
}

/// The served faces of one city.
#[derive(Debug)]
pub struct Faces {
    http: SocketAddr,
    secure: bool,
    pg: SocketAddr,
    mqtt: Option<String>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    imports: Imports,
}

impl Faces {
    /// Listens on all addresses and serves; port 0 takes a free one. TLS that is asked for and
    /// cannot be had is an error, never clear text; clear HTTP beyond loopback is served where
    /// somebody else sees to TLS.
    pub async fn start(
        city: Arc<City>,
        options: FacesOptions,
        mut doors: Doors,
        ui: Arc<dyn Ui>,
    ) -> Result<Self, FacesError> {
        let FacesOptions { http, pg, .. } = options;
        let secure = options.http_tls.is_some();
        if !secure && !http.ip().is_loopback() && !options.http_behind_proxy {
            return Err(FacesError::ClearHttp { address: http });
        }
        let http_tls = match options.http_tls {
            Some((cert, key)) => load(&PgTls::Required { cert, key }, http, &http::ALPN)?.acceptor,
            None => None,
        };
        let pg_tls = load(&options.pg_tls, pg, &[pg::ALPN])?;
        let by_mqtt = match options.mqtt {
            Some(options) => Some(ByMqtt::listen(options).await?),
            None => None,
        };
        let mqtt_url = by_mqtt.as_ref().map(ByMqtt::url);
        let pg_listener = listen(pg).await?;
        let http_listener = listen(http).await?;
        let (http, pg) = (address(&http_listener, http), address(&pg_listener, pg));
        let scheme = if secure { "https" } else { "http" };
        let state = HttpOptions {
            secure: secure || options.http_behind_proxy,
            behind_proxy: options.http_behind_proxy,
            metrics_on_loopback: options.metrics_on_loopback,
            rates: options.rates,
            mqtt: mqtt_url.clone(),
        };
        // Where a proxy in front ends TLS, what browsers see is https.
        doors.secure |= doors.public_url.as_ref().is_some_and(|url| url.starts_with("https:"));
        let pg_doors =
            pg::Doors { throttle: doors.throttle.clone(), demonstration: doors.demo.is_some() };
        let base_url = doors.public_url.clone().unwrap_or_else(|| format!("{scheme}://{http}"));
        let (throttle, root) = (doors.throttle.clone(), format!("{base_url}/sta/v1.1"));
        let state = Http::with_doors(city.clone(), base_url, state, doors, ui);
        let state = state.map_err(FacesError::Http)?;
        let imports = state.imports();
        let (stop, stopping) = watch::channel(false);
        let backend: Arc<dyn Backend> = city.clone();
        let mut tasks = vec![
            tokio::spawn(pg::serve(pg_listener, backend, pg_tls, pg_doors, stopping.clone())),
            tokio::spawn(http::serve(http_listener, state, http_tls, stopping.clone())),
            tokio::spawn(tended(city.clone(), stopping.clone())),
        ];
        if let Some(ByMqtt { listener, tls, principal_per_second, .. }) = by_mqtt {
            let face = mqtt::Mqtt { city, tls, throttle, principal_per_second, root };
            tasks.push(tokio::spawn(mqtt::serve(listener, face, stopping)));
        }
        Ok(Self { http, secure, pg, mqtt: mqtt_url, stop, tasks, imports })
    }

    /// Where the HTTP face is found: `http://…` or `https://…`.
    pub fn http_url(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.http)
    }

    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    pub fn pg_addr(&self) -> SocketAddr {
        self.pg
    }

    /// Where MQTT is found: `mqtt://…` or `mqtts://…`.
    pub fn mqtt_url(&self) -> Option<&str> {
        self.mqtt.as_deref()
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
        self.imports.ended().await;
    }
}

/// MQTT about to be served.
struct ByMqtt {
    address: SocketAddr,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    principal_per_second: NonZeroU32,
}

impl ByMqtt {
    async fn listen(options: MqttOptions) -> Result<Self, FacesError> {
        let MqttOptions { address: asked, tls, client_ca, principal_per_second } = options;
        let tls = match tls {
            Some((cert, key)) => {
                Some(load_with_clients(&cert, &key, client_ca.as_deref(), &[mqtt::ALPN])?)
            }
            None if !asked.ip().is_loopback() => {
                return Err(FacesError::ClearMqtt { address: asked });
            }
            None => None,
        };
        let listener = listen(asked).await?;
        let address = address(&listener, asked);
        Ok(Self { address, listener, tls, principal_per_second })
    }

    fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "mqtts" } else { "mqtt" }, self.address)
    }
}

/// What the city does by the clock, for as long as it is served.
async fn tended(city: Arc<City>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = city.tend() => {}
        () = stopped(&mut stop) => {}
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, FacesError> {
    TcpListener::bind(address).await.map_err(|source| FacesError::Listen { address, source })
}

fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}
