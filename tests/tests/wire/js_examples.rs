//! The example scripts of `contrib/js` do what they say.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use httpout_tests::{Kind, Ruled, Server, Tree, both, get, post, put, until};

both! {
    hello_answers_with_a_text,
    clock_answers_a_line_a_second,
    instead_sends_the_latest_upload,
    upload_counts_what_it_takes,
    slow_lets_nobody_have_more,
    services_answer_for_who_may,
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/js").join(name)
}

/// A server in a directory where `www` is, with this example.
fn run(kind: Kind, tree: &Tree, name: &str) -> Server {
    tree.write("www/a.txt", "a file");
    let script = example(name).display().to_string();
    let own = ["--port", "auto", "--ifce", "127.0.0.1", "--maxp", "0"];
    let args = ["--rdirs", "www", "--wdir", "www", "--js", &script];
    let mut command = Server::command(kind, &[&own[..], &args].concat());
    command.current_dir(tree.root());
    Server::run(command)
}

fn hello_answers_with_a_text(kind: Kind) {
    let tree = Tree::new();
    let server = run(kind, &tree, "hello.js");
    let mut client = server.client();
    for number in 1..3 {
        let answer = client.ask(&get("/hello"));
        answer.is(200, format!("Hello 127.0.0.1, this is request {number}.\n"));
        answer.field_is("Content-Type", "text/plain; charset=utf-8");
    }
    client.ask(&get("/a.txt")).is(200, "a file").field_is("X-Server", "a script");
}

fn clock_answers_a_line_a_second(kind: Kind) {
    let tree = Tree::new();
    let server = run(kind, &tree, "clock.js");
    let began = Instant::now();
    let mut client = server.client();
    client.patience(Duration::from_secs(60));
    let text = client.ask(&get("/clock")).text();
    assert_eq!(text.lines().count(), 10, "{text}");
    assert!(text.lines().all(|line| line.ends_with('Z') && line.len() == 24), "{text}");
    assert!(began.elapsed() >= Duration::from_secs(9));
    until("the end is told", || {
        server.ask(&get("/a.txt")).is(200, "a file");
        Some(())
    });
    assert!(server.stop().stderr.contains("all was sent"));
}

fn instead_sends_the_latest_upload(kind: Kind) {
    let tree = Tree::new();
    let server = run(kind, &tree, "instead.js");
    let mut client = server.client();
    client.ask(&get("/latest.mp4")).status_is(404);
    client.ask(&put("/films/1.mp4", "a film")).status_is(201);
    client.ask(&put("/films/2.mp4", "another film")).status_is(201);
    let latest = client.ask(&get("/latest.mp4"));
    latest.is(200, "another film").field_is("Content-Type", "video/mp4");
    latest.field_is("Cache-Control", "no-store");
}

fn upload_counts_what_it_takes(kind: Kind) {
    let tree = Tree::new();
    let server = run(kind, &tree, "upload.js");
    let mut client = server.client();
    client.ask(&put("/count", vec![0; 100_000])).is(200, "100000 bytes\n");
    client.ask(&post("/count", "four")).is(200, "4 bytes\n");
    client.ask(&put("/stored.txt", "four")).status_is(201);
    assert!(!tree.has("www/count") && tree.has("www/stored.txt"));
}

fn slow_lets_nobody_have_more(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/big.bin", vec![7; 150_000]);
    let server = run(kind, &tree, "slow.js");
    let began = Instant::now();
    server.ask(&get("/big.bin")).is(200, vec![7; 150_000]);
    // The last block is let go when those before it had their time.
    assert!(began.elapsed() >= Duration::from_millis(1390), "{:?}", began.elapsed());
}

fn services_answer_for_who_may(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/a.txt", "a file");
    let rules = "[www]\n[status]\nname=status\nru=bob\n";
    let script = example("services.js").display().to_string();
    let server = Ruled::over(tree, kind, rules, &["--js", &script]);
    let answer = server.ask(&get("/status/now").by("bob", "bob-secret"));
    answer.status_is(200).field_is("Content-Type", "application/json");
    let told: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(told["clients"], 1, "{told}");
    server.ask(&get("/status/now")).status_is(401);
    server.ask(&get("/status/now").by("alice", "alice-secret")).status_is(403);
    server.ask(&get("/status/other").by("bob", "bob-secret")).status_is(404);
    server.ask(&get("/a.txt")).is(200, "a file");
}
