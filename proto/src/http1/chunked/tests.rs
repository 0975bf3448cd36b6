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
