//! Push mode: files and streams that are uploaded to another server, and the options that say how.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::process::ChildStdin;
use std::sync::mpsc;

use httpout_tests::{Asked, Kind, Pusher, Scripted, Site, Tree, both, get, until};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, mkfifoat};
use rustix::process::Signal;

both! {
    a_file_is_uploaded_and_replaced,
    a_large_file_is_uploaded,
    an_empty_file_is_uploaded,
    a_stream_is_uploaded_as_it_comes,
    a_slow_server_slows_the_stream,
    a_fifo_is_uploaded,
    several_inputs_go_to_their_places,
    an_input_takes_the_name_of_its_file,
    connections_are_kept,
    close_takes_a_connection_for_each,
    post_is_used_if_it_is_asked_for,
    fields_type_and_agent_are_sent,
    a_password_goes_along,
    a_range_is_written_into_what_is_there,
    a_range_must_fit_its_file,
    what_is_there_afterwards_is_looked_at,
    a_stream_has_no_length_to_be_sent,
    requests_are_told,
    a_server_that_never_answers_is_left,
    a_server_that_takes_nothing_is_left,
    a_failure_leaves_the_other_inputs_alone,
    a_stream_is_read_to_its_end_though_it_failed,
    without_ka_a_stream_is_left,
    what_is_under_way_is_waited_for,
    an_input_that_is_not_there_is_refused,
}

/// Says yes to everything.
fn yes(_: &Asked) -> String {
    "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".into()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(len).collect()
}

fn a_file_is_uploaded_and_replaced(kind: Kind) {
    let site = Site::new(kind);
    let url = site.server.url("/dir/a%20b.txt");
    for content in ["one", "another one"] {
        site.tree.write("a", content);
        let exit = Pusher::start(kind, &["-i", &site.tree.arg("a"), "-o", &url]).ok();
        assert!(
            exit.stdout.contains(&format!("stored {url}, {} bytes", content.len())),
            "{exit:?}"
        );
        assert!(exit.stdout.ends_with(&format!("1 stored, {} bytes\n", content.len())), "{exit:?}");
        assert_eq!(site.read("dir/a b.txt").as_deref(), Some(content.as_bytes()));
    }
}

fn a_large_file_is_uploaded(kind: Kind) {
    let site = Site::new(kind);
    let content = pattern(9 << 20);
    site.tree.write("a", &content);
    Pusher::start(kind, &["-i", &site.tree.arg("a"), "-o", &site.server.url("/a")]).ok();
    assert!(site.read("a").is_some_and(|read| read == content));
}

fn an_empty_file_is_uploaded(kind: Kind) {
    let site = Site::new(kind);
    site.tree.write("a", "");
    Pusher::start(kind, &["-i", &site.tree.arg("a"), "-o", &site.server.url("/a")]).ok();
    assert_eq!(site.read("a").as_deref(), Some(&b""[..]));
    let (pusher, input) = Pusher::fed(kind, &["-i", "-", "-o", &site.server.url("/b")]);
    drop(input);
    pusher.ok();
    assert_eq!(site.read("b").as_deref(), Some(&b""[..]));
}

fn a_stream_is_uploaded_as_it_comes(kind: Kind) {
    let site = Site::new(kind);
    let (pusher, mut input) = Pusher::fed(kind, &["-i", "-", "-o", &site.server.url("/a.ts")]);
    write(&mut input, b"first");
    let mut reader = site.server.client();
    until("the upload is under way", || {
        reader = site.server.client();
        (reader.begin(&get("/a.ts")).status == 200).then_some(())
    });
    assert_eq!(reader.content(5), b"first");
    write(&mut input, b"second");
    assert_eq!(reader.content(6), b"second");
    drop(input);
    pusher.ok();
    assert_eq!(reader.rest(), Ok(Vec::new()));
    assert_eq!(site.read("a.ts").as_deref(), Some(&b"firstsecond"[..]));
}

fn a_slow_server_slows_the_stream(kind: Kind) {
    let (go, wait) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let server = Scripted::new(move |connection, stream| {
        let _ = wait.lock().map(|wait| wait.recv());
        let mut stream = std::io::BufReader::new(stream);
        let asked = Asked::read(connection, &mut stream).expect("a request").expect("a request");
        let _ = stream.get_mut().write_all(yes(&asked).as_bytes());
        let _ = tell.send(asked.body);
    });
    let (pusher, mut input) = Pusher::fed(kind, &["-i", "-", "-o", &server.url("/a")]);
    let flags = fcntl_getfl(&input).expect("a pipe has flags");
    fcntl_setfl(&input, flags | OFlags::NONBLOCK).expect("a pipe has flags");
    let (piece, mut sent) = (pattern(64 << 10), Vec::new());
    let mut full = 0;
    // Full for good: not only until the other side has its turn.
    while full < 50 {
        match input.write(&piece) {
            Ok(len) => {
                full = 0;
                sent.extend_from_slice(&piece[..len]);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                full += 1;
                std::thread::yield_now();
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
        assert!(sent.len() < 32 << 20, "nothing stops the stream");
    }
    go.send(()).expect("the server waits");
    fcntl_setfl(&input, flags).expect("a pipe has flags");
    write(&mut input, b"end");
    sent.extend_from_slice(b"end");
    drop(input);
    pusher.ok();
    assert!(told.recv().expect("it was received") == sent);
}

fn a_fifo_is_uploaded(kind: Kind) {
    let site = Site::new(kind);
    let path = site.tree.path("fifo");
    mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).expect("a FIFO can be made");
    let args = ["-i", &site.tree.arg("fifo"), "-o", &site.server.url("/a")];
    let pusher = Pusher::start(kind, &args);
    let mut fifo = File::options().write(true).open(path).expect("somebody reads it");
    fifo.write_all(b"through a FIFO").expect("it is read");
    drop(fifo);
    pusher.ok();
    assert_eq!(site.read("a").as_deref(), Some(&b"through a FIFO"[..]));
}

fn several_inputs_go_to_their_places(kind: Kind) {
    let (one, other) = (Site::new(kind), Site::new(kind));
    one.tree.write("in", "a file");
    let args = ["-i", &one.tree.arg("in"), "-o", &one.server.url("/a"), "-i", "-", "-o"];
    let (pusher, mut input) = Pusher::fed(kind, &[&args[..], &[&other.server.url("/b")]].concat());
    write(&mut input, b"a stream");
    drop(input);
    pusher.ok();
    assert_eq!(one.read("a").as_deref(), Some(&b"a file"[..]));
    assert_eq!(other.read("b").as_deref(), Some(&b"a stream"[..]));
}

fn an_input_takes_the_name_of_its_file(kind: Kind) {
    let site = Site::new(kind);
    site.tree.write("one.txt", "1");
    site.tree.write("two.txt", "2");
    let (one, two) = (site.tree.arg("one.txt"), site.tree.arg("two.txt"));
    Pusher::start(kind, &["-i", &one, "-i", &two, "-o", &site.server.url("/in/")]).ok();
    assert_eq!(site.read("in/one.txt").as_deref(), Some(&b"1"[..]));
    assert_eq!(site.read("in/two.txt").as_deref(), Some(&b"2"[..]));
}

/// So many files are pushed to a server; over how many connections?
fn connections(kind: Kind, files: usize, more: &[&str]) -> usize {
    let (tree, server) = (Tree::new(), Scripted::answering(yes));
    let mut args = vec!["-o".to_owned(), server.url("/")];
    for number in 0..files {
        tree.write(&number.to_string(), number.to_string());
        args.extend(["-i".to_owned(), tree.arg(&number.to_string())]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Pusher::start(kind, &args).ok();
    let asked = server.rest();
    assert_eq!(asked.len(), files);
    asked.iter().map(|asked| asked.connection).max().map_or(0, |last| last + 1)
}

fn connections_are_kept(kind: Kind) {
    let connections = connections(kind, 40, &[]);
    assert!(connections <= 6, "{connections}");
}

fn close_takes_a_connection_for_each(kind: Kind) {
    assert_eq!(connections(kind, 20, &["--close"]), 20);
}

/// What a server is asked when a file that holds `content` is pushed.
fn asked(kind: Kind, content: &str, more: &[&str]) -> Asked {
    let (tree, server) = (Tree::new(), Scripted::answering(yes));
    tree.write("a.m4s", content);
    let args = ["-i", &tree.arg("a.m4s"), "-o", &server.url("/a.m4s?q=1#f")];
    Pusher::start(kind, &[&args[..], more].concat()).ok();
    server.asked()
}

fn post_is_used_if_it_is_asked_for(kind: Kind) {
    assert_eq!(asked(kind, "x", &[]).line(), "PUT /a.m4s?q=1 HTTP/1.1");
    assert_eq!(asked(kind, "x", &["--post"]).line(), "POST /a.m4s?q=1 HTTP/1.1");
}

fn fields_type_and_agent_are_sent(kind: Kind) {
    let told = asked(kind, "12345", &[]);
    assert!(told.has("Content-Type: video/iso.segment"), "{told:?}");
    assert!(told.has("Content-Length: 5"), "{told:?}");
    assert!(told.get("User-Agent").is_some_and(|agent| agent.starts_with("httpout/")), "{told:?}");
    let more = ["--hdrs", "X-A,1", "--mime", "video/mp4", "--user_agent", "me/1"];
    let told = asked(kind, "12345", &more);
    assert!(told.has("Content-Type: video/mp4") && told.has("X-A: 1"), "{told:?}");
    assert!(told.has("User-Agent: me/1"), "{told:?}");
}

fn a_password_goes_along(kind: Kind) {
    let (tree, server) = (Tree::new(), Scripted::answering(yes));
    tree.write("a", "x");
    let url = format!("http://me:p%40ss@{}/a", server.address());
    let exit = Pusher::start(kind, &["-i", &tree.arg("a"), "-o", &url]).ok();
    assert!(server.asked().has("Authorization: Basic bWU6cEBzcw=="));
    assert!(!exit.stdout.contains("p%40ss") && !exit.stdout.contains("p@ss"), "{exit:?}");
}

fn a_range_is_written_into_what_is_there(kind: Kind) {
    let site = Site::new(kind);
    site.write("a", "0123456789");
    site.tree.write("in", "xyz");
    let args = ["-i", &site.tree.arg("in"), "-o", &site.server.url("/a")];
    for (range, content) in [("2-4", "01xyz56789"), ("5-", "01xyzxyz89")] {
        Pusher::start(kind, &[&args[..], &["--patch", range]].concat()).ok();
        assert_eq!(site.read("a").as_deref(), Some(content.as_bytes()), "{range}");
    }
}

fn a_range_must_fit_its_file(kind: Kind) {
    let site = Site::new(kind);
    site.write("a", "0123456789");
    site.tree.write("in", "xyz");
    let args = ["-i", &site.tree.arg("in"), "-o", &site.server.url("/a"), "--patch", "2-3"];
    Pusher::run(kind, &args).failed(&["the range is not as long as the body"]);
    let args = ["-i", &site.tree.arg("in"), "-o", &site.server.url("/none"), "--patch", "2-4"];
    Pusher::run(kind, &args).failed(&["404", "check the path"]);
    let url = site.server.url("/a");
    for (given, said) in [("xyz", "longer than the range"), ("x", "the input ended after 1 of 2")] {
        let (pusher, mut input) = Pusher::fed(kind, &["-i", "-", "-o", &url, "--patch", "2-3"]);
        write(&mut input, given.as_bytes());
        drop(input);
        pusher.exit().failed(&[said]);
    }
    assert_eq!(site.read("a").as_deref(), Some(&b"0123456789"[..]));
}

fn what_is_there_afterwards_is_looked_at(kind: Kind) {
    let site = Site::new(kind);
    site.tree.write("a", "x");
    let (input, url) = (site.tree.arg("a"), site.server.url("/a"));
    let exit = Pusher::start(kind, &["-i", &input, "-o", &url, "--verify"]).ok();
    assert!(exit.stdout.contains("verified"), "{exit:?}");
    let forgetful = Scripted::answering(|asked| match asked.line().starts_with("HEAD") {
        true => "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n".into(),
        false => yes(asked),
    });
    let url = forgetful.url("/a");
    Pusher::run(kind, &["-i", &input, "-o", &url, "--verify"])
        .failed(&["7 bytes", "upload it again"]);
    Pusher::start(kind, &["-i", &input, "-o", &url]).ok();
}

fn a_stream_has_no_length_to_be_sent(kind: Kind) {
    let args = ["-i", "-", "-o", "http://127.0.0.1:9/a", "--cte", "false"];
    Pusher::run(kind, &args).failed(&["--cte false", "upload a file"]);
}

fn requests_are_told(kind: Kind) {
    let site = Site::new(kind);
    site.tree.write("a", "12345");
    let url = site.server.url("/a");
    let told = |methods: &str| {
        let args = ["-i", &site.tree.arg("a"), "-o", &url, "--reqlog", methods];
        Pusher::start(kind, &args).ok().stderr
    };
    let all = told("*");
    assert!(all.contains(&format!("REQ#1 PUT {url} start\n")), "{all}");
    assert!(all.contains("REQ#1 PUT done: reply 20") && all.contains("- 5 bytes in"), "{all}");
    let begins = told("-PUT");
    assert!(begins.contains("start\n") && !begins.contains("done"), "{begins}");
    assert_eq!(told("DELETE"), "");
}

fn a_server_that_never_answers_is_left(kind: Kind) {
    let server = Scripted::new(|connection, stream| {
        let mut stream = std::io::BufReader::new(stream);
        let _ = Asked::read(connection, &mut stream);
        // Until the client goes.
        let _ = Asked::read(connection, &mut stream);
    });
    let tree = Tree::new();
    tree.write("a", "x");
    let args = ["-i", &tree.arg("a"), "-o", &server.url("/a"), "--timeout", "0.2", "--grace", "0"];
    let mut pusher = Pusher::start(kind, &args);
    pusher.says("the answer deadline passed");
    pusher.says("trying again in 0.5 s");
    pusher.signal(Signal::TERM);
    pusher.exit().failed(&["called off"]);
}

fn a_server_that_takes_nothing_is_left(kind: Kind) {
    let (keep, kept) = mpsc::channel();
    let server = Scripted::new(move |_, stream| {
        let _ = keep.send(stream);
    });
    let tree = Tree::new();
    tree.sparse("a", 64 << 20);
    let args = ["-i", &tree.arg("a"), "-o", &server.url("/a"), "--send-timeout", "0.2"];
    let mut pusher = Pusher::start(kind, &[&args[..], &["--grace", "0"]].concat());
    pusher.says("the send deadline passed");
    pusher.signal(Signal::TERM);
    pusher.exit().failed(&["error: PUT"]);
    drop(kept);
}

fn a_failure_leaves_the_other_inputs_alone(kind: Kind) {
    let server = Scripted::answering(|asked| match asked.line().contains("/bad") {
        true => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".into(),
        false => yes(asked),
    });
    let tree = Tree::new();
    tree.write("bad", "x");
    tree.write("good", "x");
    let args = ["-i", &tree.arg("bad"), "-i", &tree.arg("good"), "-o", &server.url("/")];
    let exit = Pusher::run(kind, &args);
    exit.failed(&["/bad: 403 Forbidden", "rights"]);
    assert!(exit.stdout.contains("/good"), "{exit:?}");
    assert!(exit.stdout.ends_with("1 stored, 1 bytes; 1 failed\n"), "{exit:?}");
}

/// A stream to a server that breaks it off.
fn broken_stream(kind: Kind, more: &[&str]) -> (Pusher, ChildStdin) {
    let server = Scripted::new(|_, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        let _ = stream.read_exact(&mut [0; 700]);
    });
    let url = server.url("/a");
    let args = [&["-i", "-", "-o", &url][..], more].concat();
    let (pusher, mut input) = Pusher::fed(kind, &args);
    write(&mut input, &[0; 1000]);
    (pusher, input)
}

fn a_stream_is_read_to_its_end_though_it_failed(kind: Kind) {
    let (mut pusher, mut input) = broken_stream(kind, &[]);
    pusher.says("the input cannot be sent again");
    // More than a pipe holds.
    write(&mut input, &pattern(1 << 20));
    drop(input);
    pusher.exit().failed(&["error: PUT"]);
}

fn without_ka_a_stream_is_left(kind: Kind) {
    let (pusher, input) = broken_stream(kind, &["--ka", "false"]);
    pusher.exit().failed(&["the input cannot be sent again"]);
    drop(input);
}

fn what_is_under_way_is_waited_for(kind: Kind) {
    let site = Site::new(kind);
    let (mut pusher, mut input) = Pusher::fed(kind, &["-i", "-", "-o", &site.server.url("/a")]);
    write(&mut input, b"first");
    until("the upload is under way", || {
        (site.server.client().begin(&get("/a")).status == 200).then_some(())
    });
    pusher.signal(Signal::TERM);
    pusher.says("may go on");
    write(&mut input, b"last");
    drop(input);
    pusher.ok();
    assert_eq!(site.read("a").as_deref(), Some(&b"firstlast"[..]));
    // The second one does not wait.
    let (mut pusher, mut input) = Pusher::fed(kind, &["-i", "-", "-o", &site.server.url("/b")]);
    write(&mut input, b"first");
    until("the upload is under way", || {
        (site.server.client().begin(&get("/b")).status == 200).then_some(())
    });
    pusher.signal(Signal::TERM);
    pusher.says("may go on");
    pusher.signal(Signal::TERM);
    pusher.exit().failed(&["called off"]);
    site.no_parts_left();
    assert!(!site.has("b"));
}

fn an_input_that_is_not_there_is_refused(kind: Kind) {
    let tree = Tree::new();
    tree.write("file", "");
    for (input, said) in [("none", "No such file"), ("file/", "Not a directory")] {
        let args = ["-i", &tree.arg(input), "-o", "http://127.0.0.1:9/a"];
        Pusher::run(kind, &args).failed(&["error: input: ", said]);
    }
}

#[track_caller]
fn write(input: &mut ChildStdin, data: &[u8]) {
    input.write_all(data).expect("the push reads its input");
}
