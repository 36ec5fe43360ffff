//! `GET /api/events`: what happens in the city while somebody looks at it, as server-sent events.
//!
//! ```text
//!  event: dataset   {"id": …, "at": …, "rows": …}    new rows of a dataset that one may read;
//!                                                    how many, for who reads every one of them
//!  event: request   {"id": …, "state": …}            a sharing request that concerns one
//!  : comment                                         every so often, so that nobody hangs up
//! ```
//!
//! A stream says what to look at again, never what is there. It ends after a while, and the
//! browser comes back with the rights that it has then; it ends when its reader is shut out or gets
//! other rights, when its reader is too slow, and when the server stops.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use catalog::sharing::Stepped;
use catalog::sql::Access;
use chrono::{DateTime, Utc};
use city::CityEvent;
use futures::stream;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::Http;
use super::gate::still_good;
use super::input::Who;
use super::problem::Problem;
use crate::fault::{Code, Fault};
use crate::limits::{
    EVENT_BEAT_SECONDS, EVENT_RETRY_MS, EVENT_STREAM_SECONDS_MAX, EVENT_STREAMS_MAX,
    EVENT_STREAMS_OF_USER_MAX, seconds,
};
use crate::stopped;

pub const PATH: &str = "/api/events";

/// Places for streams: so many in all, so many a user.
#[derive(Debug, Default)]
pub struct Streams {
    /// How many each user has open; nobody with none is in here.
    open: Arc<Mutex<HashMap<String, usize>>>,
}

impl Streams {
    fn enter(&self, user: &str) -> Result<Place, Fault> {
        let mut open = self.open.lock();
        if open.values().sum::<usize>() >= EVENT_STREAMS_MAX {
            let reason = format!("{EVENT_STREAMS_MAX} streams of events are open already");
            return Err(Fault::new(Code::Busy, reason));
        }
        let own = open.get(user).copied().unwrap_or_default();
        if own >= EVENT_STREAMS_OF_USER_MAX {
            let reason = format!("{user} has {own} streams of events open already");
            return Err(Fault::new(Code::Busy, reason).hint("close some windows"));
        }
        open.insert(user.to_owned(), own + 1);
        Ok(Place { open: self.open.clone(), user: user.to_owned() })
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
struct Place {
    open: Arc<Mutex<HashMap<String, usize>>>,
    user: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        match open.get_mut(&self.user) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                open.remove(&self.user);
            }
        }
    }
}

/// A stream of events.
#[utoipa::path(
    get, path = "/api/events", tag = "boards", security(("token" = [])),
    responses(
        (status = 200, description = "Events as they happen", body = String, content_type = "text/event-stream"),
        (status = 401, body = Problem), (status = 503, body = Problem),
    )
)]
pub async fn events(
    State(http): State<Arc<Http>>,
    who: Who,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let place = http.streams.enter(&who.0.user)?;
    let mut beat = tokio::time::interval(seconds(EVENT_BEAT_SECONDS));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener {
        events: http.city.events().listen(),
        stop: http.closing.subscribe(),
        until: Instant::now() + seconds(EVENT_STREAM_SECONDS_MAX),
        beat,
        greeted: false,
        who,
        headers,
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
    /// By which it was let in.
    headers: HeaderMap,
    events: broadcast::Receiver<CityEvent>,
    stop: watch::Receiver<bool>,
    until: Instant,
    beat: Interval,
    greeted: bool,
    _place: Place,
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
                // Before the events, however many there are: it is the beat that looks who listens.
                _ = self.beat.tick() => None,
                event = self.events.recv() => Some(event),
            };
            let Some(event) = event else {
                if !still_good(&self.http, &self.headers, PATH, &self.who.0).await {
                    return None;
                }
                return Some((Ok(Bytes::from_static(b": \n\n")), self));
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
                let access = city.catalog().access(&self.who.0, contract).await.ok()??;
                Some(message("dataset", &of_rows(&access, id, *at, *rows)))
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

/// How many rows there are is for who reads every one: others see some, or none but in groups.
fn of_rows(access: &Access, id: &str, at: DateTime<Utc>, rows: u64) -> Value {
    let mut told = json!({ "id": id, "at": at });
    if access.row_filter.is_none() && access.min_cell.is_none() {
        told["rows"] = json!(rows);
    }
    told
}

/// JSON has no line breaks of its own, so the data is one line.
fn message(event: &str, data: &Value) -> String {
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

    #[test]
    fn how_many_rows_there_are_is_told_to_who_reads_all_of_them() {
        let access = |row_filter: Option<&str>, min_cell| Access {
            row_filter: row_filter.map(str::to_owned),
            fields: Vec::new(),
            min_cell,
            by: "test".into(),
        };
        let told = |access: Access| of_rows(&access, "a.b", Utc::now(), 7);
        assert_eq!(told(access(None, None))["rows"], 7);
        for part in [access(Some("in_scope(area_code)"), None), access(None, Some(10))] {
            let told = told(part);
            assert!(told.get("rows").is_none(), "{told}");
            assert_eq!(told["id"], "a.b");
        }
    }

    #[test]
    fn streams_have_places_in_all_and_for_each() {
        let streams = Streams::default();
        let own: Vec<Place> =
            (0..EVENT_STREAMS_OF_USER_MAX).map(|_| streams.enter("lin").unwrap()).collect();
        assert_eq!(streams.enter("lin").unwrap_err().code, Code::Busy);
        let others: Vec<Place> = (own.len()..EVENT_STREAMS_MAX)
            .map(|number| streams.enter(&format!("user {number}")).unwrap())
            .collect();
        assert_eq!(streams.enter("zhao").unwrap_err().code, Code::Busy);
        drop(others);
        drop(own);
        assert!(streams.open.lock().is_empty());
        streams.enter("lin").unwrap();
    }
}
