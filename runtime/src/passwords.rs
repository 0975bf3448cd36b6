//! Passwords against what is stored of them. Slow on purpose: never to be called on an event loop.

#[cfg(test)]
mod tests;

use std::hint::black_box;

use argon2::{
    Algorithm, Argon2, Params, PasswordVerifier as _, Version,
    password_hash::{self, phc::PasswordHash},
};
use bcrypt::{BcryptError, HashParts};
use httpout_proto::auth::{Credential, Secret};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Memory of our own hashes, in KiB.
const MEMORY: u32 = 19 * 1024;
/// Passes of our own hashes.
const PASSES: u32 = 2;
/// Lanes of our own hashes.
const LANES: u32 = 1;
/// Most memory that a stored hash may ask for, in KiB.
const MOST_MEMORY: u32 = 1024 * 1024;
/// Most passes that a stored hash may ask for.
const MOST_PASSES: u32 = 100;
/// Most rounds that a stored bcrypt hash may ask for, as a power of two.
const MOST_COST: u32 = 18;

/// True if this is the password. Without a credential, because there is no such user, it takes as
/// long as with one of our own: the time does not tell which users there are.
///
/// A credential that cannot be checked, or only at an excessive price, is logged and matches no
/// password.
pub(crate) fn verify(credential: Option<&Credential>, password: &Secret) -> bool {
    let password = password.reveal().as_bytes();
    match credential {
        None => {
            hash_in_vain(password);
            false
        }
        Some(Credential::Argon2(hash)) => verify_argon2(hash, password),
        Some(Credential::Bcrypt(hash)) => verify_bcrypt(hash, password),
        Some(Credential::Sha1(digest)) => Sha1::digest(password).ct_eq(digest).into(),
        Some(Credential::Salted { digest, salt }) => {
            let hash = Sha256::new().chain_update(password).chain_update(b"@").chain_update(salt);
            hash.finalize().ct_eq(digest).into()
        }
    }
}

/// What to store of a password: a PHC string of argon2id, with a random salt of 16 bytes.
///
/// # Errors
/// The system gives no random bytes.
#[cfg(feature = "cli")]
pub(crate) fn hash(password: &Secret) -> password_hash::Result<String> {
    use argon2::PasswordHasher as _;

    let hash = own_argon2()?.hash_password(password.reveal().as_bytes())?;
    Ok(hash.to_string())
}

fn own_argon2() -> password_hash::Result<Argon2<'static>> {
    let params = Params::new(MEMORY, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_in_vain(password: &[u8]) {
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let hashed = own_argon2()
        .map(|argon2| argon2.hash_password_into(password, b"there is no user", &mut output));
    // So that it is done although no request needs it.
    black_box((hashed, output)).0.ok();
}

fn verify_argon2(hash: &str, password: &[u8]) -> bool {
    let verified =
        parse_argon2(hash).map(|hash| Argon2::default().verify_password(password, &hash));
    match verified {
        Ok(Ok(())) => true,
        Ok(Err(password_hash::Error::PasswordInvalid)) => false,
        Ok(Err(error)) => unusable(&error.to_string()),
        Err(why) => unusable(why),
    }
}

fn verify_bcrypt(hash: &str, password: &[u8]) -> bool {
    match check_bcrypt(hash) {
        Ok(()) => {
            bcrypt::verify(password, hash).unwrap_or_else(|error| unusable(&error.to_string()))
        }
        Err(why) => unusable(&why),
    }
}

fn parse_argon2(hash: &str) -> Result<PasswordHash, &'static str> {
    let parsed = PasswordHash::new(hash).ok();
    let params = parsed.as_ref().and_then(|hash| Params::try_from(hash).ok());
    let (Some(hash), Some(params)) = (parsed, params) else {
        return Err("it is not a PHC string of argon2");
    };
    if params.m_cost() > MOST_MEMORY {
        return Err("it needs more than 1 GiB of memory");
    }
    if params.t_cost() > MOST_PASSES {
        return Err("it needs more than 100 passes");
    }
    Ok(hash)
}

fn check_bcrypt(hash: &str) -> Result<(), String> {
    let parts: HashParts = hash.parse().map_err(|error: BcryptError| error.to_string())?;
    if parts.get_cost() > MOST_COST {
        return Err(format!("it needs more than 2^{MOST_COST} rounds"));
    }
    Ok(())
}

/// Matches no password.
fn unusable(why: &str) -> bool {
    tracing::warn!(
        "a password hash of the users file cannot be used: {why}; set that password anew"
    );
    false
}
