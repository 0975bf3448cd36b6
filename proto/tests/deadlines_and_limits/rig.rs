//! The session on a virtual clock, and what it is told.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use httpout_proto::effect::{ConnectionEffect, FsEffect, LiveEffect, LogEffect};
use httpout_proto::{
    Closed, Config, Done, Effect, FsError, Now, OpId, Session, Site, Step, Wait,
    fs::Meta,
    http::Piece,
    live::{Growth, GrowthState},
};

pub(crate) const GET: &str = "GET /a.bin HTTP/1.1\r\nHost: a\r\n\r\n";
pub(crate) const LATE: Duration = Duration::from_secs(60);

/// A session with its clock, what it sent, and what it wants done and was not answered.
pub(crate) struct Rig {
    pub(crate) session: Session,
    pub(crate) now: Now,
    pub(crate) sent: String,
    pub(crate) open: Vec<Effect>,
    pub(crate) shut: bool,
    pub(crate) closed: Option<Closed>,
    /// What the socket has when it is tried, at the last moment.
    pub(crate) late: Option<&'static str>,
    /// False: the peer takes nothing.
    pub(crate) takes: bool,
    /// What is to be sent turns out to be cold when the socket is tried, at the last moment.
    pub(crate) fetches: bool,
    /// The peer has closed its side, behind bytes that are not received.
    pub(crate) closing: bool,
}

impl Rig {
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        Self::with(Session::new(site(change)))
    }

    pub(crate) fn with(session: Session) -> Self {
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

    pub(crate) fn feed(&mut self, text: &str) -> Option<Wait> {
        self.session.handle_data(Bytes::copy_from_slice(text.as_bytes()));
        self.run()
    }

    /// Runs until it rests.
    pub(crate) fn run(&mut self) -> Option<Wait> {
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
    pub(crate) fn after(&mut self, time: Duration) -> Option<Wait> {
        self.now.mono += time;
        self.now.wall += time;
        self.run()
    }

    /// Answers the effect that `pick` recognizes.
    pub(crate) fn answer(
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

    pub(crate) fn statuses(&self) -> Vec<&str> {
        self.sent.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
    }

    pub(crate) fn put_is_under_way(&mut self, head: &str) -> Option<Wait> {
        self.feed(head);
        self.answer(create, Ok(Done::Ok))
    }
}

pub(crate) fn site(change: impl FnOnce(&mut Config)) -> Arc<Site> {
    let mut config = Config::default();
    config.read_dirs = vec!["www".into()];
    config.write_dir = Some("www".into());
    change(&mut config);
    config.check().unwrap()
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn create(effect: &Effect) -> Option<OpId> {
    if let Effect::Fs(_, FsEffect::Create { op, .. }) = effect { Some(*op) } else { None }
}

pub(crate) fn write(effect: &Effect) -> Option<OpId> {
    if let Effect::Fs(_, FsEffect::Write { op, .. }) = effect { Some(*op) } else { None }
}

pub(crate) fn follow(effect: &Effect) -> Option<OpId> {
    if let Effect::Live(_, LiveEffect::Follow { op, .. }) = effect { Some(*op) } else { None }
}

pub(crate) fn open(effect: &Effect) -> Option<OpId> {
    if let Effect::Fs(_, FsEffect::Open { op, .. }) = effect { Some(*op) } else { None }
}

pub(crate) fn commit(effect: &Effect) -> Option<OpId> {
    if let Effect::Fs(_, FsEffect::Commit { op, .. }) = effect { Some(*op) } else { None }
}

pub(crate) fn meta(len: u64) -> Meta {
    Meta { len, modified: SystemTime::UNIX_EPOCH + secs(1_600_000_000), inode: 7 }
}

pub(crate) const OPTIONS: &str = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";

pub(crate) fn is_over(effect: &Effect) -> bool {
    matches!(effect, Effect::Log(_, LogEffect::Over(_)))
}

/// A GET that waits for an upload to begin.
pub(crate) fn missing() -> Rig {
    let mut rig = Rig::new(|config| config.wait_missing = secs(25));
    rig.feed(GET);
    rig.answer(follow, Ok(Done::NotGrowing));
    rig.answer(open, Err(FsError::NotFound));
    rig.answer(open, Err(FsError::NotFound));
    rig
}

/// A GET of an upload in progress, of which so much is there.
pub(crate) fn growing(len: u64) -> (Rig, OpId) {
    let mut rig = Rig::new(|_| {});
    rig.feed(GET);
    let Some(&Effect::Live(_, LiveEffect::Follow { op, .. })) = rig.open.first() else {
        panic!("no follow")
    };
    let growth = Growth { len, total: None, state: GrowthState::Growing };
    rig.answer(follow, Ok(Done::Following(growth)));
    (rig, op)
}
