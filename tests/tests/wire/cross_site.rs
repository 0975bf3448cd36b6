//! Writes that pages of other sites make in the name of a visitor, and pages that were uploaded.

use httpout_tests::{
    Client, Kind, Request, Response, Ruled, Server, Site, Tree, both, delete, get, head, patch,
    post, put, until,
};

both! {
    a_form_of_another_site_stores_nothing,
    what_needs_no_preflight_stores_nothing,
    a_cors_request_to_an_open_server_is_answered,
    a_form_of_its_own_pages_is_stored,
    a_client_that_is_no_browser_is_not_concerned,
    with_rules_no_page_of_another_origin_writes,
    with_rules_its_own_pages_write,
    with_rules_cors_on_lets_pages_write_but_no_forms,
    with_rules_a_preflight_grants_nothing_that_writes,
    without_rules_a_preflight_grants_all,
    a_refused_write_is_told_before_its_body_is_sent,
    a_source_refuses_forms_of_other_sites_too,
    nosniff_is_in_every_answer,
    nosniff_is_in_answers_with_live_and_growing_resources,
    nosniff_is_in_answers_on_the_admin_address,
    uploaded_documents_are_sandboxed_where_there_are_rules,
    an_uploaded_document_is_sandboxed_in_every_form_of_answer,
    the_operators_policy_does_not_replace_the_sandbox,
    without_rules_pages_are_not_sandboxed,
}

const OTHER: &str = "http://evil.example";

const FORMS: [&str; 4] = [
    "text/plain",
    "text/plain;charset=UTF-8",
    "application/x-www-form-urlencoded",
    "Multipart/Form-Data; boundary=x",
];

const RULES: &str = "\
[www]
wu=alice
[www/closed]
ru=alice
wu=$NONE
";

fn ruled(kind: Kind, args: &[&str]) -> Ruled {
    let tree = Tree::new();
    tree.dir("www/closed");
    Ruled::over(tree, kind, RULES, args)
}

/// The same request as a browser sends it for a page.
fn fetched(request: Request, site: &str, mode: &str) -> Request {
    request.field("Sec-Fetch-Site", site).field("Sec-Fetch-Mode", mode)
}

fn of(request: Request, origin: &str) -> Request {
    request.field("Origin", origin)
}

fn a_form_of_another_site_stores_nothing(kind: Kind) {
    let site = Site::new(kind);
    for form in FORMS {
        for origin in [OTHER, "null", "http://localhost:1", "https://localhost.evil.example"] {
            let request = of(post("/x.html", "<script>").field("Content-Type", form), origin);
            site.ask(&request).status_is(403);
        }
    }
    // Older browsers tell the origin alone; newer ones tell the mode.
    for mode in ["navigate", "no-cors"] {
        for request in [
            post("/x.html", "<script>").field("Content-Type", "text/html"),
            put("/x.html", "<script>"),
            delete("/x.html"),
            patch("/x.html", "message/byterange", "x"),
        ] {
            site.ask(&fetched(request, "cross-site", mode)).status_is(403);
        }
    }
    assert!(!site.has("x.html"));
    let on = Site::with(kind, &["--cors", "on"]);
    on.ask(&of(post("/x.html", "x").field("Content-Type", "text/plain"), OTHER)).status_is(403);
    assert!(!on.has("x.html"));
}

fn what_needs_no_preflight_stores_nothing(kind: Kind) {
    let site = Site::new(kind);
    // A script sends a Blob without type.
    site.ask(&of(post("/x.html", "<script>"), OTHER)).status_is(403);
    site.ask(&of(post("/x.html", "<script>").field("Content-Type", ""), OTHER)).status_is(403);
    let chunked = Request::new("POST", "/x.html").chunks(&[b"<script>"]);
    site.ask(&of(chunked.field("Content-Type", "text/plain"), OTHER)).status_is(403);
    assert!(!site.has("x.html"));
    // Where CORS is off, no mode makes up for a preflight.
    let off = Site::with(kind, &["--cors", "off"]);
    let request = of(post("/x.html", "x").field("Content-Type", "text/plain"), OTHER);
    off.ask(&fetched(request, "cross-site", "cors")).status_is(403);
}

fn a_cors_request_to_an_open_server_is_answered(kind: Kind) {
    let site = Site::new(kind);
    let binary = |request: Request| request.field("Content-Type", "application/octet-stream");
    for (request, status) in [
        (put("/a.bin", "1"), 201),
        (put("/a.bin", "2").field("Content-Type", "text/plain"), 200),
        (binary(post("/a.bin", "3")), 200),
        (delete("/a.bin"), 200),
        (fetched(put("/b.bin", "4"), "cross-site", "cors"), 201),
        (fetched(binary(post("/b.bin", "5")), "cross-site", "cors"), 200),
        // A browser that says that it is a CORS request answers for it.
        (
            fetched(post("/b.bin", "6").field("Content-Type", "text/plain"), "same-site", "cors"),
            200,
        ),
    ] {
        let answer = site.ask(&of(request, OTHER));
        answer.status_is(status).field_is("access-control-allow-origin", "*");
    }
    assert_eq!(site.read("b.bin").as_deref(), Some(&b"6"[..]));
}

fn a_form_of_its_own_pages_is_stored(kind: Kind) {
    let site = Site::new(kind);
    for (i, own) in
        ["http://localhost", "http://LOCALHOST:80", "https://localhost"].iter().enumerate()
    {
        let request = post(&format!("/{i}.txt"), "x").field("Content-Type", "text/plain");
        site.ask(&of(request, own)).status_is(201);
    }
    // Behind a proxy the name may be another one; the browser knows better.
    let request =
        of(post("/own.txt", "x").field("Content-Type", "text/plain"), "https://front.example");
    site.ask(&fetched(request, "same-origin", "navigate")).status_is(201);
    let request = fetched(post("/none.txt", "x"), "none", "navigate");
    site.ask(&request).status_is(201);
}

fn a_client_that_is_no_browser_is_not_concerned(kind: Kind) {
    let site = Site::new(kind);
    for form in FORMS {
        site.ask(&post("/x.html", "x").field("Content-Type", form)).status_in(&[200, 201]);
    }
    let ruled = ruled(kind, &[]);
    ruled.ask(&post("/a.txt", "x").field("Content-Type", "text/plain").of("alice")).status_is(201);
    ruled.ask(&put("/b.txt", "x").of("alice")).status_is(201);
}

/// Requests that change something, of alice, who may.
fn writes() -> Vec<Request> {
    vec![
        put("/a.bin", "x").of("alice"),
        post("/a.bin", "x").field("Content-Type", "application/octet-stream").of("alice"),
        patch("/a.bin", "message/byterange", "Content-Range: bytes 0-0/1\r\n\r\nx").of("alice"),
        delete("/a.bin").of("alice"),
        Request::new("PUT", "/a.bin").chunks(&[b"x"]).of("alice"),
    ]
}

fn with_rules_no_page_of_another_origin_writes(kind: Kind) {
    for args in [&[][..], &["--cors", "auto"], &["--cors", "off"]] {
        let site = ruled(kind, args);
        for request in writes() {
            site.ask(&of(request.clone(), OTHER)).status_is(403);
            site.ask(&of(request.clone(), "null")).status_is(403);
            for other in ["cross-site", "same-site"] {
                site.ask(&fetched(of(request.clone(), OTHER), other, "cors")).status_is(403);
            }
        }
        assert!(!site.tree.has("www/a.bin"));
        // No password is looked at for it, and reading goes on.
        assert_eq!(site.checks(), [0, 0, 0]);
        site.tree.write("www/a.bin", "x");
        site.ask(&of(get("/a.bin"), OTHER)).is(200, "x");
    }
}

fn with_rules_its_own_pages_write(kind: Kind) {
    let site = ruled(kind, &[]);
    site.ask(&of(put("/a.bin", "x").of("alice"), "http://localhost")).status_is(201);
    let request = post("/a.bin", "y").field("Content-Type", "text/plain").of("alice");
    site.ask(&fetched(of(request, OTHER), "same-origin", "cors")).status_is(200);
    site.ask(&of(put("/b.bin", "x"), "http://localhost")).status_is(401);
}

fn with_rules_cors_on_lets_pages_write_but_no_forms(kind: Kind) {
    let site = ruled(kind, &["--cors", "on"]);
    site.ask(&of(put("/a.bin", "x").of("alice"), OTHER)).status_is(201);
    site.ask(&fetched(of(delete("/a.bin").of("alice"), OTHER), "cross-site", "cors"))
        .status_is(200);
    for form in FORMS {
        let request = of(post("/a.bin", "x").field("Content-Type", form).of("alice"), OTHER);
        site.ask(&request).status_is(403);
        site.ask(&fetched(request, "cross-site", "cors")).status_is(403);
    }
    site.ask(&fetched(put("/a.bin", "x").of("alice"), "cross-site", "no-cors")).status_is(403);
    assert!(!site.tree.has("www/a.bin"));
}

fn preflight(path: &str, method: &str) -> Request {
    of(Request::new("OPTIONS", path), OTHER).field("Access-Control-Request-Method", method)
}

fn with_rules_a_preflight_grants_nothing_that_writes(kind: Kind) {
    let site = ruled(kind, &[]);
    for path in ["/a.bin", "/closed/a.bin", "/", "*"] {
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let answer = site.ask(&preflight(path, method));
            answer.status_is(200);
            let granted = |method| answer.lists("access-control-allow-methods", method);
            assert!(granted("get") && granted("head"), "{answer:?}");
            for method in ["put", "post", "patch", "delete"] {
                assert!(!granted(method), "{path} {answer:?}");
            }
        }
    }
    let on = ruled(kind, &["--cors", "on"]);
    let answer = on.ask(&preflight("/a.bin", "PUT"));
    assert!(answer.lists("access-control-allow-methods", "put"), "{answer:?}");
}

fn without_rules_a_preflight_grants_all(kind: Kind) {
    let site = Site::new(kind);
    let answer = site.ask(&preflight("/a.bin", "PUT"));
    for method in ["get", "put", "post", "patch", "delete"] {
        assert!(answer.lists("access-control-allow-methods", method), "{answer:?}");
    }
}

fn a_refused_write_is_told_before_its_body_is_sent(kind: Kind) {
    let site = ruled(kind, &[]);
    let request = of(Request::new("PUT", "/a.bin").announce(1000).expect().of("alice"), OTHER);
    let answer = site.client().begin(&request);
    answer.status_is(403);
    assert!(answer.interim.is_empty(), "{answer:?}");
}

fn a_source_refuses_forms_of_other_sites_too(kind: Kind) {
    let tree = Tree::new();
    tree.dir("out");
    let out = tree.arg("out") + "/";
    let server = Server::start(kind, &["--hmode", "source", "-o", &out]);
    server.ask(&of(post("/a.txt", "x").field("Content-Type", "text/plain"), OTHER)).status_is(403);
    assert!(!tree.has("out/a.txt"));
    server.ask(&of(put("/a.txt", "x"), OTHER)).status_is(201);
}

// ---- what browsers make of answers ----

#[track_caller]
fn is_marked(answer: &Response) {
    answer.field_is("x-content-type-options", "nosniff");
}

fn nosniff_is_in_every_answer(kind: Kind) {
    let site = Site::with(kind, &["--dlist", "--maxs", "2k"]);
    site.write("a.txt", "some text that compresses ".repeat(100));
    site.tree.dir("www/dir");
    let tag = site.ask(&get("/a.txt")).need("etag").to_owned();
    for (request, status) in [
        (get("/a.txt"), 200),
        (head("/a.txt"), 200),
        (get("/a.txt").field("Accept-Encoding", "gzip"), 200),
        (get("/a.txt").field("If-None-Match", &tag), 304),
        (get("/a.txt").field("Range", "bytes=1-2"), 206),
        (get("/a.txt").field("Range", "bytes=9999-"), 416),
        (get("/none"), 404),
        (get("/dir"), 301),
        (get("/dir/"), 200),
        (get("/dir/").field("Accept", "application/json"), 200),
        (get("/.httpout/time?iso"), 200),
        (Request::new("OPTIONS", "*"), 200),
        (put("/new.bin", "x"), 201),
        (put("/new.bin", "y"), 200),
        (put("/large.bin", "x".repeat(3_000)), 413),
        (Request::new("PUT", "/new.bin"), 411),
        (delete("/new.bin"), 200),
        (delete("/new.bin"), 204),
        (get("/%00"), 400),
        (Request::new("BREW", "/a.txt"), 501),
        (get("/a.txt").field("X-Long", "x".repeat(20_000)), 431),
    ] {
        let answer = site.ask(&request);
        answer.status_is(status);
        is_marked(&answer);
    }
    is_marked(&site.server.refuses("nonsense\r\n\r\n", 400));
    let ruled = ruled(kind, &[]);
    is_marked(&ruled.ask(&put("/a.bin", "x")));
    is_marked(&ruled.ask(&put("/closed/a.bin", "x").of("alice")));
}

fn nosniff_is_in_answers_with_live_and_growing_resources(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/seg.m4s").chunked());
    upload.send_chunk("abc");
    let head = site.client().begin(&get("/seg.m4s"));
    head.status_is(200).field_is("x-content-type-options", "nosniff");
    let server = Server::start(kind, &["--icecast"]);
    let mut source = server.client();
    let answer = source.begin(&Request::new("PUT", "/a.bin").field("Content-Type", "audio/x-raw"));
    answer.status_is(200).field_is("x-content-type-options", "nosniff");
    let head = server.client().begin(&get("/a.bin"));
    head.status_is(200).field_is("x-content-type-options", "nosniff");
}

fn nosniff_is_in_answers_on_the_admin_address(kind: Kind) {
    let site = Site::with(kind, &["--admin", "127.0.0.1:0"]);
    for path in ["/metrics", "/healthz", "/readyz", "/none"] {
        let answer = Client::connect(site.server.admin()).ask(&get(path));
        is_marked(&answer);
    }
}

fn uploaded_documents_are_sandboxed_where_there_are_rules(kind: Kind) {
    let site = ruled(kind, &[]);
    for (name, sandboxed) in [
        ("a.html", true),
        ("a.xhtml", true),
        ("a.svg", true),
        ("a.xml", true),
        ("a.mpd", true),
        ("sub/a.htm", true),
        ("a.txt", false),
        ("a.js", false),
        ("a.mp4", false),
        ("a.json", false),
    ] {
        site.ask(&put(&format!("/{name}"), "<a/>").of("alice")).status_is(201);
        let answer = site.ask(&get(&format!("/{name}")));
        answer.is(200, "<a/>");
        let policy = answer.get("content-security-policy");
        assert_eq!(policy, sandboxed.then_some("sandbox"), "{name}: {answer:?}");
    }
    // A name that tells nothing is of the type that its upload gave.
    for (name, media_type) in [
        ("page", "Text/HTML; charset=utf-8"),
        ("parts", "multipart/mixed; boundary=a"),
        ("own", "application/x-own+XML"),
        ("style", "text/xsl"),
        ("list", "video/mp4;a=b,text/html"),
    ] {
        let path = format!("/{name}");
        let typed = put(&path, "<a/>").field("Content-Type", media_type).of("alice");
        site.ask(&typed).status_is(201);
        let answer = site.ask(&get(&path));
        // Where the file system keeps no type, there is none.
        if answer.need("content-type") != "application/octet-stream" {
            answer.field_is("content-type", media_type);
            answer.field_is("content-security-policy", "sandbox");
        }
    }
    // Nobody can upload there.
    site.tree.write("www/closed/page.html", "<a/>");
    let answer = site.ask(&get("/closed/page.html").of("alice"));
    answer.is(200, "<a/>").field_is_absent("content-security-policy");
}

fn an_uploaded_document_is_sandboxed_in_every_form_of_answer(kind: Kind) {
    let site = ruled(kind, &["--dlist"]);
    site.tree.write("www/a.html", "<p>some text that compresses</p>".repeat(100));
    for request in [
        get("/a.html"),
        head("/a.html"),
        get("/a.html").field("Accept-Encoding", "gzip"),
        get("/a.html").field("Range", "bytes=0-9"),
    ] {
        let answer = site.ask(&request);
        answer.status_in(&[200, 206]).field_is("content-security-policy", "sandbox");
    }
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/growing.html").chunked().of("alice"));
    upload.send_chunk("<script>");
    let head = until("it is in progress", || {
        let head = site.client().begin(&get("/growing.html"));
        (head.status == 200).then_some(head)
    });
    head.field_is("content-security-policy", "sandbox");
    // The server's own page is none of these.
    let listing = site.ask(&get("/"));
    assert!(!listing.need("content-security-policy").contains("sandbox"), "{listing:?}");
}

fn the_operators_policy_does_not_replace_the_sandbox(kind: Kind) {
    let site = ruled(kind, &["--hdrs", "Content-Security-Policy: default-src 'self'"]);
    site.tree.write("www/a.html", "<a/>");
    let answer = site.ask(&get("/a.html"));
    let policies: Vec<_> = answer
        .fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-security-policy"))
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(policies, ["default-src 'self'", "sandbox"], "{answer:?}");
}

fn without_rules_pages_are_not_sandboxed(kind: Kind) {
    let site = Site::new(kind);
    site.write("player.html", "<script></script>");
    site.ask(&get("/player.html")).status_is(200).field_is_absent("content-security-policy");
    site.ask(&put("/up.html", "<p>")).status_is(201);
    site.ask(&get("/up.html")).status_is(200).field_is_absent("content-security-policy");
}
