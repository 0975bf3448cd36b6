//! What lets pages of other origins read answers (Fetch §3.2, Resource Timing §4.5).
//!
//! `Access-Control-Allow-Origin` is always `*`, never the origin that asks: a page may then send a
//! password that it was given, but the browser never adds one it has kept. To reflect any origin
//! with credentials would let every page of the web act with the rights of whoever looks at it.

use crate::http::{HeaderList, is_tchar};

/// When answers carry the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// Never.
    Off,
    /// Always.
    On,
    /// Where the request has an `Origin`.
    #[default]
    Auto,
}

/// Seconds for which a browser may remember a preflight's answer.
pub(crate) const MAX_AGE: &str = "86400";

/// Requested names that are looked at, and bytes of the list that is answered.
const MOST_NAMES: usize = 32;
const MOST_BYTES: usize = 2 << 10;

/// What players and upload pages send. `*` would not cover `Authorization`.
const USUAL: [&str; 8] = [
    "authorization",
    "content-type",
    "content-range",
    "range",
    "cmcd-object",
    "cmcd-request",
    "cmcd-session",
    "cmcd-status",
];

impl Cors {
    /// True if the answer to a request, with an `Origin` or without, is to carry the fields.
    pub fn applies(self, has_origin: bool) -> bool {
        match self {
            Self::Off => false,
            Self::On => true,
            Self::Auto => has_origin,
        }
    }
}

/// What every answer carries. Exposed by name is what players read: `*` is no wildcard for a
/// request with credentials.
pub(crate) const FIELDS: [(&str, &str); 3] = [
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Expose-Headers",
        "Accept-Ranges, Age, Content-Encoding, Content-Length, Content-Location, Content-Range, \
         Content-Type, Date, ETag, Last-Modified, Retry-After, Server-Timing, Server-UTC, \
         CMSD-Static, CMSD-Dynamic, icy-br, icy-description, icy-genre, icy-metaint, icy-name, \
         icy-url, ice-audio-info",
    ),
    ("Timing-Allow-Origin", "*"),
];

/// The value of `Access-Control-Allow-Headers` for a preflight (Fetch §4.8): the usual names, and
/// those that it asks for. `None`: the request is none.
pub fn preflight(fields: &HeaderList) -> Option<String> {
    fields.get("origin")?;
    fields.get("access-control-request-method")?;
    let mut names = USUAL.join(", ");
    for name in fields.list("access-control-request-headers").take(MOST_NAMES) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let known = USUAL.iter().any(|usual| usual.eq_ignore_ascii_case(name));
        let room = names.len() + ", ".len() + name.len() <= MOST_BYTES;
        if !known && name.bytes().all(is_tchar) && room {
            names.push_str(", ");
            names.push_str(name);
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::is_field_value;

    fn asked(names: &[u8]) -> String {
        let fields = [
            ("Origin", &b"http://a"[..]),
            ("Access-Control-Request-Method", b"PUT"),
            ("Access-Control-Request-Headers", names),
        ];
        preflight(&fields.into_iter().collect()).unwrap()
    }

    #[test]
    fn a_preflight_is_told_by_its_two_fields() {
        let (origin, method) =
            (("Origin", &b"http://a"[..]), ("Access-Control-Request-Method", &b"PUT"[..]));
        assert_eq!(preflight(&[origin].into_iter().collect()), None);
        assert_eq!(preflight(&[method].into_iter().collect()), None);
        assert_eq!(preflight(&[origin, method].into_iter().collect()), Some(USUAL.join(", ")));
    }

    #[test]
    fn asked_names_are_echoed_unless_they_are_none() {
        let usual = USUAL.join(", ");
        assert_eq!(asked(b"x-a,Range, x-b"), format!("{usual}, x-a, x-b"));
        assert_eq!(asked(b"x a, (), \xff"), usual);
        let names = |len: usize| asked("x-a,".repeat(len).as_bytes()).matches("x-a").count();
        assert_eq!((names(32), names(33)), (32, 32));
        let room = MOST_BYTES - usual.len() - ", ".len();
        assert_eq!(asked("x".repeat(room).as_bytes()).len(), MOST_BYTES);
        assert_eq!(asked("x".repeat(room + 1).as_bytes()), usual);
    }

    #[test]
    fn when_answers_carry_the_fields() {
        for (cors, without, with) in
            [(Cors::Off, false, false), (Cors::On, true, true), (Cors::Auto, false, true)]
        {
            assert_eq!([false, true].map(|origin| cors.applies(origin)), [without, with]);
        }
        assert_eq!(Cors::default(), Cors::Auto);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_the_answer_is_a_short_list_of_names(
            names in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "([ -~]{0,4}|[a-z-]{0,99}|,){0,60}".prop_map(String::into_bytes),
            ],
        ) {
            let answer = asked(&names);
            let listed: Vec<&str> = answer.split(", ").collect();
            prop_assert_eq!(&listed[..USUAL.len()], &USUAL);
            prop_assert!(listed.len() <= USUAL.len() + MOST_NAMES && answer.len() <= MOST_BYTES);
            for name in listed {
                prop_assert!(!name.is_empty() && name.bytes().all(is_tchar), "{:?}", name);
            }
        }
    }

    #[test]
    fn what_is_added_are_fields() {
        for (name, value) in FIELDS {
            assert!(name.bytes().all(is_tchar) && is_field_value(value.as_bytes()), "{name}");
        }
    }
}
