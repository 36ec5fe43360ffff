//! What the broker asks of the program that it is in: who somebody is, what they may hear, and to
//! keep what they publish.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use crate::packet::QoS;
use crate::reason::Refusal;

/// What a CONNECT shows of who sends it.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    pub address: IpAddr,
    pub user: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    /// Names in the certificate that the client has shown, which was checked; empty without one.
    pub certified: &'a [String],
}

/// What a client has published.
#[derive(Debug, Clone)]
pub struct Publication<C> {
    pub client: Arc<C>,
    /// The number of the client's session: what is told of it is not said again to a subscriber of
    /// the same session that asked for that.
    pub origin: u64,
    pub topic: String,
    pub payload: Bytes,
    pub user_properties: Vec<(String, String)>,
}

/// A subscription that is allowed.
#[derive(Debug, Clone)]
pub struct Grant<T> {
    /// The filter that topics have to meet, where it is another than was asked for.
    pub filter: String,
    /// What the program keeps with the subscription.
    pub tag: T,
}

/// A message for one subscriber, or for many.
#[derive(Debug, Clone)]
pub struct Message {
    pub topic: Arc<str>,
    pub payload: Bytes,
    /// Of a text in UTF-8.
    pub content_type: Option<&'static str>,
    /// When it is no longer worth sending.
    pub until: Option<Instant>,
    /// At most at least once.
    pub qos: QoS,
    pub user_properties: Vec<(String, String)>,
}

/// The program around the broker.
#[async_trait]
pub trait Hooks: Send + Sync + Sized + 'static {
    /// Who a client is.
    type Client: Send + Sync + 'static;
    /// What is kept with a subscription.
    type Tag: Send + Sync + 'static;

    /// Who it is that connects.
    async fn authenticate(&self, shown: Credentials<'_>) -> Result<Self::Client, Refusal>;

    /// The name that sessions and bounds are counted by. Clients of two users never meet in one
    /// session, whatever they call themselves.
    fn user<'c>(&self, client: &'c Self::Client) -> &'c str;

    /// Whether who comes back to a session may go on with it: the same, with the same rights.
    fn same(&self, before: &Self::Client, now: &Self::Client) -> bool;

    /// Whether a client that is connected would be let in again as the very same.
    async fn still_good(&self, client: &Self::Client) -> bool;

    /// How long a client has to wait before its next publish is read.
    fn pace(&self, client: &Self::Client) -> Option<Duration>;

    /// Whether a client may hear what meets a filter, which stands here without its `$share/group`.
    async fn subscribe(
        &self,
        client: &Self::Client,
        filter: &str,
    ) -> Result<Grant<Self::Tag>, Refusal>;

    /// What a new subscriber is sent at once, with the retain flag.
    async fn retained(&self, client: &Self::Client, tag: &Self::Tag) -> Option<Message>;

    /// Takes publishes of many clients: an answer for each, in order. What is answered with `Ok`
    /// is acknowledged, so it has to be durable by then.
    async fn publish(&self, batch: Vec<Publication<Self::Client>>) -> Vec<Result<(), Refusal>>;
}
