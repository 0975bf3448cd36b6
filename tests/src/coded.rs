//! Texts in a content coding: asking for them, and reading them.

use std::io::Read;

use flate2::bufread::{GzDecoder, ZlibDecoder};

use crate::{Request, Response, get};

/// A text of this length that compresses well, and differs by `seed`.
pub fn text(length: usize, seed: usize) -> String {
    let words = (0..).map(|i| format!("{seed} line {i}: the quick brown fox jumps\n"));
    let mut text = String::new();
    for line in words {
        if text.len() >= length {
            break;
        }
        text.push_str(&line);
    }
    text.truncate(length);
    text
}

/// A GET that accepts these codings.
pub fn accepting(path: &str, codings: &str) -> Request {
    get(path).field("Accept-Encoding", codings)
}

/// The content without its content coding.
#[track_caller]
pub fn decoded(answer: &Response) -> Vec<u8> {
    let mut content = Vec::new();
    match answer.get("content-encoding") {
        Some("gzip") => {
            let mut decoder = GzDecoder::new(&answer.body[..]);
            decoder.read_to_end(&mut content).expect("well-formed gzip");
            assert_eq!(decoder.into_inner(), b"", "something stands behind the gzip member");
        }
        Some("deflate") => {
            let mut decoder = ZlibDecoder::new(&answer.body[..]);
            decoder.read_to_end(&mut content).expect("well-formed zlib, not raw deflate");
            assert_eq!(decoder.into_inner(), b"", "something stands behind the zlib stream");
        }
        Some(other) => panic!("an unknown coding {other}"),
        None => content.clone_from(&answer.body),
    }
    content
}

/// Fails unless the answer is this text in this coding (`None`: as it is), with what belongs to it.
#[track_caller]
pub fn is_coded(answer: &Response, coding: Option<&str>, text: &str) {
    answer.status_is(200);
    assert_eq!(answer.get("content-encoding"), coding, "in {:?}", answer.head);
    assert!(decoded(answer) == text.as_bytes(), "the content is another: {:?}", answer.head);
    assert!(answer.lists("vary", "accept-encoding"), "no Vary in {:?}", answer.head);
    if coding.is_some() {
        assert!(answer.body.len() < text.len(), "it is not smaller: {:?}", answer.head);
        answer.field_is("content-length", &answer.body.len().to_string());
    }
}
