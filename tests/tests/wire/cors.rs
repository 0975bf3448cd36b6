//! Pages of other origins (`--cors`), as the Fetch standard defines them.

use httpout_tests::{
    Head, Kind, Request, Response, Ruled, Site, Tree, both, delete, get, head, patch, put,
};

both! {
    cors_lets_a_page_read_every_answer,
    cors_lets_a_page_read_errors,
    cors_lets_a_page_read_listings_and_redirects,
    cors_lets_a_page_read_the_clock,
    cors_exposes_by_name_what_players_read,
    a_preflight_is_answered,
    a_preflight_echoes_the_headers_that_are_asked_for,
    a_preflight_injects_nothing,
    a_preflight_tells_what_may_be_done,
    an_options_without_origin_is_no_preflight,
    cors_auto_answers_an_origin,
    cors_auto_varies_always,
    cors_on_answers_all,
    cors_off_answers_none,
    cors_never_allows_kept_credentials,
    cors_of_a_growing_upload,
    a_page_is_told_that_a_password_is_needed,
}

const ORIGIN: &str = "https://player.example";

/// The request as a browser sends it for a page of another origin.
fn from_page(request: Request) -> Request {
    request.field("Origin", ORIGIN)
}

/// The preflight of a request.
fn preflight(path: &str, method: &str, headers: Option<&str>) -> Request {
    let request =
        from_page(Request::new("OPTIONS", path)).field("Access-Control-Request-Method", method);
    headers.iter().fold(request, |r, headers| r.field("Access-Control-Request-Headers", headers))
}

fn site(kind: Kind, args: &[&str]) -> Site {
    let site = Site::with(kind, args);
    site.write("a.bin", "0123456789");
    site.write("dir/a.txt", "a");
    site
}

/// Fails unless a page may read the answer.
#[track_caller]
fn is_readable(answer: &Head) {
    answer.field_is("access-control-allow-origin", "*");
    answer.need("access-control-expose-headers");
    answer.field_is("timing-allow-origin", "*");
}

/// Fails if anything speaks of other origins.
#[track_caller]
fn is_silent(answer: &Head) {
    let speaks = |name: &str| name.to_ascii_lowercase().starts_with("access-control-");
    assert!(!answer.fields.iter().any(|(name, _)| speaks(name)), "{answer:?}");
    answer.field_is_absent("timing-allow-origin");
}

fn cors_lets_a_page_read_every_answer(kind: Kind) {
    let site = site(kind, &[]);
    let tag = site.ask(&get("/a.bin")).need("etag").to_owned();
    for (request, status) in [
        (get("/a.bin"), 200),
        (head("/a.bin"), 200),
        (get("/a.bin").field("Range", "bytes=2-3"), 206),
        (get("/a.bin").field("Range", "bytes=2-3,5-5"), 206),
        (get("/a.bin").field("If-None-Match", tag), 304),
        (put("/new.bin", "new"), 201),
        (put("/new.bin", "newer"), 200),
        (delete("/new.bin"), 200),
        (delete("/new.bin"), 204),
        (Request::new("OPTIONS", "/a.bin"), 200),
        (Request::new("OPTIONS", "*"), 200),
    ] {
        let answer = site.ask(&from_page(request));
        answer.status_is(status);
        is_readable(&answer);
    }
}

fn cors_lets_a_page_read_errors(kind: Kind) {
    let site = site(kind, &["--maxs", "1k"]);
    let large = "x".repeat(2_000);
    let requests = [
        (get("/none"), 404),
        (head("/none"), 404),
        (get("/dir/"), 403),
        (get("/a.bin").field("Range", "bytes=10-"), 416),
        (get("/a.bin").field("If-Match", "\"other\""), 412),
        (get("/../b"), 400),
        (put("/a.bin", &large), 413),
        (Request::new("PUT", "/a.bin").chunks(&[large.as_bytes()]), 413),
        (Request::new("PUT", "/a.bin"), 411),
        (put("/none.bin", "x").field("Content-Range", "bytes 5-5/6"), 404),
        (put("/a.bin", "x").field("Range", "bytes=50-50"), 416),
        (patch("/a.bin", "text/plain", "x"), 415),
    ];
    for (request, status) in requests {
        let answer = site.ask(&from_page(request));
        answer.status_is(status);
        is_readable(&answer);
    }
    let read_only = Site::read_only(kind, &[]);
    let answer = read_only.ask(&from_page(put("/a.bin", "x")));
    answer.status_is(405);
    is_readable(&answer);
}

fn cors_lets_a_page_read_listings_and_redirects(kind: Kind) {
    let site = site(kind, &["--dlist"]);
    for (path, status) in [("/dir/", 200), ("/dir", 301)] {
        let answer = site.ask(&from_page(get(path)));
        answer.status_is(status);
        is_readable(&answer);
    }
    let listing = site.ask(&from_page(get("/dir/")));
    assert!(listing.lists("vary", "accept") && listing.lists("vary", "origin"), "{listing:?}");
}

fn cors_lets_a_page_read_the_clock(kind: Kind) {
    let site = site(kind, &[]);
    for query in ["", "?iso", "?xsdate", "?ms"] {
        let answer = site.ask(&from_page(get(&format!("/.httpout/time{query}"))));
        answer.status_is(200);
        is_readable(&answer);
    }
}

fn cors_exposes_by_name_what_players_read(kind: Kind) {
    let site = site(kind, &[]);
    let answer = site.ask(&from_page(get("/a.bin").field("Range", "bytes=0-0")));
    // `*` is no wildcard for a request with credentials, and does not cover all browsers.
    for name in [
        "Accept-Ranges",
        "Age",
        "Content-Encoding",
        "Content-Length",
        "Content-Range",
        "Content-Type",
        "Date",
        "ETag",
        "Last-Modified",
        "Retry-After",
        "Server-Timing",
        "Server-UTC",
        "CMSD-Static",
        "CMSD-Dynamic",
        "icy-name",
        "icy-br",
        "icy-genre",
        "icy-description",
        "icy-url",
        "icy-metaint",
        "ice-audio-info",
    ] {
        assert!(answer.lists("access-control-expose-headers", name), "{name}: {answer:?}");
    }
    // What the answer says is among what may be read.
    for name in ["Content-Range", "ETag", "Last-Modified", "Date", "Accept-Ranges"] {
        answer.need(name);
    }
}

#[track_caller]
fn allows(answer: &Response, name: &str, value: &str) {
    assert!(answer.lists(name, value), "{value} is not in {name}: {answer:?}");
}

fn a_preflight_is_answered(kind: Kind) {
    let site = site(kind, &[]);
    for path in ["/a.bin", "/none", "/dir", "/new/file.bin"] {
        for method in ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"] {
            let answer = site.ask(&preflight(path, method, Some("range")));
            answer.status_is(200);
            is_readable(&answer);
            allows(&answer, "access-control-allow-methods", method);
            allows(&answer, "access-control-allow-headers", "range");
            answer.field_is("access-control-max-age", "86400");
        }
    }
    // A page of a file, say, has no name.
    let opaque = Request::new("OPTIONS", "/a.bin")
        .field("Origin", "null")
        .field("Access-Control-Request-Method", "PUT");
    let answer = site.ask(&opaque);
    is_readable(&answer);
    allows(&answer, "access-control-allow-methods", "PUT");
}

fn a_preflight_echoes_the_headers_that_are_asked_for(kind: Kind) {
    let site = site(kind, &[]);
    for headers in [
        "range",
        "authorization, content-type, range",
        "cmcd-object,cmcd-request,cmcd-session,cmcd-status",
        "x-custom",
        "X-Custom , x-other",
        "if-none-match, if-range, cache-control",
        "accept-encoding, priority, x-a-1_b.c~d",
    ] {
        let answer = site.ask(&preflight("/a.bin", "GET", Some(headers)));
        for name in headers.split(',').map(str::trim) {
            allows(&answer, "access-control-allow-headers", name);
        }
    }
    // Credentials are sent by scripts that know them, and by players that are told.
    let answer = site.ask(&preflight("/a.bin", "PUT", Some("authorization")));
    allows(&answer, "access-control-allow-headers", "authorization");
    // On two lines.
    let two =
        preflight("/a.bin", "GET", Some("x-one")).field("Access-Control-Request-Headers", "x-two");
    let answer = site.ask(&two);
    allows(&answer, "access-control-allow-headers", "x-one");
    allows(&answer, "access-control-allow-headers", "x-two");
}

fn a_preflight_injects_nothing(kind: Kind) {
    let site = site(kind, &[]);
    let many: Vec<_> = (0..1_000).map(|i| format!("x-{i}")).collect();
    for (headers, status) in [
        ("x y, \"quoted\", x:z, <b>, {a}, (c)", 200),
        ("\u{e4}", 200),
        ("x\u{7f}", 400),
        (",,, ,", 200),
        (&many.join(","), 200),
        (&"a".repeat(15_000), 200),
    ] {
        let mut client = site.client();
        client.send(preflight("/a.bin", "GET", Some(headers)).bytes());
        let answer = client.response("OPTIONS");
        answer.status_is(status);
        if status == 400 {
            continue;
        }
        let allowed = answer.need("access-control-allow-headers");
        let fine = |name: &str| !name.is_empty() && !name.contains([' ', '"', ':', '<', '{', '(']);
        assert!(allowed.split(", ").all(fine), "{allowed}");
        assert!(allowed.len() < 4_000, "{} bytes are echoed", allowed.len());
    }
    site.is_well();
}

fn a_preflight_tells_what_may_be_done(kind: Kind) {
    let site = Site::read_only(kind, &[]);
    let answer = site.ask(&preflight("/a.bin", "PUT", Some("content-type")));
    answer.status_is(200);
    for method in ["GET", "HEAD"] {
        allows(&answer, "access-control-allow-methods", method);
        allows(&answer, "allow", method);
    }
    for method in ["PUT", "POST", "PATCH", "DELETE"] {
        assert!(!answer.lists("access-control-allow-methods", method), "{answer:?}");
        assert!(!answer.lists("allow", method), "{answer:?}");
    }
}

fn an_options_without_origin_is_no_preflight(kind: Kind) {
    let site = site(kind, &[]);
    for request in [
        Request::new("OPTIONS", "/a.bin"),
        Request::new("OPTIONS", "/a.bin").field("Access-Control-Request-Method", "PUT"),
        Request::new("OPTIONS", "*"),
    ] {
        let answer = site.ask(&request);
        answer.status_is(200).need("allow");
        is_silent(&answer);
    }
    let answer = site.ask(&from_page(Request::new("OPTIONS", "/a.bin")));
    answer.status_is(200).field_is_absent("access-control-allow-methods").need("allow");
    is_readable(&answer);
}

fn cors_auto_answers_an_origin(kind: Kind) {
    for args in [&[][..], &["--cors", "auto"]] {
        let site = site(kind, args);
        let mut client = site.client();
        // On one connection, in turn: nothing is kept from one request to the next.
        for _ in 0..3 {
            is_readable(&client.ask(&from_page(get("/a.bin"))));
            is_silent(&client.ask(&get("/a.bin")));
            is_readable(&client.ask(&from_page(get("/none"))));
            is_silent(&client.ask(&get("/none")));
        }
    }
}

fn cors_auto_varies_always(kind: Kind) {
    let site = site(kind, &[]);
    site.write("a.txt", "some text ".repeat(100));
    let tag = site.ask(&get("/a.bin")).need("etag").to_owned();
    for request in [
        get("/a.bin"),
        get("/none"),
        get("/dir"),
        get("/.httpout/time?iso"),
        get("/a.bin").field("If-None-Match", tag),
        get("/a.bin").field("Range", "bytes=0-0"),
        put("/new.bin", "new"),
        Request::new("OPTIONS", "/a.bin"),
    ] {
        for request in [request.clone(), from_page(request)] {
            let answer = site.ask(&request);
            assert!(answer.lists("vary", "origin"), "{request:?}: {answer:?}");
        }
    }
    let both = site.ask(&get("/a.txt").field("Accept-Encoding", "gzip"));
    assert!(both.lists("vary", "origin") && both.lists("vary", "accept-encoding"), "{both:?}");
}

fn cors_on_answers_all(kind: Kind) {
    let site = site(kind, &["--cors", "on"]);
    for request in [get("/a.bin"), get("/none"), put("/new.bin", "x"), get("/dir")] {
        for request in [request.clone(), from_page(request)] {
            let answer = site.ask(&request);
            is_readable(&answer);
            assert!(!answer.lists("vary", "origin"), "it does not vary: {answer:?}");
        }
    }
    // Also where the request could not even be read.
    is_readable(&site.server.refuses("GET /a.bin HTTP/1.1\r\n\r\n", 400));
    is_readable(&site.server.refuses("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505));
}

fn cors_off_answers_none(kind: Kind) {
    let site = site(kind, &["--cors", "off"]);
    let requests = [
        get("/a.bin"),
        get("/none"),
        put("/new.bin", "x"),
        Request::new("OPTIONS", "/a.bin"),
        preflight("/a.bin", "PUT", Some("range")),
    ];
    for request in requests {
        let answer = site.ask(&from_page(request).field("Referer", ORIGIN));
        is_silent(&answer);
        assert!(!answer.lists("vary", "origin"), "{answer:?}");
    }
}

fn cors_never_allows_kept_credentials(kind: Kind) {
    for cors in ["on", "auto"] {
        let site = site(kind, &["--cors", cors]);
        for request in [
            from_page(get("/a.bin")).field("Cookie", "a=b"),
            preflight("/a.bin", "PUT", Some("authorization")),
        ] {
            let answer = site.ask(&request);
            // To allow any origin the use of credentials that the browser keeps would give them
            // away.
            answer.field_is("access-control-allow-origin", "*");
            answer.field_is_absent("access-control-allow-credentials");
        }
    }
}

fn cors_of_a_growing_upload(kind: Kind) {
    let site = site(kind, &[]);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/seg.m4s").chunked());
    upload.send_chunk("first");
    let range = get("/seg.m4s").field("Range", "bytes=0-2");
    for (request, length) in [(get("/seg.m4s"), 5), (range, 3)] {
        let mut reader = site.client();
        is_readable(&reader.begin(&from_page(request)));
        reader.content(length);
    }
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
}

fn a_page_is_told_that_a_password_is_needed(kind: Kind) {
    let tree = Tree::new();
    tree.write("private/a.bin", "secret");
    let site = Ruled::over(tree, kind, "[private]\nru=alice\nwu=alice\n", &["--cors", "on"]);
    // The preflight never has one.
    let asked = preflight("/a.bin", "PUT", Some("authorization, range"));
    for request in [asked.clone(), asked.by("alice", "wrong")] {
        let answer = site.ask(&request);
        answer.status_is(200);
        is_readable(&answer);
        allows(&answer, "access-control-allow-methods", "PUT");
        allows(&answer, "access-control-allow-headers", "authorization");
    }
    for request in [get("/a.bin"), put("/a.bin", "new"), delete("/a.bin")] {
        let answer = site.ask(&from_page(request.clone()));
        answer.status_is(401).need("www-authenticate");
        is_readable(&answer);
        let answer = site.ask(&from_page(request).of("bob"));
        is_readable(answer.status_is(403));
    }
    is_readable(site.ask(&from_page(get("/a.bin")).of("alice")).is(200, "secret"));
}
