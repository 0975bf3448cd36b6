use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::symlink,
    thread,
    time::Duration,
};

use event_listener::Event;
use httpout_proto::Config;

use super::*;
use crate::{files::tests::Scratch, server::Options};

/// Longer than anything takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that follows `in` into `out` below `live`, or in place if both are the same.
struct Rig {
    scratch: Scratch,
    shared: Arc<Shared>,
    input: PathBuf,
    output: PathBuf,
    under: &'static str,
}

impl Rig {
    fn new() -> Self {
        Self::with("in", "out", "live")
    }

    fn in_place() -> Self {
        Self::with("in", "in", "")
    }

    fn with(input: &str, output: &str, under: &'static str) -> Self {
        let scratch = Scratch::new();
        let (input, output) = (scratch.path().join(input), scratch.path().join(output));
        fs::create_dir(&input).unwrap();
        let mut config = Config::default();
        config.read_dirs = vec![output.clone()];
        config.record = true;
        let shared = Shared::new(config, Options::default()).unwrap();
        Self { scratch, shared, input, output, under }
    }

    /// Does this while the directory is followed; then the server is shut down.
    fn run(&self, test: impl FnOnce() + Send) {
        thread::scope(|scope| {
            let following = scope.spawn(|| self.follow());
            // Shut down also where the test fails.
            let _shut_down = ShutDown(&self.shared);
            self.ready();
            scope.spawn(test).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            self.shared.shut_down();
            following.join().unwrap().unwrap();
        });
    }

    /// Waits until events are heard: what was made before is taken for whole.
    fn ready(&self) {
        let mut file = self.create("ready");
        until("ready", || {
            file.write_all(b"1").unwrap();
            self.try_growing("ready")
        });
        drop(file);
        fs::remove_file(self.input.join("ready")).unwrap();
        self.lacks("ready");
    }

    fn follow(&self) -> Result<(), FollowError> {
        let under = RelPath::new(self.under).unwrap();
        future::block_on(follow(&self.shared, &self.input, &under, &sleep))
    }

    fn key(&self, name: &str) -> PathBuf {
        fs::canonicalize(&self.output).unwrap().join(self.under).join(name)
    }

    /// Waits until a resource is in progress; its file and its length.
    fn growing(&self, name: &str) -> (File, u64) {
        until(name, || self.try_growing(name))
    }

    fn try_growing(&self, name: &str) -> Option<(File, u64)> {
        let (file, growth) = self.shared.in_progress(&self.key(name))?;
        Some((File::from(file.try_clone().unwrap()), growth.len))
    }

    /// Waits until so many bytes are announced of a resource in progress, and reads them.
    fn grown(&self, name: &str, len: usize) -> Vec<u8> {
        let (mut file, _) =
            until(name, || self.try_growing(name).filter(|(_, grown)| *grown == len as u64));
        let mut content = vec![0; len];
        file.rewind().unwrap();
        file.read_exact(&mut content).unwrap();
        content
    }

    fn served(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.output.join(self.under).join(name)).ok()
    }

    /// Waits until this is served, complete.
    fn serves(&self, name: &str, content: &[u8]) {
        until(name, || {
            let whole = self.try_growing(name).is_none();
            (whole && self.served(name).as_deref() == Some(content)).then_some(())
        });
    }

    fn lacks(&self, name: &str) {
        until(name, || {
            (self.try_growing(name).is_none() && self.served(name).is_none()).then_some(())
        });
    }

    fn create(&self, name: &str) -> File {
        File::create(self.input.join(name)).unwrap()
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.input.join(name), content).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.input.join(from), self.input.join(to)).unwrap();
    }
}

struct ShutDown<'a>(&'a Shared);

impl Drop for ShutDown<'_> {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

fn until<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = holds() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: it did not come");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A timer, by a thread of its own.
async fn sleep(until: Instant) {
    let rung = Arc::new(Event::new());
    let listener = rung.listen();
    thread::spawn(move || {
        thread::sleep(until.saturating_duration_since(Instant::now()));
        rung.notify(usize::MAX);
    });
    listener.await;
}

/// All files below a directory.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                dirs.push(entry.path());
            } else {
                let path = entry.path().strip_prefix(dir).unwrap().to_owned();
                // Part files come and go.
                all.extend(fs::read(entry.path()).ok().map(|content| (path, content)));
            }
        }
    }
    all
}

fn both(test: impl Fn(&Rig)) {
    test(&Rig::new());
    test(&Rig::in_place());
}

#[test]
fn a_file_is_served_as_it_grows() {
    both(|rig| {
        rig.run(|| {
            let mut first = rig.create("a.m4s");
            let mut second = rig.create("b.m4s");
            rig.growing("a.m4s");
            for round in 1..=20_usize {
                first.write_all(&[1; 1000]).unwrap();
                second.write_all(&[2; 70_000]).unwrap();
                assert_eq!(rig.grown("a.m4s", round * 1000), vec![1; round * 1000]);
                assert_eq!(rig.grown("b.m4s", round * 70_000), vec![2; round * 70_000]);
            }
            drop(first);
            rig.serves("a.m4s", &[1; 20_000]);
            assert!(rig.try_growing("b.m4s").is_some(), "another file is still open");
            drop(second);
            rig.serves("b.m4s", &[2; 1_400_000]);
        });
    });
}

#[test]
fn what_is_there_at_the_start_is_served_and_not_copied_twice() {
    let rig = Rig::new();
    fs::create_dir_all(rig.input.join("d/e")).unwrap();
    rig.write("a", b"one");
    rig.write("d/e/b", &[7; 3_000_000]);
    rig.write("d/.hidden", b"no");
    rig.run(|| {
        rig.serves("a", b"one");
        rig.serves("d/e/b", &[7; 3_000_000]);
    });
    // What is known by its length and time is left alone.
    let copy = rig.output.join("live/a");
    let time = fs::metadata(rig.input.join("a")).unwrap().modified().unwrap();
    fs::write(&copy, "ONE").unwrap();
    File::options().write(true).open(&copy).unwrap().set_modified(time).unwrap();
    rig.write("d/e/b", b"another");
    let again = Rig { shared: renewed(&rig), scratch: Scratch::new(), ..rig };
    again.run(|| again.serves("d/e/b", b"another"));
    assert_eq!(again.served("a").unwrap(), b"ONE");
    assert!(again.served("d/.hidden").is_none());
}

/// The server, started again.
fn renewed(rig: &Rig) -> Arc<Shared> {
    let config = rig.shared.site().config().clone();
    Shared::new(config, Options::default()).unwrap()
}

#[test]
fn renames_and_removals_are_passed_on() {
    both(|rig| {
        rig.run(|| {
            rig.write("a.mpd.tmp", b"manifest");
            rig.rename("a.mpd.tmp", "a.mpd");
            rig.serves("a.mpd", b"manifest");
            rig.write("a.mpd.tmp", b"another");
            rig.rename("a.mpd.tmp", "a.mpd");
            rig.serves("a.mpd", b"another");
            rig.rename("a.mpd", "b.mpd");
            rig.serves("b.mpd", b"another");
            rig.lacks("a.mpd");
            fs::remove_file(rig.input.join("b.mpd")).unwrap();
            rig.lacks("b.mpd");
            // Out of the directory, and in.
            rig.write("c", b"three");
            rig.serves("c", b"three");
            let outside = rig.scratch.path().join("c");
            fs::rename(rig.input.join("c"), &outside).unwrap();
            rig.lacks("c");
            fs::rename(&outside, rig.input.join("d")).unwrap();
            rig.serves("d", b"three");
            // While it is written.
            let mut open = rig.create("e");
            open.write_all(b"12").unwrap();
            rig.growing("e");
            fs::remove_file(rig.input.join("e")).unwrap();
            rig.lacks("e");
        });
    });
}

#[test]
fn directories_come_and_go() {
    both(|rig| {
        rig.run(|| {
            fs::create_dir_all(rig.input.join("x/y")).unwrap();
            let mut open = rig.create("x/y/a");
            open.write_all(b"12").unwrap();
            assert_eq!(rig.grown("x/y/a", 2), b"12");
            open.write_all(b"3").unwrap();
            drop(open);
            rig.serves("x/y/a", b"123");
            rig.rename("x", "z");
            rig.serves("z/y/a", b"123");
            rig.lacks("x/y/a");
            rig.write("z/y/b", b"new");
            rig.serves("z/y/b", b"new");
            fs::remove_dir_all(rig.input.join("z")).unwrap();
            rig.lacks("z/y/a");
            rig.lacks("z/y/b");
            fs::create_dir(rig.input.join("z")).unwrap();
            rig.write("z/c", b"again");
            rig.serves("z/c", b"again");
        });
    });
}

#[test]
fn a_new_version_takes_the_place_of_the_old() {
    let rig = Rig::new();
    rig.run(|| {
        rig.write("a.m3u8", b"the first version");
        rig.serves("a.m3u8", b"the first version");
        let mut open = rig.create("a.m3u8");
        open.write_all(b"the").unwrap();
        assert_eq!(rig.grown("a.m3u8", 3), b"the");
        assert_eq!(rig.served("a.m3u8").unwrap(), b"the first version");
        // Cut, and written otherwise.
        open.set_len(0).unwrap();
        open.rewind().unwrap();
        assert_eq!(rig.grown("a.m3u8", 0), b"");
        open.write_all(b"a second version").unwrap();
        assert_eq!(rig.grown("a.m3u8", 16), b"a second version");
        // The writer goes back, as one does that knows a length only at the end.
        open.rewind().unwrap();
        open.write_all(b"A").unwrap();
        drop(open);
        rig.serves("a.m3u8", b"A second version");
    });
}

#[test]
fn only_regular_files_within_are_served() {
    let rig = Rig::new();
    fs::write(rig.scratch.path().join("secret"), "secret").unwrap();
    fs::create_dir(rig.scratch.path().join("elsewhere")).unwrap();
    fs::write(rig.scratch.path().join("elsewhere/secret"), "secret").unwrap();
    symlink("../elsewhere", rig.input.join("before")).unwrap();
    rig.run(|| {
        symlink("../secret", rig.input.join("link")).unwrap();
        symlink("../elsewhere", rig.input.join("dir")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            rig.input.join("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o666),
            0,
        )
        .unwrap();
        fs::write(rig.scratch.path().join("elsewhere/secret"), "again").unwrap();
        rig.write("last", b"1");
        rig.serves("last", b"1");
    });
    assert_eq!(tree(&rig.output).len(), 1, "{:?}", tree(&rig.output).keys());
}

#[test]
fn what_cannot_be_written_is_given_up_and_the_next_is_served() {
    let rig = Rig::new();
    fs::create_dir_all(rig.output.join("live/a")).unwrap();
    rig.run(|| {
        let mut open = rig.create("a");
        open.write_all(b"1").unwrap();
        rig.write("b", b"2");
        rig.serves("b", b"2");
        open.write_all(b"3").unwrap();
        drop(open);
        rig.write("c", b"4");
        rig.serves("c", b"4");
        fs::remove_dir(rig.output.join("live/a")).unwrap();
        rig.write("a", b"5");
        rig.serves("a", b"5");
    });
}

#[test]
fn many_files_arrive_as_they_are() {
    let rig = Rig::new();
    rig.run(|| {
        for round in 0..3 {
            for name in 0..200_u8 {
                let content = vec![name; 100 * (usize::from(name) + round)];
                rig.write(&format!("{name}.tmp"), &content);
                rig.rename(&format!("{name}.tmp"), &format!("{name}.m4s"));
            }
        }
        rig.write("last", b"");
        rig.serves("last", b"");
        until("all", || (tree(&rig.output.join("live")) == tree(&rig.input)).then_some(()));
    });
    assert_eq!(tree(&rig.input).len(), 201);
}

#[test]
fn it_is_over_when_the_directory_is_gone_and_the_server_is_to_quit() {
    let rig = Rig::new();
    let config = rig.shared.site().config().clone();
    let options = Options { quit: true, ..Options::default() };
    let rig = Rig { shared: Shared::new(config, options).unwrap(), ..rig };
    rig.write("a", b"1");
    thread::scope(|scope| {
        let following = scope.spawn(|| rig.follow());
        let _shut_down = ShutDown(&rig.shared);
        rig.serves("a", b"1");
        fs::remove_dir_all(&rig.input).unwrap();
        following.join().unwrap().unwrap();
    });
    assert!(rig.served("a").is_none());
}

#[test]
fn what_is_in_progress_when_the_server_ends_is_given_up() {
    both(|rig| {
        let mut open = None;
        rig.run(|| {
            let mut file = rig.create("a");
            file.write_all(b"12").unwrap();
            rig.grown("a", 2);
            open = Some(file);
        });
        assert!(rig.try_growing("a").is_none());
    });
}

#[test]
fn a_directory_is_not_copied_into_itself() {
    let rig = Rig::with("in", "in/out", "");
    let error = rig.follow().unwrap_err().to_string();
    assert!(error.contains("into itself"), "{error}");
    // The other way round there is an end to it.
    let rig = Rig::with("in", "in", "live");
    fs::create_dir(rig.input.join("live")).unwrap();
    assert!(rig.follow().is_err());
    let scratch = Scratch::new();
    let input = scratch.path().join("www/in");
    fs::create_dir_all(&input).unwrap();
    let rig = Rig { input, output: scratch.path().join("www"), under: "", ..Rig::new() };
    let mut config = Config::default();
    config.read_dirs = vec![rig.output.clone()];
    config.record = true;
    let shared = Shared::new(config, Options::default()).unwrap();
    let rig = Rig { shared, ..rig };
    rig.run(|| {
        rig.write("a", b"1");
        until("a", || (fs::read(rig.output.join("a")).ok()? == b"1").then_some(()));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn where_events_were_lost_all_is_looked_at() {
    let rig = Rig::new();
    rig.write("old", b"1");
    let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let most: usize = most.trim().parse().unwrap();
    let news = future::block_on(async {
        let mut watch = Watch::begin(&rig.input).await.unwrap();
        assert_eq!(watch.next().await.unwrap().unwrap().len(), 1);
        // More than are read ahead.
        for _ in 0..most {
            rig.rename("old", "new");
            rig.rename("new", "old");
        }
        fs::create_dir(rig.input.join("d")).unwrap();
        rig.write("d/a", b"2");
        let mut all = Vec::new();
        while !all.contains(&News::Looked) {
            all.extend(watch.next().await.unwrap().unwrap());
        }
        all
    });
    let lost = news.iter().position(|news| *news == News::Lost).unwrap();
    for name in ["old", "d/a"] {
        let path = RelPath::new(name).unwrap();
        assert!(news[lost..].contains(&News::File(path, FileEvent::Found)), "{name}");
    }
}

#[test]
fn a_directory_that_comes_back_is_followed_again() {
    both(|rig| {
        rig.run(|| {
            rig.write("a.m4s", b"one");
            rig.serves("a.m4s", b"one");
            let away = rig.scratch.path().join("away");
            for round in 0..2 {
                let mut open = rig.create("b.m4s");
                open.write_all(b"half").unwrap();
                rig.grown("b.m4s", 4);
                if round == 0 {
                    fs::rename(&rig.input, &away).unwrap();
                } else {
                    fs::remove_dir_all(&rig.input).unwrap();
                }
                fs::create_dir(&rig.input).unwrap();
                until("it is given up", || rig.try_growing("b.m4s").is_none().then_some(()));
                rig.ready();
                rig.write("c.m4s", b"three");
                rig.serves("c.m4s", b"three");
            }
        });
    });
}

#[test]
fn a_directory_that_is_made_later_is_waited_for() {
    let rig = Rig::new();
    fs::remove_dir(&rig.input).unwrap();
    thread::scope(|scope| {
        let following = scope.spawn(|| rig.follow());
        let _shut_down = ShutDown(&rig.shared);
        fs::create_dir(&rig.input).unwrap();
        rig.ready();
        rig.shared.shut_down();
        following.join().unwrap().unwrap();
    });
}
