//! REST over a city: `/api`, with `/healthz`, `/readyz`, `/metrics` and the description of itself.
//!
//! ```text
//!  request ─► watch (id, log, figures, headers, rate) ─► guard (one of so many, panic)
//!          ─► deadline ─► who is it ─► rate ─► access rules ─► handler ─► City
//! ```
//!
//! The table of all routes is in [`routes`]. Every one of them is open by name or asks the pack's
//! access rules; below `/api`, `/tiles`, `/ogc` and `/sta` a stranger does not even learn what is
//! not there.

mod access;
mod areas;
mod boards;
mod corrections;
mod credentials;
mod datasets;
pub mod doors;
mod events;
mod feed;
mod figures;
mod find;
mod gate;
mod headers;
mod input;
mod listen;
mod map;
mod objects;
mod ogc;
pub mod oidc;
pub mod openapi;
mod people;
mod problem;
mod queries;
mod rate;
mod registers;
pub mod routes;
mod scenarios;
mod sensing;
mod session;
mod shares;
mod sharing;
mod sources;
mod sql;
mod sta;
mod steward;
mod tiles;
mod ui;
mod watch;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use catalog::search::SearchIndex;
use city::City;
use futures::FutureExt;
use tokio::sync::{Semaphore, watch as signal};

pub use self::access::Gate;
pub(crate) use self::feed::Imports;
pub(crate) use self::figures::FIGURES;
pub use self::listen::{ALPN, serve};
pub use self::rate::RateOptions;
pub(crate) use self::rate::Rates;
pub(crate) use self::shares::Shares;
pub use self::ui::{NoUi, Ui, UiFile};

use self::doors::Doors;
use self::gate::{Denials, authenticate};
use crate::backend::Backend;
use crate::fault::{Code, Fault};
use crate::limits::{
    HTTP_BODY_BYTES_MAX, HTTP_REQUESTS_MAX, HTTP_STRANGERS_MAX, HTTP_STRANGERS_OF_ADDRESS_MAX,
};

/// How the HTTP face is served.
#[derive(Debug, Clone, Default)]
pub struct HttpOptions {
    /// Answers go out over TLS: ours, or that of a proxy in front.
    pub secure: bool,
    /// A proxy stands in front: what it says of the client is believed.
    pub behind_proxy: bool,
    /// `/metrics` is open to this machine.
    pub metrics_on_loopback: bool,
    pub rates: RateOptions,
    /// Where MQTT is served beside it: what clients of SensorThings are told to connect to.
    pub mqtt: Option<String>,
}

/// What all handlers share.
pub struct Http {
    city: Arc<City>,
    backend: Arc<dyn Backend>,
    search: SearchIndex,
    maps: map::Maps,
    /// Where this city is found, without a slash at its end: names in DCAT and OpenLineage.
    base_url: String,
    places: Semaphore,
    /// Those of the places that strangers may take.
    strangers: Semaphore,
    /// And one address's of those.
    strangers_shares: shares::Shares,
    /// A place goes with its file into the task that imports it.
    uploads: Arc<Semaphore>,
    streams: events::Streams,
    /// True once the server stops: what would go on for ever ends then.
    closing: signal::Sender<bool>,
    rates: Rates,
    options: HttpOptions,
    doors: Doors,
    denials: Denials,
    pending: oidc::Pending,
    ui: Arc<dyn Ui>,
}

impl Http {
    /// A city that is entered by tokens and passwords, without a web UI.
    pub fn new(
        city: Arc<City>,
        base_url: String,
        options: HttpOptions,
    ) -> Result<Arc<Self>, Fault> {
        Self::with_doors(city, base_url, options, Doors::default(), Arc::new(NoUi))
    }

    pub fn with_doors(
        city: Arc<City>,
        base_url: String,
        options: HttpOptions,
        mut doors: Doors,
        ui: Arc<dyn Ui>,
    ) -> Result<Arc<Self>, Fault> {
        doors.secure |= options.secure;
        let pack = city.pack().clone();
        let owner = |id: &str| {
            let found = pack.organisations.iter().find(|organisation| organisation.id == id);
            found.map(|organisation| organisation.name.clone())
        };
        let search = SearchIndex::build(pack.datasets.values(), owner).map_err(Fault::internal)?;
        let backend: Arc<dyn Backend> = city.clone();
        let places = Semaphore::new(HTTP_REQUESTS_MAX);
        let uploads = Arc::new(Semaphore::new(feed::UPLOADS_MAX));
        let rates = Rates::new(options.rates);
        Ok(Arc::new(Self {
            city,
            backend,
            search,
            maps: map::Maps::default(),
            base_url,
            places,
            strangers: Semaphore::new(HTTP_STRANGERS_MAX),
            strangers_shares: shares::Shares::of(HTTP_STRANGERS_OF_ADDRESS_MAX),
            uploads,
            streams: events::Streams::default(),
            closing: signal::Sender::new(false),
            rates,
            options,
            doors,
            denials: Denials::default(),
            pending: oidc::Pending::default(),
            ui,
        }))
    }

    /// What is still under way when no connection is left.
    pub(crate) fn imports(&self) -> Imports {
        Imports::of(&self.uploads)
    }
}

/// All routes, with everything that stands in front of them.
pub fn router(http: Arc<Http>) -> Router {
    routes::mounted(&http)
        .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX))
        .layer(from_fn_with_state(http.clone(), figures::scraped))
        .layer(from_fn_with_state(http.clone(), guard))
        .layer(from_fn_with_state(http.clone(), watch::watch))
        .with_state(http)
}

/// Stands in front of everything: so many requests at once, and a panic that ends its request
/// alone.
async fn guard(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let Ok(_place) = http.places.try_acquire() else {
        return Fault::new(Code::Busy, "too many requests at once").into_response();
    };
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            FIGURES.panicked();
            Fault::internal(crate::panic_text(&*panic)).into_response()
        }
    }
}

async fn nothing_here() -> Fault {
    Fault::new(Code::NotFound, "there is nothing under this path")
}

async fn not_so(method: Method) -> Response {
    let fault = Fault::new(Code::Unsupported, format!("this path does not take {method}"));
    let mut response = fault.into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

async fn healthy() -> &'static str {
    "ok\n"
}

/// Whether queries can be answered: the records are there to say who may ask.
async fn ready(State(http): State<Arc<Http>>) -> Response {
    match http.backend.principal(city::OPERATOR).await {
        Ok(_) => "ready\n".into_response(),
        Err(fault) => (StatusCode::SERVICE_UNAVAILABLE, fault).into_response(),
    }
}
