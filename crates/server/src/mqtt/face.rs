//! What the broker asks: who connects, what they may hear, and to keep what they say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use catalog::{Principal, Session, Surface};
use city::{City, StaAnswer, StaPublish};
use futures::future::join_all;
use mqtt::{Credentials, Grant, Hooks, Message, Publication, QoS, Reason, Refusal};
use parking_lot::Mutex;
use sensing::entity::{Item, Writer};
use sensing::odata::{QueryOptions, ResourceEnd, ResourcePath, Target};
use sensing::plan::{Extras, Request};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

use super::topics::{self, Said};
use crate::backend::Backend;
use crate::fault::{Code, Fault};
use crate::http::Rates;
use crate::limits::LOGIN_FAILURE_MS;
use crate::throttle::Throttle;

pub const JSON: &str = "application/json";
/// Sessions whose bulks and mapped messages are taken at the same time, in each lane.
const SESSIONS_AT_ONCE_MAX: usize = 64;
/// Rows of a bulk whose places are named where they were refused.
const REFUSED_ROWS_TOLD_MAX: usize = 10;

/// The city, as a broker's program.
pub struct Face {
    pub city: Arc<City>,
    pub backend: Arc<dyn Backend>,
    pub throttle: Arc<Throttle>,
    pub rates: Rates,
    /// Where links in entities lead.
    pub root: String,
}

/// Who is at the other end.
pub struct Client {
    pub session: Session,
    /// What was shown; none where it was a certificate.
    token: Option<String>,
}

impl Client {
    pub fn principal(&self) -> &Arc<Principal> {
        &self.session.principal
    }
}

/// What a subscription wants to hear.
pub struct Wish {
    /// The topic that it is told under; none where the filter is a pattern.
    pub topic: Option<Arc<str>>,
    pub select: QueryOptions,
    pub property: Option<sensing::odata::Path>,
    path: Option<ResourcePath>,
    /// Of a property, what was told last: the same is not told twice.
    pub last: Mutex<Option<String>>,
}

impl Wish {
    /// What is told of an entity; none where there is nothing to tell.
    pub fn text(&self, writer: &Writer<'_>, item: &Item) -> Option<String> {
        match &self.property {
            None => Some(writer.entity(item, &self.select)),
            Some(path) => writer.property(item, path),
        }
    }
}

impl Face {
    /// Publishes to topics that are not of SensorThings, by what the pack says of them.
    async fn take_mapped(&self, publication: &Publication<Client>) -> Result<(), Refusal> {
        if !self.city.maps_topic(&publication.topic) {
            let text = format!(
                "nothing is taken on {}: publish to v1.1/Observations, \
                 v1.1/Datastreams(1)/Observations or v1.1/CreateObservations",
                publication.topic
            );
            return Err(Refusal::new(Reason::TOPIC_INVALID, text));
        }
        let session = &publication.client.session;
        let mapped = self.city.take_mapped(session, &publication.topic, &publication.payload).await;
        let mapped = mapped.map_err(|error| refusal(&error.into()))?;
        // What cannot be read waits in the quarantine: sending it again would change nothing.
        match mapped.refused.first() {
            None => Ok(()),
            Some(first) => {
                let text = format!(
                    "{} of {} readings were refused; the first, record {}: {}",
                    mapped.refused_count,
                    mapped.refused_count + mapped.taken + mapped.duplicates,
                    first.record,
                    first.reason
                );
                Err(Refusal::new(Reason::PAYLOAD_INVALID, text))
            }
        }
    }

    /// Takes what is no single observation: of one session one after the other, of several at the
    /// same time, so that they share the log's fsync. The answers with their places.
    async fn take_others(&self, others: &[Vec<Other<'_>>]) -> Vec<(usize, Result<(), Refusal>)> {
        let mut answers = Vec::new();
        for others in others.chunks(SESSIONS_AT_ONCE_MAX) {
            let taken = join_all(others.iter().map(|of_session| self.take_in_turn(of_session)));
            answers.extend(taken.await.into_iter().flatten());
        }
        answers
    }

    async fn take_in_turn(&self, others: &[Other<'_>]) -> Vec<(usize, Result<(), Refusal>)> {
        let mut answers = Vec::with_capacity(others.len());
        for Other { place, is_bulk, publication } in others {
            let answer = match *is_bulk {
                true => self.take_bulk(publication).await,
                false => self.take_mapped(publication).await,
            };
            answers.push((*place, answer));
        }
        answers
    }

    async fn take_bulk(&self, publication: &Publication<Client>) -> Result<(), Refusal> {
        let session = &publication.client.session;
        let made = self.city.sta_create_observations(session, &publication.payload).await;
        let made = made.map_err(|error| refusal(&error.into()))?;
        let refused: Vec<String> = made
            .iter()
            .enumerate()
            .filter(|(_, id)| id.is_none())
            .map(|(place, _)| place.to_string())
            .collect();
        if refused.is_empty() {
            return Ok(());
        }
        let told = refused.iter().take(REFUSED_ROWS_TOLD_MAX).cloned().collect::<Vec<_>>();
        let text = format!(
            "{} of {} rows were refused, counted from 0: {}{}; the others are kept",
            refused.len(),
            made.len(),
            told.join(", "),
            if refused.len() > told.len() { ", …" } else { "" }
        );
        Err(Refusal::new(Reason::PAYLOAD_INVALID, text))
    }

    async fn by_token(&self, shown: &Credentials<'_>, user: &str) -> Result<Client, Refusal> {
        let now = Instant::now();
        if let Some(wait) = self.throttle.wait(shown.address, user, now) {
            let text = format!("failed too often: wait {} s", wait.as_secs().max(1));
            return Err(Refusal::for_now(Reason::BAD_LOGIN, text));
        }
        let token = shown.password.and_then(|password| std::str::from_utf8(password).ok());
        let token = token.unwrap_or_default();
        let found = match token.is_empty() {
            true => None,
            false => {
                self.backend.authenticate_token(token).await.map_err(|fault| refusal(&fault))?
            }
        };
        match found.filter(|principal| principal.user == user) {
            Some(principal) => {
                self.throttle.succeeded(shown.address, user);
                Ok(Client { session: session(principal), token: Some(token.to_owned()) })
            }
            None => {
                let locked = self.throttle.failed(shown.address, user, now);
                tracing::warn!(user, address = %shown.address, locked, "MQTT login refused");
                let address = shown.address.to_string();
                let noted = self.city.registry();
                let noted = noted.note_refused_sign_in(user, &address, "wrong token, MQTT").await;
                if let Err(error) = noted {
                    tracing::error!(%error, "a refused login is not in the audit");
                }
                tokio::time::sleep(Duration::from_millis(LOGIN_FAILURE_MS)).await;
                let text = "user name and token do not go together: `shujin token` makes one";
                Err(Refusal::new(Reason::BAD_LOGIN, text))
            }
        }
    }

    async fn by_certificate(&self, shown: &Credentials<'_>) -> Result<Client, Refusal> {
        for name in shown.certified {
            if shown.user.is_some_and(|user| user != name) {
                continue;
            }
            let found = self.backend.principal(name).await.map_err(|fault| refusal(&fault))?;
            if let Some(principal) = found {
                return Ok(Client { session: session(principal), token: None });
            }
        }
        let text = "show a user name with a token as its password, or a certificate of a user";
        Err(Refusal::new(Reason::BAD_LOGIN, text))
    }

    /// What is there now of what a path names, as the client sees it: for a collection of
    /// observations the newest one.
    async fn newest(&self, client: &Client, wish: &Wish) -> Result<Option<Item>, Refusal> {
        let Some(path) = &wish.path else { return Ok(None) };
        let newest = match path.target() {
            // A whole set has no newest worth reading all of it for; whether a parent is there is
            // still found out.
            Target::Collection(EntityKind::Observation) if is_of_stream(path) => {
                "$orderby=phenomenonTime%20desc&$top=1"
            }
            Target::Collection(_) if path.segments.len() == 1 => return Ok(None),
            Target::Collection(_) => "$top=0",
            Target::Entity(_) | Target::Property => "",
        };
        let whole = ResourcePath { segments: path.segments.clone(), end: ResourceEnd::Whole };
        let target = whole.target();
        let options = QueryOptions::parse(&SENSORTHINGS_1_1, target, newest)
            .map_err(|error| refusal(&Fault::internal(error)))?;
        let request = Request { path: &whole, options: &options, extras: Extras::default() };
        let answer = self.city.sta_get(&client.session, &request, &self.root).await;
        match answer.map_err(|error| refusal(&error.into()))? {
            StaAnswer::Entity(item) => Ok(Some(*item)),
            StaAnswer::Page(page) => Ok(page.items.into_iter().next()),
            // Nobody subscribes to groups.
            StaAnswer::Groups(_) => Ok(None),
        }
    }
}

#[async_trait]
impl Hooks for Face {
    type Client = Client;
    type Tag = Wish;

    async fn authenticate(&self, shown: Credentials<'_>) -> Result<Client, Refusal> {
        self.rates.address(shown.address).map_err(|fault| refusal(&fault))?;
        match (shown.user, shown.password) {
            (Some(user), Some(_)) => self.by_token(&shown, user).await,
            _ => self.by_certificate(&shown).await,
        }
    }

    fn user<'c>(&self, client: &'c Client) -> &'c str {
        &client.principal().user
    }

    fn same(&self, before: &Client, now: &Client) -> bool {
        before.principal() == now.principal()
    }

    async fn still_good(&self, client: &Client) -> bool {
        let found = match &client.token {
            Some(token) => self.backend.authenticate_token(token).await,
            None => self.backend.principal(&client.principal().user).await,
        };
        match found {
            Ok(found) => found.is_some_and(|principal| principal == *client.principal()),
            // What cannot be asked now is asked again.
            Err(_) => true,
        }
    }

    fn pace(&self, client: &Client) -> Option<Duration> {
        let fault = self.rates.principal(&client.principal().user).err()?;
        Some(Duration::from_secs(fault.retry_after_s.unwrap_or(1)))
    }

    async fn subscribe(&self, client: &Client, filter: &str) -> Result<Grant<Wish>, Refusal> {
        let asked = self.city.sta_may_ask(&client.session);
        asked.map_err(|error| refusal(&error.into()))?;
        let heard =
            topics::heard(filter).map_err(|reason| Refusal::new(Reason::FILTER_INVALID, reason))?;
        let wish = Wish {
            topic: heard.topic.map(Into::into),
            select: heard.select,
            property: heard.property,
            path: heard.path,
            last: Mutex::new(None),
        };
        // Nobody listens to what is not there, or not for them.
        self.newest(client, &wish).await?;
        Ok(Grant { filter: heard.filter, tag: wish })
    }

    async fn retained(&self, client: &Client, wish: &Wish) -> Option<Message> {
        let found = self.newest(client, wish).await;
        let item = found.ok().flatten()?;
        let text = wish.text(&Writer::new(&self.root), &item)?;
        if wish.property.is_some() {
            *wish.last.lock() = Some(text.clone());
        }
        Some(message(wish.topic.clone()?, text))
    }

    async fn publish(&self, batch: Vec<Publication<Client>>) -> Vec<Result<(), Refusal>> {
        let mut answers: Vec<Option<Result<(), Refusal>>> = Vec::new();
        answers.resize_with(batch.len(), || None);
        let (mut publishes, mut places) = (Vec::new(), Vec::new());
        // What is no single observation, by the session that it came from.
        let mut others: BTreeMap<u64, Vec<Other<'_>>> = BTreeMap::new();
        for (place, publication) in batch.iter().enumerate() {
            let is_bulk = match topics::said(&publication.topic) {
                Said::Observation(path) => {
                    places.push(place);
                    publishes.push(StaPublish {
                        session: publication.client.session.clone(),
                        path,
                        body: publication.payload.to_vec(),
                        origin: publication.origin,
                    });
                    continue;
                }
                Said::Bulk => true,
                Said::Other => false,
            };
            let of_session = others.entry(publication.origin).or_default();
            of_session.push(Other { place, is_bulk, publication });
        }
        let others: Vec<Vec<Other<'_>>> = others.into_values().collect();
        let kept = async {
            match publishes.is_empty() {
                true => Vec::new(),
                false => self.city.sta_observe_many(publishes).await,
            }
        };
        let (kept, taken) = futures::join!(kept, self.take_others(&others));
        for (place, kept) in places.into_iter().zip(kept) {
            answers[place] = Some(kept.map(|_| ()).map_err(|error| refusal(&error.into())));
        }
        for (place, answer) in taken {
            answers[place] = Some(answer);
        }
        let unanswered = || {
            let text = "the server could not take it: send it again";
            Err(Refusal::for_now(Reason::IMPLEMENTATION, text))
        };
        answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
    }
}

/// A publish that is no single observation, and its place among all.
struct Other<'p> {
    place: usize,
    is_bulk: bool,
    publication: &'p Publication<Client>,
}

/// Whether a path ends at what one stream has observed.
fn is_of_stream(path: &ResourcePath) -> bool {
    matches!(
        path.segments.as_slice(),
        [.., above, _] if matches!(
            above.value.entity.kind,
            EntityKind::Datastream | EntityKind::MultiDatastream
        )
    )
}

fn session(principal: Arc<Principal>) -> Session {
    Session { principal, as_of: None, scenario: None, surface: Surface::Mqtt }
}

/// A message with an entity, or a part of one.
pub fn message(topic: Arc<str>, text: impl Into<Bytes>) -> Message {
    Message {
        topic,
        payload: text.into(),
        content_type: Some(JSON),
        until: None,
        qos: QoS::AtLeastOnce,
        user_properties: Vec::new(),
    }
}

/// A fault in the words of MQTT 5.
fn refusal(fault: &Fault) -> Refusal {
    let lasting = |reason| Refusal::new(reason, fault.message.clone());
    let for_now = |reason| Refusal::for_now(reason, fault.message.clone());
    match fault.code {
        Code::Invalid | Code::Syntax | Code::ColumnNotFound => lasting(Reason::PAYLOAD_INVALID),
        Code::TooLarge => lasting(Reason::TOO_LARGE),
        Code::NotFound
        | Code::Refused
        | Code::Unauthenticated
        | Code::SecondFactor
        | Code::Csrf => lasting(Reason::NOT_AUTHORIZED),
        Code::Conflict | Code::Unsupported => lasting(Reason::IMPLEMENTATION),
        Code::Busy | Code::Memory | Code::Throttled | Code::TooManyRequests => {
            for_now(Reason::QUOTA)
        }
        Code::Timeout | Code::Cancelled | Code::Internal => Refusal::for_now(
            Reason::UNSPECIFIED,
            format!("{} (correlation id {})", fault.message, fault.correlation),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_go_well_another_time_is_not_for_ever() {
        for (code, reason, lasting) in [
            (Code::Invalid, Reason::PAYLOAD_INVALID, true),
            (Code::Refused, Reason::NOT_AUTHORIZED, true),
            (Code::Busy, Reason::QUOTA, false),
            (Code::Timeout, Reason::UNSPECIFIED, false),
        ] {
            let refusal = refusal(&Fault::new(code, "because"));
            assert_eq!((refusal.reason, refusal.lasting), (reason, lasting), "{code:?}");
            assert!(refusal.text.starts_with("because"));
        }
    }
}
