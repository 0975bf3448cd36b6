//! The content of a 206: one range, several in one, or `multipart/byteranges` (RFC 9110 §15.3.7,
//! §14.6).

use std::{
    fmt::Write as _,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::range::{Span, merge, reads};
use crate::{
    fs::{FileId, Meta},
    http::{Part, is_field_value},
    site::Multirange,
};

/// What ranges add to a response, and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Value of `Content-Range`; `None` for a multipart, whose parts have their own.
    pub content_range: Option<String>,
    /// Value of `Content-Type` if it is another one than the representation's.
    pub content_type: Option<String>,
    /// The body.
    pub parts: Vec<Part>,
}

/// Answers with these spans of a representation of `len` bytes that lies in `file`. There is at
/// least one span, and each lies within `len`. One span, asked for or left after joining, is
/// answered by itself in every form (RFC 9110 §15.3.7.2 forbids a multipart for one range).
/// `media_type` is the representation's, `boundary` is as of [`boundary`].
pub fn partial(
    spans: Vec<Span>,
    len: u64,
    how: Multirange,
    media_type: &str,
    file: FileId,
    boundary: &str,
) -> Partial {
    let spans = match how {
        Multirange::Concat => spans,
        Multirange::Multipart => reads(&spans),
        Multirange::Merge => merge(spans),
    };
    if how == Multirange::Concat || spans.len() == 1 {
        return Partial {
            content_range: Some(content_range(&spans, len)),
            content_type: None,
            parts: reads(&spans).into_iter().map(|span| read(file, span)).collect(),
        };
    }
    let mut parts = Vec::with_capacity(2 * spans.len() + 1);
    let mut before = "";
    for span in spans {
        let mut head = format!("{before}--{boundary}\r\n");
        if !media_type.is_empty() && is_field_value(media_type.as_bytes()) {
            let _ = write!(head, "Content-Type: {media_type}\r\n");
        }
        let _ = write!(head, "Content-Range: {}\r\n\r\n", content_range(&[span], len));
        parts.push(Part::Bytes(head.into()));
        parts.push(read(file, span));
        before = "\r\n";
    }
    parts.push(Part::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    let content_type = Some(format!("multipart/byteranges; boundary={boundary}"));
    Partial { content_range: None, content_type, parts }
}

/// `Content-Range` of a 416 (RFC 9110 §14.4): `bytes */LEN`.
pub fn unsatisfied(len: u64) -> String {
    format!("bytes */{len}")
}

/// A boundary for these spans of a file (RFC 2046 §5.1.1): 32 hexadecimal digits that depend on
/// nothing else, and so are hardly found in the file.
pub fn boundary(meta: &Meta, spans: &[Span]) -> String {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        (salt, meta.inode, meta.len, meta.modified, spans).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(0), half(1))
}

/// `bytes 0-3/100`, or `bytes 0-3/100, 10-12/100` for several spans in one body.
fn content_range(spans: &[Span], len: u64) -> String {
    let mut value = String::from("bytes ");
    for (index, span) in spans.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let _ = write!(value, "{comma}{}-{}/{len}", span.start, span.end.saturating_sub(1));
    }
    value
}

fn read(file: FileId, span: Span) -> Part {
    Part::File { file, at: span.start, len: span.len() }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    const FORMS: [Multirange; 3] = [Multirange::Concat, Multirange::Multipart, Multirange::Merge];

    fn spans(spans: &[(u64, u64)]) -> Vec<Span> {
        spans.iter().map(|&(start, end)| Span { start, end }).collect()
    }

    fn answer(asked: &[(u64, u64)], len: u64, how: Multirange) -> Partial {
        partial(spans(asked), len, how, "video/mp4", FileId::outside(7), "BOUND")
    }

    /// The body, where the file holds at each offset the offset's low byte.
    fn body(parts: &[Part]) -> Vec<u8> {
        let mut body = Vec::new();
        for part in parts {
            match part {
                Part::Bytes(bytes) => body.extend_from_slice(bytes),
                Part::File { file, at, len } => {
                    assert_eq!(*file, FileId::outside(7));
                    body.extend((*at..at + len).map(|at| at as u8));
                }
            }
        }
        body
    }

    #[test]
    fn one_span_is_one_range() {
        for how in FORMS {
            let partial = answer(&[(500, 1000)], 8000, how);
            assert_eq!(partial.content_range.as_deref(), Some("bytes 500-999/8000"));
            assert_eq!(partial.content_type, None);
            assert_eq!(partial.parts, [Part::File { file: FileId::outside(7), at: 500, len: 500 }]);
        }
    }

    #[test]
    fn concatenated_ranges_keep_their_order() {
        let partial = answer(&[(10, 13), (0, 4), (4, 6)], 100, Multirange::Concat);
        assert_eq!(partial.content_range.as_deref(), Some("bytes 10-12/100, 0-3/100, 4-5/100"));
        assert_eq!(partial.content_type, None);
        assert_eq!(partial.parts.len(), 2);
        assert_eq!(body(&partial.parts), [10, 11, 12, 0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn multipart_is_framed() {
        let partial = answer(&[(65, 67), (67, 68), (48, 50)], 8000, Multirange::Multipart);
        assert_eq!(partial.content_range, None);
        assert_eq!(partial.content_type.as_deref(), Some("multipart/byteranges; boundary=BOUND"));
        let expected = "--BOUND\r\nContent-Type: video/mp4\r\nContent-Range: bytes 65-67/8000\r\n\r\nABC\r\n\
                        --BOUND\r\nContent-Type: video/mp4\r\nContent-Range: bytes 48-49/8000\r\n\r\n01\r\n\
                        --BOUND--\r\n";
        assert_eq!(String::from_utf8(body(&partial.parts)).unwrap(), expected);
    }

    #[test]
    fn joined_spans_are_one_range() {
        let partial = answer(&[(3, 9), (0, 4)], 10, Multirange::Merge);
        assert_eq!(partial.content_range.as_deref(), Some("bytes 0-8/10"));
        assert_eq!(partial.content_type, None);
        let partial = answer(&[(0, 4), (4, 9)], 10, Multirange::Multipart);
        assert_eq!(partial.content_range.as_deref(), Some("bytes 0-8/10"));
        assert_eq!(partial.content_type, None);
    }

    #[test]
    fn a_media_type_adds_no_line() {
        for media_type in ["", "a/b\r\nX: y"] {
            let asked = spans(&[(0, 1), (5, 6)]);
            let partial =
                partial(asked, 9, Multirange::Multipart, media_type, FileId::outside(7), "B");
            assert!(body(&partial.parts).starts_with(b"--B\r\nContent-Range: bytes 0-0/9\r\n\r\n"));
        }
    }

    #[test]
    fn boundaries_repeat_and_differ() {
        let meta = Meta { len: 10, modified: UNIX_EPOCH + Duration::from_nanos(5), inode: 3 };
        let asked = spans(&[(0, 1), (5, 6)]);
        let token = boundary(&meta, &asked);
        assert_eq!(token.len(), 32);
        assert!(token.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(token, boundary(&meta, &asked));
        assert_ne!(token, boundary(&meta, &asked[..1]));
        assert_ne!(token, boundary(&Meta { len: 11, ..meta }, &asked));
        assert_ne!(token, boundary(&Meta { inode: 4, ..meta }, &asked));
        assert_ne!(token, boundary(&Meta { modified: UNIX_EPOCH, ..meta }, &asked));
        assert_eq!(unsatisfied(47022), "bytes */47022");
    }

    proptest! {
        #[test]
        fn the_content_is_what_was_asked(
            asked in prop::collection::vec((0..100u64, 1..20u64), 1..8),
            len in 120..200u64,
        ) {
            let asked: Vec<_> = asked.into_iter().map(|(start, len)| (start, start + len)).collect();
            let bytes = |spans: &[Span]| -> Vec<u8> {
                spans.iter().flat_map(|span| (span.start..span.end).map(|at| at as u8)).collect()
            };
            let wanted = spans(&asked);
            let content = |partial: &Partial| -> Vec<u8> {
                let mut files = partial.parts.clone();
                files.retain(|part| matches!(part, Part::File { .. }));
                body(&files)
            };
            let concat = answer(&asked, len, Multirange::Concat);
            prop_assert_eq!(body(&concat.parts), bytes(&wanted));
            let multipart = answer(&asked, len, Multirange::Multipart);
            prop_assert_eq!(content(&multipart), bytes(&wanted));
            let joined = answer(&asked, len, Multirange::Merge);
            let mut union = bytes(&wanted);
            union.sort_unstable();
            union.dedup();
            prop_assert_eq!(content(&joined), union);
            for partial in [concat, multipart, joined] {
                prop_assert!(partial.content_range.is_some() != partial.content_type.is_some());
            }
        }
    }
}
