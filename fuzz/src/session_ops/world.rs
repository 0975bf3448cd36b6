//! A session, and around it a peer, a clock and a file system that exist in books only.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use bytes::Bytes;
use httpout_proto::{Closed, Now, Session, Site, Step, Wait, http::Piece};

use super::{ledger::Ledger, op::Op, requests::Requests, responses::Responses};

/// Most polls between two facts. It is far more than is needed; without end would be a hot loop.
const MOST_POLLS: usize = 10_000;

/// Most facts until a session that is left alone is over.
const MOST_ROUNDS: usize = 2_000;

pub(super) struct World {
    site: Arc<Site>,
    session: Session,
    now: Now,
    ledger: Ledger,
    requests: Requests,
    responses: Responses,
    wait: Option<Wait>,
    closed: Option<Closed>,
    /// The connection was refused at once: an answer, and no request.
    overloaded: bool,
    eof: bool,
    /// Nothing can be sent.
    silent: bool,
}

impl World {
    /// A fresh connection, or one too many.
    pub(super) fn new(session: Session, site: Arc<Site>, overloaded: bool) -> Self {
        let wall = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        Self {
            session,
            site,
            now: Now { mono: Instant::now(), wall },
            ledger: Ledger::default(),
            requests: Requests::default(),
            responses: Responses::default(),
            wait: None,
            closed: None,
            overloaded,
            eof: false,
            silent: false,
        }
    }

    /// Something happens.
    pub(super) fn step(&mut self, op: Op) {
        match op {
            Op::Feed { mut bytes, cut } => {
                let first = bytes.split_to(cut % (bytes.len() + 1));
                self.receive(first);
                if cut > 0 {
                    self.drain();
                }
                self.receive(bytes);
            }
            Op::Eof => {
                self.eof = true;
                self.session.handle_eof();
            }
            Op::Sent { most } => self.send(most),
            Op::Unsendable => {
                self.silent = true;
                self.session.handle_unsendable(io::ErrorKind::BrokenPipe);
            }
            Op::Broken => {
                self.silent = true;
                self.eof = true;
                self.session.handle_broken(io::ErrorKind::ConnectionReset);
            }
            Op::Abort => self.session.abort(io::ErrorKind::UnexpectedEof),
            Op::Advance { millis } => self.advance(Duration::from_millis(millis)),
            Op::Deadline => {
                if let Some((deadline, _)) = self.wait.and_then(|wait| wait.deadline) {
                    self.advance(deadline.saturating_duration_since(self.now.mono));
                }
            }
            Op::Answer { which, how, value } => {
                if let Some((op, result)) = self.ledger.answer(which, how, value) {
                    self.session.handle_done(op, result);
                }
            }
            Op::AnswerAgain { which, value } => {
                if let Some((op, result)) = self.ledger.answer_again(which, value) {
                    self.session.handle_done(op, result);
                }
            }
            Op::Growth { which, bytes, over } => {
                if let Some((op, growth)) = self.ledger.grow(which, bytes, over) {
                    self.session.handle_growth(op, growth);
                }
            }
            Op::LateGrowth { which } => {
                if let Some((op, growth)) = self.ledger.grow_late(which) {
                    self.session.handle_growth(op, growth);
                }
            }
            Op::ShutDown => self.session.shut_down(),
        }
        self.wait = None;
    }

    fn receive(&mut self, bytes: Bytes) {
        if !self.eof {
            self.requests.feed(&bytes);
            self.session.handle_data(bytes);
        }
    }

    fn advance(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
    }

    /// Sends up to `most` bytes of what is ready.
    fn send(&mut self, most: u64) {
        let mut sent = 0;
        for piece in self.session.transmit().into_iter().flatten() {
            let room = most - sent;
            let len = match piece {
                Piece::Bytes(bytes) => bytes.len() as u64,
                Piece::File { len, .. } => len,
            };
            assert!(len > 0, "an empty piece is to be sent");
            match piece {
                Piece::Bytes(bytes) => {
                    let taken = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
                    self.responses.bytes(&bytes[..taken], &self.requests);
                }
                Piece::File { file, at, len } => {
                    let end = at.checked_add(len).expect("no file is that large");
                    assert!(self.ledger.is_open(file, end), "what is sent is not there");
                    if room > 0 {
                        self.responses.content(len.min(room));
                    }
                }
            }
            sent = sent.saturating_add(len.min(room));
            if sent == most {
                break;
            }
        }
        if self.closed.is_some() {
            assert_eq!(sent, 0, "it is over, and something is to be sent");
        }
        self.session.handle_sent(sent);
    }

    /// Does what the session asks for, until it waits or is over.
    pub(super) fn drain(&mut self) {
        for _ in 0..MOST_POLLS {
            match self.session.poll(self.now) {
                Step::Do(effect) => {
                    assert!(self.closed.is_none(), "it was over, and asks for {effect:?}");
                    let window = self.site.config().limits.upload_window;
                    if let Some(content) = self.ledger.run(effect, window) {
                        // Answers are in order, so it is the first request that has none; where
                        // there are no answers any more, a later one.
                        let first = self.responses.count();
                        let last = if self.silent { self.requests.count() } else { first + 1 };
                        let mut bodies = (first..last).map(|index| self.requests.body(index));
                        assert!(bodies.any(|body| body == Some(&content)), "not what was sent");
                    }
                }
                Step::Wait(wait) => {
                    assert!(self.closed.is_none(), "it was over, and waits");
                    self.check(wait);
                    self.wait = Some(wait);
                    return;
                }
                Step::Closed(closed) => {
                    self.wait = None;
                    return self.close(closed);
                }
            }
        }
        panic!("it asks for more and more");
    }

    fn check(&self, wait: Wait) {
        assert_eq!(wait.write, self.session.transmit().is_some());
        assert!(!(self.silent && wait.write), "something is to be sent to nobody");
        for piece in self.session.transmit().into_iter().flatten() {
            if let Piece::File { file, at, len } = piece {
                assert!(self.ledger.is_open(file, at + len), "what is to be sent is not there");
            }
        }
        if let Some((deadline, timer)) = wait.deadline {
            assert!(deadline > self.now.mono, "the {timer} deadline has passed");
        } else {
            let awaited = self.ledger.under_way() > 0 || self.ledger.follows();
            assert!(awaited, "it waits for ever for its peer");
        }
        assert!(!(wait.read && self.eof), "it waits for what cannot come");
        let most = self.requests.count() + 1;
        assert!(self.responses.count() <= most, "more answers than requests");
        assert!(self.responses.stored <= self.ledger.committed, "nothing was stored");
        assert!(self.responses.deleted <= self.ledger.removed, "nothing was deleted");
    }

    fn close(&mut self, closed: Closed) {
        if let Some(before) = self.closed.replace(closed) {
            assert_eq!(before, closed, "it was over in another way before");
            return;
        }
        self.ledger.assert_settled();
        assert!(self.session.transmit().is_none(), "it is over, and something is to be sent");
        assert!(!self.session.is_active());
        assert!(!closed.reset || !self.responses.framing_tells(), "a reset for nothing");
        if self.responses.end_with_the_connection() && !self.ledger.completed {
            assert!(closed.reset, "a body that was cut short looks whole");
        }
        // If the peer did nothing wrong it got what was promised, unless the upload it followed was
        // given up.
        if closed.why.is_none() && !self.ledger.gave_up {
            assert!(self.responses.are_whole(), "an answer was cut short: {:?}", self.responses);
            assert!(!self.overloaded || self.responses.count() == 1);
        }
    }

    /// From now on all goes well, or the peer is `stalled` and takes nothing more: in both cases
    /// the session comes to its end.
    pub(super) fn finish(mut self, stalled: bool) {
        for round in 0..MOST_ROUNDS {
            self.drain();
            if self.closed.is_some() {
                return self.check_closed();
            }
            let wait = self.wait;
            if let Some((op, result)) = self.ledger.answer_sure(round as u8) {
                self.session.handle_done(op, result);
            } else if !stalled && wait.is_some_and(|wait| wait.write) {
                self.send(u64::MAX);
            } else if self.ledger.follows() {
                let over = super::op::Over::Complete;
                for which in 0..MOST_ROUNDS {
                    let Some((op, growth)) = self.ledger.grow(which, 3, over) else { break };
                    self.session.handle_growth(op, growth);
                }
            } else if let Some((deadline, _)) = wait.and_then(|wait| wait.deadline) {
                self.advance(deadline.saturating_duration_since(self.now.mono));
            }
        }
        panic!("it never ends: {:?}", self.session);
    }

    /// After the end nothing has an effect.
    fn check_closed(&mut self) {
        self.receive(Bytes::from_static(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.drain();
        self.session.handle_sent(1);
        self.session.handle_eof();
        self.session.handle_unsendable(io::ErrorKind::BrokenPipe);
        self.session.handle_broken(io::ErrorKind::BrokenPipe);
        self.session.abort(io::ErrorKind::TimedOut);
        self.advance(Duration::from_secs(1 << 20));
        self.session.shut_down();
        self.drain();
        self.send(u64::MAX);
    }
}
