//! More fields for every answer: the option `hdrs`.

use crate::http::{HeaderList, InvalidField};

/// What only the server itself can know.
const OWN: [&str; 21] = [
    "accept-ranges",
    "allow",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "etag",
    "keep-alive",
    "last-modified",
    "location",
    "proxy-authenticate",
    "retry-after",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "accept-patch",
];

/// Checks names and values: nothing of them can end a line or frame a message.
///
/// # Errors
/// What is wrong, and with which field.
pub(crate) fn check(pairs: &[(String, String)]) -> Result<HeaderList, String> {
    let mut fields = HeaderList::default();
    for (name, value) in pairs {
        if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(format!("{name} is the server's own to set"));
        }
        fields.append(name, value).map_err(|why| match why {
            InvalidField::Name => format!("{name:?} is no name of a header field"),
            InvalidField::Value => {
                format!("the value of {name} holds what a header field cannot carry")
            }
        })?;
    }
    Ok(fields)
}

/// Reads the option: names and values alternately, separated by commas, over all of its
/// occurrences. Where a name is expected and a colon comes before any comma, the whole occurrence
/// is one `NAME: VALUE`; where an occurrence begins with a value, all of it is the value: so both
/// may hold commas.
///
/// # Errors
/// What is wrong.
pub fn parse<T: AsRef<str>>(occurrences: &[T]) -> Result<Vec<(String, String)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut name: Option<String> = None;
    for occurrence in occurrences.iter().map(AsRef::as_ref) {
        if let Some(name) = name.take() {
            pairs.push((name, occurrence.trim().to_owned()));
            continue;
        }
        let first = occurrence.split(',').next().unwrap_or_default();
        if first.contains(':')
            && let Some((name, value)) = occurrence.split_once(':')
        {
            pairs.push((name.trim().to_owned(), value.trim().to_owned()));
            continue;
        }
        for item in occurrence.split(',').map(|item| item.trim().to_owned()) {
            match name.take() {
                None => name = Some(item),
                Some(name) => pairs.push((name, item)),
            }
        }
    }
    match name {
        Some(name) => Err(format!("{name:?} has no value")),
        None => Ok(pairs),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::{is_field_name, is_field_value};

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn names_and_values_alternate() {
        for (occurrences, expected) in [
            (&["X-A,1"][..], vec![pair("X-A", "1")]),
            (&["X-A,1,X-B,2"], vec![pair("X-A", "1"), pair("X-B", "2")]),
            (&["X-A,1", "X-B,2"], vec![pair("X-A", "1"), pair("X-B", "2")]),
            (&["X-A: 1, 2"], vec![pair("X-A", "1, 2")]),
            (&["X-A", "camera=(), mic=()"], vec![pair("X-A", "camera=(), mic=()")]),
            (&["X-A", "http://a/"], vec![pair("X-A", "http://a/")]),
            (&["X-A,http://a/"], vec![pair("X-A", "http://a/")]),
            (&["X-A,"], vec![pair("X-A", "")]),
            (&[], vec![]),
        ] {
            assert_eq!(parse(occurrences), Ok(expected), "{occurrences:?}");
        }
        assert!(parse(&["X-A"]).is_err());
        assert!(parse(&["X-A,1,X-B"]).is_err());
    }

    #[test]
    fn nothing_is_taken_that_could_frame_a_message() {
        for (name, value) in [
            ("", "1"),
            ("X A", "1"),
            ("X-A\r\nX-B", "1"),
            ("X-A", "1\r\nX-B: 2"),
            ("X-A", "1\n"),
            ("X-A", "\0"),
            ("Content-Length", "0"),
            ("transfer-encoding", "chunked"),
            ("Connection", "close"),
        ] {
            assert!(check(&[pair(name, value)]).is_err(), "{name:?}: {value:?}");
        }
    }

    #[test]
    fn what_is_the_servers_own_is_refused_by_name() {
        for own in "Accept-Ranges Allow Connection Content-Encoding Content-Length Content-Range Content-Type Date ETag \
            Keep-Alive Last-Modified Location Retry-After TE Trailer Transfer-Encoding Upgrade WWW-Authenticate"
            .split(' ')
        {
            let problem = check(&[pair(own, "1")]).unwrap_err();
            assert!(problem.starts_with(own), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_stands_in_a_head_as_it_was_given(
            pairs in prop::collection::vec(
                ("X-[a-z]{0,8}|X-[!-~]{0,2}|X-\\PC", "[ -~]{0,8}|[a-z]{0,8}|.\n?"),
                0..4,
            ),
        ) {
            let fine = |(name, value): &(String, String)| {
                is_field_name(name) && is_field_value(value.as_bytes())
            };
            let headers = check(&pairs);
            prop_assert_eq!(headers.is_ok(), pairs.iter().all(fine));
            if let Ok(headers) = headers {
                let read: Vec<_> = headers
                    .iter()
                    .map(|(name, value)| pair(name, std::str::from_utf8(value).unwrap()))
                    .collect();
                prop_assert_eq!(read, pairs);
            }
        }

        #[test]
        fn each_spelling_is_read(
            pairs in prop::collection::vec(("X-[a-z]{0,4}", "([a-z=()]( ?[a-z=();]){0,4})?"), 1..6),
            values in prop::collection::vec("[!-~]([ -~]{0,8}[!-~])?", 6),
            comma in ",|, | ,",
        ) {
            let items: Vec<&str> = pairs.iter().flat_map(|(n, v)| [n.as_str(), v]).collect();
            prop_assert_eq!(parse(&[items.join(&comma)]), Ok(pairs.clone()));
            prop_assert!(parse(&[items[1..].join(&comma)]).is_err());
            // Values with commas and colons.
            let free = pairs.iter().map(|(name, _)| name.clone()).zip(values);
            let free: Vec<(String, String)> = free.collect();
            let apart: Vec<&str> = free.iter().flat_map(|(n, v)| [n.as_str(), v]).collect();
            prop_assert_eq!(parse(&apart), Ok(free.clone()));
            let joined: Vec<String> = free.iter().map(|(n, v)| format!("{n}: {v}")).collect();
            prop_assert_eq!(parse(&joined), Ok(free));
        }
    }
}
