use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn path(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

/// An encoder's directory, and what is served of it.
struct World {
    directory: Directory,
    now: Instant,
    /// The number of the file that bears the name.
    files: BTreeMap<RelPath, usize>,
    /// Content, and whether somebody writes to it.
    contents: Vec<(Vec<u8>, bool)>,
    /// Which file, and what was copied of it.
    begun: BTreeMap<RelPath, (usize, Vec<u8>)>,
    served: BTreeMap<RelPath, Vec<u8>>,
    cookie: u32,
    told: Vec<String>,
    /// The disk that is written to is full.
    full: bool,
}

impl World {
    fn new() -> Self {
        Self {
            directory: Directory::new(),
            now: Instant::now(),
            files: BTreeMap::new(),
            contents: Vec::new(),
            begun: BTreeMap::new(),
            served: BTreeMap::new(),
            cookie: 0,
            told: Vec::new(),
            full: false,
        }
    }

    fn tell(&mut self, name: &str, event: FileEvent) {
        self.directory.handle(&path(name), event);
    }

    // ---- the encoder ----

    fn file(&mut self, name: &str) -> Option<&mut (Vec<u8>, bool)> {
        self.contents.get_mut(*self.files.get(&path(name))?)
    }

    fn make(&mut self, name: &str, content: &[u8], open: bool) {
        self.files.insert(path(name), self.contents.len());
        self.contents.push((content.to_vec(), open));
    }

    fn create(&mut self, name: &str) {
        let event = match self.file(name) {
            None => {
                self.make(name, b"", true);
                FileEvent::Created
            }
            Some(file) => {
                *file = (Vec::new(), true);
                FileEvent::Modified
            }
        };
        self.tell(name, event);
    }

    fn append(&mut self, name: &str, data: &[u8]) {
        if let Some((content, true)) = self.file(name) {
            content.extend_from_slice(data);
            self.tell(name, FileEvent::Modified);
        }
    }

    /// Writes over what is there.
    fn patch(&mut self, name: &str) {
        if let Some((content, true)) = self.file(name)
            && let Some(first) = content.first_mut()
        {
            *first = first.wrapping_add(1);
            self.tell(name, FileEvent::Modified);
        }
    }

    fn close(&mut self, name: &str) {
        if let Some((_, open @ true)) = self.file(name) {
            *open = false;
            self.tell(name, FileEvent::Closed);
        }
    }

    fn write(&mut self, name: &str, data: &[u8]) {
        self.create(name);
        self.append(name, data);
        self.close(name);
    }

    fn rename(&mut self, from: &str, to: &str) {
        if from == to {
            return;
        }
        if let Some(file) = self.files.remove(&path(from)) {
            self.files.insert(path(to), file);
            self.cookie += 1;
            self.tell(from, FileEvent::MovedAway(self.cookie));
            self.tell(to, FileEvent::MovedHere(self.cookie));
        }
    }

    fn remove(&mut self, name: &str) {
        // Of what is open the name goes, and nobody hears of it again.
        if self.files.remove(&path(name)).is_some() {
            self.tell(name, FileEvent::Removed);
        }
    }

    // ---- the server ----

    fn run(&mut self) -> Option<Instant> {
        for _ in 0..1000 {
            match self.directory.poll(self.now) {
                DirectoryStep::Do(action) => self.act(action),
                DirectoryStep::Wait(until) => return until,
            }
        }
        panic!("it does not come to rest: {:?}", self.told);
    }

    /// Until nothing happens any more.
    fn settle(&mut self) {
        while let Some(until) = self.run() {
            assert!(until > self.now);
            self.now = until;
        }
    }

    fn act(&mut self, action: DirectoryAction) {
        match action {
            DirectoryAction::Begin { path, whole, .. } => {
                self.told.push(format!("begin {path}{}", if whole { " whole" } else { "" }));
                assert!(!self.begun.contains_key(&path), "{path} is begun already");
                match self.files.get(&path) {
                    Some(file) if !self.full => {
                        self.begun.insert(path.clone(), (*file, Vec::new()));
                        self.directory.handle_begun(&path);
                    }
                    Some(_) | None => self.directory.handle_failed(&path),
                }
            }
            DirectoryAction::Copy { path, last, writes } => {
                let (file, copy) = self.begun.get_mut(&path).expect("it is begun");
                let (content, _) = &self.contents[*file];
                let copied = if copy.len() > content.len() {
                    Copied::Changed
                } else if copy.len() < content.len() {
                    // A little at a time.
                    let end = content.len().min(copy.len() + 2);
                    copy.extend_from_slice(&content[copy.len()..end]);
                    Copied::More
                } else if last && writes > 0 && copy != content {
                    Copied::Changed
                } else {
                    Copied::All(copy.len() as u64)
                };
                self.directory.handle_copied(&path, copied, self.now);
            }
            DirectoryAction::End(path) => {
                self.told.push(format!("end {path}"));
                let (_, copy) = self.begun.remove(&path).expect("it is begun");
                self.served.insert(path.clone(), copy);
                self.directory.handle_whole(&path);
            }
            DirectoryAction::Abandon(path) => {
                self.told.push(format!("abandon {path}"));
                self.begun.remove(&path).expect("it is begun");
            }
            DirectoryAction::Remove(path) => {
                self.told.push(format!("remove {path}"));
                self.served.remove(&path).expect("it is served");
            }
        }
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

#[test]
fn a_file_is_served_while_it_grows_and_ends_when_it_is_closed() {
    let mut world = World::new();
    world.create("a.m4s");
    assert_eq!(world.run(), None, "an empty file is over when it is closed, not before");
    assert_eq!(world.take(), ["begin a.m4s"]);
    world.append("a.m4s", b"abc");
    assert_eq!(world.run(), None, "its writer was seen");
    assert_eq!(world.begun[&path("a.m4s")].1, b"abc");
    world.close("a.m4s");
    assert_eq!(world.run(), None);
    assert_eq!(world.take(), ["end a.m4s"]);
    // Opened and closed, with nothing written.
    world.tell("a.m4s", FileEvent::Closed);
    world.run();
    assert!(world.take().is_empty());
}

#[test]
fn temporary_names_are_not_served_and_a_rename_publishes_a_whole_file() {
    let mut world = World::new();
    for (from, to) in [("a.mpd.tmp", "a.mpd"), (".hidden", "b"), ("d/x.part", "d/x")] {
        world.write(from, b"one");
        world.run();
        assert!(world.take().is_empty());
        world.rename(from, to);
        world.run();
        assert_eq!(world.take(), [format!("begin {to} whole"), format!("end {to}")]);
        world.rename(to, from);
        world.run();
        assert_eq!(world.take(), [format!("remove {to}")]);
    }
    for hidden in [".git/a", "d.tmp/a", "a/.b/c", "x.part"] {
        assert!(!is_published(&path(hidden)), "{hidden}");
    }
    for shown in ["a", "a/b.c", "tmp/a", "a.tmp.mpd", "part"] {
        assert!(is_published(&path(shown)), "{shown}");
    }
}

#[test]
fn what_is_renamed_while_it_is_written_is_still_being_written() {
    let mut world = World::new();
    world.create("a.tmp");
    world.append("a.tmp", b"1");
    world.run();
    world.rename("a.tmp", "a");
    world.append("a", b"2");
    world.run();
    assert_eq!(world.take(), ["begin a"]);
    world.rename("a", "b");
    world.append("b", b"3");
    world.run();
    assert_eq!(world.take(), ["abandon a", "begin b"]);
    world.close("b");
    world.run();
    assert_eq!(world.take(), ["end b"]);
    assert_eq!(world.served[&path("b")], b"123");
}

#[test]
fn what_is_written_again_is_a_new_version() {
    let mut world = World::new();
    world.write("a.m3u8", b"one");
    world.run();
    world.create("a.m3u8");
    world.append("a.m3u8", b"two");
    world.run();
    assert_eq!(world.served[&path("a.m3u8")], b"one");
    world.close("a.m3u8");
    world.run();
    assert_eq!(world.served[&path("a.m3u8")], b"two");
    world.take();
    // Cut while it is begun; then something at its beginning is written over when its end is
    // reached.
    world.create("b");
    world.append("b", b"123");
    world.run();
    world.create("b");
    world.append("b", b"45");
    world.run();
    assert_eq!(world.take(), ["begin b", "abandon b", "begin b"]);
    world.patch("b");
    world.close("b");
    world.run();
    assert_eq!(world.take(), ["abandon b", "begin b whole", "end b"]);
    assert_eq!(world.served[&path("b")], b"55");
}

#[test]
fn what_is_whole_is_ended_before_a_whole_file_that_takes_its_name_is_begun() {
    let begun = || {
        let mut world = World::new();
        world.write("new.tmp", b"first");
        world.rename("new.tmp", "a.mpd");
        for _ in 0..2 {
            let DirectoryStep::Do(action) = world.directory.poll(world.now) else {
                panic!("{:?}", world.told)
            };
            world.act(action);
        }
        assert_eq!(world.begun[&path("a.mpd")].1, b"fi");
        world
    };
    let replace = |world: &mut World, content: &[u8]| {
        world.write("new.tmp", content);
        world.rename("new.tmp", "a.mpd");
    };
    let mut world = begun();
    replace(&mut world, b"second");
    replace(&mut world, b"third");
    world.run();
    assert_eq!(world.take(), ["begin a.mpd whole", "end a.mpd", "begin a.mpd whole", "end a.mpd"]);
    assert_eq!(world.served[&path("a.mpd")], b"third");
    // It may be the new one that was begun, and that is not whole.
    let mut world = begun();
    replace(&mut world, b"second");
    world.create("a.mpd");
    world.append("a.mpd", b"third");
    world.close("a.mpd");
    world.run();
    assert_eq!(
        world.take(),
        ["begin a.mpd whole", "abandon a.mpd", "begin a.mpd whole", "end a.mpd"]
    );
    assert_eq!(world.served[&path("a.mpd")], b"third");
    let mut world = begun();
    world.remove("a.mpd");
    world.create("a.mpd");
    world.run();
    assert_eq!(world.take(), ["begin a.mpd whole", "abandon a.mpd", "begin a.mpd"]);
}

#[test]
fn an_empty_version_is_taken_for_whole_when_it_rests() {
    let mut world = World::new();
    world.write("a", b"one");
    world.run();
    // It was cut, which is not told yet.
    world.tell("a", FileEvent::Modified);
    world.tell("a", FileEvent::Closed);
    *world.file("a").unwrap() = (Vec::new(), true);
    let until = world.run().expect("it is looked at again");
    assert_eq!(world.served[&path("a")], b"one");
    world.tell("a", FileEvent::Modified);
    world.append("a", b"two");
    world.close("a");
    assert_eq!(world.run(), None);
    assert_eq!(world.served[&path("a")], b"two");
    world.now = until;
    // It stays empty.
    world.create("a");
    world.close("a");
    world.settle();
    assert_eq!(world.served[&path("a")], b"");
}

#[test]
fn a_removal_is_passed_on() {
    let mut world = World::new();
    world.write("a", b"one");
    world.create("d/b");
    world.append("d/b", b"two");
    world.write("dd", b"three");
    world.run();
    world.take();
    world.remove("a");
    world.remove("never/seen");
    world.files.remove(&path("d/b"));
    world.directory.handle_directory_gone(&path("d"));
    world.run();
    assert_eq!(world.take(), ["remove a", "abandon d/b"]);
    // Gone and back: there is no moment without.
    world.remove("dd");
    world.write("dd", b"four");
    world.run();
    assert_eq!(world.take(), ["begin dd whole", "end dd"]);
}

#[test]
fn a_file_whose_writer_was_not_seen_is_whole_when_it_rests() {
    let mut world = World::new();
    world.make("d/a", b"12", true);
    world.tell("d/a", FileEvent::Found);
    let until = world.run().expect("it may be over");
    assert_eq!(world.take(), ["begin d/a"]);
    // Its writer shows.
    world.append("d/a", b"3");
    world.now = until;
    assert_eq!(world.run(), None);
    assert!(world.take().is_empty());
    world.close("d/a");
    world.run();
    assert_eq!(world.take(), ["end d/a"]);
    // A link to a file that was written elsewhere.
    world.make("link", b"123", false);
    world.tell("link", FileEvent::Created);
    world.now = world.run().unwrap();
    assert_eq!(world.run(), None);
    assert_eq!(world.take(), ["begin link", "end link"]);
}

#[test]
fn what_was_there_before_is_served_one_at_a_time_behind_what_is_being_written() {
    let mut world = World::new();
    for name in ["old1", "old2", "old3"] {
        world.make(name, b"12345", false);
        world.tell(name, FileEvent::FoundFirst);
    }
    let DirectoryStep::Do(action) = world.directory.poll(world.now) else { panic!() };
    world.act(action);
    world.create("new");
    world.run();
    let told = world.take();
    assert_eq!(told[..3], ["begin old1 whole", "begin new", "end old1"]);
    assert_eq!(
        told[3..],
        ["begin old2 whole", "end old2", "begin old3 whole", "end old3"].map(String::from)
    );
}

#[test]
fn a_full_disk_gives_up_this_version_and_the_next_is_tried() {
    let mut world = World::new();
    world.create("a");
    world.full = true;
    world.run();
    world.append("a", b"1");
    world.append("a", b"2");
    world.close("a");
    world.run();
    assert_eq!(world.take(), ["begin a"]);
    world.full = false;
    world.write("a", b"3");
    world.run();
    assert_eq!(world.take(), ["begin a whole", "end a"]);
}

#[derive(Clone, Debug)]
enum Deed {
    Create(usize),
    Append(usize, Vec<u8>),
    Patch(usize),
    Close(usize),
    Rename(usize, usize),
    Remove(usize),
    /// What happens until the next of these is not told.
    Deaf(bool),
    Serve,
}

const NAMES: [&str; 5] = ["a", "b", "d/c", "a.tmp", ".b"];

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let name = 0..NAMES.len();
    let deed = prop_oneof![
        3 => name.clone().prop_map(Deed::Create),
        4 => (name.clone(), prop::collection::vec(any::<u8>(), 1..4))
            .prop_map(|(name, data)| Deed::Append(name, data)),
        1 => name.clone().prop_map(Deed::Patch),
        3 => name.clone().prop_map(Deed::Close),
        2 => (name.clone(), name.clone()).prop_map(|(from, to)| Deed::Rename(from, to)),
        1 => name.prop_map(Deed::Remove),
        1 => any::<bool>().prop_map(Deed::Deaf),
        3 => Just(Deed::Serve),
    ];
    prop::collection::vec(deed, 0..40)
}

proptest! {
    /// Whatever the encoder did, in the end what is served is what is there.
    #[test]
    fn what_is_served_is_what_is_there(deeds in deeds()) {
        let mut world = World::new();
        let mut heard = None;
        for deed in deeds {
            match deed {
                Deed::Create(name) => world.create(NAMES[name]),
                Deed::Append(name, data) => world.append(NAMES[name], &data),
                Deed::Patch(name) => world.patch(NAMES[name]),
                Deed::Close(name) => world.close(NAMES[name]),
                Deed::Rename(from, to) => world.rename(NAMES[from], NAMES[to]),
                Deed::Remove(name) => world.remove(NAMES[name]),
                Deed::Deaf(true) if heard.is_none() => {
                    heard = Some(std::mem::take(&mut world.directory));
                }
                Deed::Deaf(_) => hear(&mut world, &mut heard),
                Deed::Serve if heard.is_none() => drop(world.run()),
                Deed::Serve => {}
            }
        }
        hear(&mut world, &mut heard);
        for name in NAMES {
            world.close(name);
        }
        world.settle();
        let begun: Vec<_> = world.begun.keys().cloned().collect();
        prop_assert_eq!(world.directory.in_progress(), begun);
        // What is empty may still be being written, if that it was closed was not heard.
        prop_assert!(world.begun.values().all(|(_, copy)| copy.is_empty()), "{:?}", world.told);
        for path in world.begun.keys() {
            let file = world.files.remove(path).unwrap();
            prop_assert_eq!(&world.contents[file].0, b"");
            world.served.remove(path);
        }
        let there: BTreeMap<_, _> = world
            .files
            .iter()
            .filter(|(path, _)| is_published(path))
            .map(|(path, file)| (path.clone(), world.contents[*file].0.clone()))
            .collect();
        prop_assert_eq!(&world.served, &there, "{:?}", world.told);
    }
}

/// Events were lost: the machine that did not hear them looks at what is there.
fn hear(world: &mut World, heard: &mut Option<Directory>) {
    let Some(directory) = heard.take() else { return };
    world.directory = directory;
    // That another file took the name of one that is begun is not noticed.
    for (path, (begun, _)) in &mut world.begun {
        *begun = world.files.get(path).copied().unwrap_or(*begun);
    }
    world.directory.handle_lost();
    for path in world.files.keys().cloned().collect::<Vec<_>>() {
        world.directory.handle(&path, FileEvent::Found);
    }
    world.directory.handle_looked();
}
