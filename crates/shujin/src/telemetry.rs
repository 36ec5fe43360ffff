//! What the program tells of itself while it works: log lines on standard error, and spans to a
//! collector where one is named.
//!
//! Spans go by OTLP over HTTP with protobuf, in batches, from a thread of the exporter's own. A
//! collector that is slow or gone costs spans and nothing else.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::args::{Cli, Command, LogFormat};

/// Under this name a collector knows the program.
const SERVICE: &str = "shujin";
/// Where collectors take spans, below the address that is given (OTLP 1.7, “OTLP/HTTP Request”).
const SPANS_PATH: &str = "v1/traces";
/// One batch's time to get through, and the last one's when the program ends.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(5);

/// Keeps what is told going; dropped, it sends what is left.
pub struct Telemetry {
    spans: Option<SdkTracerProvider>,
}

/// Starts logs and, where a collector is named, spans. `SHUJIN_LOG` filters both as `RUST_LOG`
/// does (`warn`, `server=debug`); by default warnings are shown and, where a city is served for
/// more than a look, a line for each request.
pub fn start(cli: &Cli, runtime: &Handle) -> Result<Telemetry> {
    let requests = if matches!(cli.command, Command::Serve(_)) { "info" } else { "warn" };
    let filter = EnvFilter::try_from_env("SHUJIN_LOG").unwrap_or_else(|_| {
        let usual = "warn,datafusion_common::pruning=error,server=info";
        EnvFilter::new(format!("{usual},server::http::request={requests}"))
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match cli.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let spans = cli.otlp.as_deref().map(|url| spans(url, runtime)).transpose()?;
    let traced = spans.as_ref().map(|spans| {
        tracing_opentelemetry::layer()
            .with_tracer(spans.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
    });
    tracing_subscriber::registry().with(filter).with(lines).with(traced).init();
    Ok(Telemetry { spans })
}

fn spans(url: &str, runtime: &Handle) -> Result<SdkTracerProvider> {
    let endpoint = format!("{}/{SPANS_PATH}", url.trim_end_matches('/'));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(OnRuntime::new(runtime)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIME_MAX)
        .build()
        .with_context(|| format!("spans cannot be sent to `{url}`"))?;
    let resource = Resource::builder().with_service_name(SERVICE).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// Sends batches on the program's own runtime: the exporter's thread has none.
struct OnRuntime {
    runtime: Handle,
    client: reqwest::Client,
}

impl OnRuntime {
    fn new(runtime: &Handle) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(EXPORT_TIME_MAX).build()?;
        Ok(Self { runtime: runtime.clone(), client })
    }
}

impl fmt::Debug for OnRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRuntime")
    }
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, request) = (self.client.clone(), reqwest::Request::try_from(request)?);
        let sent = self.runtime.spawn(async move {
            let response = client.execute(request).await?;
            // Collectors say in the body how many spans they refused; the status is enough here.
            Ok::<_, reqwest::Error>(response.status())
        });
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = sent.await??;
        Ok(answer)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(spans) = self.spans.take()
            && let Err(error) = spans.shutdown_with_timeout(EXPORT_TIME_MAX)
        {
            eprintln!("the last spans did not reach the collector: {error}");
        }
    }
}
