//! The faces of a city: HTTP, MQTT and the PostgreSQL wire over one governed [`Backend`].
//!
//! ```text
//!  http (axum)  ──┐
//!  mqtt         ──┼──► Backend ──► city::City
//!  pg (pgwire)  ──┘
//! ```
//!
//! Faces translate. They know protocols, formats, limits and who is asking; they know no business
//! rule, no store and no dataset.

pub mod backend;
mod city;
mod faces;
pub mod fault;
pub mod http;
pub mod limits;
pub mod mqtt;
mod paced;
pub mod pg;
pub mod throttle;
pub mod tls;
mod translate;
mod values;

pub use self::mqtt::MqttOptions;
pub use backend::Backend;
pub use faces::{Faces, FacesError, FacesOptions};
pub use fault::{Code, Fault};
pub use http::RateOptions;
pub use tls::PgTls;

/// What a panic said, for the log.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without a message"))
}

/// Resolves when the server is to stop, or when nobody is left to say so.
pub(crate) async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
