//! Secrets that have to be read again, and so cannot be hashed: sealed with AES-256-GCM under a
//! key made from the folder's secret.
//!
//! Whoever steals the records alone cannot read them. Each is sealed for its owner: moved to
//! another user's row it does not open.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::RegistryError;
use crate::secret::random;

pub(crate) struct Vault(LessSafeKey);

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    pub(crate) fn new(secret: &[u8]) -> Self {
        let mut keyed =
            <Hmac<Sha256> as Mac>::new_from_slice(secret).expect("HMAC takes keys of any length");
        keyed.update(b"secrets of second factors");
        let key = UnboundKey::new(&AES_256_GCM, &keyed.finalize().into_bytes());
        Self(LessSafeKey::new(key.expect("SHA-256 makes 32 bytes, AES-256's key")))
    }

    pub(crate) fn seal(&self, owner: &str, secret: &[u8]) -> Result<String, RegistryError> {
        let nonce = random::<NONCE_LEN>()?;
        let mut bytes = secret.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.as_bytes()),
                &mut bytes,
            )
            .map_err(|_| RegistryError::Sealed(owner.to_owned()))?;
        Ok(STANDARD_NO_PAD.encode([&nonce[..], &bytes].concat()))
    }

    pub(crate) fn open(&self, owner: &str, sealed: &str) -> Result<Vec<u8>, RegistryError> {
        let wrong = || RegistryError::Sealed(owner.to_owned());
        let bytes = STANDARD_NO_PAD.decode(sealed).map_err(|_| wrong())?;
        let (nonce, bytes) = bytes.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let mut bytes = bytes.to_vec();
        let secret = self.0.open_in_place(nonce, Aad::from(owner.as_bytes()), &mut bytes);
        Ok(secret.map_err(|_| wrong())?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_owner_under_its_key_alone() {
        let vault = Vault::new(b"the folder's own secret");
        let sealed = vault.seal("lin", b"twenty bytes of it..").unwrap();
        assert_eq!(vault.open("lin", &sealed).unwrap(), b"twenty bytes of it..");
        assert_ne!(vault.seal("lin", b"twenty bytes of it..").unwrap(), sealed);
        assert!(vault.open("zhao", &sealed).is_err(), "another's row");
        assert!(Vault::new(b"another folder's").open("lin", &sealed).is_err());
        let mut changed = sealed.clone();
        changed.replace_range(20..21, if &sealed[20..21] == "A" { "B" } else { "A" });
        assert!(vault.open("lin", &changed).is_err());
        for short in ["", "AAAA", "no base64!"] {
            assert!(vault.open("lin", short).is_err());
        }
    }
}
