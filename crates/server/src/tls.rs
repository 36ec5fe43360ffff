//! TLS that fails closed: a certificate that is named and cannot be loaded stops the server from
//! starting, and clear text beyond loopback has to be asked for by name.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// What the PostgreSQL listener asks of its clients, and with which certificate. Both files are
/// PEM: the certificate followed by its intermediates, and the private key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PgTls {
    /// No TLS. Refused for any address but loopback.
    #[default]
    Off,
    /// No TLS, also beyond loopback: for a city behind a proxy that ends TLS itself.
    OffEverywhere,
    /// TLS for clients that ask for it.
    Allowed { cert: PathBuf, key: PathBuf },
    /// TLS for everybody; clear connections are refused before a password is asked for.
    Required { cert: PathBuf, key: PathBuf },
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(
        "{address} is reachable from other machines and would be served in clear: give --tls-cert \
         and --tls-key, or listen on 127.0.0.1"
    )]
    ClearBeyondLoopback { address: SocketAddr },
    #[error("cannot read {what} from {}: {reason}", path.display())]
    Unreadable { what: &'static str, path: PathBuf, reason: String },
    #[error("the certificate and its key cannot be used together: {reason}")]
    Unusable { reason: String },
}

/// A checked listener's TLS: the acceptor, and whether clear connections are refused.
#[derive(Clone)]
pub struct Tls {
    pub acceptor: Option<TlsAcceptor>,
    pub required: bool,
}

/// Loads what `tls` names, or says why the server must not start.
pub fn load(tls: &PgTls, address: SocketAddr, alpn: &[&[u8]]) -> Result<Tls, TlsError> {
    let (certificate, key, required) = match tls {
        PgTls::Off if !address.ip().is_loopback() => {
            return Err(TlsError::ClearBeyondLoopback { address });
        }
        PgTls::Off | PgTls::OffEverywhere => return Ok(Tls { acceptor: None, required: false }),
        PgTls::Allowed { cert, key } => (cert, key, false),
        PgTls::Required { cert, key } => (cert, key, true),
    };
    let acceptor = load_with_clients(certificate, key, None, alpn)?;
    Ok(Tls { acceptor: Some(acceptor), required })
}

/// TLS with a certificate and its key; with authorities of clients, a client may show a certificate
/// of one of them, and one of any other is hung up on.
pub fn load_with_clients(
    certificate: &Path,
    key: &Path,
    clients: Option<&Path>,
    alpn: &[&[u8]],
) -> Result<TlsAcceptor, TlsError> {
    let chain = chain("the certificate", certificate)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unreadable("the private key", key, &error))?;
    let unusable = |error: &dyn std::fmt::Display| TlsError::Unusable { reason: error.to_string() };
    // Two providers are compiled in, for different dependencies: this face names its own.
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in self::chain("the authorities of clients", path)? {
                roots.add(authority).map_err(|error| unusable(&error))?;
            }
            let roots = Arc::new(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| unusable(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| unusable(&error))?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn chain(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(what, path, &error))?;
    match chain.is_empty() {
        true => Err(unreadable(what, path, &"there is none in the file")),
        false => Ok(chain),
    }
}

fn unreadable(what: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::Unreadable { what, path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.0.0.1:5433";
    const ANYWHERE: &str = "0.0.0.0:5433";

    fn check(tls: &PgTls, address: &str) -> Result<Tls, TlsError> {
        load(tls, address.parse().unwrap(), &[])
    }

    #[test]
    fn clear_text_stays_on_loopback_unless_named() {
        assert!(check(&PgTls::Off, LOOPBACK).is_ok());
        assert!(matches!(check(&PgTls::Off, ANYWHERE), Err(TlsError::ClearBeyondLoopback { .. })));
        assert!(check(&PgTls::OffEverywhere, ANYWHERE).is_ok());
    }

    #[test]
    fn a_certificate_that_cannot_be_used_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let allowed = PgTls::Allowed { cert: cert.clone(), key: key.clone() };
        let required = PgTls::Required { cert: cert.clone(), key: key.clone() };
        for tls in [&allowed, &required] {
            let _ = (std::fs::remove_file(&cert), std::fs::remove_file(&key));
            assert!(matches!(check(tls, LOOPBACK), Err(TlsError::Unreadable { .. })));
            std::fs::write(&cert, "not a certificate").unwrap();
            std::fs::write(&key, "not a key").unwrap();
            assert!(matches!(check(tls, LOOPBACK), Err(TlsError::Unreadable { .. })));

            let first = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let second = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(&cert, first.cert.pem()).unwrap();
            std::fs::write(&key, second.signing_key.serialize_pem()).unwrap();
            assert!(matches!(check(tls, LOOPBACK), Err(TlsError::Unusable { .. })));
            std::fs::write(&key, first.signing_key.serialize_pem()).unwrap();
            let loaded = check(tls, ANYWHERE).expect("a pair that fits is taken");
            assert_eq!((loaded.acceptor.is_some(), loaded.required), (true, *tls == required));
        }
    }
}
