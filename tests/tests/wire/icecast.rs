//! Live resources that clients send, as Icecast's source clients do (`--icecast`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::{thread, time::Duration};

use httpout_tests::live::{media, without_icy};
use httpout_tests::{
    Client, End, Kind, Request, Ruled, Server, Site, Tree, both, get, head, put, until,
};

#[cfg(feature = "tools")]
mod curl;
#[cfg(feature = "tools")]
mod ezstream;
#[cfg(feature = "tools")]
mod ffmpeg;
#[cfg(feature = "tools")]
mod gstreamer;
mod libshout;
#[cfg(feature = "tools")]
mod mpd;

both! {
    a_source_in_pieces_is_heard_as_it_comes,
    a_source_tells_what_it_is,
    a_source_may_wait_for_100_and_is_answered_at_its_end,
    a_second_source_of_a_path_is_refused,
    a_source_that_ends_is_over_and_one_that_breaks_is_cut,
    a_source_that_is_silent_stays,
    a_source_without_keyframes_is_heard_all_the_same,
    a_source_that_is_no_media_is_refused,
    a_source_needs_icecast,
    a_source_with_a_length_is_an_upload,
    a_live_path_goes_before_a_file,
    titles_are_for_listeners_that_ask,
    only_who_may_write_sends,
    with_blockio_and_hold_nothing_is_lost,
    with_reopen_listeners_wait_for_the_next_source,
    sources_end_with_the_server,
    behind_a_refused_source_comes_no_request,
}

#[track_caller]
fn server(kind: Kind, args: &[&str]) -> Server {
    let own = ["--icecast", "--ice", "--maxc", "0", "--maxp", "0", "--admin", "127.0.0.1:0"];
    Server::start(kind, &[&own[..], args].concat())
}

/// Begins to send, by the older protocol or the newer one.
#[track_caller]
fn source(server: &Server, request: &Request) -> Client {
    let mut client = server.client();
    client.begin(request).status_is(200);
    client
}

#[track_caller]
fn listen(server: &Server, path: &str) -> Client {
    let mut client = server.client();
    client.begin(&get(path)).status_is(200);
    client
}

#[track_caller]
fn is_gone(server: &Server, path: &str) {
    until("it is over", || (server.ask(&head(path)).status == 404).then_some(()));
}

fn ruled(kind: Kind, args: &[&str]) -> Ruled {
    let tree = Tree::new();
    tree.dir("www/radio");
    tree.dir("www/open");
    let rules = "[www]\nwu=$NONE\n[www/radio]\nru=bob\nwu=alice\n";
    Ruled::over(tree, kind, rules, &[&["--icecast"], args].concat())
}

fn a_source_in_pieces_is_heard_as_it_comes(kind: Kind) {
    let server = server(kind, &[]);
    for method in ["SOURCE", "PUT"] {
        let mut source = source(&server, &Request::new(method, "/a/live.bin"));
        let mut listeners = [listen(&server, "/a/live.bin"), listen(&server, "/a/live.bin")];
        for piece in ["one", "two", "a longer piece"] {
            source.send(piece);
            for listener in &mut listeners {
                assert_eq!(listener.content(piece.len()), piece.as_bytes());
            }
        }
        // Byte by byte, frames are still whole.
        assert_eq!(server.counter("httpout_live_clients"), 2);
        source.finish_sending();
        for listener in &mut listeners {
            assert_eq!(listener.rest(), Ok(Vec::new()));
        }
        is_gone(&server, "/a/live.bin");
    }
    let stream = media("tone.aac");
    let mut source = source(&server, &Request::new("PUT", "/live.aac").http10());
    let mut listener = listen(&server, "/live.aac");
    for byte in &stream {
        source.send([*byte]);
    }
    source.finish_sending();
    assert!(listener.rest().expect("it is whole") == stream);
}

fn a_source_tells_what_it_is(kind: Kind) {
    let server = server(kind, &[]);
    let told = Request::new("SOURCE", "/live")
        .field("Content-Type", "audio/mpeg")
        .field("ice-name", "My Radio")
        .field("ice-public", "0")
        .field("ice-genre", "Rock")
        .field("ice-description", "All of it")
        .field("ice-url", "http://x/")
        .field("ice-bitrate", "128")
        .field("ice-audio-info", "samplerate=44100")
        .field("User-Agent", "butt");
    let mut source = source(&server, &told);
    let answer = server.ask(&head("/live"));
    answer.status_is(200).field_is("content-type", "audio/mpeg").field_is("icy-name", "My Radio");
    answer.field_is("icy-genre", "Rock").field_is("icy-pub", "0").field_is("icy-br", "128");
    answer.field_is("icy-description", "All of it").field_is("icy-url", "http://x/");
    answer.field_is("ice-audio-info", "samplerate=44100").field_is_absent("user-agent");
    // The media type is the format: nobody begins with a tag.
    let mut listener = listen(&server, "/live");
    source.send(media("cbr.mp3"));
    source.finish_sending();
    let got = listener.rest().expect("it ends well");
    assert!(got[0] == 0xff && media("cbr.mp3").ends_with(&got));
    // Without a type the path tells.
    let _source = self::source(&server, &Request::new("PUT", "/a.ogg"));
    server.ask(&head("/a.ogg")).field_is("content-type", "audio/ogg");
}

fn a_source_may_wait_for_100_and_is_answered_at_its_end(kind: Kind) {
    let server = server(kind, &[]);
    let mut source = server.client();
    source.begin_upload(Request::new("PUT", "/live.bin"));
    let mut listener = listen(&server, "/live.bin");
    source.send("all of it");
    assert_eq!(listener.content(9), b"all of it");
    source.finish_sending();
    source.response("PUT").status_is(200).says_close();
    source.closed_in_order();
    assert_eq!(listener.rest(), Ok(Vec::new()));
}

fn a_second_source_of_a_path_is_refused(kind: Kind) {
    let server = server(kind, &[]);
    let mut first = source(&server, &Request::new("SOURCE", "/live.bin"));
    let mut listener = listen(&server, "/live.bin");
    for request in [
        Request::new("SOURCE", "/live.bin"),
        Request::new("PUT", "/live.bin"),
        Request::new("PUT", "/live.bin").expect(),
    ] {
        let mut second = server.client();
        second.send(request.bytes());
        let answer = second.response("PUT");
        answer.status_is(409).says_close();
        assert!(answer.interim.is_empty() && answer.text().contains("there is a live resource"));
        second.closed_in_order();
    }
    first.send("goes on");
    assert_eq!(listener.content(7), b"goes on");
    first.finish_sending();
    assert_eq!(listener.rest(), Ok(Vec::new()));
    // Now it is free.
    is_gone(&server, "/live.bin");
    source(&server, &Request::new("PUT", "/live.bin"));
    // A place that is none.
    for path in ["/", "/dir/"] {
        server.ask(&Request::new("SOURCE", path)).status_is(409);
    }
}

fn a_source_that_ends_is_over_and_one_that_breaks_is_cut(kind: Kind) {
    let server = server(kind, &[]);
    let leave: [(fn(Client), bool); 3] =
        [(drop, true), (|mut client| client.finish_sending(), true), (Client::abort, false)];
    for (leave, ends_well) in leave {
        let mut source = source(&server, &Request::new("SOURCE", "/live.bin"));
        let mut listener = listen(&server, "/live.bin");
        source.send("some");
        assert_eq!(listener.content(4), b"some");
        leave(source);
        assert_eq!(listener.rest().is_ok(), ends_well);
        is_gone(&server, "/live.bin");
    }
}

fn a_source_that_is_silent_stays(kind: Kind) {
    // Neither too slow nor too long at rest: it is the listeners who wait.
    let limits =
        ["--timeout", "1", "--body-timeout", "30", "--body-rate", "500", "--send-timeout", "1"];
    let server = server(kind, &limits);
    let mut source = source(&server, &Request::new("PUT", "/live.bin"));
    let mut listener = listen(&server, "/live.bin");
    for _ in 0..3 {
        source.send("some");
        assert_eq!(listener.content(4), b"some");
        server.resting_after(&get("/none")).closed_in_order();
    }
}

fn a_source_without_keyframes_is_heard_all_the_same(kind: Kind) {
    let film = media("film.mp4");
    let boxes = boxes(&film);
    let is = |at: usize, name: &[u8]| boxes.get(at).is_some_and(|mp4| &mp4[4..8] == name);
    let header = boxes[..2].concat();
    assert!(is(0, b"ftyp") && is(1, b"moov"));
    // The film has a keyframe every second, and two fragments.
    let fragment = boxes[4..6].concat();
    assert!(is(4, b"moof") && is(5, b"mdat"));
    let server = server(kind, &["--burst", "0"]);
    let mut source = source(&server, &Request::new("SOURCE", "/live.mp4"));
    source.send(&header);
    let mut listener = listen(&server, "/live.mp4");
    let heard = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !heard.load(Ordering::Relaxed) {
                source.send(&fragment);
                thread::sleep(Duration::from_millis(100));
            }
        });
        let first = listener.content(header.len() + fragment.len());
        heard.store(true, Ordering::Relaxed);
        assert!(first == [&header[..], &fragment].concat(), "it begins elsewhere");
    });
    // A second one need not wait any more.
    let mut listener = listen(&server, "/live.mp4");
    source.send(&fragment);
    assert!(listener.content(header.len()) == header);
    let said = server.stop().stderr;
    assert_eq!(said.matches("no keyframe").count(), 1, "{said}");
}

/// The boxes of an MP4 file.
fn boxes(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut boxes = Vec::new();
    while let Some((size, _)) = rest.split_first_chunk::<4>() {
        let (whole, after) = rest.split_at(u32::from_be_bytes(*size) as usize);
        boxes.push(whole);
        rest = after;
    }
    boxes
}

fn a_source_that_is_no_media_is_refused(kind: Kind) {
    let server = server(kind, &[]);
    let text = "This is no music.\n".repeat(5_000);
    let mut source = source(&server, &Request::new("SOURCE", "/live.mp3"));
    let mut listener = listen(&server, "/live.mp3");
    let _ = source.try_send(&text);
    assert!(listener.rest().is_err(), "it seems whole");
    is_gone(&server, "/live.mp3");
    // Who waits for an answer gets one.
    let mut source = server.client();
    source.begin_upload(Request::new("PUT", "/live.mp3"));
    let _ = source.try_send(&text);
    let answer = source.response("PUT");
    answer.status_is(415);
    assert!(answer.text().contains("no MPEG audio frame"), "{answer:?}");
}

fn a_source_needs_icecast(kind: Kind) {
    for args in [&[][..], &["--wdir"]] {
        let tree = Tree::new();
        tree.dir("www");
        let www = tree.arg("www");
        let mut all = vec!["--rdirs", &www];
        if !args.is_empty() {
            all.extend(["--wdir", &www]);
        }
        let server = Server::start(kind, &all);
        server.ask(&Request::new("SOURCE", "/live.mp3")).status_is(501);
        let refused = if args.is_empty() { 405 } else { 411 };
        server.ask(&Request::new("PUT", "/live.mp3")).status_is(refused);
        assert_eq!(tree.list(), ["www/"]);
    }
}

fn a_source_with_a_length_is_an_upload(kind: Kind) {
    let server = server(kind, &[]);
    for request in [put("/a.mp3", "x"), Request::new("PUT", "/a.mp3").chunks(&[b"x"])] {
        server.ask(&request).status_is(405);
    }
    for request in [
        Request::new("SOURCE", "/a.mp3").body("x"),
        Request::new("SOURCE", "/a.mp3").chunks(&[b"x"]),
    ] {
        server.ask(&request).status_is(400).says_close();
    }
    let site = Site::with(kind, &["--icecast"]);
    for request in [put("/a.mp3", "x"), Request::new("PUT", "/a.mp3").chunks(&[b"x"])] {
        site.ask(&request).status_in(&[200, 201]);
        assert_eq!(site.read("a.mp3").as_deref(), Some(&b"x"[..]));
    }
}

fn a_live_path_goes_before_a_file(kind: Kind) {
    let site = Site::with(kind, &["--icecast"]);
    site.write("live.bin", "the file");
    site.ask(&get("/live.bin")).is(200, "the file");
    let mut source = source(&site.server, &Request::new("SOURCE", "/live.bin"));
    let mut listener = listen(&site.server, "/live.bin");
    source.send("the source");
    assert_eq!(listener.content(10), b"the source");
    site.ask(&get("/other")).status_is(404);
    drop(source);
    assert_eq!(listener.rest(), Ok(Vec::new()));
    until("it is the file again", || {
        (site.ask(&head("/live.bin")).get("content-length") == Some("8")).then_some(())
    });
    assert_eq!(site.tree.list(), ["www/", "www/live.bin"]);
}

fn titles_are_for_listeners_that_ask(kind: Kind) {
    let server = server(kind, &[]);
    let mut source = source(&server, &Request::new("PUT", "/live.aac"));
    let mut listener = server.client();
    let asked = get("/live.aac").field("Icy-MetaData", "1");
    listener.begin(&asked).status_is(200).field_is("icy-metaint", "16000");
    let stream = media("tone.aac").repeat(10);
    source.send(&stream);
    source.finish_sending();
    let got = listener.rest().expect("it is whole");
    assert!(without_icy(16_000, &got) == (stream, Vec::new()), "{} bytes", got.len());
}

fn only_who_may_write_sends(kind: Kind) {
    let site = ruled(kind, &[]);
    for method in ["SOURCE", "PUT"] {
        let ask = || Request::new(method, "/radio/live.bin");
        site.ask(&ask()).status_is(401);
        site.ask(&ask().by("alice", "wrong")).status_is(401);
        site.ask(&ask().of("bob")).status_is(403);
        site.ask(&Request::new(method, "/open/live.bin").of("alice")).status_is(403);
        site.ask(&get("/radio/live.bin").of("bob")).status_is(404);
        let mut source = source(&site.server, &ask().of("alice"));
        // And only who may read listens.
        site.ask(&get("/radio/live.bin")).status_is(401);
        site.ask(&get("/radio/live.bin").of("alice")).status_is(403);
        let mut listener = site.client();
        listener.begin(&get("/radio/live.bin").of("bob")).status_is(200);
        source.send("for bob");
        assert_eq!(listener.content(7), b"for bob");
        source.finish_sending();
        assert_eq!(listener.rest(), Ok(Vec::new()));
    }
}

fn with_blockio_and_hold_nothing_is_lost(kind: Kind) {
    let server = server(kind, &["--blockio", "--hold"]);
    let mut source = source(&server, &Request::new("PUT", "/live.bin"));
    let mut writer = source.writer();
    let all = 40_usize << 20;
    let writing = thread::spawn(move || {
        use std::io::Write as _;
        writer.write_all(&vec![b'x'; all])
    });
    server.ask(&head("/live.bin")).status_is(200);
    let mut slow = server.client();
    slow.small_window();
    slow.begin(&get("/live.bin")).status_is(200);
    let mut got = slow.count_up_to(1 << 20).0;
    while got < all as u64 {
        got += slow.count_up_to((all as u64 - got).min(1 << 20)).0;
    }
    writing.join().expect("it writes").expect("all of it is taken");
    source.finish_sending();
    assert_eq!(slow.rest(), Ok(Vec::new()));
    assert_eq!(source.closed(), End::Fin);
}

fn with_reopen_listeners_wait_for_the_next_source(kind: Kind) {
    let server = server(kind, &["--reopen"]);
    for round in ["one", "two", "three"] {
        let mut listener = (round != "one").then(|| listen(&server, "/live.bin"));
        let mut source = source(&server, &Request::new("SOURCE", "/live.bin"));
        let listener = listener.get_or_insert_with(|| listen(&server, "/live.bin"));
        source.send(round);
        assert_eq!(listener.content(round.len()), round.as_bytes());
        source.finish_sending();
        assert_eq!(listener.rest(), Ok(Vec::new()));
    }
}

fn sources_end_with_the_server(kind: Kind) {
    let server = server(kind, &["--grace", "600", "--reopen"]);
    // Somebody waits for a source that comes again.
    drop(source(&server, &Request::new("SOURCE", "/again.bin")));
    until("it is over", || (server.counter("httpout_connections") <= 1).then_some(()));
    let mut waiting = listen(&server, "/again.bin");
    let mut source = source(&server, &Request::new("SOURCE", "/live.bin"));
    let mut listener = listen(&server, "/live.bin");
    source.send("some");
    assert_eq!(listener.content(4), b"some");
    server.terminate();
    assert_eq!(listener.rest(), Ok(Vec::new()));
    assert_eq!(waiting.rest(), Ok(Vec::new()));
    let exit = server.exit();
    assert_eq!(exit.code, Some(0), "{exit:?}");
}

fn behind_a_refused_source_comes_no_request(kind: Kind) {
    let server = server(kind, &[]);
    let mut source = server.client();
    source.send("SOURCE /a/../../b HTTP/1.1\r\nHost: a\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    source.response("SOURCE").status_is(400);
    source.closed_in_order();
}
