//! Routes, and the question that stands in front of each: may this principal do this?
//!
//! ```text
//!  Route { method, path, gate, handler } ─► authenticate ─► rate ─► the pack's access rules ─► handler
//! ```
//!
//! A route is made by [`open`] or by [`closed`], and the latter wants an action: there is no third
//! way, so there is no route that nobody thought about. What a rule does not permit is refused
//! with a problem that names the action.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequestParts, RawPathParams, Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use pack::access::{Action, On, Thing, denial};

use super::datasets::knowledge_of;
use super::input::Who;
use super::watch::{Client, Noted};
use super::{Http, authenticate};
use crate::fault::{Code, Fault};
use crate::limits::{
    HTTP_LONG_SECONDS_MAX, HTTP_SECONDS_MAX, SIGN_IN_BODY_BYTES_MAX, SIGN_IN_SECONDS_MAX, seconds,
};

/// Who comes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Everybody, strangers included.
    Open,
    /// Who shows who it is and may do this.
    Asks(Action),
}

/// One method of one path.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub gate: Gate,
    /// The variable of the path that names the dataset the action is done to.
    dataset: &'static str,
    seconds_max: u64,
    /// Whether a request takes one of the places of strangers.
    crowded: bool,
    handler: MethodRouter<Arc<Http>>,
}

/// A route that answers everybody: in little time, to a short body, and to so many at once, so
/// that strangers who send nothing keep nobody else waiting.
pub fn open<H, T>(method: Method, path: &'static str, handler: H) -> Route
where
    H: Handler<T, Arc<Http>>,
    T: 'static,
{
    let mut route = route(method, path, Gate::Open, handler);
    route.seconds_max = SIGN_IN_SECONDS_MAX;
    route.crowded = true;
    route.handler = route.handler.layer(DefaultBodyLimit::max(SIGN_IN_BODY_BYTES_MAX));
    route
}

/// A route that answers who may do `action`. Where that is done to a dataset, `{id}` of the path
/// names it.
pub fn closed<H, T>(method: Method, path: &'static str, action: Action, handler: H) -> Route
where
    H: Handler<T, Arc<Http>>,
    T: 'static,
{
    route(method, path, Gate::Asks(action), handler)
}

fn route<H, T>(method: Method, path: &'static str, gate: Gate, handler: H) -> Route
where
    H: Handler<T, Arc<Http>>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).expect("routes have standard methods");
    let (dataset, seconds_max) = ("id", HTTP_SECONDS_MAX);
    Route { method, path, gate, dataset, seconds_max, crowded: false, handler: on(filter, handler) }
}

impl Route {
    /// For files of gigabytes: more time, and a body that the handler itself bounds.
    #[must_use]
    pub fn long(mut self) -> Self {
        self.seconds_max = HTTP_LONG_SECONDS_MAX;
        self.handler = self.handler.layer(DefaultBodyLimit::disable());
        self
    }

    /// For bodies that a standard lets be longer than others.
    #[must_use]
    pub fn body(mut self, bytes_max: usize) -> Self {
        self.handler = self.handler.layer(DefaultBodyLimit::max(bytes_max));
        self
    }

    /// For whoever watches over the process: answered however many strangers are at the door. The
    /// handler reads no body, so that nobody can be slow in sending one.
    #[must_use]
    pub fn uncrowded(mut self) -> Self {
        self.crowded = false;
        self
    }

    /// The dataset is named by another variable of the path than `{id}`.
    #[must_use]
    pub fn of_dataset(mut self, variable: &'static str) -> Self {
        self.dataset = variable;
        self
    }

    /// The handler with all that stands in front of it.
    pub(super) fn guarded(self, http: &Arc<Http>) -> (&'static str, MethodRouter<Arc<Http>>) {
        let mut handler = self.handler;
        if let Gate::Asks(action) = self.gate {
            let door = Door { http: http.clone(), action, dataset: self.dataset };
            handler = handler
                .layer(from_fn_with_state(door, admit))
                .layer(from_fn_with_state(http.clone(), authenticate));
        }
        if self.crowded {
            handler = handler.layer(from_fn_with_state(http.clone(), strangers));
        }
        (self.path, handler.layer(from_fn_with_state(self.seconds_max, deadline)))
    }
}

/// One of so many places at the open door.
async fn strangers(
    State(http): State<Arc<Http>>,
    Client(address): Client,
    request: Request,
    next: Next,
) -> Response {
    let share = http.strangers_shares.take(address);
    let (Ok(_place), Some(_share)) = (http.strangers.try_acquire(), share) else {
        return Fault::new(Code::Busy, "too many are signing in at once").into_response();
    };
    next.run(request).await
}

/// A time to the answer's head.
async fn deadline(State(seconds_max): State<u64>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(seconds(seconds_max), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Fault::new(Code::Timeout, "the request took too long").into_response(),
    }
}

/// What stands in front of one route.
#[derive(Clone)]
struct Door {
    http: Arc<Http>,
    action: Action,
    dataset: &'static str,
}

async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let who = match Who::from_request_parts(&mut parts, &()).await {
        Ok(who) => who,
        Err(fault) => return fault.into_response(),
    };
    if let Some(noted) = parts.extensions.get::<Noted>() {
        noted.user(&who.0.user);
    }
    if let Err(fault) = door.http.rates.principal(&who.0.user) {
        return fault.into_response();
    }
    let params = RawPathParams::from_request_parts(&mut parts, &()).await.ok();
    let dataset = params.iter().flatten().find(|(name, _)| *name == door.dataset);
    let dataset = dataset.map(|(_, id)| id.to_owned()).unwrap_or_default();
    match door.ask(&who, &dataset).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(fault) => fault.into_response(),
    }
}

impl Door {
    async fn ask(&self, who: &Who, dataset: &str) -> Result<(), Fault> {
        if self.action.on() != On::Dataset {
            return ask(&self.http, who, self.action, Thing::Platform);
        }
        let contract = self.http.city.contract(dataset).ok();
        let asked =
            contract.map(|contract| ask(&self.http, who, self.action, Thing::Dataset(contract)));
        match asked {
            Some(Ok(())) => Ok(()),
            // Whoever may not know of a dataset does not learn of it by being refused.
            refused => match knowledge_of(&self.http, who, dataset).await {
                Err(unknown) => Err(unknown),
                Ok(_) => refused.unwrap_or_else(|| Err(refusal(who, self.action))),
            },
        }
    }
}

/// Asks the access rules, for what a route's action does not decide alone.
pub fn ask(http: &Http, who: &Who, action: Action, thing: Thing<'_>) -> Result<(), Fault> {
    match http.city.pack().access.allow(who.0.subject(), action, thing) {
        true => Ok(()),
        false => Err(refusal(who, action)),
    }
}

fn refusal(who: &Who, action: Action) -> Fault {
    let mut fault = Fault::new(Code::Refused, denial(&who.0.user, action))
        .hint("ask for a role that may, or let somebody who may do it");
    fault.action = Some(action);
    fault
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::body::Body;
    use axum::http::{Request, StatusCode, header};
    use city::{City, OpenOptions};
    use tower::ServiceExt;

    use super::*;
    use crate::http::{HttpOptions, router};
    use crate::limits::HTTP_STRANGERS_MAX;

    #[tokio::test]
    async fn strangers_have_little_room_and_take_nobody_else_s() {
        let dir = tempfile::tempdir().unwrap();
        let options = OpenOptions { dir: dir.path().join("city"), ..Default::default() };
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
        let city = Arc::new(City::create(&options, &pack).await.unwrap());
        let url = "https://data.example".to_owned();
        let http = Http::new(city, url, HttpOptions::default()).unwrap();
        let router = router(http.clone());
        let status = async |method: Method, path: &str, body: Body| {
            let request = Request::builder().method(method).uri(path);
            let request = request.header(header::CONTENT_TYPE, "application/json");
            router.clone().oneshot(request.body(body).unwrap()).await.unwrap().status()
        };
        let all = u32::try_from(HTTP_STRANGERS_MAX).unwrap();
        let taken = http.strangers.try_acquire_many(all).unwrap();
        for (path, expected) in [
            ("/api/sign-in", StatusCode::SERVICE_UNAVAILABLE),
            ("/healthz", StatusCode::OK),
            ("/readyz", StatusCode::OK),
            ("/api/datasets", StatusCode::UNAUTHORIZED),
        ] {
            assert_eq!(status(Method::GET, path, Body::empty()).await, expected, "{path}");
        }
        drop(taken);
        let found = status(Method::GET, "/api/sign-in", Body::empty()).await;
        assert_eq!(found, StatusCode::OK);
        let long = Body::from(vec![b' '; SIGN_IN_BODY_BYTES_MAX + 1]);
        let found = status(Method::POST, "/api/session", long).await;
        assert_eq!(found, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
