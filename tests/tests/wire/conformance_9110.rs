//! RFC 9110 §§6-10 and 15: methods, what answers carry, and expectations.

use httpout_tests::{Kind, Request, Site, both, delete, get, head, patch, post, put};

both! {
    rfc9110_6_6_1_every_answer_has_a_date,
    rfc9110_7_8_an_upgrade_is_ignored,
    rfc9110_7_8_an_upgrade_with_a_body_is_ignored,
    rfc9110_8_3_media_types_come_from_the_extension,
    rfc9110_8_3_an_uploads_own_type_counts_for_unknown_extensions,
    rfc9110_8_6_head_has_the_length_of_get,
    rfc9110_8_8_2_last_modified_is_the_files_time_and_never_in_the_future,
    rfc9110_8_8_3_the_entity_tag_is_strong_and_changes_with_the_content,
    cache_control_none_drops_the_validators,
    cache_control_is_sent_as_given,
    user_agent_names_the_server,
    rfc9110_9_1_unknown_methods_are_501,
    rfc9110_9_3_2_head_equals_get_without_content,
    rfc9110_9_3_4_uploads_without_a_write_directory_are_405,
    rfc9110_9_3_7_options_lists_what_is_allowed,
    rfc9110_10_1_1_a_granted_expectation_gets_100_first,
    rfc9110_10_1_1_a_refused_expectation_gets_no_100,
    rfc9110_10_1_1_a_body_may_follow_at_once,
    rfc9110_10_1_1_http10_gets_no_100,
    rfc9110_10_1_1_unknown_expectations_are_417,
    rfc9110_11_credentials_nobody_asked_for_do_no_harm,
    rfc9110_12_5_3_gzip_inside_another_token_is_no_gzip,
    rfc9110_15_5_5_errors_do_not_echo_the_path_as_markup,
}

const HELLO: &str = "hello world\n";

fn site(kind: Kind) -> Site {
    let site = Site::new(kind);
    site.write("hello.txt", HELLO);
    site
}

fn rfc9110_6_6_1_every_answer_has_a_date(kind: Kind) {
    // That each final answer has a Date in the preferred format is checked wherever an answer is
    // read; here is one of each kind.
    let site = Site::with(kind, &["--maxs", "10"]);
    site.write("hello.txt", HELLO);
    site.tree.dir("www/dir");
    let requests = [
        (get("/hello.txt"), 200),
        (head("/hello.txt"), 200),
        (put("/new.txt", "new"), 201),
        (delete("/new.txt"), 200),
        (delete("/new.txt"), 204),
        (get("/hello.txt").field("Range", "bytes=0-1"), 206),
        (get("/dir"), 301),
        (get("/hello.txt").field("If-None-Match", "*"), 304),
        (get("/%00"), 400),
        (get("/dir/"), 403),
        (get("/none"), 404),
        (Request::new("PUT", "/x"), 411),
        (get("/hello.txt").field("If-Match", "\"x\""), 412),
        (put("/x", "more than ten bytes"), 413),
        (patch("/hello.txt", "text/plain", "x"), 415),
        (get("/hello.txt").field("Range", "bytes=99-"), 416),
        (get("/hello.txt").field("Expect", "x"), 417),
        (Request::new("FOO", "/"), 501),
    ];
    for (request, status) in requests {
        let answer = site.ask(&request);
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        assert!(answer.get("date").is_some(), "{request:?}: {answer:?}");
    }
}

fn rfc9110_7_8_an_upgrade_is_ignored(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    for (upgrade, connection) in
        [("h2c", "Upgrade, HTTP2-Settings"), ("websocket", "upgrade"), ("TLS/1.0", "Upgrade")]
    {
        let request = get("/hello.txt").field("Upgrade", upgrade).field("Connection", connection);
        let answer = client.ask(&request.field("HTTP2-Settings", "AAMAAABkAAQAAP__"));
        answer.is(200, HELLO);
        assert!(answer.interim.is_empty(), "{answer:?}");
    }
}

fn rfc9110_7_8_an_upgrade_with_a_body_is_ignored(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    let request = Request::new("PUT", "/up.bin")
        .field("Connection", "Upgrade, HTTP2-Settings")
        .field("Upgrade", "h2c");
    client.ask(&request.clone().chunks(&[b"one ", b"two"])).status_is(201);
    client.ask(&request.body("three")).status_is(200);
    client.ask(&get("/up.bin")).is(200, "three");
}

fn rfc9110_8_3_media_types_come_from_the_extension(kind: Kind) {
    let site = site(kind);
    let types: [(&str, &[&str]); 22] = [
        ("m3u8", &["application/vnd.apple.mpegurl", "application/x-mpegURL"]),
        ("mpd", &["application/dash+xml"]),
        ("m4s", &["video/iso.segment"]),
        ("ts", &["video/mp2t"]),
        ("mp4", &["video/mp4"]),
        ("m4v", &["video/mp4"]),
        ("m4a", &["audio/mp4"]),
        ("cmfv", &["video/mp4"]),
        ("cmfa", &["audio/mp4"]),
        ("cmft", &["application/mp4"]),
        ("cmfm", &["application/mp4"]),
        ("init", &["video/mp4"]),
        ("header", &["video/mp4"]),
        ("key", &["application/octet-stream"]),
        ("mp3", &["audio/mpeg"]),
        ("vtt", &["text/vtt"]),
        ("html", &["text/html"]),
        ("txt", &["text/plain"]),
        ("json", &["application/json"]),
        ("js", &["text/javascript", "application/javascript"]),
        ("png", &["image/png"]),
        ("xml", &["application/xml", "text/xml"]),
    ];
    for (extension, expected) in types {
        // Encoders send whatever type; it does not count for an extension that is known.
        let upload =
            put(&format!("/a.{extension}"), "x").field("Content-Type", "application/octet-stream");
        site.ask(&upload).status_is(201);
        for name in [format!("/a.{extension}"), format!("/a.{}", extension.to_uppercase())] {
            site.write(&name[1..], "x");
            let answer = site.ask(&get(&name));
            let essence =
                answer.need("content-type").split(';').next().unwrap_or_default().to_owned();
            assert!(expected.contains(&essence.as_str()), "{name}: {answer:?}");
        }
    }
}

fn rfc9110_8_3_an_uploads_own_type_counts_for_unknown_extensions(kind: Kind) {
    let site = site(kind);
    let mut upload = site.client();
    upload.begin_upload(
        Request::new("PUT", "/a.unheard-of").field("Content-Type", "application/x-own").chunked(),
    );
    upload.send_chunk("x");
    let mut reader = site.client();
    reader
        .begin(&get("/a.unheard-of"))
        .status_is(200)
        .field_is("content-type", "application/x-own");
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    assert_eq!(reader.rest().as_deref(), Ok(&b"x"[..]));
    for wild in ["*/*", "*", "nonsense", "a/b\u{7e}/c"] {
        let mut upload = site.client();
        upload.begin_upload(
            Request::new("PUT", "/b.unheard-of").field("Content-Type", wild).chunked(),
        );
        upload.send_chunk("x");
        let mut reader = site.client();
        let answer = reader.begin(&get("/b.unheard-of"));
        assert_ne!(answer.get("content-type"), Some(wild), "a type that is none is passed on");
        upload.send_last_chunk();
        upload.response("PUT").status_in(&[200, 201]);
        assert_eq!(reader.rest().as_deref(), Ok(&b"x"[..]));
    }
}

fn rfc9110_8_6_head_has_the_length_of_get(kind: Kind) {
    let site = site(kind);
    site.write("empty", "");
    let mut client = site.client();
    client.ask(&head("/hello.txt")).is(200, "").field_is("content-length", "12");
    client.ask(&head("/empty")).is(200, "").field_is("content-length", "0");
    client.ask(&get("/hello.txt")).is(200, HELLO).field_is("content-length", "12");
}

fn rfc9110_8_8_2_last_modified_is_the_files_time_and_never_in_the_future(kind: Kind) {
    let site = site(kind);
    site.tree.set_modified("www/hello.txt", 1_700_000_000);
    site.ask(&get("/hello.txt")).field_is("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT");
    site.tree.set_modified("www/hello.txt", 7_258_118_400);
    let answer = site.ask(&get("/hello.txt"));
    answer.is(200, HELLO);
    assert_eq!(answer.get("last-modified"), answer.get("date"), "{answer:?}");
}

fn rfc9110_8_8_3_the_entity_tag_is_strong_and_changes_with_the_content(kind: Kind) {
    let site = site(kind);
    let tag = |method: &str| site.ask(&Request::new(method, "/hello.txt")).need("etag").to_owned();
    let first = tag("GET");
    assert!(first.starts_with('"'), "{first} is weak");
    assert_eq!(first, tag("GET"));
    assert_eq!(first, tag("HEAD"));
    // The same length and the same second.
    site.ask(&put("/hello.txt", "HELLO WORLD\n")).status_is(200);
    let second = tag("GET");
    assert_ne!(first, second);
    site.ask(&put("/hello.txt", "HELLO WORLD\n!")).status_is(200);
    assert_ne!(second, tag("GET"));
}

fn cache_control_none_drops_the_validators(kind: Kind) {
    let site = Site::with(kind, &["--cache_control", "none"]);
    site.write("hello.txt", HELLO);
    let answer = site.ask(&get("/hello.txt"));
    answer
        .is(200, HELLO)
        .field_is_absent("etag")
        .field_is_absent("last-modified")
        .field_is_absent("cache-control");
}

fn cache_control_is_sent_as_given(kind: Kind) {
    let site = Site::with(kind, &["--cache_control", "max-age=5, public"]);
    site.write("hello.txt", HELLO);
    site.ask(&get("/hello.txt"))
        .is(200, HELLO)
        .field_is("cache-control", "max-age=5, public")
        .need("etag");
}

fn user_agent_names_the_server(kind: Kind) {
    let site = Site::with(kind, &["--user_agent", "Own/1.0"]);
    site.write("hello.txt", HELLO);
    site.ask(&get("/hello.txt")).is(200, HELLO).field_is("server", "Own/1.0");
}

fn rfc9110_9_1_unknown_methods_are_501(kind: Kind) {
    let site = site(kind);
    for method in ["FOO", "LINK", "COPY", "MKCOL", "TRACE", "PROPFIND"] {
        let answer = site.ask(&Request::new(method, "/hello.txt").field("X-Secret", "abc123"));
        answer.status_is(501);
        assert!(!answer.text().contains("abc123"), "RFC 9110 §17.16: an echo: {answer:?}");
    }
}

fn rfc9110_9_3_2_head_equals_get_without_content(kind: Kind) {
    let site = site(kind);
    site.tree.dir("www/dir");
    let requests = [
        ("/hello.txt", None),
        ("/hello.txt", Some(("If-None-Match", "*"))),
        ("/hello.txt", Some(("If-Match", "\"x\""))),
        ("/none", None),
        ("/dir", None),
        ("/dir/", None),
        ("/..", None),
    ];
    for (path, field) in requests {
        let with = |request: Request| match field {
            Some((name, value)) => request.field(name, value),
            None => request,
        };
        let mut client = site.client();
        let of_head = client.ask(&with(head(path)));
        let of_get = site.ask(&with(get(path)));
        let essential = |fields: &[(String, String)]| {
            let mut kept: Vec<_> =
                fields.iter().filter(|(n, _)| !n.eq_ignore_ascii_case("date")).cloned().collect();
            kept.sort();
            kept
        };
        assert_eq!(of_head.status, of_get.status, "{path}");
        assert_eq!(essential(&of_head.fields), essential(&of_get.fields), "{path}");
        // Nothing of a body follows the head.
        if !of_head.lists("connection", "close") {
            client.ask(&get("/hello.txt")).is(200, HELLO);
        }
    }
}

fn rfc9110_9_3_4_uploads_without_a_write_directory_are_405(kind: Kind) {
    let site = Site::read_only(kind, &[]);
    site.write("hello.txt", HELLO);
    let requests = [
        put("/hello.txt", "x"),
        put("/new.txt", "x"),
        post("/hello.txt", "x"),
        delete("/hello.txt"),
        patch("/hello.txt", "message/byterange", "Content-Range: bytes 0-0/12\r\n\r\nx"),
        put("/new.txt", "x").expect(),
        Request::new("PUT", "/new.txt").chunks(&[b"x"]),
        // What was found wrong first counts: without a write directory a length does not matter.
        Request::new("PUT", "/new.txt"),
    ];
    for request in requests {
        let answer = site.ask(&request);
        assert_eq!(answer.status, 405, "{request:?}: {answer:?}");
        assert!(answer.lists("allow", "GET") && answer.lists("allow", "HEAD"), "{answer:?}");
        assert!(!answer.lists("allow", request.method()), "{answer:?}");
    }
    assert_eq!(site.tree.list(), ["www/", "www/hello.txt"]);
    assert_eq!(site.read("hello.txt").as_deref(), Some(HELLO.as_bytes()));
}

fn rfc9110_9_3_7_options_lists_what_is_allowed(kind: Kind) {
    let site = site(kind);
    let read_only = Site::read_only(kind, &[]);
    read_only.write("hello.txt", HELLO);
    for target in ["*", "/hello.txt"] {
        let answer = site.ask(&Request::new("OPTIONS", target));
        answer.status_is(200);
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"] {
            assert!(answer.lists("allow", method), "{method}: {answer:?}");
        }
    }
    let answer = read_only.ask(&Request::new("OPTIONS", "/hello.txt"));
    answer.status_is(200);
    assert!(
        answer.lists("allow", "GET")
            && answer.lists("allow", "OPTIONS")
            && !answer.lists("allow", "PUT"),
        "{answer:?}"
    );
    // With a body that nobody wants.
    let mut client = site.client();
    client.ask(&Request::new("OPTIONS", "/hello.txt").body("{}")).status_is(200);
    client.ask(&get("/hello.txt")).is(200, HELLO);
}

fn rfc9110_10_1_1_a_granted_expectation_gets_100_first(kind: Kind) {
    let site = site(kind);
    for expectation in ["100-continue", "100-Continue", "100-CONTINUE"] {
        let mut client = site.client();
        client.send(Request::new("PUT", "/x.bin").announce(5).field("Expect", expectation).bytes());
        client.interim_is(100);
        client.send("hello");
        client.response("PUT").status_in(&[200, 201]);
        client.ask(&get("/x.bin")).is(200, "hello");
    }
    let mut client = site.client();
    client.begin_upload(Request::new("POST", "/y.bin").chunked());
    client.send_chunk("hello");
    client.send_last_chunk();
    client.response("POST").status_is(201);
    client.ask(&get("/y.bin")).is(200, "hello");
}

fn rfc9110_10_1_1_a_refused_expectation_gets_no_100(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "1K"]);
    site.write("hello.txt", HELLO);
    let read_only = Site::read_only(kind, &[]);
    let cases = [
        (&read_only, Request::new("PUT", "/x").announce(5), 405),
        (&read_only, Request::new("PUT", "/x").chunked(), 405),
        (&read_only, Request::new("DELETE", "/x").announce(5), 405),
        (&site, Request::new("PUT", "/x").announce(5000), 413),
        (&site, Request::new("PUT", "/x"), 411),
        (&site, Request::new("PUT", "/hello.txt").announce(5).field("If-None-Match", "*"), 412),
        (&site, Request::new("PUT", "/hello.txt").announce(5).field("If-Match", "\"x\""), 412),
        (&site, Request::new("PUT", "/%2e%2e/x").announce(5), 400),
        (&site, Request::new("PUT", "/none").announce(5).field("Range", "bytes=0-4"), 404),
        (
            &site,
            Request::new("PATCH", "/hello.txt").announce(5).field("Content-Type", "text/plain"),
            415,
        ),
    ];
    for (site, request, status) in cases {
        let mut client = site.client();
        // The body is never sent: an answer that waits for it would never come.
        let answer = client.ask(&request.clone().expect());
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        assert!(answer.interim.is_empty(), "{request:?}: {answer:?}");
    }
}

fn rfc9110_10_1_1_a_body_may_follow_at_once(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    client.send([put("/x.bin", "hello").expect().bytes(), get("/x.bin").bytes()].concat());
    client.response("PUT").status_is(201);
    client.response("GET").is(200, "hello");
    // Without a body there is nothing to continue with.
    client.ask(&get("/hello.txt").expect()).is(200, HELLO);
}

fn rfc9110_10_1_1_http10_gets_no_100(kind: Kind) {
    let site = site(kind);
    let answer = site.ask(&put("/x.bin", "hello").expect().http10());
    answer.status_is(201);
    assert!(answer.interim.is_empty(), "{answer:?}");
}

fn rfc9110_10_1_1_unknown_expectations_are_417(kind: Kind) {
    let site = site(kind);
    for expectation in ["200-maybe", "100-continue, x", "x=y", "100-continu"] {
        let answer = site.ask(&put("/x.bin", "hello").field("Expect", expectation));
        assert_eq!(answer.status, 417, "to {expectation}: {answer:?}");
        assert!(!site.has("x.bin"));
    }
}

fn rfc9110_11_credentials_nobody_asked_for_do_no_harm(kind: Kind) {
    let site = site(kind);
    let long = format!("Basic {}", "QUFB".repeat(3000));
    for value in ["Basic !!!!", "Basic", "Bearer x", long.as_str(), "Basic dXNlcjpwYXNz"] {
        site.ask(&get("/hello.txt").field("Authorization", value)).is(200, HELLO);
    }
}

fn rfc9110_12_5_3_gzip_inside_another_token_is_no_gzip(kind: Kind) {
    let site = site(kind);
    for value in ["x-nogzipplease", "gzip;q=0", "identity", "", "br"] {
        site.ask(&get("/hello.txt").field("Accept-Encoding", value))
            .is(200, HELLO)
            .field_is_absent("content-encoding");
    }
}

fn rfc9110_15_5_5_errors_do_not_echo_the_path_as_markup(kind: Kind) {
    let site = site(kind);
    let answer = site.ask(&get("/%3Cscript%3Ealert(1)%3C/script%3E"));
    answer.status_is(404);
    assert!(!answer.text().contains("<script>alert"), "{answer:?}");
    let answer = site.ask(&get("/x%0d%0aX-Inj:%201"));
    answer.status_is(400).field_is_absent("x-inj");
    let answer = site.ask(&put("/y%0d%0aX-Inj:%201", "x"));
    answer.status_is(400).field_is_absent("x-inj");
    site.tree.dir("www/d\r\nX-Inj: 1");
    let answer = site.ask(&get("/d%0d%0aX-Inj:%201"));
    answer.status_is(400).field_is_absent("x-inj");
}
