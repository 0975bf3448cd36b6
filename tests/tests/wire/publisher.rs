//! What a program publishes that embeds the server: live resources, packet by packet, on either
//! runtime.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use httpout_tests::live::without_icy;
use httpout_tests::{Client, Kind, Tree, both, get, head, until};
use httpout_tokio::{
    BroadcastOptions, Config, Description, Handle, LiveOptions, Options, Publication, PublishError,
    Publisher, Server,
};

both! {
    packets_reach_all_who_listen,
    a_late_listener_gets_the_tune_in_data_first,
    titles_change_while_it_plays,
    what_is_aborted_is_cut,
    paths_that_cannot_be_published,
    a_description_cannot_split_a_head,
    with_blockio_writing_waits_for_the_slowest,
    with_hold_writing_waits_for_the_first,
    with_reopen_listeners_wait_for_the_next,
    a_recording_is_read_while_it_grows,
    what_is_published_ends_with_the_server,
}

/// A server inside this program, in a thread of its own.
struct Embedded {
    address: SocketAddr,
    publisher: Publisher,
    handle: Handle,
    serves: Option<JoinHandle<()>>,
}

impl Embedded {
    #[track_caller]
    fn new(kind: Kind, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let server = Server::bind(config, Options::default(), vec![listener]);
        let server = server.expect("its options can be obeyed");
        let (address, publisher, handle) =
            (server.local_addrs()[0], server.publisher(), server.handle());
        let serves = thread::spawn(move || match kind {
            Kind::Tokio => {
                let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.expect("a runtime");
                runtime.block_on(httpout_tokio::serve(server)).expect("it serves");
            }
            Kind::Smol => {
                let executor = Arc::new(::smol::Executor::new());
                let serving = executor.run(httpout_smol::serve(server, executor.clone()));
                ::smol::block_on(serving).expect("it serves");
            }
        });
        Self { address, publisher, handle, serves: Some(serves) }
    }

    fn live(kind: Kind) -> Self {
        Self::new(kind, |config| config.live = true)
    }

    #[track_caller]
    fn begin(&self, path: &str, options: LiveOptions) -> Publication {
        self.try_begin(path, options).expect("it can be published")
    }

    fn try_begin(&self, path: &str, options: LiveOptions) -> Result<Publication, PublishError> {
        wait(self.publisher.begin(path, Description::new("audio/aac"), options))
    }

    #[track_caller]
    fn listen(&self, path: &str) -> Client {
        let mut client = Client::connect(self.address);
        client.begin(&get(path)).status_is(200).field_is("content-type", "audio/aac");
        client
    }

    #[track_caller]
    fn has(&self, path: &str) -> bool {
        Client::connect(self.address).ask(&head(path)).status == 200
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.handle.shut_down();
        let served = self.serves.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(served, Some(Ok(()))), "the server panicked");
    }
}

/// The publisher needs no runtime of its own.
fn wait<T>(future: impl Future<Output = T>) -> T {
    ::smol::block_on(future)
}

#[track_caller]
fn write(publication: &mut Publication, data: &'static str, random_access: bool) {
    wait(publication.write(data, random_access)).expect("it is taken");
}

/// Without what was sent before.
fn no_burst() -> LiveOptions {
    with(|options| options.burst = 0)
}

fn with(change: impl FnOnce(&mut BroadcastOptions)) -> LiveOptions {
    let mut options = LiveOptions::default();
    change(&mut options.broadcast);
    options
}

fn packets_reach_all_who_listen(kind: Kind) {
    let server = Embedded::live(kind);
    assert!(!server.has("/a/radio.aac"));
    let mut radio = server.begin("a/radio.aac", LiveOptions::default());
    assert!(server.has("/a/radio.aac"));
    let mut listeners: Vec<_> = (0..3).map(|_| server.listen("/a/radio.aac")).collect();
    for data in ["one", "two", "three"] {
        write(&mut radio, data, true);
        for listener in &mut listeners {
            assert_eq!(listener.content(data.len()), data.as_bytes());
        }
    }
    wait(radio.end()).expect("it ends");
    for listener in &mut listeners {
        assert_eq!(listener.rest(), Ok(Vec::new()));
    }
    assert!(!server.has("/a/radio.aac"));
}

fn a_late_listener_gets_the_tune_in_data_first(kind: Kind) {
    let server = Embedded::live(kind);
    let mut film = server.begin("film", no_burst());
    let mut early = server.listen("/film");
    film.set_tune_in("[head]");
    write(&mut film, "key ", true);
    assert_eq!(early.content(10), b"[head]key ");
    let mut late = server.listen("/film");
    write(&mut film, "not for the late one ", false);
    assert_eq!(early.content(21), b"not for the late one ");
    film.set_tune_in("[new head]");
    write(&mut film, "key again", true);
    assert_eq!(early.content(9), b"key again");
    assert_eq!(late.content(19), b"[new head]key again");
}

fn titles_change_while_it_plays(kind: Kind) {
    let server = Embedded::new(kind, |config| (config.live, config.icy) = (true, true));
    let mut radio = server.begin("radio", LiveOptions::default());
    let mut listener = Client::connect(server.address);
    let answer = listener.begin(&get("/radio").field("Icy-MetaData", "1"));
    let interval: usize = answer.need("icy-metaint").parse().expect("a number");
    let mut got = Vec::new();
    // Behind each interval stands the length of its metadata; a title is told once, in two units of
    // 16 bytes.
    for (title, metadata) in [("First", 33), ("First", 1), ("Second", 33)] {
        radio.set_title(title);
        wait(radio.write(vec![b'x'; interval], true)).expect("it is taken");
        got.extend(listener.content(interval + metadata));
    }
    wait(radio.end()).expect("it ends");
    got.extend(listener.rest().expect("it ends well"));
    let (stream, told) = without_icy(interval, &got);
    assert!(stream == vec![b'x'; 3 * interval], "{} bytes", stream.len());
    assert_eq!(told, ["StreamTitle='First';", "StreamTitle='Second';"]);
}

fn what_is_aborted_is_cut(kind: Kind) {
    let server = Embedded::live(kind);
    let give_up: [fn(Publication); 2] = [Publication::abort, drop];
    for give_up in give_up {
        let mut radio = server.begin("radio", LiveOptions::default());
        let mut listener = server.listen("/radio");
        write(&mut radio, "some", true);
        assert_eq!(listener.content(4), b"some");
        give_up(radio);
        assert!(listener.rest().is_err(), "it seems whole");
        assert!(!server.has("/radio"));
    }
}

fn paths_that_cannot_be_published(kind: Kind) {
    let server = Embedded::live(kind);
    let refused = |path: &str| server.try_begin(path, LiveOptions::default()).err();
    for path in ["", "/", "/a", "a/", "a//b", "../a", "a/./b", "a\0b", "a\\b"] {
        assert_eq!(refused(path), Some(PublishError::Path), "{path:?}");
    }
    let radio = server.begin("radio", LiveOptions::default());
    assert_eq!(refused("radio"), Some(PublishError::Taken));
    assert_eq!(refused("Radio"), None);
    drop(radio);
    assert_eq!(refused("radio"), None);
    let tree = Tree::new();
    let server = Embedded::new(kind, |config| config.read_dirs = vec![tree.root().into()]);
    let refused = server.try_begin("radio", LiveOptions::default()).err();
    assert_eq!(refused, Some(PublishError::NotLive));
}

fn a_description_cannot_split_a_head(kind: Kind) {
    let embedded = Embedded::new(kind, |config| {
        config.live = true;
        config.icy = true;
    });
    let split = "Radio\r\nSet-Cookie: a=b";
    let fields = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let new = || Description::new("audio/aac");
    for description in [
        Description { name: Some(split.into()), ..new() },
        Description { fields: fields("ice-genre", split), ..new() },
        Description { fields: fields("ice-genre: x\r\nSet-Cookie", "a=b"), ..new() },
        Description { fields: fields("Set-Cookie", "a=b"), ..new() },
        Description::new("audio/aac\r\nSet-Cookie: a=b"),
    ] {
        let begun =
            wait(embedded.publisher.begin("radio", description.clone(), LiveOptions::default()));
        assert!(matches!(begun, Err(PublishError::Description(_))), "{description:?}");
    }
    let description =
        Description { name: Some("Radio".into()), fields: fields("ice-genre", "Jazz"), ..new() };
    let publication = wait(embedded.publisher.begin("radio", description, LiveOptions::default()));
    let publication = publication.expect("nothing is wrong with it");
    let mut client = Client::connect(embedded.address);
    let head = client.begin(&get("/radio"));
    head.status_is(200).field_is("icy-name", "Radio").field_is("ice-genre", "Jazz");
    drop(publication);
}

fn with_blockio_writing_waits_for_the_slowest(kind: Kind) {
    let server = Embedded::live(kind);
    let mut film = server.begin("film", with(|options| options.blockio = true));
    let mut slow = Client::connect(server.address);
    slow.small_window();
    slow.begin(&get("/film")).status_is(200);
    let writes = thread::spawn(move || {
        for _ in 0..40 {
            wait(film.write(vec![b'x'; 1 << 20], true)).expect("it is taken");
        }
        wait(film.end()).expect("it ends");
    });
    let (first, _) = slow.count_up_to(1 << 20);
    assert!(!writes.is_finished(), "nothing holds it up");
    assert_eq!((first + slow.count().0), 40 << 20);
    writes.join().expect("all of it is taken");
}

fn with_hold_writing_waits_for_the_first(kind: Kind) {
    let server = Embedded::live(kind);
    let mut film = server.begin("film", with(|options| (options.hold, options.burst) = (true, 0)));
    let writes = thread::spawn(move || {
        write(&mut film, "all of it", true);
        film
    });
    for _ in 0..20 {
        assert!(server.has("/film"));
    }
    assert!(!writes.is_finished(), "nothing holds it up");
    let mut first = server.listen("/film");
    assert_eq!(first.content(9), b"all of it");
    wait(writes.join().expect("it is taken").end()).expect("it ends");
    assert_eq!(first.rest(), Ok(Vec::new()));
}

fn with_reopen_listeners_wait_for_the_next(kind: Kind) {
    let server = Embedded::live(kind);
    let options = LiveOptions { reopen: true, ..LiveOptions::default() };
    wait(server.begin("radio", options).end()).expect("it ends");
    for data in ["one", "two"] {
        let mut waits = server.listen("/radio");
        let mut radio = server.begin("radio", options);
        write(&mut radio, data, true);
        assert_eq!(waits.content(3), data.as_bytes());
        wait(radio.end()).expect("it ends");
        assert_eq!(waits.rest(), Ok(Vec::new()));
    }
}

fn a_recording_is_read_while_it_grows(kind: Kind) {
    let tree = Tree::new();
    tree.dir("www");
    let server = Embedded::new(kind, |config| {
        (config.record, config.read_dirs) = (true, vec![tree.path("www")]);
    });
    let mut film = server.begin("a/film.bin", LiveOptions::default());
    write(&mut film, "one ", false);
    let mut reader = Client::connect(server.address);
    reader.begin(&get("/a/film.bin")).status_is(200);
    assert_eq!(reader.content(4), b"one ");
    write(&mut film, "two", false);
    assert_eq!(reader.content(3), b"two");
    assert!(!tree.has("www/a/film.bin"), "it has its name before it is whole");
    wait(film.end()).expect("it is put under its name");
    assert_eq!(reader.rest(), Ok(Vec::new()));
    reader.ask(&get("/a/film.bin")).is(200, "one two").field_is("content-length", "7");
    // What is given up leaves what was there.
    let mut other = server.begin("a/film.bin", LiveOptions::default());
    write(&mut other, "other", false);
    other.abort();
    until("nothing is left of it", || tree.parts().is_empty().then_some(()));
    assert_eq!(tree.read("www/a/film.bin").as_deref(), Some(&b"one two"[..]));
}

fn what_is_published_ends_with_the_server(kind: Kind) {
    let server = Embedded::live(kind);
    let mut radio = server.begin("radio", LiveOptions::default());
    let mut listener = server.listen("/radio");
    write(&mut radio, "some", true);
    assert_eq!(listener.content(4), b"some");
    server.handle.shut_down();
    assert_eq!(listener.rest(), Ok(Vec::new()));
    // Nobody is left to hear that.
    write(&mut radio, "more", true);
    wait(radio.end()).expect("it ends");
    drop(server);
}
