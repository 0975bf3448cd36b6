//! Header fields of a message, in the order they came.

use bytes::Bytes;

/// Field lines (RFC 9110 §5): names compare without case, lines keep their order, values carry no white
/// space at the ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    raw: Bytes,
    lines: Vec<Line>,
}

/// Where a line lies in the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    name: (u32, u32),
    value: (u32, u32),
}

impl Line {
    /// From the offsets of the name's and the value's start and end; a head is shorter than 4 GiB.
    pub(crate) fn new(name: (usize, usize), value: (usize, usize)) -> Self {
        let short = |(start, end): (usize, usize)| (start as u32, end as u32);
        Self { name: short(name), value: short(value) }
    }
}

impl Fields {
    /// Lines whose names and values lie at these offsets of `raw`.
    pub(crate) fn new(raw: Bytes, at: Vec<Line>) -> Self {
        Self { raw, lines: at }
    }

    /// The value of the first line of this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.lines().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The values of all lines of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        let name = name.as_bytes();
        self.lines().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The members of a comma-separated list (RFC 9110 §5.6.1) over all lines of this name, without empty
    /// ones. For lists whose members hold no quoted strings.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.all(name)
            .flat_map(|value| value.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    /// All lines, as name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let text = |name| std::str::from_utf8(name).unwrap_or_default();
        self.lines().map(move |(name, value)| (text(name), value))
    }

    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|line| {
            let slice = |(start, end): (u32, u32)| &self.raw[start as usize..end as usize];
            (slice(line.name), slice(line.value))
        })
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True if there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl<'a, V: AsRef<[u8]>> FromIterator<(&'a str, V)> for Fields {
    fn from_iter<T: IntoIterator<Item = (&'a str, V)>>(lines: T) -> Self {
        let mut raw = Vec::new();
        let mut at = Vec::new();
        for (name, value) in lines {
            let start = raw.len();
            raw.extend_from_slice(name.as_bytes());
            let middle = raw.len();
            raw.extend_from_slice(value.as_ref());
            at.push(Line::new((start, middle), (middle, raw.len())));
        }
        Self::new(raw.into(), at)
    }
}

/// True if a header field can carry this value (RFC 9110 §5.5): visible characters, `obs-text` (bytes
/// beyond ASCII: UTF-8, Latin-1), spaces and tabs, and no white space at the ends.
pub fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|&b| matches!(b, b'\t' | b' '..=b'~' | 0x80..)) && value.trim_ascii() == value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_run_over_lines() {
        let fields: Fields = [("A", "x,, y "), ("B", "n"), ("a", ",z")].into_iter().collect();
        let list: Vec<_> = fields.list("a").collect();
        assert_eq!(list, [b"x", b"y", b"z"]);
        assert_eq!(fields.get("b"), Some(&b"n"[..]));
        assert_eq!(fields.get("c"), None);
    }

    #[test]
    fn values_cannot_split_a_head() {
        assert!(is_field_value(b"max-age=3, public"));
        assert!(is_field_value(b""));
        assert!(is_field_value("Café".as_bytes()) && is_field_value(b"Caf\xe9"));
        for bad in [&b"a\r\nb: c"[..], b"\n", b"a\0", b" a", b"a ", b"\x7f", b"\xe9\n"] {
            assert!(!is_field_value(bad), "{bad:?}");
        }
    }
}
