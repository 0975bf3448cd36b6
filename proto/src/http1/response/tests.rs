use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::limits::Limits;

fn read(bytes: &[u8], cuts: &[usize]) -> (Result<Option<ReceivedResponse>, PeerError>, Vec<u8>) {
    let mut reader = ResponseReader::default();
    let mut start = 0;
    for &end in cuts.iter().chain([&bytes.len()]) {
        let mut data = Bytes::copy_from_slice(&bytes[start..end]);
        start = end;
        match reader.read(&mut data, &Limits::default()) {
            Ok(None) => assert!(data.is_empty(), "an incomplete head takes all its input"),
            Err(why) => return (Err(why), Vec::new()),
            result => return (result, [&data[..], &bytes[end..]].concat()),
        }
    }
    (Ok(None), Vec::new())
}

/// Whole, split at each position, byte by byte: always the same.
fn read_every_way(bytes: &[u8]) -> (Result<Option<ReceivedResponse>, PeerError>, Vec<u8>) {
    let whole = read(bytes, &[]);
    for cut in 0..bytes.len() {
        assert_eq!(read(bytes, &[cut]), whole, "cut at {cut}");
    }
    let each: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(read(bytes, &each), whole, "byte by byte");
    whole
}

#[test]
fn heads_are_taken_apart() {
    for (head, status, version, framing, keep_alive) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
            200,
            Version::Http11,
            Framing::Length(3),
            true,
        ),
        (
            "HTTP/1.9 200 \r\nConnection: a, Close\r\n\r\n",
            200,
            Version::Http11,
            Framing::Close,
            false,
        ),
        ("HTTP/1.0 200\r\n\r\n", 200, Version::Http10, Framing::Close, false),
        (
            "HTTP/1.0 404 x\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
            404,
            Version::Http10,
            Framing::Length(0),
            true,
        ),
        (
            "HTTP/1.1 201 x\r\nTransfer-Encoding: Chunked\r\n\r\n",
            201,
            Version::Http11,
            Framing::Chunked,
            true,
        ),
        ("HTTP/1.1 204 x\r\nContent-Length: 7\r\n\r\n", 204, Version::Http11, Framing::None, true),
        ("HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n", 304, Version::Http11, Framing::None, true),
        ("HTTP/1.1 100 Continue\r\n\r\n", 100, Version::Http11, Framing::None, true),
    ] {
        let (answer, rest) = read_every_way(&[head, "rest"].concat().into_bytes());
        let answer = answer.unwrap().unwrap();
        assert_eq!((answer.head.status.code(), answer.head.version), (status, version), "{head}");
        assert_eq!((answer.framing, answer.keep_alive), (framing, keep_alive), "{head}");
        assert_eq!(rest, b"rest");
    }
}

proptest! {
    #[test]
    fn no_input_panics_and_no_cut_matters(
        tail in prop_oneof![
            any::<Vec<u8>>(),
            "[ -~\r\n]{0,40}".prop_map(String::into_bytes),
            "( [0-9]{3}( [a-z]{0,3})?)?\r\n((Content-Length|Transfer-Encoding|Connection): (chunked|close|[0-9]{1,3})\r\n){0,3}\r\n"
                .prop_map(String::into_bytes),
        ],
    ) {
        let _ = read_every_way(&[b"HTTP/1.1", &tail[..]].concat());
        let _ = read_every_way(&tail);
    }
}
