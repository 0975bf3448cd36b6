//! Uploads that are handed on (`source`): what a session asks of its runtime, and what their sender
//! is told.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use httpout_proto::effect::{ConnectionEffect, DeliveryEffect, LogEffect};
use httpout_proto::{
    Config, Done, Effect, FsError, Now, OpId, Session, Step, Timer,
    auth::{Rule, Who},
    effect::{Delivery, Refusal},
    fs::RelPath,
    http::{Method, Piece, Status},
};

/// A session, what it sent, and the consumer behind it.
struct Rig {
    session: Session,
    now: Now,
    sent: String,
    begun: Option<(OpId, Delivery)>,
    given: Vec<u8>,
    /// Effects that are not answered.
    open: Vec<OpId>,
    whole: bool,
    withdrawn: bool,
    /// The session reads.
    reads: bool,
    deadline: Option<(Instant, Timer)>,
    closed: bool,
}

impl Rig {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.source = true;
        change(&mut config);
        Self {
            session: Session::new(config.check().unwrap()),
            now: Now { mono: Instant::now(), wall: SystemTime::UNIX_EPOCH },
            sent: String::new(),
            begun: None,
            given: Vec::new(),
            open: Vec::new(),
            whole: false,
            withdrawn: false,
            reads: true,
            deadline: None,
            closed: false,
        }
    }

    /// What it says to a request that it refuses at once.
    fn refused(text: &str, change: impl FnOnce(&mut Config)) -> String {
        let mut rig = Self::new(change);
        rig.feed(text);
        assert!(rig.begun.is_none(), "{text} is taken");
        rig.sent
    }

    fn feed(&mut self, text: &str) {
        self.session.handle_data(Bytes::copy_from_slice(text.as_bytes()));
        self.run();
    }

    fn run(&mut self) {
        loop {
            match self.session.poll(self.now) {
                Step::Do(Effect::Delivery(_, DeliveryEffect::Begin { op, delivery })) => {
                    self.begun = Some((op, *delivery));
                    self.open.push(op);
                }
                Step::Do(Effect::Delivery(_, DeliveryEffect::Data { op, to, data })) => {
                    assert_eq!(Some(to), self.begun.as_ref().map(|begun| begun.0));
                    assert!(self.open.is_empty(), "one thing at a time");
                    assert!(data.iter().all(|piece| !piece.is_empty()) && !data.is_empty());
                    self.given.extend(data.concat());
                    self.open.push(op);
                }
                Step::Do(Effect::Delivery(_, DeliveryEffect::End { op, .. })) => {
                    assert!(self.open.is_empty() && !self.whole && !self.withdrawn);
                    self.whole = true;
                    self.open.push(op);
                }
                Step::Do(Effect::Delivery(_, DeliveryEffect::Abort { .. })) => {
                    assert!(!self.whole, "what was told to be whole is withdrawn");
                    assert!(!std::mem::replace(&mut self.withdrawn, true), "withdrawn twice");
                }
                Step::Do(
                    Effect::Log(_, LogEffect::Over(_))
                    | Effect::Connection(ConnectionEffect::Recheck { .. })
                    | Effect::Connection(ConnectionEffect::ShutdownWrite),
                ) => {}
                Step::Do(effect) => panic!("{effect:?}"),
                Step::Wait(wait) => {
                    (self.reads, self.deadline) = (wait.read, wait.deadline);
                    let Some(shown) = self.session.transmit() else { return };
                    let mut count = 0;
                    for piece in shown {
                        let Piece::Bytes(bytes) = piece else { panic!("a file is sent") };
                        self.sent.push_str(std::str::from_utf8(bytes).unwrap());
                        count += bytes.len() as u64;
                    }
                    self.session.handle_sent(count);
                }
                Step::Closed(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    fn answer(&mut self, result: Result<Done, FsError>) {
        let op = self.open.pop().expect("nothing is under way");
        self.session.handle_done(op, result);
        self.run();
    }

    fn delivery(&self) -> &Delivery {
        &self.begun.as_ref().unwrap().1
    }
}

const PUT: &str = "PUT /live/a%20b.ts?x=1 HTTP/1.1\r\nHost: a\r\nContent-Type: video/mp2t\r\n\
                   Content-Length: 10\r\n\r\n";

#[test]
fn an_upload_is_handed_on_and_its_sender_told_where() {
    let mut rig = Rig::new(|_| {});
    rig.feed(PUT);
    rig.feed("01234");
    assert_eq!(rig.given, b"", "nobody has taken it yet");
    let delivery = rig.delivery();
    assert_eq!(delivery.method, Method::Put);
    assert_eq!((delivery.path.as_str(), delivery.directory), ("live/a b.ts", false));
    assert_eq!(delivery.query.as_deref(), Some("x=1"));
    assert_eq!(delivery.media_type.as_deref(), Some("video/mp2t"));
    assert_eq!((delivery.len, delivery.user.as_ref()), (Some(10), None));
    rig.answer(Ok(Done::Ok));
    assert_eq!(rig.given, b"01234");
    rig.feed("56789");
    assert_eq!(rig.given, b"01234", "the first piece is under way");
    rig.answer(Ok(Done::Ok));
    assert_eq!(rig.given, b"0123456789");
    assert!(!rig.whole);
    rig.answer(Ok(Done::Ok));
    assert!(rig.whole && rig.sent.is_empty());
    rig.answer(Ok(Done::Ok));
    assert!(rig.sent.starts_with("HTTP/1.1 200 "), "{}", rig.sent);
    assert!(rig.sent.contains("Content-Location: /live/a%20b.ts\r\n"), "{}", rig.sent);
    assert!(!rig.withdrawn && !rig.closed);
}

#[test]
fn what_is_new_is_201_and_a_post_to_the_root_is_an_upload() {
    let mut rig = Rig::new(|_| {});
    rig.feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert!(rig.delivery().directory && rig.delivery().path.is_root());
    assert_eq!((rig.delivery().method, rig.delivery().len), (Method::Post, None));
    rig.answer(Ok(Done::Ok));
    assert!(rig.whole, "an empty body is one");
    rig.answer(Ok(Done::Delivered { created: true }));
    assert!(rig.sent.starts_with("HTTP/1.1 201 "), "{}", rig.sent);
    assert!(rig.sent.contains("Content-Location: /\r\n"), "{}", rig.sent);
}

#[test]
fn a_slow_consumer_stops_the_reading() {
    let mut rig = Rig::new(|config| config.limits.upload_window = 1000);
    rig.feed("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n");
    rig.answer(Ok(Done::Ok));
    let piece = "x".repeat(400);
    while rig.reads && rig.given.len() < 9000 {
        rig.feed(&piece);
    }
    assert_eq!(rig.given.len(), 400, "the first piece is under way, the others wait");
    let before = rig.now.mono;
    rig.now.mono += Duration::from_secs(3600);
    rig.run();
    assert!(!rig.closed && rig.now.mono > before, "the sender is not to blame");
    rig.answer(Ok(Done::Ok));
    assert!(rig.given.len() <= 1400, "{} bytes were held", rig.given.len());
    rig.answer(Ok(Done::Ok));
    assert!(rig.reads);
}

#[test]
fn whoever_waits_for_100_gets_it_when_the_upload_is_taken() {
    let head = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let mut rig = Rig::new(|_| {});
    rig.feed(head);
    assert_eq!(rig.sent, "");
    rig.answer(Ok(Done::Ok));
    assert!(rig.sent.starts_with("HTTP/1.1 100 "), "{}", rig.sent);
    let mut rig = Rig::new(|_| {});
    rig.feed(head);
    let refusal = Refusal::new(Status::SERVICE_UNAVAILABLE, "the tap is shut");
    rig.answer(Ok(Done::Refused(refusal)));
    assert!(rig.sent.starts_with("HTTP/1.1 503 "), "{}", rig.sent);
    assert!(rig.sent.contains("Retry-After: 1\r\n"), "{}", rig.sent);
    assert!(rig.sent.ends_with("503 Service Unavailable: the tap is shut\n"), "{}", rig.sent);
    assert!(rig.withdrawn);
}

#[test]
fn a_consumer_that_fails_is_told_to_the_sender_and_the_rest_is_not_read_as_requests() {
    let mut rig = Rig::new(|_| {});
    rig.feed("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nGET / HTTP/1.1\r\n");
    rig.answer(Ok(Done::Ok));
    let refusal = Refusal::new(Status::INTERNAL_SERVER_ERROR, "the command ended");
    rig.answer(Ok(Done::Refused(refusal)));
    assert!(rig.sent.starts_with("HTTP/1.1 500 "), "{}", rig.sent);
    assert!(rig.sent.contains("Connection: close\r\n"), "{}", rig.sent);
    rig.feed("Host: b\r\n\r\n");
    assert_eq!(rig.sent.matches("HTTP/1.1 ").count(), 1, "{}", rig.sent);
    assert!(rig.withdrawn && !rig.whole);

    let mut rig = Rig::new(|_| {});
    rig.feed(PUT);
    rig.answer(Ok(Done::Ok));
    rig.feed("0123456789");
    rig.answer(Err(FsError::Full));
    assert!(rig.sent.starts_with("HTTP/1.1 507 "), "{}", rig.sent);
    assert!(rig.withdrawn);

    // At its end the consumer is over already: nothing is withdrawn. A status that is no error is
    // not told.
    let mut rig = Rig::new(|_| {});
    rig.feed(PUT);
    rig.answer(Ok(Done::Ok));
    rig.feed("0123456789");
    rig.answer(Ok(Done::Ok));
    rig.answer(Ok(Done::Refused(Refusal::new(Status::OK, "exit status 3"))));
    assert!(rig.sent.starts_with("HTTP/1.1 500 "), "{}", rig.sent);
    assert!(rig.whole && !rig.withdrawn);
}

#[test]
fn a_sender_that_vanishes_leaves_nothing_that_passes_for_whole() {
    for taken in [false, true] {
        let mut rig = Rig::new(|_| {});
        rig.feed(PUT);
        if taken {
            rig.answer(Ok(Done::Ok));
            rig.feed("0123");
        }
        rig.session.handle_broken(io::ErrorKind::ConnectionReset);
        rig.run();
        assert!(rig.withdrawn && !rig.whole, "taken: {taken}");
        if let Some(op) = rig.open.pop() {
            rig.session.handle_done(op, Ok(Done::Ok));
            rig.run();
        }
        assert!(rig.closed);
    }
}

#[test]
fn an_upload_waits_for_its_turn_but_not_for_ever() {
    let mut rig = Rig::new(|config| config.limits.take_time = Duration::from_secs(5));
    rig.feed(PUT);
    let Some((at, Timer::Take)) = rig.deadline else { panic!("{:?}", rig.deadline) };
    assert_eq!(at, rig.now.mono + Duration::from_secs(5));
    rig.now.mono = at;
    rig.run();
    assert!(rig.sent.starts_with("HTTP/1.1 503 "), "{}", rig.sent);
    assert!(rig.withdrawn);
    let mut rig = Rig::new(|_| {});
    rig.feed(PUT);
    rig.answer(Ok(Done::Ok));
    assert!(!matches!(rig.deadline, Some((_, Timer::Take))), "it was taken");
}

#[test]
fn what_is_too_long_has_no_length_or_is_a_part_is_refused() {
    let most = |config: &mut Config| config.limits.upload = Some(5);
    let sent = Rig::refused(PUT, most);
    assert!(sent.starts_with("HTTP/1.1 413 "), "{sent}");
    let mut rig = Rig::new(most);
    rig.feed("PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    rig.answer(Ok(Done::Ok));
    rig.feed("6\r\n012345\r\n");
    assert!(rig.sent.starts_with("HTTP/1.1 413 ") && rig.withdrawn, "{}", rig.sent);
    assert_eq!(rig.given, b"");
    for (text, status) in [
        ("PUT /a HTTP/1.1\r\nHost: a\r\n\r\n", 411),
        ("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nRange: bytes=0-0\r\n\r\n", 416),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Range: bytes 0-0/1\r\n\r\n",
            416,
        ),
        ("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nIf-Match: *\r\n\r\n", 412),
        ("PUT /../a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 400),
        ("PUT /.httpout-1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 403),
        ("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("PATCH /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 405),
        ("OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET /.httpout/time HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ] {
        let sent = Rig::refused(text, |_| {});
        assert!(sent.starts_with(&format!("HTTP/1.1 {status} ")), "{text}{sent}");
        if matches!(status, 405) || text.starts_with("OPTIONS") {
            assert!(sent.contains("Allow: PUT, POST, OPTIONS\r\n"), "{sent}");
        }
    }
}

#[test]
fn rules_say_who_may_upload() {
    let rules = |config: &mut Config| {
        let rule = |dir: &str, name: Option<&str>, write| Rule {
            dir: dir.into(),
            missing: false,
            name: name.and_then(RelPath::new),
            read: Who::Everybody,
            write,
            file: PathBuf::new(),
            line: 1,
        };
        config.rules = vec![
            rule("/srv/open", Some("open"), Who::Everybody),
            rule("/srv/open/shut", None, Who::nobody()),
        ];
    };
    let put = |path| format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let mut rig = Rig::new(rules);
    rig.feed(&put("/open/a"));
    assert_eq!(rig.delivery().path.as_str(), "open/a");
    for path in ["/open/shut/a", "/other/a", "/"] {
        let sent = Rig::refused(&put(path), rules);
        assert!(sent.starts_with("HTTP/1.1 403 "), "{path}: {sent}");
    }
}

#[test]
fn a_source_neither_stores_nor_serves() {
    let refused = |change: fn(&mut Config)| {
        let mut config = Config::default();
        config.source = true;
        change(&mut config);
        config.check().unwrap_err().option
    };
    assert_eq!(refused(|config| config.read_dirs = vec!["www".into()]), "rdirs");
    assert_eq!(refused(|config| config.write_dir = Some("in".into())), "wdir");
    assert_eq!(refused(|config| config.live = true), "input");
    assert_eq!(refused(|config| config.icecast = true), "icecast");
}
