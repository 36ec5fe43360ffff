//! TLS that fails closed: a certificate that is named and cannot be loaded stops the server from
//! starting, and clear text beyond loopback has to be asked for by name.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// What a listener asks of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// No TLS. Refused for any address but loopback.
    #[default]
    Off,
    /// No TLS, also beyond loopback: for a city behind a proxy that ends TLS itself.
    OffEverywhere,
    /// TLS for clients that ask for it. Without a certificate the server does not start.
    Allowed,
    /// TLS for everybody; clear connections are refused before a password is asked for.
    Required,
}

impl std::str::FromStr for TlsMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "off-everywhere" => Ok(Self::OffEverywhere),
            "allowed" => Ok(Self::Allowed),
            "required" => Ok(Self::Required),
            _ => Err(format!(
                "unknown TLS mode `{text}`: use off, off-everywhere, allowed or required"
            )),
        }
    }
}

/// A mode and where its certificate is.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    pub mode: TlsMode,
    /// PEM: the certificate, then its intermediates.
    pub certificate: Option<PathBuf>,
    /// PEM: the private key.
    pub key: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(
        "{address} is reachable from other machines: give --pg-tls required with --tls-cert and \
         --tls-key, listen on 127.0.0.1, or say --pg-tls off-everywhere"
    )]
    ClearBeyondLoopback { address: SocketAddr },
    #[error("TLS is asked for without {what}: give --tls-cert and --tls-key")]
    Missing { what: &'static str },
    #[error("a certificate is given but TLS is off: say --pg-tls required, or leave it out")]
    Unused,
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

/// Loads what `options` name, or says why the server must not start.
pub fn load(options: &TlsOptions, address: SocketAddr, alpn: &[&[u8]]) -> Result<Tls, TlsError> {
    if matches!(options.mode, TlsMode::Off | TlsMode::OffEverywhere) {
        if options.certificate.is_some() || options.key.is_some() {
            return Err(TlsError::Unused);
        }
        if options.mode == TlsMode::Off && !address.ip().is_loopback() {
            return Err(TlsError::ClearBeyondLoopback { address });
        }
        return Ok(Tls { acceptor: None, required: false });
    }
    let certificate =
        options.certificate.as_deref().ok_or(TlsError::Missing { what: "a certificate" })?;
    let key = options.key.as_deref().ok_or(TlsError::Missing { what: "a private key" })?;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("the certificate", certificate, &error))?;
    if chain.is_empty() {
        return Err(unreadable("the certificate", certificate, &"there is none in the file"));
    }
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unreadable("the private key", key, &error))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| TlsError::Unusable { reason: error.to_string() })?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Tls {
        acceptor: Some(TlsAcceptor::from(Arc::new(config))),
        required: options.mode == TlsMode::Required,
    })
}

fn unreadable(what: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::Unreadable { what, path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.0.0.1:5433";
    const ANYWHERE: &str = "0.0.0.0:5433";

    fn check(options: &TlsOptions, address: &str) -> Result<Tls, TlsError> {
        load(options, address.parse().unwrap(), &[])
    }

    #[test]
    fn clear_text_stays_on_loopback_unless_named() {
        let off = TlsOptions::default();
        assert!(check(&off, LOOPBACK).is_ok());
        assert!(matches!(check(&off, ANYWHERE), Err(TlsError::ClearBeyondLoopback { .. })));
        let everywhere = TlsOptions { mode: TlsMode::OffEverywhere, ..off };
        assert!(check(&everywhere, ANYWHERE).is_ok());
    }

    #[test]
    fn a_certificate_that_cannot_be_used_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        for mode in [TlsMode::Allowed, TlsMode::Required] {
            let mut options = TlsOptions { mode, ..Default::default() };
            assert!(matches!(check(&options, LOOPBACK), Err(TlsError::Missing { .. })));
            options.certificate = Some(cert.clone());
            assert!(matches!(check(&options, LOOPBACK), Err(TlsError::Missing { .. })));
            options.key = Some(key.clone());
            let _ = (std::fs::remove_file(&cert), std::fs::remove_file(&key));
            assert!(matches!(check(&options, LOOPBACK), Err(TlsError::Unreadable { .. })));
            std::fs::write(&cert, "not a certificate").unwrap();
            std::fs::write(&key, "not a key").unwrap();
            assert!(matches!(check(&options, LOOPBACK), Err(TlsError::Unreadable { .. })));

            let first = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let second = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(&cert, first.cert.pem()).unwrap();
            std::fs::write(&key, second.signing_key.serialize_pem()).unwrap();
            assert!(matches!(check(&options, LOOPBACK), Err(TlsError::Unusable { .. })));
            std::fs::write(&key, first.signing_key.serialize_pem()).unwrap();
            let tls = check(&options, ANYWHERE).expect("a pair that fits is taken");
            assert_eq!((tls.acceptor.is_some(), tls.required), (true, mode == TlsMode::Required));
        }
        let unused = TlsOptions { certificate: Some(cert), ..Default::default() };
        assert!(matches!(check(&unused, LOOPBACK), Err(TlsError::Unused)));
    }
}
