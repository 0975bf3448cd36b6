//! The deadlines of a client's connection.

use std::time::Instant;

use super::{Client, ClientEvent, Reading, Writing};
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
    pub(super) fn expire(&mut self, timer: Timer) {
        match timer {
            // What came before the deadline was noticed counts.
            Timer::Answer | Timer::Continue if !self.inbox.is_empty() => {}
            Timer::Send if self.sent_some => {}
            Timer::Answer => {
                let why = self.unsendable.map_or(PeerError::Timeout(timer), PeerError::Broken);
                self.cut(Some(why));
            }
            Timer::Continue => {
                if let Writing::Expecting(framing) = self.writing {
                    self.writing = Writing::Live(framing);
                    self.events.push_back(ClientEvent::Continue { asked: false });
                }
            }
            Timer::Idle => self.cut(None),
            Timer::Send
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
            | Timer::Retry => self.cut(Some(PeerError::Timeout(timer))),
        }
    }

    /// Brings the deadlines in line with the state, once nothing is left to do.
    pub(super) fn set_alarms(&mut self, now: Now) {
        let limits = &self.limits;
        let stopped = self.writing == Writing::Stopped;
        let due = matches!(self.reading, Reading::Head(_) | Reading::Body(_));
        let answer_time =
            if stopped { limits.answer_time.min(limits.linger_pause) } else { limits.answer_time };
        let expecting = matches!(self.writing, Writing::Expecting(_)) && self.queue.is_empty();
        for (timer, active, time) in [
            (
                Timer::Answer,
                due && matches!(self.writing, Writing::Done | Writing::Stopped),
                Some(answer_time),
            ),
            (Timer::Continue, expecting, Some(limits.continue_time)),
            (Timer::Idle, self.writing == Writing::Resting, limits.idle_time),
        ] {
            if !active {
                self.alarms.stop(timer);
            } else if !self.alarms.is_set(timer) {
                self.alarms.set(timer, time.map(|time| now.mono + time.max(TICK)));
            }
        }
        if self.queue.is_empty() {
            self.alarms.stop(Timer::Send);
        } else if std::mem::take(&mut self.sent_some) || !self.alarms.is_set(Timer::Send) {
            self.alarms.set(Timer::Send, Some(now.mono + limits.send_time.max(TICK)));
        }
    }
}

/// A `Wait` never names the moment itself.
const TICK: std::time::Duration = std::time::Duration::from_nanos(1);
