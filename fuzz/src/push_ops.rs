//! Any facts in any order, told to a `Push`: what it asks for makes sense, each job is over once,
//! and it comes to an end.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use bytes::Bytes;
use httpout_proto::{
    Now, Push, Step,
    http::{Part, Piece},
    push::{
        DialError, Job, JobId, JobKind, Outcome, PushConfig, PushEffect, PushOptions, Target,
        Upload, UploadRange,
    },
};

/// What servers say.
const ANSWERS: [&str; 20] = [
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 201 Created\r\nETag: \"x\"\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 307 x\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 308 x\r\nLocation: http://other:81/x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 301 x\r\nLocation: \r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 408 x\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 413 x\r\nContent-Length: 100\r\n\r\n",
    "HTTP/1.1 417 x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 429 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 503 x\r\nRetry-After: Sun, 09 Sep 2001 01:47:00 GMT\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 102 x\r\n\r\n",
    "HTTP/1.1 ",
    "200 OK\r\n\r\n",
];

/// One input: options, then operations.
pub fn run(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut world = World::new(bytes.next().unwrap_or_default());
    for _ in 0..400 {
        let Some(op) = bytes.next() else { break };
        let argument = bytes.next().unwrap_or_default();
        world.act(op % 17, argument, &mut bytes);
        world.drain();
    }
    world.end();
}

struct World {
    push: Push,
    now: Now,
    jobs: BTreeMap<JobId, State>,
    /// A connection is there, or is being made.
    line: Line,
    /// The pull that is not answered.
    pull: Option<(JobId, u64)>,
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Line {
    Down,
    Dialling,
    Up,
}

struct State {
    rewindable: bool,
    over: bool,
    /// Bytes given since the last pull from 0.
    given: u64,
    len: Option<u64>,
}

impl World {
    fn new(options: u8) -> Self {
        let mut config = PushConfig::default();
        let bit = |at: u8| options >> at & 1 == 1;
        config.post = bit(0);
        config.chunked = !bit(1);
        config.verify = bit(2);
        config.close = bit(3);
        config.keep_input = !bit(4);
        config.expect_from = bit(5).then_some(2);
        config.retries = if bit(6) { 1 } else { 10 };
        let options = Arc::new(PushOptions::new(config).expect("fine options"));
        Self {
            push: Push::new(options),
            now: Now {
                mono: Instant::now(),
                wall: UNIX_EPOCH + Duration::from_secs(1_000_000_000),
            },
            jobs: BTreeMap::new(),
            line: Line::Down,
            pull: None,
            closed: false,
        }
    }

    fn act(&mut self, op: u8, argument: u8, bytes: &mut impl Iterator<Item = u8>) {
        match op {
            0 | 1 => self.add(argument),
            2 if self.line == Line::Dialling => {
                self.line = Line::Up;
                self.push.handle_dialled();
            }
            3 if self.line == Line::Dialling => {
                self.line = Line::Down;
                let temporary = argument.is_multiple_of(2);
                self.push.handle_dial_failed(DialError { what: "no".into(), temporary });
            }
            2 | 3 => {}
            4 | 5 => {
                let answer = ANSWERS[usize::from(argument) % ANSWERS.len()];
                self.push.handle_data(Bytes::from_static(answer.as_bytes()));
            }
            6 => {
                let raw: Vec<u8> = bytes.take(usize::from(argument) % 40).collect();
                self.push.handle_data(raw.into());
            }
            7 => self.push.handle_eof(),
            8 | 9 => self.send(u64::from(argument)),
            10 => {
                let kind = ErrorKind::ConnectionReset;
                if argument.is_multiple_of(2) {
                    self.push.handle_unsendable(kind);
                } else {
                    self.push.handle_broken(kind);
                }
            }
            11 | 12 => self.supply(argument),
            13 => {
                // An answer that nobody waits for.
                let job = JobId(u32::from(argument % 8));
                if self.pull.is_none_or(|(own, at)| (own, at) != (job, 7)) {
                    self.push.handle_body(job, 7, Part::Bytes(Bytes::from_static(b"late")));
                }
            }
            14 => {
                let most = [1, 100, 1000, 100_000][usize::from(argument) % 4];
                self.now.mono += Duration::from_millis(most);
                self.now.wall += Duration::from_millis(most);
            }
            15 => self.push.cancel(JobId(u32::from(argument % 8))),
            _ => match argument % 4 {
                0 => self.push.finish(),
                1 => self.push.stop(),
                _ => {
                    if let Some((job, _)) = self.pull {
                        self.push.handle_body_failed(job, "broken".into());
                    }
                }
            },
        }
    }

    fn add(&mut self, argument: u8) {
        let id = JobId(self.jobs.len() as u32);
        if self.closed || id.0 >= 8 {
            return;
        }
        let bit = |at: u8| argument >> at & 1 == 1;
        let (target, _) = Target::parse("http://sim/a/b").expect("a URL");
        let upload = Upload {
            len: bit(0).then_some(u64::from(argument >> 5)),
            rewindable: bit(1),
            media_type: bit(2).then(|| "video/mp4".into()),
            range: argument.is_multiple_of(7).then_some(UploadRange { first: 3, last: None }),
        };
        let delete = argument.is_multiple_of(11);
        let state = State {
            rewindable: upload.rewindable,
            over: false,
            given: 0,
            len: if delete { Some(0) } else { upload.len },
        };
        let kind = if delete { JobKind::Delete } else { JobKind::Upload(upload) };
        self.jobs.insert(id, state);
        self.push.add(Job { id, target, kind });
    }

    fn send(&mut self, most: u64) {
        let shown: u64 = self.push.transmit().map_or(0, |pieces| pieces.map(piece_len).sum());
        self.push.handle_sent(shown.min(most * most));
    }

    fn supply(&mut self, argument: u8) {
        let Some((job, at)) = self.pull.take() else { return };
        let state = self.jobs.get_mut(&job).expect("a known job");
        if argument.is_multiple_of(5) {
            self.push.handle_body_end(job, at);
            return;
        }
        let len = u64::from(argument);
        state.given = at + len;
        let part = if argument.is_multiple_of(2) {
            Part::File { file: job.file(), at, len }
        } else {
            Part::Bytes(vec![b'x'; usize::from(argument)].into())
        };
        self.push.handle_body(job, at, part);
        if argument.is_multiple_of(3) {
            self.push.handle_body_end(job, at + len);
        }
    }

    /// Until it waits.
    fn drain(&mut self) {
        for _ in 0..200 {
            match self.push.poll(self.now) {
                Step::Do(effect) => self.take(effect),
                Step::Wait(wait) => {
                    assert!(!self.closed, "it was over, and is no more");
                    assert_eq!(wait.write, self.push.transmit().is_some());
                    assert!(wait.deadline.is_none_or(|(at, _)| at > self.now.mono));
                    assert!(self.line == Line::Up || !wait.read && !wait.write);
                    let shown: u64 =
                        self.push.transmit().map_or(0, |pieces| pieces.map(piece_len).sum());
                    assert!(shown < 70_000, "{shown} bytes are queued");
                    match self.push.poll(self.now) {
                        Step::Wait(again) => assert_eq!(wait, again),
                        other @ (Step::Do(_) | Step::Closed(_)) => {
                            panic!("at the same time: {other:?}")
                        }
                    }
                    return;
                }
                Step::Closed(_) => {
                    assert_eq!(self.line, Line::Down);
                    self.closed = true;
                    return;
                }
            }
        }
        panic!("it has always something more to be done");
    }

    fn take(&mut self, effect: PushEffect) {
        assert!(!self.closed || matches!(effect, PushEffect::Over { .. }), "{effect:?} at the end");
        match effect {
            PushEffect::Dial { .. } => {
                assert_eq!(self.line, Line::Down);
                self.line = Line::Dialling;
            }
            PushEffect::HangUp => {
                assert_ne!(self.line, Line::Down);
                self.line = Line::Down;
            }
            PushEffect::Recheck => assert_eq!(self.line, Line::Up),
            PushEffect::Pull { job, at } => {
                assert_eq!(self.line, Line::Up);
                let state = self.jobs.get_mut(&job).expect("a known job");
                assert!(!state.over, "a pull for a job that is over");
                // Only what can be had again is asked for twice.
                assert!(at == state.given || at == 0 && state.rewindable, "{job:?} at {at}");
                assert!(state.len.is_none_or(|len| at < len), "a pull from behind the end");
                state.given = at;
                self.pull = Some((job, at));
            }
            PushEffect::Retry { job, .. } | PushEffect::Redirected { job, .. } => {
                assert!(!self.jobs[&job].over);
            }
            PushEffect::Over { job, outcome } => {
                let state = self.jobs.get_mut(&job).expect("a known job");
                assert!(!state.over, "{job:?} is over twice");
                state.over = true;
                if self.pull.is_some_and(|(own, _)| own == job) {
                    self.pull = None;
                }
                match outcome {
                    Outcome::Stored(stored) => {
                        assert!(stored.bytes <= state.given, "more than there was");
                        assert!(state.len.is_none_or(|len| len <= stored.bytes));
                    }
                    Outcome::Deleted { .. } => assert_eq!(state.len, Some(0)),
                    Outcome::Failed(failure) => assert!(failure.to_string().contains("http://")),
                }
            }
        }
    }

    fn end(mut self) {
        self.drain();
        self.push.stop();
        self.drain();
        assert!(self.closed, "it was stopped, and goes on");
        assert!(self.jobs.values().all(|state| state.over), "a job has no outcome");
        assert!(self.push.transmit().is_none());
    }
}

fn piece_len(piece: Piece<'_>) -> u64 {
    match piece {
        Piece::Bytes(bytes) => bytes.len() as u64,
        Piece::File { len, .. } => len,
    }
}
