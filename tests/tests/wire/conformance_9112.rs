//! RFC 9112 §§2-5, how a request head is written; where the RFC leaves a choice, the strict one.

use httpout_tests::{Kind, Response, Server, Site, both, get, put};

both! {
    rfc9112_2_1_a_request_may_come_byte_by_byte,
    rfc9112_2_2_one_empty_line_before_a_request_is_ignored,
    rfc9112_2_2_bare_line_feeds_are_refused,
    rfc9112_2_2_bare_carriage_returns_are_refused,
    rfc9112_2_2_white_space_before_the_first_field_is_refused,
    rfc9112_2_3_versions,
    rfc9112_3_the_start_line_has_two_single_spaces,
    rfc9112_3_1_methods_are_tokens_and_case_sensitive,
    rfc9112_3_a_target_of_8000_octets_is_taken_and_an_endless_one_is_414,
    rfc9112_3_2_host_is_needed_once_and_well_formed,
    rfc9112_3_2_1_the_origin_form_begins_with_a_slash_and_is_ascii,
    rfc9112_3_2_2_the_absolute_form_wins_over_host,
    rfc9112_3_2_2_a_bad_absolute_form_is_refused,
    rfc9112_3_2_3_the_authority_form_is_for_connect,
    rfc9112_3_2_4_the_asterisk_is_for_options,
    rfc9112_5_1_malformed_field_lines_are_refused,
    rfc9112_5_1_white_space_around_a_value_is_no_part_of_it,
    rfc9112_5_2_folded_lines_are_refused,
}

const HELLO: &str = "hello world\n";

fn site(kind: Kind) -> Site {
    let site = Site::new(kind);
    site.write("hello.txt", HELLO);
    site
}

/// Each of these is refused with 400, and the next thing sent is not read as a request.
#[track_caller]
fn all_are_400(server: &Server, requests: &[&str]) {
    for raw in requests {
        server.refuses(raw, 400);
    }
}

/// Sends raw text on a connection of its own, and reads one answer.
#[track_caller]
fn raw(site: &Site, text: impl AsRef<[u8]>) -> Response {
    let mut client = site.client();
    client.send(&text);
    client.response("")
}

fn rfc9112_2_1_a_request_may_come_byte_by_byte(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    for request in
        [get("/hello.txt"), put("/slow.txt", "slow").field("X-Pad", "x"), get("/slow.txt")]
    {
        for byte in request.bytes() {
            client.send([byte]);
        }
    }
    client.response("GET").is(200, HELLO);
    client.response("PUT").status_is(201);
    client.response("GET").is(200, "slow");
}

fn rfc9112_2_2_one_empty_line_before_a_request_is_ignored(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    for _ in 0..3 {
        client.send("\r\nGET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.response("GET").is(200, HELLO);
    }
    site.server.refuses("\r\n\r\nGET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
}

fn rfc9112_2_2_bare_line_feeds_are_refused(kind: Kind) {
    all_are_400(
        &site(kind).server,
        &[
            "GET /hello.txt HTTP/1.1\nHost: localhost\n\n",
            "GET /hello.txt HTTP/1.1\nHost: localhost\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-A: b\n\r\n",
            "\nGET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ],
    );
}

fn rfc9112_2_2_bare_carriage_returns_are_refused(kind: Kind) {
    all_are_400(
        &site(kind).server,
        &[
            "GET /hello.txt\rHTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /hello.txt HTTP/1.1\rHost: localhost\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: local\rhost\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-A: b\rX-B: c\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\r\n\r\n",
            "\rGET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ],
    );
}

fn rfc9112_2_2_white_space_before_the_first_field_is_refused(kind: Kind) {
    all_are_400(
        &site(kind).server,
        &[
            "GET /hello.txt HTTP/1.1\r\n X-A: b\r\nHost: localhost\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\n\tHost: localhost\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\n \r\nHost: localhost\r\n\r\n",
        ],
    );
}

fn rfc9112_2_3_versions(kind: Kind) {
    let site = site(kind);
    // RFC 9110 §6.2: a higher minor version is served as the highest that is known.
    raw(&site, "GET /hello.txt HTTP/1.2\r\nHost: localhost\r\n\r\n").is(200, HELLO);
    raw(&site, "GET /hello.txt HTTP/1.9\r\nHost: localhost\r\n\r\n").is(200, HELLO);
    for version in ["HTTP/2.0", "HTTP/3.0", "HTTP/9.9"] {
        site.server.refuses(format!("GET /hello.txt {version}\r\nHost: localhost\r\n\r\n"), 505);
    }
    let wrong = [
        "HTTP/1.10",
        "HTTP/11.1",
        "HTTP/01.1",
        "HTTP/1.",
        "HTTP/1",
        "HTTP/.1",
        "HTTP1.1",
        "http/1.1",
        "Http/1.1",
    ];
    for version in wrong.into_iter().chain([
        "HTTX/1.1",
        "HTTP/1,1",
        "HTTP/a.b",
        "HTTP /1.1",
        "HTTP/ 1.1",
        "HTTP/1.1;x",
    ]) {
        site.server.refuses(format!("GET /hello.txt {version}\r\nHost: localhost\r\n\r\n"), 400);
    }
    // HTTP/0.9, and the start of an HTTP/2 connection.
    site.server.refuses("GET /hello.txt\r\n\r\n", 400);
    site.server.refuses("GET /hello.txt \r\nHost: localhost\r\n\r\n", 400);
    site.server.refuses("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
}

fn rfc9112_3_the_start_line_has_two_single_spaces(kind: Kind) {
    let lines = [
        " GET /hello.txt HTTP/1.1",
        "\tGET /hello.txt HTTP/1.1",
        "GET  /hello.txt HTTP/1.1",
        "GET /hello.txt  HTTP/1.1",
        "GET\t/hello.txt HTTP/1.1",
        "GET /hello.txt\tHTTP/1.1",
        "GET /hello.txt HTTP/1.1 ",
        "GET /hello.txt HTTP/1.1\t",
        "GET /hello.txt HTTP/1.1 x",
        "GET /hello .txt HTTP/1.1",
        "GET\u{b}/hello.txt HTTP/1.1",
        "GET",
        "GET ",
        "GET /hello.txtHTTP/1.1",
        "/hello.txt HTTP/1.1",
    ];
    let site = site(kind);
    for line in lines {
        site.server.refuses(format!("{line}\r\nHost: localhost\r\n\r\n"), 400);
    }
}

fn rfc9112_3_1_methods_are_tokens_and_case_sensitive(kind: Kind) {
    let site = site(kind);
    for method in
        ["get", "Get", "FOO", "GETT", "G", "M-SEARCH", "!#$%&'*+-.^_`|~", "PROPFIND", "TRACE"]
    {
        let answer = raw(&site, format!("{method} /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(answer.status, 501, "to {method}: {answer:?}");
    }
    for method in ["GE(T", "GE/T", "\"GET\"", "G{T", "GET,", "G\u{1}T", "G\u{e9}T"] {
        site.server
            .refuses(format!("{method} /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
    }
}

fn rfc9112_3_a_target_of_8000_octets_is_taken_and_an_endless_one_is_414(kind: Kind) {
    let site = site(kind);
    let target = format!("/hello.txt?{}", "q".repeat(8000 - 11));
    site.ask(&get(&target)).is(200, HELLO);
    let path = format!("/{}", "long/".repeat(1500));
    site.ask(&get(&path)).status_is(404);
    for length in [17_000, 40_000] {
        site.server.refuses(get(&format!("/{}", "a".repeat(length))).bytes(), 414);
    }
    // Without any end the refusal comes all the same.
    let mut client = site.client();
    client.send(format!("GET /{}", "a".repeat(20_000)));
    client.response("GET").status_is(414).says_close();
    client.closed_in_order();
}

fn rfc9112_3_2_host_is_needed_once_and_well_formed(kind: Kind) {
    let site = site(kind);
    for host in [
        "localhost",
        "localhost:8080",
        "LOCALHOST",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:80",
        "a.example.",
        "a-b_c~d",
    ] {
        raw(&site, format!("GET /hello.txt HTTP/1.1\r\nHost: {host}\r\n\r\n")).is(200, HELLO);
    }
    raw(&site, "GET /hello.txt HTTP/1.0\r\n\r\n").is(200, HELLO);
    all_are_400(
        &site.server,
        &[
            "GET /hello.txt HTTP/1.1\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\nhost: other\r\n\r\n",
            "GET /hello.txt HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        ],
    );
    let wrong = [
        "a, b",
        "a b",
        "localhost/x",
        "user@localhost",
        "localhost:80a",
        "localhost:-1",
        "::1",
        "[::1",
        "[::1]x",
    ];
    for host in wrong.into_iter().chain([
        "[]",
        "a?b",
        "a#b",
        "a\\b",
        "local\0host",
        "h\u{f6}st",
        "<a>",
        "a:1:2",
        "%zz",
    ]) {
        site.server.refuses(format!("GET /hello.txt HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400);
    }
}

fn rfc9112_3_2_1_the_origin_form_begins_with_a_slash_and_is_ascii(kind: Kind) {
    let site = site(kind);
    raw(&site, "GET /hello.txt?a=b&c=%20/../?x HTTP/1.1\r\nHost: localhost\r\n\r\n").is(200, HELLO);
    let targets = [
        "hello.txt",
        "/hello.txt#",
        "/hello.txt#part",
        "#",
        "/h\u{1}",
        "/h\u{7f}",
        "/h\u{0}",
        "?q",
        "./hello.txt",
    ];
    for target in targets {
        site.server.refuses(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
    }
    site.server.refuses(b"GET /\xe9.txt HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
    site.server.refuses(b"GET /hello.txt?\xc3 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
    site.server.refuses(b"GET /\xed\xa0\x80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
    // What is UTF-8 counts as percent-encoded: clients send it.
    site.write("\u{e9}.txt", "accent");
    let answer = site.ask(&get("/\u{e9}.txt?\u{e9}"));
    answer.is(200, "accent");
    site.ask(&get("http://localhost/\u{e9}.txt")).is(200, "accent");
    site.ask(&put("/\u{1f3ac}.txt", "film")).field_is("content-location", "/%F0%9F%8E%AC.txt");
    site.tree.dir("www/dir");
    let answer = site.ask(&get("/dir?\u{e9}"));
    answer.status_is(301).field_is("location", "/dir/?%C3%A9");
}

fn rfc9112_3_2_2_the_absolute_form_wins_over_host(kind: Kind) {
    let site = site(kind);
    for origin in
        ["http://localhost", "http://elsewhere.example:8080", "HTTP://localhost", "http://[::1]:80"]
    {
        raw(&site, format!("GET {origin}/hello.txt?q HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .is(200, HELLO);
    }
    // An empty path is the root, which cannot be listed.
    raw(&site, "GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n").status_is(403);
}

fn rfc9112_3_2_2_a_bad_absolute_form_is_refused(kind: Kind) {
    let site = site(kind);
    let targets = [
        "http://localhost:abc/hello.txt",
        "http://u:p@localhost/hello.txt",
        "http:///hello.txt",
        "http://:80/hello.txt",
        "http:/hello.txt",
        "http:hello.txt",
        "http://local host/hello.txt",
        "http://localhost/hello.txt#x",
        "http://a\\b/hello.txt",
    ];
    for target in targets {
        site.server.refuses(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
    }
    // Host is needed all the same.
    site.server.refuses("GET http://localhost/hello.txt HTTP/1.1\r\n\r\n", 400);
}

fn rfc9112_3_2_3_the_authority_form_is_for_connect(kind: Kind) {
    let site = site(kind);
    site.server.refuses("GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
    raw(&site, "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n").status_is(501);
}

fn rfc9112_3_2_4_the_asterisk_is_for_options(kind: Kind) {
    let site = site(kind);
    let answer = raw(&site, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n");
    answer.status_is(200);
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        assert!(answer.lists("allow", method), "{method} in {answer:?}");
    }
    for method in ["GET", "HEAD", "DELETE"] {
        let mut client = site.client();
        client.send(format!("{method} * HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        client.response(method).status_is(400);
    }
    raw(&site, "OPTIONS *x HTTP/1.1\r\nHost: localhost\r\n\r\n").status_is(400);
}

fn rfc9112_5_1_malformed_field_lines_are_refused(kind: Kind) {
    let site = site(kind);
    let lines = [
        "X-A : b",
        "X-A\t: b",
        "X-A",
        "Bad Header",
        ": b",
        "X A: b",
        "X(A): b",
        "X@A: b",
        "X\u{e9}A: b",
        "X-A: b\u{0}c",
        "X-A: \u{1}",
        "X-A: b\u{7f}",
        "X-A: b\u{b}c",
        "X-A: \u{1b}[0m",
        "\"X\": b",
        "X[: b",
    ];
    for line in lines {
        site.server
            .refuses(format!("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n"), 400);
        site.server
            .refuses(format!("GET /hello.txt HTTP/1.1\r\n{line}\r\nHost: localhost\r\n\r\n"), 400);
    }
}

fn rfc9112_5_1_white_space_around_a_value_is_no_part_of_it(kind: Kind) {
    let site = site(kind);
    for line in ["X-A:b", "X-A:", "X-A: \t ", "X-A: b\tc d", "x-a:\tb\t"] {
        raw(&site, format!("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n"))
            .is(200, HELLO);
    }
    raw(&site, "GET /hello.txt HTTP/1.1\r\nHost:\t localhost \t\r\nRange: \t bytes=0-4\t \r\n\r\n")
        .is(206, "hello");
    // Bytes above 0x7f are opaque data in a value (RFC 9110 §5.5).
    raw(&site, b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-A: \xe9\xff\r\n\r\n")
        .is(200, HELLO);
    let mut client = site.client();
    client.send("PUT /ows.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length:\t 5 \t\r\n\r\nhello");
    client.response("PUT").status_is(201);
}

fn rfc9112_5_2_folded_lines_are_refused(kind: Kind) {
    all_are_400(
        &site(kind).server,
        &[
            "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n\tc\r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n \r\n\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: local\r\n host\r\n\r\n",
            "PUT /fold.txt HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        ],
    );
}
