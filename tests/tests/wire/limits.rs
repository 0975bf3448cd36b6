//! Limits and deadlines, each with its response.

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use httpout_tests::{
    Client, End, Kind, Request, Server, Site, both, get, put, until, until_within,
};

both! {
    rfc6585_5_a_long_field_is_431,
    rfc6585_5_a_long_head_is_431,
    rfc6585_5_too_many_fields_are_431,
    rfc6585_5_an_endless_head_is_431,
    limits_a_head_within_the_limits_is_taken,
    limits_an_idle_connection_is_closed,
    limits_a_slow_head_is_cut,
    limits_a_silent_connection_is_closed,
    limits_stalled_uploads_and_downloads_are_cut,
    limits_a_trickled_upload_is_not_idle,
    limits_timeout_0_never_closes_an_idle_connection,
    limits_maxc_answers_503_and_closes,
    limits_maxp_answers_503_and_closes,
    limits_a_place_is_free_again_when_a_client_leaves,
    limits_consecutive_errors_close,
    limits_the_error_that_closes_says_so_and_uploads_behind_it_are_taken,
    limits_a_success_between_errors_counts_anew,
    limits_close_closes_after_each_request,
    limits_stalled_clients_do_not_hold_up_others,
    limits_ten_thousand_requests_close_a_connection,
    limits_garbage_is_answered_once,
}

const HELLO: &str = "hello world\n";

/// Generously more than any deadline of the server's that no option sets (30 s).
const DEADLINE: Duration = Duration::from_secs(120);

fn site(kind: Kind, args: &[&str]) -> Site {
    let site = Site::with(kind, args);
    site.write("hello.txt", HELLO);
    site
}

/// Sends a head that is too large: the answer is 431, and the connection closes. What is beyond the
/// limit may meet a reset.
#[track_caller]
fn is_431(site: &Site, head: &[u8]) {
    let mut client = site.client();
    client.send(head);
    client.response("GET").status_is(431).says_close();
    client.closed();
}

fn rfc6585_5_a_long_field_is_431(kind: Kind) {
    let site = site(kind, &[]);
    for length in [17_000, 30_000] {
        is_431(&site, &get("/hello.txt").field("X-A", "a".repeat(length)).bytes());
        is_431(&site, &get("/hello.txt").field(&"a".repeat(length), "x").bytes());
    }
    site.server.refuses(get("/hello.txt").field("Cookie", "a=b; ".repeat(4_000)).bytes(), 431);
    site.is_well();
}

fn rfc6585_5_a_long_head_is_431(kind: Kind) {
    let site = site(kind, &[]);
    let many =
        (0..4).fold(get("/hello.txt"), |r, i| r.field(&format!("X-{i}"), "a".repeat(10_000)));
    is_431(&site, &many.bytes());
}

fn rfc6585_5_too_many_fields_are_431(kind: Kind) {
    let site = site(kind, &[]);
    let with =
        |count: usize| (1..count).fold(get("/hello.txt"), |r, i| r.field(&format!("X-{i}"), "x"));
    site.ask(&with(100)).is(200, HELLO);
    is_431(&site, &with(101).bytes());
    is_431(&site, &with(1_000).bytes());
}

fn rfc6585_5_an_endless_head_is_431(kind: Kind) {
    let site = site(kind, &[]);
    let mut client = site.client();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-A: ");
    // The answer comes while the client still sends.
    client.send("a".repeat(40_000));
    client.response("GET").status_is(431).says_close();
    client.closed();
    let before = site.server.memory_kib();
    let mut client = site.client();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n");
    let line = "X-Y: z\r\n".repeat(10_000);
    while client.try_send(&line).is_ok() {}
    let grown = site.server.memory_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "a head without end took {grown} KiB");
    site.is_well();
}

fn limits_a_head_within_the_limits_is_taken(kind: Kind) {
    let site = site(kind, &[]);
    site.ask(&get("/hello.txt").field("X-A", "a".repeat(15_000)).field("X-B", "b".repeat(15_000)))
        .is(200, HELLO);
}

fn limits_an_idle_connection_is_closed(kind: Kind) {
    let site = site(kind, &["--timeout", "1"]);
    site.server.resting_after(&get("/hello.txt")).closed_in_order();
    site.server.resting_after(&put("/a.bin", "x")).closed_in_order();
    assert_eq!(site.read("a.bin").as_deref(), Some(&b"x"[..]));
}

/// Waits for the server's deadline: 408, then the end of the connection.
#[track_caller]
fn is_408(client: &mut Client) {
    client.patience(DEADLINE);
    client.response("").status_is(408).says_close();
    client.closed();
}

fn limits_a_slow_head_is_cut(kind: Kind) {
    let site = site(kind, &[]);
    let mut stalled = site.client();
    stalled.send("GET /hello.txt HTTP/1.1\r\nHost: loc");
    // One that sends a byte now and then is never idle, but its head takes too long all the same.
    let mut trickling = site.client();
    trickling.send("GET /hello.txt HTTP/1.1\r\n");
    let mut writer = trickling.writer();
    thread::scope(|scope| {
        scope.spawn(move || {
            while writer.write_all(b"X: y\r\n").is_ok() {
                thread::sleep(Duration::from_millis(500));
            }
        });
        is_408(&mut stalled);
        is_408(&mut trickling);
    });
    site.is_well();
}

fn limits_a_silent_connection_is_closed(kind: Kind) {
    let site = site(kind, &["--timeout", "1"]);
    // Nothing was asked, so nothing is answered.
    site.client().closed_in_order();
    // Half a request is no better.
    let mut half = until("half a request comes before its connection is closed", || {
        let mut half = site.client();
        half.patience(DEADLINE);
        half.try_send("GET /hel").ok()?;
        half.try_head("").ok().map(|head| (half, head))
    });
    half.1.status_is(408).says_close();
    half.0.rest().expect("the answer is whole");
    half.0.closed();
}

fn limits_stalled_uploads_and_downloads_are_cut(kind: Kind) {
    let site = site(kind, &[]);
    site.write("a.bin", "old");
    site.tree.sparse("www/big.bin", 1 << 30);
    let mut reader = site.client();
    reader.begin(&get("/big.bin")).status_is(200);
    let requests =
        [Request::new("PUT", "/a.bin").announce(100), Request::new("PUT", "/a.bin").chunked()];
    let mut uploads = requests.map(|request| {
        let mut upload = site.client();
        upload.begin_upload(request);
        upload.send("5\r\nfirst\r\n");
        upload
    });
    uploads.iter_mut().for_each(is_408);
    site.no_parts_left();
    assert_eq!(site.read("a.bin").as_deref(), Some(&b"old"[..]));
    // The reader has not read all the while.
    let closed = || (site.server.connections() == 0).then_some(());
    until_within(DEADLINE, "the stalled download's connection is closed", closed);
    let (length, end) = reader.count();
    assert!(length < 1 << 30 && end.is_some(), "{length} bytes, then {end:?}");
}

fn limits_a_trickled_upload_is_not_idle(kind: Kind) {
    // An encoder that writes a little every now and then is alive: it takes longer than the timeout
    // in all, never between two pieces.
    let site = site(kind, &["--timeout", "2"]);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
    for _ in 0..10 {
        upload.send_chunk([7; 1000]);
        thread::sleep(Duration::from_millis(400));
    }
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    assert_eq!(site.read("a.bin"), Some(vec![7; 10_000]));
}

fn limits_timeout_0_never_closes_an_idle_connection(kind: Kind) {
    let idle = site(kind, &["--timeout", "0"]);
    let mut client = idle.client();
    client.ask(&get("/hello.txt")).is(200, HELLO);
    // Meanwhile a server that does close idle connections has closed one.
    let other = site(kind, &["--timeout", "1"]);
    other.server.resting_after(&get("/hello.txt")).closed_in_order();
    client.ask(&get("/hello.txt")).is(200, HELLO);
}

/// A server with own limits of connections.
fn limited(kind: Kind, site: &Site, limits: &[&str]) -> Server {
    Server::start(kind, &[&["--rdirs", &site.tree.arg("www")], limits].concat())
}

/// The answer to one connection too many.
#[track_caller]
fn is_turned_away(server: &Server) {
    let mut client = server.client();
    // The server may answer before it reads.
    let _ = client.try_send(get("/hello.txt").bytes());
    let answer = client.response("GET");
    answer.status_is(503).says_close();
    let wait = answer.need("retry-after");
    assert!(wait.parse::<u32>().is_ok(), "Retry-After in seconds: {answer:?}");
    client.closed();
}

fn limits_maxc_answers_503_and_closes(kind: Kind) {
    let site = site(kind, &[]);
    let server = limited(kind, &site, &["--maxc", "3", "--maxp", "0"]);
    let mut clients: Vec<_> = (0..3).map(|_| server.client()).collect();
    for client in &mut clients {
        client.ask(&get("/hello.txt")).is(200, HELLO);
    }
    for _ in 0..5 {
        is_turned_away(&server);
    }
    for client in &mut clients {
        client.ask(&get("/hello.txt")).is(200, HELLO);
    }
}

fn limits_maxp_answers_503_and_closes(kind: Kind) {
    let site = site(kind, &[]);
    // The default is 32.
    for (args, most) in [(&["--maxp", "2"][..], 2), (&[][..], 32)] {
        let server = limited(kind, &site, args);
        let mut clients: Vec<_> = (0..most).map(|_| server.client()).collect();
        for client in &mut clients {
            client.ask(&get("/hello.txt")).is(200, HELLO);
        }
        is_turned_away(&server);
        clients[0].ask(&get("/hello.txt")).is(200, HELLO);
    }
}

fn limits_a_place_is_free_again_when_a_client_leaves(kind: Kind) {
    let site = site(kind, &[]);
    let server = limited(kind, &site, &["--maxc", "2", "--maxp", "2"]);
    let leave: [fn(Client); 2] = [|client| drop(client), Client::abort];
    let mut stays = server.client();
    stays.ask(&get("/hello.txt")).is(200, HELLO);
    for leave in leave {
        let mut client = server.client();
        until("a place is free", || {
            let answer = client.ask(&get("/hello.txt"));
            if answer.status != 200 {
                client = server.client();
            }
            (answer.status == 200).then_some(())
        });
        is_turned_away(&server);
        leave(client);
    }
}

fn limits_consecutive_errors_close(kind: Kind) {
    let site = site(kind, &["--max_client_errors", "3"]);
    let mut client = site.client();
    for _ in 0..2 {
        let answer = client.ask(&get("/none"));
        answer.status_is(404);
        assert!(!answer.lists("connection", "close"), "{answer:?}");
    }
    client.ask(&get("/none")).status_is(404).says_close();
    client.closed_in_order();
}

fn limits_the_error_that_closes_says_so_and_uploads_behind_it_are_taken(kind: Kind) {
    let site = site(kind, &["--max_client_errors", "3"]);
    // A body that comes with its head does not hide that.
    let refused = put("/none/", "content");
    let mut client = site.client();
    for last in [false, false, true] {
        let answer = client.ask(&refused);
        answer.status_is(409);
        assert_eq!(answer.lists("connection", "close"), last, "{answer:?}");
    }
    client.closed_in_order();
    let mut client = site.client();
    client.send([refused.bytes().repeat(3), put("/behind.bin", "x").bytes()].concat());
    for _ in 0..3 {
        let answer = client.response("PUT");
        answer.status_is(409);
        assert!(!answer.lists("connection", "close"), "{answer:?}");
    }
    client.response("PUT").status_is(201).says_close();
    client.closed_in_order();
    site.ask(&get("/behind.bin")).is(200, "x");
}

fn limits_a_success_between_errors_counts_anew(kind: Kind) {
    let site = site(kind, &["--max_client_errors", "3"]);
    let mut client = site.client();
    for _ in 0..10 {
        client.ask(&get("/none")).status_is(404);
        client.ask(&get("/none")).status_is(404);
        client.ask(&get("/hello.txt")).is(200, HELLO);
        // A 304 and a 204 are no errors.
        client.ask(&get("/hello.txt").field("If-None-Match", "*")).status_is(304);
    }
}

fn limits_close_closes_after_each_request(kind: Kind) {
    let site = site(kind, &["--close"]);
    for request in
        [get("/hello.txt"), get("/none"), put("/a.bin", "x"), Request::new("OPTIONS", "*")]
    {
        let mut client = site.client();
        client.send([request.bytes(), get("/hello.txt").bytes()].concat());
        client.response(request.method()).says_close();
        client.closed_in_order();
    }
}

fn limits_stalled_clients_do_not_hold_up_others(kind: Kind) {
    let site = site(kind, &[]);
    site.tree.sparse("www/big.bin", 1 << 28);
    let mut stalled = Vec::new();
    for i in 0..60 {
        let mut client = site.client();
        match i % 6 {
            0 => {}
            1 => client.send("GET /hel"),
            2 => client.send("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n"),
            3 => client.send(Request::new("PUT", &format!("/up-{i}")).announce(1000).bytes()),
            4 => {
                client.begin_upload(Request::new("PUT", &format!("/up-{i}")).chunked());
                client.send("5\r\nhe");
            }
            _ => {
                client.small_window();
                client.begin(&get("/big.bin")).status_is(200);
            }
        }
        stalled.push(client);
    }
    let mut client = site.client();
    for _ in 0..50 {
        client.ask(&get("/hello.txt")).is(200, HELLO);
        client.ask(&put("/new.bin", "x")).status_in(&[200, 201]);
    }
    drop(stalled);
    site.no_parts_left();
}

fn limits_ten_thousand_requests_close_a_connection(kind: Kind) {
    let site = site(kind, &[]);
    let mut client = site.client();
    let batch = get("/hello.txt").bytes().repeat(100);
    for i in 0..100 {
        client.send(&batch);
        for j in 0..100 {
            let answer = client.response("GET");
            answer.is(200, HELLO);
            let last = (i, j) == (99, 99);
            assert_eq!(answer.lists("connection", "close"), last, "request {}", i * 100 + j + 1);
        }
    }
    client.closed_in_order();
}

fn limits_garbage_is_answered_once(kind: Kind) {
    let site = site(kind, &[]);
    // A TLS hello, a binary protocol, an SMB probe, nothing but zeros, and lines that are no
    // requests.
    let hello =
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[b'Z'; 200], b"\r\n\r\n"].concat();
    let zeros = vec![0; 4000];
    let lines = b"garbage\r\n".repeat(400);
    for garbage in [
        &hello[..],
        b"\x00\x00\x00\x85\xffSMB\r\n\r\n",
        &zeros,
        &lines,
        b"EHLO x\r\n\r\n",
        b"{\"id\":1}\r\n\r\n",
    ] {
        let mut client = site.client();
        client.send(garbage);
        let _ = client.writer().shutdown(Shutdown::Write);
        client.response("GET").status_is(400).says_close();
        assert_eq!(client.closed(), End::Fin);
    }
    site.is_well();
}
