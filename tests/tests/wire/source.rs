//! The server as a source (`--hmode source`): uploads that go to a directory, to standard output,
//! to a command.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::Read;
use std::process::ChildStdout;
use std::thread::{self, JoinHandle};

use httpout_tests::{Client, Kind, Request, Server, Tree, both, delete, get, post, put, until};

#[cfg(feature = "tools")]
mod ffmpeg;
#[cfg(feature = "tools")]
mod root;

both! {
    a_directory_takes_uploads_by_their_paths,
    what_is_broken_off_leaves_nothing_in_the_directory,
    paths_that_lead_out_of_the_directory_are_refused,
    standard_output_takes_one_upload_after_the_other,
    a_second_upload_waits_for_standard_output,
    a_slow_reader_slows_the_sender,
    a_reader_that_goes_away_ends_the_server,
    a_reader_that_stops_does_not_keep_the_server_from_its_end,
    a_command_reads_each_upload,
    a_command_is_told_of_the_upload_and_not_by_its_text,
    a_command_that_fails_is_500,
    a_command_that_ends_early_is_500,
    a_command_that_leaves_input_unread_is_500,
    an_upload_that_breaks_ends_its_command,
    commands_are_reaped_and_ended_with_the_server,
    uploads_run_beside_each_other,
    ranges_are_416_and_what_is_no_upload_405,
    limits_hold_as_for_any_upload,
    deadlines_hold_as_for_any_upload,
    rules_say_who_may_upload,
    quit_ends_it_with_the_last_client,
    an_upload_that_is_broken_off_is_told_by_the_exit_status,
    requests_are_logged,
    options_that_do_not_go_together,
}

fn source<'a>(sink: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let own = ["--hmode", "source", "-o", sink, "--maxc", "0", "--maxp", "0"];
    [&own[..], more].concat()
}

fn start(kind: Kind, sink: &str, more: &[&str]) -> Server {
    Server::start(kind, &source(sink, more))
}

fn pour(kind: Kind, more: &[&str]) -> (Server, ChildStdout) {
    Server::pouring(kind, &source("-", more))
}

/// Reads to the end, in a thread.
fn drain(mut output: ChildStdout) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        output.read_to_end(&mut all).expect("standard output can be read");
        all
    })
}

fn body(len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// The names of the processes that the server has started and not reaped.
fn children(server: &Server) -> Vec<String> {
    let pid = server.pid().as_raw_nonzero();
    let stats = std::fs::read_dir("/proc").expect("there is /proc").flatten();
    let stat = |path: std::path::PathBuf| std::fs::read_to_string(path.join("stat")).ok();
    let is_child = |stat: &String| {
        let mut rest = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        rest.nth(1) == Some(&pid.to_string())
    };
    stats.filter_map(|entry| stat(entry.path())).filter(is_child).collect()
}

// ---- a directory ----

fn a_directory_takes_uploads_by_their_paths(kind: Kind) {
    let tree = Tree::new();
    let server = start(kind, &format!("{}/", tree.arg("in")), &[]);
    let mut client = server.client();
    let content = body(3_000_000);
    client
        .ask(&put("/live/a%20b.ts", &content))
        .status_is(201)
        .field_is("content-location", "/live/a%20b.ts");
    assert_eq!(tree.read("in/live/a b.ts"), Some(content));
    client.ask(&post("/live/a%20b.ts", "short")).status_is(200);
    assert_eq!(tree.read("in/live/a b.ts").as_deref(), Some(&b"short"[..]));
    client.ask(&put("/x/", "named like a directory")).status_is(409);
    client.ask(&put("/live", "a directory")).status_is(409);
    drop(client);
    server.ask(&get("/live/a%20b.ts")).status_is(405);
    server.terminate();
    let exit = server.exit();
    assert_eq!(exit.code, Some(1), "two were not taken: {exit:?}");
    assert!(exit.stderr.contains("error: 2 of 4 uploads were not delivered"), "{}", exit.stderr);
}

fn what_is_broken_off_leaves_nothing_in_the_directory(kind: Kind) {
    let tree = Tree::new();
    let server = start(kind, &format!("{}/", tree.arg("in")), &[]);
    server.ask(&put("/a.bin", "old")).status_is(201);
    let mut client = server.client();
    client.begin_upload(Request::new("PUT", "/a.bin").chunked());
    client.send_chunk("new");
    until("its part is there", || (tree.parts().len() == 1).then_some(()));
    client.abort();
    until("its part is gone", || tree.parts().is_empty().then_some(()));
    assert_eq!(tree.read("in/a.bin").as_deref(), Some(&b"old"[..]));
    server.terminate();
    assert_eq!(server.exit().code, Some(1));
}

fn paths_that_lead_out_of_the_directory_are_refused(kind: Kind) {
    let tree = Tree::new();
    tree.dir("in");
    tree.dir("out");
    tree.link("in/link", "../out");
    let server = start(kind, &format!("{}/", tree.arg("in")), &[]);
    server.ask(&put("/link/a", "x")).status_is(403);
    server.ask(&put("/%2e%2e/a", "x")).status_is(400);
    server.ask(&put("/.httpout-1", "x")).status_is(403);
    assert_eq!(tree.list(), ["in/", "in/link", "out/"]);
    server.terminate();
    server.exit();
}

// ---- standard output ----

fn standard_output_takes_one_upload_after_the_other(kind: Kind) {
    let (server, output) = pour(kind, &[]);
    let output = drain(output);
    let contents = [body(5_000_000), b"short".to_vec(), Vec::new(), body(70_000)];
    let mut client = server.client();
    for (number, content) in contents.iter().enumerate() {
        let path = format!("/{number}.ts");
        client.ask(&put(&path, content)).status_is(200).field_is("content-location", &path);
    }
    client.ask(&Request::new("POST", "/").chunks(&[b"tw", b"o"])).status_is(200);
    drop(client);
    let exit = server.stop();
    assert!(exit.stderr.contains("hands uploads on to -"), "{}", exit.stderr);
    assert!(output.join().unwrap() == [&contents.concat()[..], b"two"].concat());
}

fn a_second_upload_waits_for_standard_output(kind: Kind) {
    let (server, mut output) = pour(kind, &[]);
    let mut first = server.client();
    first.begin_upload(Request::new("PUT", "/1").chunked());
    first.send_chunk("one ");
    let mut piece = [0; 4];
    output.read_exact(&mut piece).unwrap();
    // One of these waits, and is given up; the other waits for its turn.
    let mut gone = server.client();
    gone.send(Request::new("PUT", "/gone").announce(10).bytes());
    gone.send("never");
    let mut second = server.client();
    second.send(Request::new("PUT", "/2").announce(3).expect().bytes());
    until("both have come", || (server.connections() == 3).then_some(()));
    gone.abort();
    first.send_chunk("more ");
    first.send_last_chunk();
    first.response("PUT").status_is(200);
    second.interim_is(100);
    second.send("two");
    second.response("PUT").status_is(200);
    drop((first, second));
    server.terminate();
    let exit = server.exit();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    // What was given up may have had its turn before that was seen.
    assert_eq!(rest.replacen("never", "", 1), "more two", "{exit:?}");
}

fn a_slow_reader_slows_the_sender(kind: Kind) {
    let (server, output) = pour(kind, &[]);
    let content = body(64 << 20);
    let mut client = server.client();
    client.send(Request::new("PUT", "/a").announce(content.len() as u64).bytes());
    let mut writer = client.writer();
    writer.set_nonblocking(true).unwrap();
    // Sends until nothing more is taken, and nothing is being taken any more: what the server read
    // and did not write is bounded.
    let mut sent = 0;
    let mut stuck = 0;
    while stuck < 200 {
        match std::io::Write::write(&mut writer, &content[sent..]) {
            Ok(count) => {
                sent += count;
                stuck = 0;
                assert!(sent < 40 << 20, "the server reads what nobody takes");
            }
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                stuck += 1;
                thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
    assert!(server.memory_kib() < 64 << 10, "{} KiB", server.memory_kib());
    let output = drain(output);
    writer.set_nonblocking(false).unwrap();
    std::io::Write::write_all(&mut writer, &content[sent..]).unwrap();
    client.response("PUT").status_is(200);
    drop((client, writer));
    server.stop();
    assert!(output.join().unwrap() == content);
}

fn a_reader_that_goes_away_ends_the_server(kind: Kind) {
    let (server, output) = pour(kind, &[]);
    drop(output);
    let answer = server.ask(&put("/a", body(100_000)));
    answer.status_is(500);
    assert!(answer.text().contains("standard output cannot be written to"), "{answer:?}");
    let exit = server.exit();
    assert_eq!(exit.code, Some(1), "{exit:?}");
    assert!(exit.stderr.contains("error: 1 of 1 uploads were not delivered"), "{}", exit.stderr);
}

fn a_reader_that_stops_does_not_keep_the_server_from_its_end(kind: Kind) {
    let (server, output) = pour(kind, &["--grace", "0"]);
    let content = body(64 << 20);
    let mut client = server.client();
    client.send(Request::new("PUT", "/a").announce(content.len() as u64).bytes());
    let mut writer = client.writer();
    let sender = thread::spawn(move || std::io::Write::write_all(&mut writer, &content).is_err());
    let mut output = output;
    output.read_exact(&mut [0; 1000]).unwrap();
    server.terminate();
    assert_eq!(server.exit().code, Some(1));
    assert!(sender.join().unwrap(), "not all of it was taken");
}

// ---- a command ----

fn a_command_reads_each_upload(kind: Kind) {
    let tree = Tree::new();
    let command = format!("exec:cat > {}/got-$(basename \"$HTTPOUT_PATH\")", tree.arg(""));
    let server = start(kind, &command, &[]);
    let content = body(6_000_000);
    let mut client = server.client();
    client
        .ask(&put("/live/a.ts", &content))
        .status_is(200)
        .field_is("content-location", "/live/a.ts");
    assert_eq!(tree.read("got-a.ts"), Some(content.clone()), "it ended before the answer");
    client.ask(&Request::new("POST", "/b.ts").chunks(&[&content, b"end"])).status_is(200);
    assert_eq!(tree.read("got-b.ts"), Some([&content[..], b"end"].concat()));
    client.ask(&put("/c.ts", "")).status_is(200);
    assert_eq!(tree.read("got-c.ts"), Some(Vec::new()));
    drop(client);
    server.stop();
}

fn a_command_is_told_of_the_upload_and_not_by_its_text(kind: Kind) {
    let tree = Tree::new();
    let command = format!(
        "exec:cat > /dev/null; printf '%s\\n' \"$HTTPOUT_METHOD\" \"$HTTPOUT_PATH\" \"$HTTPOUT_QUERY\" \
         \"$HTTPOUT_CONTENT_TYPE\" \"${{HTTPOUT_CONTENT_LENGTH-none}}\" \"$HTTPOUT_CLIENT\" \"${{HTTPOUT_USER-none}}\" > {}",
        tree.arg("facts")
    );
    let server = start(kind, &command, &[]);
    let path = "/a%20$(touch%20x);%60id%60";
    server
        .ask(&put(&format!("{path}?q=1&r"), "12").field("Content-Type", "video/mp2t"))
        .status_is(200);
    let facts = String::from_utf8(tree.read("facts").unwrap()).unwrap();
    assert_eq!(facts, "PUT\na $(touch x);`id`\nq=1&r\nvideo/mp2t\n2\n127.0.0.1\nnone\n");
    server.ask(&Request::new("POST", "/b").chunks(&[b"1"])).status_is(200);
    let facts = String::from_utf8(tree.read("facts").unwrap()).unwrap();
    assert_eq!(facts, "POST\nb\n\n\nnone\n127.0.0.1\nnone\n");
    server.stop();
}

fn a_command_that_fails_is_500(kind: Kind) {
    let server = start(kind, "exec:cat > /dev/null; exit 3", &[]);
    let answer = server.ask(&put("/a", "x"));
    answer.status_is(500);
    assert!(answer.text().contains("exit status: 3"), "{answer:?}");
    server.terminate();
    let exit = server.exit();
    assert_eq!(exit.code, Some(1));
    assert!(exit.stderr.contains("the command failed: exit status: 3"), "{}", exit.stderr);
    assert!(
        exit.stderr.contains("path=\"/a\"") || exit.stderr.contains("path=/a"),
        "{}",
        exit.stderr
    );
}

fn a_command_that_leaves_input_unread_is_500(kind: Kind) {
    for (command, body, status) in [
        // An empty body is read to its end by a command that reads nothing.
        ("exec:true", 0, 200),
        ("exec:cat > /dev/null", 0, 200),
        ("exec:false", 0, 500),
        ("exec:cat > /dev/null; exit 1", 0, 500),
        ("exec:true", 1, 500),
        ("exec:true", 10_000, 500),
        ("exec:true", 3_000_000, 500),
        ("exec:head -c 10 > /dev/null", 10, 200),
        ("exec:head -c 10 > /dev/null", 11, 500),
        ("exec:head -c 10 > /dev/null; cat > /dev/null", 3_000_000, 200),
        // Closed at once, long before it ends.
        ("exec:exec < /dev/null; sleep 0.1", 5, 500),
    ] {
        let server = start(kind, command, &[]);
        let answer = server.ask(&put("/a", vec![b'x'; body]));
        assert_eq!(answer.status, status, "{command}, {body} bytes: {answer:?}");
        let answer = server.ask(&Request::new("PUT", "/a").chunks(&[&vec![b'x'; body]]));
        assert_eq!(answer.status, status, "{command}, {body} bytes in chunks: {answer:?}");
        server.terminate();
        let failed = if status == 200 { 0 } else { 1 };
        assert_eq!(server.exit().code, Some(failed), "{command}, {body} bytes");
    }
}

fn a_command_that_ends_early_is_500(kind: Kind) {
    let server = start(kind, "exec:head -c 10 > /dev/null", &[]);
    let mut client = server.client();
    client.begin_upload(Request::new("PUT", "/a").chunked());
    client.send_chunk("0123456789");
    let has_ended = || children(&server).iter().any(|stat| stat.contains(") Z "));
    until("the command has ended", || has_ended().then_some(()));
    client.send_chunk("more");
    let answer = client.response("PUT");
    answer.status_is(500);
    assert!(answer.text().contains("the command read no more"), "{answer:?}");
    // And it lives on.
    server.ask(&put("/b", "0123456789")).status_is(200);
    server.terminate();
    let exit = server.exit();
    assert!(exit.stderr.contains("error: 1 of 2 uploads were not delivered"), "{}", exit.stderr);
}

fn an_upload_that_breaks_ends_its_command(kind: Kind) {
    let tree = Tree::new();
    // It tells what it saw last: the signal, or the end of its input.
    let command = format!(
        "exec:trap 'echo broken > {0}; exit 1' TERM; touch {1}; while read -r line; do :; done; echo whole > {0}",
        tree.arg("saw"),
        tree.arg("began"),
    );
    let server = start(kind, &command, &[]);
    let mut client = server.client();
    client.begin_upload(Request::new("PUT", "/a").chunked());
    client.send_chunk("line\n");
    until("the command runs", || tree.has("began").then_some(()));
    client.abort();
    let saw = until("the command has ended", || tree.read("saw").filter(|saw| !saw.is_empty()));
    assert_eq!(saw, b"broken\n");
    until("it is reaped", || children(&server).is_empty().then_some(()));
    server.terminate();
    assert_eq!(server.exit().code, Some(1));
}

fn commands_are_reaped_and_ended_with_the_server(kind: Kind) {
    let tree = Tree::new();
    // The shell hears nothing of SIGTERM, nor does what it starts: it must be killed.
    let command =
        format!("exec:trap '' TERM; touch {}; cat > /dev/null; sleep 1000", tree.arg("began"));
    let server = start(kind, &command, &["--grace", "0"]);
    let mut client = server.client();
    client.send(put("/a", "x").bytes());
    until("the command runs", || tree.has("began").then_some(()));
    assert_eq!(children(&server).len(), 1);
    server.terminate();
    let exit = server.exit();
    assert_eq!(exit.code, Some(1), "{exit:?}");
    let server = start(kind, "exec:cat > /dev/null", &[]);
    for _ in 0..20 {
        server.ask(&put("/a", "x")).status_is(200);
    }
    until("all are reaped", || children(&server).is_empty().then_some(()));
    let before = server.descriptors();
    for _ in 0..20 {
        server.ask(&put("/a", "x")).status_is(200);
    }
    until("no descriptor is left", || (server.descriptors() <= before).then_some(()));
    server.stop();
}

fn uploads_run_beside_each_other(kind: Kind) {
    for sink in ["dir", "exec"] {
        let tree = Tree::new();
        tree.dir("in");
        let sink = match sink {
            "dir" => format!("{}/", tree.arg("in")),
            _ => format!("exec:cat > {}/$HTTPOUT_PATH", tree.arg("in")),
        };
        let server = start(kind, &sink, &[]);
        let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.begin_upload(Request::new("PUT", &format!("/{number}")).chunked());
            client.send_chunk(format!("{number}a"));
        }
        for (number, client) in clients.iter_mut().enumerate().rev() {
            client.send_chunk(format!("{number}b"));
            client.send_last_chunk();
            client.response("PUT").status_in(&[200, 201]);
            let expected = format!("{number}a{number}b").into_bytes();
            assert_eq!(tree.read(&format!("in/{number}")), Some(expected), "{sink}");
        }
        drop(clients);
        server.stop();
    }
}

// ---- requests and options ----

fn ranges_are_416_and_what_is_no_upload_405(kind: Kind) {
    let tree = Tree::new();
    let server = start(kind, &format!("{}/", tree.arg("in")), &[]);
    server.ask(&put("/a", "old")).status_is(201);
    server.ask(&put("/a", "x").field("Range", "bytes=0-0")).status_is(416);
    server.ask(&post("/a", "x").field("Content-Range", "bytes 0-0/3")).status_is(416);
    for request in [get("/a"), get("/"), delete("/a")] {
        server.ask(&request).status_is(405).field_is("allow", "PUT, POST, OPTIONS");
    }
    server
        .ask(&Request::new("OPTIONS", "/a"))
        .status_is(200)
        .field_is("allow", "PUT, POST, OPTIONS");
    server.ask(&get("/.httpout/time?iso")).status_is(200);
    assert_eq!(tree.read("in/a").as_deref(), Some(&b"old"[..]));
    server.stop();
}

fn limits_hold_as_for_any_upload(kind: Kind) {
    let (server, output) = pour(kind, &["--maxs", "1000"]);
    let output = drain(output);
    server.ask(&put("/a", body(1001))).status_is(413);
    let mut refused = server.client();
    refused.send(Request::new("PUT", "/a").announce(1001).expect().bytes());
    refused.response("PUT").status_is(413);
    server.ask(&put("/a", "x")).status_is(200);
    server.ask(&Request::new("PUT", "/a")).status_is(411);
    server.terminate();
    server.exit();
    assert_eq!(output.join().unwrap(), b"x");
}

fn deadlines_hold_as_for_any_upload(kind: Kind) {
    let (server, output) = pour(kind, &["--body-timeout", "0.2", "--timeout", "0.5"]);
    let output = drain(output);
    let late = until("an upload begins before its connection was idle for too long", || {
        let mut silent = server.client();
        silent.try_send(Request::new("PUT", "/a").announce(10).bytes()).ok()?;
        silent.try_head("PUT").ok()
    });
    late.status_is(408);
    server.resting_after(&put("/a", "")).closed_in_order();
    server.terminate();
    server.exit();
    assert_eq!(output.join().unwrap(), b"");
}

fn rules_say_who_may_upload(kind: Kind) {
    let tree = Tree::new();
    tree.dir("srv");
    tree.write("rules", format!("[{}]\nname=open\nwu=$ALL\n", tree.arg("srv")));
    let rules = tree.arg("rules");
    let (server, output) = pour(kind, &["--rdirs", &rules]);
    let output = drain(output);
    server.ask(&put("/open/a", "x")).status_is(200);
    server.ask(&put("/other/a", "y")).status_is(403);
    assert!(!tree.has("srv/a"), "nothing is stored");
    server.stop();
    assert_eq!(output.join().unwrap(), b"x");
}

fn quit_ends_it_with_the_last_client(kind: Kind) {
    let (server, output) = pour(kind, &["--quit"]);
    let output = drain(output);
    let (mut first, second) = (server.client(), server.client());
    first.ask(&put("/a", "x")).status_is(200);
    drop((first, second));
    assert_eq!(server.exit().code, Some(0));
    assert_eq!(output.join().unwrap(), b"x");
}

fn an_upload_that_is_broken_off_is_told_by_the_exit_status(kind: Kind) {
    let (server, mut output) = pour(kind, &["--quit"]);
    let mut client = server.client();
    client.begin_upload(Request::new("PUT", "/a.ts").announce(10));
    client.send("0123");
    output.read_exact(&mut [0; 4]).unwrap();
    client.abort();
    let exit = server.exit();
    assert_eq!(exit.code, Some(1), "{exit:?}");
    assert!(exit.stderr.contains("broken off by its sender"), "{}", exit.stderr);
    assert!(exit.stderr.contains("/a.ts"), "{}", exit.stderr);
}

fn requests_are_logged(kind: Kind) {
    let tree = Tree::new();
    let server = start(kind, &format!("{}/", tree.arg("in")), &["--reqlog", "PUT,REC"]);
    server.ask(&put("/a", "x")).status_is(201);
    let exit = server.stop();
    assert!(exit.stderr.contains("PUT /a"), "{}", exit.stderr);
    assert_eq!(exit.stderr.matches("in/a").count(), 2, "begun and written: {}", exit.stderr);
}

fn options_that_do_not_go_together(kind: Kind) {
    let tree = Tree::new();
    let dir = format!("{}/", tree.arg("in"));
    for (args, what) in [
        (&["--hmode", "source"][..], "hmode: a source needs somebody"),
        (&["--hmode", "source", "-o", "-", "-o", &dir], "dst: uploads cannot go to two places"),
        (&["-o", "-", "--rdirs", "."], "dst: - is no URL"),
        (&["-o", "exec:cat", "--wdir", &dir, "--hmode", "source"], "dst: exec:cat is no URL"),
        (&["--hmode", "source", "-o", "-", "--access-log", "-"], "access-log: standard output is"),
        (&["--hmode", "source", "-o", "-", "-i", "-"], "input: "),
        (&["--hmode", "source", "-o", "-", "--icecast"], "icecast: "),
        (&["--hmode", "source", "-o", "/dev/null/in/"], "dst: /dev/null/in/ does not exist and"),
    ] {
        let own = ["--port", "auto", "--ifce", "127.0.0.1"];
        let exit = Server::fails(kind, &[args, &own].concat());
        assert_eq!(exit.code, Some(78), "{args:?}: {exit:?}");
        assert!(exit.stderr.contains(what), "{args:?}: {}", exit.stderr);
    }
    for args in [&["--hmode", "source", "-o", "exec:"][..], &["--hmode", "fountain"]] {
        assert_eq!(Server::fails(kind, args).code, Some(2), "{args:?}");
    }
    // As in GPAC: ignored if wdir is set.
    let server = Server::start(kind, &["--hmode", "source", "--wdir", &tree.arg("in")]);
    server.ask(&put("/a", "x")).status_is(201);
    let exit = server.stop();
    assert!(exit.stderr.contains("hmode is not used"), "{}", exit.stderr);
    assert_eq!(tree.read("in/a").as_deref(), Some(&b"x"[..]));
}
