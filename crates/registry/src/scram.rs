//! What is kept of a password: its SCRAM-SHA-256 verifier (RFC 5802, RFC 7677).
//!
//! PostgreSQL's own four: salt, iterations, `StoredKey`, `ServerKey`. With them a login can be
//! checked and the server can prove itself, but nobody who steals them can log in. The salted
//! password, which some implementations of the exchange want, is as good as the password and is
//! never kept. The exchange itself belongs to the face that speaks it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::RegistryError;
use crate::secret::{random, same};

/// RFC 7677 asks for 4,096 at least and PostgreSQL takes that. We take RFC 7677's advice of
/// 15,000: about a tenth of a second on a phone, so that a stolen verifier is four times as dear
/// to guess from, while a login costs the server two hashes, whatever the number is.
pub const ITERATIONS: u32 = 15_000;
const ITERATIONS_MIN: u32 = 4_096;
/// A verifier that asks for more was not made here, and would stall whoever checks a password.
const ITERATIONS_MAX: u32 = 1_000_000;
const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// The mechanism, as the verifier's text names it.
const MECHANISM: &str = "SCRAM-SHA-256";

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

/// The password that was meant, whichever way it was typed. One that SASLprep forbids is taken as
/// it is, as PostgreSQL and its clients do.
pub(crate) fn normal(password: &str) -> Cow<'_, str> {
    stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password))
}

/// `Hi(Normalize(password), salt, i)`.
fn salted_password(password: &str, salt: &[u8], iterations: u32) -> Key {
    let keyed = mac(normal(password).as_bytes());
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

#[cfg(test)]
mod tests;
