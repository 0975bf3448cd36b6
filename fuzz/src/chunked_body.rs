//! Bytes as a chunked body: the same however they are cut and granted, and the same as a decoder
//! that does it by hand.

use std::sync::Arc;

use httpout_proto::{Limits, PeerError};

use crate::{
    cuts,
    wire::{self, Answer, Heard},
};

const HEAD: &[u8] = b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One input: what follows the head of a chunked upload, and where to cut it.
pub fn run(data: &[u8]) {
    let (data, places) = cuts::take(data);
    let mut small = Limits::default();
    (small.chunk_extensions, small.trailers, small.trailer_fields) = (10, 20, 2);
    for limits in [Arc::new(Limits::default()), Arc::new(small)] {
        let mut whole = None;
        for grant in [u64::MAX, 1, 7] {
            for pieces in cuts::manners(data, &places) {
                let pieces = [HEAD.into()].into_iter().chain(pieces).collect();
                let talk = wire::talk(pieces, &limits, Answer::AtEnd(grant));
                let whole = whole.get_or_insert_with(|| {
                    check(data, &talk.heard, &limits);
                    talk.heard.clone()
                });
                assert_eq!(*whole, talk.heard, "cut, or granted {grant}, it means something else");
            }
        }
    }
    round_trip(data, &places);
}

/// Compares what was heard with a decoder that takes more than it should.
fn check(data: &[u8], heard: &[Heard], limits: &Arc<Limits>) {
    let mut heard = heard.iter();
    let Some(Heard::Request(_)) = heard.next() else { panic!("the head is not understood") };
    let mut content: &[u8] = &[];
    for next in heard.by_ref() {
        match next {
            Heard::Data(data) => content = data,
            Heard::End => {
                let (expected, rest) = decode(data).expect("a body that no decoder understands");
                assert_eq!(content, expected);
                // What follows the body is read as if it stood alone.
                let rest = wire::talk(vec![rest.to_vec().into()], limits, Answer::AtEnd(u64::MAX));
                assert_eq!(heard.as_slice(), rest.heard);
                return;
            }
            Heard::Aborted(
                PeerError::Malformed(_) | PeerError::Truncated | PeerError::TooLarge,
            ) => {
                assert!(heard.next().is_none(), "after a fault in the framing it goes on");
                return;
            }
            Heard::Request(_) | Heard::Refused(_) | Heard::Aborted(_) => {
                panic!("{next:?} in the middle of a body")
            }
        }
    }
    panic!("the body has no end");
}

/// The content, and what follows.
fn decode(mut data: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut content = Vec::new();
    loop {
        let line = line(&mut data)?;
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&line[..digits]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        assert!(matches!(line.get(digits), None | Some(b';' | b' ' | b'\t')));
        if size == 0 {
            while !self::line(&mut data)?.is_empty() {}
            return Some((content, data));
        }
        let (chunk, rest) = data.split_at_checked(size)?;
        content.extend_from_slice(chunk);
        data = rest.strip_prefix(b"\r\n")?;
    }
}

/// Takes a line.
fn line<'a>(data: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = data.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &data[..end];
    *data = &data[end + 2..];
    Some(line)
}

/// Takes the input as content, makes a chunk of each piece, and expects the content.
fn round_trip(content: &[u8], places: &[usize]) {
    let mut body = Vec::new();
    for (index, piece) in cuts::cut(content, places).iter().enumerate() {
        let extension = [&b""[..], b";a", b" ; a=b", b";a=\"\\\"\t\""][index % 4];
        body.extend_from_slice(format!("{:x}", piece.len()).as_bytes());
        for part in [extension, b"\r\n", piece, b"\r\n"] {
            body.extend_from_slice(part);
        }
    }
    body.extend_from_slice(b"0\r\nA: b\r\n\r\n");
    for pieces in cuts::manners(&body, places) {
        let pieces = [HEAD.into()].into_iter().chain(pieces).collect();
        let heard = wire::talk(pieces, &Arc::default(), Answer::AtEnd(5)).heard;
        match &heard[1..] {
            [Heard::End] => assert!(content.is_empty()),
            [Heard::Data(data), Heard::End] => assert_eq!(data, content),
            other => panic!("a good body is heard as {other:?}"),
        }
    }
}
