use proptest::prelude::*;

use super::*;

/// Decodes pieces cut at `cuts`: the content, whether the end came, and what was left.
fn decode(bytes: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, bool, Vec<u8>), PeerError> {
    let mut decoder = Decoder::default();
    let mut content = Vec::new();
    let mut start = 0;
    for &end in cuts.iter().chain([&bytes.len()]) {
        let mut data = Bytes::copy_from_slice(&bytes[start..end]);
        start = end;
        loop {
            match decoder.decode(&mut data, usize::MAX, &Limits::default())? {
                Decoded::Data(piece) => content.extend_from_slice(&piece),
                Decoded::More => break,
                Decoded::End => {
                    return Ok((content, true, [&data[..], &bytes[end..]].concat()));
                }
            }
        }
    }
    Ok((content, false, Vec::new()))
}

fn every_way(bytes: &[u8]) -> Result<(Vec<u8>, bool, Vec<u8>), PeerError> {
    let whole = decode(bytes, &[]);
    for cut in 0..bytes.len() {
        assert_eq!(decode(bytes, &[cut]), whole, "cut at {cut}");
    }
    let each: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(decode(bytes, &each), whole);
    whole
}

#[test]
fn bodies() {
    for (bytes, content, rest) in [
        ("0\r\n\r\n", "", ""),
        ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", ""),
        ("A\r\n0123456789\r\nb\r\nabcdefghijk\r\n0\r\n\r\nGET", "0123456789abcdefghijk", "GET"),
        ("0005\r\nhello\r\n000\r\n\r\n", "hello", ""),
        ("5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello", ""),
        ("5 ; a = \"q\\\"\r \" ; b\r\n", "", ""),
        ("5;a=\"x;y\\\"z\";b=c\r\nhello\r\n0\r\n\r\n", "hello", ""),
        ("5\r\nhello\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\nrest", "hello", "rest"),
    ] {
        if bytes.contains("\r \"") {
            assert!(every_way(bytes.as_bytes()).is_err());
            continue;
        }
        let whole = every_way(bytes.as_bytes()).unwrap();
        assert_eq!(whole, (content.into(), true, rest.into()), "{bytes:?}");
    }
    assert_eq!(every_way(b"5\r\nhel").unwrap(), (b"hel".to_vec(), false, vec![]));
}

#[test]
fn what_breaks_the_grammar_is_refused() {
    for bad in [
        "+5\r\nhello\r\n",
        "-5\r\n",
        " 5\r\n",
        "0x5\r\n",
        "\r\n",
        ";a=b\r\n",
        "g\r\n",
        "5;\r\nhello\r\n",
        "5;=b\r\n",
        "5;a=\r\n",
        "5;a=\"b\r\n",
        "5 \r\nhello\r\n",
        "5\nhello\n",
        "5\rhello",
        "5\r\nhelloXX",
        "5\r\nhello\n",
        "5\r\nhello0\r\n",
        "10000000000000000\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX: y\r\n z\r\n\r\n",
        "0\r\nX: \0\r\n\r\n",
        "0\r\n\n",
    ] {
        let error = every_way(bad.as_bytes()).expect_err(bad);
        assert_eq!(error.status().unwrap().code(), 400, "{bad:?}");
    }
    let huge = every_way(b"FFFFFFFFFFFFFFFF\r\n").unwrap_err();
    assert_eq!(huge, PeerError::TooLarge);
}

#[test]
fn white_space_stands_where_extensions_may_have_it_and_nowhere_else() {
    for good in [
        "5 ;a",
        "5\t;a",
        "5 \t ;a",
        "5; a",
        "5;\ta",
        "5;a =b",
        "5;a\t=b",
        "5;a= b",
        "5;a=\tb",
        "5;a=b ;c",
        "5;a=b\t;c",
        "5;a ;b",
        "5;a=\"x\" ;c",
        "5;a=\"x\"\t;c",
        "5;a=\" x\ty \"",
        "5;a=b ",
        "5;a=\"\"",
        "5;a=\"\\\"\"",
        "5;a=\"\\\t\"",
        "5;a=\"\u{e9}\"",
        "5;a=\"~\"",
        "5;!#$%&'*+-.^_`|~=x",
    ] {
        let body = format!("{good}\r\nhello\r\n0\r\n\r\nrest");
        let read = every_way(body.as_bytes()).expect(good);
        assert_eq!(read, (b"hello".to_vec(), true, b"rest".to_vec()), "{good:?}");
    }
    for bad in [
        "5 ",
        "5\t",
        "5 5",
        "5 a",
        "5 =a",
        "5;a ",
        "5;a\t",
        "5;a b",
        "5;a=b c",
        "5;a= ",
        "5; ",
        "5;a=b=c",
        "5;a=\"x\"y",
        "5;a=\"x",
        "5;a=\"x\\",
        "5;a=\"x\u{7f}\"",
        "5;a=\"\u{1f}\"",
        "5;a=\"\\\u{7f}\"",
        "5;a=\"\\\u{1f}\"",
        "5;a=x\"y\"",
        "5;a,b",
        "5;a\u{b}",
        "5\u{b};a",
        "5;a=b;",
        "5;;a",
        "5\r;a",
    ] {
        let body = format!("{bad}\r\nhello\r\n0\r\n\r\n");
        assert!(every_way(body.as_bytes()).is_err(), "{bad:?}");
    }
}

#[test]
fn sizes_have_their_bounds() {
    assert_eq!(every_way(b"0000000000000005\r\nhello\r\n0\r\n\r\n").unwrap().0, b"hello");
    assert!(every_way(b"00000000000000005\r\nhello\r\n0\r\n\r\n").is_err());
    assert_eq!(every_way(b"7FFFFFFFFFFFFFFF\r\nx").unwrap(), (b"x".to_vec(), false, vec![]));
    assert_eq!(every_way(b"8000000000000000\r\n").unwrap_err(), PeerError::TooLarge);
    assert_eq!(every_way(b"0000000000000000\r\n\r\nrest").unwrap().2, b"rest");
}

fn decode_by(limits: &Limits, bytes: &[u8]) -> Result<bool, PeerError> {
    let mut decoder = Decoder::default();
    let mut data = Bytes::copy_from_slice(bytes);
    loop {
        match decoder.decode(&mut data, usize::MAX, limits)? {
            Decoded::Data(_) => {}
            Decoded::More => return Ok(false),
            Decoded::End => return Ok(true),
        }
    }
}

#[test]
fn the_limits_hold_to_the_byte() {
    let limits =
        Limits { chunk_extensions: 4, trailers: 10, trailer_fields: 2, ..Limits::default() };
    // The semicolon counts, and white space before it.
    for (lines, fine) in [
        ("1;abc\r\nx\r\n0\r\n\r\n", true),
        ("1;abcd\r\nx\r\n0\r\n\r\n", false),
        ("1  ;a\r\nx\r\n0\r\n\r\n", true),
        ("1   ;a\r\nx\r\n0\r\n\r\n", false),
        // All of them together, ...
        ("1;a\r\nx\r\n1;a\r\nx\r\n0\r\n\r\n", true),
        ("1;a\r\nx\r\n1;ab\r\nx\r\n0\r\n\r\n", false),
        // ... but for what the content has paid for: a byte for eight.
        ("8;abc\r\n01234567\r\n0\r\n\r\n", true),
        ("10;abc\r\n0123456701234567\r\n0;a\r\n\r\n", true),
        ("f;abc\r\n012345670123456\r\n0;a\r\n\r\n", false),
        ("28;abc\r\n0123456701234567012345670123456701234567\r\n1;abcd\r\nx\r\n0\r\n\r\n", false),
        // The trailers: as bytes before the last line's end, and as lines.
        ("0\r\nX: yyyy\r\n\r\n", true),
        ("0\r\nX: yyyyyyyy\r\n\r\n", false),
        ("0\r\nX:\r\nY:\r\n\r\n", true),
        ("0\r\nX:\r\nY:\r\nZ:\r\n\r\n", false),
    ] {
        assert_eq!(decode_by(&limits, lines.as_bytes()).is_ok(), fine, "{lines:?}");
    }
    let one = Limits { trailers: 7, ..Limits::default() };
    let few = Limits { trailers: 6, ..Limits::default() };
    // The CR of the empty line is the seventh byte.
    assert_eq!(decode_by(&one, b"0\r\nX: y\r\n\r\n"), Ok(true));
    assert!(decode_by(&few, b"0\r\nX: y\r\n\r\n").is_err());
}

#[test]
fn trailers_end_at_an_empty_line_and_nowhere_else() {
    for (lines, rest) in [
        ("0\r\n\r\n\r\n", Some("\r\n")),
        ("0\r\nX: y\r\n\r\n\r\n", Some("\r\n")),
        ("0\r\nX: y\r\nZ: \ta\r\n\r\nGET", Some("GET")),
        ("0\r\nX: y\r\n", None),
        ("0\r\nX: y", None),
        ("0\r\n", None),
        ("0\r\n\r", None),
    ] {
        let read = every_way(lines.as_bytes()).expect(lines);
        assert_eq!(read, (vec![], rest.is_some(), rest.unwrap_or_default().into()), "{lines:?}");
    }
    for bad in [
        "0\r\n X: y\r\n\r\n",
        "0\r\n\tX: y\r\n\r\n",
        "0\r\nX: y\r\n\tz\r\n\r\n",
        "0\r\n\rX",
        "0\r\nX: y\rz",
        "0\r\nX: y\r\n\n",
        "0\r\nX: y\r\n\rz",
        "0\r\r\n",
        "0\n\r\n",
        "0\r\nX: y\r\r\n\r\n",
    ] {
        assert!(every_way(bad.as_bytes()).is_err(), "{bad:?}");
    }
}

#[test]
fn a_refusal_comes_at_once_and_says_why() {
    for (lines, why) in [
        ("5\r\nhelloX", "chunk data is not followed by CRLF"),
        ("5\r\nhello\rX", "chunk data is not followed by CRLF"),
        ("5X", "the chunk size line is malformed"),
        ("5\rX", "the chunk size line is malformed"),
        ("X", "the chunk size is not a hexadecimal number"),
        ("00000000000000000", "the chunk size has more than 16 digits"),
        ("5;a b", "a chunk extension is malformed"),
        ("0\r\n ", "white space at the start of a trailer line"),
        ("0\r\n\t", "white space at the start of a trailer line"),
        ("0\r\nX: y\r\n ", "white space at the start of a trailer line"),
        ("0\r\nX: y\r\n\t", "white space at the start of a trailer line"),
        ("0\r\nX\n", "CR or LF alone in the trailers"),
        ("0\r\n\rX", "CR or LF alone in the trailers"),
        ("0\r\nX\r\n\r\n", "a trailer line is not name, colon, value"),
    ] {
        assert_eq!(every_way(lines.as_bytes()), Err(PeerError::Malformed(why)), "{lines:?}");
        let before = &lines.as_bytes()[..lines.len() - 1];
        assert!(every_way(before).is_ok(), "{lines:?} is refused too early");
    }
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let flood = "1;a\r\nx\r\n".repeat(10_000);
    assert!(decode(flood.as_bytes(), &[]).is_err());
    let few = "1;a\r\nx\r\n".repeat(1_000);
    assert_eq!(decode(few.as_bytes(), &[]).unwrap().0.len(), 1_000);
    let long = format!("0\r\nX: {}\r\n\r\n", "y".repeat(9_000));
    assert!(decode(long.as_bytes(), &[]).is_err());
    let many = format!("0\r\n{}\r\n", "X: y\r\n".repeat(33));
    assert!(decode(many.as_bytes(), &[]).is_err());
    let fine = format!("0\r\n{}\r\n", "X: y\r\n".repeat(32));
    assert!(decode(fine.as_bytes(), &[]).unwrap().1);
}

#[test]
fn content_comes_in_the_pieces_that_are_asked_for() {
    let mut decoder = Decoder::default();
    let mut data = Bytes::from_static(b"5\r\nhello\r\n0\r\n\r\n");
    let limits = Limits::default();
    assert_eq!(decoder.decode(&mut data, 0, &limits), Ok(Decoded::More));
    assert_eq!(decoder.decode(&mut data, 2, &limits), Ok(Decoded::Data(Bytes::from_static(b"he"))));
    assert_eq!(
        decoder.decode(&mut data, 9, &limits),
        Ok(Decoded::Data(Bytes::from_static(b"llo")))
    );
    assert_eq!(decoder.decode(&mut data, 0, &limits), Ok(Decoded::End));
}

proptest! {
    #[test]
    fn round_trip_in_any_pieces(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..8),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut coded = Vec::new();
        for chunk in &chunks {
            coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            coded.extend_from_slice(chunk);
            coded.extend_from_slice(b"\r\n");
        }
        coded.extend_from_slice(b"0\r\n\r\nnext");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(coded.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(decode(&coded, &cuts), Ok((chunks.concat(), true, b"next".to_vec())));
    }

    #[test]
    fn garbage_is_read_alike_however_it_is_cut(
        bytes in proptest::collection::vec(
            proptest::sample::select(b"0159aF;=\"\\ab \t\r\n\r\n\r\n:x".to_vec()), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(bytes.len() + 1);
        prop_assert_eq!(decode(&bytes, &[cut]).is_err(), decode(&bytes, &[]).is_err());
        if let (Ok(whole), Ok(split)) = (decode(&bytes, &[]), decode(&bytes, &[cut])) {
            prop_assert_eq!(whole, split);
        }
    }
}
