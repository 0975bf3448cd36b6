//! The writing half: what becomes of answers, of those that cannot be sent, and of the connection
//! behind the last one.

use std::time::SystemTime;

use super::{Recheck, Server, Undecided};
use crate::{
    error::PeerError,
    http::{ResponseHead, Version},
    http1::{
        head::HeadReader,
        reader::Reading,
        writer::{self, Announce, Persistence, Writing},
    },
    id::ExchangeId,
    limits::Limits,
    step::Closed,
    time::{Now, Timer},
    wire::Event,
};

impl Server {
    /// True if something changed.
    pub(super) fn step_writing(&mut self, now: Now) -> bool {
        if !self.queue.is_empty() || self.undecided.is_some() {
            return false;
        }
        match &mut self.writing {
            Writing::Live { starved, .. } if !*starved => {
                *starved = true;
                self.events.push_back(Event::Writable { id: self.current.id });
                true
            }
            Writing::Flushing => {
                self.events.push_back(Event::Sent { id: self.current.id });
                self.after_answer(now);
                true
            }
            Writing::Idle
            | Writing::Due
            | Writing::Live { .. }
            | Writing::Lingering { .. }
            | Writing::Closed => false,
        }
    }

    /// From now on, nothing is sent.
    pub(super) fn silence(&mut self, why: PeerError) {
        if !self.silent && !matches!(self.writing, Writing::Closed) {
            self.silent = true;
            self.end = Closed { why: Some(why), reset: self.current.until_close };
            self.give_up_if_silent();
        }
    }

    /// An answer that cannot be sent need not be made; unless it comes with a change that is to be
    /// made.
    pub(super) fn give_up_if_silent(&mut self) {
        if !self.silent {
            return;
        }
        self.queue.clear();
        self.undecided = None;
        match self.writing {
            Writing::Due if self.current.obeyed => {}
            Writing::Due | Writing::Live { .. } => {
                let why = self.end.why.unwrap_or(PeerError::Truncated);
                self.events.push_back(Event::Aborted { id: self.current.id, why });
                self.drop_request_body();
                self.writing = Writing::Flushing;
            }
            Writing::Lingering { .. } => self.close(),
            Writing::Idle | Writing::Flushing | Writing::Closed => {}
        }
    }

    fn after_answer(&mut self, now: Now) {
        self.most = None;
        if self.current.keep_alive {
            self.writing = Writing::Idle;
            if let Reading::Held = self.reading {
                self.reading = Reading::Head(HeadReader::default());
            }
            return;
        }
        // A peer that is still sending would lose the answer to a reset (RFC 9112 §9.6).
        let rests = matches!(self.reading, Reading::Held) && self.inbox.is_empty();
        let may_send = !(rests && self.current.asked_to_close);
        if may_send && !self.eof && !self.silent {
            self.linger(now);
        } else {
            self.close();
        }
    }

    /// All is said; what the peer still sends is read and dropped.
    pub(super) fn linger(&mut self, now: Now) {
        self.reading = Reading::Stopped;
        let until = now.mono + self.limits.linger_time;
        self.writing = Writing::Lingering { left: self.limits.linger_bytes, until };
        let pause = now.mono + self.limits.linger_pause;
        self.timers.set(Timer::Linger, Some(until.min(pause)));
        self.events.push_back(Event::ShutdownWrite);
    }

    pub(super) fn may_answer(&self, id: ExchangeId) -> bool {
        self.current.id == id && matches!(self.writing, Writing::Due)
    }

    /// An answer begins: decides what becomes of a request body that is not read to its end, and
    /// whether the connection can be kept.
    pub(super) fn settle_request_body(&mut self) {
        self.drop_request_body();
        if self.eof_is_near() {
            self.current.keep_alive = false;
        }
    }

    /// Queues the head of an answer; or holds it back, where the connection ends with it unless the
    /// peer has sent more. A body that is not wanted may be received already: it is read first.
    pub(super) fn answer_head(&mut self, head: &ResponseHead, announce: Announce, now: Now) {
        let (behind, date) = (self.queue.parts(), now.wall);
        let is_last = match &self.reading {
            Reading::Held => self.inbox.is_empty(),
            Reading::Body(body) => !body.wanted,
            Reading::Head(_) | Reading::Stopped => false,
        };
        let asks = is_last && self.current.keep_alive && !self.silent && self.is_to_end(now);
        if asks {
            let head = head.clone();
            self.undecided = Some(Box::new(Undecided { head, announce, behind, date }));
            self.body_begins = u64::MAX;
            self.ask_to_recheck();
        } else {
            self.queue_head(head, announce, behind, date);
        }
    }

    fn queue_head(
        &mut self,
        head: &ResponseHead,
        announce: Announce,
        behind: usize,
        date: SystemTime,
    ) {
        let head = writer::head(head, announce, self.persistence(), date);
        self.body_begins = self.sent.saturating_add(self.queue.insert(behind, head));
    }

    /// True if the connection may not go on for long. One that carries uploads is not ended for its
    /// age or the number of its requests: encoders go on sending, and do not look whether an answer
    /// says that they may not.
    fn is_to_end(&self, now: Now) -> bool {
        let Limits { requests, age, .. } = *self.limits;
        let old = self.opened.zip(age).is_some_and(|(opened, age)| now.mono - opened >= age);
        self.last_request || !self.uploads && (old || requests > 0 && self.next_id >= requests)
    }

    pub(super) fn ask_to_recheck(&mut self) {
        if self.recheck == Recheck::No {
            self.recheck = Recheck::Due;
            self.heard = false;
        }
    }

    /// The socket was tried, and what came of that is dealt with as far as it can be.
    pub(super) fn rechecked(&mut self) {
        self.recheck = Recheck::No;
        if let Some(undecided) = self.undecided.take() {
            if matches!(self.reading, Reading::Held) && self.inbox.is_empty() {
                self.current.keep_alive = false;
            }
            let Undecided { head, announce, behind, date } = *undecided;
            self.queue_head(&head, announce, behind, date);
        }
        if let Some(timer) = self.overdue.take() {
            self.obey(timer);
        }
        if self.last_request && self.rests() {
            self.close();
        }
    }

    /// What is left of the request's body is not wanted: some of it is read and dropped, more is
    /// the end of the connection.
    fn drop_request_body(&mut self) {
        if let Reading::Body(body) = &mut self.reading
            && !(body.is_until_close() && body.wanted)
        {
            let short = body.left().is_none_or(|left| left <= self.limits.unwanted_body);
            if short && !self.current.expect {
                body.wanted = false;
            } else {
                self.current.keep_alive = false;
                self.reading = Reading::Stopped;
            }
        }
    }

    /// The peer is gone after what it has sent.
    fn eof_is_near(&self) -> bool {
        self.eof && self.inbox.is_empty()
    }

    pub(super) fn persistence(&self) -> Persistence {
        match (self.current.keep_alive, self.current.version) {
            (false, _) => Persistence::Close,
            (true, Version::Http10) => Persistence::KeepAlive,
            (true, _) => Persistence::Default,
        }
    }
}
