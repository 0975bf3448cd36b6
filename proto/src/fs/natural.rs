//! Names in the order that people expect.

use std::cmp::Ordering;

/// A part of a name, in the order that people expect. Numbers stand between the characters below
/// `0` and those above `9`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Below(char),
    /// The longer number is the greater one: leading zeros do not count.
    Number(usize, &'a str),
    Above(char),
}

/// Compares names as people sort them: numbers by their value, letters without regard to case.
/// Names that are alike so far go by their bytes, so no two names are equal.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let start = common(one, other);
    parts(&one[start..]).cmp(parts(&other[start..])).then_with(|| one.cmp(other))
}

/// The length of the common beginning, without the number or character that its end is a part of.
fn common(one: &str, other: &str) -> usize {
    let bytes = one.as_bytes();
    let same = bytes.iter().zip(other.as_bytes()).take_while(|(one, other)| one == other).count();
    let start = same - bytes[..same].iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let is_boundary = |at: &usize| one.is_char_boundary(*at) && other.is_char_boundary(*at);
    (0..=start).rev().find(is_boundary).unwrap_or(0)
}

fn parts(name: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = name;
    let pieces = std::iter::from_fn(move || {
        let c = rest.chars().next()?;
        let (number, letters);
        if c.is_ascii_digit() {
            let (digits, behind) = split_number(rest);
            let digits = digits.trim_start_matches('0');
            (number, letters) = (Some(Part::Number(digits.len(), digits)), None);
            rest = behind;
        } else {
            let part = if c < '0' { Part::Below } else { Part::Above };
            (number, letters) = (None, Some(c.to_lowercase().map(part)));
            rest = &rest[c.len_utf8()..];
        }
        Some(number.into_iter().chain(letters.into_iter().flatten()))
    });
    pieces.flatten()
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same order by the bytes of a key.
    fn key(name: &str) -> Vec<u8> {
        let mut key = Vec::new();
        let mut rest = name;
        while let Some(c) = rest.chars().next() {
            if c.is_ascii_digit() {
                let (number, behind) = split_number(rest);
                rest = behind;
                let digits = number.trim_start_matches('0');
                key.push(b'0');
                key.extend(u16::try_from(digits.len()).unwrap().to_be_bytes());
                key.extend(digits.as_bytes());
            } else {
                rest = &rest[c.len_utf8()..];
                key.extend(c.to_lowercase().collect::<String>().bytes());
            }
        }
        // No name holds a NUL, so a name stands before all that begin with it.
        key.push(0);
        key.extend(name.as_bytes());
        key
    }

    #[test]
    fn numbers_go_by_value_and_case_does_not_count() {
        let sorted = [
            "-rf", "000", "01", "1", "2", "10", "a", "a b", "A1", "a2", "a2b", "a2c", "a10", "aB",
            "B", "b", "\u{130}", "seg00009", "Seg10", "seg010", "Zoo", "Ä", "ä", "視1", "視2",
            "視10",
        ];
        for pair in sorted.windows(2) {
            assert!(compare(pair[0], pair[1]).is_lt(), "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn names_compare_as_their_keys(
            one in "[a-cA-C0-3.éÉ\u{130}~ -]{0,10}|[^\\x00]{0,8}",
            other in "[a-cA-C0-3.éÉ\u{130}~ -]{0,10}|[^\\x00]{0,8}",
            same in "[a-c0-3é\u{130}]{0,5}",
        ) {
            prop_assert_eq!(compare(&one, &other), key(&one).cmp(&key(&other)));
            let (one, other) = (format!("{same}{one}"), format!("{same}{other}"));
            prop_assert_eq!(compare(&one, &other), key(&one).cmp(&key(&other)));
        }
    }
}
