//! Bytes as requests: the same however they are cut, and what is accepted is what httparse reads.

use std::sync::Arc;

use httpout_proto::{
    Limits,
    http::{BodySize, RequestHead, RequestTarget, Version},
};

use crate::{
    cuts,
    wire::{self, Answer, Heard},
};

/// One input: any number of requests, and where to cut.
pub fn run(data: &[u8]) {
    let (data, places) = cuts::take(data);
    let mut small = Limits::default();
    (small.request_line, small.field_line, small.head, small.fields) = (40, 30, 90, 4);
    (small.requests, small.linger_bytes, small.pipelined) = (3, 20, 16);
    for limits in [Arc::new(Limits::default()), Arc::new(small)] {
        for answer in [Answer::AtOnce, Answer::AtEnd(u64::MAX), Answer::AtEnd(3)] {
            let mut talks = cuts::manners(data, &places)
                .into_iter()
                .map(|pieces| wire::talk(pieces, &limits, answer));
            let Some(whole) = talks.next() else { continue };
            for talk in talks {
                assert_eq!(whole, talk, "cut, it means something else");
            }
            compare(data, &whole.heard);
        }
    }
}

/// Compares the requests before the first body with what httparse reads.
fn compare(mut data: &[u8], heard: &[Heard]) {
    for heard in heard {
        let Heard::Request(head) = heard else { return };
        let mut fields = [httparse::EMPTY_HEADER; Limits::MOST_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let end = match request.parse(data) {
            Ok(httparse::Status::Complete(end)) => end,
            // It knows 1.0 and 1.1 alone; to anything else a server of 1.1 answers as to 1.1 (RFC
            // 9110 §2.5).
            Err(httparse::Error::Version) if head.version == Version::Http11 => return,
            other => panic!("httparse says {other:?}, but accepted is {head:?}"),
        };
        check(head, &request);
        if head.body != BodySize::Empty {
            return;
        }
        data = &data[end..];
    }
}

fn check(head: &RequestHead, request: &httparse::Request<'_, '_>) {
    assert_eq!(Some(head.method.as_str()), request.method);
    let minor = u8::from(head.version > Version::Http10);
    assert_eq!(Some(minor), request.version);
    let path = request.path.unwrap_or_default();
    match &head.target {
        RequestTarget::Path(ours) if path.starts_with('/') => assert_eq!(ours, path),
        RequestTarget::Path(ours) => {
            assert!(path.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http")));
            assert!(ours == "/" || path.ends_with(ours.as_str()) || path.ends_with(&ours[1..]));
        }
        RequestTarget::Asterisk => assert!(path == "*" || path.contains("://")),
    }
    let theirs: Vec<_> = request.headers.iter().map(|field| (field.name, field.value)).collect();
    let ours: Vec<_> = head.fields.iter().collect();
    assert_eq!(ours, theirs);
    for (name, value) in ours {
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':'));
        assert!(value.iter().all(|&b| b == b'\t' || b >= b' ' && b != 0x7f), "{value:?}");
        assert_eq!(value.trim_ascii(), value);
    }
}
