//! A directory that is pushed while somebody writes into it.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::mpsc;

use httpout_tests::{Asked, Kind, Pusher, Scripted, Site, Tree, both, get, until};
use rustix::process::Signal;

#[cfg(feature = "tools")]
mod ffmpeg;

both! {
    a_file_is_uploaded_as_it_grows,
    several_files_grow_at_once,
    what_grows_holds_up_no_other,
    removals_and_renames_are_passed_on,
    what_is_there_is_uploaded_and_quit_ends_it,
    a_manifest_comes_after_what_it_names,
    a_writer_that_goes_back_is_followed,
    a_file_removed_before_its_end_is_dropped,
    a_lost_connection_loses_no_file,
    without_chunked_coding_a_file_is_sent_when_it_is_whole,
    a_refused_file_leaves_the_next_alone,
    without_ka_the_first_refusal_is_the_last,
    a_file_that_is_not_finished_is_told,
    a_directory_that_comes_back_is_followed_again,
    a_directory_that_is_made_later_is_waited_for,
}

/// A directory `in` that is pushed beneath `/live/` of a server.
struct Followed {
    pusher: Pusher,
    site: Site,
}

impl Followed {
    /// Returns when what happens is heard.
    #[track_caller]
    fn new(kind: Kind) -> Self {
        let site = Site::new(kind);
        site.tree.dir("in");
        let args = ["-i", &format!("{}/", site.tree.arg("in")), "-o", &site.server.url("/live/")];
        let mut pusher = Pusher::start(kind, &args);
        ready(&mut pusher, &site.tree);
        Self { pusher, site }
    }

    fn create(&self, name: &str) -> File {
        File::create(self.site.tree.path(&format!("in/{name}"))).expect("the file can be made")
    }

    /// Waits until the server has exactly what the directory has.
    #[track_caller]
    fn is_mirrored(&self) {
        let files = |dir: &str| {
            let names = self.site.tree.list().into_iter();
            names
                .filter(|name| !name.ends_with('/'))
                .filter_map(|name| {
                    let inner = name.strip_prefix(dir)?.to_owned();
                    Some((inner, self.site.tree.read(&name)?))
                })
                .collect::<Vec<_>>()
        };
        until("the server has what the directory has", || {
            (files("in/") == files("www/live/")).then_some(())
        });
    }

    /// Ends it; everything arrived.
    #[track_caller]
    fn ends(self) {
        self.pusher.signal(Signal::TERM);
        self.pusher.ok();
        self.site.no_parts_left();
    }
}

/// Waits until files that come are uploaded.
#[track_caller]
fn ready(pusher: &mut Pusher, tree: &Tree) {
    pusher.says("pushes");
    tree.write("in/ready", "1");
    pusher.says("stored");
    fs::remove_file(tree.path("in/ready")).expect("it can be removed");
    pusher.says("removed");
}

#[track_caller]
fn append(file: &mut File, data: impl AsRef<[u8]>) {
    file.write_all(data.as_ref()).expect("it can be written");
}

fn a_file_is_uploaded_as_it_grows(kind: Kind) {
    let mut followed = Followed::new(kind);
    let mut file = followed.create("seg.m4s");
    append(&mut file, "piece 0");
    let mut reader = followed.site.server.client();
    until("it is under way", || {
        reader = followed.site.server.client();
        (reader.begin(&get("/live/seg.m4s")).status == 200).then_some(())
    });
    assert_eq!(reader.content(7), b"piece 0");
    for number in 1..20 {
        let piece = format!("piece {number}");
        append(&mut file, &piece);
        assert_eq!(reader.content(piece.len()), piece.as_bytes());
    }
    drop(file);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    followed.pusher.says("stored");
    followed.is_mirrored();
    followed.ends();
}

fn several_files_grow_at_once(kind: Kind) {
    let followed = Followed::new(kind);
    let mut files: Vec<_> = (0..4).map(|n| followed.create(&format!("{n}.m4s"))).collect();
    let mut readers = Vec::new();
    for (number, file) in files.iter_mut().enumerate() {
        append(file, "first");
        readers.push(until("it is under way", || {
            let mut reader = followed.site.server.client();
            let head = reader.begin(&get(&format!("/live/{number}.m4s")));
            (head.status == 200).then_some(reader)
        }));
    }
    for (file, reader) in files.iter_mut().zip(&mut readers) {
        append(file, "second");
        assert_eq!(reader.content(11), b"firstsecond");
    }
    drop(files);
    followed.is_mirrored();
    followed.ends();
}

fn what_grows_holds_up_no_other(kind: Kind) {
    let mut followed = Followed::new(kind);
    // More than there are connections.
    let mut files: Vec<_> = (0..9).map(|n| followed.create(&format!("{n}.m4s"))).collect();
    files.iter_mut().for_each(|file| append(file, "begun"));
    followed.site.tree.write("in/a.mpd", "a manifest");
    followed.pusher.says("a.mpd, 10 bytes");
    files.iter_mut().for_each(|file| append(file, "ended"));
    drop(files);
    followed.is_mirrored();
    followed.ends();
}

fn removals_and_renames_are_passed_on(kind: Kind) {
    let followed = Followed::new(kind);
    let path = |name: &str| followed.site.tree.path(&format!("in/{name}"));
    followed.site.tree.write("in/a", "1");
    followed.site.tree.write("in/sub/b", "2");
    followed.is_mirrored();
    fs::rename(path("a"), path("c")).expect("it can be renamed");
    fs::remove_file(path("sub/b")).expect("it can be removed");
    followed.site.tree.write("in/d.tmp", "3");
    fs::rename(path("d.tmp"), path("d")).expect("it can be renamed");
    followed.is_mirrored();
    fs::write(path("d"), "replaced").expect("it can be written");
    followed.is_mirrored();
    followed.ends();
}

fn what_is_there_is_uploaded_and_quit_ends_it(kind: Kind) {
    let site = Site::new(kind);
    for number in 0..50 {
        site.tree.write(&format!("in/{}/{number}", number % 3), format!("{number}"));
    }
    site.tree.write("in/.hidden", "");
    let args = ["-i", &format!("{}/", site.tree.arg("in")), "-o", &site.server.url("/x")];
    let exit = Pusher::start(kind, &[&args[..], &["--quit"]].concat()).ok();
    assert!(exit.stdout.contains("50 stored"), "{exit:?}");
    for number in 0..50 {
        let stored = site.read(&format!("x/{}/{number}", number % 3));
        assert_eq!(stored, Some(number.to_string().into_bytes()));
    }
    assert!(!site.has("x/.hidden"));
}

/// Answers what it is asked when the test says so, in the order of the requests.
fn held(asked: &Asked) -> String {
    let _ = asked;
    "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".into()
}

fn a_manifest_comes_after_what_it_names(kind: Kind) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let server = Scripted::answering(move |asked| {
        if asked.line().contains("seg") {
            let _ = wait.lock().map(|wait| wait.recv());
        }
        held(asked)
    });
    let tree = Tree::new();
    tree.write("in/seg1.m4s", "1");
    tree.write("in/seg2.m4s", "2");
    tree.write("in/a.mpd", "m");
    let args = ["-i", &format!("{}/", tree.arg("in")), "-o", &server.url("/"), "--quit"];
    let mut pusher = Pusher::start(kind, &args);
    for _ in 0..2 {
        assert_eq!(server.rest().iter().filter(|asked| asked.line().contains("mpd")).count(), 0);
        go.send(()).expect("the server waits");
        pusher.says("stored");
    }
    assert!(pusher.says("stored").contains("a.mpd"));
    pusher.ok();
}

fn a_writer_that_goes_back_is_followed(kind: Kind) {
    let mut followed = Followed::new(kind);
    let mut file = followed.create("a.mp4");
    append(&mut file, "0123456789");
    until("it is under way", || {
        let mut reader = followed.site.server.client();
        (reader.begin(&get("/live/a.mp4")).status == 200).then_some(())
    });
    file.seek(SeekFrom::Start(2)).expect("a file can be sought");
    append(&mut file, "xx");
    drop(file);
    followed.pusher.says("a.mp4, 10 bytes");
    assert_eq!(followed.site.read("live/a.mp4").as_deref(), Some(&b"01xx456789"[..]));
    followed.pusher.signal(Signal::TERM);
    assert!(followed.pusher.ok().stderr.contains("went back"));
}

fn a_file_removed_before_its_end_is_dropped(kind: Kind) {
    let followed = Followed::new(kind);
    let mut file = followed.create("a.m4s");
    append(&mut file, "0123456789");
    let mut reader = until("it is under way", || {
        let mut reader = followed.site.server.client();
        (reader.begin(&get("/live/a.m4s")).status == 200).then_some(reader)
    });
    assert_eq!(reader.content(10), b"0123456789");
    fs::remove_file(followed.site.tree.path("in/a.m4s")).expect("it can be removed");
    assert!(reader.rest().is_err(), "the upload is not ended as if it were whole");
    followed.is_mirrored();
    followed.ends();
}

fn a_lost_connection_loses_no_file(kind: Kind) {
    let tree = Tree::new();
    for number in 0..30 {
        tree.write(&format!("in/{number}"), number.to_string());
    }
    // Every third request is left without an answer.
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (tell, told) = mpsc::channel();
    let server = Scripted::answering(move |asked| {
        if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 3 == 2 {
            return String::new();
        }
        let _ = tell.send((asked.line().to_owned(), asked.body.clone()));
        held(asked)
    });
    let args = ["-i", &format!("{}/", tree.arg("in")), "-o", &server.url("/"), "--quit"];
    let exit = Pusher::start(kind, &args).ok();
    assert!(exit.stdout.ends_with("30 stored, 50 bytes\n"), "{exit:?}");
    let mut got: Vec<_> = told.try_iter().collect();
    got.sort();
    let mut sent: Vec<_> =
        (0..30).map(|n| (format!("PUT /{n} HTTP/1.1"), n.to_string().into_bytes())).collect();
    sent.sort();
    assert_eq!(got, sent);
}

fn without_chunked_coding_a_file_is_sent_when_it_is_whole(kind: Kind) {
    let (tree, server) = (Tree::new(), Scripted::answering(held));
    tree.dir("in");
    let args = ["-i", &format!("{}/", tree.arg("in")), "-o", &server.url("/"), "--cte", "false"];
    let mut pusher = Pusher::start(kind, &args);
    ready(&mut pusher, &tree);
    server.rest();
    let mut file = File::create(tree.path("in/a.m4s")).expect("the file can be made");
    append(&mut file, "01234");
    append(&mut file, "56789");
    drop(file);
    pusher.says("a.m4s, 10 bytes");
    let asked = server.asked();
    assert!(asked.has("Content-Length: 10") && !asked.head.contains("chunked"), "{asked:?}");
    pusher.signal(Signal::TERM);
    pusher.ok();
}

fn refusing(asked: &Asked) -> String {
    if asked.line().contains("bad") {
        return "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".into();
    }
    held(asked)
}

fn a_refused_file_leaves_the_next_alone(kind: Kind) {
    let (tree, server) = (Tree::new(), Scripted::answering(refusing));
    tree.dir("in");
    let args = ["-i", &format!("{}/", tree.arg("in")), "-o", &server.url("/")];
    let mut pusher = Pusher::start(kind, &args);
    ready(&mut pusher, &tree);
    tree.write("in/bad", "1");
    pusher.says("/bad: 403");
    tree.write("in/good", "1");
    pusher.says("/good, 1 bytes");
    pusher.signal(Signal::TERM);
    pusher.exit().failed(&["rights"]);
}

fn without_ka_the_first_refusal_is_the_last(kind: Kind) {
    let (tree, server) = (Tree::new(), Scripted::answering(refusing));
    tree.write("in/bad", "1");
    let args = ["-i", &format!("{}/", tree.arg("in")), "-o", &server.url("/"), "--ka", "false"];
    Pusher::run(kind, &args).failed(&["/bad: 403"]);
}

fn a_file_that_is_not_finished_is_told(kind: Kind) {
    let site = Site::new(kind);
    site.tree.dir("in");
    let args = ["-i", &format!("{}/", site.tree.arg("in")), "-o", &site.server.url("/live/")];
    let mut pusher = Pusher::start(kind, &[&args[..], &["--grace", "0.1"]].concat());
    ready(&mut pusher, &site.tree);
    let mut file = File::create(site.tree.path("in/a.m4s")).expect("the file can be made");
    append(&mut file, "01234");
    until("it is under way", || {
        (site.server.client().begin(&get("/live/a.m4s")).status == 200).then_some(())
    });
    pusher.signal(Signal::TERM);
    pusher.exit().failed(&["/live/a.m4s", "called off"]);
    site.no_parts_left();
    assert!(!site.has("live/a.m4s"));
}

fn a_directory_that_comes_back_is_followed_again(kind: Kind) {
    let mut followed = Followed::new(kind);
    let dir = followed.site.tree.path("in");
    followed.site.tree.write("in/a", "1");
    followed.is_mirrored();
    fs::remove_dir_all(&dir).expect("it can be removed");
    until("the removal is passed on", || (!followed.site.has("live/a")).then_some(()));
    followed.pusher.says("is gone");
    fs::create_dir(&dir).expect("it can be made");
    followed.site.tree.write("in/b", "2");
    followed.is_mirrored();
    // What is served stays when the directory is only renamed.
    fs::rename(&dir, followed.site.tree.path("away")).expect("it can be renamed");
    followed.pusher.says("is gone");
    fs::create_dir(&dir).expect("it can be made");
    followed.site.tree.write("in/c", "3");
    until("it is uploaded", || followed.site.has("live/c").then_some(()));
    assert!(followed.site.has("live/b"));
    followed.ends();
}

fn a_directory_that_is_made_later_is_waited_for(kind: Kind) {
    let site = Site::new(kind);
    let args = ["-i", &format!("{}/", site.tree.arg("in")), "-o", &site.server.url("/live/")];
    let mut pusher = Pusher::start(kind, &[&args[..], &["--quit"]].concat());
    pusher.says("is not there");
    site.tree.write("new/a", "1");
    fs::rename(site.tree.path("new"), site.tree.path("in")).expect("it can be renamed");
    pusher.ok();
    assert!(site.has("live/a"));
}
