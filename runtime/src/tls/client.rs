//! What the TLS connections of a client share: which servers it trusts, and its certificate.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use httpout_proto::ConfigError;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    sign::SingleCertAndKey,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{
    Driver,
    pair::{self, Pair},
};

/// What is spoken over TLS (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// Which servers a client trusts, and its certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustOptions {
    /// PEM file of the authorities that may vouch for servers (`ca`); without it, those of the
    /// system.
    pub ca: Option<PathBuf>,
    /// Take any certificate (`insecure`).
    pub insecure: bool,
    /// PEM file of the client's own certificate (`cert`), for servers that ask for one.
    pub cert: Option<PathBuf>,
    /// PEM file of its private key (`pkey`); without it, the key is looked for in the certificate's
    /// file.
    pub pkey: Option<PathBuf>,
}

/// Which servers a client trusts.
#[derive(Clone, Debug)]
pub struct ClientSetup(Arc<ClientConfig>);

impl ClientSetup {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that is broken; a certificate that servers would refuse.
    pub fn new(options: &TrustOptions) -> Result<Self, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|why| ConfigError {
                option: "ca",
                problem: format!("TLS cannot be set up: {why}"),
                help: "make /dev/urandom available",
            })?;
        let config = if options.insecure {
            let any = Anybody(provider.signature_verification_algorithms);
            config.dangerous().with_custom_certificate_verifier(Arc::new(any))
        } else {
            config.with_root_certificates(options.roots()?)
        };
        let mut config = match &options.cert {
            Some(cert) => {
                let pkey = options.pkey.as_deref();
                let own = Pair::read(cert, pkey, &provider, SystemTime::now())?;
                let own = SingleCertAndKey::from((*own.key).clone());
                config.with_client_cert_resolver(Arc::new(own))
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// The client's side of a new connection to this host, which must be named in the server's
    /// certificate.
    ///
    /// # Errors
    /// A host that no certificate can name; or the system gives no random bytes.
    pub fn driver(&self, host: &str) -> Result<Driver, Error> {
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|why| Error::General(format!("{host}: {why}")))?;
        Driver::client(self.0.clone(), name)
    }
}

impl TrustOptions {
    /// The authorities of `ca`; or those of the system; or, where it has none, those that browsers
    /// know.
    fn roots(&self) -> Result<RootCertStore, ConfigError> {
        let mut roots = RootCertStore::empty();
        let Some(file) = &self.ca else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
            return Ok(roots);
        };
        for certificate in pair::read_certificates("ca", file)? {
            roots.add(certificate).map_err(|why| ConfigError {
                option: "ca",
                problem: format!(
                    "{} holds a certificate that cannot vouch for others: {why}",
                    file.display()
                ),
                help: "name a PEM file of the authority that signed the server's certificate",
            })?;
        }
        Ok(roots)
    }
}

/// Why a handshake failed, and what can be done.
pub(crate) fn explain(why: &Error) -> String {
    if let Error::InvalidCertificate(problem) = why {
        let help = advice(problem);
        return format!("the server is not trusted: {help} ({why})");
    }
    if let Error::AlertReceived(alert) = why {
        return format!(
            "the server refuses TLS ({alert:?}); it may want a client certificate (--cert, --pkey), or another one"
        );
    }
    format!("TLS failed: {why}; check host and port")
}

fn advice(problem: &CertificateError) -> &'static str {
    use CertificateError as Problem;
    if matches!(problem, Problem::NotValidForName | Problem::NotValidForNameContext { .. }) {
        "its certificate is for another name; write that name in the URL"
    } else if matches!(problem, Problem::Expired | Problem::ExpiredContext { .. }) {
        "its certificate has expired; have it renewed, and check the clock of this machine"
    } else if matches!(problem, Problem::NotValidYet | Problem::NotValidYetContext { .. }) {
        "its certificate is not valid yet; check the clock of this machine"
    } else {
        "nobody that is trusted has signed its certificate; name who did with --ca FILE"
    }
}

/// Takes any certificate, whose key the server must have.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
