//! How connections end, and how they do not: signals, deadlines, counts, clients that close,
//! refusals, and the server's end.

use std::collections::HashSet;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use httpout_tests::{
    Client, End, Kind, Pusher, Request, Ruled, Server, Site, Tree, both, get, put, until,
    while_stopped,
};
use rustix::process::{Pid, Signal, kill_process};

both! {
    signals_do_not_cut_downloads,
    signals_do_not_cut_a_push,
    ten_thousand_uploads_go_over_one_connection,
    uploads_outlast_count_and_age,
    count_and_age_end_a_connection_without_uploads,
    a_refused_upload_does_not_end_the_pipeline,
    a_shutdown_takes_and_answers_what_was_sent,
    a_reload_takes_and_answers_what_was_sent,
    a_stalled_source_is_closed,
    clients_that_close_while_they_are_blocked_give_their_places_back,
    clients_that_close_while_an_upload_stalls_give_their_places_back,
    clients_that_close_behind_unread_requests_give_their_places_back,
    a_half_closed_client_gets_a_response_that_makes_progress,
    a_shutdown_answers_blocked_requests,
    the_status_of_a_refused_upload_is_read_behind_its_body,
    signed_chunks_are_stored,
}

/// What is added to the options so that TLS is spoken, or not.
const BOTH_WAYS: [&[&str]; 2] = [&[], &["--self-signed"]];

/// Stops, continues and signals a process again and again until told to end.
fn disturb(pid: Pid, signals: &[Signal], over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        for signal in signals {
            if kill_process(pid, *signal).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn signals_do_not_cut_downloads(kind: Kind) {
    for tls in BOTH_WAYS {
        // A client that is cut, or gets nothing, is told by its own patience.
        let site = Site::with(kind, &[tls, &["--send-timeout", "600"]].concat());
        let length = if tls.is_empty() { 300 << 20 } else { 40 << 20 };
        site.tree.sparse("www/big.bin", length);
        let (over, pid) = (AtomicBool::new(false), site.server.pid());
        let signals = [Signal::STOP, Signal::CONT, Signal::HUP];
        thread::scope(|scope| {
            let over = &over;
            scope.spawn(move || disturb(pid, &signals, over));
            let download = || {
                let mut client = site.client();
                client.begin(&get("/big.bin")).status_is(200);
                client
            };
            let downloads: Vec<_> = (0..4)
                .map(|_| download())
                .map(|mut client| scope.spawn(move || client.count()))
                .collect();
            let ends: Vec<_> = downloads.into_iter().map(|download| download.join()).collect();
            over.store(true, Ordering::Relaxed);
            for end in ends {
                assert_eq!(end.expect("a download goes on"), (length, None));
            }
        });
        site.server.signal(Signal::CONT);
    }
}

fn signals_do_not_cut_a_push(kind: Kind) {
    for tls in BOTH_WAYS {
        let site = Site::with(kind, tls);
        let length = if tls.is_empty() { 300 << 20 } else { 40 << 20 };
        site.tree.sparse("big.bin", length);
        let (input, url) = (site.tree.arg("big.bin"), site.server.url("/big.bin"));
        let trust: &[&str] = if tls.is_empty() { &[] } else { &["--insecure"] };
        let own = ["-i", &input, "-o", &url, "--send-timeout", "600"];
        let pusher = Pusher::start(kind, &[&own[..], trust].concat());
        let (over, pid) = (AtomicBool::new(false), pusher.pid());
        thread::scope(|scope| {
            scope.spawn(|| disturb(pid, &[Signal::STOP, Signal::CONT], &over));
            until("the file is stored", || site.has("big.bin").then_some(()));
            over.store(true, Ordering::Relaxed);
        });
        pusher.signal(Signal::CONT);
        pusher.ok();
        let stored = std::fs::metadata(site.tree.arg("www/big.bin")).expect("it is there");
        assert_eq!(stored.len(), length);
    }
}

/// A small chunked PUT.
fn small(name: usize, content: usize) -> Request {
    let content = content.to_string();
    Request::new("PUT", &format!("/{name}.bin")).chunks(&[content.as_bytes()])
}

fn ten_thousand_uploads_go_over_one_connection(kind: Kind) {
    let site = Site::new(kind);
    let mut client = site.client();
    let mut writer = client.writer();
    thread::scope(|scope| {
        scope.spawn(move || {
            for i in 0..10_200 {
                writer.write_all(&small(i % 100, i).bytes()).expect("the server takes it");
            }
        });
        for i in 0..10_200 {
            let answer = client.response("PUT");
            answer.status_is(if i < 100 { 201 } else { 200 });
            assert!(!answer.lists("connection", "close"), "{i}: {answer:?}");
        }
    });
    for i in 0..100 {
        let last = (10_100 + i).to_string();
        assert_eq!(site.read(&format!("{i}.bin")), Some(last.into_bytes()));
    }
    client.ask(&get("/1.bin")).is(200, "10101");
}

fn uploads_outlast_count_and_age(kind: Kind) {
    for tls in BOTH_WAYS {
        for limit in [["--keepalive-requests", "10"], ["--keepalive-time", "0.001"]] {
            let site = Site::with(kind, &[tls, &limit].concat());
            let mut client = site.client();
            for i in 0..30 {
                client.send([small(i, 1).bytes(), small(i, 2).bytes()].concat());
                client.response("PUT").status_is(201);
                client.response("PUT").status_is(200);
                client.ask(&get(&format!("/{i}.bin"))).is(200, "2");
            }
        }
    }
}

fn count_and_age_end_a_connection_without_uploads(kind: Kind) {
    for tls in BOTH_WAYS {
        let site = Site::with(kind, &[tls, &["--keepalive-requests", "3"]].concat());
        site.write("a.bin", "a");
        let mut client = site.client();
        for _ in 0..2 {
            let answer = client.ask(&get("/a.bin"));
            assert!(!answer.lists("connection", "close"), "{answer:?}");
        }
        client.ask(&get("/a.bin")).is(200, "a").says_close();
        client.closed_in_order();
        // What was sent already is answered first.
        let mut client = site.client();
        client.send(get("/a.bin").bytes().repeat(7));
        for _ in 0..6 {
            client.response("GET").is(200, "a");
        }
        client.response("GET").is(200, "a").says_close();
        client.closed_in_order();
        let site = Site::with(kind, &[tls, &["--keepalive-time", "0.1"]].concat());
        let mut client = site.client();
        until("the connection is old", || {
            client.ask(&get("/none")).status_is(404).lists("connection", "close").then_some(())
        });
        client.closed_in_order();
    }
}

fn a_refused_upload_does_not_end_the_pipeline(kind: Kind) {
    for tls in BOTH_WAYS {
        let site = Site::with(kind, tls);
        let refused = Request::new("PUT", "/a.bin/").chunks(&[&[7; 100_000], &[8; 100_000]]);
        let long = put("/b.bin/", vec![7; 3_000_000]);
        let mut client = site.client();
        let requests = [&small(1, 1), &refused, &small(2, 2), &long, &small(3, 3)];
        client.send(requests.iter().flat_map(|request| request.bytes()).collect::<Vec<_>>());
        for status in [201, 409, 201, 409, 201] {
            client.response("PUT").status_is(status);
        }
        assert_eq!(site.read("3.bin"), Some(b"3".to_vec()));
    }
}

fn a_shutdown_takes_and_answers_what_was_sent(kind: Kind) {
    for tls in BOTH_WAYS {
        let site = Site::with(kind, &[tls, &["--grace", "600"]].concat());
        let (mut pipeline, mut under_way) = (site.client(), site.client());
        pipeline.ask(&get("/none")).status_is(404);
        under_way.begin_upload(Request::new("PUT", "/live.bin").chunked());
        under_way.send_chunk("live");
        while_stopped(site.server.pid(), || {
            pipeline.send((0..200).flat_map(|i| small(i, i).bytes()).collect::<Vec<_>>());
            site.server.terminate();
        });
        site.server.refuses_connections();
        for i in 0..200 {
            let answer = pipeline.response("PUT");
            answer.status_is(201);
            assert_eq!(answer.lists("connection", "close"), i == 199, "{i}: {answer:?}");
        }
        pipeline.closed_in_order();
        under_way.send([Request::LAST_CHUNK, &small(300, 300).bytes()].concat());
        under_way.response("PUT").status_is(201);
        under_way.response("PUT").status_is(201).says_close();
        under_way.closed_in_order();
        let Site { server, tree } = site;
        drop((pipeline, under_way));
        assert_eq!(server.exit().code, Some(0));
        for i in (0..200).chain([300]) {
            let stored = tree.read(&format!("www/{i}.bin"));
            assert_eq!(stored, Some(i.to_string().into_bytes()));
        }
    }
}

fn a_reload_takes_and_answers_what_was_sent(kind: Kind) {
    for tls in BOTH_WAYS {
        let site = Site::with(kind, tls);
        let mut client = site.client();
        for round in 0..20 {
            client.send((0..20).flat_map(|i| small(i, round).bytes()).collect::<Vec<_>>());
            site.server.signal(Signal::HUP);
            for _ in 0..20 {
                client.response("PUT").status_in(&[200, 201]);
            }
        }
        for i in 0..20 {
            assert_eq!(site.read(&format!("{i}.bin")), Some(b"19".to_vec()));
        }
    }
}

fn a_stalled_source_is_closed(kind: Kind) {
    for tls in BOTH_WAYS {
        let own = ["--icecast", "--body-timeout", "1"];
        let server = Server::start(kind, &[tls, &own].concat());
        for request in [
            Request::new("SOURCE", "/a.mp3"),
            Request::new("SOURCE", "/a.mp3").http10(),
            Request::new("PUT", "/a.mp3"),
        ] {
            let mut source = server.client();
            source.begin(&request).status_is(200);
            source.send([0xff, 0xfb, 0x90, 0x64]);
            source.closed_in_order();
            // Its place is free, though the source has not closed.
            server_has(&server, 0);
        }
        let exit = server.stop();
        assert_eq!(exit.stderr.matches("--body-timeout").count(), 3, "{exit:?}");
        assert!(exit.stderr.contains("a.mp3"), "{exit:?}");
    }
}

fn clients_that_close_while_they_are_blocked_give_their_places_back(kind: Kind) {
    for tls in BOTH_WAYS {
        let tree = Tree::new();
        let www = tree.arg("www");
        tree.dir("www");
        // For two rounds of clients, since a place is free a moment after its socket is closed; but
        // not for three.
        let own = ["--rdirs", &www, "--wdir", &www, "--maxp", "12", "--wait-missing", "600"];
        let server = Server::start(kind, &[tls, &own].concat());
        for _ in 0..3 {
            let mut gone: Vec<_> = (0..6)
                .map(|i| {
                    let mut client = server.client();
                    client.send(get(&format!("/{i}.m4s")).bytes());
                    client
                })
                .collect();
            server_has(&server, 6);
            gone.iter_mut().for_each(Client::finish_sending);
            for client in &mut gone {
                client.closed();
            }
            drop(gone);
            server_has(&server, 0);
        }
        server.ask(&put("/1.m4s", "x")).status_is(201);
    }
}

#[track_caller]
fn server_has(server: &Server, count: usize) {
    until("so many connections are there", || (server.connections() == count).then_some(()));
}

fn clients_that_close_while_an_upload_stalls_give_their_places_back(kind: Kind) {
    for tls in BOTH_WAYS {
        let site = Site::with(kind, &[tls, &["--body-timeout", "600"]].concat());
        let mut upload = site.client();
        upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
        // Before the first byte, and behind it.
        for first in [false, true] {
            if first {
                upload.send_chunk("first");
            }
            let mut gone = Vec::new();
            for _ in 0..6 {
                let mut reader = site.client();
                reader.send(get("/a.bin").bytes());
                if first {
                    reader.head("GET").status_is(200);
                    assert_eq!(reader.content(5), b"first");
                }
                gone.push(reader);
            }
            server_has(&site.server, 7);
            // Half of them close, and half of them half-close.
            let mut half_closed = gone.split_off(3);
            drop(gone);
            half_closed.iter_mut().for_each(Client::finish_sending);
            for reader in &mut half_closed {
                if first {
                    reader.rest().expect_err("the upload did not end");
                } else {
                    reader.closed();
                }
            }
            server_has(&site.server, 1);
        }
        upload.send_last_chunk();
        upload.response("PUT").status_is(201);
    }
}

/// More than a server reads behind a request that is blocked, and little enough for the kernel to
/// take it all.
const PIPELINED: usize = 90_000;

fn clients_that_close_behind_unread_requests_give_their_places_back(kind: Kind) {
    for tls in BOTH_WAYS {
        let own = ["--wait-missing", "600", "--body-timeout", "600"];
        let site = Site::with(kind, &[tls, &own].concat());
        let mut upload = site.client();
        upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
        let more = Request::new("OPTIONS", "*").bytes();
        let more = more.repeat(PIPELINED / more.len());
        for path in ["/missing.m4s", "/a.bin"] {
            let mut gone: Vec<_> = (0..4)
                .map(|_| {
                    let mut client = site.client();
                    client.send([get(path).bytes(), more.clone()].concat());
                    client
                })
                .collect();
            server_has(&site.server, 5);
            let mut half_closed = gone.split_off(2);
            drop(gone);
            half_closed.iter_mut().for_each(Client::finish_sending);
            for client in &mut half_closed {
                client.closed();
            }
            server_has(&site.server, 1);
        }
        upload.send_last_chunk();
        upload.response("PUT").status_is(201);
    }
}

fn a_half_closed_client_gets_a_response_that_makes_progress(kind: Kind) {
    for tls in BOTH_WAYS {
        let site = Site::with(kind, tls);
        let goes_on = (0..3).any(|_| is_read_while_half_closed(&site));
        assert!(goes_on, "a response that makes progress is given up");
    }
}

/// Reads an upload for longer than a half-closed client may be idle. False if the machine was so
/// slow that the client was idle for that long, and was given up.
#[track_caller]
fn is_read_while_half_closed(site: &Site) -> bool {
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
    upload.send_chunk("first");
    let mut reader = site.client();
    reader.send(get("/a.bin").bytes());
    reader.finish_sending();
    reader.head("GET").status_is(200);
    assert_eq!(reader.content(5), b"first");
    let mut slowest = Duration::ZERO;
    for _ in 0..15 {
        let before = Instant::now();
        thread::sleep(Duration::from_millis(200));
        upload.send_chunk("more");
        let (count, end) = reader.count_up_to(4);
        slowest = slowest.max(before.elapsed());
        if end.is_some() {
            assert!(slowest > Duration::from_secs(1), "it was cut after {slowest:?}");
            return false;
        }
        assert_eq!(count, 4);
    }
    upload.send_last_chunk();
    upload.response("PUT").status_in(&[200, 201]);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    reader.closed_in_order();
    true
}

fn a_shutdown_answers_blocked_requests(kind: Kind) {
    for tls in BOTH_WAYS {
        let own = ["--wait-missing", "600", "--grace", "600"];
        let site = Site::with(kind, &[tls, &own].concat());
        let mut upload = site.client();
        upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
        let mut blocked: Vec<_> = ["/missing.m4s", "/a.bin"]
            .iter()
            .map(|path| {
                let mut client = site.client();
                client.send(get(path).bytes());
                client
            })
            .collect();
        // One that is there already when the blocked ones have been read.
        server_has(&site.server, 3);
        site.is_well();
        site.server.terminate();
        for client in &mut blocked {
            let answer = client.response("GET");
            answer.status_is(503).says_close();
            assert!(answer.need("retry-after").parse::<u32>().is_ok(), "{answer:?}");
            assert_eq!(client.closed(), End::Fin);
        }
        drop(blocked);
        upload.send_last_chunk();
        upload.response("PUT").status_is(201).says_close();
        drop(upload);
        assert_eq!(site.server.exit().code, Some(0));
    }
}

fn the_status_of_a_refused_upload_is_read_behind_its_body(kind: Kind) {
    for tls in BOTH_WAYS {
        let length = 10 << 20;
        let body = vec![7; length];
        let chunked =
            || Request::new("PUT", "/a.bin").chunks(&[&body[..5 << 20], &body[..5 << 20]]);
        let sends = |server: &Server, request: Request, status| {
            let mut client = server.client();
            client.send(request.bytes());
            client.response("PUT").status_is(status);
        };
        let site = Site::read_only(kind, tls);
        sends(&site.server, put("/a.bin", &body), 405);
        sends(&site.server, chunked(), 405);
        // More than is read so that the connection can be kept.
        sends(&site.server, put("/a.bin", vec![7; 4 * length]), 405);
        let site = Site::with(kind, &[tls, &["--maxs", "1000"]].concat());
        sends(&site.server, put("/a.bin", &body), 413);
        sends(&site.server, chunked(), 413);
        let tree = Tree::new();
        tree.dir("www");
        let ruled = Ruled::over(tree, kind, "[www]\nru=$ALL\nwu=alice\n", tls);
        sends(&ruled.server, put("/a.bin", &body), 401);
        sends(&ruled.server, chunked(), 401);
    }
}

fn signed_chunks_are_stored(kind: Kind) {
    let site = Site::new(kind);
    for size in [64 << 10, 8 << 10, 1 << 10] {
        let content: Vec<_> = (0..8 << 20).map(|i: u32| (i >> 10) as u8).collect();
        let mut client = site.client();
        client.send(Request::new("PUT", "/a.bin").chunked().bytes());
        let mut signatures = HashSet::new();
        let mut body = Vec::new();
        for (i, chunk) in content.chunks(size).chain([&[][..]]).enumerate() {
            let signature = format!("{i:064x}");
            let line = format!("{:x};chunk-signature={signature}\r\n", chunk.len());
            body.extend_from_slice(line.as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
            signatures.insert(signature);
        }
        assert!(signatures.len() > 100);
        client.send(body);
        client.response("PUT").status_in(&[200, 201]);
        assert!(site.read("a.bin").as_deref() == Some(&content[..]), "{size}");
    }
}
