//! What is kept of a password for whoever is given the password itself: its argon2id hash
//! (RFC 9106).
//!
//! Beside it stands the SCRAM verifier ([`crate::scram`]), which the PostgreSQL wire's exchange
//! needs and which is far cheaper to guess from. The cost is OWASP's advice (Password Storage
//! Cheat Sheet, 2024): 19 MiB, two passes, one lane. A hash tells its own cost, so that raising
//! the constants locks nobody out.

use std::fmt;
use std::str::FromStr;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::RegistryError;
use crate::scram::normal;
use crate::secret::{random, same};

pub const MEMORY_KIB: u32 = 19 * 1_024;
pub const PASSES: u32 = 2;
pub const LANES: u32 = 1;
/// A hash that asks for more was not made here, and would stall whoever checks a password.
const MEMORY_KIB_MAX: u32 = 256 * 1_024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 8;
const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// A password's hash. Its text is the usual one: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    key: [u8; KEY_BYTES],
}

/// Hashes stay out of logs.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash").field("memory_kib", &self.memory_kib).finish_non_exhaustive()
    }
}

impl PasswordHash {
    /// Takes tens of milliseconds and [`MEMORY_KIB`]: not for an async task's own thread.
    pub fn of_password(password: &str) -> Result<Self, RegistryError> {
        let salt = random::<SALT_BYTES>()?.to_vec();
        let mut hash = Self {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt,
            key: [0; KEY_BYTES],
        };
        hash.key = hash.derive(password)?;
        Ok(hash)
    }

    /// Whether this is the password. As slow as making a hash.
    pub fn is_of(&self, password: &str) -> Result<bool, RegistryError> {
        Ok(same(&self.derive(password)?, &self.key))
    }

    fn derive(&self, password: &str) -> Result<[u8; KEY_BYTES], RegistryError> {
        let failed = |cause: argon2::Error| RegistryError::Hashing(cause.to_string());
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES))
            .map_err(failed)?;
        let mut key = [0; KEY_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(normal(password).as_bytes(), &self.salt, &mut key)
            .map_err(failed)?;
        Ok(key)
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, key] = [&self.salt[..], &self.key].map(|part| STANDARD_NO_PAD.encode(part));
        let Self { memory_kib, passes, lanes, .. } = self;
        write!(f, "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${key}")
    }
}

impl FromStr for PasswordHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "expected `$argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>`";
        let parts: Vec<&str> = text.split('$').collect();
        let ["", "argon2id", "v=19", cost, salt, key] = parts[..] else { return Err(SHAPE) };
        let mut costs = cost.split(',');
        let mut number = |name: &str, max: u32| {
            let value = costs.next().and_then(|cost| cost.strip_prefix(name)).ok_or(SHAPE)?;
            value.parse().ok().filter(|number| (1..=max).contains(number)).ok_or(SHAPE)
        };
        let memory_kib = number("m=", MEMORY_KIB_MAX)?;
        let passes = number("t=", PASSES_MAX)?;
        let lanes = number("p=", LANES_MAX)?;
        let salt = STANDARD_NO_PAD.decode(salt).map_err(|_| SHAPE)?;
        let key = STANDARD_NO_PAD.decode(key).ok().and_then(|key| key.try_into().ok());
        Ok(Self { memory_kib, passes, lanes, salt, key: key.ok_or(SHAPE)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_survives_being_written() {
        let hash = PasswordHash::of_password("锦官城外柏森森").unwrap();
        let text = hash.to_string();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        let read: PasswordHash = text.parse().unwrap();
        assert_eq!(read, hash);
        assert!(read.is_of("锦官城外柏森森").unwrap());
        assert!(!read.is_of("锦官城外柏森").unwrap());
        assert_ne!(
            PasswordHash::of_password("锦官城外柏森森").unwrap().to_string(),
            text,
            "salted"
        );
    }

    #[test]
    fn another_implementation_agrees() {
        // From the reference implementation of RFC 9106's authors:
        // echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32
        let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                    CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let hash: PasswordHash = text.parse().unwrap();
        assert!(hash.is_of("password").unwrap());
        assert_eq!(hash.to_string(), text);
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let hash = PasswordHash::of_password("a good long password").unwrap().to_string();
        for bad in [
            "",
            "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$AAAA",
            &hash.replace("m=19456", "m=4000000000"),
            &hash.replace("t=2", "t=0"),
            &hash.replace("p=1", "p=99"),
            &hash[..hash.len() - 4],
            &format!("{hash}$more"),
        ] {
            assert!(bad.parse::<PasswordHash>().is_err(), "{bad}");
        }
    }
}
