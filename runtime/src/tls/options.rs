//! What the operator says about TLS.

use std::path::PathBuf;

use httpout_proto::ConfigError;

/// The options of TLS. By default it is off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsOptions {
    /// PEM file of the server's certificate, the certificates that signed it behind it (`cert`).
    pub cert: Option<PathBuf>,
    /// PEM file of its private key (`pkey`); without it, the key is looked for in the certificate's
    /// file.
    pub pkey: Option<PathBuf>,
    /// Make a certificate at the start, for development, instead of reading one (`self-signed`).
    pub self_signed: bool,
    /// PEM file of the authorities whose client certificates are taken (`client-ca`).
    pub client_ca: Option<PathBuf>,
    /// Whether a client must have one (`client-auth`).
    pub client_auth: ClientAuth,
}

/// Whether a client must have a certificate, where clients are asked for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// A client without one is refused.
    #[default]
    Required,
    /// A client without one has no user name.
    Optional,
}

impl TlsOptions {
    /// True if the server has a certificate.
    pub fn is_on(&self) -> bool {
        self.self_signed || self.cert.is_some()
    }

    /// Checks what can be seen without reading a file.
    ///
    /// # Errors
    /// Options that need or exclude each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (option, problem, help) = match self {
            Self { self_signed: true, cert: Some(_), .. } => (
                "self-signed",
                "there is a certificate already",
                "leave out either --self-signed or --cert and --pkey",
            ),
            Self { pkey: Some(_), cert: None, .. } => {
                ("pkey", "there is no certificate for this key", "name one with --cert FILE")
            }
            Self { client_ca: Some(_), cert: None, self_signed: false, .. } => (
                "client-ca",
                "clients show certificates over TLS only, and the server has none of its own",
                "name one with --cert FILE and --pkey FILE",
            ),
            Self { client_auth: ClientAuth::Optional, client_ca: None, .. } => (
                "client-auth",
                "no client is asked for a certificate",
                "say which ones are taken with --client-ca FILE",
            ),
            _ => return Ok(()),
        };
        Err(ConfigError { option, problem: problem.into(), help })
    }
}
