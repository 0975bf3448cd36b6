//! Reads a certificate and its key, and refuses what clients would refuse.

use std::{fs::File, io::Read as _, path::Path, sync::Arc, time::SystemTime};

use httpout_proto::ConfigError;
use rustls::{Error, InconsistentKeys, crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};
use x509_cert::{
    Certificate,
    der::{DateTime, Decode as _},
};

/// No PEM file of ours is larger, in bytes.
const LARGEST: u64 = 1 << 20;
/// What stands in the file of an encrypted key, as of today and as of old.
const ENCRYPTED: [&str; 2] = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];
/// Some editors put this in front of a text; no PEM block would begin there.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A certificate with its key.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) not_after: SystemTime,
}

impl Pair {
    /// Reads both files; the key may stand in the certificate's.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else; a certificate that is not valid at
    /// `now`, or another key's.
    pub(super) fn read(
        cert: &Path,
        pkey: Option<&Path>,
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Self, ConfigError> {
        let chain = read_certificates("cert", cert)?;
        let key = read_key(cert, pkey)?;
        let shown = cert.display();
        let error = |problem: String, help| ConfigError { option: "cert", problem, help };
        let (not_before, not_after) = validity(&chain[0]).ok_or_else(|| {
            error(format!("{shown}: the first certificate cannot be read"), "make it anew")
        })?;
        if now > not_after.to_system_time() {
            let problem = format!("the certificate in {shown} expired at {not_after}");
            return Err(error(problem, "renew it"));
        }
        if now < not_before.to_system_time() {
            let problem = format!("the certificate in {shown} is not valid before {not_before}");
            return Err(error(problem, "check the clock of this machine, or wait"));
        }
        let key_file = pkey.unwrap_or(cert).display();
        let other_key = Error::InconsistentKeys(InconsistentKeys::KeyMismatch);
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|why| {
            if let Error::InvalidCertificate(why) = why {
                let problem = format!("the certificate in {shown} cannot be used: {why}");
                let help = "make it anew as X.509 version 3: `openssl x509 -req` needs -extfile for that";
                return error(problem, help);
            }
            let (problem, help) = if why == other_key {
                (
                    format!("the key in {key_file} is not that of the certificate in {shown}"),
                    "name the key that the certificate was made for; in a chain, the server's own certificate comes first",
                )
            } else {
                (
                    format!("the key in {key_file} cannot be used: {why}"),
                    "use RSA of 2048 bits or more, ECDSA with P-256 or P-384, or Ed25519",
                )
            };
            ConfigError { option: "pkey", problem, help }
        })?;
        Ok(Self { key: Arc::new(key), not_after: not_after.to_system_time() })
    }
}

/// The certificates of a PEM file, at least one.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub(super) fn read_certificates(
    option: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = read(option, file)?;
    let shown = file.display();
    let help = "name a PEM file, which has -----BEGIN CERTIFICATE----- in it";
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let problem = match certificates {
        Ok(certificates) if !certificates.is_empty() => return Ok(certificates),
        Ok(_) => format!("{shown} holds no certificate"),
        Err(why) => format!("{shown} is broken: {why}"),
    };
    Err(ConfigError { option, problem, help })
}

fn read_key(cert: &Path, pkey: Option<&Path>) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let text = read(if pkey.is_some() { "pkey" } else { "cert" }, pkey.unwrap_or(cert))?;
    let shown = pkey.unwrap_or(cert).display();
    let error = |problem: String, help| ConfigError { option: "pkey", problem, help };
    PrivateKeyDer::from_pem_slice(&text).map_err(|why| {
        let shows = String::from_utf8_lossy(&text);
        if ENCRYPTED.iter().any(|sign| shows.contains(sign)) {
            error(
                format!("the key in {shown} is encrypted"),
                "decrypt it: openssl pkey -in FILE -out KEY, and let nobody else read that",
            )
        } else if !matches!(why, pem::Error::NoItemsFound) {
            error(format!("{shown} is broken: {why}"), "make it anew")
        } else if pkey.is_none() {
            error(
                format!("there is no private key in {shown}"),
                "name the file of the certificate's key with --pkey FILE",
            )
        } else {
            error(
                format!("{shown} holds no private key"),
                "name a PEM file, which has -----BEGIN PRIVATE KEY----- in it",
            )
        }
    })
}

fn read(option: &'static str, file: &Path) -> Result<Vec<u8>, ConfigError> {
    let shown = file.display();
    let mut text = Vec::new();
    let read = File::open(file).and_then(|open| open.take(LARGEST + 1).read_to_end(&mut text));
    let (problem, help) = match read {
        Err(why) => {
            (format!("{shown} cannot be read: {why}"), "check the path and its permissions")
        }
        Ok(_) if text.len() as u64 > LARGEST => {
            (format!("{shown} is too large"), "name a PEM file")
        }
        Ok(_) => {
            if text.starts_with(BYTE_ORDER_MARK) {
                text.drain(..BYTE_ORDER_MARK.len());
            }
            return Ok(text);
        }
    };
    Err(ConfigError { option, problem, help })
}

fn validity(certificate: &CertificateDer<'_>) -> Option<(DateTime, DateTime)> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    Some((validity.not_before.to_date_time(), validity.not_after.to_date_time()))
}
