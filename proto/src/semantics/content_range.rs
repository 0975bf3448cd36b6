//! `Content-Range` of an upload (RFC 9110 §14.4, §14.5).

use crate::http::parse_digits;

/// Where the bytes of an upload, or of one part of it, belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte; no less than `first`, less than `u64::MAX`.
    pub last: u64,
    /// Length of the whole, in bytes, if the sender knows it; more than `last`.
    pub complete: Option<u64>,
}

impl ContentRange {
    /// Number of bytes, at least one.
    pub fn length(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// Reads `bytes 0-3/100` or `bytes 0-3/*`.
///
/// # Errors
/// What is wrong, for a 400: any other form, among them `bytes */100` and a range without `/`;
/// another unit than bytes; a last position before the first one, or not within the whole, or of
/// `u64::MAX` and above.
pub fn parse(value: &[u8]) -> Result<ContentRange, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "Content-Range is not ASCII")?;
    let (unit, rest) = text.split_once(' ').ok_or("Content-Range has no range")?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return Err("Content-Range has a unit other than bytes");
    }
    let (range, complete) = rest.split_once('/').ok_or("Content-Range has no complete length")?;
    let (first, last) = range.split_once('-').ok_or("Content-Range has no range")?;
    let number = |digits: &str| {
        parse_digits(digits.as_bytes()).ok_or("Content-Range holds something that is no number")
    };
    let (first, last) = (number(first)?, number(last)?);
    if last < first {
        return Err("Content-Range ends before it begins");
    }
    if last == u64::MAX {
        return Err("Content-Range is out of bounds");
    }
    let complete = if complete == "*" { None } else { Some(number(complete)?) };
    if complete.is_some_and(|complete| complete <= last) {
        return Err("Content-Range ends past its complete length");
    }
    Ok(ContentRange { first, last, complete })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar() {
        for (value, first, last, complete) in [
            // RFC 9110 §14.4
            ("bytes 42-1233/1234", 42, 1233, Some(1234)),
            ("bytes 42-1233/*", 42, 1233, None),
            ("bytes 0-499/1234", 0, 499, Some(1234)),
            ("bytes 734-1233/1234", 734, 1233, Some(1234)),
            ("Bytes 0-0/1", 0, 0, Some(1)),
            ("bytes 0-18446744073709551614/18446744073709551615", 0, u64::MAX - 1, Some(u64::MAX)),
        ] {
            let range = ContentRange { first, last, complete };
            assert_eq!(parse(value.as_bytes()), Ok(range), "{value}");
            assert_eq!(range.length(), last - first + 1);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for value in [
            "",
            "bytes",
            "bytes ",
            "bytes 0-3",
            "bytes */100",
            "bytes */*",
            "bytes 0-3/",
            "bytes 0-/100",
            "bytes -3/100",
            "bytes 3-2/100",
            "bytes 0-3/3",
            "bytes 0-3/0",
            "bytes=0-3/100",
            "bytes  0-3/100",
            "bytes 0-3 /100",
            "bytes 0-3/ 100",
            "bytes\t0-3/100",
            "bytes 0 - 3/100",
            "items 0-3/100",
            "bytes 0-3,5-6/100",
            "bytes 0-3/100/7",
            "bytes +0-3/100",
            "bytes 0-+3/100",
            "bytes 0-3/+100",
            "bytes 0-3/-1",
            "bytes 0--3/9",
            "bytes a-b/c",
            "bytes 0-18446744073709551615/*",
            "bytes 0-18446744073709551616/*",
            "bytes 0-3/18446744073709551616",
            "bytes 18446744073709551616-18446744073709551617/*",
            " bytes 0-3/100",
            "bytes 0-3/100 ",
            "bytes 0-3/**",
        ] {
            assert!(parse(value.as_bytes()).is_err(), "{value:?}");
        }
        assert!(parse(b"bytes 0-\xff/9").is_err());
    }

    proptest! {
        #[test]
        fn no_input_panics(tail in any::<Vec<u8>>(), number in "bytes [0-9]{0,21}-[0-9]{0,21}/[0-9*]{0,21}") {
            let _ = parse(&tail);
            let _ = parse(&[b"bytes ", &tail[..]].concat());
            if let Ok(range) = parse(number.as_bytes()) {
                prop_assert!(range.first <= range.last && range.last < u64::MAX);
                prop_assert!(range.complete.is_none_or(|complete| complete > range.last));
            }
        }
    }
}
