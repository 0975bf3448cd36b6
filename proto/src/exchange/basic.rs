//! Basic credentials (RFC 7617).

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::{auth::Secret, http1::Fields};

/// Most bytes of a name and a password, decoded, with the colon.
const LONGEST: usize = 1024;

/// Padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Who somebody claims to be, and the password that is to prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic {
    /// The name; may be empty.
    pub user: String,
    /// The password; may be empty.
    pub password: Secret,
}

/// The credentials of a request. `None`: it has none, or of another scheme.
///
/// # Errors
/// What is wrong with them, for a 400: not the base64 of UTF-8 with a colon, a control character, too long; several lines.
pub fn credentials(fields: &Fields) -> Result<Option<Basic>, &'static str> {
    let mut lines = fields.all("authorization");
    let line = match (lines.next(), lines.next()) {
        (None, _) => return Ok(None),
        (Some(line), None) => line,
        (Some(_), Some(_)) => return Err("there are two Authorization fields"),
    };
    let at = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
    let (scheme, token) = line.split_at(at);
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Ok(None);
    }
    let token = token.trim_ascii();
    if token.len() > LONGEST.div_ceil(3) * 4 {
        return Err("the name and the password are too long");
    }
    let decoded = BASE64.decode(token).map_err(|_| "the credentials are not base64")?;
    if decoded.len() > LONGEST {
        return Err("the name and the password are too long");
    }
    let text = String::from_utf8(decoded).map_err(|_| "the credentials are not UTF-8")?;
    if text.contains(char::is_control) {
        return Err("the credentials hold a control character");
    }
    let (user, password) =
        text.split_once(':').ok_or("the credentials have no colon between name and password")?;
    Ok(Some(Basic { user: user.to_owned(), password: Secret::new(password.to_owned()) }))
}
