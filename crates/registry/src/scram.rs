//! SCRAM-SHA-256 (RFC 5802, RFC 7677): what is kept of a password, and the server's side of a
//! login.
//!
//! What is kept is PostgreSQL's own four: salt, iterations, `StoredKey`, `ServerKey`. With them a
//! login can be checked and the server can prove itself, but nobody who steals them can log in.
//! That is why the exchange lives here: an implementation that wants the salted password itself
//! would have it kept, and the salted password is as good as the password.
//!
//! ```text
//!  client-first ─► Exchange::begin ─► server-first
//!  client-final ─► Exchange::end   ─► server-final, or NotAuthentic
//! ```
//! The user's name in `client-first` is ignored, as PostgreSQL does: the start-up packet's counts.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::RegistryError;
use crate::secret::random;

/// RFC 7677 asks for 4,096 at least and PostgreSQL takes that. We take RFC 7677's advice of
/// 15,000: about a tenth of a second on a phone, so that a stolen verifier is four times as dear
/// to guess from, while a login costs the server two hashes, whatever the number is.
pub const ITERATIONS: u32 = 15_000;
const ITERATIONS_MIN: u32 = 4_096;
/// A verifier that asks for more was not made here, and would stall whoever checks a password.
const ITERATIONS_MAX: u32 = 1_000_000;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 18;
const KEY_BYTES: usize = 32;
/// A client's message longer than this is not SCRAM.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// The mechanisms' names, for the server's offer.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// With channel binding: offer it where the certificate's hash is handed to [`Exchange::begin`].
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

type Key = [u8; KEY_BYTES];

/// What is kept of a password. Its text is PostgreSQL's: `SCRAM-SHA-256$15000:salt$stored:server`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub iterations: u32,
    pub salt: Vec<u8>,
    pub stored_key: Key,
    pub server_key: Key,
}

/// Verifiers stay out of logs.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Takes a tenth of a second or so of one core: not for an async task's own thread.
    pub fn of_password(password: &str) -> Result<Self, RegistryError> {
        Ok(Self::derive(password, &random::<SALT_BYTES>()?, ITERATIONS))
    }

    fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(password, salt, iterations);
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: Sha256::digest(hmac(&salted, b"Client Key")).into(),
            server_key: hmac(&salted, b"Server Key"),
        }
    }

    /// Whether this is the password. As slow as making a verifier.
    pub fn is_of(&self, password: &str) -> bool {
        let other = Self::derive(password, &self.salt, self.iterations);
        same(&other.stored_key, &self.stored_key)
    }

    /// A verifier that no password fits, always the same for a name: a login under a name that is
    /// not there looks like a wrong password.
    pub fn decoy(name: &str, secret: &[u8]) -> Self {
        let salt = hmac(secret, name.as_bytes());
        Self {
            iterations: ITERATIONS,
            salt: salt[..SALT_BYTES].to_vec(),
            // Nobody knows a text with this hash, let alone a password.
            stored_key: hmac(secret, b"stored"),
            server_key: hmac(secret, b"server"),
        }
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [&self.salt[..], &self.stored_key, &self.server_key].map(|part| STANDARD.encode(part));
        write!(f, "{MECHANISM}${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl FromStr for Verifier {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "expected `SCRAM-SHA-256$<iterations>:<salt>$<stored>:<server>`";
        let mut parts = text.split('$');
        if parts.next() != Some(MECHANISM) {
            return Err(SHAPE);
        }
        let (iterations, salt) = parts.next().and_then(|part| part.split_once(':')).ok_or(SHAPE)?;
        let (stored, server) = parts.next().and_then(|part| part.split_once(':')).ok_or(SHAPE)?;
        let iterations: u32 = iterations.parse().map_err(|_| SHAPE)?;
        if parts.next().is_some() || !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(SHAPE);
        }
        let key = |text: &str| -> Result<Key, &'static str> {
            STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(SHAPE)
        };
        let salt = STANDARD.decode(salt).map_err(|_| SHAPE)?;
        Ok(Self { iterations, salt, stored_key: key(stored)?, server_key: key(server)? })
    }
}

/// A login under way: the server has sent its nonce and waits for the proof.
#[derive(Debug)]
pub struct Exchange {
    verifier: Verifier,
    /// `client-first-message-bare,server-first-message`
    said: String,
    nonce: String,
    /// What the client must send back as `c=`: its header and, where bound, the channel's hash.
    binding: Vec<u8>,
}

impl Exchange {
    /// Reads the client's first message; returns the server's answer. `channel` is the
    /// `tls-server-end-point` hash of the certificate (RFC 5929), where the mechanism with `-PLUS`
    /// was on offer.
    pub fn begin(
        client_first: &[u8],
        verifier: Verifier,
        channel: Option<&[u8]>,
    ) -> Result<(Self, String), RegistryError> {
        let nonce = STANDARD.encode(random::<NONCE_BYTES>()?);
        Self::begin_with(client_first, verifier, channel, &nonce)
    }

    fn begin_with(
        client_first: &[u8],
        verifier: Verifier,
        channel: Option<&[u8]>,
        server_nonce: &str,
    ) -> Result<(Self, String), RegistryError> {
        let message = text(client_first)?;
        let bare_at = bare_start(message)?;
        let (header, bare) = message.split_at(bare_at);
        let mut binding = header.as_bytes().to_vec();
        match (header.split(',').next().unwrap_or_default(), channel) {
            ("p=tls-server-end-point", Some(channel)) => binding.extend_from_slice(channel),
            // `y`: the client could bind but believes that we cannot. Where we offered it,
            // somebody between us took the offer out (RFC 5802, section 6).
            ("n", _) | ("y", None) => {}
            _ => return Err(RegistryError::NotAuthentic),
        }
        let mut attributes = bare.split(',');
        let name = attributes.next().and_then(|part| part.strip_prefix("n="));
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        let (Some(_), Some(client_nonce)) = (name, nonce.filter(|nonce| !nonce.is_empty())) else {
            return Err(RegistryError::NotAuthentic);
        };
        let nonce = format!("{client_nonce}{server_nonce}");
        let salt = STANDARD.encode(&verifier.salt);
        let server_first = format!("r={nonce},s={salt},i={}", verifier.iterations);
        let said = format!("{bare},{server_first}");
        Ok((Self { verifier, said, nonce, binding }, server_first))
    }

    /// Checks the client's proof; returns the server's own.
    pub fn end(self, client_final: &[u8]) -> Result<String, RegistryError> {
        let message = text(client_final)?;
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or(RegistryError::NotAuthentic)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|part| part.strip_prefix("c="));
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        let binding = binding.and_then(|text| STANDARD.decode(text).ok());
        if binding.as_deref() != Some(&self.binding) || nonce != Some(&self.nonce) {
            return Err(RegistryError::NotAuthentic);
        }
        let proof: Option<Key> =
            STANDARD.decode(proof).ok().and_then(|bytes| bytes.try_into().ok());
        let mut client_key = proof.ok_or(RegistryError::NotAuthentic)?;
        let said = format!("{},{without_proof}", self.said);
        let signature = hmac(&self.verifier.stored_key, said.as_bytes());
        client_key.iter_mut().zip(signature).for_each(|(byte, other)| *byte ^= other);
        if !same(&Sha256::digest(client_key).into(), &self.verifier.stored_key) {
            return Err(RegistryError::NotAuthentic);
        }
        let server = hmac(&self.verifier.server_key, said.as_bytes());
        Ok(format!("v={}", STANDARD.encode(server)))
    }
}

fn text(message: &[u8]) -> Result<&str, RegistryError> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(RegistryError::NotAuthentic);
    }
    std::str::from_utf8(message).map_err(|_| RegistryError::NotAuthentic)
}

/// Where `gs2-header = flag "," [authzid] ","` ends. Acting for another is not supported.
fn bare_start(message: &str) -> Result<usize, RegistryError> {
    let mut commas = message.match_indices(',').map(|(at, _)| at);
    match (commas.next(), commas.next()) {
        (Some(first), Some(second)) if second == first + 1 => Ok(second + 1),
        _ => Err(RegistryError::NotAuthentic),
    }
}

/// `Hi(Normalize(password), salt, i)`. A password that SASLprep forbids is taken as it is, as
/// PostgreSQL and its clients do.
fn salted_password(password: &str, salt: &[u8], iterations: u32) -> Key {
    let normal = stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password));
    let keyed = mac(normal.as_bytes());
    let mut first = keyed.clone();
    first.update(salt);
    first.update(&1_u32.to_be_bytes());
    let mut block: Key = first.finalize().into_bytes().into();
    let mut salted = block;
    for _ in 1..iterations {
        let mut next = keyed.clone();
        next.update(&block);
        block = next.finalize().into_bytes().into();
        salted.iter_mut().zip(block).for_each(|(byte, other)| *byte ^= other);
    }
    salted
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hmac(key: &[u8], text: &[u8]) -> Key {
    let mut keyed = mac(key);
    keyed.update(text);
    keyed.finalize().into_bytes().into()
}

/// Compares without telling by its time where they differ.
fn same(one: &Key, other: &Key) -> bool {
    one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

#[cfg(test)]
mod tests;
