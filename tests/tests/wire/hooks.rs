//! Hooks of a program that embeds the server, on either runtime.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use httpout_tests::{Client, Kind, Request as Asking, Tree, both, get, put, until};
use httpout_tokio::hook::{
    Bytes, Headers, Hook, HookDecision, Pace, Piece, Reply, Request, Service, Status, Taken,
};
use httpout_tokio::{Config, Handle, Options, Server};

both! {
    a_hook_answers_or_passes_on,
    a_hook_answers_later_from_another_thread,
    a_hook_that_drops_a_request_is_500,
    a_hook_that_never_answers_is_503,
    a_reply_that_is_dropped_cuts_the_answer,
    a_hook_takes_an_upload_as_fast_as_it_likes,
    a_hook_slows_an_answer,
    a_hook_hears_the_end,
    a_hook_that_panics_costs_its_connection_only,
}

type Kept<T> = Arc<Mutex<Vec<T>>>;

/// What the tests' hook remembers, and does by the path.
#[derive(Clone, Debug, Default)]
struct Testing {
    /// Requests that wait.
    waiting: Kept<Request>,
    /// Pieces that wait to be taken.
    pieces: Kept<Reply<Taken>>,
    heard: Kept<String>,
}

fn kept<T>(all: &Kept<T>) -> MutexGuard<'_, Vec<T>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn none() -> Headers {
    Headers::default()
}

impl Hook for Testing {
    fn ask(&self, request: Request) -> Option<Box<dyn Service>> {
        let path = request.facts().url();
        match path.as_str() {
            "/own" => request.answer(HookDecision::answer(Status::OK, none(), "its own".into())),
            "/later" => kept(&self.waiting).push(request),
            "/dropped" => drop(request),
            "/panics" => panic!("on purpose"),
            "/never" => kept(&self.waiting).push(request),
            "/cut" | "/read" => request.answer(HookDecision::read(Status::OK, none())),
            "/slow.bin" => request.answer(HookDecision::pass(none()).map(HookDecision::throttled)),
            "/upload" => request.answer(Ok(HookDecision::take())),
            _ => request.answer(HookDecision::pass(none())),
        }
        Some(Box::new(Doing { hook: self.clone(), path, given: 0 }))
    }
}

/// Its part in one request.
#[derive(Debug)]
struct Doing {
    hook: Testing,
    path: String,
    given: usize,
}

impl Service for Doing {
    fn read(&mut self, reply: Reply<Piece>) {
        self.given += 1;
        match (self.path.as_str(), self.given) {
            (_, 1) => reply.send(Piece::Bytes("a piece".into())),
            ("/read", 2) => reply.send(Piece::NotYet),
            ("/read", 3) => {
                // Later, and from elsewhere.
                thread::spawn(move || reply.send(Piece::Bytes(" and another".into())));
            }
            ("/read", _) => reply.send(Piece::End),
            _ => drop(reply),
        }
    }

    fn write(&mut self, data: Vec<Bytes>, reply: Reply<Taken>) {
        self.given += data.iter().map(Bytes::len).sum::<usize>();
        kept(&self.hook.pieces).push(reply);
    }

    fn end(&mut self, reply: Reply<HookDecision>) {
        let text = format!("{} bytes", self.given);
        reply.send(HookDecision::answer(Status::CREATED, none(), text.into()).expect("it is fine"));
    }

    fn pace(&mut self, sent: u64, total: Option<u64>, reply: Reply<Pace>) {
        kept(&self.hook.heard).push(format!("{sent} of {total:?}"));
        reply.send(Pace { delay: Duration::from_millis(1), bytes: 40_000 });
    }

    fn close(&mut self, complete: bool) {
        kept(&self.hook.heard).push(format!("{} {complete}", self.path));
    }
}

/// A server inside this program, in a thread of its own.
struct Embedded {
    address: SocketAddr,
    handle: Handle,
    hook: Testing,
    _tree: Tree,
    serves: Option<JoinHandle<()>>,
}

impl Embedded {
    #[track_caller]
    fn new(kind: Kind) -> Self {
        Self::with(kind, Duration::from_secs(600))
    }

    /// Its hook has so much time.
    #[track_caller]
    fn with(kind: Kind, hook_time: Duration) -> Self {
        let tree = Tree::new();
        tree.write("www/a.txt", "a file");
        tree.write("www/slow.bin", vec![7; 100_000]);
        let hook = Testing::default();
        let mut config = Config::default();
        config.read_dirs = vec![tree.path("www")];
        config.limits.hook_time = hook_time;
        let mut options = Options::default();
        options.hook = Some(Arc::new(hook.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let server = Server::bind(config, options, vec![listener]);
        let server = server.expect("its options can be obeyed");
        let (address, handle) = (server.local_addrs()[0], server.handle());
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
        Self { address, handle, hook, _tree: tree, serves: Some(serves) }
    }

    fn client(&self) -> Client {
        Client::connect_plain(self.address)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.handle.shut_down();
        self.handle.abort();
        let ended = self.serves.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "the server panicked");
    }
}

fn a_hook_answers_or_passes_on(kind: Kind) {
    let server = Embedded::new(kind);
    let mut client = server.client();
    client.ask(&get("/own")).is(200, "its own");
    client.ask(&get("/a.txt")).is(200, "a file");
    client.ask(&get("/missing")).status_is(404);
    client.ask(&put("/a.txt", "x")).status_is(405);
    client.ask(&get("/read")).is(200, "a piece and another");
}

fn a_hook_answers_later_from_another_thread(kind: Kind) {
    let server = Embedded::new(kind);
    let mut client = server.client();
    client.send(get("/later").bytes());
    let waiting = until("it is asked", || kept(&server.hook.waiting).pop());
    assert_eq!(waiting.facts().peer(), client.address());
    waiting.answer(HookDecision::answer(Status::OK, none(), "at last".into()));
    client.response("GET").is(200, "at last");
    // For a connection that is gone.
    client.send(get("/later").bytes());
    let waiting = until("it is asked", || kept(&server.hook.waiting).pop());
    client.abort();
    until("its end is told", || {
        let heard = kept(&server.hook.heard);
        heard.contains(&"/later false".to_owned()).then_some(())
    });
    waiting.answer(HookDecision::pass(none()));
    server.client().ask(&get("/a.txt")).is(200, "a file");
}

fn a_hook_that_drops_a_request_is_500(kind: Kind) {
    let server = Embedded::new(kind);
    let mut client = server.client();
    client.ask(&get("/dropped")).status_is(500);
    client.ask(&get("/a.txt")).is(200, "a file");
}

fn a_hook_that_never_answers_is_503(kind: Kind) {
    let server = Embedded::with(kind, Duration::from_millis(300));
    let mut client = server.client();
    client.ask(&get("/never")).status_is(503);
    let late = kept(&server.hook.waiting).pop().expect("it was asked");
    late.answer(HookDecision::answer(Status::OK, none(), "too late".into()));
    client.ask(&get("/a.txt")).is(200, "a file");
}

fn a_reply_that_is_dropped_cuts_the_answer(kind: Kind) {
    let server = Embedded::new(kind);
    let mut client = server.client();
    client.begin(&get("/cut")).status_is(200);
    let (got, _) = client.rest().expect_err("an answer that is cut shows it");
    assert_eq!(got, b"a piece");
}

fn a_hook_takes_an_upload_as_fast_as_it_likes(kind: Kind) {
    let server = Embedded::new(kind);
    let mut client = server.client();
    client.begin_upload(Asking::new("PUT", "/upload").field("Transfer-Encoding", "chunked"));
    let next = || until("a piece comes", || kept(&server.hook.pieces).pop());
    client.send_chunk("one");
    let first = next();
    client.send_chunk("two");
    // One thread serves both: it has read the piece when it has answered.
    server.client().ask(&get("/a.txt")).is(200, "a file");
    assert!(kept(&server.hook.pieces).is_empty(), "one at a time");
    first.send(Taken);
    next().send(Taken);
    client.send_last_chunk();
    client.response("PUT").is(201, "6 bytes");
    // A reply that is dropped is the end of it.
    client.send(put("/upload", "body").bytes());
    drop(next());
    client.response("PUT").status_is(500);
}

fn a_hook_slows_an_answer(kind: Kind) {
    let server = Embedded::new(kind);
    server.client().ask(&get("/slow.bin")).is(200, vec![7; 100_000]);
    let asked = ["0 of Some(100000)", "40000 of Some(100000)", "80000 of Some(100000)"];
    let heard = kept(&server.hook.heard);
    assert_eq!(heard[..3], asked);
}

fn a_hook_hears_the_end(kind: Kind) {
    let server = Embedded::new(kind);
    let mut client = server.client();
    for path in ["/own", "/a.txt", "/dropped"] {
        client.ask(&get(path));
    }
    let heard = until("the last is told", || {
        let heard = kept(&server.hook.heard);
        (heard.len() == 3).then(|| heard.clone())
    });
    assert_eq!(heard, ["/own true", "/a.txt true", "/dropped true"]);
}

fn a_hook_that_panics_costs_its_connection_only(kind: Kind) {
    let server = Embedded::new(kind);
    let mut before = server.client();
    before.ask(&get("/a.txt")).is(200, "a file");
    for _ in 0..3 {
        let mut client = server.client();
        client.send(get("/panics").bytes());
        client.try_head("GET").expect_err("there is no answer");
    }
    before.ask(&get("/a.txt")).is(200, "a file");
    server.client().ask(&get("/own")).is(200, "its own");
    until("its connections are gone", || (server.handle.connections() == 1).then_some(()));
}
