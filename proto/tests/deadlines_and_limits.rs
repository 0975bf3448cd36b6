//! A session on a virtual clock: each deadline and each bound, with its answer.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use httpout_proto::effect::{ConnectionEffect, FsEffect, LiveEffect, LogEffect};
use httpout_proto::{
    Closed, Config, Done, Effect, FsError, Limits, Now, OpId, PeerError, Session, Site, Step,
    Timer, Wait,
    fs::Meta,
    http::Piece,
    live::{Growth, GrowthState},
};

/// A session with its clock, what it sent, and what it wants done and was not answered.
struct Rig {
    session: Session,
    now: Now,
    sent: String,
    open: Vec<Effect>,
    shut: bool,
    closed: Option<Closed>,
    /// What the socket has when it is tried, at the last moment.
    late: Option<&'static str>,
    /// False: the peer takes nothing.
    takes: bool,
    /// What is to be sent turns out to be cold when the socket is tried, at the last moment.
    fetches: bool,
    /// The peer has closed its side, behind bytes that are not received.
    closing: bool,
}

impl Rig {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        Self::with(Session::new(site(change)))
    }

    fn with(session: Session) -> Self {
        let now = Now { mono: Instant::now(), wall: SystemTime::UNIX_EPOCH + secs(1_700_000_000) };
        let (sent, open) = (String::new(), Vec::new());
        Self {
            session,
            now,
            sent,
            open,
            shut: false,
            closed: None,
            late: None,
            takes: true,
            fetches: false,
            closing: false,
        }
    }

    fn feed(&mut self, text: &str) -> Option<Wait> {
        self.session.handle_data(Bytes::copy_from_slice(text.as_bytes()));
        self.run()
    }

    /// Runs until it rests.
    fn run(&mut self) -> Option<Wait> {
        loop {
            match self.session.poll(self.now) {
                Step::Do(Effect::Connection(ConnectionEffect::ShutdownWrite)) => self.shut = true,
                Step::Do(Effect::Connection(ConnectionEffect::Recheck { read })) => {
                    if self.closing && !read {
                        self.session.handle_closing();
                    }
                    if std::mem::take(&mut self.fetches) {
                        self.session.handle_fetching(true);
                    }
                    if let Some(late) = self.late.take_if(|_| read) {
                        self.session.handle_data(Bytes::from_static(late.as_bytes()));
                    }
                }
                Step::Do(effect) => self.open.push(effect),
                Step::Wait(wait) => {
                    assert_eq!(wait.write, self.session.transmit().is_some());
                    assert!(wait.deadline.is_none_or(|(at, _)| at > self.now.mono));
                    let pieces: Vec<_> = self.session.transmit().into_iter().flatten().collect();
                    if pieces.is_empty() || !self.takes {
                        return Some(wait);
                    }
                    let mut count = 0;
                    for piece in pieces {
                        count += match piece {
                            Piece::Bytes(bytes) => {
                                self.sent.push_str(std::str::from_utf8(bytes).unwrap());
                                bytes.len() as u64
                            }
                            Piece::File { len, .. } => {
                                self.sent.push_str(&"#".repeat(len as usize));
                                len
                            }
                        };
                    }
                    self.session.handle_sent(count);
                }
                Step::Closed(how) => {
                    self.closed = Some(how);
                    return None;
                }
            }
        }
    }

    /// Lets time pass.
    fn after(&mut self, time: Duration) -> Option<Wait> {
        self.now.mono += time;
        self.now.wall += time;
        self.run()
    }

    /// Answers the effect that `pick` recognizes.
    fn answer(
        &mut self,
        pick: impl Fn(&Effect) -> Option<OpId>,
        result: Result<Done, FsError>,
    ) -> Option<Wait> {
        let at =
            self.open.iter().position(|effect| pick(effect).is_some()).expect("no such effect");
        let op = pick(&self.open.remove(at)).unwrap();
        self.session.handle_done(op, result);
        self.run()
    }

    fn statuses(&self) -> Vec<&str> {
        self.sent.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
    }

    fn put_is_under_way(&mut self, head: &str) -> Option<Wait> {
        self.feed(head);
        self.answer(create, Ok(Done::Ok))
    }
}

fn site(change: impl FnOnce(&mut Config)) -> Arc<Site> {
    let mut config = Config::default();
    config.read_dirs = vec!["www".into()];
    config.write_dir = Some("www".into());
    change(&mut config);
    config.check().unwrap()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn create(effect: &Effect) -> Option<OpId> {
    if let Effect::Fs(_, FsEffect::Create { op, .. }) = effect { Some(*op) } else { None }
}

fn write(effect: &Effect) -> Option<OpId> {
    if let Effect::Fs(_, FsEffect::Write { op, .. }) = effect { Some(*op) } else { None }
}

fn follow(effect: &Effect) -> Option<OpId> {
    if let Effect::Live(_, LiveEffect::Follow { op, .. }) = effect { Some(*op) } else { None }
}

fn open(effect: &Effect) -> Option<OpId> {
    if let Effect::Fs(_, FsEffect::Open { op, .. }) = effect { Some(*op) } else { None }
}

fn commit(effect: &Effect) -> Option<OpId> {
    if let Effect::Fs(_, FsEffect::Commit { op, .. }) = effect { Some(*op) } else { None }
}

fn meta(len: u64) -> Meta {
    Meta { len, modified: SystemTime::UNIX_EPOCH + secs(1_600_000_000), inode: 7 }
}

const GET: &str = "GET /a.bin HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_slow_head_gets_408() {
    let mut rig = Rig::new(|_| {});
    let wait = rig.feed("GET / HT").unwrap();
    assert_eq!(wait.deadline.unwrap().1, Timer::Head);
    // A byte now and then does not help.
    for _ in 0..9 {
        rig.after(secs(1));
        rig.session.handle_data(Bytes::from_static(b"x"));
    }
    rig.after(secs(1));
    assert_eq!(rig.statuses(), ["408"]);
    assert!(rig.shut && rig.sent.contains("Connection: close"));
    rig.session.handle_eof();
    rig.run();
    assert!(rig.closed.is_some());
}

#[test]
fn a_resting_connection_is_closed_without_a_word() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(rig.run().unwrap().deadline.unwrap().1, Timer::Idle);
    assert!(rig.after(secs(29)).is_some());
    rig.after(secs(1));
    assert_eq!((rig.closed.map(|how| how.why), rig.sent.as_str()), (Some(None), ""));

    let mut rig = Rig::new(|config| config.limits.idle_time = None);
    assert_eq!(rig.run().unwrap().deadline, None);
}

#[test]
fn a_body_that_stops_gets_408_and_leaves_nothing() {
    let mut rig = Rig::new(|_| {});
    let wait =
        rig.put_is_under_way("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").unwrap();
    assert_eq!(wait.deadline.unwrap().1, Timer::RequestBody);
    rig.after(secs(30));
    assert_eq!(rig.statuses(), ["408"]);
    assert!(rig.open.iter().any(|effect| matches!(
        effect,
        Effect::Live(_, LiveEffect::Ended { complete: false, .. })
    )));
    assert!(rig.open.iter().any(|effect| matches!(effect, Effect::Fs(_, FsEffect::Close { .. }))));
}

#[test]
fn a_body_that_trickles_gets_408_unless_it_keeps_the_rate() {
    let trickle = |bytes: usize| {
        let mut rig = Rig::new(|config| config.limits.body_rate = 500);
        rig.put_is_under_way("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        for second in 0.. {
            if second == 100 || !rig.statuses().is_empty() {
                return second;
            }
            rig.feed(&"x".repeat(bytes));
            rig.answer(write, Ok(Done::Ok));
            rig.after(secs(1));
        }
        unreachable!()
    };
    assert_eq!(trickle(500), 100);
    assert!((30..40).contains(&trickle(20)), "{}", trickle(20));
}

#[test]
fn a_slow_disk_is_not_the_senders_fault() {
    let mut rig = Rig::new(|config| config.limits.upload_window = 64);
    rig.put_is_under_way("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    let wait = rig.feed("12345").unwrap();
    assert_eq!((wait.read, wait.deadline), (false, None), "the window is full");
    rig.after(secs(3600));
    assert!(rig.statuses().is_empty());
    let wait = rig.answer(write, Ok(Done::Ok)).unwrap();
    assert!(wait.read);
}

#[test]
fn a_peer_that_takes_nothing_is_cut() {
    let mut rig = Rig::new(|_| {});
    rig.takes = false;
    rig.feed(GET);
    rig.answer(follow, Ok(Done::NotGrowing));
    let wait = rig.answer(open, Ok(Done::Opened(meta(1 << 20)))).unwrap();
    assert_eq!(wait.deadline.unwrap().1, Timer::Send);
    rig.after(secs(20));
    rig.session.handle_sent(1);
    rig.after(secs(20));
    assert!(rig.closed.is_none(), "one byte is progress");
    rig.after(secs(30));
    assert_eq!(rig.closed.unwrap().why, Some(PeerError::Timeout(Timer::Send)));
    assert!(rig.open.iter().any(|effect| matches!(effect, Effect::Fs(_, FsEffect::Close { .. }))));
}

#[test]
fn a_peer_is_not_cut_for_a_disk_that_is_waited_for() {
    // The span is found to be cold when it is to be sent, or when the deadline has passed already.
    for late in [false, true] {
        let mut rig = Rig::new(|_| {});
        rig.takes = false;
        rig.feed(GET);
        rig.answer(follow, Ok(Done::NotGrowing));
        rig.answer(open, Ok(Done::Opened(meta(1 << 20))));
        if late {
            rig.fetches = true;
        } else {
            rig.session.handle_fetching(true);
        }
        for _ in 0..3 {
            rig.after(secs(30));
            assert!(rig.closed.is_none());
        }
        rig.session.handle_fetching(false);
        // The peer has all of its time again.
        let wait = rig.run().unwrap();
        assert_eq!(wait.deadline, Some((rig.now.mono + secs(30), Timer::Send)));
        rig.after(secs(30));
        assert_eq!(rig.closed.unwrap().why, Some(PeerError::Timeout(Timer::Send)));
    }
}

#[test]
fn lingering_is_bounded_in_time_and_bytes() {
    let refused = || {
        let mut rig = Rig::new(|_| {});
        rig.feed("GET / HTTP/9.9\r\n\r\n");
        assert_eq!((rig.statuses(), rig.shut), (vec!["505"], true));
        rig
    };
    let mut rig = refused();
    rig.after(secs(5));
    assert!(rig.closed.is_some(), "nothing came");
    let mut rig = refused();
    for _ in 0..7 {
        rig.after(secs(4));
        assert!(rig.closed.is_none(), "it still sends");
        rig.feed("x");
    }
    rig.after(secs(2));
    assert!(rig.closed.is_some(), "it sends for too long");
    let mut rig = Rig::new(|config| config.limits.linger_bytes = 64 << 10);
    rig.feed("GET / HTTP/9.9\r\n\r\n");
    for _ in 0..64 {
        rig.feed(&"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(40)[..1024]);
    }
    assert!(rig.closed.is_none());
    rig.feed("x");
    assert!(rig.closed.is_some());
    assert_eq!(rig.statuses().len(), 1, "nothing after an error is read as a request");
}

#[test]
fn a_connection_serves_so_many_requests_for_so_long() {
    let options = "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut rig = Rig::new(|config| config.limits.requests = 3);
    for _ in 0..4 {
        rig.feed(options);
    }
    assert_eq!(rig.statuses(), ["200"; 3]);
    assert_eq!(rig.sent.matches("Connection: close").count(), 1);

    // What was sent already is answered first.
    let mut rig = Rig::new(|config| config.limits.requests = 3);
    rig.feed(&options.repeat(9));
    assert_eq!(rig.statuses(), ["200"; 9]);
    assert!(rig.sent.ends_with("Connection: close\r\n\r\n"), "{}", rig.sent);
    assert_eq!(rig.sent.matches("Connection: close").count(), 1);

    let mut rig = Rig::new(|config| config.limits.requests = 3);
    rig.feed(&options.repeat(2));
    rig.late = Some("OPTIONS * HTTP/1.1\r\nHost: late\r\n\r\n");
    rig.feed(options);
    assert_eq!(rig.statuses(), ["200"; 4], "the socket held one more");

    let mut rig = Rig::new(|config| config.limits.requests = 0);
    for _ in 0..20_000 {
        rig.feed(options);
    }
    assert_eq!(rig.sent.matches("Connection: close").count(), 0);

    let mut rig = Rig::new(|config| config.limits.idle_time = None);
    rig.feed(options);
    rig.after(secs(3600));
    rig.feed(options);
    assert_eq!(rig.sent.matches("Connection: close").count(), 1);
}

#[test]
fn a_connection_that_carries_uploads_is_ended_by_neither_count_nor_age() {
    let refused =
        "PUT /a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let mut rig = Rig::new(|config| {
        (config.limits.requests, config.limits.client_errors) = (3, 0);
    });
    rig.feed(&refused.repeat(9));
    rig.after(secs(7));
    for _ in 0..9 {
        rig.feed(refused);
    }
    assert_eq!(rig.statuses(), ["409"; 18]);
    assert_eq!(rig.sent.matches("Connection: close").count(), 0);
    let mut rig = Rig::new(|config| config.limits.idle_time = None);
    rig.feed(refused);
    rig.after(secs(4000));
    rig.feed(refused);
    assert_eq!((rig.statuses().len(), rig.sent.contains("Connection: close")), (2, false));
}

#[test]
fn what_the_socket_has_when_a_deadline_passes_counts() {
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    // Between requests.
    let mut rig = Rig::new(|_| {});
    rig.feed(options);
    rig.late = Some("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.after(secs(30));
    assert_eq!((rig.statuses().len(), rig.closed), (2, None));
    rig.after(secs(30));
    assert!(rig.closed.is_some());
    // In a head: the rest of it; a part of the rest comes too late.
    for (late, status) in [("Host: a\r\n\r\n", "200"), ("Host: a\r\n", "408")] {
        let mut rig = Rig::new(|_| {});
        rig.feed("OPTIONS * HTTP/1.1\r\n");
        rig.late = Some(late);
        rig.after(secs(10));
        assert_eq!(rig.statuses(), [status]);
    }
    // In a body.
    let mut rig = Rig::new(|_| {});
    rig.put_is_under_way("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    rig.late = Some("x");
    rig.after(secs(30));
    assert_eq!((rig.statuses().len(), rig.late), (0, None));
    rig.answer(write, Ok(Done::Ok));
    rig.after(secs(30));
    assert_eq!(rig.statuses(), ["408"]);
}

#[test]
fn what_the_socket_has_when_lingering_ends_is_read_first() {
    for late in [secs(5), secs(100)] {
        let mut rig = Rig::new(|_| {});
        rig.feed("GET / HTTP/9.9\r\n\r\n");
        rig.late = Some("x");
        let is_over = rig.after(late).is_none();
        assert_eq!((rig.late, is_over), (None, late > secs(30)), "{late:?}");
        assert!(is_over || rig.after(secs(5)).is_none());
    }
    // It does not hold a server that goes down.
    let mut rig = Rig::new(|_| {});
    rig.feed("GET / HTTP/9.9\r\n\r\n");
    rig.session.shut_down();
    let wait = rig.run().unwrap();
    assert_eq!(wait.deadline, Some((rig.now.mono + secs(5), Timer::Linger)));
    assert!(rig.after(secs(5)).is_none());
}

/// Noticed so late, a deadline for what others do gives them their turn.
const LATE: Duration = Duration::from_secs(60);

#[test]
fn what_others_did_while_the_process_stood_still_counts() {
    let turn = Duration::from_millis(100);
    // An upload began meanwhile.
    let growth = Growth { len: 3, total: None, state: GrowthState::Growing };
    let mut rig = missing();
    let wait = rig.after(LATE).unwrap();
    assert_eq!(wait.deadline, Some((rig.now.mono + turn, Timer::Missing)));
    rig.answer(follow, Ok(Done::Following(growth)));
    assert_eq!(rig.statuses(), ["200"]);
    // None did.
    let mut rig = missing();
    rig.after(LATE);
    assert!(!rig.open.iter().any(|effect| open(effect).is_some()));
    rig.after(turn);
    rig.answer(open, Err(FsError::NotFound));
    assert_eq!(rig.statuses(), ["404"]);
    // One in progress went on, for a client that sends no more; or it did not.
    for goes_on in [true, false] {
        let (mut rig, op) = growing(5);
        rig.session.handle_eof();
        rig.run();
        let wait = rig.after(LATE).unwrap();
        assert_eq!(wait.deadline, Some((rig.now.mono + turn, Timer::HalfClosed)));
        if goes_on {
            rig.session.handle_growth(op, Growth { len: 7, ..growth });
            let wait = rig.run().unwrap();
            assert_eq!(wait.deadline, Some((rig.now.mono + secs(2), Timer::HalfClosed)));
        }
        assert_eq!(rig.after(turn).is_some(), goes_on);
    }
}

#[test]
fn a_process_that_is_always_late_obeys_its_deadlines() {
    let mut rig = missing();
    rig.after(LATE);
    rig.after(LATE);
    rig.answer(open, Err(FsError::NotFound));
    assert_eq!(rig.statuses(), ["404"]);
    let (mut rig, _) = growing(5);
    rig.session.handle_eof();
    rig.run();
    rig.after(LATE);
    assert!(rig.after(LATE).is_none());
}

const OPTIONS: &str = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";

fn is_over(effect: &Effect) -> bool {
    matches!(effect, Effect::Log(_, LogEffect::Over(_)))
}

/// A GET that waits for an upload to begin.
fn missing() -> Rig {
    let mut rig = Rig::new(|config| config.wait_missing = secs(25));
    rig.feed(GET);
    rig.answer(follow, Ok(Done::NotGrowing));
    rig.answer(open, Err(FsError::NotFound));
    rig.answer(open, Err(FsError::NotFound));
    rig
}

/// A GET of an upload in progress, of which so much is there.
fn growing(len: u64) -> (Rig, OpId) {
    let mut rig = Rig::new(|_| {});
    rig.feed(GET);
    let Some(&Effect::Live(_, LiveEffect::Follow { op, .. })) = rig.open.first() else {
        panic!("no follow")
    };
    let growth = Growth { len, total: None, state: GrowthState::Growing };
    rig.answer(follow, Ok(Done::Following(growth)));
    (rig, op)
}

#[test]
fn a_peer_that_closes_is_not_kept_waiting_for_what_may_not_come() {
    let mut rig = missing();
    rig.session.handle_eof();
    rig.run();
    assert_eq!((rig.closed.is_some(), rig.sent.as_str()), (true, ""));
    // What it sent behind that is obeyed.
    let mut rig = missing();
    rig.feed("PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    rig.session.handle_eof();
    rig.run();
    rig.answer(create, Ok(Done::Ok));
    assert!(rig.open.iter().any(|effect| matches!(effect, Effect::Fs(_, FsEffect::Write { .. }))));
    // An upload in progress is waited for a little, before its first byte and between two.
    for len in [0, 5] {
        let (mut rig, _) = growing(len);
        rig.session.handle_eof();
        let wait = rig.run().unwrap();
        assert_eq!(wait.deadline, Some((rig.now.mono + secs(2), Timer::HalfClosed)));
        rig.after(secs(2));
        assert!(rig.closed.is_some(), "{len}");
    }
}

#[test]
fn a_peer_that_closes_behind_bytes_that_are_not_read_is_not_kept_waiting() {
    let more = OPTIONS.repeat(3000);
    for (mut rig, looks) in [(missing(), 1), (growing(0).0, 2), (growing(5).0, 2)] {
        let wait = rig.feed(&more).unwrap();
        assert_eq!(wait, Wait { read: false, write: false, ..wait });
        assert_eq!(wait.deadline, Some((rig.now.mono + secs(2), Timer::HalfClosed)));
        // It has not closed yet.
        assert!(rig.after(secs(2)).is_some());
        rig.closing = true;
        let answered = rig.statuses().len();
        for _ in 0..looks {
            assert_eq!(rig.statuses().len(), answered);
            rig.after(secs(2));
        }
        // What it sent is taken, and none of it is answered.
        assert!(rig.open.iter().any(is_over) && rig.run().unwrap().read);
        assert_eq!(rig.statuses().len(), answered);
        rig.session.handle_eof();
        assert!(rig.run().is_none());
    }
}

#[test]
fn a_peer_that_closes_behind_bytes_that_are_not_read_gets_what_makes_progress() {
    let (mut rig, op) = growing(5);
    rig.feed(&OPTIONS.repeat(3000));
    rig.closing = true;
    for len in 6..20 {
        rig.after(Duration::from_millis(1900));
        let growth = Growth { len, total: None, state: GrowthState::Growing };
        rig.session.handle_growth(op, growth);
        assert!(rig.run().is_some(), "{len}");
    }
    let growth = Growth { len: 19, total: None, state: GrowthState::Complete };
    rig.session.handle_growth(op, growth);
    rig.run();
    assert_eq!(rig.statuses().len(), 3001, "what it sent behind that is answered, too");
}

#[test]
fn a_half_closed_peer_gets_what_makes_progress() {
    let (mut rig, op) = growing(5);
    rig.session.handle_eof();
    rig.run();
    for len in 6..20 {
        rig.after(Duration::from_millis(1900));
        let growth = Growth { len, total: None, state: GrowthState::Growing };
        rig.session.handle_growth(op, growth);
        assert!(rig.run().is_some(), "{len}");
    }
    let growth = Growth { len: 19, total: None, state: GrowthState::Complete };
    rig.session.handle_growth(op, growth);
    rig.run();
    assert!(rig.sent.ends_with("\r\n0\r\n\r\n") && rig.closed.is_some(), "{}", rig.sent);
}

#[test]
fn a_shutdown_answers_a_request_that_is_blocked() {
    let mut before = missing();
    before.session.shut_down();
    before.run();
    // One that was sent before, and would be blocked.
    let mut behind = Rig::new(|config| config.wait_missing = secs(25));
    behind.feed(&GET.repeat(2));
    behind.session.shut_down();
    for _ in 0..2 {
        behind.answer(follow, Ok(Done::NotGrowing));
        behind.answer(open, Err(FsError::NotFound));
    }
    let (mut no_byte, _) = growing(0);
    no_byte.session.shut_down();
    no_byte.run();
    for (rig, count) in [(before, 1), (behind, 2), (no_byte, 1)] {
        assert_eq!(rig.statuses(), vec!["503"; count], "{}", rig.sent);
        assert_eq!(rig.sent.matches("Retry-After: 1\r\n").count(), count);
        assert_eq!(rig.sent.matches("Connection: close").count(), 1);
    }
}

#[test]
fn a_source_that_stalls_is_closed() {
    let mut rig = Rig::new(|config| (config.icecast, config.live) = (true, true));
    rig.feed("SOURCE /a.mp3 HTTP/1.0\r\n\r\n");
    let air = |effect: &Effect| {
        if let Effect::Live(_, LiveEffect::Publish { op, .. }) = effect { Some(*op) } else { None }
    };
    let wait = rig.answer(air, Ok(Done::Ok)).unwrap();
    assert_eq!((rig.statuses(), wait.deadline.unwrap().1), (vec!["200"], Timer::RequestBody));
    rig.after(secs(30));
    let off = |effect: &Effect| {
        matches!(effect, Effect::Live(_, LiveEffect::Unpublish { complete: false, .. }))
    };
    assert!(rig.open.iter().any(off));
    assert_eq!(rig.closed.map(|how| how.reset), Some(false), "it has no body that could be cut");
    let why = rig.open.iter().find_map(|effect| {
        if let Effect::Log(_, LogEffect::Over(Some(report))) = effect { report.why } else { None }
    });
    assert_eq!(why, Some(PeerError::Timeout(Timer::RequestBody)));
}

#[test]
fn a_shutdown_takes_and_answers_first_what_was_sent() {
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    // Nothing is under way.
    let mut rig = Rig::new(|_| {});
    rig.feed(options);
    rig.late = Some("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.session.shut_down();
    rig.run();
    assert_eq!(rig.statuses().len(), 2);
    assert!(rig.sent.ends_with("Connection: close\r\n\r\n"), "{}", rig.sent);
    // A request is under way, others are held, and one more is in the socket.
    let mut rig = Rig::new(|_| {});
    rig.feed(&[GET, options, options].concat());
    rig.session.shut_down();
    rig.answer(follow, Ok(Done::NotGrowing));
    rig.late = Some("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.answer(open, Err(FsError::NotFound));
    assert_eq!(rig.statuses(), ["404", "200", "200", "200"]);
    assert_eq!(rig.sent.matches("Connection: close").count(), 1);
    assert!(rig.shut);
}

#[test]
fn an_unwanted_body_does_not_end_the_connection_unless_it_is_long() {
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    let refused = |body: &str| format!("PUT /a/ HTTP/1.1\r\nHost: a\r\n{body}");
    for (body, is_announced) in [
        ("Content-Length: 4\r\n\r\nbody", true),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", false),
    ] {
        let mut rig = Rig::new(|config| config.limits.unwanted_body = 4);
        rig.feed(&(refused(body) + options));
        assert_eq!(rig.statuses(), ["409", "200"]);
        assert!(!rig.sent.contains("Connection: close"));
        let mut rig = Rig::new(|config| config.limits.unwanted_body = 3);
        rig.feed(&(refused(body) + options));
        assert_eq!((rig.statuses(), rig.shut), (vec!["409"], true));
        // That chunks go on for too long is not known when they are refused.
        assert_eq!(rig.sent.contains("Connection: close"), is_announced);
        rig.after(secs(5));
        assert!(rig.closed.is_some());
    }
}

#[test]
fn errors_in_a_row_close_the_connection() {
    let bad = "PUT /a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let good = "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut rig = Rig::new(|config| config.limits.client_errors = 3);
    for request in [bad, bad, good, bad, bad, bad, good] {
        rig.feed(request);
    }
    assert_eq!(rig.statuses(), ["409", "409", "200", "409", "409", "409"]);
    // What was sent already is answered first, but not for ever.
    let mut rig = Rig::new(|config| config.limits.client_errors = 3);
    rig.feed(&[bad, bad, bad, bad, good].concat());
    assert_eq!(rig.statuses(), ["409", "409", "409", "409", "200"]);
    assert!(rig.sent.contains("Connection: close"));
    let mut rig = Rig::new(|config| config.limits.client_errors = 3);
    rig.feed(&bad.repeat(20));
    assert_eq!(rig.statuses(), ["409"; 6]);
}

#[test]
fn the_response_that_reaches_the_limit_of_errors_says_close() {
    let head = "PUT /a/ HTTP/1.1\r\nHost: a\r\n";
    for bad in [
        GET.replace("/a.bin", "/%"),
        format!("{head}Content-Length: 3\r\n\r\nabc"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ] {
        let mut rig = Rig::new(|config| config.limits.client_errors = 3);
        rig.feed(&bad);
        rig.feed(&bad);
        assert!(!rig.sent.contains("Connection: close"), "{}", rig.sent);
        rig.feed(&bad);
        assert_eq!(rig.statuses().len(), 3);
        assert_eq!(rig.sent.matches("Connection: close").count(), 1, "{}", rig.sent);
        assert!(rig.shut);
        // An upload that was sent behind it is taken, and its response is the one that says so.
        let mut rig = Rig::new(|config| config.limits.client_errors = 3);
        rig.feed(&(bad.repeat(3) + "PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"));
        assert_eq!(rig.statuses().len(), 3);
        assert!(!rig.sent.contains("Connection: close"), "{}", rig.sent);
        rig.answer(create, Ok(Done::Ok));
        assert!(
            rig.open.iter().any(|effect| matches!(effect, Effect::Fs(_, FsEffect::Write { .. })))
        );
    }
    // Of a body that is still on its way, nothing is known of what follows: it is read first.
    let mut rig = Rig::new(|config| config.limits.client_errors = 1);
    rig.feed(&format!("{head}Content-Length: 3\r\n\r\nab"));
    assert_eq!((rig.statuses(), rig.shut), (vec!["409"], false));
    rig.feed("c");
    assert!(!rig.sent.contains("Connection: close") && rig.closed.is_some());
}

#[test]
fn pipelined_requests_are_held_back() {
    let mut rig = Rig::new(|config| config.limits.pipelined = 100);
    assert!(rig.feed(GET).unwrap().read);
    assert!(rig.feed(GET).unwrap().read);
    assert!(!rig.feed(&GET.repeat(4)).unwrap().read, "more than is held");
    for _ in 0..6 {
        rig.answer(follow, Ok(Done::NotGrowing));
        rig.answer(open, Err(FsError::NotFound));
    }
    assert_eq!(rig.statuses(), ["404"; 6]);
    assert!(rig.run().unwrap().read);
}

#[test]
fn a_server_that_goes_down_answers_what_runs() {
    let mut rig = Rig::new(|_| {});
    rig.session.shut_down();
    rig.run();
    assert!(rig.closed.is_some(), "it rested");

    let mut rig = Rig::new(|_| {});
    rig.feed(GET);
    rig.session.shut_down();
    assert!(rig.run().is_some());
    rig.answer(follow, Ok(Done::NotGrowing));
    rig.answer(open, Ok(Done::Opened(meta(3))));
    assert_eq!(rig.statuses(), ["200"]);
    assert!(rig.sent.contains("Connection: close"));
    // The peer may be sending its next request: its answer must not be lost to a reset.
    assert!(rig.shut && rig.closed.is_none());
    rig.session.handle_eof();
    rig.run();
    assert!(rig.closed.is_some());
}

#[test]
fn one_connection_too_many_is_told_so() {
    let mut rig = Rig::with(Session::overloaded(site(|_| {})));
    rig.run();
    assert_eq!(rig.statuses(), ["503"]);
    assert!(rig.sent.contains("Retry-After: 1\r\n") && rig.shut);
}

#[test]
fn plain_http_where_tls_is_spoken_is_told_so() {
    let mut rig = Rig::with(Session::unencrypted(site(|_| {})));
    rig.feed(GET);
    assert_eq!(rig.statuses(), ["400"]);
    assert!(rig.sent.contains("https://") && rig.shut, "{}", rig.sent);
}

#[test]
fn a_missing_path_is_waited_for_so_long() {
    let mut rig = Rig::new(|config| config.wait_missing = secs(3));
    rig.feed(GET);
    rig.answer(follow, Ok(Done::NotGrowing));
    rig.answer(open, Err(FsError::NotFound));
    // Looked for once more, now that an upload would be noticed.
    let wait = rig.answer(open, Err(FsError::NotFound)).unwrap();
    assert_eq!(wait.deadline.unwrap().1, Timer::Missing);
    rig.after(secs(3));
    // And once more at the end.
    rig.answer(open, Err(FsError::NotFound));
    assert_eq!(rig.statuses(), ["404"]);
    assert!(
        rig.open
            .iter()
            .any(|effect| matches!(effect, Effect::Live(_, LiveEffect::Unfollow { .. })))
    );
}

#[test]
fn where_the_end_of_a_body_is_the_connections_giving_up_resets_it() {
    let grow = |version: &str| {
        let mut rig = Rig::new(|_| {});
        rig.feed(&format!("GET /a.bin {version}\r\nHost: a\r\n\r\n"));
        let Some(&Effect::Live(_, LiveEffect::Follow { op, .. })) = rig.open.first() else {
            panic!("no follow")
        };
        let growth = Growth { len: 5, total: None, state: GrowthState::Growing };
        rig.answer(follow, Ok(Done::Following(growth)));
        assert!(rig.sent.contains("#####"));
        rig.session.handle_growth(op, Growth { state: GrowthState::Aborted, ..growth });
        rig.run();
        assert!(!rig.sent.contains("0\r\n\r\n"));
        rig.closed.unwrap().reset
    };
    assert!(grow("HTTP/1.0"));
    assert!(!grow("HTTP/1.1"));
}

#[test]
fn a_body_that_ends_with_the_connection_and_is_cut_resets_it() {
    let mut rig = Rig::new(|_| {});
    rig.feed("GET /a.bin HTTP/1.0\r\nHost: a\r\n\r\n");
    let Some(&Effect::Live(_, LiveEffect::Follow { op, .. })) = rig.open.first() else {
        panic!("no follow")
    };
    let growth = Growth { len: 5, total: None, state: GrowthState::Growing };
    rig.answer(follow, Ok(Done::Following(growth)));
    rig.takes = false;
    rig.session.handle_growth(op, Growth { len: 9, state: GrowthState::Complete, ..growth });
    rig.run();
    rig.session.abort(io::ErrorKind::UnexpectedEof);
    rig.run();
    assert!(rig.closed.unwrap().reset, "a file that became shorter must not look whole");
}

#[test]
fn a_commit_is_told_although_its_uploader_has_left() {
    let mut rig = Rig::new(|_| {});
    rig.put_is_under_way("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok");
    rig.answer(write, Ok(Done::Ok));
    rig.session.handle_broken(io::ErrorKind::ConnectionReset);
    let wait = rig.run().expect("the commit is under way");
    assert!(!wait.read && !wait.write);
    rig.answer(commit, Ok(Done::Committed { created: true, meta: meta(2) }));
    assert!(rig.closed.is_some());
    assert!(
        rig.open.iter().any(|effect| matches!(
            effect,
            Effect::Live(_, LiveEffect::Ended { complete: true, .. })
        ))
    );
}

#[test]
fn a_clock_that_is_set_ends_nothing() {
    let mut rig = Rig::new(|_| {});
    rig.feed(GET);
    rig.now.wall -= secs(3600);
    rig.answer(follow, Ok(Done::NotGrowing));
    rig.now.wall += secs(7200);
    rig.answer(open, Ok(Done::Opened(meta(3))));
    assert_eq!(rig.statuses(), ["200"]);
    assert!(rig.closed.is_none());
}

/// A sparse file may be of any length.
#[test]
fn a_connection_may_send_more_bytes_than_are_counted() {
    let mut rig = Rig::new(|_| {});
    rig.takes = false;
    for _ in 0..3 {
        rig.feed(GET);
        rig.answer(follow, Ok(Done::NotGrowing));
        let wait = rig.answer(open, Ok(Done::Opened(meta(i64::MAX as u64))));
        assert!(wait.is_some_and(|wait| wait.write));
        let pieces: Vec<_> = rig.session.transmit().into_iter().flatten().collect();
        let Some(&Piece::File { len, .. }) = pieces.last() else { panic!("no file: {pieces:?}") };
        assert_eq!(len, i64::MAX as u64);
        // All of it, and no less than the head.
        rig.session.handle_sent(len + 1000);
        assert!(rig.run().is_some_and(|wait| !wait.write));
    }
    assert!(!rig.session.is_active());
}

#[test]
fn after_the_end_everything_is_a_no_op() {
    let mut rig = Rig::new(|_| {});
    rig.feed(GET);
    let Some(&Effect::Live(_, LiveEffect::Follow { op, .. })) = rig.open.first() else {
        panic!("no follow")
    };
    rig.session.handle_broken(io::ErrorKind::BrokenPipe);
    assert!(rig.run().is_some(), "an answer is awaited: it may bring an open file");
    rig.answer(follow, Ok(Done::NotGrowing));
    let closed = rig.closed.unwrap();
    rig.open.clear();
    rig.session.handle_data(Bytes::from_static(GET.as_bytes()));
    rig.session.handle_eof();
    rig.session.handle_sent(9);
    rig.session.handle_done(op, Ok(Done::Ok));
    rig.session.shut_down();
    rig.after(secs(9999));
    assert_eq!((rig.closed, rig.open.len(), rig.sent.as_str()), (Some(closed), 0, ""));
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let limits = Limits::default();
    assert_eq!((limits.request_line, limits.field_line, limits.head), (16384, 16384, 32768));
    assert_eq!((limits.fields, limits.chunk_extensions, limits.trailers), (100, 16384, 8192));
    assert_eq!((limits.trailer_fields, limits.requests, limits.client_errors), (32, 10_000, 20));
    assert_eq!((limits.head_time, limits.idle_time), (secs(10), Some(secs(30))));
    assert_eq!((limits.body_time, limits.body_rate, limits.send_time), (secs(30), 0, secs(30)));
    assert_eq!((limits.linger_time, limits.linger_pause), (secs(30), secs(5)));
    assert_eq!((limits.linger_bytes, limits.unwanted_body), (1 << 30, 16 << 20));
    assert_eq!((limits.age, limits.half_closed_time), (Some(secs(3600)), secs(2)));
}

#[test]
fn what_was_sent_whole_before_a_reset_is_obeyed() {
    let put =
        "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n";
    let half = "PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf";
    for sending in [true, false] {
        let mut rig = Rig::new(|_| {});
        rig.feed(&[put, GET, put, half].concat());
        if sending {
            rig.session.handle_unsendable(io::ErrorKind::BrokenPipe);
            rig.run();
            rig.session.handle_eof();
        } else {
            rig.session.handle_broken(io::ErrorKind::ConnectionReset);
        }
        rig.run();
        for _ in 0..2 {
            rig.answer(create, Ok(Done::Ok));
            rig.answer(write, Ok(Done::Ok));
            rig.answer(commit, Ok(Done::Committed { created: true, meta: meta(5) }));
            // The GET between them is given up, at once or when its first effect is answered.
            if rig.open.iter().any(|effect| follow(effect).is_some()) {
                rig.answer(follow, Ok(Done::NotGrowing));
            }
        }
        rig.answer(create, Ok(Done::Ok));
        if rig.open.iter().any(|effect| write(effect).is_some()) {
            rig.answer(write, Ok(Done::Ok));
        }
        let ended = |complete| {
            let is = |effect: &&Effect| matches!(effect, Effect::Live(_, LiveEffect::Ended { complete: c, .. }) if *c == complete);
            rig.open.iter().filter(is).count()
        };
        assert_eq!((ended(true), rig.sent.as_str()), (2, ""));
        assert!(rig.closed.is_some());
    }
}

#[test]
fn a_request_given_up_with_an_unread_body_does_not_hang() {
    for reset in [true, false] {
        let mut rig = Rig::new(|_| {});
        rig.feed("GET /a.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        if reset {
            rig.session.handle_broken(io::ErrorKind::ConnectionReset);
        } else {
            rig.session.handle_unsendable(io::ErrorKind::BrokenPipe);
        }
        rig.run();
        if let Some(wait) = rig.answer(follow, Ok(Done::NotGrowing)) {
            assert_eq!(wait.deadline.unwrap().1, Timer::Idle);
            rig.after(secs(10));
        }
        assert!(rig.closed.is_some());
    }
}
