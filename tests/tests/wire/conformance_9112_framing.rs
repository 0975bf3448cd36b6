//! RFC 9112 §§6-9, bodies and connections; where the RFC leaves a choice, the strict one.

use httpout_tests::{Kind, Piece, Request, Response, Site, both, delete, get, head, put};

both! {
    rfc9112_6_1_transfer_codings_other_than_one_chunked_are_refused,
    rfc9112_6_1_a_length_beside_a_coding_is_refused,
    rfc9112_6_1_a_coding_in_http10_is_refused,
    rfc9112_6_3_two_lengths_are_refused,
    rfc9112_6_3_a_length_is_digits_only,
    rfc9112_6_3_a_body_nobody_asked_for_is_not_read_as_a_request,
    rfc9112_6_3_empty_files_are_framed,
    rfc9112_7_1_chunked_bodies_are_put_together,
    rfc9112_7_1_1_chunk_extensions_are_ignored,
    rfc9112_7_1_2_trailers_change_nothing,
    rfc9112_7_1_malformed_chunks_are_refused,
    rfc9112_7_1_floods_beside_the_data_are_refused,
    rfc9112_8_an_incomplete_body_leaves_nothing,
    rfc9112_9_3_a_connection_persists_and_http10_closes,
    rfc9112_9_3_http10_may_ask_to_persist,
    rfc9112_9_3_2_pipelined_answers_come_in_order,
    rfc9112_9_3_2_a_mix_of_methods_can_be_pipelined,
    rfc9112_9_3_2_nothing_is_answered_behind_an_error_in_framing,
    rfc9112_9_6_close_in_any_list_closes,
    rfc9112_9_6_a_half_closed_client_gets_its_answer,
}

const HELLO: &str = "hello world\n";

fn site(kind: Kind) -> Site {
    let site = Site::new(kind);
    site.write("hello.txt", HELLO);
    site
}

/// Sends raw text on a connection of its own, and reads one answer.
#[track_caller]
fn raw(site: &Site, text: impl AsRef<[u8]>) -> Response {
    let mut client = site.client();
    client.send(&text);
    client.response("")
}

fn rfc9112_6_1_transfer_codings_other_than_one_chunked_are_refused(kind: Kind) {
    let site = site(kind);
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let codings = [
        "xchunked",
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, identity",
        "chunked, chunked",
        "chunked, gzip",
        "\"chunked\"",
        "\u{b}chunked",
        "chunked\u{b}",
        "",
        ",",
        "chunked;q=1",
        "chunked x",
        "chun\u{212a}ed",
        "chunked\u{a0}",
    ];
    for coding in codings {
        let head = format!(
            "PUT /te.txt HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\n\r\n{body}"
        );
        site.server.refuses(head, 400);
    }
    for lines in [
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: identity",
        "identity\r\nTransfer-Encoding: chunked",
    ] {
        site.server.refuses(
            format!("PUT /te.txt HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {lines}\r\n\r\n{body}"),
            400,
        );
    }
    assert!(!site.has("te.txt"));
    // Names of codings have no case (RFC 9110 §10.1.4).
    raw(
        &site,
        format!(
            "PUT /te.txt HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: CHUNKED\r\n\r\n{body}"
        ),
    )
    .status_is(201);
    assert_eq!(site.read("te.txt").as_deref(), Some(&b"hello"[..]));
}

fn rfc9112_6_1_a_length_beside_a_coding_is_refused(kind: Kind) {
    let site = site(kind);
    for (first, second) in [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "content-length: 0"),
    ] {
        for method in ["PUT", "GET", "DELETE", "OPTIONS"] {
            let head = format!(
                "{method} /hello.txt HTTP/1.1\r\nHost: localhost\r\n{first}\r\n{second}\r\n\r\n"
            );
            site.server.refuses(format!("{head}5\r\nhello\r\n0\r\n\r\n"), 400);
        }
    }
    assert_eq!(site.read("hello.txt").as_deref(), Some(HELLO.as_bytes()));
}

fn rfc9112_6_1_a_coding_in_http10_is_refused(kind: Kind) {
    let site = site(kind);
    site.server.refuses(
        "PUT /old.txt HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        400,
    );
    assert!(!site.has("old.txt"));
}

fn rfc9112_6_3_two_lengths_are_refused(kind: Kind) {
    let site = site(kind);
    for lines in [
        "5\r\nContent-Length: 5",
        "5\r\nContent-Length: 6",
        "5, 5",
        "5,6",
        "0\r\ncontent-length: 5",
    ] {
        site.server.refuses(
            format!(
                "PUT /two.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: {lines}\r\n\r\nhello"
            ),
            400,
        );
        site.server.refuses(
            format!(
                "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: {lines}\r\n\r\nhello"
            ),
            400,
        );
    }
    assert!(!site.has("two.txt"));
}

fn rfc9112_6_3_a_length_is_digits_only(kind: Kind) {
    let site = site(kind);
    for length in [
        "+5",
        "-5",
        "5.0",
        "abc",
        "",
        "5 5",
        "0x5",
        "5_0",
        "5;q",
        "\u{665}",
        "1e1",
        "5,",
        "18446744073709551616",
    ] {
        let head = format!(
            "PUT /cl.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\nhello"
        );
        site.server.refuses(head, 400);
    }
    assert!(!site.has("cl.txt"));
}

fn rfc9112_6_3_a_body_nobody_asked_for_is_not_read_as_a_request(kind: Kind) {
    let site = site(kind);
    let inner = String::from_utf8(get("/canary").bytes()).expect("ASCII");
    for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
        let with_length = Request::new(method, "/none.txt").body(&inner);
        let with_chunks = Request::new(method, "/none.txt").chunks(&[inner.as_bytes()]);
        for request in [with_length, with_chunks] {
            let mut client = site.client();
            client.send([request.bytes(), get("/hello.txt").bytes()].concat());
            let answer = client.response(method);
            answer.status_in(&[200, 204, 404]);
            assert!(!answer.lists("connection", "close"), "{answer:?}");
            client.response("GET").is(200, HELLO);
        }
    }
    // An unknown method's body is not read as a request either.
    let mut client = site.client();
    client.send(
        [Request::new("FOO", "/hello.txt").body(&inner).bytes(), get("/hello.txt").bytes()]
            .concat(),
    );
    client.response("FOO").status_is(501).says_close();
    client.closed_in_order();
}

fn rfc9112_6_3_empty_files_are_framed(kind: Kind) {
    let site = site(kind);
    site.write("empty.bin", "");
    let mut client = site.client();
    for _ in 0..2 {
        client.ask(&get("/empty.bin")).is(200, "").field_is("content-length", "0");
        client.ask(&get("/hello.txt")).is(200, HELLO);
    }
}

fn rfc9112_7_1_chunked_bodies_are_put_together(kind: Kind) {
    let site = site(kind);
    let bodies = [
        ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
        ("A\r\n0123456789\r\nb\r\nabcdefghijk\r\n0\r\n\r\n", "0123456789abcdefghijk"),
        ("0005\r\nhello\r\n000\r\n\r\n", "hello"),
        ("0\r\n\r\n", ""),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
    ];
    let mut client = site.client();
    for (i, (body, content)) in bodies.into_iter().enumerate() {
        let path = format!("/chunked-{i}");
        client.send([put_chunked(&path), body.as_bytes().to_vec()].concat());
        client.response("PUT").status_is(201);
        client.ask(&get(&path)).is(200, content);
    }
    client.send([put_chunked("/many"), b"1\r\nx\r\n".repeat(3000), b"0\r\n\r\n".to_vec()].concat());
    client.response("PUT").status_is(201);
    client.ask(&get("/many")).is(200, "x".repeat(3000));
}

/// The head of a chunked upload.
fn put_chunked(path: &str) -> Vec<u8> {
    Request::new("PUT", path).chunked().bytes()
}

fn rfc9112_7_1_1_chunk_extensions_are_ignored(kind: Kind) {
    let site = site(kind);
    for extension in [";a=b", ";a", ";a=\"q;\\\"x\"", ";a=b;c=\"d e\"", ";a=\"0\""] {
        let mut client = site.client();
        let body = format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n");
        client.send([put_chunked("/ext"), body.into_bytes()].concat());
        client.response("PUT").status_in(&[200, 201]);
        client.ask(&get("/ext")).is(200, "hello");
    }
}

fn rfc9112_7_1_2_trailers_change_nothing(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    let trailers = "X-T: v\r\nContent-Length: 100\r\nHost: evil\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n";
    client.send(
        [put_chunked("/trailer"), format!("5\r\nhello\r\n0\r\n{trailers}\r\n").into_bytes()]
            .concat(),
    );
    // Ignored or refused, but never obeyed.
    let answer = client.response("PUT");
    answer.status_is(201);
    if answer.status == 201 {
        client.ask(&get("/trailer")).is(200, "hello");
    } else {
        assert!(!site.has("trailer"));
    }
}

fn rfc9112_7_1_malformed_chunks_are_refused(kind: Kind) {
    let site = site(kind);
    let bodies = [
        "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5\thello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a=b\r\nhello\r\n0\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;a=b\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a=\u{0}\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\r\n0\r\n X: folded\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\n\r\n",
    ];
    for body in bodies {
        site.server.refuses([put_chunked("/bad"), body.as_bytes().to_vec()].concat(), 400);
        site.no_parts_left();
        assert!(!site.has("bad"), "after {body:?}");
    }
}

fn rfc9112_7_1_floods_beside_the_data_are_refused(kind: Kind) {
    let site = site(kind);
    let long = "x".repeat(20_000);
    let bodies = [
        format!("5;{long}\r\nhello\r\n0\r\n\r\n"),
        format!("{}0\r\n\r\n", "1;abcdefghijklmnopqrstuvwxyz=0123456789\r\nx\r\n".repeat(600)),
        format!("5\r\nhello\r\n0\r\nX: {long}\r\n\r\n"),
        format!("5\r\nhello\r\n0\r\n{}\r\n", "X: y\r\n".repeat(40)),
    ];
    for body in bodies {
        let mut client = site.client();
        client.send([put_chunked("/flood"), body.clone().into_bytes()].concat());
        let shown = body.chars().take(40).collect::<String>();
        let answer = client.response("PUT");
        assert!([400, 413, 431].contains(&answer.status), "to {shown:?}: {answer:?}");
        client.closed();
        assert!(!site.has("flood"), "after {shown:?}");
    }
    site.no_parts_left();
}

fn rfc9112_8_an_incomplete_body_leaves_nothing(kind: Kind) {
    let site = site(kind);
    let length = Request::new("PUT", "/half").announce(100).bytes();
    for (i, body) in
        ["", "partial"].into_iter().map(|b| [length.clone(), b.into()].concat()).enumerate().chain(
            ["5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "5\r", ""]
                .into_iter()
                .map(|b| [put_chunked("/half"), b.into()].concat())
                .enumerate(),
        )
    {
        let mut client = site.client();
        client.send(body);
        client.finish_sending();
        client.response("PUT").status_is(400).says_close();
        client.closed();
        site.no_parts_left();
        assert!(!site.has("half"), "case {i}");
    }
}

fn rfc9112_9_3_a_connection_persists_and_http10_closes(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    for _ in 0..20 {
        let answer = client.ask(&get("/hello.txt"));
        answer.is(200, HELLO);
        assert!(!answer.lists("connection", "close"), "{answer:?}");
    }
    let mut client = site.client();
    let answer = client.ask(&get("/hello.txt").http10());
    answer.is(200, HELLO).says_close();
    client.closed_in_order();
    let mut client = site.client();
    client.ask(&put("/ten.txt", "ten").http10()).status_is(201);
    client.closed_in_order();
    assert_eq!(site.read("ten.txt").as_deref(), Some(&b"ten"[..]));
}

fn rfc9112_9_3_http10_may_ask_to_persist(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    let request = get("/hello.txt").http10().field("Connection", "keep-alive");
    let answer = client.ask(&request);
    answer.is(200, HELLO).field_is_absent("transfer-encoding");
    if answer.lists("connection", "keep-alive") {
        client.ask(&request).is(200, HELLO);
    } else {
        client.closed_in_order();
    }
}

fn rfc9112_9_3_2_pipelined_answers_come_in_order(kind: Kind) {
    let site = site(kind);
    let names: Vec<_> = (0..100).map(|i| format!("/file-{i}")).collect();
    for name in &names {
        // Files of very different sizes: a later one must not overtake an earlier.
        let length = if name.len() % 2 == 0 { 100_000 } else { 10 };
        site.write(&name[1..], name.repeat(length / name.len() + 1));
    }
    let mut client = site.client();
    client.send(names.iter().flat_map(|name| get(name).bytes()).collect::<Vec<_>>());
    for name in &names {
        let answer = client.response("GET");
        assert!(answer.text().starts_with(name.as_str()), "{name}: {:?}", answer.head);
    }
    client.ask(&get("/hello.txt")).is(200, HELLO);
}

fn rfc9112_9_3_2_a_mix_of_methods_can_be_pipelined(kind: Kind) {
    let site = site(kind);
    let requests = [
        put("/a.bin", "first"),
        get("/a.bin"),
        head("/a.bin"),
        Request::new("PUT", "/a.bin").chunks(&[b"sec", b"ond"]),
        get("/a.bin"),
        Request::new("OPTIONS", "*"),
        delete("/a.bin").chunks(&[]),
        get("/a.bin"),
        Request::new("POST", "/b/c/d.bin").chunks(&[b"deep"]),
        head("/nothing"),
        get("/b/c/d.bin").field("Range", "bytes=1-2"),
    ];
    let expected: [(u16, Option<&str>); 11] = [
        (201, None),
        (200, Some("first")),
        (200, Some("")),
        (200, None),
        (200, Some("second")),
        (200, None),
        (200, None),
        (404, None),
        (201, None),
        (404, Some("")),
        (206, Some("ee")),
    ];
    let mut client = site.client();
    client.send(requests.iter().flat_map(Request::bytes).collect::<Vec<_>>());
    for (request, (status, body)) in requests.iter().zip(expected) {
        let answer = client.response(request.method());
        assert!(
            answer.status == status || (status == 200 && answer.status == 204),
            "{request:?}: {answer:?}"
        );
        assert!(body.is_none_or(|b| answer.text() == b), "{request:?}: {answer:?}");
    }
}

fn rfc9112_9_3_2_nothing_is_answered_behind_an_error_in_framing(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    let bad = b"GET /hello.txt HTTP/1.1\r\nBad Header\r\n\r\n".to_vec();
    client.send(
        [get("/hello.txt").bytes(), bad, get("/hello.txt").bytes(), get("/hello.txt").bytes()]
            .concat(),
    );
    client.response("GET").is(200, HELLO);
    client.response("GET").status_is(400).says_close();
    client.closed_in_order();
}

fn rfc9112_9_6_close_in_any_list_closes(kind: Kind) {
    let site = site(kind);
    for lines in [
        "close",
        "Close",
        "foo, close ,bar",
        "keep-alive, close",
        "foo\r\nConnection: close",
        ",close,",
    ] {
        let mut client = site.client();
        let request = get("/hello.txt").field("Connection", lines);
        client.send([request.bytes(), get("/hello.txt").bytes()].concat());
        client.response("GET").is(200, HELLO).says_close();
        client.closed_in_order();
    }
    let mut client = site.client();
    client.ask(&get("/hello.txt").field("Connection", "closed, not-close")).is(200, HELLO);
    client.ask(&get("/hello.txt")).is(200, HELLO);
}

fn rfc9112_9_6_a_half_closed_client_gets_its_answer(kind: Kind) {
    let site = site(kind);
    site.write("big.bin", vec![7; 3_000_000]);
    let mut client = site.client();
    client.send([get("/hello.txt").bytes(), get("/big.bin").bytes()].concat());
    client.finish_sending();
    client.response("GET").is(200, HELLO);
    client.response("GET").is(200, vec![7; 3_000_000]);
    assert_eq!(client.piece(), Piece::End);
    client.closed_in_order();
}
