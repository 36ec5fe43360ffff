//! One question to an endpoint: bounded in time and size, without redirections, with what the last
//! answer said of its version, and to no address that only the link has.
//!
//! Knows no reading: it hands back bytes, or says why there are none. No message of its has a part
//! of the answer, a secret or an address's parameters.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pack::mapped::{Header, HeaderText, Poll, is_link_local};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use super::read::MESSAGE_BYTES_MAX;

/// A secret is a token or a password, and no file of another kind.
const SECRET_BYTES_MAX: u64 = 4_096;
/// Errors below an error that are told.
const CAUSES_MAX: usize = 4;
const AGENT: &str = concat!("shujin/", env!("CARGO_PKG_VERSION"));

/// What an endpoint answered.
#[derive(Debug)]
pub(super) enum Fetched {
    Body(Vec<u8>, Validators),
    /// Nothing has changed since the answer that the validators are of.
    Unchanged,
}

/// What an answer says of its version.
#[derive(Debug, Clone, Default)]
pub(super) struct Validators {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfetched {
    pub reason: String,
    /// The endpoint said when to come again.
    pub again_s: Option<u64>,
}

impl Unfetched {
    fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again_s: None }
    }
}

/// Asks one endpoint.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    url: Url,
    timeout_s: u32,
}

/// Looks names up, and leaves out addresses that only the link has.
#[derive(Debug)]
struct Addresses {
    link_local: bool,
}

impl Addresses {
    fn may_ask(&self, ip: IpAddr) -> bool {
        self.link_local || !is_link_local(ip)
    }
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(looked_up(Self { link_local: self.link_local }, name))
    }
}

async fn looked_up(rule: Addresses, name: Name) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    let found: Vec<SocketAddr> = found.filter(|found| rule.may_ask(found.ip())).collect();
    if found.is_empty() {
        return Err("the name has no address that may be asked".into());
    }
    Ok(Box::new(found.into_iter()))
}

impl Fetcher {
    pub fn new(poll: &Poll) -> Result<Self, Unfetched> {
        let url = Url::parse(&poll.url);
        let url = url.map_err(|error| Unfetched::because(format!("bad address: {error}")))?;
        let client = Client::builder()
            // A redirection would take us to wherever the answer says.
            .redirect(Policy::none())
            // The pack names what is asked, and nobody in between.
            .no_proxy()
            .timeout(Duration::from_secs(poll.timeout_s.into()))
            .user_agent(AGENT)
            .dns_resolver(Arc::new(Addresses { link_local: poll.link_local }))
            .build()
            .map_err(|error| Unfetched::because(told(error)))?;
        Ok(Self { client, url, timeout_s: poll.timeout_s })
    }

    /// Asks once.
    pub async fn fetch(&self, headers: HeaderMap, last: &Validators) -> Result<Fetched, Unfetched> {
        let mut request = self.client.get(self.url.clone()).headers(headers);
        if let Some(etag) = &last.etag {
            request = request.header(IF_NONE_MATCH, etag.clone());
        }
        if let Some(modified) = &last.modified {
            request = request.header(IF_MODIFIED_SINCE, modified.clone());
        }
        let answer = request.send().await.map_err(|error| self.failed(error))?;
        let status = answer.status();
        if status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::Unchanged);
        }
        if status.is_redirection() {
            let reason =
                format!("it answers {status}; redirections are not followed: name the new address");
            return Err(Unfetched::because(reason));
        }
        if status != StatusCode::OK {
            let again_s = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let again_s = again_s.and_then(|value| value.trim().parse().ok());
            return Err(Unfetched { reason: format!("it answers {status}"), again_s });
        }
        let validators = Validators {
            etag: answer.headers().get(ETAG).cloned(),
            modified: answer.headers().get(LAST_MODIFIED).cloned(),
        };
        Ok(Fetched::Body(self.body(answer).await?, validators))
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, Unfetched> {
        let too_long =
            || Unfetched::because(format!("an answer of more than {MESSAGE_BYTES_MAX} bytes"));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > MESSAGE_BYTES_MAX {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, error: reqwest::Error) -> Unfetched {
        match error.is_timeout() {
            true => Unfetched::because(format!("no whole answer in {} s", self.timeout_s)),
            false => Unfetched::because(told(error)),
        }
    }
}

/// An error with its causes, without the address that was asked.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(error) = cause else { break };
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The headers of a request, with the secrets that they name, as they are in their files now.
pub(super) fn headers(poll: &Poll, secrets: Option<&Path>) -> Result<HeaderMap, Unfetched> {
    let mut headers = HeaderMap::new();
    for Header { name, value } in &poll.headers {
        let bad = || Unfetched::because(format!("the header {name} cannot be sent as it is"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let value = match value {
            HeaderText::Plain(text) => HeaderValue::from_str(text).map_err(|_| bad())?,
            HeaderText::Secret { file, prefix } => {
                let secret = secret(secrets, file)?;
                let value = HeaderValue::from_str(&format!("{prefix}{secret}"));
                let mut value = value.map_err(|_| bad())?;
                value.set_sensitive(true);
                value
            }
        };
        headers.insert(header, value);
    }
    Ok(headers)
}

/// What stands in a file of the folder of secrets.
fn secret(secrets: Option<&Path>, file: &str) -> Result<String, Unfetched> {
    let Some(folder) = secrets else {
        let reason = format!("it wants the secret {file}: serve with --source-secrets DIR");
        return Err(Unfetched::because(reason));
    };
    let unread = |why: String| Unfetched::because(format!("the secret {file} is not read: {why}"));
    let mut text = String::new();
    let opened = File::open(folder.join(file)).map_err(|error| unread(error.to_string()))?;
    let read = opened.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| unread(error.to_string()))?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(unread(format!("it has more than {SECRET_BYTES_MAX} bytes")));
    }
    match text.trim() {
        "" => Err(unread("it is empty".to_owned())),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(headers: Vec<Header>) -> Poll {
        Poll {
            url: "http://gauge.example/x".to_owned(),
            user: "gauges".to_owned(),
            every_s: 60,
            timeout_s: 10,
            headers,
            link_local: false,
        }
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_shown_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("water"), "s3cret\n").unwrap();
        let value = HeaderText::Secret { file: "water".into(), prefix: "Bearer ".into() };
        let asked = poll(vec![Header { name: "Authorization".into(), value }]);
        let sent = headers(&asked, Some(dir.path())).unwrap();
        assert_eq!(sent["authorization"], "Bearer s3cret");
        assert!(!format!("{sent:?}").contains("s3cret"));
        let missing = headers(&asked, None).unwrap_err();
        assert!(missing.reason.contains("--source-secrets"), "{missing:?}");
        std::fs::write(dir.path().join("water"), "x".repeat(5_000)).unwrap();
        assert!(headers(&asked, Some(dir.path())).is_err(), "too long to be one");
    }

    #[test]
    fn addresses_of_the_link_are_not_asked() {
        let rule = Addresses { link_local: false };
        assert!(!rule.may_ask("169.254.169.254".parse().unwrap()));
        assert!(rule.may_ask("127.0.0.1".parse().unwrap()));
        assert!(Addresses { link_local: true }.may_ask("169.254.169.254".parse().unwrap()));
    }
}
