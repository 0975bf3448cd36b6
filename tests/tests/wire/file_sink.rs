//! A directory that an encoder writes into, as an input of the file sink.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Deref;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use httpout_tests::{Kind, Server, Tree, both, get, put, until};

#[cfg(feature = "tools")]
mod ffmpeg;
#[cfg(feature = "tools")]
mod root;

both! {
    a_growing_file_is_read_as_it_is_written,
    a_growing_file_is_read_where_it_is_served,
    a_growing_file_is_read_from_memory,
    several_files_grow_at_once,
    a_closed_range_waits_for_its_bytes,
    a_file_is_whole_when_its_writer_is_killed,
    a_manifest_that_is_rewritten_is_never_seen_half,
    a_manifest_that_is_rewritten_where_it_is_served_is_never_seen_half,
    a_manifest_is_replaced_where_it_is_served,
    renames_and_removals_are_passed_on,
    a_removed_file_is_cut,
    directories_come_and_go,
    what_is_there_at_the_start_is_served,
    an_end_of_the_server_leaves_nothing_behind,
    the_server_ends_with_its_input,
    a_directory_that_comes_back_is_followed_again,
    a_directory_that_comes_back_is_followed_where_it_is_served,
    a_directory_that_is_made_later_is_waited_for,
    a_directory_needs_somewhere_to_go,
}

/// A server that follows `in` into its first read directory.
struct Sink {
    server: Server,
    tree: Tree,
    /// Its first read directory.
    out: String,
}

impl Deref for Sink {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Sink {
    #[track_caller]
    fn new(kind: Kind) -> Self {
        Self::over(Tree::new(), kind, "out", &[])
    }

    /// Into this directory, or `gmem`; returns when what happens is heard.
    #[track_caller]
    fn over(tree: Tree, kind: Kind, out: &str, more: &[&str]) -> Self {
        tree.dir("in");
        let input = format!("{}/", tree.arg("in"));
        let rdir = if out == "gmem" { out.to_owned() } else { tree.arg(out) };
        let args = ["-i", &input, "--rdirs", &rdir, "--maxc", "0", "--maxp", "0"];
        let more = &[&["--admin", "127.0.0.1:0"], more].concat()[..];
        let server = Server::start(kind, &[&args, more].concat());
        let sink = Self { server, tree, out: out.to_owned() };
        let mut file = sink.create("ready");
        until("the directory is followed", || {
            append(&mut file, "1");
            let mut client = sink.client();
            client.send(get("/ready").bytes());
            let head = client.head("GET");
            head.lists("transfer-encoding", "chunked").then_some(())
        });
        drop(file);
        sink.remove("ready");
        sink.lacks("/ready");
        sink
    }

    fn create(&self, name: &str) -> File {
        File::create(self.tree.path(&format!("in/{name}"))).expect("the file can be made")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        self.tree.write(&format!("in/{name}"), content);
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.tree.path(&format!("in/{name}"))).expect("it can be removed");
    }

    fn rename(&self, from: &str, to: &str) {
        let path = |name| self.tree.path(&format!("in/{name}"));
        fs::rename(path(from), path(to)).expect("it can be renamed");
    }

    /// Waits until this is served, complete.
    #[track_caller]
    fn serves(&self, path: &str, content: &[u8]) {
        until(path, || {
            let mut client = self.client();
            let head = client.begin(&get(path));
            let whole = head.status == 200 && head.get("content-length").is_some();
            (whole && client.rest().as_deref() == Ok(content)).then_some(())
        });
    }

    #[track_caller]
    fn lacks(&self, path: &str) {
        until(path, || (self.client().begin(&get(path)).status == 404).then_some(()));
    }

    /// Waits until what is served is what was written.
    #[track_caller]
    fn is_all_there(&self) {
        until("all that is written is served", || {
            (self.files(&self.out) == self.files("in")).then_some(())
        });
        for (name, content) in self.files("in") {
            self.ask(&get(&format!("/{name}"))).is(200, content);
        }
    }

    /// The files in a directory.
    fn files(&self, dir: &str) -> BTreeMap<String, Vec<u8>> {
        let dir = format!("{dir}/");
        let names = self.tree.list();
        let names = names.iter().filter(|name| !name.ends_with('/'));
        names
            .filter_map(|name| Some((name.strip_prefix(&dir)?.to_owned(), self.tree.read(name)?)))
            .collect()
    }
}

#[track_caller]
fn append(file: &mut File, data: impl AsRef<[u8]>) {
    file.write_all(data.as_ref()).expect("it can be written");
}

/// Writes a file piece by piece, each one when the one before was read.
#[track_caller]
fn grows(sink: &Sink) {
    let mut file = sink.create("seg.m4s");
    append(&mut file, b"piece 0");
    let mut reader = sink.client();
    until("it is in progress", || {
        reader = sink.client();
        let head = reader.begin(&get("/seg.m4s"));
        (head.status == 200 && head.lists("transfer-encoding", "chunked")).then_some(())
    });
    assert_eq!(reader.content(7), b"piece 0");
    for i in 1..50 {
        let piece = format!("piece {i} {}", "x".repeat(i * i * 10));
        append(&mut file, piece.as_bytes());
        assert_eq!(reader.content(piece.len()), piece.as_bytes());
    }
    drop(file);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    let whole = sink.tree.read("in/seg.m4s").expect("it was written");
    reader.ask(&get("/seg.m4s")).is(200, whole).need("content-length");
}

fn a_growing_file_is_read_as_it_is_written(kind: Kind) {
    let sink = Sink::new(kind);
    grows(&sink);
    sink.is_all_there();
}

fn a_growing_file_is_read_where_it_is_served(kind: Kind) {
    let sink = Sink::over(Tree::new(), kind, "in", &[]);
    grows(&sink);
    assert_eq!(sink.tree.list(), ["in/", "in/seg.m4s"], "nothing is copied");
}

fn a_growing_file_is_read_from_memory(kind: Kind) {
    let sink = Sink::over(Tree::new(), kind, "gmem", &[]);
    grows(&sink);
    assert_eq!(sink.tree.list(), ["in/", "in/seg.m4s"], "nothing is copied to the disk");
}

fn several_files_grow_at_once(kind: Kind) {
    let sink = Sink::new(kind);
    let names: Vec<_> = (0..8).map(|i| format!("track{i}.cmfv")).collect();
    let mut files: Vec<_> = names.iter().map(|name| sink.create(name)).collect();
    let mut readers: Vec<_> = names
        .iter()
        .map(|name| {
            until(name, || {
                let mut client = sink.client();
                client.send(get(&format!("/{name}")).bytes());
                // An answer to what is there begins with its first byte.
                let waits = sink.files("out").keys().any(|name| name.starts_with(".httpout-"));
                waits.then_some(client)
            })
        })
        .collect();
    for round in 0..10_u8 {
        for (file, size) in files.iter_mut().zip([1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 3])
        {
            append(file, vec![round; size]);
        }
    }
    drop(files);
    sink.is_all_there();
    for (reader, name) in readers.iter_mut().zip(&names) {
        let answer = reader.response("GET");
        if answer.status == 200 {
            assert!(Some(answer.body) == sink.tree.read(&format!("in/{name}")), "{name}");
        } else {
            // It asked before the file was heard of.
            answer.status_is(404);
        }
    }
}

fn a_closed_range_waits_for_its_bytes(kind: Kind) {
    let sink = Sink::new(kind);
    let mut file = sink.create("a.m4s");
    append(&mut file, b"0123");
    until("it is in progress", || {
        let answer = sink.ask(&get("/a.m4s").field("Range", "bytes=0-1"));
        (answer.status == 206 && answer.body == b"01").then_some(())
    });
    let mut reader = sink.client();
    reader.send(get("/a.m4s").field("Range", "bytes=2-5").bytes());
    append(&mut file, b"456789");
    reader.response("GET").is(206, "2345");
}

fn a_file_is_whole_when_its_writer_is_killed(kind: Kind) {
    let sink = Sink::new(kind);
    let file = sink.create("live.ts");
    let mut encoder =
        Command::new("cat").stdin(Stdio::piped()).stdout(file).spawn().expect("the tests need cat");
    let mut pipe = encoder.stdin.take().expect("a pipe");
    pipe.write_all(&[7; 100_000]).expect("cat reads");
    let mut reader = sink.client();
    until("it is in progress", || {
        reader = sink.client();
        (reader.begin(&get("/live.ts")).status == 200).then_some(())
    });
    assert!(reader.content(100_000) == [7; 100_000]);
    encoder.kill().expect("it runs");
    encoder.wait().expect("it can be waited for");
    assert_eq!(reader.rest(), Ok(Vec::new()));
    sink.serves("/live.ts", &[7; 100_000]);
    sink.is_all_there();
}

#[track_caller]
fn is_rewritten(sink: &Sink) {
    let version = |number: usize| format!("#EXTM3U {number}\n{}#END\n", "line\n".repeat(number));
    let complete = || sink.counter("httpout_uploads_total{result=\"complete\"}");
    for number in 0..20 {
        let (before, text) = (complete(), version(number));
        let (first, second) = text.split_at(text.len() / 2);
        let mut file = sink.create("p.m3u8");
        append(&mut file, first);
        until("it is in progress", || {
            (sink.counter("httpout_uploads_in_progress") == 1).then_some(())
        });
        for _ in 0..5 {
            if let Some(before) = number.checked_sub(1) {
                sink.ask(&get("/p.m3u8")).is(200, version(before));
            }
        }
        append(&mut file, second);
        drop(file);
        until("it is whole", || (complete() > before).then_some(()));
        sink.ask(&get("/p.m3u8")).is(200, text);
    }
}

fn a_manifest_that_is_rewritten_is_never_seen_half(kind: Kind) {
    is_rewritten(&Sink::new(kind));
}

fn a_manifest_that_is_rewritten_where_it_is_served_is_never_seen_half(kind: Kind) {
    is_rewritten(&Sink::over(Tree::new(), kind, "in", &[]));
}

fn a_manifest_is_replaced_where_it_is_served(kind: Kind) {
    let tree = Tree::new();
    let input = tree.arg("in");
    let sink = Sink::over(tree, kind, "in", &["--wdir", &input]);
    sink.write("p.m3u8", "one");
    sink.serves("/p.m3u8", b"one");
    // At once, and though the old one is held.
    for version in ["two", "three"] {
        sink.ask(&put("/p.m3u8", version)).status_is(200);
        sink.ask(&get("/p.m3u8")).is(200, version);
    }
    sink.write("q.tmp", "four");
    sink.rename("q.tmp", "p.m3u8");
    sink.ask(&get("/p.m3u8")).is(200, "four");
    sink.remove("p.m3u8");
    sink.lacks("/p.m3u8");
    // One that is too large to be held.
    sink.write("p.m3u8", vec![b'#'; 5 << 20]);
    sink.serves("/p.m3u8", &vec![b'#'; 5 << 20]);
}

fn renames_and_removals_are_passed_on(kind: Kind) {
    let sink = Sink::new(kind);
    for version in ["one", "two"] {
        sink.write("a.mpd.tmp", version);
        sink.rename("a.mpd.tmp", "a.mpd");
        sink.serves("/a.mpd", version.as_bytes());
    }
    sink.ask(&get("/a.mpd.tmp")).status_is(404);
    sink.rename("a.mpd", "b.mpd");
    sink.serves("/b.mpd", b"two");
    sink.lacks("/a.mpd");
    sink.remove("b.mpd");
    sink.lacks("/b.mpd");
    sink.is_all_there();
}

fn a_removed_file_is_cut(kind: Kind) {
    let sink = Sink::new(kind);
    let mut file = sink.create("a.m4s");
    append(&mut file, b"12");
    let mut reader = sink.client();
    until("it is in progress", || {
        reader = sink.client();
        (reader.begin(&get("/a.m4s")).status == 200).then_some(())
    });
    assert_eq!(reader.content(2), b"12");
    sink.remove("a.m4s");
    reader.rest().expect_err("it was never whole");
    sink.lacks("/a.m4s");
    sink.is_all_there();
}

fn directories_come_and_go(kind: Kind) {
    let sink = Sink::new(kind);
    sink.write("d/e/a.m4s", "one");
    sink.serves("/d/e/a.m4s", b"one");
    sink.rename("d", "f");
    sink.serves("/f/e/a.m4s", b"one");
    sink.lacks("/d/e/a.m4s");
    sink.write("f/e/b.m4s", "two");
    sink.serves("/f/e/b.m4s", b"two");
    sink.is_all_there();
    fs::remove_dir_all(sink.tree.path("in/f")).expect("it can be removed");
    sink.lacks("/f/e/a.m4s");
    sink.is_all_there();
}

fn what_is_there_at_the_start_is_served(kind: Kind) {
    let tree = Tree::new();
    let content: Vec<u8> = (0..5_000_000_u32).map(|i| (i / 7) as u8).collect();
    tree.write("in/d/film.mp4", &content);
    tree.write("in/p.m3u8", "#EXTM3U\n");
    tree.write("in/.secret", "no");
    let sink = Sink::over(tree, kind, "out", &[]);
    sink.serves("/p.m3u8", b"#EXTM3U\n");
    sink.serves("/d/film.mp4", &content);
    assert!(!sink.tree.has("out/.secret"));
}

fn an_end_of_the_server_leaves_nothing_behind(kind: Kind) {
    let sink = Sink::new(kind);
    let mut file = sink.create("a.m4s");
    append(&mut file, b"12");
    until("it is in progress", || (!sink.tree.parts().is_empty()).then_some(()));
    let Sink { server, tree, .. } = sink;
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(tree.parts(), [""; 0]);
    drop(file);
    // What became of it meanwhile is served by the next one.
    let sink = Sink::over(tree, kind, "out", &[]);
    sink.serves("/a.m4s", b"12");
    sink.is_all_there();
}

fn the_server_ends_with_its_input(kind: Kind) {
    let Sink { server, tree, .. } = Sink::over(Tree::new(), kind, "out", &["--quit"]);
    fs::rename(tree.path("in"), tree.path("away")).expect("it can be renamed");
    assert_eq!(server.exit().code, Some(0));
}

/// Removes the directory, and renames it away; each time it is made again.
#[track_caller]
fn comes_back(sink: Sink) {
    for name in ["a.m4s", "b.m4s"] {
        let mut file = sink.create(name);
        append(&mut file, "12");
        let mut reader = sink.client();
        until("it is in progress", || {
            reader = sink.client();
            let head = reader.begin(&get(&format!("/{name}")));
            (head.status == 200 && head.get("content-length").is_none()).then_some(())
        });
        let dir = sink.tree.path("in");
        if name == "a.m4s" {
            fs::remove_dir_all(&dir).expect("it can be removed");
        } else {
            fs::rename(&dir, sink.tree.path("away")).expect("it can be renamed");
        }
        assert!(reader.rest().is_err(), "it seems whole");
        fs::create_dir(&dir).expect("it can be made");
        sink.write("new.m4s", name);
        sink.serves("/new.m4s", name.as_bytes());
        // What is written from now on is seen to grow. A file that was there before the directory
        // is followed again counts as whole, so that another one is tried then.
        let mut tries = 0;
        let (file, path) = until("what is written is seen to grow", || {
            tries += 1;
            let name = format!("growing{tries}.m4s");
            let mut file = sink.create(&name);
            append(&mut file, "12");
            let path = format!("/{name}");
            let grows = (0..100).any(|_| {
                thread::sleep(Duration::from_millis(10));
                let head = sink.client().begin(&get(&path));
                head.status == 200 && head.get("content-length").is_none()
            });
            grows.then_some((file, path))
        });
        drop(file);
        sink.serves(&path, b"12");
    }
    let said = sink.server.stop().stderr;
    assert_eq!(said.matches("/in/ is gone").count(), 2, "{said}");
    assert_eq!(said.matches("it is followed").count(), 2, "{said}");
}

fn a_directory_that_comes_back_is_followed_again(kind: Kind) {
    comes_back(Sink::new(kind));
}

fn a_directory_that_comes_back_is_followed_where_it_is_served(kind: Kind) {
    comes_back(Sink::over(Tree::new(), kind, "in", &[]));
}

fn a_directory_that_is_made_later_is_waited_for(kind: Kind) {
    let tree = Tree::new();
    let input = format!("{}/", tree.arg("in"));
    let args = ["-i", &input, "--rdirs", &tree.arg("out"), "--quit"];
    let server = Server::start(kind, &args);
    tree.dir("in");
    tree.write("in/a.m4s", "one");
    until("it is served", || (server.client().begin(&get("/a.m4s")).status == 200).then_some(()));
    fs::remove_dir_all(tree.path("in")).expect("it can be removed");
    let exit = server.exit();
    assert_eq!(exit.code, Some(0));
    let missing = format!("{}/", tree.arg("none/in"));
    let exit =
        Server::fails(kind, &["--port", "auto", "-i", &missing, "--rdirs", &tree.arg("out")]);
    assert!(exit.stderr.contains("cannot be read"), "{}", exit.stderr);
}

fn a_directory_needs_somewhere_to_go(kind: Kind) {
    let tree = Tree::new();
    tree.dir("in");
    let exit = Server::fails(kind, &["--port", "auto", "-i", &format!("{}/", tree.arg("in"))]);
    assert!(exit.stderr.contains("--rdirs"), "{}", exit.stderr);
    tree.write("file", "");
    let file = format!("{}/", tree.arg("file"));
    let exit = Server::fails(kind, &["--port", "auto", "-i", &file, "--rdirs", &tree.arg("out")]);
    assert!(exit.stderr.contains("file/"), "{}", exit.stderr);
}
