//! Certificates for tests.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, SignatureAlgorithm,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Signs certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// The key.
    pub key: String,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The common name; empty: none.
    pub common: &'a str,
    /// The alternative names.
    pub names: &'a [&'a str],
    /// The days from and to which it is valid, counted from today.
    pub days: [i32; 2],
    /// The kind of its key.
    pub algorithm: &'static SignatureAlgorithm,
}

impl Default for Subject<'_> {
    fn default() -> Self {
        Self {
            common: "a server",
            names: &["localhost", "127.0.0.1"],
            days: [-1, 30],
            algorithm: &PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl Authority {
    /// One that vouches for itself.
    pub fn new(name: &str) -> Self {
        let issuer = CertifiedIssuer::self_signed(authority(name), key(&PKCS_ECDSA_P256_SHA256));
        Self(issuer.expect("a certificate"))
    }

    /// One that this one vouches for.
    pub fn below(&self, name: &str) -> Self {
        let key = key(&PKCS_ECDSA_P256_SHA256);
        Self(CertifiedIssuer::signed_by(authority(name), key, &self.0).expect("a certificate"))
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate.
    pub fn issue(&self, subject: &Subject<'_>) -> Issued {
        let key = key(subject.algorithm);
        let cert = params(subject).signed_by(&key, &self.0).expect("a certificate");
        Issued { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// A client that trusts it alone, and shows a certificate if it has one.
    pub fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Issued>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that go with the provider")
            .with_root_certificates(roots);
        let config = match own {
            Some(own) => {
                let (chain, key) = own.parsed();
                config.with_client_auth_cert(chain, key).expect("a pair")
            }
            None => config.with_no_client_auth(),
        };
        Arc::new(config)
    }
}

impl Issued {
    fn parsed(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.cert.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("certificates");
        (chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key"))
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(&Subject { common: name, names: &[], ..Subject::default() });
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn params(subject: &Subject<'_>) -> CertificateParams {
    let names: Vec<String> = subject.names.iter().map(|&name| name.into()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name = DistinguishedName::new();
    if !subject.common.is_empty() {
        params.distinguished_name.push(DnType::CommonName, subject.common);
    }
    let day = |days: i32| match days {
        0.. => SystemTime::now() + DAY * days.unsigned_abs(),
        _ => SystemTime::now() - DAY * days.unsigned_abs(),
    };
    params.not_before = day(subject.days[0]).into();
    params.not_after = day(subject.days[1]).into();
    params
}

fn key(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).expect("a key")
}
