//! `GET /api/events`: what happens in the city while somebody looks at it, as server-sent events.
//!
//! ```text
//!  event: dataset   {"id": …, "at": …, "rows": …}    new rows of a dataset that one may read
//!  event: request   {"id": …, "state": …}            a sharing request that concerns one
//!  : comment                                         every so often, so that nobody hangs up
//! ```
//!
//! A stream says what to look at again, never what is there. It ends after a while, and the
//! browser comes back with the rights that it has then; it ends when its reader is too slow, and
//! when the server stops.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use catalog::sharing::Stepped;
use city::CityEvent;
use futures::stream;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::{Instant, Interval};

use super::Http;
use super::input::Who;
use super::problem::Problem;
use crate::fault::{Code, Fault};
use crate::limits::{
    EVENT_BEAT_SECONDS, EVENT_RETRY_MS, EVENT_STREAM_SECONDS_MAX, EVENT_STREAMS_MAX, seconds,
};
use crate::stopped;

/// A stream of events.
#[utoipa::path(
    get, path = "/api/events", tag = "boards", security(("token" = [])),
    responses(
        (status = 200, description = "Events as they happen", body = String, content_type = "text/event-stream"),
        (status = 401, body = Problem), (status = 503, body = Problem),
    )
)]
pub async fn events(State(http): State<Arc<Http>>, who: Who) -> Result<Response, Fault> {
    let Ok(place) = http.streams.clone().try_acquire_owned() else {
        let reason = format!("{EVENT_STREAMS_MAX} streams of events are open already");
        return Err(Fault::new(Code::Busy, reason));
    };
    let listener = Listener {
        events: http.city.events().listen(),
        stop: http.closing.subscribe(),
        until: Instant::now() + seconds(EVENT_STREAM_SECONDS_MAX),
        beat: tokio::time::interval(seconds(EVENT_BEAT_SECONDS)),
        greeted: false,
        who,
        http,
        _place: place,
    };
    let body = Body::from_stream(stream::unfold(listener, Listener::next));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy that gathers an answer before it passes it on would pass on nothing.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One who listens.
struct Listener {
    http: Arc<Http>,
    who: Who,
    events: broadcast::Receiver<CityEvent>,
    stop: watch::Receiver<bool>,
    until: Instant,
    beat: Interval,
    greeted: bool,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if !self.greeted {
            self.greeted = true;
            // Sent at once, so that the head of the answer is.
            return Some((Ok(format!("retry: {EVENT_RETRY_MS}\n\n").into()), self));
        }
        loop {
            let event = tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return None,
                () = tokio::time::sleep_until(self.until) => return None,
                event = self.events.recv() => event,
                _ = self.beat.tick() => return Some((Ok(Bytes::from_static(b": \n\n")), self)),
            };
            // Who fell behind does not know what it missed: it comes again and asks for all.
            let Ok(event) = event else { return None };
            if let Some(text) = self.told(&event).await {
                return Some((Ok(text.into()), self));
            }
        }
    }

    /// The event as text, if it is for this listener.
    async fn told(&self, event: &CityEvent) -> Option<String> {
        match event {
            CityEvent::Dataset { id, at, rows } => {
                let city = &self.http.city;
                let contract = city.pack().datasets.get(id)?;
                city.catalog().access(&self.who.0, contract).await.ok()??;
                Some(message("dataset", &json!({ "id": id, "at": at, "rows": rows })))
            }
            CityEvent::Request(step) => self.concerns(step).then(|| {
                let state = step.state.to_string();
                message("request", &json!({ "id": step.id, "state": state }))
            }),
        }
    }

    fn concerns(&self, step: &Stepped) -> bool {
        let principal = &self.who.0;
        principal.organisation == step.organisation || principal.organisations.contains(&step.owner)
    }
}

/// JSON has no line breaks of its own, so the data is one line.
fn message(event: &str, data: &serde_json::Value) -> String {
    format!("event: {event}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_two_lines_and_an_empty_one() {
        let text = message("dataset", &json!({ "id": "a\nb" }));
        assert_eq!(text, "event: dataset\ndata: {\"id\":\"a\\nb\"}\n\n");
    }
}
