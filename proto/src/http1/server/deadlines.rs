//! The end of a connection, and the deadlines that bring it.

use super::Server;
use crate::{
    error::PeerError,
    http1::{reader::Reading, writer::Writing},
    step::Closed,
    time::{Now, Timer, Timers},
    wire::Event,
};

impl Server {
    pub(super) fn close(&mut self) {
        self.stop_reading();
        self.queue.clear();
        self.undecided = None;
        self.writing = Writing::Closed;
        self.timers = Timers::default();
    }

    /// Ends the connection at once.
    pub(super) fn cut(&mut self, why: PeerError) {
        let answering = match self.writing {
            Writing::Due | Writing::Live { .. } | Writing::Flushing => true,
            Writing::Closed => return,
            Writing::Idle | Writing::Lingering { .. } => false,
        };
        if answering {
            self.events.push_back(Event::Aborted { id: self.current.id, why });
        }
        self.end = Closed { why: Some(why), reset: answering && self.current.until_close };
        self.close();
    }

    /// A deadline has passed. The process may have been stopped meanwhile, or busy: what the peer
    /// did before this moment counts, so the socket is tried first.
    pub(super) fn expire(&mut self, timer: Timer) {
        match timer {
            Timer::Head | Timer::Idle | Timer::RequestBody | Timer::Send | Timer::Linger => {
                self.overdue = Some(timer);
                self.ask_to_recheck();
            }
            Timer::HalfClosed
            | Timer::Missing
            | Timer::Penalty
            | Timer::Take
            | Timer::Hook
            | Timer::Pace
            | Timer::Answer
            | Timer::Continue
            | Timer::Dial
            | Timer::Retry => self.close(),
        }
    }

    /// A deadline has passed, and the socket was tried.
    pub(super) fn obey(&mut self, timer: Timer) {
        match (timer, &self.reading) {
            (Timer::Send, _) if !self.sent_some && self.peer_is_to_take() => {
                self.cut(PeerError::Timeout(timer));
            }
            (Timer::Head, Reading::Head(head)) if head.has_begun() => {
                self.refuse(PeerError::Timeout(timer));
            }
            (Timer::Idle, _) if self.rests() => self.close(),
            (Timer::RequestBody, Reading::Body(body)) if !self.heard && body.is_awaited() => {
                self.abort_body(PeerError::Timeout(timer));
            }
            // To close before what it sent is read would reset the connection.
            (Timer::Linger, _) if !self.heard => self.close(),
            // It did something in the last moment.
            _ => {}
        }
    }

    /// True if what is to be sent waits for the peer alone.
    fn peer_is_to_take(&self) -> bool {
        !self.queue.is_empty() && !self.is_send_limited(self.current.id) && !self.fetching
    }

    /// Brings the deadlines in line with the state, once nothing is left to do.
    pub(super) fn set_timers(&mut self, now: Now) {
        let limits = &self.limits;
        let idle = matches!(self.writing, Writing::Idle);
        let (in_head, resting) = match &self.reading {
            Reading::Head(head) => (idle && head.has_begun(), idle && !head.has_begun()),
            Reading::Body(_) | Reading::Held | Reading::Stopped => (false, false),
        };
        for (timer, active, time) in [
            (Timer::Head, in_head, Some(limits.head_time)),
            // Of a peer that cannot be answered, only what is on its way is waited for.
            (
                Timer::Idle,
                resting,
                if self.silent { Some(limits.head_time) } else { limits.idle_time },
            ),
        ] {
            if !active {
                self.timers.stop(timer);
            } else if !self.timers.is_set(timer) {
                self.timers.set(timer, time.map(|time| now.mono + time));
            }
        }
        if let Reading::Body(body) = &mut self.reading {
            if body.is_awaited() {
                let deadline = body.deadline(now.mono, limits);
                self.timers.set(Timer::RequestBody, Some(deadline.max(now.mono + TICK)));
            } else {
                body.stop_waiting(now.mono);
                self.timers.stop(Timer::RequestBody);
            }
        } else {
            self.timers.stop(Timer::RequestBody);
        }
        if !self.peer_is_to_take() {
            self.timers.stop(Timer::Send);
        } else if std::mem::take(&mut self.sent_some) || !self.timers.is_set(Timer::Send) {
            self.timers.set(Timer::Send, Some(now.mono + limits.send_time));
        }
    }
}

/// A deadline that has passed while its event was being dealt with fires at the next moment, not at
/// this one: a `Wait` never names the past.
const TICK: std::time::Duration = std::time::Duration::from_nanos(1);
