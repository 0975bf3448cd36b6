//! A push with a runtime that dials, reads and sends at once, and a server that says what the test
//! says.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::super::*;
use crate::http::Piece;

pub(super) const BLOB: &[u8] = b"0123456789abcdefghij";

pub(super) struct Rig {
    pub(super) push: Push,
    pub(super) now: Now,
    /// What a dial leads to.
    pub(super) dials: Result<(), DialError>,
    /// False: dials and pulls are only noted.
    pub(super) prompt: bool,
    /// Bytes of a body in one part.
    pub(super) step: usize,
    pub(super) wait: Option<Wait>,
    /// Bytes that the server takes whenever it is offered some.
    pub(super) takes: u64,
    /// What the socket has when it is tried, at the last moment.
    pub(super) late: Option<&'static str>,
    /// What is to be sent turns out to be cold then.
    pub(super) fetches: bool,
    bodies: BTreeMap<JobId, Vec<u8>>,
    wrote: Vec<u8>,
    log: Vec<String>,
}

impl Default for Rig {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl Rig {
    pub(super) fn new(change: impl FnOnce(&mut PushConfig)) -> Self {
        let mut config = PushConfig { user_agent: "t".into(), ..PushConfig::default() };
        change(&mut config);
        Self {
            push: Push::new(Arc::new(PushOptions::new(config).unwrap())),
            now: Now { mono: some_instant(), wall: SystemTime::UNIX_EPOCH },
            dials: Ok(()),
            prompt: true,
            step: usize::MAX,
            wait: None,
            takes: u64::MAX,
            late: None,
            fetches: false,
            bodies: BTreeMap::new(),
            wrote: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, (job, body): (Job, Vec<u8>)) {
        self.bodies.insert(job.id, body);
        self.push.add(job);
        self.run();
    }

    /// Until it waits; sends all that there is to be sent.
    pub(super) fn run(&mut self) {
        for _ in 0..10_000 {
            match self.push.poll(self.now) {
                Step::Do(effect) => self.take(effect),
                Step::Closed(_) => {
                    self.log.push("closed".into());
                    return;
                }
                Step::Wait(wait) => {
                    assert_eq!(wait.write, self.push.transmit().is_some());
                    assert!(wait.deadline.is_none_or(|(at, _)| at > self.now.mono));
                    self.wait = Some(wait);
                    if self.takes == 0 || !self.send(self.takes) {
                        return;
                    }
                }
            }
        }
        panic!("it does not come to rest: {:?}", self.log);
    }

    /// Sends up to `most` bytes; false if there is nothing.
    pub(super) fn send(&mut self, most: u64) -> bool {
        let Some(pieces) = self.push.transmit() else { return false };
        let mut sent = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => sent.extend_from_slice(bytes),
                Piece::File { file, at, len } => {
                    let body = &self.bodies[&JobId(file.number())];
                    sent.extend_from_slice(&body[at as usize..(at + len) as usize]);
                }
            }
        }
        sent.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        self.wrote.extend_from_slice(&sent);
        self.push.handle_sent(sent.len() as u64);
        true
    }

    fn take(&mut self, effect: PushEffect) {
        match effect {
            PushEffect::Dial { origin } => {
                self.log.push(format!("dial {origin}"));
                match (self.prompt, self.dials.clone()) {
                    (false, _) => {}
                    (true, Ok(())) => self.push.handle_dialled(),
                    (true, Err(why)) => self.push.handle_dial_failed(why),
                }
            }
            PushEffect::HangUp => self.log.push("hang up".into()),
            PushEffect::Recheck => {
                if let Some(late) = self.late.take() {
                    self.push.handle_data(Bytes::from_static(late.as_bytes()));
                }
                self.push.handle_fetching(self.fetches);
                let takes = self.takes;
                self.send(takes);
            }
            PushEffect::Pull { job, at } if self.prompt => self.supply(job, at),
            PushEffect::Pull { job, at } => self.log.push(format!("{} pull {at}", job.0)),
            PushEffect::Retry { job, after, why } => {
                self.log.push(format!("{} again in {} ms: {why}", job.0, after.as_millis()));
            }
            PushEffect::Redirected { job, target } => {
                self.log.push(format!("{} to {target}", job.0));
            }
            PushEffect::Over { job, outcome } => self.log.push(match outcome {
                Outcome::Stored(stored) => {
                    let verified = if stored.verified { " verified" } else { "" };
                    format!("{} stored {} {}{verified}", job.0, stored.status.code(), stored.bytes)
                }
                Outcome::Deleted { status } => format!("{} deleted {}", job.0, status.code()),
                Outcome::Failed(failure) => format!("{} failed: {failure}", job.0),
            }),
        }
    }

    /// Answers a pull: every second part is a span of the file.
    pub(super) fn supply(&mut self, job: JobId, at: u64) {
        let body = &self.bodies[&job];
        let start = at as usize;
        if start >= body.len() {
            self.push.handle_body_end(job, at);
            return;
        }
        let end = body.len().min(start.saturating_add(self.step));
        let part = if self.step.is_multiple_of(2) {
            Part::File { file: job.file(), at, len: (end - start) as u64 }
        } else {
            Part::Bytes(Bytes::copy_from_slice(&body[start..end]))
        };
        self.push.handle_body(job, at, part);
        if end == body.len() && self.step.is_multiple_of(3) {
            self.push.handle_body_end(job, end as u64);
        }
    }

    pub(super) fn answer(&mut self, text: &str) {
        self.answer_bytes(text.as_bytes());
    }

    pub(super) fn answer_bytes(&mut self, bytes: &[u8]) {
        self.push.handle_data(Bytes::copy_from_slice(bytes));
        self.run();
    }

    pub(super) fn eof(&mut self) {
        self.push.handle_eof();
        self.run();
    }

    pub(super) fn broken(&mut self) {
        self.push.handle_broken(io::ErrorKind::ConnectionReset);
        self.run();
    }

    pub(super) fn after(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
        self.run();
    }

    /// Until the deadline that is waited for.
    pub(super) fn until(&mut self, timer: Timer) {
        let (at, name) = self.wait.and_then(|wait| wait.deadline).expect("a deadline");
        assert_eq!(name, timer);
        self.after(at - self.now.mono);
    }

    pub(super) fn finish(&mut self) {
        self.push.finish();
        self.run();
    }

    /// What was sent since it was asked last.
    pub(super) fn wrote(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.wrote)).unwrap()
    }

    /// What happened since it was asked last.
    pub(super) fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

pub(super) fn put(id: u32, path: &str, body: &[u8], len: Option<u64>) -> (Job, Vec<u8>) {
    let (target, _) = Target::parse(&format!("http://h:8080{path}")).unwrap();
    let upload = Upload { len, rewindable: true, ..Upload::default() };
    (Job { id: JobId(id), target, kind: JobKind::Upload(upload) }, body.to_vec())
}

pub(super) fn unrewindable(id: u32, body: &[u8], len: Option<u64>) -> (Job, Vec<u8>) {
    let (mut job, body) = put(id, "/pipe", body, len);
    if let JobKind::Upload(upload) = &mut job.kind {
        upload.rewindable = false;
    }
    (job, body)
}

#[expect(clippy::disallowed_methods, reason = "a test needs an instant to begin with")]
fn some_instant() -> std::time::Instant {
    std::time::Instant::now()
}
