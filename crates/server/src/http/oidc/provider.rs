//! One OpenID provider: its metadata, fetched when first needed and kept for a while; the question
//! that a browser takes to it; the answer, exchanged and verified.
//!
//! Knows no user: it answers with the name that a claim gave.

use std::collections::HashMap;
use std::time::Instant;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::url::Url;
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AuthorizationCode, Client, ClientId, ClientSecret,
    CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenClaims,
    IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse, TokenResponse,
    UserInfoClaims, reqwest,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use super::PROVIDER_TIME_MAX;
use super::config::ProviderConfig;
use crate::fault::{Code, Fault};
use crate::limits::{OIDC_FAILURE_SECONDS, OIDC_METADATA_MINUTES_MAX, seconds};

/// Claims beyond the standard's.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Extra(HashMap<String, Value>);
impl AdditionalClaims for Extra {}

type Tokens = StandardTokenResponse<
    IdTokenFields<
        Extra,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;
type Asker = Client<
    Extra,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider that people may be sent to.
pub struct Provider {
    pub config: ProviderConfig,
    http: reqwest::Client,
    known: parking_lot::Mutex<Known<CoreProviderMetadata>>,
    /// Held by the one who fetches. Who can do with what is known does not wait for it.
    fetching: Mutex<()>,
}

/// What was last fetched, and why it could not be.
struct Known<T> {
    fetched: Option<(T, Instant)>,
    failure: Option<(String, Instant)>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { fetched: None, failure: None }
    }
}

impl<T: Clone> Known<T> {
    /// What can be answered without asking the provider. `newer_than`: what was fetched before
    /// is not good enough.
    fn answer(&self, newer_than: Option<Instant>, now: Instant) -> Option<Result<T, String>> {
        let since = |then: Instant| now.saturating_duration_since(then);
        if let Some((fetched, at)) = &self.fetched
            && since(*at) < seconds(OIDC_METADATA_MINUTES_MAX * 60)
            && newer_than.is_none_or(|bound| *at >= bound)
        {
            return Some(Ok(fetched.clone()));
        }
        let (reason, at) = self.failure.as_ref()?;
        (since(*at) < seconds(OIDC_FAILURE_SECONDS)).then(|| Err(reason.clone()))
    }

    fn learn(&mut self, found: &Result<T, String>, now: Instant) {
        match found {
            Ok(fetched) => *self = Self { fetched: Some((fetched.clone(), now)), failure: None },
            Err(reason) => self.failure = Some((reason.clone(), now)),
        }
    }
}

/// What a browser is sent away with, and what is to be remembered of it.
pub struct Question {
    pub url: Url,
    pub state: CsrfToken,
    pub nonce: Nonce,
    pub verifier: PkceCodeVerifier,
}

impl Provider {
    pub fn new(config: ProviderConfig) -> Result<Self, Fault> {
        let http = reqwest::Client::builder()
            // A redirection would take us to wherever the answer says.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PROVIDER_TIME_MAX)
            .build()
            .map_err(Fault::internal)?;
        let (known, fetching) = (parking_lot::Mutex::default(), Mutex::default());
        Ok(Self { config, http, known, fetching })
    }

    pub async fn ask(&self, base_url: &str) -> Result<Question, Fault> {
        let unreachable = |reason: String| {
            tracing::warn!(provider = self.config.id, reason, "OpenID provider not reached");
            Fault::new(Code::Busy, "the OpenID provider does not answer as it should: try later")
        };
        let asker = self.asker(base_url, false).await.map_err(unreachable)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = asker.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        for scope in &self.config.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        Ok(Question { url, state, nonce, verifier })
    }

    /// The name that the provider's answer gives, once all of it is verified. An error says what
    /// is wrong with it, for the log.
    pub async fn name_of(
        &self,
        base_url: &str,
        code: String,
        verifier: PkceCodeVerifier,
        nonce: &Nonce,
    ) -> Result<String, String> {
        let asker = self.asker(base_url, false).await?;
        let tokens = asker
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| error.to_string())?
            .set_pkce_verifier(verifier)
            .request_async(&self.http)
            .await
            .map_err(|_| "the code was not taken".to_owned())?;
        let claims = match verified(&asker, &tokens, nonce) {
            Ok(claims) => claims,
            // The provider may have changed its keys since they were fetched.
            Err(_) => verified(&self.asker(base_url, true).await?, &tokens, nonce)?,
        };
        let subject = claims.subject().clone();
        let told = serde_json::to_value(&claims).map_err(|error| error.to_string())?;
        if let Some(name) = named(&told, &self.config.claim)? {
            return Ok(name);
        }
        // Many providers keep all but the subject for the second question.
        let request = asker.user_info(tokens.access_token().clone(), Some(subject));
        let request = request.map_err(|_| format!("there is no claim `{}`", self.config.claim))?;
        let told: UserInfoClaims<Extra, CoreGenderClaim> = request
            .request_async(&self.http)
            .await
            .map_err(|_| "the user's claims were not told".to_owned())?;
        let told = serde_json::to_value(&told).map_err(|error| error.to_string())?;
        let name = named(&told, &self.config.claim)?;
        name.ok_or_else(|| format!("there is no claim `{}`", self.config.claim))
    }

    /// Whether this is the issuer's name.
    pub fn is(&self, issuer: &str) -> bool {
        issuer == self.issuer() || issuer == self.config.issuer.as_str()
    }

    /// Issuers are compared as texts, as the standard asks: no slash that nobody wrote.
    fn issuer(&self) -> &str {
        let issuer = self.config.issuer.as_str();
        match self.config.issuer.path() {
            "/" => issuer.trim_end_matches('/'),
            _ => issuer,
        }
    }

    async fn asker(&self, base_url: &str, anew: bool) -> Result<Asker, String> {
        let back = format!("{base_url}/api/oidc/{}/callback", self.config.id);
        let back = RedirectUrl::new(back).map_err(|error| error.to_string())?;
        let secret = self.config.client_secret.clone().map(ClientSecret::new);
        let id = ClientId::new(self.config.client_id.clone());
        let metadata = self.metadata(anew).await?;
        Ok(Client::from_provider_metadata(metadata, id, secret).set_redirect_uri(back))
    }

    /// Fetched by one at a time: the others wait for what it brings, a failure included, or a
    /// provider that does not answer would hold each of them up in turn.
    async fn metadata(&self, anew: bool) -> Result<CoreProviderMetadata, String> {
        let newer_than = anew.then(Instant::now);
        let known = || self.known.lock().answer(newer_than, Instant::now());
        if let Some(answer) = known() {
            return answer;
        }
        let _turn = self.fetching.lock().await;
        if let Some(answer) = known() {
            return answer;
        }
        let issuer = IssuerUrl::new(self.issuer().to_owned()).map_err(|error| error.to_string())?;
        let found = CoreProviderMetadata::discover_async(issuer, &self.http)
            .await
            .map_err(|error| error.to_string());
        self.known.lock().learn(&found, Instant::now());
        found
    }
}

/// The ID token's claims: signature, issuer, audience, times, nonce and access token hold.
fn verified(
    asker: &Asker,
    tokens: &Tokens,
    nonce: &Nonce,
) -> Result<IdTokenClaims<Extra, CoreGenderClaim>, String> {
    let token = tokens.id_token().ok_or("there is no ID token")?;
    let verifier = asker.id_token_verifier();
    let claims = token.claims(&verifier, nonce).map_err(|error| error.to_string())?;
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(|error| error.to_string())?;
        let key = token.signing_key(&verifier).map_err(|error| error.to_string())?;
        let found = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
            .map_err(|error| error.to_string())?;
        if found != *expected {
            return Err("the access token is not the ID token's".to_owned());
        }
    }
    Ok(claims.clone())
}

/// A claim's value as a user's name. An address of mail counts only where the provider says that
/// it has been verified: anybody can write any address.
fn named(claims: &Value, claim: &str) -> Result<Option<String>, String> {
    let Some(value) = claims.get(claim).filter(|value| !value.is_null()) else { return Ok(None) };
    let name = value.as_str().ok_or_else(|| format!("the claim `{claim}` is no text"))?;
    let verified = claims.get("email_verified").and_then(Value::as_bool).unwrap_or(false);
    if claim == "email" && !verified {
        return Err("the address of mail is not verified".to_owned());
    }
    Ok(Some(name.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_names_a_user() {
        let claims = json!({ "sub": "7", "preferred_username": "Lin", "n": 3, "x": null });
        assert_eq!(named(&claims, "preferred_username"), Ok(Some("lin".to_owned())));
        assert_eq!(named(&claims, "nickname"), Ok(None));
        assert_eq!(named(&claims, "x"), Ok(None));
        assert!(named(&claims, "n").is_err());
    }

    #[test]
    fn a_failure_is_remembered_for_a_moment() {
        let (mut known, now) = (Known::<u8>::default(), Instant::now());
        let fails: Result<u8, String> = Err("no answer".to_owned());
        assert_eq!(known.answer(None, now), None, "nobody has asked yet");
        known.learn(&fails, now);
        assert_eq!(known.answer(None, now), Some(fails.clone()));
        let later = now + seconds(OIDC_FAILURE_SECONDS);
        assert_eq!(known.answer(None, later), None, "it is tried again");
        known.learn(&Ok(7), later);
        assert_eq!(known.answer(None, later), Some(Ok(7)));
        assert_eq!(known.answer(Some(now), later), Some(Ok(7)), "fetched since that was asked");

        let new_keys = later + seconds(1);
        assert_eq!(known.answer(Some(new_keys), new_keys), None);
        known.learn(&fails, new_keys);
        assert_eq!(known.answer(Some(new_keys), new_keys), Some(fails));
        assert_eq!(known.answer(None, new_keys), Some(Ok(7)), "what is known is good still");
        let old = later + seconds(OIDC_METADATA_MINUTES_MAX * 60);
        assert_eq!(known.answer(None, old), None);
    }

    #[test]
    fn an_address_of_mail_must_be_verified() {
        let claims = |verified| json!({ "email": "lin@city.example", "email_verified": verified });
        assert_eq!(named(&claims(json!(true)), "email"), Ok(Some("lin@city.example".to_owned())));
        for not in [json!(false), json!("true"), json!(null)] {
            assert!(named(&claims(not), "email").is_err());
        }
        assert!(named(&json!({ "email": "lin@city.example" }), "email").is_err());
    }
}
