//! A certificate for development, made at the start: no authority signs it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use httpout_proto::ConfigError;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::{crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::PrivateKeyDer;

use super::pair::Pair;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Browsers take none that is valid for longer than 398 days.
const VALID: Duration = Duration::from_secs(397 * 24 * 60 * 60);

/// A pair for this machine: its name, its addresses, `localhost`.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn make(provider: &CryptoProvider, now: SystemTime) -> Result<Pair, ConfigError> {
    try_make(provider, now).map_err(|why| ConfigError {
        option: "self-signed",
        problem: format!("no certificate can be made: {why}"),
        help: "make one by other means, and name it with --cert FILE and --pkey FILE",
    })
}

fn try_make(
    provider: &CryptoProvider,
    now: SystemTime,
) -> Result<Pair, Box<dyn std::error::Error>> {
    let mut params = CertificateParams::new(names())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "httpout, self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Clocks differ.
    params.not_before = now.checked_sub(DAY).unwrap_or(now).into();
    let not_after = now + VALID;
    params.not_after = not_after.into();
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let key = CertifiedKey::from_der(vec![certificate.der().clone()], der, provider)?;
    Ok(Pair { key: Arc::new(key), not_after })
}

fn names() -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !host.is_empty() && host.chars().all(is_name) {
        names.push(host);
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    names.extend(interfaces.iter().map(|interface| interface.ip().to_string()));
    names.sort();
    names.dedup();
    names
}
