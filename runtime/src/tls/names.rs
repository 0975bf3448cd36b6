//! The name in a certificate.

use rustls_pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// Longest name in bytes; X.520 allows 64 characters for a common name.
const LONGEST: usize = 256;

/// The name by which rules know a client: the common name, or else the first of the alternative
/// names that is a text (a host, an e-mail address, a URI). `None`: it has neither, or one that no
/// rule can name.
pub(super) fn client_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let subject = certificate.tbs_certificate();
    let common =
        subject.subject().common_name().ok().flatten().map(|name| name.value().into_owned());
    let name = common.or_else(|| {
        let (_, SubjectAltName(names)) = subject.get_extension().ok().flatten()?;
        names.iter().find_map(|name| match name {
            GeneralName::DnsName(text)
            | GeneralName::Rfc822Name(text)
            | GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
            GeneralName::OtherName(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::IpAddress(_)
            | GeneralName::RegisteredId(_) => None,
        })
    })?;
    let fits = !name.is_empty() && name.len() <= LONGEST && !name.contains(char::is_control);
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn name(common: &str, others: &[SanType]) -> Option<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "an organization");
        if !common.is_empty() {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        params.subject_alt_names = others.to_vec();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        client_name(certificate.der())
    }

    #[test]
    fn the_common_name_goes_first() {
        let host = SanType::DnsName("host.example".try_into().unwrap());
        let mail = SanType::Rfc822Name("me@example.com".try_into().unwrap());
        let uri = SanType::URI("spiffe://example/encoder".try_into().unwrap());
        let address = SanType::IpAddress([192, 0, 2, 1].into());
        assert_eq!(name("alice", &[]).as_deref(), Some("alice"));
        assert_eq!(name("Zoë", std::slice::from_ref(&host)).as_deref(), Some("Zoë"));
        let all = [address.clone(), mail.clone(), host.clone(), uri.clone()];
        assert_eq!(name("", &all).as_deref(), Some("me@example.com"));
        assert_eq!(name("", &[host, mail]).as_deref(), Some("host.example"));
        assert_eq!(name("", &[uri]).as_deref(), Some("spiffe://example/encoder"));
        assert_eq!(name("", &[address]), None);
        assert_eq!(name("", &[]), None);
    }

    #[test]
    fn what_no_rule_can_name_is_no_name() {
        assert_eq!(name("a\nb", &[]), None);
        assert_eq!(name("a\0", &[]), None);
        assert_eq!(name(&"x".repeat(LONGEST), &[]), Some("x".repeat(LONGEST)));
        assert_eq!(name(&"x".repeat(LONGEST + 1), &[]), None);
        assert_eq!(client_name(&CertificateDer::from(&b"garbage"[..])), None);
    }
}
