//! `Range` and `Content-Range` against a model that asks of each byte whether it is meant.

use httpout_proto::semantics::{
    content_range,
    range::{RangeSpec, Ranges, Resolution, Span, merge, reads},
};

/// Most ranges that are taken.
const MOST: usize = 8;

/// One input: a field's value, and behind it one byte, the length of the representation.
pub fn run(data: &[u8]) {
    let Some((&len, value)) = data.split_last() else { return };
    content_range(value);
    let ranges = Ranges::parse(value, MOST);
    let model = parse(value);
    assert_eq!(ranges.as_ref().map(Ranges::specs), model.as_deref());
    let Some(ranges) = ranges else { return };
    assert!(!ranges.specs().is_empty() && ranges.specs().len() <= MOST);
    assert_eq!(ranges.single().is_some(), ranges.specs().len() == 1);
    for len in [u64::from(len), u64::MAX, 0] {
        check(&ranges, len);
    }
    resolve(&ranges, len);
}

/// What must hold for any length.
fn check(ranges: &Ranges, len: u64) {
    let Resolution::Spans(spans) = ranges.resolve(len) else { return };
    assert!(!spans.is_empty());
    assert!(spans.iter().all(|span| span.start < span.end && span.end <= len));
    let merged = merge(spans.clone());
    assert!(merged.windows(2).all(|pair| pair[0].end < pair[1].start));
    assert!(reads(&spans).windows(2).all(|pair| pair[0].end != pair[1].start));
}

/// Compares with what is asked of each byte.
fn resolve(ranges: &Ranges, len: u8) {
    let asked: Vec<Vec<u64>> = ranges
        .specs()
        .iter()
        .map(|spec| (0..u64::from(len)).filter(|&at| means(*spec, at, u64::from(len))).collect())
        .filter(|bytes: &Vec<_>| !bytes.is_empty())
        .collect();
    let sum: usize = asked.iter().map(Vec::len).sum();
    match ranges.resolve(len.into()) {
        Resolution::Unsatisfiable => assert!(asked.is_empty()),
        Resolution::Whole => assert!(asked.len() > 1 && sum > 2 * usize::from(len)),
        Resolution::Spans(spans) => {
            assert!(asked.len() == 1 || sum <= 2 * usize::from(len));
            assert_eq!(asked, spans.iter().map(bytes).collect::<Vec<_>>());
            let joined = asked.concat();
            assert_eq!(joined, reads(&spans).iter().flat_map(bytes).collect::<Vec<_>>());
            let mut union = joined;
            union.sort_unstable();
            union.dedup();
            assert_eq!(union, merge(spans).iter().flat_map(bytes).collect::<Vec<_>>());
        }
    }
}

fn bytes(span: &Span) -> Vec<u64> {
    (span.start..span.end).collect()
}

fn means(spec: RangeSpec, at: u64, len: u64) -> bool {
    match spec {
        RangeSpec::Closed { first, last } => first <= at && at <= last,
        RangeSpec::From { first } => first <= at,
        RangeSpec::Suffix { len: suffix } => len - at <= suffix,
    }
}

/// RFC 9110 §14.1.1, with the unit allowed before each range.
fn parse(value: &[u8]) -> Option<Vec<RangeSpec>> {
    let strip = |text: &[u8]| {
        let unit = text.get(..6).filter(|unit| unit.eq_ignore_ascii_case(b"bytes="));
        unit.map(|_| text[6..].to_vec())
    };
    let list = strip(value)?;
    let mut specs = Vec::new();
    for (index, member) in list.split(|&b| b == b',').enumerate() {
        let mut member = member.trim_ascii_end();
        if index > 0 {
            member = member.trim_ascii_start();
        }
        if member.is_empty() {
            continue;
        }
        let member = strip(member).filter(|_| index > 0).unwrap_or_else(|| member.to_vec());
        specs.push(spec(std::str::from_utf8(&member).ok()?)?);
    }
    (!specs.is_empty() && specs.len() <= MOST).then_some(specs)
}

fn spec(member: &str) -> Option<RangeSpec> {
    let (first, last) = member.split_once('-')?;
    let number = |digits: &str| {
        let fine = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
        fine.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        return Some(RangeSpec::Suffix { len: number(last)? });
    }
    let first = number(first)?;
    if last.is_empty() {
        return Some(RangeSpec::From { first });
    }
    let last = number(last)?;
    (first <= last).then_some(RangeSpec::Closed { first, last })
}

/// What is accepted is written the one way in which it can be written, but for zeros in front.
fn content_range(value: &[u8]) {
    let Ok(range) = content_range::parse(value) else { return };
    assert!(range.first <= range.last && range.last < u64::MAX);
    assert!(range.complete.is_none_or(|complete| complete > range.last));
    assert_eq!(u128::from(range.length()), u128::from(range.last) - u128::from(range.first) + 1);
    let complete = range.complete.map_or_else(|| "*".into(), |complete| complete.to_string());
    let written = format!("bytes {}-{}/{complete}", range.first, range.last);
    assert_eq!(content_range::parse(written.as_bytes()), Ok(range));
    let text = std::str::from_utf8(value).expect("only ASCII is accepted");
    assert!(text[..6].eq_ignore_ascii_case("bytes "));
    assert!(text[6..].chars().all(|c| c.is_ascii_digit() || "-/*".contains(c)));
    assert_eq!(trim_zeros(&text[6..]), trim_zeros(&written[6..]));
}

/// Without zeros at the front of numbers.
fn trim_zeros(text: &str) -> Vec<&str> {
    text.split(['-', '/']).map(|number| number.trim_start_matches('0')).collect()
}
