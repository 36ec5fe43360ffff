//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) against a stored verifier.
//!
//! The wire library's own implementation wants the salted password, with which one could log in
//! as the user; what the registry keeps is only good for checking a proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use registry::scram::{ITERATIONS, Verifier};

/// The one mechanism on offer.
pub const MECHANISM: &str = "SCRAM-SHA-256";
const SALT_BYTES: usize = 16;

/// Why an exchange ended without a login.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    #[error("malformed SCRAM message")]
    Malformed,
    #[error("channel binding is not on offer")]
    ChannelBinding,
    #[error("the proof does not fit the password")]
    Proof,
}

/// After the client's first message: what was said, for the client's proof to sign.
#[derive(Debug)]
pub struct Exchange {
    verifier: Verifier,
    /// False for a user that does not exist: the exchange runs to its end and then fails, so
    /// that an onlooker cannot tell the one from the other.
    known: bool,
    gs2_header: String,
    nonce: String,
    first_messages: String,
}

/// Takes the client's first message; gives the server's first message.
pub fn start(
    client_first: &str,
    server_nonce: &str,
    verifier: Option<Verifier>,
    decoy: impl FnOnce() -> Verifier,
) -> Result<(String, Exchange), ScramError> {
    // gs2-header is two fields ("n" or "y", then an authorisation id that is not used).
    let (binding, rest) = client_first.split_once(',').ok_or(ScramError::Malformed)?;
    let (authzid, bare) = rest.split_once(',').ok_or(ScramError::Malformed)?;
    if !matches!(binding, "n" | "y") {
        return Err(ScramError::ChannelBinding);
    }
    let mut fields = bare.split(',');
    let user = fields.next().ok_or(ScramError::Malformed)?;
    let client_nonce = fields.next().and_then(|f| f.strip_prefix("r=")).unwrap_or_default();
    if !user.starts_with("n=") || client_nonce.is_empty() {
        return Err(ScramError::Malformed);
    }
    let known = verifier.is_some();
    let verifier = verifier.unwrap_or_else(decoy);
    let nonce = format!("{client_nonce}{server_nonce}");
    let server_first =
        format!("r={nonce},s={},i={}", BASE64.encode(&verifier.salt), verifier.iterations);
    let exchange = Exchange {
        verifier,
        known,
        gs2_header: format!("{binding},{authzid},"),
        nonce,
        first_messages: format!("{bare},{server_first}"),
    };
    Ok((server_first, exchange))
}

impl Exchange {
    /// Takes the client's final message; gives the server's, by which the client knows that the
    /// server knows the password too.
    pub fn finish(self, client_final: &str) -> Result<String, ScramError> {
        let (without_proof, proof) =
            client_final.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let mut fields = without_proof.split(',');
        let binding =
            fields.next().and_then(|f| f.strip_prefix("c=")).ok_or(ScramError::Malformed)?;
        let nonce =
            fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(ScramError::Malformed)?;
        if BASE64.decode(binding).ok().as_deref() != Some(self.gs2_header.as_bytes()) {
            return Err(ScramError::ChannelBinding);
        }
        if nonce != self.nonce {
            return Err(ScramError::Malformed);
        }
        let proof: [u8; 32] = BASE64
            .decode(proof)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(ScramError::Malformed)?;

        let message = format!("{},{without_proof}", self.first_messages);
        let signature = hmac(&self.verifier.stored_key, message.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let stored: [u8; 32] = Sha256::digest(&client_key).into();
        let differs = stored.iter().zip(self.verifier.stored_key).fold(0, |d, (a, b)| d | (a ^ b));
        if differs != 0 || !self.known {
            return Err(ScramError::Proof);
        }
        Ok(format!("v={}", BASE64.encode(hmac(&self.verifier.server_key, message.as_bytes()))))
    }
}

/// A verifier for a user who does not exist: the same one each time for the same name, so that
/// asking twice tells nothing.
pub fn decoy(secret: &[u8], user: &str) -> Verifier {
    let salt = hmac(secret, user.as_bytes());
    Verifier {
        // What the registry's own verifiers ask for: a name that is not there looks like one.
        iterations: ITERATIONS,
        salt: salt[..SALT_BYTES].to_vec(),
        stored_key: hmac(secret, b"stored key"),
        server_key: hmac(secret, b"server key"),
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange printed in RFC 7677, section 3: user `user`, password `pencil`.
    fn pencil() -> Verifier {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let mut salted = hmac(b"pencil", &[salt.as_slice(), &[0, 0, 0, 1]].concat());
        let mut round = salted;
        for _ in 1..4_096 {
            round = hmac(b"pencil", &round);
            salted.iter_mut().zip(round).for_each(|(a, b)| *a ^= b);
        }
        Verifier {
            iterations: 4_096,
            salt,
            stored_key: Sha256::digest(hmac(&salted, b"Client Key")).into(),
            server_key: hmac(&salted, b"Server Key"),
        }
    }

    const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    #[test]
    fn the_exchange_of_the_standard_succeeds() {
        let (first, exchange) =
            start(CLIENT_FIRST, SERVER_NONCE, Some(pencil()), || unreachable!()).unwrap();
        assert_eq!(
            first,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        assert_eq!(
            exchange.finish(CLIENT_FINAL).unwrap(),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn a_proof_from_another_password_fails() {
        let other = decoy(b"other", "user");
        let (_, exchange) =
            start(CLIENT_FIRST, SERVER_NONCE, Some(other), || unreachable!()).unwrap();
        assert_eq!(exchange.finish(CLIENT_FINAL), Err(ScramError::Proof));
    }

    #[test]
    fn an_unknown_user_fails_even_with_a_proof_that_fits() {
        let (_, exchange) = start(CLIENT_FIRST, SERVER_NONCE, None, pencil).unwrap();
        assert_eq!(exchange.finish(CLIENT_FINAL), Err(ScramError::Proof));
    }

    #[test]
    fn a_changed_nonce_or_binding_fails() {
        let run = |last: &str| {
            let (_, exchange) =
                start(CLIENT_FIRST, SERVER_NONCE, Some(pencil()), || unreachable!()).unwrap();
            exchange.finish(last)
        };
        let nonce = CLIENT_FINAL.replace("k0,", "k1,");
        assert_eq!(run(&nonce), Err(ScramError::Malformed));
        let binding = CLIENT_FINAL.replace("c=biws", "c=eSws");
        assert_eq!(run(&binding), Err(ScramError::ChannelBinding));
        assert_eq!(run("p="), Err(ScramError::Malformed));
        for first in ["", "p=tls-unique,,n=user,r=x", "n,,n=user", "n,,r=x,n=user"] {
            assert!(start(first, SERVER_NONCE, Some(pencil()), pencil).is_err(), "{first}");
        }
    }

    #[test]
    fn a_stored_verifier_reads_back() {
        let verifier: Verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
            WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
            .parse()
            .unwrap();
        assert_eq!(verifier, pencil());
        assert!("SCRAM-SHA-256$x".parse::<Verifier>().is_err());
    }
}
