//! The deadlines of a client's connection.

use std::time::Instant;

use super::{Client, ClientEvent, Overdue, Reading, Writing};
use crate::{
    error::PeerError,
    time::{Now, Timer},
};

/// The few deadlines that are set at a time.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    set: Vec<(Instant, Timer)>,
}

impl Alarms {
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.stop(timer);
        self.set.extend(at.map(|at| (at, timer)));
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.set.retain(|&(_, own)| own != timer);
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.set.iter().any(|&(_, own)| own == timer)
    }

    /// The earliest.
    pub(crate) fn next(&self) -> Option<(Instant, Timer)> {
        self.set.iter().min().copied()
    }

    /// Takes one that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let (_, timer) = self.next().filter(|&(at, _)| at <= now)?;
        self.stop(timer);
        Some(timer)
    }
}

impl Client {
    /// A deadline has passed. What the server did before this moment counts, so the socket is tried
    /// first: the process may have been stopped meanwhile, or busy.
    pub(super) fn expire(&mut self, timer: Timer) {
        match timer {
            Timer::Answer | Timer::Continue | Timer::Send => {
                self.overdue = Overdue::Untried(timer);
                // What has come and is not read yet is as good as what comes now.
                self.late = !self.inbox.is_empty();
            }
            Timer::Idle
            | Timer::Head
            | Timer::RequestBody
            | Timer::Linger
            | Timer::HalfClosed
            | Timer::Missing
            | Timer::Penalty
            | Timer::Take
            | Timer::Hook
            | Timer::Pace
            | Timer::Dial
            | Timer::Retry => self.cut(None),
        }
    }

    /// A deadline has passed, and the socket was tried.
    pub(super) fn obey(&mut self, timer: Timer) {
        match (timer, self.writing) {
            (Timer::Send, _) if !self.sent_some && self.server_is_to_take() => {
                self.cut(Some(PeerError::Timeout(timer)));
            }
            (Timer::Answer, _) if !self.late && self.answer_is_due() => {
                let why = self.unsendable.map_or(PeerError::Timeout(timer), PeerError::Broken);
                self.cut(Some(why));
            }
            (Timer::Continue, Writing::Expecting(framing)) if !self.late => {
                self.writing = Writing::Live(framing);
                self.events.push_back(ClientEvent::Continue { asked: false });
            }
            // It did something in the last moment.
            _ => {}
        }
    }

    /// True if what is to be sent waits for the server alone.
    fn server_is_to_take(&self) -> bool {
        !self.queue.is_empty() && !self.fetching
    }

    /// True if nothing is left but to wait for the answer, or for the rest of it.
    fn answer_is_due(&self) -> bool {
        matches!(self.reading, Reading::Head(_) | Reading::Body(_))
            && matches!(self.writing, Writing::Done | Writing::Stopped)
    }

    /// Brings the deadlines in line with the state, once nothing is left to do.
    pub(super) fn set_alarms(&mut self, now: Now) {
        let limits = &self.limits;
        let stopped = self.writing == Writing::Stopped;
        let answer_time =
            if stopped { limits.answer_time.min(limits.linger_pause) } else { limits.answer_time };
        let expecting = matches!(self.writing, Writing::Expecting(_)) && self.queue.is_empty();
        for (timer, active, time) in [
            (Timer::Answer, self.answer_is_due(), Some(answer_time)),
            (Timer::Continue, expecting, Some(limits.continue_time)),
            (Timer::Idle, self.writing == Writing::Resting, limits.idle_time),
        ] {
            if !active {
                self.alarms.stop(timer);
            } else if !self.alarms.is_set(timer) {
                self.alarms.set(timer, time.map(|time| now.mono + time.max(TICK)));
            }
        }
        if !self.server_is_to_take() {
            self.alarms.stop(Timer::Send);
        } else if std::mem::take(&mut self.sent_some) || !self.alarms.is_set(Timer::Send) {
            self.alarms.set(Timer::Send, Some(now.mono + limits.send_time.max(TICK)));
        }
    }
}

/// A `Wait` never names the moment itself.
const TICK: std::time::Duration = std::time::Duration::from_nanos(1);
