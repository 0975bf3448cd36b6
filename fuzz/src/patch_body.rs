//! Bytes as the body of a PATCH: the same however they are cut, and as many as its patches say.

use bytes::Bytes;
use httpout_proto::{
    fs::Patch,
    semantics::patch::{self, Kind, Parser},
};

use crate::cuts;

/// One input: a `Content-Type`, a line feed, the body, and where to cut it.
pub fn run(data: &[u8]) {
    let (data, places) = cuts::take(data);
    let Some(end) = data.iter().position(|&b| b == b'\n') else {
        let _ = patch::kind(data);
        return;
    };
    let (content_type, body) = (&data[..end], &data[end + 1..]);
    let Some(Ok(kind)) = patch::kind(content_type) else { return };
    if let Kind::Multipart { boundary } = &kind {
        assert!((1..=70).contains(&boundary.len()) && boundary.is_ascii());
    }
    let mut outcomes =
        cuts::manners(body, &places).into_iter().map(|pieces| parse(kind.clone(), pieces));
    let Some(whole) = outcomes.next() else { return };
    for outcome in outcomes {
        assert_eq!(whole, outcome, "cut, it means something else");
    }
    let (content, patches) = whole;
    assert!(is_within(&content, body), "content that is not in the body");
    if let Ok(patches) = patches {
        assert!((1..=128).contains(&patches.len()));
        let sum: u64 = patches.iter().map(|patch| patch.len).sum();
        assert_eq!(sum, content.len() as u64);
        assert!(patches.iter().all(|patch| patch.at.checked_add(patch.len).is_some()));
    }
}

/// What is to be written, and where; or what is wrong.
fn parse(kind: Kind, pieces: Vec<Bytes>) -> (Vec<u8>, Result<Vec<Patch>, &'static str>) {
    let mut parser = Parser::new(kind);
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(why) = parser.push(piece, &mut out) {
            return (out.concat(), Err(why));
        }
    }
    assert!(out.iter().all(|piece| !piece.is_empty()));
    (out.concat(), parser.finish())
}

/// Do the bytes of `content` stand in `body`, in this order?
fn is_within(content: &[u8], body: &[u8]) -> bool {
    let mut body = body.iter();
    content.iter().all(|byte| body.any(|other| other == byte))
}
