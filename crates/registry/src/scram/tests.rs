//! The exchange against RFC 7677's example and against what an attacker would try.

use super::*;

/// RFC 7677, section 3.
const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const CLIENT_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn verifier() -> Verifier {
    Verifier::derive("pencil", &STANDARD.decode(SALT).unwrap(), 4_096)
}

fn begun() -> Exchange {
    let (exchange, answer) =
        Exchange::begin_with(CLIENT_FIRST, verifier(), None, SERVER_NONCE).unwrap();
    assert_eq!(answer, SERVER_FIRST);
    exchange
}

/// The client's side, for exchanges that the RFC has no example of.
fn client_final(password: &str, header: &str, channel: &[u8], bare: &str, first: &str) -> String {
    let nonce = first.split(',').next().unwrap();
    let binding = STANDARD.encode([header.as_bytes(), channel].concat());
    let without_proof = format!("c={binding},{nonce}");
    let said = format!("{bare},{first},{without_proof}");
    let salt = first.split(",s=").nth(1).unwrap().split(',').next().unwrap();
    let iterations = first.split(",i=").nth(1).unwrap().parse().unwrap();
    let salted = salted_password(password, &STANDARD.decode(salt).unwrap(), iterations);
    let mut proof = hmac(&salted, b"Client Key");
    let stored: Key = Sha256::digest(proof).into();
    let signature = hmac(&stored, said.as_bytes());
    proof.iter_mut().zip(signature).for_each(|(byte, other)| *byte ^= other);
    format!("{without_proof},p={}", STANDARD.encode(proof))
}

#[test]
fn the_rfcs_example_is_answered_as_the_rfc_does() {
    assert_eq!(begun().end(CLIENT_FINAL.as_bytes()).unwrap(), SERVER_FINAL);
}

#[test]
fn a_wrong_proof_nonce_or_binding_is_refused() {
    let bad = [
        CLIENT_FINAL.replace("p=dHzb", "p=dHzc"),
        CLIENT_FINAL.replace("r=rOpr", "r=rOpq"),
        CLIENT_FINAL.replace("c=biws", "c=eSws"),
        CLIENT_FINAL.replace(",p=", ",q="),
        "p=".to_owned(),
        String::new(),
        "c=biws,r=x,p=AAAA".to_owned(),
        "x".repeat(MESSAGE_BYTES_MAX + 1),
    ];
    for message in bad {
        let refused = begun().end(message.as_bytes());
        assert!(matches!(refused, Err(RegistryError::NotAuthentic)), "{message}");
    }
    assert!(begun().end(b"\xff\xfe").is_err());
}

#[test]
fn malformed_first_messages_are_refused() {
    let bad: [&[u8]; 9] = [
        b"",
        b"n",
        b"n,,",
        b"n,,n=user",
        b"n,,n=user,r=",
        b"n,a=root,n=user,r=abc",
        b"q,,n=user,r=abc",
        b"p=tls-unique,,n=user,r=abc",
        b"n,,m=ext,n=user,r=abc",
    ];
    for message in bad {
        let refused = Exchange::begin(message, verifier(), None);
        assert!(refused.is_err(), "{:?}", String::from_utf8_lossy(message));
    }
}

#[test]
fn a_bound_channel_must_be_the_same_and_cannot_be_talked_away() {
    let channel = [7; 32];
    let header = "p=tls-server-end-point,,";
    let bare = "n=,r=abc";
    let first = format!("{header}{bare}");
    let begin = || Exchange::begin(first.as_bytes(), verifier(), Some(&channel)).unwrap();
    let (exchange, answer) = begin();
    let proof = client_final("pencil", header, &channel, bare, &answer);
    exchange.end(proof.as_bytes()).unwrap();
    let (exchange, answer) = begin();
    let proof = client_final("pencil", header, &[8; 32], bare, &answer);
    assert!(exchange.end(proof.as_bytes()).is_err(), "another certificate");
    // Bound, where nothing is on offer; and `y`, where binding is.
    assert!(Exchange::begin(first.as_bytes(), verifier(), None).is_err());
    assert!(Exchange::begin(b"y,,n=,r=abc", verifier(), Some(&channel)).is_err());
    assert!(Exchange::begin(b"y,,n=,r=abc", verifier(), None).is_ok());
}

#[test]
fn a_verifier_survives_being_written_down_and_says_nothing_in_logs() {
    let verifier = Verifier::of_password("蜀锦 pässword").unwrap();
    assert_eq!(verifier.iterations, ITERATIONS);
    let written = verifier.to_string();
    assert_eq!(written.parse::<Verifier>().unwrap(), verifier);
    assert!(!format!("{verifier:?}").contains(&STANDARD.encode(verifier.stored_key)));
    assert!(verifier.is_of("蜀锦 pässword"));
    assert!(!verifier.is_of("蜀锦 passwort"));
    for bad in ["", "md5abc", "SCRAM-SHA-256$1:AAAA$AAAA:AAAA", &written.replace('$', "")] {
        assert!(bad.parse::<Verifier>().is_err(), "{bad}");
    }
}

#[test]
fn full_width_passwords_are_those_that_clients_normalise_them_to() {
    let verifier = Verifier::derive("ＰＡＳＳ１", b"salt", 4_096);
    assert!(verifier.is_of("PASS1"));
}

#[test]
fn a_decoy_is_steady_for_a_name_and_lets_nobody_in() {
    let decoy = Verifier::decoy("nobody", b"secret");
    assert_eq!(decoy, Verifier::decoy("nobody", b"secret"));
    assert_ne!(decoy.salt, Verifier::decoy("somebody", b"secret").salt);
    let bare = "n=,r=abc";
    let (exchange, answer) = Exchange::begin(b"n,,n=,r=abc", decoy, None).unwrap();
    let proof = client_final("", "n,,", b"", bare, &answer);
    assert!(exchange.end(proof.as_bytes()).is_err());
}
