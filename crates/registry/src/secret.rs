//! Random secrets: API tokens, and the cookies of sessions.
//!
//! Each is 256 random bits, so its plain SHA-256 is as good as a slow hash: there is nothing
//! to guess. Only the hash is kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::RegistryError;

pub const SECRET_BYTES: usize = 32;
/// What every token starts with, so that scanners of leaked text know one when they see it.
pub const TOKEN_PREFIX: &str = "shujin_";

/// From the operating system's generator.
pub fn random<const N: usize>() -> Result<[u8; N], RegistryError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RegistryError::Random)?;
    Ok(bytes)
}

/// A new token's text: the only time that it is seen.
pub(crate) fn new_token() -> Result<String, RegistryError> {
    let secret = random::<SECRET_BYTES>()?;
    Ok(format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)))
}

/// A new session's text, for a cookie.
pub(crate) fn new_cookie() -> Result<String, RegistryError> {
    Ok(URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?))
}

/// Compares without telling by its time where they differ.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let differs = one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other));
    one.len() == other.len() && differs == 0
}

/// What is kept of a token or a cookie, in hex.
pub(crate) fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
