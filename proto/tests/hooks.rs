//! Hooks: what a session asks, and what becomes of verdicts.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use httpout_proto::effect::{FsEffect, HookEffect, LiveEffect, LogEffect};
use httpout_proto::{
    Config, Done, Effect, FsError, Now, OpId, Session, Step, Timer,
    hook::{Headers, HookDecision, Pace, Piece as More, Question},
    http::{Piece, Status},
};

/// A session whose socket takes everything, and what it asked of its hook.
struct Rig {
    session: Session,
    now: Now,
    sent: Vec<u8>,
    asked: Vec<(OpId, Question)>,
    /// Effects that wait for an answer.
    open: Vec<Effect>,
    dismissed: Vec<bool>,
    deadline: Option<(Instant, Timer)>,
    closed: bool,
}

impl Rig {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.read_dirs = vec!["www".into()];
        config.hook = true;
        change(&mut config);
        Self {
            session: Session::new(config.check().unwrap()),
            now: Now { mono: Instant::now(), wall: SystemTime::UNIX_EPOCH },
            sent: Vec::new(),
            asked: Vec::new(),
            open: Vec::new(),
            dismissed: Vec::new(),
            deadline: None,
            closed: false,
        }
    }

    fn feed(&mut self, text: &str) {
        self.session.handle_data(Bytes::copy_from_slice(text.as_bytes()));
        self.go();
    }

    fn get(&mut self, path: &str) -> OpId {
        self.feed(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.asked.last().unwrap().0
    }

    /// Answers the effect; the session goes on.
    fn done(&mut self, op: OpId, result: Result<Done, FsError>) {
        self.session.handle_done(op, result);
        self.go();
    }

    fn verdict(&mut self, op: OpId, verdict: HookDecision) {
        self.done(op, Ok(Done::Decision(Box::new(verdict))));
    }

    fn wait(&mut self, time: Duration) {
        self.now.mono += time;
        self.go();
    }

    fn go(&mut self) {
        loop {
            match self.session.poll(self.now) {
                Step::Do(Effect::Hook(_, HookEffect::Ask { op, question })) => {
                    self.asked.push((op, *question))
                }
                Step::Do(Effect::Hook(_, HookEffect::Dismiss { complete, .. })) => {
                    self.dismissed.push(complete)
                }
                Step::Do(Effect::Log(_, LogEffect::Over(_))) => {}
                Step::Do(effect) => self.open.push(effect),
                Step::Wait(wait) => {
                    self.deadline = wait.deadline;
                    assert_eq!(wait.write, self.session.transmit().is_some());
                    let Some(what) = self.session.transmit() else { return };
                    let before = self.sent.len();
                    for piece in what {
                        match piece {
                            Piece::Bytes(bytes) => self.sent.extend_from_slice(bytes),
                            Piece::File { len, .. } => {
                                self.sent.resize(self.sent.len() + len as usize, b'f');
                            }
                        }
                    }
                    self.session.handle_sent((self.sent.len() - before) as u64);
                }
                Step::Closed(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    /// What was sent since this was asked last.
    fn text(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.sent)).unwrap()
    }
}

fn own(body: &'static str) -> HookDecision {
    HookDecision::answer(Status::OK, Headers::default(), body.into()).unwrap()
}

fn pass() -> HookDecision {
    HookDecision::pass(Headers::default()).unwrap()
}

#[test]
fn without_a_hook_nobody_is_asked() {
    let mut rig = Rig::new(|config| config.hook = false);
    rig.feed("GET /a.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(rig.asked.is_empty());
    assert!(matches!(rig.open[..], [Effect::Live(_, LiveEffect::Follow { .. })]), "{:?}", rig.open);
}

#[test]
fn nothing_is_done_before_the_verdict() {
    let mut rig = Rig::new(|config| config.write_dir = Some("www".into()));
    let op = rig.get("/a.mp4");
    assert!(rig.open.is_empty());
    rig.verdict(op, pass());
    assert!(matches!(rig.open[..], [Effect::Live(_, LiveEffect::Follow { .. })]), "{:?}", rig.open);

    let mut rig = Rig::new(|config| config.write_dir = Some("www".into()));
    rig.feed("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert!(rig.open.is_empty() && rig.sent.is_empty());
    let op = rig.asked[0].0;
    rig.verdict(op, pass());
    assert!(matches!(rig.open[..], [Effect::Fs(_, FsEffect::Create { .. })]), "{:?}", rig.open);
}

#[test]
fn a_verdict_counts_once_and_in_time() {
    let mut rig = Rig::new(|config| config.limits.hook_time = Duration::from_secs(5));
    let first = rig.get("/a");
    rig.verdict(first, own("one"));
    rig.verdict(first, own("two"));
    assert!(rig.text().ends_with("\r\n\r\none"));
    let second = rig.get("/b");
    assert_ne!(first, second);
    rig.verdict(first, own("late"));
    assert_eq!(rig.text(), "");
    assert_eq!(rig.deadline.unwrap().1, Timer::Hook);
    rig.wait(Duration::from_secs(5));
    let text = rig.text();
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("Retry-After: 1\r\n"), "{text}");
    rig.verdict(second, own("too late"));
    assert_eq!(rig.text(), "");
    let third = rig.get("/c");
    rig.verdict(third, own("three"));
    assert!(rig.text().ends_with("three"));
    assert_eq!(rig.dismissed, [true; 3]);
}

#[test]
fn a_hook_that_fails_is_told_as_such() {
    for (error, status) in [(FsError::Exhausted, "503"), (FsError::NotFound, "500")] {
        let mut rig = Rig::new(|_| ());
        let op = rig.get("/a");
        rig.done(op, Err(error));
        assert!(rig.text().starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(!rig.closed);
    }
}

#[test]
fn who_leaves_is_dismissed_once() {
    let mut rig = Rig::new(|_| ());
    let op = rig.get("/a");
    rig.session.handle_broken(std::io::ErrorKind::ConnectionReset);
    rig.go();
    assert_eq!(rig.dismissed, [false]);
    assert!(rig.closed);
    rig.verdict(op, own("to nobody"));
    assert_eq!(rig.dismissed, [false]);
}

/// Takes the only effect that waits, which is a pull.
fn pull(rig: &mut Rig) -> OpId {
    match std::mem::take(&mut rig.open)[..] {
        [Effect::Hook(_, HookEffect::Pull { op, .. })] => op,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_is_pulled_piece_by_piece() {
    let mut rig = Rig::new(|_| ());
    let op = rig.get("/a");
    rig.verdict(op, HookDecision::read(Status::OK, Headers::default()).unwrap());
    let first = pull(&mut rig);
    assert!(rig.sent.is_empty(), "it is not known yet that there is an answer");
    rig.done(first, Ok(Done::Pulled(More::Bytes("one".into()))));
    let text = rig.text();
    assert!(text.contains("Transfer-Encoding: chunked") && text.ends_with("\r\n3\r\none\r\n"));
    let second = pull(&mut rig);
    rig.done(second, Ok(Done::Pulled(More::NotYet)));
    assert!(rig.open.is_empty(), "it is let alone");
    assert_eq!(rig.deadline.unwrap().1, Timer::Pace);
    rig.wait(Duration::from_millis(1));
    let third = pull(&mut rig);
    rig.done(third, Ok(Done::Pulled(More::End)));
    assert_eq!(rig.text(), "0\r\n\r\n");
    assert_eq!(rig.dismissed, [true]);
}

#[test]
fn a_first_piece_that_fails_is_500_and_a_later_one_cuts() {
    let read = || HookDecision::read(Status::OK, Headers::default()).unwrap();
    let mut rig = Rig::new(|_| ());
    let op = rig.get("/a");
    rig.verdict(op, read());
    let first = pull(&mut rig);
    rig.done(first, Err(FsError::NotFound));
    assert!(rig.text().starts_with("HTTP/1.1 500 "));
    let op = rig.get("/a");
    rig.verdict(op, read());
    let first = pull(&mut rig);
    rig.done(first, Ok(Done::Pulled(More::Bytes("one".into()))));
    let second = pull(&mut rig);
    rig.done(second, Err(FsError::NotFound));
    assert!(rig.closed && !rig.text().ends_with("0\r\n\r\n"));
    assert_eq!(rig.dismissed, [true, false]);
}

#[test]
fn an_answer_is_no_longer_than_it_says() {
    let mut rig = Rig::new(|_| ());
    let op = rig.get("/a");
    let mut headers = Headers::default();
    headers.add("Content-Length", "5").unwrap();
    rig.verdict(op, HookDecision::read(Status::OK, headers).unwrap());
    let first = pull(&mut rig);
    rig.done(first, Ok(Done::Pulled(More::Bytes("too long".into()))));
    let text = rig.text();
    assert!(text.contains("Content-Length: 5\r\n") && text.ends_with("\r\n\r\ntoo l"), "{text}");
    assert_eq!(rig.dismissed, [true]);
    assert!(!rig.closed);
}

#[test]
fn a_throttled_answer_goes_out_as_it_is_allowed() {
    let mut rig = Rig::new(|config| config.limits.send_time = Duration::from_secs(1));
    let op = rig.get("/a");
    rig.verdict(op, own("0123456789").throttled());
    assert!(rig.text().ends_with("\r\n\r\n"), "the head goes at once");
    let pace = |rig: &mut Rig, delay: u64, bytes: u64| {
        let effects = std::mem::take(&mut rig.open);
        let [Effect::Hook(_, HookEffect::Pace { op, done, total: Some(10), .. })] = effects[..]
        else {
            panic!("{effects:?}")
        };
        rig.done(op, Ok(Done::Paced(Pace { delay: Duration::from_secs(delay), bytes })));
        done
    };
    assert_eq!(pace(&mut rig, 0, 4), 0);
    assert_eq!(rig.text(), "0123");
    // Longer than a peer may take nothing.
    assert_eq!(pace(&mut rig, 20, 4), 4);
    assert_eq!(rig.deadline.unwrap().1, Timer::Pace);
    rig.wait(Duration::from_secs(19));
    assert_eq!(rig.text(), "");
    rig.wait(Duration::from_secs(1));
    assert_eq!(rig.text(), "4567");
    assert_eq!(pace(&mut rig, 0, 4), 8);
    assert_eq!(rig.text(), "89");
    assert_eq!(rig.dismissed, [true]);
    // The next answer is not.
    let next = rig.get("/b");
    rig.verdict(next, own("whole"));
    assert!(rig.text().ends_with("whole"));
}

#[test]
fn fields_of_a_hook_go_before_the_servers_own() {
    let mut rig = Rig::new(|_| ());
    let op = rig.get("/a");
    let mut headers = Headers::default();
    for (name, value) in [("Server", "me"), ("Vary", "X-A"), ("Connection", "close")] {
        headers.add(name, value).unwrap();
    }
    rig.verdict(op, HookDecision::answer(Status::OK, headers, Bytes::new()).unwrap());
    let text = rig.text();
    assert_eq!(text.matches("Server: ").count(), 1);
    assert!(
        ["Server: me\r\n", "Vary: Origin\r\n", "Vary: X-A\r\n"].iter().all(|it| text.contains(it))
    );
    assert!(text.contains("Connection: close\r\n"));
}
