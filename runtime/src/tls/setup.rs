//! What the TLS connections of a server share, until a reload.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use httpout_proto::ConfigError;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ServerSessionMemoryCache, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
};

use rustls_pki_types::CertificateDer;

use super::{
    ClientAuth, Driver, TlsOptions,
    pair::{self, Pair},
    self_signed,
};

/// The protocol over TLS (RFC 7301). A client that offers only others is refused.
const ALPN: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];
/// Sessions of TLS 1.2 clients without tickets that are remembered.
const SESSIONS: usize = 1024;
/// An end that is so near is warned of.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Certificate, key, and the client certificates that are asked for.
#[derive(Debug)]
pub struct Setup {
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
    pair: Pair,
}

impl Setup {
    /// Reads the files. A self-signed certificate is taken over from what was `before`.
    ///
    /// # Errors
    /// A file that is broken; a certificate that clients would refuse.
    pub fn new(options: &TlsOptions, before: Option<&Self>) -> Result<Self, ConfigError> {
        options.check()?;
        let provider = Arc::new(ring::default_provider());
        let now = SystemTime::now();
        let pair = match (&options.cert, before) {
            (Some(cert), _) => Pair::read(cert, options.pkey.as_deref(), &provider, now)?,
            (None, Some(before)) => before.pair.clone(),
            (None, None) => self_signed::make(&provider, now)?,
        };
        if pair.not_after < now + SOON {
            let left = pair.not_after.duration_since(now).unwrap_or_default();
            let hours = left.as_secs() / 3600;
            tracing::warn!("the certificate expires in {hours} hours; SIGHUP reads a new one");
        }
        let unusable = |problem: String| ConfigError {
            option: "cert",
            problem,
            help: "make /dev/urandom available",
        };
        let versions = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|why| unusable(format!("TLS cannot be set up: {why}")))?;
        let verifier = match &options.client_ca {
            Some(file) => verifier_of(file, options.client_auth, provider)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let mut config = versions
            .with_client_cert_verifier(verifier.clone())
            .with_cert_resolver(Arc::new(SingleCertAndKey::from((*pair.key).clone())));
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        config.ticketer = ring::Ticketer::new()
            .map_err(|why| unusable(format!("the system gives no random bytes: {why}")))?;
        Ok(Self { config: Arc::new(config), verifier, pair })
    }

    /// The server's side of a new connection.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn driver(&self) -> Result<Driver, rustls::Error> {
        Driver::server(self.config.clone(), self.verifier.clone())
    }

    /// The server's own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        // A chain that was read or made has one.
        &self.pair.key.cert[0]
    }

    /// When the server's certificate expires.
    pub fn not_after(&self) -> SystemTime {
        self.pair.not_after
    }
}

fn verifier_of(
    file: &Path,
    auth: ClientAuth,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let error = |why: &dyn std::error::Error| ConfigError {
        option: "client-ca",
        problem: format!(
            "{} holds a certificate that cannot vouch for others: {why}",
            file.display()
        ),
        help: "name a PEM file of the authorities that sign the clients' certificates",
    };
    let mut authorities = RootCertStore::empty();
    for certificate in pair::read_certificates("client-ca", file)? {
        authorities.add(certificate).map_err(|why| error(&why))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
    let builder = match auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|why| error(&why))
}
