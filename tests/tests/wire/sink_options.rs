//! The options of live inputs: each has a test that fails where the option is ignored.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::Duration;

use httpout_tests::live::{Fed, fifo, media, media_path, without_icy};
use httpout_tests::{Exit, Kind, Server, Tree, both, get, head, until};

both! {
    hold_waits_for_the_first_client,
    with_hold_the_first_listener_is_told_of_the_sound,
    names_and_titles_of_any_encoding_are_passed_on,
    hold_is_not_lifted_by_a_head,
    without_reopen_a_file_is_sent_once,
    reopen_sends_a_file_again,
    reopen_takes_the_next_writer_of_a_fifo,
    reopen_does_not_read_standard_input_twice,
    reopen_does_not_wait_for_an_input_that_failed,
    quit_ends_when_inputs_and_clients_are_done,
    quit_needs_no_client,
    max_async_buf_drops_a_client_that_does_not_read,
    max_async_buf_bounds_what_a_client_may_be_behind,
    blockio_slows_the_input_and_loses_nothing,
    a_stored_file_waits_for_slow_clients,
    burst_begins_with_what_was_sent_before,
    rt_reads_a_file_as_fast_as_it_plays,
    ice_adds_header_fields,
    without_ice_there_are_none,
    ice_tells_titles_in_the_stream,
    titles_are_told_only_where_they_are_asked_for,
    mime_is_the_media_type,
    ext_is_the_format,
    the_format_shows_in_the_first_bytes,
    properties_of_one_input,
    options_that_cannot_be_obeyed,
    options_without_an_input_are_told,
}

/// A server with one input that is a file.
#[track_caller]
fn file(kind: Kind, path: &str, args: &[&str]) -> Server {
    let own = ["-i", path, "--maxc", "0", "--maxp", "0", "--admin", "127.0.0.1:0"];
    Server::start(kind, &[&own[..], args].concat())
}

/// A file of so many bytes that do not repeat soon.
fn stored(tree: &Tree, length: usize) -> Vec<u8> {
    let content: Vec<_> =
        (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    tree.write("film.bin", &content);
    content
}

fn hold_waits_for_the_first_client(kind: Kind) {
    let tree = Tree::new();
    let content = stored(&tree, 3_000_000);
    let server = file(kind, &tree.arg("film.bin"), &["--hold", "--burst", "0"]);
    let answer = server.ask(&get("/film.bin"));
    assert!(answer.body == content, "{} bytes", answer.body.len());
    until("it is over", || (server.ask(&head("/film.bin")).status == 404).then_some(()));
    // Without it, the file is over before anybody asks.
    let server = file(kind, &tree.arg("film.bin"), &["--burst", "0"]);
    until("it is over", || (server.ask(&head("/film.bin")).status == 404).then_some(()));
}

fn hold_is_not_lifted_by_a_head(kind: Kind) {
    let mut live = Fed::new(kind, &["--hold", "--burst", "0"]);
    let mut input = live.take_input();
    input.write_all(b"the first").expect("a pipe holds it");
    for _ in 0..20 {
        live.ask(&head("/live.bin")).status_is(200);
    }
    let mut listener = live.listen();
    assert_eq!(listener.content(9), b"the first");
    // From now on it goes on without listeners.
    drop(listener);
    input.write_all(&vec![b'x'; 1 << 20]).expect("it is read");
}

fn without_reopen_a_file_is_sent_once(kind: Kind) {
    let tree = Tree::new();
    let content = stored(&tree, 300_000);
    let server = file(kind, &tree.arg("film.bin"), &["--hold"]);
    let mut client = server.client();
    assert!(client.ask(&get("/film.bin")).body == content);
    client.ask(&get("/film.bin")).status_is(404);
}

fn reopen_sends_a_file_again(kind: Kind) {
    let tree = Tree::new();
    let content = stored(&tree, 300_000);
    let server = file(kind, &tree.arg("film.bin"), &["--reopen", "--hold"]);
    let mut client = server.client();
    for _ in 0..5 {
        client.ask(&head("/film.bin")).status_is(200);
        assert!(client.ask(&get("/film.bin")).body == content);
    }
    // As it is now, not as it was.
    let content = stored(&tree, 200_000);
    until("the new one is sent", || (client.ask(&get("/film.bin")).body == content).then_some(()));
}

fn reopen_takes_the_next_writer_of_a_fifo(kind: Kind) {
    let tree = Tree::new();
    fifo(&tree.path("pipe"));
    let server = file(kind, &tree.arg("pipe"), &["--reopen", "-o", "http://127.0.0.1/live.bin"]);
    for round in ["one", "two", "three"] {
        let mut listener = server.client();
        listener.begin(&get("/live.bin")).status_is(200);
        let mut pipe = fs::File::options().write(true).open(tree.path("pipe")).expect("a FIFO");
        pipe.write_all(round.as_bytes()).expect("it is read");
        assert_eq!(listener.content(round.len()), round.as_bytes());
        drop(pipe);
        assert_eq!(listener.rest(), Ok(Vec::new()));
    }
}

fn reopen_does_not_read_standard_input_twice(kind: Kind) {
    let mut live = Fed::new(kind, &["--reopen"]);
    let mut listener = live.listen();
    live.pass("all", std::slice::from_mut(&mut listener));
    live.end();
    assert_eq!(listener.rest(), Ok(Vec::new()));
    listener.ask(&get("/live.bin")).status_is(404);
}

fn reopen_does_not_wait_for_an_input_that_failed(kind: Kind) {
    let tree = Tree::new();
    tree.write("live.mp3", "This is no music.\n".repeat(5_000));
    let server = file(kind, &tree.arg("live.mp3"), &["--reopen", "--hold"]);
    let mut listener = server.client();
    listener.begin(&get("/live.mp3")).status_is(200);
    assert!(listener.rest().is_err());
    server.ask(&get("/live.mp3")).status_is(404);
    until("it is over", || (server.counter("httpout_live_resources") == 0).then_some(()));
}

fn quit_ends_when_inputs_and_clients_are_done(kind: Kind) {
    let mut live = Fed::new(kind, &["--quit"]);
    // A client that is done does not end it: there is more to come.
    live.ask(&head("/live.bin")).status_is(200);
    let mut listener = live.listen();
    live.pass("all", std::slice::from_mut(&mut listener));
    live.end();
    assert_eq!(listener.rest(), Ok(Vec::new()));
    // The input is over, and a client is still there.
    live.is_over();
    listener.ask(&get("/live.bin")).status_is(404);
    drop(listener);
    live.quits();
}

fn quit_needs_no_client(kind: Kind) {
    let live = Fed::new(kind, &["--quit"]);
    assert!(live.quits().contains("nobody listened"));
    let exit = Server::fails(kind, &["-i", &media_path("cbr.mp3"), "--quit", "--port", "auto"]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
}

fn max_async_buf_drops_a_client_that_does_not_read(kind: Kind) {
    let mut live = Fed::new(kind, &["--burst", "0"]);
    let (mut slow, mut quick) = (live.client(), live.listen());
    slow.small_window();
    slow.begin(&get("/live.bin")).status_is(200);
    let block = vec![b'x'; 60_000];
    let dropped = || "httpout_dropped_clients_total";
    let mut sent = 0_u64;
    while live.counter(dropped()) == 0 {
        live.pass(&block, std::slice::from_mut(&mut quick));
        sent += block.len() as u64;
        assert!(sent < 100 << 20, "nobody is dropped");
    }
    let (got, end) = slow.count();
    assert!(end.is_some() && got < sent, "{got} of {sent} bytes, {end:?}");
    live.pass("goes on", std::slice::from_mut(&mut quick));
    assert_eq!(live.counter(dropped()), 1);
    assert_eq!(live.counter("httpout_live_clients"), 1);
    // The log says so, and what helps.
    let log = live.stop();
    for said in ["127.0.0.1", "bytes behind", "--max_async_buf", "--blockio", "--rt", "live.bin"] {
        assert!(log.contains(said), "{said} in {log}");
    }
}

fn max_async_buf_bounds_what_a_client_may_be_behind(kind: Kind) {
    // Large enough for all that is sent: nobody is dropped, and all of it comes.
    let mut live = Fed::new(kind, &["--max_async_buf", "50M"]);
    let mut slow = live.client();
    slow.small_window();
    slow.begin(&get("/live.bin")).status_is(200);
    live.write(vec![b'x'; 40 << 20]);
    live.end();
    assert_eq!(slow.count(), (40 << 20, None));
    assert_eq!(live.counter("httpout_dropped_clients_total"), 0);
}

fn blockio_slows_the_input_and_loses_nothing(kind: Kind) {
    let mut live = Fed::new(kind, &["--blockio"]);
    let mut slow = live.client();
    slow.small_window();
    slow.begin(&get("/live.bin")).status_is(200);
    let mut quick = live.listen();
    let mut input = live.take_input();
    let all = 40 << 20;
    let writer = thread::spawn(move || input.write_all(&vec![b'x'; all]));
    // As far as the slow one lets it.
    let mut got = quick.count_up_to(100_000).0;
    assert!(!writer.is_finished(), "nothing holds the input up");
    let reader = thread::spawn(move || slow.count());
    got += quick.count().0;
    assert_eq!(got, all as u64);
    assert_eq!(reader.join().expect("it reads"), (all as u64, None));
    writer.join().expect("it writes").expect("all of it is taken");
    assert_eq!(live.counter("httpout_dropped_clients_total"), 0);
}

fn a_stored_file_waits_for_slow_clients(kind: Kind) {
    let tree = Tree::new();
    let length = 40 << 20;
    tree.sparse("film.bin", length);
    let server = file(kind, &tree.arg("film.bin"), &["--hold"]);
    let mut slow = server.client();
    slow.small_window();
    slow.begin(&get("/film.bin")).status_is(200);
    assert_eq!(slow.count(), (length, None));
}

fn burst_begins_with_what_was_sent_before(kind: Kind) {
    for (burst, expected) in [
        ("0", ""),
        ("7", "cccc"),
        ("8", "bbbbcccc"),
        ("10", "bbbbcccc"),
        ("12", "aaaabbbbcccc"),
        ("64k", "aaaabbbbcccc"),
    ] {
        let mut live = Fed::new(kind, &["--burst", burst]);
        let mut early = [live.listen()];
        for data in ["aaaa", "bbbb", "cccc"] {
            live.pass(data, &mut early);
        }
        let mut late = live.listen();
        if !expected.is_empty() {
            assert_eq!(late.content(expected.len()), expected.as_bytes(), "{burst}");
        }
        live.pass("next", std::slice::from_mut(&mut late));
    }
}

fn rt_reads_a_file_as_fast_as_it_plays(kind: Kind) {
    // Two seconds of sound.
    let server = file(kind, &media_path("cbr.mp3"), &["--rt", "--hold"]);
    let before = std::time::Instant::now();
    let answer = server.ask(&get("/cbr.mp3"));
    assert!(media("cbr.mp3").ends_with(&answer.body) && answer.body.len() > 8000);
    assert!(before.elapsed() > Duration::from_millis(1500), "in {:?}", before.elapsed());
    assert!(answer.chunks.len() > 1, "in one piece");
}

fn ice_adds_header_fields(kind: Kind) {
    let properties = [
        "--prop",
        "ServiceName=My Radio",
        "--prop",
        "ice-Genre=CoolRock",
        "--prop",
        "icy-url=http://x/",
    ];
    let mut live = Fed::at("/live.mp3", kind, &[&["--ice"], &properties[..]].concat());
    let answer = live.ask(&head("/live.mp3"));
    answer.status_is(200).field_is("icy-name", "My Radio").field_is("ice-Genre", "CoolRock");
    answer
        .field_is("icy-url", "http://x/")
        .field_is("icy-pub", "1")
        .field_is("content-type", "audio/mpeg");
    answer.field_is_absent("icy-metaint");
    // Once the sound is known, it is told.
    let mut listener = live.listen();
    live.write(media("cbr.mp3"));
    listener.count_up_to(1);
    let answer = live.ask(&head("/live.mp3"));
    answer.field_is("icy-br", "32");
    answer.field_is("ice-audio-info", "ice-samplerate=22050;ice-bitrate=32;ice-channels=1");
}

fn with_hold_the_first_listener_is_told_of_the_sound(kind: Kind) {
    let server = file(kind, &media_path("cbr.mp3"), &["--hold", "--ice"]);
    // A HEAD does not begin the input.
    server.ask(&head("/cbr.mp3")).status_is(200).field_is_absent("ice-audio-info");
    let answer = server.ask(&get("/cbr.mp3"));
    answer.status_is(200).field_is("icy-br", "32");
    answer.field_is("ice-audio-info", "ice-samplerate=22050;ice-bitrate=32;ice-channels=1");
    assert!(media("cbr.mp3").ends_with(&answer.body));
    // One that brings nothing does not keep its listener waiting for the head.
    let silent = Fed::at("/live.mp3", kind, &["--hold", "--ice"]);
    silent.listen();
}

fn names_and_titles_of_any_encoding_are_passed_on(kind: Kind) {
    use std::os::unix::ffi::OsStrExt as _;
    for name in ["Café".as_bytes(), b"Caf\xe9"] {
        let input = media_path("cbr.mp3");
        let args = ["--port", "auto", "--ifce", "127.0.0.1", "-i", &input, "--ice", "--hold"];
        let mut command = Server::command(kind, &args);
        for words in [[b"ServiceName=", name].concat(), [b"StreamTitle=", name].concat()] {
            command.arg("--prop").arg(std::ffi::OsStr::from_bytes(&words));
        }
        let server = Server::run(command);
        let shown: String = name.iter().map(|&byte| char::from(byte)).collect();
        server.ask(&head("/cbr.mp3")).status_is(200).field_is("icy-name", &shown);
    }
}

fn without_ice_there_are_none(kind: Kind) {
    let live = Fed::at("/live.mp3", kind, &["--prop", "ServiceName=My Radio"]);
    let answer = live.client().begin(&get("/live.mp3").field("Icy-MetaData", "1"));
    let told = answer.fields.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("ic"));
    assert_eq!(told.count(), 0, "{answer:?}");
}

/// Listens with `Icy-MetaData: 1` to a stream that is fed whole, and takes the metadata out.
#[track_caller]
fn titles(live: &mut Fed, path: &str, stream: &[u8]) -> (Vec<u8>, Vec<String>) {
    let mut listener = live.client();
    let head = listener.begin(&get(path).field("Icy-MetaData", "1"));
    let interval = head.status_is(200).need("icy-metaint").parse().expect("a number");
    live.write(stream);
    live.end();
    let all = listener.rest().expect("it is whole");
    without_icy(interval, &all)
}

/// Frames of sound, several times the metadata's interval.
fn long_sound() -> Vec<u8> {
    media("tone.aac").repeat(12)
}

fn ice_tells_titles_in_the_stream(kind: Kind) {
    let args = ["--ice", "--prop", "StreamTitle=A Band - It's a Song"];
    let mut live = Fed::at("/live.aac", kind, &args);
    let (stream, told) = titles(&mut live, "/live.aac", &long_sound());
    assert!(stream == long_sound(), "the stream is not what was fed");
    assert_eq!(told, ["StreamTitle='A Band - It's a Song';"], "told once");
    // Without a title there is metadata all the same, and it is empty.
    let mut live = Fed::at("/live.aac", kind, &["--ice"]);
    let (stream, told) = titles(&mut live, "/live.aac", &long_sound());
    assert!(stream == long_sound(), "the stream is not what was fed");
    assert_eq!(told, Vec::<String>::new());
}

fn titles_are_told_only_where_they_are_asked_for(kind: Kind) {
    let args = ["--ice", "--prop", "StreamTitle=Song"];
    let mut live = Fed::at("/live.aac", kind, &args);
    for asked in [get("/live.aac"), get("/live.aac").field("Icy-MetaData", "0")] {
        live.client().begin(&asked).status_is(200).field_is_absent("icy-metaint");
    }
    let mut plain = live.listen();
    live.write(long_sound());
    live.end();
    assert!(plain.rest().expect("it is whole") == long_sound());
    // Containers have places of their own for titles.
    let live = Fed::at("/live.ts", kind, &args);
    let answer = live.client().begin(&get("/live.ts").field("Icy-MetaData", "1"));
    answer.status_is(200).field_is_absent("icy-metaint").field_is("icy-pub", "1");
}

fn mime_is_the_media_type(kind: Kind) {
    let live = Fed::at("/live.ts", kind, &["--mime", "application/x-own"]);
    live.ask(&head("/live.ts")).field_is("content-type", "application/x-own");
    // It also says what the format is.
    let mut live = Fed::at("/live", kind, &["--mime", "audio/mpeg", "--burst", "0"]);
    live.ask(&head("/live")).field_is("content-type", "audio/mpeg");
    let mut listener = live.listen();
    live.write(media("cbr.mp3"));
    live.end();
    let got = listener.rest().expect("it is whole");
    assert!(got.len() < media("cbr.mp3").len(), "its tag is no place to begin");
}

fn ext_is_the_format(kind: Kind) {
    for ext in ["mp3", ".MP3"] {
        let mut live = Fed::at("/live", kind, &["--ext", ext]);
        live.ask(&head("/live")).field_is("content-type", "audio/mpeg");
        let mut listener = live.listen();
        live.write(media("cbr.mp3"));
        live.end();
        let got = listener.rest().expect("it is whole");
        assert!(got.len() < media("cbr.mp3").len(), "its tag is no place to begin");
    }
    // It goes before the name.
    let mut live = Fed::at("/live.mp3", kind, &["--ext", "ts"]);
    let mut listener = live.listen();
    live.write(media("film.ts"));
    live.end();
    assert!(listener.rest().expect("it is whole").len() > 40_000);
}

fn the_format_shows_in_the_first_bytes(kind: Kind) {
    let mut live = Fed::at("/live", kind, &["--burst", "0"]);
    live.ask(&head("/live")).field_is("content-type", "application/octet-stream");
    let mut early = live.listen();
    let film = media("film.mp4");
    live.write(&film);
    early.count_up_to(20_000);
    live.ask(&head("/live")).field_is("content-type", "video/mp4");
    // Whoever comes now gets the head of the film all the same.
    let mut late = live.listen();
    live.write(&film);
    live.end();
    let got = late.rest().expect("it is whole");
    let moof = film.windows(4).position(|w| w == b"moof").expect("it is fragmented") - 4;
    assert!(got.starts_with(&film[..moof]) && got.ends_with(&film[film.len() - 1000..]));
}

fn properties_of_one_input(kind: Kind) {
    let tree = Tree::new();
    fifo(&tree.path("pipe"));
    let first = "-:#ServiceName=One:#ice-Genre=Rock:#StreamTitle=a:b";
    let second = format!("{}:#icy-pub=0", tree.arg("pipe"));
    let urls = ["-o", "http://127.0.0.1/a.aac", "-o", "http://127.0.0.1/b.aac"];
    let args = ["-i", first, "-i", &second, "--ice", "--prop", "ServiceName=All"];
    let (server, mut input) = Server::fed(kind, &[&args[..], &urls].concat());
    let a = server.ask(&head("/a.aac"));
    a.field_is("icy-name", "One").field_is("ice-Genre", "Rock").field_is("icy-pub", "1");
    let b = server.ask(&head("/b.aac"));
    b.field_is("icy-name", "All").field_is_absent("ice-Genre").field_is("icy-pub", "0");
    let mut listener = server.client();
    listener.begin(&get("/a.aac").field("Icy-MetaData", "1")).status_is(200);
    input.write_all(&long_sound()).expect("it is read");
    drop(input);
    let got = listener.rest().expect("it is whole");
    assert_eq!(without_icy(16_000, &got).1, ["StreamTitle='a:b';"]);
    // The FIFO has no writer, and does not keep the server from its end.
    server.stop();
}

fn options_that_cannot_be_obeyed(kind: Kind) {
    let tree = Tree::new();
    tree.dir("dir");
    tree.write("a.bin", "a");
    let (a, dir, missing) = (tree.arg("a.bin"), tree.arg("dir"), tree.arg("none.bin"));
    let url = "http://127.0.0.1/x.bin";
    let cases: &[(&[&str], i32, &str, &str)] = &[
        (&["-i", &a, "-i", &a], 78, "input", "2 inputs and 0 destinations"),
        (&["-i", &a, "-i", "-", "-o", url], 78, "input", "2 inputs and 1 destinations"),
        (&["-i", &a, "-i", "-", "-o", url, "-o", url], 78, "input", "are both /x.bin"),
        (&["-i", &missing], 78, "input", "none.bin cannot be read"),
        (&["-i", &dir, "-o", url], 78, "input", "is a directory"),
        (&["-i", "-"], 78, "dst", "standard input has no name"),
        (&["-i", &a, "--prop", "Genre=Rock"], 78, "prop", "Genre means nothing"),
        (&["-i", &a, "--prop", "ServiceName"], 78, "prop", "has no value"),
        (&["-i", "-:#nothing=1", "-o", url], 78, "prop", "nothing means nothing"),
        (&["-i", &a, "--prop", "ice-x=a\nb: c"], 78, "prop", "cannot carry"),
        (&["-i", &a, "--ext", "doc"], 78, "ext", "no format that is known"),
        (&["-i", &a, "-o", "ftp://127.0.0.1/x"], 78, "dst", "ftp:// is not spoken"),
        (&["-i", "", "-o", url], 2, "--input", "value"),
        (&["-i", &a, "--max_async_buf", "much"], 2, "max_async_buf", "no unit"),
        (&["-i", &a, "--mime", "a/b\r\nx: y"], 78, "mime", "no media type"),
        (&["-i", &a, "--burst", "1x"], 2, "burst", "no unit"),
        (&["-i", &a, "--hold=perhaps"], 2, "hold", "true or false"),
    ];
    for (args, code, option, problem) in cases {
        let all = [&["--port", "auto", "--ifce", "127.0.0.1"][..], args].concat();
        let Exit { code: got, stderr, .. } = Server::fails(kind, &all);
        assert_eq!(got, Some(*code), "{args:?}: {stderr}");
        assert!(stderr.contains(option) && stderr.contains(problem), "{args:?}: {stderr}");
    }
}

fn options_without_an_input_are_told(kind: Kind) {
    let tree = Tree::new();
    tree.dir("www");
    let www = tree.arg("www");
    let args = [
        "--rdirs", &www, "--hold", "--reopen", "--rt", "--ext", "ts", "--mime", "a/b", "--prop",
        "ice-a=b",
    ];
    let said = Server::start(kind, &args).stop().stderr;
    for name in ["hold", "reopen", "rt", "ext", "mime", "prop"] {
        assert!(said.contains(&format!("{name} is not used")), "{name}: {said}");
    }
}
