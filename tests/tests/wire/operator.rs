//! What an operator needs: logs of requests, counters, health, reload.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;

use httpout_tests::{Client, Exit, Kind, Request, Server, Site, Tree, both, get, head, put, until};
use rustix::process::Signal;
use serde_json::Value;

#[cfg(feature = "tools")]
mod strace;

both! {
    the_access_log_is_in_the_combined_format,
    the_access_log_is_json_lines,
    the_access_log_goes_to_standard_output,
    what_could_be_read_of_a_refused_head_is_logged,
    with_json_all_that_is_said_is_json,
    a_status_of_a_script_is_counted_as_it_is,
    the_first_refusal_of_an_address_names_the_option,
    sighup_reads_the_file_of_options_anew,
    an_access_log_that_was_renamed_is_opened_anew,
    a_full_disk_under_the_log_stops_nobody,
    nothing_from_outside_makes_a_line_of_its_own,
    reqlog_tells_requests_as_they_begin_and_end,
    reqlog_with_a_dash_tells_no_ends,
    reqlog_rec_tells_files_that_are_written,
    reqlog_refuses_what_is_no_method,
    every_request_is_counted,
    an_upload_and_its_readers_are_counted,
    refused_connections_are_counted,
    health_tells_of_a_directory_that_is_gone,
    the_operators_address_serves_no_files,
    the_public_address_shows_no_counters,
    the_operator_is_answered_beyond_maxc,
    clients_that_only_stay_connected_keep_no_probe_out,
    a_reload_is_counted,
}

/// The lines of a file, once there are so many.
#[track_caller]
fn lines(tree: &Tree, name: &str, count: usize) -> Vec<String> {
    until("the log has its lines", || {
        let text = String::from_utf8(tree.read(name)?).expect("a log is UTF-8");
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (text.ends_with('\n') && lines.len() >= count).then_some(lines)
    })
}

fn the_access_log_is_in_the_combined_format(kind: Kind) {
    let tree = Tree::new();
    let log = tree.arg("log");
    let site = Site::over(tree, kind, &["--access-log", &log]);
    site.write("a.bin", "content");
    site.server.refuses("GET / HTTP/1.1\r\nbad\r\n\r\n", 400);
    let refused = lines(&site.tree, "log", 1).remove(0);
    assert!(refused.contains("] \"GET / HTTP/1.1\" 400 "), "{refused}");
    let mut client = site.client();
    let fancy = get("/a.bin?x=\"y\"").field("Referer", "http://x/").field("User-Agent", "me \"1\"");
    client.ask(&fancy).status_is(200);
    client.ask(&get("/a.bin").field("Range", "bytes=0-2")).status_is(206);
    client.ask(&head("/none").http10()).status_is(404);
    let lines = lines(&site.tree, "log", 4);
    for (line, rest) in lines[1..].iter().zip([
        "\"GET /a.bin?x=\\x22y\\x22 HTTP/1.1\" 200 7 \"http://x/\" \"me \\x221\\x22\"",
        "\"GET /a.bin HTTP/1.1\" 206 3 \"-\" \"-\"",
        "\"HEAD /none HTTP/1.0\" 404 0 \"-\" \"-\"",
    ]) {
        let (peer, after) = line.split_once(" - - [").expect("peer, then nobody");
        let (date, after) = after.split_once("] ").expect("a date in brackets");
        assert_eq!((peer, after), ("127.0.0.1", rest));
        let form: String = date
            .chars()
            .map(|c| {
                if c.is_ascii_digit() {
                    '0'
                } else if c.is_ascii_alphabetic() {
                    'a'
                } else {
                    c
                }
            })
            .collect();
        assert_eq!(form, "00/aaa/0000:00:00:00 +0000");
    }
}

fn the_access_log_is_json_lines(kind: Kind) {
    let tree = Tree::new();
    let log = tree.arg("log");
    let site = Site::over(tree, kind, &["--access-log", &log, "--access-log-format", "json"]);
    site.ask(&put("/a.bin", "content").field("User-Agent", "\u{1b}[31m")).status_is(400);
    site.ask(&put("/a.bin", "content").field("User-Agent", "me")).status_is(201);
    let lines = lines(&site.tree, "log", 2);
    // The refused one is over when its connection has lingered, which may be later.
    let stored = lines.iter().find(|line| line.contains("\"user_agent\":\"me\""));
    let stored = stored.unwrap_or_else(|| panic!("the upload is not in {lines:?}"));
    for part in [
        "\"method\":\"PUT\"",
        "\"target\":\"/a.bin\"",
        "\"protocol\":\"HTTP/1.1\"",
        "\"status\":201",
        "\"received\":7",
        "\"sent\":0",
        "\"complete\":true",
        "\"peer\":\"127.0.0.1\"",
        "\"user\":null",
    ] {
        assert!(stored.contains(part), "{part} in {lines:?}");
    }
    assert!(lines.iter().all(|line| line.starts_with('{') && line.ends_with('}')), "{lines:?}");
}

fn the_access_log_goes_to_standard_output(kind: Kind) {
    let site = Site::with(kind, &["--access-log", "-"]);
    site.ask(&get("/none")).status_is(404);
    let exit = site.server.stop();
    assert!(exit.stdout.contains("\"GET /none HTTP/1.1\" 404"), "{exit:?}");
}

fn what_could_be_read_of_a_refused_head_is_logged(kind: Kind) {
    let tree = Tree::new();
    let (text, json) = (tree.arg("text"), tree.arg("json"));
    let site = Site::over(tree, kind, &["--access-log", &text, "--head-timeout", "1"]);
    let other = ["--rdirs", &site.tree.arg("www"), "--access-log", &json];
    let other = Server::start(kind, &[&other[..], &["--access-log-format", "json"]].concat());
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000));
    for (at, (raw, status, line)) in [
        ("GET /a?b HTTP/1.1\r\n bad\r\n\r\n", 400, "GET /a?b HTTP/1.1"),
        ("PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", 400, "PUT /c HTTP/1.1"),
        ("BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n", 501, "BREW /pot HTTP/1.1"),
        ("GET /d HTTP/2.0\r\nHost: x\r\n\r\n", 505, "GET /d HTTP/2.0"),
        ("GET /e\r\n\r\n", 400, "GET /e"),
        (&long, 414, "GET /aaaaaaaa"),
        ("\u{16}\u{3}\u{1}", 400, "-"),
    ]
    .into_iter()
    .enumerate()
    {
        site.server.refuses(raw, status);
        let logged = lines(&site.tree, "text", at + 1).remove(at);
        assert!(logged.contains(&format!("] \"{line}")), "{logged}");
        assert!(logged.contains(&format!("\" {status} ")), "{logged}");
        other.refuses(raw, status);
        let logged = lines(&site.tree, "json", at + 1).remove(at);
        let words: Vec<_> = line.split(' ').filter(|word| *word != "-").collect();
        for (name, word) in ["method", "target", "protocol"].into_iter().zip(words) {
            assert!(logged.contains(&format!("\"{name}\":\"{word}")), "{name}: {logged}");
        }
    }
    // One that never comes to its end.
    let mut client = site.client();
    client.send("GET /slow HTTP/1.1\r\nHost: x\r\n");
    client.response("GET").status_is(408);
    let logged = lines(&site.tree, "text", 8).remove(7);
    assert!(logged.contains("] \"GET /slow HTTP/1.1\" 408 "), "{logged}");
}

/// Every line is a JSON object with these fields.
fn all_json(text: &str) -> Vec<Value> {
    let parse = |line: &str| {
        let object: Value =
            serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line:?} in {text}"));
        assert!(object["message"].is_string() && object["level"].is_string(), "{line}");
        object
    };
    text.lines().map(parse).collect()
}

fn with_json_all_that_is_said_is_json(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/a", "a");
    let www = tree.arg("www");
    let json = ["--log-format", "json"];
    let args = ["--rdirs", &www, "--wdir", &www, "--reqlog", "*", "--port", "auto"];
    let log = ["--access-log", "-", "--access-log-format", "json"];
    let server = Server::launch(kind, &[&args[..], &json, &log].concat());
    server.ask(&get("/a")).status_is(200);
    let Exit { stdout, stderr: said, .. } = server.stop();
    let records = all_json(&said);
    let find = |message: &str| {
        let found = records.iter().find(|record| record["message"] == message);
        found.unwrap_or_else(|| panic!("{message} is not in {said}"))
    };
    let begin = find("the request begins");
    assert_eq!((&begin["method"], &begin["target"]), (&"GET".into(), &"/a".into()));
    assert_eq!(find("the request is done")["status"], 200);
    let is_warning = |record: &Value| record["level"] == "WARN";
    assert!(records.iter().any(is_warning), "that anybody may upload: {said}");
    for line in stdout.lines() {
        let object: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(object["target"], "/a");
    }
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    // What is wrong at the start is told alike.
    for args in [&["--no-such-option"][..], &["--rdirs", "/nowhere/at/all"], &["httpout:dlst"]] {
        let exit = Server::fails(kind, &[args, &json].concat());
        assert_ne!(exit.code, Some(0));
        assert_eq!(all_json(&exit.stderr).last().expect("an error")["level"], "ERROR");
        assert_eq!(exit.stdout, "");
    }
    let server = Server::start(kind, &["--wdir", &www]);
    for (input, code) in [(tree.arg("www/a"), 0), (tree.arg("none"), 1)] {
        let url = server.url("/b?sig=s3cret");
        let args = ["--hmode", "push", "-i", &input, "-o", &url, "--reqlog", "*"];
        let exit = Server::fails(kind, &[&args[..], &json].concat());
        assert_eq!((exit.code, &*exit.stdout), (Some(code), ""), "{exit:?}");
        let records = all_json(&exit.stderr);
        assert!(!records.is_empty() && !exit.stderr.contains("s3cret"), "{exit:?}");
    }
}

fn a_status_of_a_script_is_counted_as_it_is(kind: Kind) {
    let tree = Tree::new();
    tree.write(
        "a.js",
        "httpout.on_request = req => { req.reply = req.url == '/teapot' ? 418 : 299; req.send(); }",
    );
    let args = ["--js", &tree.arg("a.js"), "--admin", "127.0.0.1:0"];
    let site = Site::over(tree, kind, &args);
    for (path, status) in [("/teapot", 418), ("/teapot", 418), ("/other", 299)] {
        site.ask(&get(path)).status_is(status);
    }
    let count = |status: u16| {
        site.server
            .counter(&format!("httpout_requests_total{{method=\"GET\",status=\"{status}\"}}"))
    };
    until("the last request is counted", || {
        let text = Client::connect(site.server.admin()).ask(&get("/metrics"));
        text.text().contains("status=\"299\"").then_some(())
    });
    assert_eq!((count(418), count(299)), (2, 1));
    let text = Client::connect(site.server.admin()).ask(&get("/metrics"));
    assert!(!text.text().contains("status=\"0\""), "{text:?}");
}

fn the_first_refusal_of_an_address_names_the_option(kind: Kind) {
    for option in ["--maxp", "--maxc"] {
        let tree = Tree::new();
        let www = tree.arg("");
        let server = Server::start(kind, &["--rdirs", &www, option, "1"]);
        let mut first = server.client();
        first.ask(&get("/none")).status_is(404);
        for _ in 0..3 {
            server.client().response("GET").status_is(503);
        }
        let exit = server.stop();
        let said: Vec<_> = exit.stderr.lines().filter(|line| line.contains("is refused")).collect();
        assert_eq!(said.len(), 1, "{exit:?}");
        assert!(said[0].contains(&format!("raise {option} ")), "{said:?}");
        assert!(said[0].contains("127.0.0.1"), "{said:?}");
    }
}

fn sighup_reads_the_file_of_options_anew(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/a/b", "content");
    let file = |text: &str| {
        let www = tree.arg("www");
        tree.write("o.toml", format!("rdirs = \"{www}\"\n{text}"));
    };
    file("maxc = 50\n");
    let server = Server::start(kind, &["--config", &tree.arg("o.toml"), "--sutc"]);
    server.ask(&get("/a/")).status_is(403);
    // What concerns requests is changed; what the flags say stands above the file.
    file("maxc = 60\ndlist = true\nsutc = false\nhdrs = [\"X-New: 1\"]\n");
    server.signal(Signal::HUP);
    until("the listing is on", || (server.ask(&get("/a/")).status == 200).then_some(()));
    let answer = server.ask(&get("/a/b"));
    answer.status_is(200).field_is("x-new", "1");
    assert!(answer.get("server-utc").is_some(), "{answer:?}");
    // What is wrong changes nothing, and is told with its place.
    file("dlist = false\nhdrs = \"X\"\n");
    server.signal(Signal::HUP);
    file("dlist = false\nnonsense = 1\n");
    server.signal(Signal::HUP);
    file("hdrs = [\"X-New: 2\"]\ndlist = true\n");
    server.signal(Signal::HUP);
    until("the last file counts", || {
        (server.ask(&get("/a/b")).get("x-new") == Some("2")).then_some(())
    });
    let exit = server.stop();
    assert!(
        exit.stderr.contains("maxc was changed") && exit.stderr.contains("restart"),
        "{exit:?}"
    );
    assert!(!exit.stderr.contains("sutc was changed"), "{exit:?}");
}

fn an_access_log_that_was_renamed_is_opened_anew(kind: Kind) {
    let tree = Tree::new();
    let log = tree.arg("log");
    let site = Site::over(tree, kind, &["--access-log", &log]);
    site.ask(&get("/one")).status_is(404);
    lines(&site.tree, "log", 1);
    fs::rename(site.tree.path("log"), site.tree.path("old")).expect("renamed");
    site.server.signal(Signal::HUP);
    let new = until("the log is opened anew", || {
        site.ask(&get("/two")).status_is(404);
        site.tree.read("log")
    });
    let new = String::from_utf8(new).expect("UTF-8");
    assert!(!new.contains("/one"), "{new}");
    assert!(lines(&site.tree, "old", 1)[0].contains("/one"));
}

fn a_full_disk_under_the_log_stops_nobody(kind: Kind) {
    let site = Site::with(kind, &["--access-log", "/dev/full"]);
    for _ in 0..100 {
        site.ask(&get("/none")).status_is(404);
    }
    let exit = site.server.stop();
    assert_eq!(exit.stderr.matches("cannot be written").count(), 1, "{exit:?}");
}

fn nothing_from_outside_makes_a_line_of_its_own(kind: Kind) {
    let tree = Tree::new();
    let log = tree.arg("log");
    let site = Site::over(tree, kind, &["--access-log", &log, "--reqlog", "*"]);
    let mut client = site.client();
    client.send("GET /%0a%1b[31m HTTP/1.1\r\nHost: x\r\nUser-Agent: a\tb\r\n\r\n");
    client.response("GET").status_is(400);
    site.ask(&get("/end")).status_is(404);
    let lines = lines(&site.tree, "log", 2);
    assert_eq!(lines.len(), 2, "{lines:?}");
    // Two connections may log in any order.
    let refused = lines.iter().find(|line| line.contains("GET /%0a%1b[31m HTTP/1.1\" 400"));
    assert!(refused.is_some_and(|line| line.contains("a\\x09b")), "{lines:?}");
    let exit = site.server.stop();
    assert!(!exit.stderr.contains('\u{1b}'), "{exit:?}");
}

fn reqlog_tells_requests_as_they_begin_and_end(kind: Kind) {
    let site = Site::with(kind, &["--reqlog", "GET,put"]);
    let mut client = site.client();
    client.ask(&put("/a.bin", "content")).status_is(201);
    client.ask(&get("/a.bin").field("Range", "bytes=0-2")).status_is(206);
    client.ask(&head("/a.bin")).status_is(200);
    let exit = site.server.stop();
    let told: Vec<_> = exit.stderr.lines().filter(|line| line.starts_with("REQ#")).collect();
    assert_eq!(told.len(), 4, "{exit:?}");
    assert_eq!(told[0], "REQ#1 127.0.0.1 PUT /a.bin start");
    assert!(told[1].starts_with("REQ#1 PUT done: reply 201 - 7 bytes in "), "{told:?}");
    assert_eq!(told[2], "REQ#2 127.0.0.1 GET /a.bin [range: bytes=0-2] start");
    assert!(told[3].starts_with("REQ#2 GET done: reply 206 - 3 bytes in "), "{told:?}");
    assert!(told[3].ends_with(" mbps"), "{told:?}");
}

fn reqlog_with_a_dash_tells_no_ends(kind: Kind) {
    let mut command = Server::command(kind, &["--port", "auto", "--ifce", "127.0.0.1"]);
    let tree = Tree::new();
    tree.dir("www");
    // It holds regardless of what else is logged.
    command.args(["--rdirs", &tree.arg("www"), "--reqlog", "-*"]).env("RUST_LOG", "off");
    let server = Server::run(command);
    server.ask(&head("/a.bin")).status_is(404);
    let exit = server.stop();
    assert_eq!(exit.stderr, "REQ#1 127.0.0.1 HEAD /a.bin start\n");
}

fn reqlog_rec_tells_files_that_are_written(kind: Kind) {
    let site = Site::with(kind, &["--reqlog", "REC"]);
    site.ask(&put("/a.bin", "content")).status_is(201);
    let mut broken = site.client();
    broken.begin_upload(Request::new("PUT", "/b.bin").announce(10));
    broken.send("half");
    broken.abort();
    site.no_parts_left();
    let path = fs::canonicalize(site.tree.path("www")).expect("it is there");
    let exit = site.server.stop();
    let told: Vec<_> = exit.stderr.lines().filter(|line| line.starts_with("REC ")).collect();
    let path = path.display();
    let expected = [
        format!("REC {path}/a.bin start"),
        format!("REC {path}/a.bin done"),
        format!("REC {path}/b.bin start"),
        format!("REC {path}/b.bin aborted"),
    ];
    assert_eq!(told, expected, "{exit:?}");
}

fn reqlog_refuses_what_is_no_method(kind: Kind) {
    let exit = Server::fails(kind, &["--rdirs", "x", "--reqlog", "GTE"]);
    assert_eq!(exit.code, Some(2), "{exit:?}");
    assert!(exit.stderr.contains("did you mean GET"), "{exit:?}");
}

/// The counters, by name and labels.
#[track_caller]
fn counters(admin: SocketAddr) -> HashMap<String, f64> {
    let answer = Client::connect(admin).ask(&get("/metrics"));
    answer.status_is(200).field_is("content-type", "text/plain; version=0.0.4; charset=utf-8");
    let samples = answer.text();
    let samples = samples.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    samples.collect()
}

/// Waits until a counter is this.
#[track_caller]
fn counts(admin: SocketAddr, name: &str, value: f64) {
    until(&format!("{name} is {value}"), || {
        let counters = counters(admin);
        let found = counters.get(name).copied().unwrap_or(0.0);
        assert!(found <= value, "{name} is {found}");
        (found == value).then_some(())
    });
}

fn every_request_is_counted(kind: Kind) {
    let site = Site::with(kind, &["--admin", "127.0.0.1:0"]);
    let admin = site.server.admin();
    let mut client = site.client();
    client.ask(&put("/a.bin", "content")).status_is(201);
    for _ in 0..3 {
        client.ask(&get("/a.bin")).status_is(200);
    }
    client.ask(&get("/none")).status_is(404);
    site.server.refuses("GET / HTTP/1.1\r\nbad\r\n\r\n", 400);
    for (name, value) in [
        ("httpout_requests_total{method=\"PUT\",status=\"201\"}", 1.0),
        ("httpout_requests_total{method=\"GET\",status=\"200\"}", 3.0),
        ("httpout_requests_total{method=\"GET\",status=\"404\"}", 1.0),
        ("httpout_requests_total{method=\"\",status=\"400\"}", 1.0),
        ("httpout_request_duration_seconds_count", 6.0),
        ("httpout_received_bytes_total", 7.0),
        ("httpout_connections_accepted_total", 2.0),
        ("httpout_connections", 1.0),
        ("httpout_uploads_total{result=\"complete\"}", 1.0),
        ("httpout_aborted_total", 0.0),
    ] {
        if name == "httpout_connections" {
            until("the second connection is closed", || {
                (counters(admin)[name] == value).then_some(())
            });
        } else {
            counts(admin, name, value);
        }
    }
    assert!(counters(admin)["httpout_sent_bytes_total"] > 21.0);
}

fn an_upload_and_its_readers_are_counted(kind: Kind) {
    let site = Site::with(kind, &["--admin", "127.0.0.1:0"]);
    let admin = site.server.admin();
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.ts").chunked());
    upload.send_chunk("half");
    let mut readers: Vec<_> = (0..3).map(|_| site.client()).collect();
    for reader in &mut readers {
        reader.begin(&get("/a.ts")).status_is(200);
    }
    counts(admin, "httpout_uploads_in_progress", 1.0);
    counts(admin, "httpout_live_clients", 3.0);
    upload.abort();
    for mut reader in readers {
        let _ = reader.rest();
    }
    counts(admin, "httpout_uploads_total{result=\"aborted\"}", 1.0);
    counts(admin, "httpout_aborted_total", 4.0);
    let counters = counters(admin);
    assert_eq!(counters["httpout_uploads_in_progress"], 0.0);
    assert_eq!(counters["httpout_live_clients"], 0.0);
}

fn refused_connections_are_counted(kind: Kind) {
    let tree = Tree::new();
    tree.dir("www");
    let admin = ["--admin", "127.0.0.1:0", "--maxc", "1", "--rdirs", &tree.arg("www")];
    let server = Server::start(kind, &admin);
    let admin = server.admin();
    let mut first = server.client();
    first.ask(&get("/none")).status_is(404);
    server.client().response("GET").status_is(503).need("retry-after");
    counts(admin, "httpout_connections_refused_total", 1.0);
}

fn health_tells_of_a_directory_that_is_gone(kind: Kind) {
    let site = Site::with(kind, &["--admin", "127.0.0.1:0"]);
    let mut operator = Client::connect(site.server.admin());
    operator.ask(&get("/healthz")).is(200, "ok\n");
    operator.ask(&get("/readyz")).is(200, "ready\n");
    operator.ask(&head("/readyz")).status_is(200);
    fs::remove_dir_all(site.tree.path("www")).expect("removed");
    let answer = operator.ask(&get("/readyz"));
    answer.status_is(503);
    assert!(answer.text().contains("www was removed"), "{answer:?}");
    operator.ask(&get("/healthz")).is(200, "ok\n");
}

fn the_operators_address_serves_no_files(kind: Kind) {
    let site = Site::with(kind, &["--admin", "127.0.0.1:0", "--dlist"]);
    site.write("a.bin", "content");
    let mut operator = Client::connect(site.server.admin());
    for target in ["/", "/a.bin", "/metrics/x", "/.httpout/time"] {
        operator.ask(&get(target)).status_is(404);
    }
    operator.ask(&get("/metrics/")).status_is(200);
    operator.ask(&put("/metrics", "x")).status_is(405).field_is("allow", "GET, HEAD");
    site.ask(&get("/a.bin")).is(200, "content");
}

fn the_public_address_shows_no_counters(kind: Kind) {
    let site = Site::with(kind, &["--admin", "127.0.0.1:0"]);
    for target in ["/metrics", "/healthz", "/readyz"] {
        site.ask(&get(target)).status_is(404);
    }
}

fn the_operator_is_answered_beyond_maxc(kind: Kind) {
    let tree = Tree::new();
    tree.dir("www");
    let limits = ["--maxc", "1", "--maxp", "1", "--rdirs", &tree.arg("www")];
    let server = Server::start(kind, &[&["--admin", "127.0.0.1:0"][..], &limits].concat());
    let admin = server.admin();
    let mut first = server.client();
    first.ask(&get("/none")).status_is(404);
    let mut operators: Vec<_> = (0..5).map(|_| Client::connect(admin)).collect();
    for operator in &mut operators {
        operator.ask(&get("/healthz")).status_is(200);
    }
    server.client().response("GET").status_is(503);
}

fn clients_that_only_stay_connected_keep_no_probe_out(kind: Kind) {
    let tree = Tree::new();
    tree.dir("www");
    let server = Server::start(kind, &["--rdirs", &tree.arg("www"), "--admin", "127.0.0.1:0"]);
    // It asks again and again on one connection, so others go first.
    let mut probe = Client::connect(server.admin());
    let mut others = Vec::new();
    for number in 0..300 {
        let mut other = Client::connect(server.admin());
        match number % 3 {
            0 => {}
            1 => other.send("GET /metrics HTTP/1.1\r\nHost: "),
            _ => other.send(get("/metrics").bytes()),
        }
        others.push(other);
        if number % 10 == 0 {
            // Its answer proves that those before it were accepted too.
            let mut last = Client::connect(server.admin());
            last.ask(&get("/healthz")).status_is(200);
            others.push(last);
            probe.ask(&get("/healthz")).status_is(200);
        }
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        Client::connect(server.admin()).ask(&get(path)).status_is(200);
        probe.ask(&get(path)).status_is(200);
    }
    until("the silent ones are closed", || (server.descriptors() < 150).then_some(()));
    drop(others);
}

fn a_reload_is_counted(kind: Kind) {
    let tree = Tree::new();
    tree.write("rules.ini", "[www]\nru=$ALL\n");
    tree.dir("www");
    let server =
        Server::start(kind, &["--rdirs", &tree.arg("rules.ini"), "--admin", "127.0.0.1:0"]);
    let admin = server.admin();
    server.signal(Signal::HUP);
    counts(admin, "httpout_reloads_total{result=\"done\"}", 1.0);
    tree.write("rules.ini", "[www");
    server.signal(Signal::HUP);
    counts(admin, "httpout_reloads_total{result=\"failed\"}", 1.0);
    let exit = server.stop();
    assert!(exit.stderr.contains("rules.ini line 1"), "{exit:?}");
}
