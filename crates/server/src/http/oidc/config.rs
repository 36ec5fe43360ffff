//! Which OpenID providers a city signs people in by: a file that the operator writes.
//!
//! ```toml
//! [[provider]]
//! id = "city"                                  # in the path of the sign-in
//! title = { zh = "市统一身份认证", en = "City sign-on" }
//! issuer = "https://id.example.gov.cn"
//! client_id = "shujin"
//! client_secret_file = "/etc/shujin/oidc.key"  # or client_secret_env; neither: a public client
//! claim = "preferred_username"                 # whose value is a user's name here; see below
//! scopes = ["profile"]                         # beside `openid`
//! second_factor = true                         # this provider asks for one itself
//! ```
//!
//! Whoever can write the claim's value at the provider signs in as whom they like. OpenID Connect
//! Core 1.0, 5.7 promises of none but `sub` that it stays with one person: `preferred_username`, or
//! another claim in its place, must be one that users cannot edit at the provider.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use openidconnect::url::{Host, Url};
use pack::Text;
use serde::Deserialize;

const PROVIDERS_MAX: usize = 20;

/// Why the file of providers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OidcConfigError {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {problem}")]
    Bad { path: PathBuf, problem: String },
}

/// A provider as the operator describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    pub id: String,
    pub title: Text,
    pub issuer: Url,
    pub client_id: String,
    client_secret_file: Option<PathBuf>,
    client_secret_env: Option<String>,
    #[serde(default = "preferred_username")]
    pub claim: String,
    #[serde(default)]
    pub scopes: Vec<String>,
    #[serde(default)]
    pub second_factor: bool,
    #[serde(skip)]
    pub client_secret: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    provider: Vec<ProviderConfig>,
}

fn preferred_username() -> String {
    "preferred_username".to_owned()
}

/// Reads the file, and the secrets that it names.
pub fn read(path: &Path) -> Result<Vec<ProviderConfig>, OidcConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| OidcConfigError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|problem| OidcConfigError::Bad { path: path.to_owned(), problem })
}

fn parse(text: &str) -> Result<Vec<ProviderConfig>, String> {
    // The parser's own message shows the line, and a line may have a secret in it.
    let file: File = toml::from_str(text)
        .map_err(|error| format!("it is no list of providers: {}", error.message()))?;
    let mut providers = file.provider;
    if providers.len() > PROVIDERS_MAX {
        return Err(format!("expected up to {PROVIDERS_MAX} providers"));
    }
    for at in 0..providers.len() {
        let id = providers[at].id.clone();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || id == "password" || !id.chars().all(plain) {
            return Err(format!("provider `{id}`: an id is small letters, digits and `-`"));
        }
        if providers[..at].iter().any(|other| other.id == id) {
            return Err(format!("provider `{id}` is there twice"));
        }
        if providers[at].issuer.scheme() != "https" && !is_loopback(&providers[at].issuer) {
            return Err(format!("provider `{id}`: the issuer must be reached by https"));
        }
        providers[at].client_secret =
            secret(&providers[at]).map_err(|problem| format!("provider `{id}`: {problem}"))?;
    }
    Ok(providers)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn secret(provider: &ProviderConfig) -> Result<Option<String>, String> {
    let text = match (&provider.client_secret_file, &provider.client_secret_env) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err("a secret's file or its variable, not both".to_owned()),
        (Some(path), None) => std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        (None, Some(name)) => {
            std::env::var(name).map_err(|_| format!("the variable {name} is not set"))?
        }
    };
    Ok(Some(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [[provider]]
        id = "city"
        title = { zh = "统一认证", en = "Sign-on" }
        issuer = "https://id.example"
        client_id = "shujin"
    "#;

    #[test]
    fn a_provider_needs_little() {
        let provider = parse(GOOD).unwrap().remove(0);
        assert_eq!(provider.claim, "preferred_username");
        assert!(!provider.second_factor && provider.client_secret.is_none());
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_unsafe_or_unclear_is_refused() {
        let twice = format!("{GOOD}{GOOD}");
        for (text, expected) in [
            (GOOD.replace("https:", "http:"), "by https"),
            (GOOD.replace("\"city\"", "\"City One\""), "small letters"),
            (GOOD.replace("client_id", "clientid"), "no list of providers"),
            (twice, "twice"),
            (format!("{GOOD}client_secret_env = \"NO_SUCH_VARIABLE_HERE\""), "is not set"),
            (format!("{GOOD}client_secret_file = \"/no/such/file\""), "cannot read"),
        ] {
            let problem = parse(&text).err().unwrap();
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(parse(&GOOD.replace("https://id.example", "http://127.0.0.1:9000")).is_ok());
    }
}
