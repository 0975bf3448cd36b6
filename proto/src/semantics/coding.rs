//! Content codings, and which one a client wants (RFC 9110 §8.4, §12.5.3).

use crate::http::HeaderList;

/// Members of `Accept-Encoding` that are looked at.
const MOST: usize = 64;

/// A content coding that the server can apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// The zlib format of RFC 1950, which is what `deflate` means (RFC 9110 §8.4.1.2).
    Deflate,
}

impl Coding {
    /// All of them, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Deflate];

    /// The name in `Accept-Encoding` and `Content-Encoding`.
    pub fn token(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The coding of this name, without regard to case.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|coding| coding.is_named(name))
    }

    fn is_named(self, name: &[u8]) -> bool {
        let alias = match self {
            Self::Gzip => "x-gzip",
            Self::Deflate => "deflate",
        };
        name.eq_ignore_ascii_case(self.token().as_bytes())
            || name.eq_ignore_ascii_case(alias.as_bytes())
    }
}

/// The coding that the client likes best, gzip of two it likes as much. `None`: it likes none, or
/// the content as it is better; or it does not say. `*` stands for what is not named, `identity`
/// too. Members that cannot be read are passed over.
pub fn choose(fields: &HeaderList) -> Option<Coding> {
    let mut named = [None; Coding::ALL.len()];
    let (mut identity, mut others) = (None, None);
    for (name, weight) in fields.list("accept-encoding").take(MOST).filter_map(member) {
        if name == b"*" {
            others.get_or_insert(weight);
        } else if name.eq_ignore_ascii_case(b"identity") {
            identity.get_or_insert(weight);
        }
        for (coding, slot) in Coding::ALL.iter().zip(&mut named) {
            if coding.is_named(name) {
                slot.get_or_insert(weight);
            }
        }
    }
    let weights = named.map(|weight: Option<u16>| weight.or(others).unwrap_or(0));
    // On a tie the first one is taken.
    let best = Coding::ALL.into_iter().zip(weights).rev().max_by_key(|(_, weight)| *weight);
    best.filter(|&(_, weight)| weight > 0 && weight >= identity.or(others).unwrap_or(0))
        .map(|(coding, _)| coding)
}

/// The name, and its weight in thousandths.
fn member(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = member.splitn(2, |&b| b == b';');
    let name = parts.next()?.trim_ascii();
    let weight = match parts.next() {
        None => 1000,
        Some(parameter) => {
            let (key, value) = parameter.trim_ascii().split_at_checked(2)?;
            weight(value).filter(|_| key.eq_ignore_ascii_case(b"q="))?
        }
    };
    (!name.is_empty()).then_some((name, weight))
}

/// `qvalue` in thousandths (RFC 9110 §12.4.2).
pub(crate) fn weight(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole, b'.', decimals @ ..] => (whole, decimals),
        [whole] => (whole, &b""[..]),
        _ => return None,
    };
    if decimals.len() > 3 || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths = (0..3)
        .fold(0, |sum, at| sum * 10 + decimals.get(at).map_or(0, |digit| u16::from(digit - b'0')));
    match whole {
        b'0' => Some(thousandths),
        b'1' if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(value: &str) -> Option<Coding> {
        choose(&[("Accept-Encoding", value.as_bytes())].into_iter().collect())
    }

    #[test]
    fn the_best_liked_coding_is_chosen() {
        let (gzip, deflate) = (Some(Coding::Gzip), Some(Coding::Deflate));
        for (value, expected) in [
            ("gzip", gzip),
            ("GZip", gzip),
            ("x-gzip", gzip),
            ("deflate", deflate),
            ("deflate, gzip", gzip),
            ("gzip;q=0.5, deflate", deflate),
            ("gzip;q=0.5,deflate;q=0.501", deflate),
            ("gzip ; q=0.5 , deflate ; q=0.4", gzip),
            ("*", gzip),
            ("*;q=0.1, gzip;q=0", deflate),
            ("gzip;q=0, deflate;q=0", None),
            ("*;q=0", None),
            ("", None),
            ("br", None),
            ("br, zstd, gzip;q=0.2", gzip),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", gzip),
            ("identity;q=0, deflate", deflate),
            ("*;q=0.5, gzip;q=0.4, deflate;q=0.3", None),
            ("*;q=0.5, gzip;q=0.4, deflate;q=0.3, identity;q=0.2", gzip),
            ("*;q=0.5, gzip;q=0.4", deflate),
            ("gzip;q=2", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=1.001", None),
            ("gzip;q=", None),
            ("gzip;x=1", None),
            ("gzip;q=1.000, deflate;q=1", gzip),
            ("gzip;q=0, gzip", None),
            (",, ,gzip", gzip),
        ] {
            assert_eq!(chosen(value), expected, "{value:?}");
        }
        assert_eq!(choose(&HeaderList::default()), None);
        let lines = [("Accept-Encoding", &b"gzip;q=0.1"[..]), ("accept-encoding", b"deflate")];
        assert_eq!(choose(&lines.into_iter().collect()), deflate);
        assert_eq!(chosen(&("br,".repeat(64) + "gzip")), None);
        assert_eq!(chosen(&("br,".repeat(63) + "gzip")), gzip);
    }

    /// `None`: left out.
    fn weight_of(name: &'static str) -> impl Strategy<Value = (&'static str, Option<u16>)> {
        (Just(name), prop::option::of(prop_oneof![Just(0), Just(1000), 0..=1000u16]))
    }

    proptest! {
        #[test]
        fn neither_order_nor_lines_nor_what_is_malformed_matters(
            members in ["gzip", "deflate", "identity", "*"].map(weight_of).prop_shuffle(),
            noise in "(gzip|deflate|identity|\\*);(q=2|q=1\\.001|q=0\\.1234|q=|x=1|q=1;x=1)",
            one_line in any::<bool>(),
        ) {
            let weight = |wanted: &str| {
                members.iter().find(|(name, _)| *name == wanted).and_then(|(_, weight)| *weight)
            };
            let [gzip, deflate, identity] = ["gzip", "deflate", "identity"]
                .map(|name| weight(name).or_else(|| weight("*")).unwrap_or(0));
            let expected = match gzip.max(deflate) {
                0 => None,
                best if best < identity => None,
                best if best == gzip => Some(Coding::Gzip),
                _ => Some(Coding::Deflate),
            };
            let values = members.iter().filter_map(|(name, weight)| {
                weight.map(|weight| format!("{name};q={}.{:03}", weight / 1000, weight % 1000))
            });
            let mut lines: Vec<String> = [noise].into_iter().chain(values).collect();
            if one_line {
                lines = vec![lines.join(" , ")];
            }
            let fields = lines.iter().map(|line| ("Accept-Encoding", line.as_bytes())).collect();
            prop_assert_eq!(choose(&fields), expected);
        }
    }
}
