//! Options that change responses and limits. Each test fails if its option is ignored.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpout_tests::{
    Client, Kind, Request, Ruled, Server, Site, Tree, both, delete, get, head, post, put, run,
};

both! {
    hdrs_are_in_every_answer,
    hdrs_can_be_written_in_two_ways,
    hdrs_replace_the_servers_own,
    hdrs_add_to_lists,
    hdrs_that_break_a_message_are_refused,
    sutc_tells_the_time_in_every_answer,
    the_clock_tells_the_time,
    the_clock_is_always_there,
    cache_control_is_in_answers_with_files,
    cache_control_is_in_every_answer,
    cache_control_is_in_answers_with_what_grows,
    cache_control_none_is_in_no_answer,
    cache_control_is_private_where_a_password_is_asked_for,
    user_agent_may_be_empty,
    port_0_is_port_80,
    the_one_string_form_takes_them_too,
    a_server_can_be_write_only_or_read_only,
    maxc_is_100_by_default,
    max_client_errors_is_20_by_default,
    max_client_errors_0_never_closes,
    limits_head_timeout_bounds_a_head,
    limits_body_timeout_bounds_a_pause_in_an_upload,
    limits_body_rate_bounds_a_slow_upload,
    limits_body_rate_0_bounds_none,
    limits_send_timeout_bounds_a_reader_that_does_not_read,
}

/// Requests for every kind of answer, with its status.
fn every_answer(site: &Site) -> Vec<(Request, u16)> {
    site.write("a.txt", "some text that compresses ".repeat(100));
    site.write("b.bin", "0123456789");
    site.write("gone.bin", "x");
    site.tree.dir("www/dir");
    let tag = site.ask(&get("/b.bin")).need("etag").to_owned();
    vec![
        (get("/a.txt"), 200),
        (head("/a.txt"), 200),
        (get("/a.txt").field("Accept-Encoding", "gzip"), 200),
        (get("/b.bin").field("If-None-Match", &tag), 304),
        (get("/b.bin").field("Range", "bytes=1-2"), 206),
        (get("/b.bin").field("Range", "bytes=10-"), 416),
        (get("/b.bin").field("If-Match", "\"x\""), 412),
        (get("/none"), 404),
        (head("/none"), 404),
        (get("/dir"), 301),
        (get("/dir/"), 200),
        (get("/.httpout/time?iso"), 200),
        (Request::new("OPTIONS", "/a.txt"), 200),
        (Request::new("OPTIONS", "*"), 200),
        (put("/new.bin", "x"), 201),
        (put("/new.bin", "y"), 200),
        (put("/large.bin", "x".repeat(3_000)), 413),
        (Request::new("PUT", "/new.bin"), 411),
        (delete("/gone.bin"), 200),
        (delete("/gone.bin"), 204),
        (get("/%2e%2e/x"), 400),
        (Request::new("BREW", "/a.txt"), 501),
        (get("/a.txt").field("X-Long", "x".repeat(20_000)), 431),
    ]
}

/// The options that make all of [`every_answer`] possible.
const FOR_EVERY_ANSWER: [&str; 3] = ["--dlist", "--maxs", "2k"];

fn hdrs_are_in_every_answer(kind: Kind) {
    let args = [&FOR_EVERY_ANSWER[..], &["--hdrs", "X-Own,one,X-Other,two"]].concat();
    let site = Site::with(kind, &args);
    for (request, status) in every_answer(&site) {
        let answer = site.ask(&request);
        answer.status_is(status).field_is("x-own", "one").field_is("x-other", "two");
    }
    let answer = site.server.refuses("nonsense\r\n\r\n", 400);
    answer.field_is("x-own", "one");
    // One connection too many, too.
    let full = Server::start(
        kind,
        &["--rdirs", &site.tree.arg("www"), "--maxc", "1", "--hdrs", "X-Own: one"],
    );
    let mut first = full.client();
    first.ask(&get("/b.bin")).status_is(200);
    full.client().response("GET").status_is(503).field_is("x-own", "one");
}

fn hdrs_can_be_written_in_two_ways(kind: Kind) {
    let tree = Tree::new();
    tree.write("a.bin", "a");
    let root = tree.arg("");
    for (args, expected) in [
        (&["--hdrs", "X-A,1"][..], &["X-A: 1"][..]),
        (&["--hdrs", "X-A,1,X-B,2"], &["X-A: 1", "X-B: 2"]),
        (&["--hdrs", "X-A,1", "--hdrs", "X-B,2"], &["X-A: 1", "X-B: 2"]),
        (&["--hdrs", "X-A: 1, 2"], &["X-A: 1, 2"]),
        (&["--hdrs", "X-A:1", "--hdrs", "X-B: 2;c=\"d\""], &["X-A: 1", "X-B: 2;c=\"d\""]),
        (&["--hdrs=Link-To: http://a.example/,b"], &["Link-To: http://a.example/,b"]),
        (&["--hdrs", "X-Frame-Options,DENY,X-Url,a:b"], &["X-Frame-Options: DENY", "X-Url: a:b"]),
    ] {
        let server = Server::start(kind, &[&["--rdirs", &root], args].concat());
        let answer = server.ask(&get("/a.bin"));
        for (name, value) in expected.iter().filter_map(|line| line.split_once(": ")) {
            answer.field_is(name, value);
        }
    }
    let form = format!("rdirs={root}:port=auto:ifce=127.0.0.1:hdrs=X-A,1,X-B,2");
    let server = Server::launch(kind, &[&form]);
    server.ask(&get("/a.bin")).is(200, "a").field_is("x-a", "1").field_is("x-b", "2");
    for args in [&["--hdrs", "X-A"][..], &["--hdrs", "X-A,1,X-B"], &["--hdrs", ""]] {
        let exit = Server::fails(kind, &[&["--rdirs", &root, "--port", "auto"], args].concat());
        assert!(exit.code.is_some_and(|code| code != 0), "{args:?}: {exit:?}");
        assert!(exit.stderr.contains("hdrs"), "{args:?}: {exit:?}");
    }
}

fn hdrs_replace_the_servers_own(kind: Kind) {
    let args = ["Server,mine", "Cache-Control,no-store", "access-control-allow-origin,https://a.b"];
    let args: Vec<_> = args.iter().flat_map(|fields| ["--hdrs", fields]).collect();
    let args = [&FOR_EVERY_ANSWER[..], &["--cors", "on", "--cache_control", "max-age=9"], &args];
    let site = Site::with(kind, &args.concat());
    for (request, status) in every_answer(&site) {
        let answer = site.ask(&request);
        // Once each: `field_is` fails on a second one.
        answer
            .status_is(status)
            .field_is("server", "mine")
            .field_is("cache-control", "no-store")
            .field_is("access-control-allow-origin", "https://a.b");
    }
}

fn hdrs_add_to_lists(kind: Kind) {
    let site = Site::with(kind, &["--hdrs", "Vary,X-Device"]);
    site.write("a.txt", "some text that compresses ".repeat(100));
    let answer = site.ask(&get("/a.txt").field("Accept-Encoding", "gzip"));
    for name in ["x-device", "origin", "accept-encoding"] {
        assert!(answer.lists("vary", name), "{name} is lost: {answer:?}");
    }
}

fn hdrs_that_break_a_message_are_refused(kind: Kind) {
    let tree = Tree::new();
    for fields in [
        "X-A,1\r\nX-B: 2",
        "X-A: 1\nX-B: 2",
        "X-A: 1\rX-B: 2",
        "X-A\r\nX-B,1",
        "X A,1",
        ",1",
        ": 1",
        "X-\u{e4},1",
        "X-A: \u{1b}[31m",
        "X-A: \u{7f}",
        "Content-Length,0",
        "content-length: 5",
        "Transfer-Encoding,chunked",
        "Connection,close",
    ] {
        let exit = Server::fails(
            kind,
            &["--rdirs", &tree.arg(""), "--port", "auto", &format!("--hdrs={fields}")],
        );
        assert!(exit.code.is_some_and(|code| code != 0), "{fields:?}: {exit:?}");
        assert!(exit.stderr.contains("hdrs"), "{fields:?}: {exit:?}");
    }
}

/// Milliseconds since 1970, by this machine's clock: the server's too.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()
}

fn sutc_tells_the_time_in_every_answer(kind: Kind) {
    let site = Site::with(kind, &[&FOR_EVERY_ANSWER[..], &["--sutc"]].concat());
    for (request, status) in every_answer(&site) {
        let before = now();
        let answer = site.ask(&request);
        let time = answer.status_is(status).need("server-utc").parse::<u128>();
        let time = time.expect("Server-UTC is a number");
        assert!((before..=now()).contains(&time), "{before} {time} {}", now());
    }
    let without = Site::new(kind);
    without.write("a.bin", "a");
    without.ask(&get("/a.bin")).is(200, "a").field_is_absent("server-utc");
}

fn the_clock_tells_the_time(kind: Kind) {
    let site = Site::new(kind);
    let mut client = site.client();
    for query in ["iso", "xsdate"] {
        let before = now();
        let answer = client.ask(&get(&format!("/.httpout/time?{query}")));
        let after = now();
        let text = answer.status_is(200).need("content-type").to_owned();
        assert!(text.starts_with("text/plain"), "{answer:?}");
        let said = answer.text();
        let shape: String =
            said.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000Z");
        let time = run("date", &["-u", "-d", &said, "+%s%3N"], b"").ok();
        let time = time.trim().parse::<u128>().expect("a date that other programs read");
        assert!((before..=after).contains(&time), "{before} {time} {after}");
    }
    let before = now();
    let answer = client.ask(&get("/.httpout/time?ms"));
    let time = answer.text().parse::<u128>().expect("a number");
    assert!((before..=now()).contains(&time), "{before} {time} {}", now());
    // It never comes out of a cache.
    assert!(answer.lists("cache-control", "no-store"), "{answer:?}");
    let without = client.ask(&head("/.httpout/time?iso"));
    without.status_is(200).field_is("content-length", "24");
    // dash.js takes nothing but 200, whatever it asks with.
    client.ask(&get("/.httpout/time?iso").field("Range", "bytes=0-1")).status_is(200);
    client.ask(&get("/.httpout/time?iso").field("If-None-Match", "*")).status_is(200);
}

fn the_clock_is_always_there(kind: Kind) {
    let tree = Tree::new();
    tree.write("one/.httpout/time", "a file");
    tree.dir("two");
    let (one, two) = (tree.arg("one"), tree.arg("two"));
    let several = format!("{one},{two}");
    for args in [&["--rdirs", &one][..], &["--wdir", &two], &["--rdirs", &several]] {
        let server = Server::start(kind, args);
        assert_eq!(server.ask(&get("/.httpout/time?iso")).text().len(), 24, "{args:?}");
        server.ask(&get("/.httpout/other")).status_is(404);
        for request in [put("/.httpout/time", "x"), post("/.httpout/time", "x")] {
            server.ask(&request).status_in(&[403, 405]);
        }
        server.ask(&delete("/.httpout/time")).status_in(&[403, 405]);
    }
}

fn cache_control_is_in_answers_with_files(kind: Kind) {
    let site = Site::with(kind, &["--cache_control", "public, max-age=5"]);
    site.write("a.txt", "some text that compresses ".repeat(100));
    let tag = site.ask(&get("/a.txt")).need("etag").to_owned();
    for (request, status) in [
        (get("/a.txt"), 200),
        (head("/a.txt"), 200),
        (get("/a.txt").field("Accept-Encoding", "gzip"), 200),
        (get("/a.txt").field("Range", "bytes=0-1"), 206),
        (get("/a.txt").field("If-None-Match", tag), 304),
    ] {
        let answer = site.ask(&request);
        answer.status_is(status).field_is("cache-control", "public, max-age=5").need("etag");
    }
}

fn cache_control_is_in_every_answer(kind: Kind) {
    let args = [&FOR_EVERY_ANSWER[..], &["--cache_control", "public, max-age=5"]].concat();
    let site = Site::with(kind, &args);
    for (request, status) in every_answer(&site) {
        let answer = site.ask(&request);
        // A clock out of a cache would be wrong.
        let is_clock = String::from_utf8_lossy(&request.bytes()).contains("/.httpout/time");
        let expected = if is_clock { "no-store" } else { "public, max-age=5" };
        answer.status_is(status).field_is("cache-control", expected);
    }
    site.server.refuses("nonsense\r\n\r\n", 400).field_is("cache-control", "public, max-age=5");
}

fn cache_control_is_in_answers_with_what_grows(kind: Kind) {
    let site = Site::with(kind, &["--cache_control", "max-age=5"]);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/seg.m4s").chunked());
    upload.send_chunk("abcdef");
    for (request, status) in [
        (get("/seg.m4s"), 200),
        (get("/seg.m4s").field("Range", "bytes=1-"), 206),
        (get("/seg.m4s").field("Range", "bytes=1-2"), 206),
    ] {
        // What it is at its end is not known yet: nothing vouches for it.
        let head = site.client().begin(&request);
        head.status_is(status)
            .field_is("cache-control", "max-age=5")
            .field_is_absent("etag")
            .field_is_absent("last-modified");
    }
    // No condition can name it either: the whole comes again.
    let again = get("/seg.m4s").field("Range", "bytes=1-").field("If-Range", "\"x\"");
    site.client().begin(&again).status_is(200);
    upload.send_last_chunk();
    upload.response("PUT").status_is(201).field_is("cache-control", "max-age=5").need("etag");
    let live = Server::start(kind, &["--icecast", "--cache_control", "max-age=5"]);
    let mut source = live.client();
    let head = source.begin(&Request::new("PUT", "/a.bin").field("Content-Type", "audio/x-raw"));
    head.status_is(200).field_is("cache-control", "max-age=5");
    live.client().begin(&get("/a.bin")).status_is(200).field_is("cache-control", "max-age=5");
}

fn cache_control_none_is_in_no_answer(kind: Kind) {
    let site = Site::with(kind, &[&FOR_EVERY_ANSWER[..], &["--cache_control", "none"]].concat());
    site.write("a.txt", "a");
    for path in ["/a.txt", "/", "/none"] {
        site.ask(&get(path)).field_is_absent("cache-control").field_is_absent("etag");
    }
}

fn cache_control_is_private_where_a_password_is_asked_for(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/a.txt", "a");
    let rules = "[www]\nru=alice\n";
    let site = Ruled::over(tree, kind, rules, &["--cache_control", "public, max-age=5"]);
    let private = "private, max-age=5";
    site.ask(&get("/a.txt")).status_is(401).field_is("cache-control", private);
    for (path, status) in [("/a.txt", 200), ("/none", 404)] {
        site.ask(&get(path).of("alice")).status_is(status).field_is("cache-control", private);
    }
}

fn user_agent_may_be_empty(kind: Kind) {
    let site = Site::with(kind, &["--user_agent", ""]);
    site.ask(&get("/none")).status_is(404).field_is_absent("server");
    Site::new(kind).ask(&get("/none")).status_is(404).need("server");
}

fn port_0_is_port_80(kind: Kind) {
    let tree = Tree::new();
    tree.write("a.bin", "a");
    let host = match kind {
        Kind::Tokio => "127.0.80.1",
        Kind::Smol => "127.0.80.2",
    };
    let root = tree.arg("");
    for args in [
        &["--rdirs", &root, "--ifce", host, "--port", "0"][..],
        &["--rdirs", &root, "--ifce", host],
    ] {
        // Where something else has the port, the server says so.
        if TcpListener::bind((host, 80)).is_ok() {
            let server = Server::launch(kind, args);
            assert_eq!(server.address().to_string(), format!("{host}:80"));
            server.ask(&get("/a.bin")).is(200, "a");
        } else {
            let exit = Server::fails(kind, args);
            assert!(exit.stderr.contains(&format!("{host}:80")), "{exit:?}");
        }
    }
}

fn the_one_string_form_takes_them_too(kind: Kind) {
    let tree = Tree::new();
    tree.write("dir/a.txt", "some text that compresses ".repeat(100));
    let form = format!(
        "httpout:rdirs={}:port=auto:ifce=127.0.0.1:dlist:sutc:cors=on:zmax=100:cache_control=no-cache:\
         user_agent=mine:hdrs=X-A,1,X-B,2:max_client_errors=2",
        tree.arg("")
    );
    let server = Server::launch(kind, &[&form]);
    let mut client = server.client();
    let answer = client.ask(&get("/dir/a.txt").field("Accept-Encoding", "gzip"));
    answer.status_is(200).field_is_absent("content-encoding").need("server-utc");
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("cache-control", "no-cache"),
        ("server", "mine"),
        ("x-a", "1"),
        ("x-b", "2"),
    ] {
        answer.field_is(name, value);
    }
    client.ask(&get("/dir/")).status_is(200);
    client.ask(&get("/none")).status_is(404);
    client.ask(&get("/none")).status_is(404).says_close();
}

fn a_server_can_be_write_only_or_read_only(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/a.bin", "a");
    let www = tree.arg("www");
    let read_only = Server::start(kind, &["--rdirs", &www]);
    read_only.ask(&get("/a.bin")).is(200, "a");
    read_only.ask(&put("/b.bin", "b")).status_is(405);
    read_only.ask(&delete("/a.bin")).status_is(405);
    let write_only = Server::start(kind, &["--wdir", &www]);
    write_only.ask(&put("/b.bin", "b")).status_is(201);
    write_only.ask(&get("/a.bin")).status_is(404);
    assert_eq!(tree.list(), ["www/", "www/a.bin", "www/b.bin"]);
}

fn maxc_is_100_by_default(kind: Kind) {
    let tree = Tree::new();
    tree.write("a.bin", "a");
    let server = Server::start(kind, &["--rdirs", &tree.arg(""), "--maxp", "0"]);
    let mut clients: Vec<_> = (0..100).map(|_| server.client()).collect();
    for client in &mut clients {
        client.ask(&get("/a.bin")).is(200, "a");
    }
    let mut client = server.client();
    client.response("GET").status_is(503).says_close();
    client.closed();
}

fn max_client_errors_is_20_by_default(kind: Kind) {
    let site = Site::new(kind);
    let mut client = site.client();
    for i in 1..=20 {
        let answer = client.ask(&get("/none"));
        answer.status_is(404);
        assert_eq!(answer.lists("connection", "close"), i == 20, "error {i}: {answer:?}");
    }
    client.closed_in_order();
}

fn max_client_errors_0_never_closes(kind: Kind) {
    let site = Site::with(kind, &["--max_client_errors", "0"]);
    let mut client = site.client();
    for _ in 0..100 {
        client.ask(&get("/none")).status_is(404);
    }
}

/// Generously more than any deadline here.
const DEADLINE: Duration = Duration::from_secs(120);

/// Waits for the server's deadline: 408, then the end of the connection.
#[track_caller]
fn is_408(client: &mut Client) {
    client.patience(DEADLINE);
    client.response("").status_is(408).says_close();
    client.closed();
}

fn limits_head_timeout_bounds_a_head(kind: Kind) {
    // The patient one is asked first, so any common deadline would come first to it.
    let patient = Site::with(kind, &["--head-timeout", "600"]);
    let hasty = Site::with(kind, &["--head-timeout", "1"]);
    let mut waits = patient.client();
    waits.send("GET /none HTTP/1.1\r\nHost: loc");
    let mut cut = hasty.client();
    cut.send("GET /none HTTP/1.1\r\nHost: loc");
    is_408(&mut cut);
    waits.send("alhost\r\n\r\n");
    waits.response("GET").status_is(404);
    // It is for heads only.
    let mut idle = hasty.client();
    idle.ask(&get("/none")).status_is(404);
    let mut other = hasty.client();
    other.send("GET /none");
    is_408(&mut other);
    idle.ask(&get("/none")).status_is(404);
}

fn limits_body_timeout_bounds_a_pause_in_an_upload(kind: Kind) {
    let patient = Site::with(kind, &["--body-timeout", "600", "--body-rate", "0"]);
    let hasty = Site::with(kind, &["--body-timeout", "1"]);
    let begin = |site: &Site| {
        let mut upload = site.client();
        upload.begin_upload(Request::new("PUT", "/a.bin").announce(10));
        upload.send("half ");
        upload
    };
    let mut waits = begin(&patient);
    let mut cut = begin(&hasty);
    is_408(&mut cut);
    hasty.no_parts_left();
    assert!(!hasty.has("a.bin"));
    waits.send("whole");
    waits.response("PUT").status_is(201);
    assert_eq!(patient.read("a.bin").as_deref(), Some(&b"half whole"[..]));
}

/// Sends a piece of a chunked upload now and then, until the server takes no more or `over` says
/// so.
fn trickle(mut stream: TcpStream, piece: &[u8], over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) && stream.write_all(&Request::chunk(piece)).is_ok() {
        thread::sleep(Duration::from_millis(300));
    }
}

/// Two uploads get the same piece now and then, so neither ever rests for as long as the body
/// timeout. The second one is cut for its slowness; the first one began before it, and goes on to
/// its end.
#[track_caller]
fn only_the_second_is_too_slow(kind: Kind, first: &[&str], second: &[&str], piece: &[u8]) {
    let sites =
        [first, second].map(|args| Site::with(kind, &[&["--body-timeout", "6"], args].concat()));
    let [mut goes_on, mut cut] = [&sites[0], &sites[1]].map(|site| {
        let mut upload = site.client();
        upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
        upload
    });
    let over = AtomicBool::new(false);
    let (first, second) = (goes_on.writer(), cut.writer());
    thread::scope(|scope| {
        scope.spawn(|| trickle(first, piece, &over));
        scope.spawn(|| trickle(second, piece, &over));
        // Also where the second is not cut in time.
        let cut = catch_unwind(AssertUnwindSafe(|| is_408(&mut cut)));
        over.store(true, Ordering::Relaxed);
        cut.unwrap_or_else(|panic| resume_unwind(panic));
    });
    goes_on.send_last_chunk();
    goes_on.response("PUT").status_is(201);
}

fn limits_body_rate_bounds_a_slow_upload(kind: Kind) {
    // Some 3 kB a second: more than the default asks for.
    only_the_second_is_too_slow(kind, &[], &["--body-rate", "1M"], &[7; 1_000]);
}

fn limits_body_rate_0_bounds_none(kind: Kind) {
    // The default.
    // A few bytes a second.
    only_the_second_is_too_slow(kind, &[], &["--body-rate", "500"], &[7]);
}

fn limits_send_timeout_bounds_a_reader_that_does_not_read(kind: Kind) {
    let patient = Site::with(kind, &["--send-timeout", "600"]);
    let hasty = Site::with(kind, &["--send-timeout", "1"]);
    let length = 64 << 20;
    let begin = |site: &Site| {
        site.tree.sparse("www/big.bin", length);
        let mut reader = site.client();
        reader.begin(&get("/big.bin")).status_is(200);
        reader
    };
    let mut waits = begin(&patient);
    let mut cut = begin(&hasty);
    let gone = || (hasty.server.connections() == 0).then_some(());
    httpout_tests::until_within(DEADLINE, "the reader that does not read is cut", gone);
    assert_eq!(waits.count(), (length, None));
    let (came, end) = cut.count();
    assert!(came < length && end.is_some(), "{came} bytes, then {end:?}");
}
