use proptest::prelude::*;

use super::*;

fn closed(first: u64, last: u64) -> RangeSpec {
    RangeSpec::Closed { first, last }
}

fn parsed(value: &str) -> Option<Vec<RangeSpec>> {
    Ranges::parse(value.as_bytes(), 4).map(|ranges| ranges.specs().to_vec())
}

fn resolved(value: &str, len: u64) -> Resolution {
    Ranges::parse(value.as_bytes(), 128).unwrap().resolve(len)
}

fn spans(spans: &[(u64, u64)]) -> Vec<Span> {
    spans.iter().map(|&(start, end)| Span { start, end }).collect()
}

#[test]
fn the_grammar() {
    let (from, suffix) = (|first| RangeSpec::From { first }, |len| RangeSpec::Suffix { len });
    let max = u64::MAX;
    for (value, specs) in [
        // RFC 9110 §14.1.2
        ("bytes=0-499", vec![closed(0, 499)]),
        ("bytes=500-999", vec![closed(500, 999)]),
        ("bytes=-500", vec![suffix(500)]),
        ("bytes=9500-", vec![from(9500)]),
        ("bytes=0-0,-1", vec![closed(0, 0), suffix(1)]),
        ("bytes= 0-0", vec![]),
        ("bytes=500-600,601-999", vec![closed(500, 600), closed(601, 999)]),
        ("bytes=500-700,601-999", vec![closed(500, 700), closed(601, 999)]),
        ("BYTES=0-1", vec![closed(0, 1)]),
        ("bytes=0-1 \t,\t 2-3", vec![closed(0, 1), closed(2, 3)]),
        ("bytes=,,0-1, ,2-3,", vec![closed(0, 1), closed(2, 3)]),
        ("bytes= ,0-1", vec![closed(0, 1)]),
        ("bytes=0-3,bytes=10-12", vec![closed(0, 3), closed(10, 12)]),
        ("bytes=0-3, Bytes=-2", vec![closed(0, 3), suffix(2)]),
        ("bytes=007-0010", vec![closed(7, 10)]),
        ("bytes=-0", vec![suffix(0)]),
        ("bytes=0-9007199254740991", vec![closed(0, VERY_LARGE)]),
        ("bytes=5-18446744073709551616", vec![closed(5, max)]),
        ("bytes=18446744073709551616-", vec![from(max)]),
        ("bytes=18446744073709551616-99999999999999999999", vec![closed(max, max)]),
        ("bytes=-99999999999999999999999", vec![suffix(max)]),
        ("bytes=0-0,1-1,2-2,3-3", vec![closed(0, 0), closed(1, 1), closed(2, 2), closed(3, 3)]),
    ] {
        assert_eq!(parsed(value), (!specs.is_empty()).then_some(specs), "{value}");
    }
}

#[test]
fn bad_ranges_are_ignored() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=, ,",
        "bytes=-",
        "bytes=--1",
        "bytes=1",
        "bytes=3-2",
        "bytes=a-b",
        "bytes=0-1;2-3",
        "bytes=0 -1",
        "bytes=0- 1",
        "bytes=- 1",
        "bytes =0-1",
        "bytes:0-1",
        "bytes 0-1",
        " bytes=0-1",
        "items=0-1",
        "bytes=+0-1",
        "bytes=0-+1",
        "bytes=0x0-1",
        "bytes=0-1-2",
        "bytes=0-1,x",
        "bytes=x,0-1",
        "byte=0-1",
        "bytes=bytes=0-1",
        "bytes=0-1,bytes=",
        "bytes=0-1,bytes=,2-3",
        "bytes=0-1,bytes=bytes=2-3",
        "bytes=0-1,items=2-3",
        "bytes=18446744073709551616-5",
        "bytes=0-0,1-1,2-2,3-3,4-4",
        "bytes=*",
        "bytes=0-*",
    ] {
        assert_eq!(parsed(value), None, "{value:?}");
    }
    assert_eq!(Ranges::parse(b"bytes=0-1", 0), None);
    assert_eq!(Ranges::parse(b"bytes=\xb2-3", 9), None);
}

#[test]
fn ranges_are_laid_over_a_length() {
    for (value, len, expected) in [
        ("bytes=0-499", 10_000, &[(0, 500)][..]),
        ("bytes=-500", 10_000, &[(9500, 10_000)]),
        ("bytes=9500-", 10_000, &[(9500, 10_000)]),
        ("bytes=0-0,-1", 10_000, &[(0, 1), (9999, 10_000)]),
        ("bytes=5-99", 10, &[(5, 10)]),
        ("bytes=-99", 10, &[(0, 10)]),
        ("bytes=0-9", 10, &[(0, 10)]),
        ("bytes=0-", 10, &[(0, 10)]),
        ("bytes=9-9", 10, &[(9, 10)]),
        ("bytes=5-18446744073709551615", 10, &[(5, 10)]),
        ("bytes=20-30,1-2,-0", 10, &[(1, 3)]),
        ("bytes=0-,0-", 10, &[(0, 10), (0, 10)]),
        ("bytes=3-4,0-1", 10, &[(3, 5), (0, 2)]),
    ] {
        assert_eq!(resolved(value, len), Resolution::Spans(spans(expected)), "{value}");
    }
    for (value, len) in [
        ("bytes=10-", 10),
        ("bytes=10-20", 10),
        ("bytes=-0", 10),
        ("bytes=0-0", 0),
        ("bytes=0-", 0),
        ("bytes=-0", 0),
        ("bytes=11-12,-0", 10),
        ("bytes=99999999999999999999-", u64::MAX),
    ] {
        assert_eq!(resolved(value, len), Resolution::Unsatisfiable, "{value}");
    }
    assert_eq!(resolved("bytes=0-,0-,0-0", 10), Resolution::Whole);
    assert_eq!(resolved("bytes=-1", 0), Resolution::Whole);
    assert_eq!(resolved("bytes=0-0,-1", 0), Resolution::Whole);
    assert_eq!(resolved("bytes=0-,0-,0-", u64::MAX), Resolution::Whole);
}

#[test]
fn one_range_is_told_from_several() {
    assert_eq!(Ranges::parse(b"bytes=1-2", 9).unwrap().single(), Some(closed(1, 2)));
    assert_eq!(Ranges::parse(b"bytes=1-2,3-4", 9).unwrap().single(), None);
}

#[test]
fn spans_are_joined() {
    let asked = spans(&[(5, 7), (0, 2), (2, 4), (6, 9), (11, 12)]);
    assert_eq!(reads(&asked), spans(&[(5, 7), (0, 4), (6, 9), (11, 12)]));
    assert_eq!(merge(asked), spans(&[(0, 4), (5, 9), (11, 12)]));
    assert_eq!(merge(spans(&[(0, 9), (1, 2), (3, 3)])), spans(&[(0, 9)]));
    assert_eq!(merge(Vec::new()), []);
    assert_eq!(reads(&[]), []);
}

proptest! {
    #[test]
    fn no_input_panics(value in any::<Vec<u8>>(), len: u64) {
        for value in [value.clone(), [b"bytes=", &value[..]].concat()] {
            if let Some(ranges) = Ranges::parse(&value, 3) {
                prop_assert!((1..=3).contains(&ranges.specs().len()));
                ranges.resolve(len);
            }
        }
    }

    /// Against ranges cut out of real bytes, one position after the other.
    #[test]
    fn the_bytes_are_those_asked(
        asked in prop::collection::vec((0..3, 0..30u64, 0..30u64), 1..6),
        len in 0..25u64,
    ) {
        let mut members = Vec::new();
        let mut model = Vec::new();
        let suffix_of_nothing = len == 0 && asked.iter().any(|&(kind, a, _)| kind == 2 && a > 0);
        for (kind, a, b) in asked {
            let (first, last) = (a.min(b), a.max(b));
            let (member, wanted): (_, Vec<u64>) = match kind {
                0 => (format!("{first}-{last}"), (0..len).filter(|at| (first..=last).contains(at)).collect()),
                1 => (format!("{a}-"), (0..len).filter(|at| *at >= a).collect()),
                _ => (format!("-{a}"), (0..len).filter(|at| at + a >= len).collect()),
            };
            members.push(member);
            model.push(wanted);
        }
        model.retain(|wanted| !wanted.is_empty());
        let bytes = |spans: &[Span]| spans.iter().flat_map(|span| span.start..span.end).collect::<Vec<_>>();
        match resolved(&format!("bytes={}", members.join(", ")), len) {
            Resolution::Unsatisfiable => prop_assert!(model.is_empty()),
            Resolution::Whole if suffix_of_nothing => {}
            Resolution::Whole => {
                prop_assert!(model.len() > 1 && model.concat().len() as u64 > 2 * len);
            }
            Resolution::Spans(spans) => {
                prop_assert!(model.len() == 1 || model.concat().len() as u64 <= 2 * len);
                prop_assert_eq!(bytes(&spans), model.concat());
                let reads = reads(&spans);
                prop_assert_eq!(bytes(&reads), model.concat());
                prop_assert!(reads.windows(2).all(|pair| pair[0].end != pair[1].start));
                let mut union = model.concat();
                union.sort_unstable();
                union.dedup();
                let merged = merge(spans);
                prop_assert_eq!(bytes(&merged), union);
                prop_assert!(merged.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
