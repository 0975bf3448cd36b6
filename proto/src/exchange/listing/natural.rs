//! Names in the order that people expect.

/// A key that sorts, byte by byte, as people sort its name: numbers by their value, letters without regard to case. What is
/// alike so far then goes by its own bytes, so that no two names are equal.
pub(super) fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 * name.len() + 8);
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() {
            let (number, behind) = split_number(rest);
            rest = behind;
            let digits = number.trim_start_matches('0');
            // Any digit does here: it keeps numbers where they stand among other characters. The longer number is the greater one.
            key.push(b'0');
            key.extend(u16::try_from(digits.len()).unwrap_or(u16::MAX).to_be_bytes());
            key.extend(digits.as_bytes());
        } else {
            rest = &rest[c.len_utf8()..];
            if c.is_ascii() {
                key.push(c.to_ascii_lowercase() as u8);
            } else {
                let mut utf8 = [0; 4];
                for c in c.to_lowercase() {
                    key.extend(c.encode_utf8(&mut utf8).as_bytes());
                }
            }
        }
    }
    // No name holds a NUL, so a name stands before all that begin with it.
    key.push(0);
    key.extend(name.as_bytes());
    key
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    /// The same order, said otherwise: part by part.
    fn plain(one: &str, other: &str) -> Ordering {
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        enum Part {
            Below(char),
            Number(u128),
            Above(char),
        }
        let parts = |name: &str| {
            let (mut parts, mut rest) = (Vec::new(), name);
            while let Some(c) = rest.chars().next() {
                if c.is_ascii_digit() {
                    let (number, behind) = split_number(rest);
                    parts.push(Part::Number(number.parse().unwrap()));
                    rest = behind;
                } else {
                    let part = if c < '0' { Part::Below } else { Part::Above };
                    parts.extend(c.to_lowercase().map(part));
                    rest = &rest[c.len_utf8()..];
                }
            }
            parts
        };
        parts(one).cmp(&parts(other)).then_with(|| one.cmp(other))
    }

    #[test]
    fn numbers_go_by_value_and_case_does_not_count() {
        let sorted = [
            "-rf", "000", "01", "1", "2", "10", "a", "a b", "A1", "a2", "a2b", "a2c", "a10", "aB",
            "B", "b", "\u{130}", "seg00009", "Seg10", "seg010", "Zoo", "Ä", "ä", "視1", "視2",
            "視10",
        ];
        for pair in sorted.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_sort_as_said(
            one in "[a-cA-C0-3.éÉ\u{130}~ -]{0,10}|[^\\x00]{0,8}",
            other in "[a-cA-C0-3.éÉ\u{130}~ -]{0,10}|[^\\x00]{0,8}",
        ) {
            prop_assert_eq!(key(&one).cmp(&key(&other)), plain(&one, &other));
        }
    }
}
