//! The connection of a [`Push`]: made when there is something to do, kept, and made again when it
//! is lost.

use std::sync::Arc;

use super::{Current, DialError, JobKind, Origin, Push, PushEffect, PushError, Stage};
use crate::{
    http1::{Client, ClientEvent},
    step::{Closed, Step, Wait},
    time::{Now, Timer},
};

/// ```text
///          a request is due            dialled
///  Down --------------------> Dialling --------> Up
///   ^                            | failed         | lost, closed, another origin is due
///   +----------------------------+----------------+
/// ```
#[derive(Debug)]
pub(super) enum Line {
    Down,
    Dialling,
    Up {
        origin: Arc<Origin>,
        wire: Box<Client>,
        /// An answer came over it.
        used: bool,
    },
}

impl Line {
    pub(super) fn wire(&mut self) -> Option<&mut Client> {
        match self {
            Self::Up { wire, .. } => Some(wire),
            Self::Down | Self::Dialling => None,
        }
    }

    pub(super) fn backlog(&self) -> u64 {
        match self {
            Self::Up { wire, .. } => wire.backlog(),
            Self::Down | Self::Dialling => 0,
        }
    }
}

impl Push {
    /// Drains the connection; what it waits for, or `None` if something happened.
    pub(super) fn poll_line(&mut self, now: Now) -> Option<Wait> {
        let Some(wire) = self.line.wire() else {
            return Some(Wait { read: false, write: false, deadline: None });
        };
        match wire.poll(now) {
            Step::Wait(wait) => return Some(wait),
            Step::Closed(end) => self.lost(end, now),
            Step::Do(ClientEvent::Continue { asked }) => {
                let unheard = self.line.wire().is_some_and(|wire| !wire.heard());
                self.expects &= asked || !unheard;
            }
            Step::Do(ClientEvent::Response(answer)) => {
                if let Some(current) = &mut self.current {
                    current.answer = Some(answer);
                }
            }
            Step::Do(ClientEvent::Data(_)) => {}
            Step::Do(ClientEvent::Recheck) => self.effects.push_back(PushEffect::Recheck),
            Step::Do(ClientEvent::Done { sent }) => {
                if let Line::Up { used, .. } = &mut self.line {
                    *used = true;
                }
                self.conclude(sent, now);
            }
        }
        None
    }

    /// The connection is over; and the request on it, if there is one.
    fn lost(&mut self, end: Closed, now: Now) {
        let (heard, sent, used) = match &self.line {
            Line::Up { wire, used, .. } => (wire.heard(), wire.is_sent(), *used),
            Line::Down | Line::Dialling => (false, false, false),
        };
        self.hang_up();
        let Some(current) = &self.current else { return };
        if current.stage != Stage::Asked {
            return;
        }
        match &current.answer {
            // What the head says is the outcome, also where the rest of the answer is missing.
            Some(answer) if sent || !answer.status.is_success() => self.conclude(sent, now),
            Some(_) | None => self.request_lost(end.why, used && !heard, now),
        }
    }

    pub(super) fn hang_up(&mut self) {
        if !matches!(self.line, Line::Down) {
            self.line = Line::Down;
            self.dialled = None;
            self.alarms.stop(Timer::Dial);
            self.effects.push_back(PushEffect::HangUp);
        }
    }

    /// Makes the request over the connection to its origin, which is made if need be. True if
    /// something changed.
    pub(super) fn step_towards_request(&mut self, now: Now) -> bool {
        let Some(current) = &self.current else { return false };
        match &self.line {
            Line::Up { origin, wire, used }
                if *origin == current.target.origin
                    && wire.is_ready()
                    && !(*used && self.must_be_fresh(current)) =>
            {
                self.ask();
            }
            Line::Up { .. } => self.hang_up(),
            Line::Down => {
                if let Some(why) = self.misuse() {
                    self.fail(why);
                    return true;
                }
                let origin = current.target.origin.clone();
                self.line = Line::Dialling;
                self.effects.push_back(PushEffect::Dial { origin });
                self.alarms.set(Timer::Dial, Some(now.mono + self.options.limits.dial_time));
            }
            Line::Dialling => return false,
        }
        true
    }

    /// A kept connection may turn out to be dead when the body is on its way. One that can be had
    /// once only, and does not wait for `100 Continue`, is not risked for that.
    fn must_be_fresh(&self, current: &Current) -> bool {
        let expects = self.expects && self.options.config.expect_from.is_some();
        match &current.job.kind {
            JobKind::Upload(upload) => {
                !upload.rewindable && !expects && upload.len != Some(0) && current.stored.is_none()
            }
            JobKind::Delete => false,
        }
    }

    pub(super) fn settle_dial(&mut self, result: Result<(), DialError>, now: Now) {
        if !matches!(self.line, Line::Dialling) {
            return;
        }
        self.alarms.stop(Timer::Dial);
        self.line = Line::Down;
        match (result, &self.current) {
            (Ok(()), Some(current)) => {
                self.line = Line::Up {
                    origin: current.target.origin.clone(),
                    wire: Box::new(Client::new(self.options.limits.clone())),
                    used: false,
                };
            }
            (Ok(()), None) => self.effects.push_back(PushEffect::HangUp),
            (Err(why), _) => self.dial_failed(why, now),
        }
    }

    pub(super) fn dial_failed(&mut self, why: DialError, now: Now) {
        if why.temporary {
            self.again(PushError::Unreachable(why.what), None, now);
        } else {
            self.fail(PushError::Barred(why.what));
        }
    }
}
