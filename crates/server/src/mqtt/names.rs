//! The names in a client's certificate, which rustls has checked: its common name, then its DNS
//! names.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_certificate::X509Certificate;

/// Names that are looked at.
const NAMES_MAX: usize = 8;

/// None where the certificate cannot be read: then it names nobody.
pub fn of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let parsed = X509Certificate::from_der(certificate.as_ref());
    let common = parsed.ok().and_then(|parsed| parsed.subject_common_name());
    let mut names: Vec<String> = common.into_iter().collect();
    if let Ok(certificate) = EndEntityCert::try_from(certificate) {
        names.extend(certificate.valid_dns_names().take(NAMES_MAX).map(str::to_owned));
    }
    names
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_s_names_are_its_common_name_and_its_dns_names() {
        let mut params = CertificateParams::new(["gateway-7".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "air");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(of(certificate.der()), ["air", "gateway-7"]);
        assert!(of(&CertificateDer::from(vec![1, 2, 3])).is_empty());
    }
}
