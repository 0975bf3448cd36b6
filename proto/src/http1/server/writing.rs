//! The writing half: what becomes of answers, of those that cannot be sent, and of the connection behind the last one.

use super::{Event, ExchangeId, Server};
use crate::{
    error::PeerError,
    http1::{
        head::HeadReader,
        reader::Reading,
        writer::{Persistence, Writing},
    },
    step::Closed,
    time::{Now, Timer},
};

impl Server {
    /// True if something changed.
    pub(super) fn step_writing(&mut self, now: Now) -> bool {
        if !self.queue.is_empty() {
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

    /// An answer that cannot be sent need not be made; unless it comes with a change that is to be made.
    pub(super) fn give_up_if_silent(&mut self) {
        if !self.silent {
            return;
        }
        self.queue.clear();
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
        self.reading = Reading::Stopped;
        if may_send && !self.eof && !self.silent {
            self.writing = Writing::Lingering { left: self.limits.linger_bytes };
            self.timers.set(Timer::Linger, Some(now.mono + self.limits.linger_time));
            self.events.push_back(Event::ShutdownWrite);
        } else {
            self.close();
        }
    }

    pub(super) fn may_answer(&self, id: ExchangeId) -> bool {
        self.current.id == id && matches!(self.writing, Writing::Due)
    }

    /// An answer begins: decides what becomes of a request body that is not read to its end, and whether the
    /// connection can be kept.
    pub(super) fn settle_request_body(&mut self, now: Now) {
        self.drop_request_body();
        let old = self.opened.is_some_and(|opened| now.mono - opened >= self.limits.age);
        if self.last_request || old || self.next_id >= self.limits.requests || self.eof_is_near() {
            self.current.keep_alive = false;
        }
    }

    /// What is left of the request's body is not wanted: a little is read and dropped, more is the end of the connection.
    fn drop_request_body(&mut self) {
        if let Reading::Body(body) = &mut self.reading
            && !(body.is_until_close() && body.wanted)
        {
            let short = body.left().is_some_and(|left| left <= self.limits.linger_bytes);
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
        match (self.current.keep_alive, self.current.minor) {
            (false, _) => Persistence::Close,
            (true, 0) => Persistence::KeepAlive,
            (true, _) => Persistence::Default,
        }
    }
}
