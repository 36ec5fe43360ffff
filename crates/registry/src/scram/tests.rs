//! Verifiers against RFC 7677's example.

use super::*;

/// The example's exchange in RFC 7677, section 3: password `pencil`, 4,096 iterations.
const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const SAID: &[u8] = b"n=user,r=rOprNGfwEbeRWgbNEkqO,\
    r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
    c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_SIGNATURE: &str = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

#[test]
fn the_keys_answer_the_rfcs_example() {
    let verifier = Verifier::derive("pencil", &STANDARD.decode(SALT).unwrap(), 4_096);
    assert_eq!(STANDARD.encode(hmac(&verifier.server_key, SAID)), SERVER_SIGNATURE);
    // ClientKey = ClientProof XOR ClientSignature, and its hash is what is stored.
    let mut client_key: Key = STANDARD.decode(CLIENT_PROOF).unwrap().try_into().unwrap();
    let signature = hmac(&verifier.stored_key, SAID);
    client_key.iter_mut().zip(signature).for_each(|(byte, other)| *byte ^= other);
    assert_eq!(<Key>::from(Sha256::digest(client_key)), verifier.stored_key);
}

#[test]
fn a_verifier_survives_being_written_down_and_says_nothing_in_logs() {
    let verifier = Verifier::of_password("蜀锦 pässword").unwrap();
    assert_eq!(verifier.iterations, ITERATIONS);
    let written = verifier.to_string();
    assert_eq!(written.parse::<Verifier>().unwrap(), verifier);
    assert!(!format!("{verifier:?}").contains(&format!("{:?}", verifier.stored_key)));
    assert!(verifier.is_of("蜀锦 pässword"));
    assert!(!verifier.is_of("蜀锦 passwort"));
    for bad in ["", "md5abc", "SCRAM-SHA-256$1:AAAA$AAAA:AAAA", &written.replace('$', "")] {
        assert!(bad.parse::<Verifier>().is_err(), "{bad}");
    }
    let stalling = written.replace("15000", "999999999");
    assert!(stalling.parse::<Verifier>().is_err(), "{stalling}");
}

#[test]
fn two_verifiers_of_one_password_have_nothing_in_common() {
    let [one, other] = [(), ()].map(|()| Verifier::of_password("the same").unwrap());
    assert_ne!(one.salt, other.salt);
    assert_ne!(one.stored_key, other.stored_key);
}

#[test]
fn full_width_passwords_are_those_that_clients_normalise_them_to() {
    let verifier = Verifier::derive("ＰＡＳＳ１", b"salt", 4_096);
    assert!(verifier.is_of("PASS1"));
}
