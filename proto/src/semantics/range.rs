//! Byte ranges that a request asks for (RFC 9110 §14.1, §14.2).

use crate::http::parse_digits;

/// A last position no smaller than this stands for "as far as it will go" (RFC 8673 §2.1): 2^53 -
/// 1.
pub const VERY_LARGE: u64 = 9_007_199_254_740_991;

/// Bytes `start..end` of a representation, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset behind the last byte; no less than `start`.
    pub end: u64,
}

impl Span {
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One range as asked (RFC 9110 §14.1.2). A position beyond u64 is read as `u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeSpec {
    /// `first-last`, both included.
    Closed {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte; no less than `first`.
        last: u64,
    },
    /// `first-`: up to the end.
    From {
        /// Offset of the first byte.
        first: u64,
    },
    /// `-len`: the last bytes.
    Suffix {
        /// Number of bytes.
        len: u64,
    },
}

/// The ranges of a `Range` field, in the order asked; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(Vec<RangeSpec>);

/// What ranges mean for a representation of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// They add up to too much: answer with the whole (RFC 9110 §14.2 leaves it to the server).
    Whole,
    /// None of them begins within the representation: 416.
    Unsatisfiable,
    /// These bytes, in the order asked; at least one span, none of them empty.
    Spans(Vec<Span>),
}

impl Ranges {
    /// Reads the value of a `Range` field (RFC 9110 §14.2). The spelling `bytes=0-3,bytes=10-12` is
    /// read as `bytes=0-3,10-12`.
    ///
    /// `None` means that the field is to be ignored: another unit than bytes, any breach of the
    /// grammar, a last position before the first one, or more than `most` ranges.
    pub fn parse(value: &[u8], most: usize) -> Option<Self> {
        let mut specs = Vec::new();
        for (index, member) in strip_unit(value)?.split(|&b| b == b',').enumerate() {
            let first = index == 0;
            let member = if first { member.trim_ascii_end() } else { member.trim_ascii() };
            if member.is_empty() {
                continue;
            }
            let member = if first { member } else { strip_unit(member).unwrap_or(member) };
            if specs.len() == most {
                return None;
            }
            specs.push(spec(member)?);
        }
        (!specs.is_empty()).then_some(Self(specs))
    }

    /// The ranges, in the order asked.
    pub fn specs(&self) -> &[RangeSpec] {
        &self.0
    }

    /// The range, if there is just one.
    pub fn single(&self) -> Option<RangeSpec> {
        match self.0.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Lays the ranges over a representation of `len` bytes (RFC 9110 §14.1.2): last positions are
    /// clamped, a suffix longer than the representation is all of it, ranges that begin past the
    /// end are dropped. Several ranges that add up to more than twice `len` are
    /// [`Resolution::Whole`], and so is a suffix of an empty representation.
    pub fn resolve(&self, len: u64) -> Resolution {
        let spans: Vec<_> = self.0.iter().filter_map(|spec| lay(*spec, len)).collect();
        let sum: u128 = spans.iter().map(|span| u128::from(span.len())).sum();
        // A suffix of nothing is all of it, and no range can be named there (RFC 9110 §14.1.2,
        // §14.4).
        let is_suffix = |spec: &RangeSpec| matches!(spec, RangeSpec::Suffix { len: 1.. });
        match spans.len() {
            0 if len == 0 && self.0.iter().any(is_suffix) => Resolution::Whole,
            0 => Resolution::Unsatisfiable,
            2.. if sum > 2 * u128::from(len) => Resolution::Whole,
            _ => Resolution::Spans(spans),
        }
    }
}

/// Sorts spans and joins those that overlap or touch. Empty ones are dropped.
pub fn merge(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| !span.is_empty());
    spans.sort_unstable_by_key(|span| span.start);
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(before) if span.start <= before.end => before.end = before.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// Joins neighbours where the one ends where the next begins: what is read, in the order asked.
pub fn reads(spans: &[Span]) -> Vec<Span> {
    let mut reads: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match reads.last_mut() {
            Some(before) if before.end == span.start => before.end = span.end,
            _ => reads.push(*span),
        }
    }
    reads
}

/// What follows `bytes=`; range units compare without case (RFC 9110 §14.1).
fn strip_unit(value: &[u8]) -> Option<&[u8]> {
    let (unit, rest) = value.split_at_checked(b"bytes=".len())?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(rest)
}

fn spec(member: &[u8]) -> Option<RangeSpec> {
    let dash = member.iter().position(|&b| b == b'-')?;
    match (&member[..dash], &member[dash + 1..]) {
        (b"", len) => Some(RangeSpec::Suffix { len: saturating(len)? }),
        (first, b"") => Some(RangeSpec::From { first: saturating(first)? }),
        (first, last) => {
            let (first, last) = (saturating(first)?, saturating(last)?);
            (first <= last).then_some(RangeSpec::Closed { first, last })
        }
    }
}

/// Digits and nothing else; what u64 cannot hold is `u64::MAX`.
fn saturating(digits: &[u8]) -> Option<u64> {
    let fine = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    fine.then(|| parse_digits(digits).unwrap_or(u64::MAX))
}

/// The bytes that a range names among `len`; `None` if there are none.
fn lay(spec: RangeSpec, len: u64) -> Option<Span> {
    let (start, end) = match spec {
        RangeSpec::Closed { first, last } => (first, last.saturating_add(1).min(len)),
        RangeSpec::From { first } => (first, len),
        RangeSpec::Suffix { len: suffix } => (len.saturating_sub(suffix), len),
    };
    (start < end).then_some(Span { start, end })
}

#[cfg(test)]
mod tests;
