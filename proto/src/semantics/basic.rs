//! Basic credentials (RFC 7617).

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::{auth::Secret, http::HeaderList};

/// Most bytes of a name and a password, decoded, with the colon.
const LONGEST: usize = 1024;

/// Padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The user name and password of a request.
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
/// What is wrong with them, for a 400: not the base64 of UTF-8 with a colon, a control character,
/// too long; several lines.
pub fn credentials(fields: &HeaderList) -> Result<Option<Basic>, &'static str> {
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

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD as ENCODER;
    use proptest::prelude::*;

    use super::*;

    fn read(value: &[u8]) -> Result<Option<Basic>, &'static str> {
        credentials(&[("Authorization", value)].into_iter().collect())
    }

    #[test]
    fn names_and_passwords() {
        for (value, user, password) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"),
            ("basic   QWxhZGRpbjpvcGVuIHNlc2FtZQ", "Aladdin", "open sesame"),
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=", "Aladdin", "open sesame"),
            ("BASIC Og==", "", ""),
            ("Basic YTpiOmM=", "a", "b:c"),
            ("Basic dGVzdDoxMjPCow==", "test", "123£"),
        ] {
            let basic = read(value.as_bytes()).unwrap().unwrap();
            assert_eq!((&*basic.user, basic.password.reveal()), (user, password), "{value}");
        }
    }

    #[test]
    fn what_is_of_another_scheme_is_as_if_it_were_not_there() {
        assert_eq!(credentials(&HeaderList::default()), Ok(None));
        for value in ["Bearer abc", "Basically YTpi", "Digest username=\"a\"", ""] {
            assert_eq!(read(value.as_bytes()), Ok(None), "{value}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let long = format!("Basic {}", ENCODER.encode("a:".to_owned() + &"b".repeat(1023)));
        let longest = format!("Basic {}", ENCODER.encode("a:".to_owned() + &"b".repeat(1022)));
        assert!(read(longest.as_bytes()).unwrap().is_some());
        for value in [
            "Basic",
            "Basic ",
            "Basic !!!!",
            "Basic YTpi YTpi",
            "Basic YWI=",
            "Basic /zo=",
            "Basic YToKYg==",
            "Basic YTpi====",
            "Basic Y",
            "Basic YTp-",
            // Bits that mean nothing.
            "Basic YTpiYR==",
            &long,
            &format!("Basic {}", "A".repeat(100_000)),
        ] {
            assert!(read(value.as_bytes()).is_err(), "{value}");
        }
        for other in [&b"Basic YTpi"[..], b"Bearer x"] {
            let twice = [("Authorization", &b"Basic YTpi"[..]), ("authorization", other)];
            assert!(credentials(&twice.into_iter().collect()).is_err());
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read(user in "[^:\\p{Cc}]{0,20}", password in "\\P{Cc}{0,20}") {
            let value = format!("Basic {}", ENCODER.encode(format!("{user}:{password}")));
            let basic = read(value.as_bytes()).unwrap().unwrap();
            prop_assert_eq!(basic.user, user);
            prop_assert_eq!(basic.password.reveal(), password);
        }
    }
}
