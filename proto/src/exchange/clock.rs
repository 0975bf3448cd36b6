//! The clock for players, under `/.httpout/time`: what `urn:mpeg:dash:utc:http-iso:2014` and
//! `…http-xsdate:2014` ask for (ISO/IEC 23009-1 §5.8.4.11). Both forms have milliseconds: a player
//! that keeps to a live edge gains from them, and `Date.parse` and XML Schema read them.
//!
//! dash.js sends a GET for either scheme, wants status 200 and nothing else, and gives the whole
//! body to `Date.parse`. Numbers are no dates to it: the URL in a manifest must ask for `iso` or
//! `xsdate`.

use std::time::{SystemTime, UNIX_EPOCH};

/// The body of the answer: `iso` or `xsdate` in the query: `2026-11-23T02:12:34.123Z`; else with
/// `ms`: milliseconds since 1970; else seconds.
pub fn answer(query: Option<&str>, now: SystemTime) -> String {
    let has = |name: &str| {
        let pairs = query.unwrap_or_default().split('&');
        pairs.map(|pair| pair.split('=').next().unwrap_or_default()).any(|key| key == name)
    };
    if has("iso") || has("xsdate") {
        humantime::format_rfc3339_millis(now.max(UNIX_EPOCH)).to_string()
    } else if has("ms") {
        milliseconds(now).to_string()
    } else {
        (milliseconds(now) / 1000).to_string()
    }
}

/// Milliseconds since 1970; 0 before.
pub fn milliseconds(now: SystemTime) -> u128 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_query_says_in_which_form() {
        let now = UNIX_EPOCH + Duration::from_millis(1_795_399_954_007);
        for (query, expected) in [
            (None, "1795399954"),
            (Some(""), "1795399954"),
            (Some("ms"), "1795399954007"),
            (Some("iso"), "2026-11-23T02:12:34.007Z"),
            (Some("iso&ms"), "2026-11-23T02:12:34.007Z"),
            (Some("ms=true&xsdate=1"), "2026-11-23T02:12:34.007Z"),
            (Some("isotope"), "1795399954"),
        ] {
            assert_eq!(answer(query, now), expected, "{query:?}");
        }
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(answer(Some("ms"), before), "0");
        assert_eq!(answer(Some("iso"), before), "1970-01-01T00:00:00.000Z");
    }

    proptest! {
        #[test]
        fn all_forms_tell_the_same_time(nanos in 0..4_000_000_000_000_000_000u64) {
            let now = UNIX_EPOCH + Duration::from_nanos(nanos);
            let millis = UNIX_EPOCH + Duration::from_millis(nanos / 1_000_000);
            let iso = answer(Some("iso"), now);
            prop_assert_eq!(iso.len(), "2026-11-23T02:12:34.123Z".len());
            prop_assert_eq!(humantime::parse_rfc3339(&iso), Ok(millis));
            prop_assert_eq!(answer(Some("ms"), now), (nanos / 1_000_000).to_string());
            prop_assert_eq!(answer(None, now), (nanos / 1_000_000_000).to_string());
        }
    }
}
