use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::semantics::target;

/// Feeds `bytes` in pieces cut at `cuts`; what came out, and what was left.
fn read(bytes: &[u8], cuts: &[usize]) -> (Result<Option<ReceivedRequest>, PeerError>, Vec<u8>) {
    let mut reader = HeadReader::default();
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

/// Whole, split at each position, byte by byte, and with bytes behind: always the same.
fn read_every_way(bytes: &[u8]) -> Result<Option<ReceivedRequest>, PeerError> {
    let (whole, rest) = read(bytes, &[]);
    for cut in 0..bytes.len() {
        assert_eq!(read(bytes, &[cut]), (whole.clone(), rest.clone()), "cut at {cut}");
    }
    let each: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(read(bytes, &each), (whole.clone(), rest.clone()), "byte by byte");
    if let Ok(Some(_)) = whole {
        let (again, rest) = read(&[bytes, b"GET /trailing"].concat(), &[]);
        assert_eq!((again, &rest[..]), (whole.clone(), &b"GET /trailing"[..]));
    }
    whole
}

fn received(bytes: &str) -> ReceivedRequest {
    read_every_way(bytes.as_bytes()).unwrap().expect("a whole head")
}

fn accepted(bytes: &str) -> RequestHead {
    received(bytes).head
}

fn refused(bytes: &[u8]) -> u16 {
    match read_every_way(bytes) {
        Err(error) => error.status().unwrap().code(),
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

#[test]
fn a_request() {
    let ReceivedRequest { head, keep_alive } = received(
        "PUT /a%20b?c HTTP/1.1\r\nHost: localhost:80\r\nX: \t y \r\nEmpty:\r\nContent-Length: 5\r\n\
         Expect: 100-Continue\r\nConnection: foo, Close\r\n\r\n",
    );
    assert_eq!(head.method, Method::Put);
    assert_eq!(head.target, RequestTarget::Path("/a%20b?c".into()));
    assert_eq!(head.body, BodySize::Known(5));
    assert_eq!((head.version, head.expect_continue, keep_alive), (Version::Http11, true, false));
    assert_eq!(head.fields.get("x"), Some(&b"y"[..]));
    assert_eq!(head.fields.get("empty"), Some(&b""[..]));
    assert_eq!(head.fields.len(), 6);
}

/// A character may be sent as bytes, as escapes, or as any mix of both.
#[test]
fn bytes_and_escapes_of_one_character_are_decoded_together() {
    let decoded = |target: &[u8]| {
        let line = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let received = match read_every_way(&line) {
            Ok(received) => received.expect("a whole head"),
            Err(why) => return Err(why.to_string()),
        };
        let RequestTarget::Path(path) = received.head.target else { panic!("{target:?}") };
        let target = target::decode(&path).map_err(str::to_owned)?;
        Ok(target.path.as_str().to_owned())
    };
    for name in ["é", "€", "😀", "aé€"] {
        for escaped in 0..1u32 << name.len() {
            let mut path = b"/".to_vec();
            for (at, byte) in name.bytes().enumerate() {
                match escaped & 1 << at {
                    0 => path.push(byte),
                    _ => path.extend(format!("%{byte:02x}").bytes()),
                }
            }
            assert_eq!(decoded(&path).as_deref(), Ok(name), "{}", path.escape_ascii());
            let absolute = [b"http://h", &path[..]].concat();
            assert_eq!(decoded(&absolute).as_deref(), Ok(name), "{}", absolute.escape_ascii());
        }
    }
    for broken in [&b"/\xc3"[..], b"/\xc3/%a9", b"/%a9\xc3", b"/\xff", b"/a?\xc3", b"/%c3?\xa9"] {
        let why = decoded(broken).unwrap_err();
        assert!(why.contains("a character that it cannot hold"), "{}", broken.escape_ascii());
    }
    for broken in [&b"/%e2%82"[..], b"/%c0%ae", "/é%e9".as_bytes()] {
        assert_eq!(decoded(broken), Err("the path is not UTF-8".into()));
    }
    for query in [&b"/a?%e9"[..], "/a?é%e9".as_bytes(), b"/a?\xc3%a9"] {
        assert_eq!(decoded(query).as_deref(), Ok("a"), "{}", query.escape_ascii());
    }
}

#[test]
fn targets() {
    let target = |line: &str| accepted(&format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n")).target;
    assert_eq!(target("GET http://h:80/x?y"), RequestTarget::Path("/x?y".into()));
    assert_eq!(target("GET HTTP://h"), RequestTarget::Path("/".into()));
    assert_eq!(target("GET https://[::1]:1?q"), RequestTarget::Path("/?q".into()));
    assert_eq!(target("GET /é?ü%"), RequestTarget::Path("/%C3%A9?%C3%BC%".into()));
    assert_eq!(target("GET http://h/é"), RequestTarget::Path("/%C3%A9".into()));
    assert_eq!(refused("GET http://é/ HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes()), 400);
    assert_eq!(target("OPTIONS *"), RequestTarget::Asterisk);
    assert_eq!(target("OPTIONS http://h"), RequestTarget::Asterisk);
    for bad in [
        "GET *",
        "GET x",
        "GET h:80",
        "GET http://",
        "GET http://u@h/",
        "GET http://h:x/",
        "GET /a#b",
    ] {
        assert_eq!(refused(format!("{bad} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()), 400, "{bad}");
    }
}

#[test]
fn versions_and_persistence() {
    let keep = |version: &str, fields: &str| {
        let ReceivedRequest { head, keep_alive } =
            received(&format!("GET / {version}\r\nHost: a\r\n{fields}\r\n"));
        (head.version, keep_alive)
    };
    assert_eq!(keep("HTTP/1.1", ""), (Version::Http11, true));
    assert_eq!(keep("HTTP/1.7", ""), (Version::Http11, true));
    assert_eq!(keep("HTTP/1.0", ""), (Version::Http10, false));
    assert_eq!(keep("HTTP/1.0", "Connection: Keep-Alive\r\n"), (Version::Http10, true));
    assert_eq!(
        keep("HTTP/1.1", "Connection: x\r\nConnection: y,close\r\n"),
        (Version::Http11, false)
    );
    assert_eq!(accepted("GET / HTTP/1.0\r\n\r\n").version, Version::Http10);
    // Icecast's older source clients; nobody else.
    let ReceivedRequest { head, keep_alive } = received("SOURCE / ICE/1.0\r\n\r\n");
    assert_eq!((head.method, head.version, keep_alive), (Method::Source, Version::Http10, false));
    for (version, status) in [
        ("ICE/1.1", 505),
        ("ICE/2.0", 505),
        ("ICE/0.9", 505),
        ("ICE/1", 400),
        ("ICE/1.10", 400),
        ("ice/1.0", 400),
    ] {
        let head = format!("SOURCE / {version}\r\n\r\n");
        assert_eq!(refused(head.as_bytes()), status, "{version}");
    }
    for (version, status) in [
        ("HTTP/2.0", 505),
        ("HTTP/0.9", 400),
        ("HTTP/3.7", 505),
        ("HTTP/1.10", 400),
        ("HTTP/01.1", 400),
        ("http/1.1", 400),
        ("HTTP/1.", 400),
        ("HTTP/1.1 ", 400),
        ("ICE/1.0", 400),
        ("ICE/2.0", 400),
        ("", 400),
    ] {
        assert_eq!(
            refused(format!("GET / {version}\r\nHost: a\r\n\r\n").as_bytes()),
            status,
            "{version}"
        );
    }
}

#[test]
fn lengths_end_where_offsets_do() {
    let put =
        |length: &str| format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let most = accepted(&put("9223372036854775807"));
    assert_eq!(most.body, BodySize::Known(i64::MAX as u64));
    assert_eq!(refused(put("9223372036854775808").as_bytes()), 413);
}

#[test]
fn http10_has_no_expectations() {
    for expectation in ["100-continue", "else"] {
        let head = accepted(&format!("PUT / HTTP/1.0\r\nExpect: {expectation}\r\n\r\n"));
        assert!(!head.expect_continue, "{expectation}");
    }
}

#[test]
fn what_breaks_the_grammar_is_refused() {
    let long = "a".repeat(20_000);
    let lines = "X: y\r\n".repeat(101);
    let large = format!("X: {}\r\n", "y".repeat(12_000)).repeat(3);
    for (status, text) in [
        (400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /\r\n"),
        (400, "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (501, "get / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (501, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\nHost: a\n\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nX: a\rb\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nXé: b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        (417, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n"),
        (414, &format!("GET /{long} HTTP/1.1\r\n")),
        (431, &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n")),
        (431, &format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")),
        (431, &format!("GET / HTTP/1.1\r\nHost: a\r\n{large}\r\n")),
    ] {
        assert_eq!(refused_short(text.as_bytes()), status, "{text:.60}");
    }
    assert_eq!(refused(b"\x16\x03\x01"), 400);
}

/// As `refused`, but long inputs are not cut at each position.
fn refused_short(bytes: &[u8]) -> u16 {
    if bytes.len() < 500 {
        return refused(bytes);
    }
    let (whole, _) = read(bytes, &[]);
    let thousands: Vec<usize> = (0..bytes.len()).step_by(997).collect();
    assert_eq!(read(bytes, &thousands).0, whole);
    whole.unwrap_err().status().unwrap().code()
}

#[test]
fn hosts() {
    for (host, fine) in [
        ("localhost", true),
        ("a.b-c_d~e:8080", true),
        ("a:", true),
        ("[::1]", true),
        ("[::1]:80", true),
        ("%41", true),
        ("1.2.3.4:65535", true),
        ("a:65536", false),
        ("a:+1", false),
        ("a:1:2", false),
        ("::1", false),
        ("[::1", false),
        ("[::1]x", false),
        ("[v1.a]", false),
        ("a, b", false),
        ("a,b", false),
        ("a/x", false),
        ("u@a", false),
        ("%4", false),
        (":80", false),
        ("a b", false),
    ] {
        assert_eq!(is_authority(host.as_bytes()), fine, "{host}");
    }
}

#[test]
fn body_lengths() {
    let body = |fields: &str| {
        read_every_way(format!("PUT / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
            .map(|head| head.unwrap().head.body)
            .map_err(|error| error.status().unwrap().code())
    };
    assert_eq!(body(""), Ok(BodySize::Empty));
    assert_eq!(body("Content-Length: 0\r\n"), Ok(BodySize::Known(0)));
    assert_eq!(body("Content-Length: 007\r\n"), Ok(BodySize::Known(7)));
    assert_eq!(body("Transfer-Encoding:\tCHUNKED \r\n"), Ok(BodySize::Unknown));
    assert_eq!(body("Transfer_Encoding: chunked\r\n"), Ok(BodySize::Empty));
    assert_eq!(body("Content-Length: 9223372036854775808\r\n"), Err(413));
    for bad in [
        "Content-Length:\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;a\r\n",
        "Transfer-Encoding:\r\n",
    ] {
        assert_eq!(body(bad), Err(400), "{bad}");
    }
    let old = "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refused(old.as_bytes()), 400);
}

#[test]
fn digits() {
    assert_eq!(parse_digits(b"18446744073709551615"), Some(u64::MAX));
    for bad in [&b""[..], b"18446744073709551616", b"+5", b" 5", b"5 ", b"0x5", "٣".as_bytes()] {
        assert_eq!(parse_digits(bad), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn garbage_is_read_alike_however_it_is_cut(
        bytes in proptest::collection::vec(prop_oneof![
            8 => proptest::sample::select(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
            1 => any::<u8>(),
        ], 0..200),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(bytes.len() + 1);
        prop_assert_eq!(read(&bytes, &[cut]), read(&bytes, &[]));
    }

    #[test]
    fn what_is_accepted_httparse_accepts_too(
        name in "[A-Za-z-]{1,8}", value in "[ -~]{0,20}", path in "/[!-\"$-~]{0,20}",
    ) {
        let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n");
        if let Ok(Some(head)) = read(text.as_bytes(), &[]).0 {
            let mut lines = [httparse::EMPTY_HEADER; 4];
            let mut theirs = httparse::Request::new(&mut lines);
            prop_assert!(theirs.parse(text.as_bytes()).unwrap().is_complete());
            prop_assert_eq!(theirs.headers.len(), head.head.fields.len());
            prop_assert_eq!(head.head.fields.iter().last().map(|(n, v)| (n, v.to_vec())),
                theirs.headers.last().map(|h| (h.name, h.value.trim_ascii().to_vec())));
        }
    }
}
