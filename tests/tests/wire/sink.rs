//! Live inputs and who listens to them.

use std::fs;
use std::io::Write;

use httpout_tests::live::{Fed, fifo, media, media_path};
use httpout_tests::{Client, Kind, Piece, Request, Server, Tree, both, get, head, put, run, until};

#[cfg(feature = "tools")]
mod ffmpeg;

both! {
    every_listener_gets_each_packet,
    a_fifo_is_an_input,
    a_file_is_an_input,
    what_comes_without_clients_is_dropped,
    two_inputs_have_two_paths,
    a_live_resource_is_gone_after_its_end,
    a_listener_before_the_first_packet_waits_for_it,
    an_input_that_is_silent_goes_on,
    http10_listeners_read_until_the_close,
    without_cte_listeners_read_until_the_close,
    a_head_of_a_live_resource,
    ranges_of_a_live_resource_are_ignored,
    a_live_resource_is_only_read,
    listeners_that_leave_do_no_harm,
    an_input_that_is_no_media_is_told,
    an_input_that_is_cut_gives_whole_frames_only,
    an_input_that_is_closed_is_over,
    listeners_end_well_at_sigterm,
    a_recording_is_kept_at_sigterm,
    a_recording_is_read_while_it_grows,
}

fn every_listener_gets_each_packet(kind: Kind) {
    let mut live = Fed::new(kind, &[]);
    let mut listeners: Vec<_> = (0..10).map(|_| live.listen()).collect();
    for i in 0..50usize {
        live.pass(format!("packet {i} {}", "x".repeat(i * i)), &mut listeners);
    }
    assert_eq!(live.counter("httpout_live_clients"), 10);
    live.end();
    for listener in &mut listeners {
        assert_eq!(listener.rest(), Ok(Vec::new()));
        // The connection goes on.
        listener.ask(&get("/other")).status_is(404);
    }
}

fn a_fifo_is_an_input(kind: Kind) {
    let tree = Tree::new();
    fifo(&tree.path("pipe"));
    let server = Server::start(kind, &["-i", &tree.arg("pipe"), "-o", "http://127.0.0.1/a.bin"]);
    let mut pipe = fs::File::options().write(true).open(tree.path("pipe")).expect("it is read");
    let mut listener = server.client();
    listener.begin(&get("/a.bin")).status_is(200);
    for data in ["one", "two", "three"] {
        pipe.write_all(data.as_bytes()).expect("it is read");
        assert_eq!(listener.content(data.len()), data.as_bytes());
    }
    drop(pipe);
    assert_eq!(listener.rest(), Ok(Vec::new()));
}

fn a_file_is_an_input(kind: Kind) {
    // Without -o it has the file's name.
    for (args, path) in [(&[][..], "/cbr.mp3"), (&["-o", "http://localhost/a/b.mp3"], "/a/b.mp3")] {
        let input = media_path("cbr.mp3");
        let server = Server::start(kind, &[&["-i", &input, "--hold"], args].concat());
        let answer = server.ask(&get(path));
        answer.status_is(200).field_is("content-type", "audio/mpeg");
        // From the first frame on: nobody begins with a tag.
        assert_eq!(answer.body, frames(&media("cbr.mp3")));
    }
}

fn what_comes_without_clients_is_dropped(kind: Kind) {
    let mut live = Fed::new(kind, &["--burst", "0"]);
    // More than a pipe holds, and what is read at a time.
    let block = vec![b'x'; 1 << 20];
    live.write(&block);
    let mut listener = live.listen();
    live.write("y");
    let mut before = 0;
    loop {
        match listener.piece() {
            Piece::Data(data) if data.ends_with(b"y") => break,
            Piece::Data(data) => before += data.len(),
            Piece::ChunkEnd => {}
            other @ (Piece::End | Piece::Cut(_)) => panic!("{other:?}"),
        }
    }
    assert!(before <= 64 << 10, "{before} bytes that came before the client");
}

fn two_inputs_have_two_paths(kind: Kind) {
    let tree = Tree::new();
    fifo(&tree.path("pipe"));
    let args = ["-i", "-", "-i", &tree.arg("pipe")];
    let urls = ["-o", "http://127.0.0.1/a.bin", "-o", "http://127.0.0.1/b.bin"];
    let (server, mut input) = Server::fed(kind, &[args, urls].concat());
    let mut pipe = fs::File::options().write(true).open(tree.path("pipe")).expect("it is read");
    let [mut a, mut b] = ["/a.bin", "/b.bin"].map(|path| {
        let mut client = server.client();
        client.begin(&get(path)).status_is(200);
        client
    });
    for _ in 0..3 {
        input.write_all(b"of a").expect("it is read");
        pipe.write_all(b"of b").expect("it is read");
        assert_eq!((a.content(4), b.content(4)), (b"of a".to_vec(), b"of b".to_vec()));
    }
    drop(input);
    assert_eq!(a.rest(), Ok(Vec::new()));
    pipe.write_all(b"more").expect("it is read");
    assert_eq!(b.content(4), b"more");
}

fn a_live_resource_is_gone_after_its_end(kind: Kind) {
    let mut live = Fed::new(kind, &[]);
    let mut listener = live.listen();
    live.pass("all", std::slice::from_mut(&mut listener));
    live.end();
    assert_eq!(listener.rest(), Ok(Vec::new()));
    for request in [get("/live.bin"), head("/live.bin")] {
        listener.ask(&request).status_is(404);
    }
    live.is_over();
    assert!(live.stop().contains("standard input is over"));
}

fn a_listener_before_the_first_packet_waits_for_it(kind: Kind) {
    let mut live = Fed::at("/live.mp4", kind, &[]);
    let mut listener = live.listen();
    let film = media("film.mp4");
    // Not a byte goes out before the tune-in data are whole.
    live.write(&film[..500]);
    live.write(&film[500..]);
    live.end();
    assert_eq!(listener.rest().as_ref(), Ok(&film));
}

fn an_input_that_is_silent_goes_on(kind: Kind) {
    let limits = ["--timeout", "1", "--send-timeout", "1", "--body-timeout", "1"];
    let mut live = Fed::new(kind, &limits);
    let mut listeners = [live.listen()];
    for round in ["one", "two"] {
        live.pass(round, &mut listeners);
        // A connection that rests tells when the time is over.
        live.resting_after(&get("/none")).closed_in_order();
    }
    live.pass("three", &mut listeners);
}

fn http10_listeners_read_until_the_close(kind: Kind) {
    let mut live = Fed::new(kind, &[]);
    reads_until_the_close(&mut live, &get("/live.bin").http10());
}

fn without_cte_listeners_read_until_the_close(kind: Kind) {
    let mut live = Fed::new(kind, &["--cte", "false"]);
    reads_until_the_close(&mut live, &get("/live.bin"));
}

#[track_caller]
fn reads_until_the_close(live: &mut Fed, request: &Request) {
    let mut client = live.client();
    client.begin(request).status_is(200).field_is_absent("transfer-encoding").says_close();
    let mut listeners = [client];
    live.pass("one", &mut listeners);
    live.pass("two", &mut listeners);
    live.end();
    assert_eq!(listeners[0].rest(), Ok(Vec::new()));
    listeners[0].closed_in_order();
}

fn a_head_of_a_live_resource(kind: Kind) {
    let mut live = Fed::at("/live.ts", kind, &[]);
    let mut client = live.client();
    let answer = client.ask(&head("/live.ts"));
    answer.is(200, "").field_is("content-type", "video/mp2t").field_is_absent("content-length");
    answer.field_is("accept-ranges", "none").field_is("cache-control", "no-store");
    // It listens no longer, and its connection goes on.
    assert_eq!(live.counter("httpout_live_clients"), 0);
    let got = client.begin(&get("/live.ts"));
    got.status_is(200).field_is("content-type", "video/mp2t");
    live.write(media("film.ts"));
    live.end();
    let got = client.rest().expect("it is whole");
    // From the first program association table on.
    assert_eq!((got[0], got.len() % 188), (0x47, 0));
    assert!(media("film.ts").ends_with(&got) && got.len() > 40_000, "{} bytes", got.len());
}

fn ranges_of_a_live_resource_are_ignored(kind: Kind) {
    let mut live = Fed::new(kind, &[]);
    let ranges = ["bytes=0-", "bytes=2-3", "bytes=-1", "bytes=900-", "bytes=0-0,2-2"];
    let ask = |range| live.listen_by(&get("/live.bin").field("Range", range));
    let mut listeners: Vec<_> = ranges.into_iter().map(ask).collect();
    let conditional = get("/live.bin").field("If-None-Match", "*").field("If-Range", "\"x\"");
    listeners.push(live.listen_by(&conditional));
    live.pass("all of it", &mut listeners);
}

fn a_live_resource_is_only_read(kind: Kind) {
    let mut live = Fed::new(kind, &[]);
    let mut listeners = [live.listen()];
    for request in [put("/live.bin", "x"), Request::new("DELETE", "/live.bin")] {
        live.ask(&request).status_is(405);
    }
    // Below it, and above it, there is nothing.
    for path in ["/live.bin/", "/live.bin/x", "/live", "/", "/LIVE.BIN"] {
        live.ask(&get(path)).status_is(404);
    }
    live.pass("still there", &mut listeners);
}

fn listeners_that_leave_do_no_harm(kind: Kind) {
    let mut live = Fed::new(kind, &[]);
    let mut stays = [live.listen()];
    let leave: [fn(Client); 3] = [drop, Client::abort, |mut client| client.finish_sending()];
    for leave in leave {
        let leaving = live.listen();
        live.pass("one", &mut stays);
        leave(leaving);
        live.pass("two", &mut stays);
    }
    until("only one listens", || {
        live.pass("more", &mut stays);
        (live.counter("httpout_live_clients") == 1).then_some(())
    });
    assert_eq!(live.counter("httpout_dropped_clients_total"), 0);
}

fn an_input_that_is_no_media_is_told(kind: Kind) {
    let mut live = Fed::at("/live.mp3", kind, &[]);
    let mut listener = live.listen();
    // The rest of it is not even read.
    let text = "This is no music.\n".repeat(5_000);
    live.take_input().write_all(text.as_bytes()).expect("a pipe holds the rest");
    let (got, _) = listener.rest().expect_err("it seems complete");
    assert_eq!(got, b"");
    live.is_over();
    live.ask(&get("/live.mp3")).status_is(404);
    let said = live.stop();
    let line = said.lines().find(|line| line.contains("ERROR")).unwrap_or_default();
    for part in ["standard input", "MPEG audio", "byte 0", "This is no m", "live.mp3"] {
        assert!(line.contains(part), "{part}: {said}");
    }
}

fn an_input_that_is_cut_gives_whole_frames_only(kind: Kind) {
    let whole = media("cbr.mp3");
    let cut = &whole[..whole.len() * 2 / 3];
    let sent = frames(cut);
    let mut live = Fed::at("/live.mp3", kind, &[]);
    let mut listener = live.listen();
    live.write(cut);
    live.end();
    let got = listener.rest().expect("it is over, and well");
    let lost = sent.len() - got.len();
    assert!(sent.starts_with(&got) && (1..FRAME).contains(&lost), "{lost} bytes are lost");
    decodes("mp3", &got);
    let said = live.stop();
    let warning = format!("its last {lost} bytes were not sent");
    assert!(said.contains(&warning), "{said}");
}

/// Bytes of a frame of `cbr.mp3`, at most.
const FRAME: usize = 105;

/// What stands behind the ID3v2 tag.
fn frames(stream: &[u8]) -> &[u8] {
    assert!(stream.starts_with(b"ID3"));
    let size = stream[6..10].iter().fold(0, |size, &byte| size << 7 | usize::from(byte));
    &stream[10 + size..]
}

#[track_caller]
fn decodes(demuxer: &str, stream: &[u8]) {
    let args = ["-v", "error", "-xerror", "-f", demuxer, "-i", "-", "-f", "null", "-"];
    let ran = run("ffmpeg", &args, stream);
    ran.ok();
    assert_eq!(ran.stderr, "");
}

fn an_input_that_is_closed_is_over(kind: Kind) {
    // Nothing was ever written.
    let mut live = Fed::new(kind, &[]);
    let mut listener = live.listen();
    live.end();
    assert_eq!(listener.rest(), Ok(Vec::new()));
    live.is_over();
    // Whoever writes from now on is told by the system.
    let live = Server::start(kind, &["-i", "/dev/null", "-o", "http://127.0.0.1/a.mp3"]);
    until("it is over", || (live.ask(&head("/a.mp3")).status == 404).then_some(()));
    assert!(live.stop().stderr.contains("nobody listened"));
}

fn listeners_end_well_at_sigterm(kind: Kind) {
    let mut live = Fed::new(kind, &[]);
    let mut listeners = [live.listen(), live.listen()];
    live.pass("one", &mut listeners);
    live.terminate();
    for listener in &mut listeners {
        assert_eq!(listener.rest(), Ok(Vec::new()), "the last chunk is missing");
        listener.closed_in_order();
    }
    // The input is still open.
    let input = live.take_input();
    live.quits();
    drop(input);
}

fn a_recording_is_kept_at_sigterm(kind: Kind) {
    let tree = Tree::new();
    tree.dir("www");
    let mut live = Fed::at("/a/live.bin", kind, &["--rdirs", &tree.arg("www")]);
    live.write("all that came");
    let mut reader = live.listen();
    assert_eq!(reader.content(13), b"all that came");
    live.terminate();
    assert_eq!(reader.rest(), Ok(Vec::new()));
    let input = live.take_input();
    live.quits();
    drop(input);
    assert_eq!(tree.read("www/a/live.bin").as_deref(), Some(&b"all that came"[..]));
    assert_eq!(tree.list(), ["www/", "www/a/", "www/a/live.bin"]);
}

fn a_recording_is_read_while_it_grows(kind: Kind) {
    let tree = Tree::new();
    tree.dir("www");
    let mut live = Fed::new(kind, &["--rdirs", &tree.arg("www")]);
    live.write("first ");
    let mut readers = vec![live.listen()];
    assert_eq!(readers[0].content(6), b"first ");
    live.pass("second ", &mut readers);
    // Whoever comes late gets all of it.
    let mut late = live.listen();
    assert_eq!(late.content(13), b"first second ");
    readers.push(late);
    live.pass("third", &mut readers);
    assert!(!tree.has("www/live.bin"), "it has its name before it is whole");
    live.end();
    for reader in &mut readers {
        assert_eq!(reader.rest(), Ok(Vec::new()));
    }
    live.ask(&get("/live.bin")).is(200, "first second third").field_is("content-length", "18");
    live.ask(&get("/live.bin").field("Range", "bytes=6-11")).is(206, "second");
}
