//! What the process measures of itself, as Prometheus reads it: requests, questions, rows taken
//! in, memory.
//!
//! A process has one set of figures, whichever face adds to them. Labels are routes' templates,
//! datasets of the pack and words of the code: nothing that a client sends becomes one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mqtt::FIGURES as BROKER;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Http;
use super::watch::Peer;
use crate::fault::Fault;
use crate::mqtt::MISSED_ROWS;

/// Text format of OpenMetrics 1.0, which Prometheus reads.
const MEDIA: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Upper ends of the latency histogram's buckets, in seconds: a tile, a page, a query, an import.
const LATENCY_SECONDS: [f64; 12] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

pub static FIGURES: LazyLock<Figures> = LazyLock::new(Figures::new);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    /// `2xx`, `4xx` …
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    face: &'static str,
    /// `ok`, or the fault's code.
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RowLabels {
    dataset: String,
    /// `taken`, `unchanged` or `quarantined`.
    outcome: &'static str,
}

/// Counters and gauges, and the registry that knows their names.
pub struct Figures {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    open_bodies: Gauge,
    panics: Counter,
    queries: Family<QueryLabels, Counter>,
    rows: Family<RowLabels, Counter>,
    resident: Gauge<u64, AtomicU64>,
    mqtt: MqttFigures,
}

impl Figures {
    fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(LATENCY_SECONDS);
        let mut registry = Registry::with_prefix("shujin");
        let requests = Family::default();
        registry.register("http_requests", "HTTP requests", requests.clone());
        let latency = Family::new_with_constructor(histogram);
        let help = "Time to an HTTP answer's head";
        registry.register("http_request_seconds", help, latency.clone());
        let in_flight = Gauge::default();
        let help = "HTTP requests without an answer yet";
        registry.register("http_requests_in_flight", help, in_flight.clone());
        let open_bodies = Gauge::default();
        let help = "HTTP answers being sent, event streams among them";
        registry.register("http_open_answers", help, open_bodies.clone());
        let panics = Counter::default();
        registry.register("http_panics", "Handlers that panicked", panics.clone());
        let queries = Family::default();
        registry.register("queries", "Questions in SQL, by face", queries.clone());
        let rows = Family::default();
        registry.register("ingest_rows", "Rows that came in", rows.clone());
        let resident = Gauge::default();
        let help = "Memory that the process holds";
        registry.register("resident_memory_bytes", help, resident.clone());
        let mqtt = MqttFigures::registered(&mut registry);
        let build = vec![("version", env!("CARGO_PKG_VERSION")), ("profile", profile())];
        registry.register("build", "The program", Info::new(build));
        Self {
            registry,
            requests,
            latency,
            in_flight,
            open_bodies,
            panics,
            queries,
            rows,
            resident,
            mqtt,
        }
    }

    pub fn request_begins(&self) -> InFlight {
        self.in_flight.inc();
        InFlight
    }

    pub fn request_ended(&self, route: &str, method: &Method, status: u16, took: Duration) {
        let (route, method) = (route.to_owned(), standard(method));
        let labels = RequestLabels { route: route.clone(), method, status: class(status) };
        self.requests.get_or_create(&labels).inc();
        self.latency.get_or_create(&RouteLabels { route, method }).observe(took.as_secs_f64());
    }

    pub fn body_opens(&self) -> OpenBody {
        self.open_bodies.inc();
        OpenBody
    }

    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Counts a question by how its answer began.
    pub fn query<T>(&self, face: &'static str, answered: &Result<T, Fault>) {
        let outcome = answered.as_ref().map_or_else(|fault| fault.code.name(), |_| "ok");
        self.queries.get_or_create(&QueryLabels { face, outcome }).inc();
    }

    /// Counts rows of a dataset that came in, by what became of them.
    pub fn rows(&self, dataset: &str, outcome: &'static str, count: u64) {
        let labels = RowLabels { dataset: dataset.to_owned(), outcome };
        self.rows.get_or_create(&labels).inc_by(count);
    }

    /// Everything in text.
    fn text(&self) -> Result<String, Fault> {
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        self.mqtt.copy();
        let mut text = String::new();
        encode(&mut text, &self.registry).map_err(Fault::internal)?;
        Ok(text)
    }
}

/// What the broker counts, under the names that it is read by.
struct MqttFigures {
    connections: Gauge<u64, AtomicU64>,
    counted: [(Counter, fn() -> &'static AtomicU64); 8],
}

impl MqttFigures {
    fn registered(registry: &mut Registry) -> Self {
        let connections = Gauge::default();
        registry.register("mqtt_connections", "MQTT connections", connections.clone());
        let mut counted = |name: &str, help: &str, of: fn() -> &'static AtomicU64| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            (counter, of)
        };
        let counted = [
            counted("mqtt_connects", "MQTT clients let in", || &BROKER.connects),
            counted("mqtt_connects_refused", "MQTT clients refused", || &BROKER.connects_refused),
            counted("mqtt_received", "MQTT publishes that came in", || &BROKER.received),
            counted("mqtt_refused", "MQTT publishes that were refused", || &BROKER.refused),
            counted("mqtt_sent", "MQTT messages sent to subscribers", || &BROKER.sent),
            counted("mqtt_dropped", "MQTT messages that full queues lost", || &BROKER.dropped),
            counted("mqtt_malformed", "Connections that sent no MQTT", || &BROKER.malformed),
            counted("mqtt_missed_rows", "Rows that subscribers were not told of", || &MISSED_ROWS),
        ];
        Self { connections, counted }
    }

    /// The broker counts by itself; here is what it has come to.
    fn copy(&self) {
        self.connections.set(BROKER.connections.load(Ordering::Relaxed));
        for (counter, of) in &self.counted {
            counter.inner().store(of().load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// A request without an answer.
pub struct InFlight;

impl Drop for InFlight {
    fn drop(&mut self) {
        FIGURES.in_flight.dec();
    }
}

/// An answer being sent.
pub struct OpenBody;

impl Drop for OpenBody {
    fn drop(&mut self) {
        FIGURES.open_bodies.dec();
    }
}

fn standard(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) { "dev" } else { "release" }
}

/// Resident memory as Linux tells it; elsewhere it is not told.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1_024)
}

/// `GET /metrics`.
pub async fn metrics() -> Result<([(HeaderName, &'static str); 1], String), Fault> {
    Ok(([(header::CONTENT_TYPE, MEDIA)], FIGURES.text()?))
}

/// Lets a scraper on this machine read the figures without a token, where that was asked for.
pub async fn scraped(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    let here = peer.is_some_and(|peer| peer.0.to_canonical().is_loopback());
    let figures = request.uri().path() == "/metrics" && request.method() == Method::GET;
    // Behind a proxy everybody seems to come from this machine.
    if figures && here && http.options.metrics_on_loopback && !http.options.behind_proxy {
        return metrics().await.into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Code;

    #[test]
    fn the_figures_can_be_read_by_prometheus() {
        let figures = Figures::new();
        figures.request_ended("/api/sql", &Method::POST, 200, Duration::from_millis(7));
        figures.request_ended(
            "/api/sql",
            &Method::from_bytes(b"BREW").unwrap(),
            404,
            Duration::ZERO,
        );
        figures.query("http", &Ok(()));
        figures.query::<()>("pgwire", &Err(Fault::new(Code::Refused, "no")));
        figures.rows("air.pm25", "taken", 3);
        let text = figures.text().unwrap();
        for line in [
            "# TYPE shujin_http_requests counter",
            r#"shujin_http_requests_total{route="/api/sql",method="POST",status="2xx"} 1"#,
            r#"shujin_http_requests_total{route="/api/sql",method="other",status="4xx"} 1"#,
            r#"shujin_http_request_seconds_bucket{le="0.01",route="/api/sql",method="POST"} 1"#,
            r#"shujin_queries_total{face="pgwire",outcome="refused"} 1"#,
            r#"shujin_ingest_rows_total{dataset="air.pm25",outcome="taken"} 3"#,
            "shujin_build_info{",
            "shujin_http_requests_in_flight 0",
            "shujin_mqtt_connections 0",
            "# TYPE shujin_mqtt_refused counter",
            "# EOF",
        ] {
            assert!(text.contains(line), "no `{line}` in:\n{text}");
        }
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1_000_000));
    }
}
