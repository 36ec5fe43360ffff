//! REST over a city: `/api`, with `/healthz`, `/readyz` and the description of itself.
//!
//! ```text
//!  request ─► guard (one of so many, deadline, panic) ─► gate (token or cookie) ─► handler ─► City
//! ```
//!
//! Every route under `/api` wants a bearer token or a session, those that do not exist included;
//! only signing in and the description at `/api/openapi.json` are open.

mod areas;
mod boards;
mod corrections;
mod credentials;
mod datasets;
pub mod doors;
mod events;
mod feed;
mod find;
mod gate;
mod input;
mod keys;
mod listen;
mod map;
mod objects;
mod ogc;
pub mod oidc;
pub mod openapi;
mod people;
mod problem;
mod queries;
mod registers;
mod scenarios;
mod session;
mod sharing;
mod sql;
mod steward;
mod tiles;
mod ui;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use catalog::search::SearchIndex;
use city::City;
use futures::FutureExt;
use tokio::sync::{Semaphore, watch};

pub use self::listen::serve;
pub use self::ui::{NoUi, Ui, UiFile};

use self::doors::Doors;
use self::gate::{Denials, authenticate};
use self::input::Who;
use crate::backend::Backend;
use crate::fault::{Code, Fault};
use crate::limits::{
    EVENT_STREAMS_MAX, HTTP_BODY_BYTES_MAX, HTTP_LONG_SECONDS_MAX, HTTP_REQUESTS_MAX,
    HTTP_SECONDS_MAX, seconds,
};

/// What all handlers share.
pub struct Http {
    city: Arc<City>,
    backend: Arc<dyn Backend>,
    search: SearchIndex,
    maps: map::Maps,
    /// Where this city is found, without a slash at its end: names in DCAT and OpenLineage.
    base_url: String,
    places: Semaphore,
    uploads: Semaphore,
    /// Streams of events that may still be opened.
    streams: Arc<Semaphore>,
    /// True once the server stops: what would go on for ever ends then.
    closing: watch::Sender<bool>,
    counters: Counters,
    ui: Arc<dyn Ui>,
    doors: Doors,
    denials: Denials,
    pending: oidc::Pending,
}

/// Figures for `/metrics`.
#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    failures: AtomicU64,
    panics: AtomicU64,
}

impl Http {
    /// A city that is entered by tokens and passwords, without a web UI.
    pub fn new(city: Arc<City>, base_url: String) -> Result<Arc<Self>, Fault> {
        Self::with_doors(city, base_url, Doors::default(), Arc::new(NoUi))
    }

    pub fn with_doors(
        city: Arc<City>,
        base_url: String,
        doors: Doors,
        ui: Arc<dyn Ui>,
    ) -> Result<Arc<Self>, Fault> {
        let pack = city.pack().clone();
        let owner = |id: &str| {
            let found = pack.organisations.iter().find(|organisation| organisation.id == id);
            found.map(|organisation| organisation.name.clone())
        };
        let search = SearchIndex::build(pack.datasets.values(), owner).map_err(Fault::internal)?;
        let backend: Arc<dyn Backend> = city.clone();
        let places = Semaphore::new(HTTP_REQUESTS_MAX);
        let uploads = Semaphore::new(feed::UPLOADS_MAX);
        Ok(Arc::new(Self {
            city,
            backend,
            search,
            maps: map::Maps::default(),
            base_url,
            places,
            uploads,
            streams: Arc::new(Semaphore::new(EVENT_STREAMS_MAX)),
            closing: watch::Sender::new(false),
            counters: Counters::default(),
            ui,
            doors,
            denials: Denials::default(),
            pending: oidc::Pending::default(),
        }))
    }
}

/// All routes, with everything that stands in front of them.
pub fn router(http: Arc<Http>) -> Router {
    let api = Router::new()
        .route("/sql", post(sql::sql))
        .route("/lineage", post(datasets::trace))
        .route("/datasets", get(datasets::list))
        .route("/datasets/{id}", get(datasets::page))
        .route("/datasets/{id}/quality", get(datasets::quality).post(datasets::check_quality))
        .route("/datasets/{id}/import", post(feed::import).layer(DefaultBodyLimit::disable()))
        .route("/backup", post(feed::backup))
        .route("/dcat", get(datasets::dcat))
        .route("/sharing-requests", get(sharing::list).post(sharing::create))
        .route("/sharing-requests/{id}/grant", post(sharing::grant))
        .route("/sharing-requests/{id}/refuse", post(sharing::refuse))
        .route("/sharing-requests/{id}/revoke", post(sharing::revoke))
        .route("/sharing-requests/{id}/withdraw", post(sharing::withdraw))
        .route("/corrections", get(corrections::list).post(corrections::file))
        .route("/corrections/{id}/{step}", post(corrections::step))
        .route("/scenarios", get(scenarios::list).post(scenarios::create))
        .route("/scenarios/{name}", delete(scenarios::delete))
        .route("/scenarios/{name}/changes", post(scenarios::change))
        .route("/quarantine", get(steward::quarantine))
        .route("/quarantine/{id}/repair", post(steward::repair))
        .route("/quarantine/{id}/dismiss", post(steward::dismiss))
        .route("/map", get(map::map))
        .route("/areas", get(areas::list))
        .route("/search", get(find::find))
        .route("/audit", get(steward::audit))
        .route("/audit/verify", get(steward::verify_audit))
        .route("/boards", get(boards::list))
        .route("/boards/{id}", get(boards::page))
        .route("/objects/{dataset}/{key}", get(objects::object))
        .route("/registers", get(registers::list))
        .route("/registers/{dataset}/rows", get(registers::rows).post(registers::create))
        .route("/registers/{dataset}/rows/{key}", put(registers::change).delete(registers::remove))
        .route("/registers/{dataset}/rows/{key}/history", get(registers::history))
        .route("/queries", get(queries::list).post(queries::create))
        .route("/queries/{id}", put(queries::change).delete(queries::remove))
        .route("/events", get(events::events))
        .route("/metrics", get(metrics))
        .route("/session", get(session::me).delete(session::sign_out))
        .route("/session/password", post(session::password))
        .route(
            "/session/second-factor",
            post(session::enrol).put(session::confirm).delete(session::remove),
        )
        .route("/users", get(people::list).post(people::create))
        .route("/users/{name}", patch(people::change))
        .route("/roles", get(people::roles))
        .route("/organisations", get(people::organisations))
        .route("/tokens", get(credentials::tokens).post(credentials::make_token))
        .route("/tokens/{id}", delete(credentials::revoke_token))
        .route("/sessions", get(credentials::sessions))
        .route("/sessions/{id}", delete(credentials::end_session))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(http.clone(), authenticate));
    let drawn = Router::new()
        .route("/tiles/{layer}", get(tiles::tilejson))
        .route("/tiles/{layer}/{z}/{x}/{y}", get(tiles::tile))
        .merge(ogc::routes())
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(http.clone(), authenticate));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/api/openapi.json", get(openapi::serve))
        .route("/api/sign-in", get(session::page))
        .route("/api/session", post(session::sign_in))
        .route("/api/oidc/{id}/start", get(oidc::start))
        .route("/api/oidc/{id}/callback", get(oidc::callback))
        .nest("/api", api)
        .merge(drawn)
        .fallback(ui::serve)
        .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX))
        .layer(from_fn_with_state(http.clone(), guard))
        .with_state(http)
}

/// Stands in front of everything: so many requests at once, a deadline to the answer's head, and
/// a panic that ends its request alone.
async fn guard(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    http.counters.requests.fetch_add(1, Ordering::Relaxed);
    let Ok(_place) = http.places.try_acquire() else {
        return Fault::new(Code::Busy, "too many requests at once").into_response();
    };
    let path = request.uri().path().to_owned();
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind();
    // Files of gigabytes take their time; a client that goes away still ends them.
    let long = path.ends_with("/import") || path == "/api/backup";
    let time_max = seconds(if long { HTTP_LONG_SECONDS_MAX } else { HTTP_SECONDS_MAX });
    let response = match tokio::time::timeout(time_max, answered).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            http.counters.panics.fetch_add(1, Ordering::Relaxed);
            Fault::internal(format!("{path}: {}", crate::panic_text(&*panic))).into_response()
        }
        Err(_) => Fault::new(Code::Timeout, "the request took too long").into_response(),
    };
    if response.status().is_server_error() {
        http.counters.failures.fetch_add(1, Ordering::Relaxed);
    }
    response
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

/// Whether queries can be answered: the records are there to say who may ask.
async fn ready(State(http): State<Arc<Http>>) -> Response {
    match http.backend.principal(city::OPERATOR).await {
        Ok(_) => "ready\n".into_response(),
        Err(fault) => (StatusCode::SERVICE_UNAVAILABLE, fault).into_response(),
    }
}

async fn metrics(State(http): State<Arc<Http>>, who: Who) -> Result<String, Fault> {
    who.need("administer")?;
    let counters = &http.counters;
    let figures = [
        ("http_requests_total", "HTTP requests", &counters.requests),
        ("http_failures_total", "HTTP answers with a status of 500 or above", &counters.failures),
        ("http_panics_total", "Handlers that panicked", &counters.panics),
    ];
    let lines = figures.map(|(name, help, counter)| {
        let value = counter.load(Ordering::Relaxed);
        format!(
            "# HELP shujin_{name} {help}.\n# TYPE shujin_{name} counter\nshujin_{name} {value}\n"
        )
    });
    Ok(lines.concat())
}
