//! The requests of a batch, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::to_bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use city::{StaDeed, StaUpdate};
use pack::access::{Action, Thing};

use super::super::change::{alone, changed, deed, patch_of, removed};
use super::super::{ROOT, document, read, write};
use super::links::Links;
use super::{ANSWER_BYTES_MAX, Answered, Inner, Part, Reply, SECONDS_MAX};
use crate::fault::{Code, Fault};
use crate::http::Http;
use crate::http::access::ask;
use crate::http::input::Who;

const BULK: &str = "CreateObservations";

/// A batch under way.
pub(super) struct Running {
    http: Arc<Http>,
    who: Who,
    /// Of the batch itself: it may give a reason.
    uri: Uri,
    links: Links,
    started: Instant,
    answer_bytes: usize,
}

impl Running {
    pub fn new(http: Arc<Http>, who: Who, uri: Uri) -> Self {
        let (links, started) = (Links::default(), Instant::now());
        Self { http, who, uri, links, started, answer_bytes: 0 }
    }

    /// All parts, or those up to the first that fails.
    pub async fn all(mut self, parts: Vec<Part>, goes_on: bool) -> Vec<Answered> {
        let mut answered = Vec::with_capacity(parts.len());
        for part in parts {
            let answer = match part {
                Part::One(request) => Answered::One(self.one(*request, None).await),
                Part::Set(requests) => self.set(requests).await,
            };
            let well = answer.is_well();
            answered.push(answer);
            if !well && !goes_on {
                break;
            }
        }
        answered
    }

    /// A change set: what its requests did is taken back where one of them fails.
    async fn set(&mut self, requests: Vec<Result<Inner, Fault>>) -> Answered {
        let deed = match deed(&self.who.session(), &self.uri) {
            Ok(deed) => deed,
            Err(fault) => return Answered::One(self.reply(None, fault.into_response()).await),
        };
        let id_of = |request: &Result<Inner, Fault>| request.as_ref().ok()?.id.clone();
        let ids: Vec<Option<String>> = requests.iter().map(id_of).collect();
        let mut replies = Vec::with_capacity(requests.len());
        for (place, request) in requests.into_iter().enumerate() {
            let mut reply = self.one(request, Some(&deed)).await;
            if reply.status.is_success() {
                replies.push(reply);
                continue;
            }
            if let Err(stays) = self.http.city.sta_undo(&deed).await {
                tracing::error!(%stays, "a change set that failed could not be taken back");
                let reason = format!(
                    "{}; what came before it in the change set could not be taken back and stays: \
                     somebody has changed it since",
                    String::from_utf8_lossy(&reply.body)
                );
                let fault = Fault::new(Code::Conflict, reason);
                reply = self.reply(reply.id, fault.into_response()).await;
            }
            self.links.forget(ids.iter().flatten().map(String::as_str));
            let others = ids.iter().enumerate().filter(|(other, _)| *other != place);
            return Answered::Failed(reply, others.map(|(_, id)| id.clone()).collect());
        }
        Answered::Set(replies)
    }

    /// One request, alone or as a part of a deed.
    async fn one(&mut self, request: Result<Inner, Fault>, deed: Option<&StaDeed>) -> Reply {
        let (id, method, answer) = match request {
            Ok(inner) => {
                let (id, method) = (inner.id.clone(), inner.method.clone());
                (id, Some(method), self.answer(inner, deed).await)
            }
            Err(fault) => (None, None, Err(fault)),
        };
        let response = answer.unwrap_or_else(IntoResponse::into_response);
        if let Some(method) = &method
            && response.status() == StatusCode::FORBIDDEN
        {
            let action = format!("{method} {ROOT}/{{*path}}");
            self.http.denials.note(&self.http, &self.who.0, &action).await;
        }
        let reply = self.reply(id, response).await;
        if let (Some(id), Some(location)) = (&reply.id, &reply.location) {
            self.links.note(id, location);
        }
        reply
    }

    async fn answer(&self, inner: Inner, deed: Option<&StaDeed>) -> Result<Response, Fault> {
        if self.started.elapsed() > Duration::from_secs(SECONDS_MAX) {
            let reason = format!("a batch has {SECONDS_MAX} s for all of its requests");
            return Err(Fault::new(Code::Timeout, reason));
        }
        if self.answer_bytes > ANSWER_BYTES_MAX {
            let reason = format!("the answers before this one are {ANSWER_BYTES_MAX} bytes");
            return Err(Fault::new(Code::TooLarge, reason).hint("ask for less in one batch"));
        }
        let uri = self.links.resolved(&inner.url)?;
        if inner.method == Method::GET {
            if deed.is_some() {
                return Err(Fault::new(
                    Code::Invalid,
                    "a change set only changes: ask outside of it",
                ));
            }
            ask(&self.http, &self.who, Action::Query, Thing::Platform)?;
            return self.read(uri).await;
        }
        ask(&self.http, &self.who, Action::SensingChange, Thing::Platform)?;
        match deed {
            Some(deed) => self.change(deed, &uri, inner, true).await,
            None => {
                let own = super::deed(&self.who.session(), &uri)?;
                let answer = self.change(&own, &uri, inner, false).await;
                alone(&self.http, &own, answer).await
            }
        }
    }

    async fn read(&self, uri: Uri) -> Result<Response, Fault> {
        let (http, who) = (State(Arc::clone(&self.http)), self.who.clone());
        match uri.path().trim_end_matches('/') == ROOT {
            true => Ok(document(http, who).await),
            false => read::get(http, who, uri).await,
        }
    }

    async fn change(
        &self,
        deed: &StaDeed,
        uri: &Uri,
        inner: Inner,
        in_set: bool,
    ) -> Result<Response, Fault> {
        let (http, session) = (&self.http, self.who.session());
        let body = self.links.linked(inner.body);
        match inner.method {
            Method::POST if uri.path() == format!("{ROOT}/{BULK}") => match in_set {
                true => {
                    let reason = "CreateObservations is no part of a change set: each of its rows \
                                  is taken or refused alone";
                    Err(Fault::new(Code::Unsupported, reason))
                }
                false => {
                    let (http, who) = (State(Arc::clone(http)), self.who.clone());
                    write::create_observations(http, who, Ok(body)).await
                }
            },
            Method::POST => write::made(http, deed, uri, &body).await,
            Method::PATCH => {
                let how = patch_of(inner.media.as_deref());
                changed(http, &session, deed, uri, how, &body).await
            }
            Method::PUT => changed(http, &session, deed, uri, StaUpdate::Put, &body).await,
            Method::DELETE => removed(http, deed, uri).await,
            method => {
                let reason = format!("a batch has no {method}");
                Err(Fault::new(Code::Unsupported, reason))
            }
        }
    }

    /// An answer as it goes into the batch's.
    async fn reply(&mut self, id: Option<String>, response: Response) -> Reply {
        let (head, body) = response.into_parts();
        let value =
            |name: header::HeaderName| head.headers.get(name)?.to_str().ok().map(str::to_owned);
        let (media, location) = (value(header::CONTENT_TYPE), value(header::LOCATION));
        // The handlers' answers are whole in memory: reading them does not fail.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        self.answer_bytes += body.len();
        Reply { id, status: head.status, media, location, body }
    }
}
