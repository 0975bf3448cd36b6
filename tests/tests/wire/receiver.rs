//! Uploads that a program takes which embeds the server: `Uploads`, on either runtime.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use httpout_tests::{Client, Kind, Request, both, get, post, put, until};
use httpout_tokio::{
    Config, Handle, IncomingUpload, Options, Refusal, Server, Sink, Status, Uploads,
};

both! {
    an_upload_is_told_of_read_and_accepted,
    nothing_is_asked_for_before_the_upload_is_read,
    who_does_not_read_slows_the_sender,
    a_sender_that_goes_away_is_told,
    an_upload_can_be_refused_at_any_time,
    what_is_dropped_is_refused,
    uploads_come_beside_each_other,
    without_anybody_who_takes_them_uploads_are_503,
    there_are_no_more_uploads_when_the_server_has_ended,
    uploads_go_to_one_place,
}

/// A server inside this program, in a thread of its own.
struct Embedded {
    address: SocketAddr,
    uploads: Option<Uploads>,
    handle: Handle,
    serves: Option<JoinHandle<()>>,
}

impl Embedded {
    #[track_caller]
    fn new(kind: Kind) -> Self {
        let mut config = Config::default();
        config.source = true;
        let mut options = Options::default();
        options.max_connections_per_peer = 0;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let server = Server::bind(config, options, vec![listener]).expect("it can be obeyed");
        let uploads = Some(server.uploads().expect("nobody else takes them"));
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
        Self { address, uploads, handle, serves: Some(serves) }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    #[track_caller]
    fn next(&mut self) -> IncomingUpload {
        let uploads = self.uploads.as_mut().expect("not dropped");
        wait(uploads.next()).expect("an upload comes")
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.handle.shut_down();
        let served = self.serves.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(served, Some(Ok(()))), "the server failed");
        }
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    ::smol::block_on(future)
}

/// All of it, if it is whole.
fn read(upload: &mut IncomingUpload) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        match wait(upload.next()) {
            Ok(Some(pieces)) => pieces.iter().for_each(|piece| all.extend_from_slice(piece)),
            Ok(None) => return Some(all),
            Err(_) => return None,
        }
    }
}

fn an_upload_is_told_of_read_and_accepted(kind: Kind) {
    let mut server = Embedded::new(kind);
    let content: Vec<u8> = (0..3_000_000u32).map(|at| at as u8).collect();
    for created in [true, false] {
        let mut client = server.client();
        let body = content.clone();
        let sender = thread::spawn(move || {
            client.ask(&put("/live/a%20b.ts?x", body).field("Content-Type", "video/mp2t"))
        });
        let mut upload = server.next();
        let about = upload.about();
        assert_eq!((about.path.as_str(), about.query.as_deref()), ("live/a b.ts", Some("x")));
        assert_eq!(about.media_type.as_deref(), Some("video/mp2t"));
        assert_eq!(about.len, Some(3_000_000));
        assert_eq!(about.client.address, Some("127.0.0.1".parse().unwrap()));
        assert!(read(&mut upload).as_ref() == Some(&content));
        assert!(read(&mut upload).as_deref() == Some(&[]), "it stays whole");
        upload.accept(created);
        let answer = sender.join().unwrap();
        answer.status_is(if created { 201 } else { 200 });
        answer.field_is("content-location", "/live/a%20b.ts");
    }
    assert_eq!(server.handle.deliveries(), (2, 2));
}

fn nothing_is_asked_for_before_the_upload_is_read(kind: Kind) {
    let mut server = Embedded::new(kind);
    let mut client = server.client();
    client.send(Request::new("POST", "/").announce(2).expect().bytes());
    let mut upload = server.next();
    assert!(upload.about().directory && upload.about().path.is_root());
    let sender = thread::spawn(move || {
        client.interim_is(100);
        client.send("ab");
        client.response("POST")
    });
    assert_eq!(read(&mut upload).as_deref(), Some(&b"ab"[..]));
    upload.accept(false);
    sender.join().unwrap().status_is(200);
}

fn who_does_not_read_slows_the_sender(kind: Kind) {
    let mut server = Embedded::new(kind);
    let mut client = server.client();
    client.send(Request::new("PUT", "/a").announce(64 << 20).bytes());
    let mut upload = server.next();
    let mut writer = client.writer();
    let sender = thread::spawn(move || {
        std::io::Write::write_all(&mut writer, &vec![7; 64 << 20]).map_err(|error| error.kind())
    });
    let mut had = 0;
    for _ in 0..3 {
        let pieces = wait(upload.next()).unwrap().expect("there is more");
        had += pieces.iter().map(|piece| piece.len()).sum::<usize>();
    }
    // Three pieces, each of what may be held at most.
    assert!(had <= 3 << 20, "{had} bytes came at once");
    assert!(!sender.is_finished(), "the rest is with the sender");
    had += read(&mut upload).unwrap().len();
    assert_eq!(had, 64 << 20);
    upload.accept(true);
    client.response("PUT").status_is(201);
    sender.join().unwrap().unwrap();
}

fn a_sender_that_goes_away_is_told(kind: Kind) {
    let mut server = Embedded::new(kind);
    let mut client = server.client();
    client.send(Request::new("PUT", "/a").announce(10).bytes());
    client.send("0123");
    let mut upload = server.next();
    let first = wait(upload.next()).unwrap().unwrap();
    assert_eq!(first.concat(), b"0123");
    client.abort();
    assert_eq!(read(&mut upload), None);
    upload.accept(true);
    // Those that nobody looked at are forgotten.
    let mut gone = server.client();
    gone.send(Request::new("PUT", "/gone").announce(10).bytes());
    let mut second = server.next();
    gone.abort();
    assert_eq!(read(&mut second), None);
    drop(second);
    assert_eq!(server.handle.deliveries().1, 0);
}

fn an_upload_can_be_refused_at_any_time(kind: Kind) {
    let mut server = Embedded::new(kind);
    let refusal = || Refusal::new(Status::CONFLICT, "not this one");
    for read in 0..3 {
        let mut client = server.client();
        client.send(Request::new("PUT", "/a").announce(4).expect().bytes());
        let mut upload = server.next();
        if read > 0 {
            let reader = thread::spawn(move || {
                wait(upload.next()).unwrap();
                if read > 1 {
                    assert_eq!(wait(upload.next()).unwrap(), None);
                }
                upload
            });
            client.interim_is(100);
            client.send("0123");
            upload = reader.join().unwrap();
        }
        upload.refuse(refusal());
        let answer = client.response("PUT");
        answer.status_is(409);
        assert!(answer.text().contains("not this one"), "{answer:?}");
    }
    assert_eq!(server.handle.deliveries(), (3, 0));
}

fn what_is_dropped_is_refused(kind: Kind) {
    let mut server = Embedded::new(kind);
    let mut client = server.client();
    client.send(put("/a", "x").bytes());
    drop(server.next());
    client.response("PUT").status_is(500);
    client.send(put("/a", "x").bytes());
    // Accepted before it is whole is as good as dropped.
    server.next().accept(true);
    client.response("PUT").status_is(500);
}

fn uploads_come_beside_each_other(kind: Kind) {
    let mut server = Embedded::new(kind);
    let (mut first, mut second) = (server.client(), server.client());
    first.send(Request::new("PUT", "/1").chunked().bytes());
    let mut one = server.next();
    second.send(Request::new("PUT", "/2").chunked().bytes());
    let mut two = server.next();
    first.send_chunk("a");
    second.send_chunk("b");
    assert_eq!(wait(two.next()).unwrap().unwrap().concat(), b"b");
    assert_eq!(wait(one.next()).unwrap().unwrap().concat(), b"a");
    second.send_last_chunk();
    assert_eq!(wait(two.next()), Ok(None));
    two.accept(false);
    second.response("PUT").status_is(200);
    first.send_last_chunk();
    assert_eq!(wait(one.next()), Ok(None));
    one.accept(false);
    first.response("PUT").status_is(200);
}

fn without_anybody_who_takes_them_uploads_are_503(kind: Kind) {
    let mut server = Embedded::new(kind);
    let mut waiting = server.client();
    waiting.send(put("/a", "x").bytes());
    // It has come, which is seen by one that comes behind it.
    let first = server.next();
    let mut behind = server.client();
    behind.send(post("/b", "x").bytes());
    drop(server.uploads.take());
    behind.response("POST").status_is(503).field_is("retry-after", "1");
    first.refuse(Refusal::new(Status::FORBIDDEN, "late"));
    waiting.response("PUT").status_is(403);
    server.client().ask(&put("/c", "x")).status_is(503);
    server.client().ask(&get("/c")).status_is(405);
}

fn there_are_no_more_uploads_when_the_server_has_ended(kind: Kind) {
    let mut server = Embedded::new(kind);
    let mut client = server.client();
    client.send(Request::new("PUT", "/a").chunked().bytes());
    let mut upload = server.next();
    client.send_chunk("first");
    // An upload that nobody reads yet would be refused: 503.
    assert_eq!(wait(upload.next()).unwrap().unwrap().concat(), b"first");
    server.handle.shut_down();
    client.send_chunk("last");
    client.send_last_chunk();
    assert_eq!(read(&mut upload).as_deref(), Some(&b"last"[..]));
    upload.accept(true);
    client.response("PUT").status_is(201).says_close();
    drop(client);
    let mut uploads = server.uploads.take().unwrap();
    assert!(wait(uploads.next()).is_none());
    until("it has ended", || server.serves.as_ref().unwrap().is_finished().then_some(()));
}

fn uploads_go_to_one_place(_: Kind) {
    let mut config = Config::default();
    config.source = true;
    let server = Server::bind(config, Options::default(), Vec::new()).unwrap();
    let _uploads = server.uploads().unwrap();
    assert_eq!(server.uploads().unwrap_err().option, "dst");
    let error = server.with_sink(&Sink::Command("cat".into())).unwrap_err();
    assert_eq!(error.option, "dst");
}
