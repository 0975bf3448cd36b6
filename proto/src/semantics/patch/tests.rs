use proptest::prelude::*;

use super::*;

fn multipart(boundary: &str) -> Kind {
    Kind::Multipart { boundary: boundary.as_bytes().to_vec() }
}

/// The bytes to be written, and where they go or what was wrong.
type Outcome = (Vec<u8>, Result<Vec<Patch>, &'static str>);

fn parse<'a>(kind: &Kind, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut parser = Parser::new(kind.clone());
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(why) = parser.push(Bytes::copy_from_slice(piece), &mut out) {
            return (out.concat(), Err(why));
        }
    }
    assert!(out.iter().all(|piece| !piece.is_empty()));
    (out.concat(), parser.finish())
}

/// Parses whole, byte by byte, and split at each position.
fn outcome(kind: &Kind, body: &[u8]) -> Outcome {
    let whole = parse(kind, [body]);
    assert_eq!(whole, parse(kind, body.chunks(1)), "byte by byte");
    for at in 0..=body.len().min(1000) {
        let (head, tail) = body.split_at(at);
        assert_eq!(whole, parse(kind, [head, tail]), "split at {at}");
    }
    whole
}

fn message(body: &str) -> Outcome {
    outcome(&Kind::Message, body.as_bytes())
}

fn patch(at: u64, len: u64) -> Patch {
    Patch { at, len }
}

#[test]
fn media_types_are_told_apart() {
    for (value, expected) in [
        ("message/byterange", Kind::Message),
        ("Message/ByteRange ; x=y", Kind::Message),
        ("multipart/byteranges; boundary=abc", multipart("abc")),
        ("Multipart/Byteranges;Boundary=\"a b:c\"", multipart("a b:c")),
        ("multipart/byteranges ; ; x=\"a;b\\\"\" ; boundary=a;", multipart("a")),
        ("multipart/byteranges; boundary=\"\\a\\b\"", multipart("ab")),
        (
            "multipart/byteranges; boundary=THIS_STRING_SEPARATES",
            multipart("THIS_STRING_SEPARATES"),
        ),
    ] {
        assert_eq!(kind(value.as_bytes()), Some(Ok(expected)), "{value}");
    }
    for value in [
        "",
        "message/byteranges",
        "multipart/byterange",
        "application/json; boundary=a",
        "*/*",
        ";",
    ] {
        assert_eq!(kind(value.as_bytes()), None, "{value}");
    }
    let long = format!("multipart/byteranges; boundary={}", "a".repeat(70));
    assert!(matches!(kind(long.as_bytes()), Some(Ok(_))));
    assert!(matches!(kind(format!("{long}a").as_bytes()), Some(Err(_))));
    for parameters in [
        "",
        "; boundary",
        "; boundary=",
        "; boundary=\"\"",
        "; boundary=\"a",
        "; boundary=\"a\"b",
        "; boundary=a b",
        "; boundary=a; boundary=a",
        "; boundary=\"a \"",
        "; boundary=\"a\\",
        "; boundary=a:b",
        "; boundary = a",
        "; boundary=\"a\\\"b\"",
        "; boundary=a%",
        "; =a",
        "; boundary=a, x",
        "; x; boundary=a",
        "; boundary=\"a\r\nb\"",
    ] {
        let value = format!("multipart/byteranges{parameters}");
        assert!(matches!(kind(value.as_bytes()), Some(Err(_))), "{value}");
    }
}

#[test]
fn a_message_is_one_patch() {
    let body = "Content-Range: bytes 2-5/12\r\n\r\nwxyz";
    assert_eq!(message(body), (b"wxyz".to_vec(), Ok(vec![patch(2, 4)])));
    let body = "Content-Type: text/plain\r\ncontent-RANGE:\tbytes 0-0/*  \r\nX-A:\r\nX-B: \u{e9}\r\n\r\n\n";
    assert_eq!(message(body), (b"\n".to_vec(), Ok(vec![patch(0, 1)])));
}

#[test]
fn bad_messages_are_refused() {
    let long = format!("X: {}\r\n", "a".repeat(MOST_HEAD));
    for (body, why) in [
        ("", TRUNCATED_HEAD),
        ("Content-Range: bytes 2-5/12\r\n", TRUNCATED_HEAD),
        ("Content-Range: bytes 2-5/12\r\n\r", TRUNCATED_HEAD),
        ("Content-Range: bytes 2-5/12\r\n\r\n", TOO_FEW),
        ("Content-Range: bytes 2-5/12\r\n\r\nwxy", TOO_FEW),
        ("Content-Range: bytes 2-5/12\r\n\r\nwxyz0", TOO_MANY),
        ("\r\nwxyz", "a part has no Content-Range"),
        ("Content-Type: a/b\r\n\r\nwxyz", "a part has no Content-Range"),
        (
            "Content-Range: bytes 0-0/1\r\nContent-Range: bytes 0-0/1\r\n\r\na",
            "a part has more than one Content-Range",
        ),
        ("Content-Range: bytes 0-0\r\n\r\na", "Content-Range has no complete length"),
        ("Content-Range: bytes 0-4/3\r\n\r\nabcde", "Content-Range ends past its complete length"),
        ("Content-Range: bytes 0-0/1\n\na", "a line in the head of a part does not end in CRLF"),
        ("Content-Range: bytes 0-0/1\r\n\na", "a line in the head of a part does not end in CRLF"),
        (
            "Content-Range: bytes 0-0/1\rX: y\r\n\r\na",
            "a line in the head of a part does not end in CRLF",
        ),
        ("\r\r\n", "a line in the head of a part does not end in CRLF"),
        ("Content-Range\r\n\r\n", "a field line of a part has no colon"),
        ("Content-Range : bytes 0-0/1\r\n\r\na", "a field name of a part is malformed"),
        (": bytes 0-0/1\r\n\r\na", "a field name of a part is malformed"),
        ("Content-Range: bytes\r\n 0-0/1\r\n\r\na", "Content-Range has no range"),
        ("X: y\r\n z\r\n\r\n", "a field line of a part has no colon"),
        ("Content-Range: bytes 0-0/1\r\n X: a\r\n\r\na", "a field name of a part is malformed"),
        ("X: \0\r\n\r\na", "a field value of a part holds a control character"),
        (&long, "the head of a part is larger than 8 KiB"),
    ] {
        assert_eq!(message(body).1, Err(why), "{body:?}");
    }
}

#[test]
fn a_multipart_is_many_patches() {
    let patches = vec![patch(2, 3), patch(10, 2)];
    let part = "Content-Range: bytes 2-4/12\r\nContent-Type: a/b\r\n\r\nabc";
    let other = "Content-Range: bytes 10-11/12\r\n\r\n\r\n";
    for body in [
        format!("--B\r\n{part}\r\n--B\r\n{other}\r\n--B--\r\n"),
        format!("--B\r\n{part}\r\n--B\r\n{other}\r\n--B--"),
        format!("\r\n--B \t\r\n{part}\r\n--B \r\n{other}\r\n--B-- \t\r\nepi\nlogue\r\n--B\r\n"),
        format!("pre\namble\r\n-- B\r\r\n\r\n--B\r\n{part}\r\n--B\r\n{other}\r\n--B-- "),
        format!("\n--Bx\r\n--\r\r\n--B\r\n{part}\r\n--B\r\n{other}\r\n--B--\r\n"),
    ] {
        let (bytes, found) = outcome(&multipart("B"), body.as_bytes());
        assert_eq!((bytes.as_slice(), found), (&b"abc\r\n"[..], Ok(patches.clone())), "{body:?}");
    }
}

#[test]
fn the_length_governs() {
    let content = "\r\n--B--\r\n--B\r\nContent-Range: x\r\n";
    let last = content.len() - 1;
    let body = format!("--B\r\nContent-Range: bytes 0-{last}/*\r\n\r\n{content}\r\n--B--");
    let outcome = outcome(&multipart("B"), body.as_bytes());
    assert_eq!(outcome, (content.as_bytes().to_vec(), Ok(vec![patch(0, content.len() as u64)])));
}

#[test]
fn bad_multiparts_are_refused() {
    let part = "--B\r\nContent-Range: bytes 0-2/3\r\n\r\nabc";
    for (body, why) in [
        (String::new(), NO_PART),
        ("no part here\r\n".into(), NO_PART),
        ("--B--\r\n".into(), NO_PART),
        ("text\r\n--B--".into(), NO_PART),
        ("--B\nContent-Range: bytes 0-2/3\n\nabc\n--B--\n".into(), BAD_DELIMITER),
        ("--Bx\r\n".into(), BAD_DELIMITER),
        ("--B-x\r\n".into(), BAD_DELIMITER),
        ("--B x\r\n".into(), BAD_DELIMITER),
        ("--B\rx".into(), BAD_DELIMITER),
        ("--B\r\n\r\nabc\r\n--B--".into(), "a part has no Content-Range"),
        ("--B\r\n".into(), TRUNCATED_HEAD),
        ("--B\r\nContent-Range: bytes 0-2/3\r\n\r\nab".into(), TOO_FEW),
        ("--B\r\nContent-Range: bytes 0-2/3\r\n\r\nab\r\n--B--".into(), NOT_AT_END),
        ("--B\r\nContent-Range: bytes 0-2/3\r\n\r\nabcd\r\n--B--".into(), NOT_AT_END),
        (format!("{part}\n--B--"), NOT_AT_END),
        (format!("{part}--B--"), NOT_AT_END),
        (format!("{part}\r\n--C--"), NOT_AT_END),
        (part.into(), NOT_CLOSED),
        (format!("{part}\r\n--B"), NOT_CLOSED),
        (format!("{part}\r\n--B-"), NOT_CLOSED),
        (format!("{part}\r\n--B "), NOT_CLOSED),
        (format!("{part}\r\n--B--\r"), NOT_CLOSED),
        (format!("{part}\r\n--B\r"), NOT_CLOSED),
        (format!("{part}\r\n--B\r\n"), TRUNCATED_HEAD),
        (format!("{part}\r\n--B--x"), BAD_DELIMITER),
        (format!("{part}\r\n--B--\n"), BAD_DELIMITER),
        (format!("{part}\r\n--B--\rx"), BAD_DELIMITER),
    ] {
        assert_eq!(outcome(&multipart("B"), body.as_bytes()).1, Err(why), "{body:?}");
    }
}

#[test]
fn heads_and_parts_are_bounded() {
    let range = "Content-Range: bytes 0-0/1\r\n\r\n";
    let fill =
        |len: usize| format!("X: {}\r\n{range}a", "x".repeat(len - "X: \r\n".len() - range.len()));
    assert!(message(&fill(MOST_HEAD)).1.is_ok());
    assert_eq!(message(&fill(MOST_HEAD + 1)).1, Err("the head of a part is larger than 8 KiB"));
    let parts = |count: usize| {
        let body = format!("--B\r\n{range}a\r\n").repeat(count) + "--B--";
        parse(&multipart("B"), [body.as_bytes()]).1
    };
    assert_eq!(parts(MOST_PARTS).map(|patches| patches.len()), Ok(MOST_PARTS));
    assert_eq!(parts(MOST_PARTS + 1), Err("the body has more than 128 parts"));
}

#[test]
fn bytes_are_not_copied() {
    let body = Bytes::from_static(b"Content-Range: bytes 2-5/12\r\n\r\nwxyz");
    let mut out = Vec::new();
    Parser::new(Kind::Message).push(body.clone(), &mut out).unwrap();
    assert_eq!(out[0].as_ptr(), body[body.len() - 4..].as_ptr());
}

/// Pieces of the body, cut at these positions.
fn cut<'a>(body: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    at.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in at.into_iter().chain([body.len()]) {
        pieces.push(&body[start..end]);
        start = end;
    }
    pieces
}

fn apply(file: &mut Vec<u8>, patches: &[Patch], mut bytes: &[u8]) {
    for patch in patches {
        let (content, rest) = bytes.split_at(patch.len as usize);
        let end = (patch.at + patch.len) as usize;
        file.resize(file.len().max(end), 0);
        file[patch.at as usize..end].copy_from_slice(content);
        bytes = rest;
    }
    assert!(bytes.is_empty());
}

/// Contents that look like delimiters, more often than chance would have it.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(vec!["\r\n", "--", "B", "\r\n--B", "\r\n--B--", "\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(fragment, 1..8).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn generated_bodies_are_applied(
        parts in prop::collection::vec((0..40u64, content()), 1..6),
        preamble in "[a-z \n-]{0,10}",
        epilogue in any::<Vec<u8>>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut body = if preamble.is_empty() { Vec::new() } else { format!("{preamble}\r\n").into_bytes() };
        let mut model = b"0123456789".to_vec();
        for (at, content) in &parts {
            let end = at + content.len() as u64;
            body.extend(format!("--B\r\nX: y\r\nContent-Range: bytes {at}-{}/*\r\n\r\n", end - 1).into_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
            model.resize(model.len().max(end as usize), 0);
            for (offset, byte) in content.iter().enumerate() {
                model[*at as usize + offset] = *byte;
            }
        }
        body.extend_from_slice(b"--B--\r\n");
        body.extend_from_slice(&epilogue);
        let whole = parse(&multipart("B"), [body.as_slice()]);
        prop_assert_eq!(&whole, &parse(&multipart("B"), body.chunks(1)));
        prop_assert_eq!(&whole, &parse(&multipart("B"), cut(&body, &cuts)));
        let mut file = b"0123456789".to_vec();
        apply(&mut file, &whole.1.unwrap(), &whole.0);
        prop_assert_eq!(file, model);
    }

    #[test]
    fn splits_never_matter(
        body in prop_oneof![
            any::<Vec<u8>>(),
            prop::collection::vec(
                prop::sample::select(vec![
                    "--B", "--", "\r\n", "\r", "\n", "a", " ", "Content-Range: bytes 0-1/2", "\r\n--B\r\n", "\r\n\r\n",
                    "--B\r\nContent-Range: bytes 0-0/1\r\n\r\na", "\r\n--B--", "X:",
                ]),
                0..10,
            )
            .prop_map(|fragments| fragments.concat().into_bytes()),
        ],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let _ = kind(&body);
        let _ = kind(&[b"multipart/byteranges;", &body[..]].concat());
        for kind in [Kind::Message, multipart("B")] {
            let whole = parse(&kind, [body.as_slice()]);
            prop_assert_eq!(&whole, &parse(&kind, body.chunks(1)));
            prop_assert_eq!(&whole, &parse(&kind, cut(&body, &cuts)));
            if let (bytes, Ok(patches)) = whole {
                prop_assert!(!patches.is_empty());
                prop_assert_eq!(bytes.len() as u64, patches.iter().map(|patch| patch.len).sum::<u64>());
            }
        }
    }
}
