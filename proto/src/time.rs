//! Time comes in from outside: [`Now`] is given to `poll`, deadlines come out of it with a name.

use std::{
    fmt,
    time::{Instant, SystemTime},
};

/// Both clocks, read together by the runtime: deadlines are kept on the monotonic one, `Date` and
/// `Last-Modified` on the wall clock, so that a clock that is set ends no connection.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic.
    pub mono: Instant,
    /// Wall clock.
    pub wall: SystemTime,
}

/// Names of the deadlines of a connection. Their lengths are in [`Limits`](crate::Limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A request head has begun and is not complete.
    Head,
    /// No request is under way.
    Idle,
    /// The body of a request is awaited.
    RequestBody,
    /// Bytes are ready for a peer that does not take them.
    Send,
    /// The last answer is sent, what the peer still sends is dropped.
    Linger,
    /// The peer sends no more, and there is nothing to be sent to it: it may be gone.
    HalfClosed,
    /// A request waits for an upload to begin (`wait-missing`).
    Missing,
    /// A wrong password was given: the answer is held back.
    Penalty,
    /// An upload waits to be taken.
    Take,
    /// A hook is to give its verdict, or more of its answer.
    Hook,
    /// A hook holds an answer back, or had no more of it at its last turn.
    Pace,
    /// A client sent its request, and the answer is not there or not whole.
    Answer,
    /// A client waits for `100 Continue`.
    Continue,
    /// A client waits for a connection to be made.
    Dial,
    /// A client waits before it tries again.
    Retry,
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "request head",
            Self::Idle => "keep-alive",
            Self::RequestBody => "request body",
            Self::Send => "send",
            Self::Linger => "linger",
            Self::HalfClosed => "half-closed",
            Self::Missing => "wait-missing",
            Self::Penalty => "wrong password",
            Self::Take => "take",
            Self::Hook => "hook",
            Self::Pace => "throttle",
            Self::Answer => "answer",
            Self::Continue => "100-continue",
            Self::Dial => "dial",
            Self::Retry => "retry",
        })
    }
}

/// A deadline for each [`Timer`] of a connection.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    at: [Option<Instant>; 5],
    /// None is earlier, so that most polls need not look at each.
    earliest: Option<Instant>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.at[timer as usize] = at;
        if let Some(at) = at {
            self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
        }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.at[timer as usize] = None;
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.at[timer as usize].is_some()
    }

    /// The earliest deadline.
    pub(crate) fn next(&mut self) -> Option<(Instant, Timer)> {
        let next =
            ALL.iter().filter_map(|&timer| self.at[timer as usize].map(|at| (at, timer))).min();
        self.earliest = next.map(|(at, _)| at);
        next
    }

    /// Takes one deadline that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return None;
        }
        let (at, timer) = self.next()?;
        (at <= now).then(|| {
            self.stop(timer);
            timer
        })
    }
}

/// Those of a connection; the others are an exchange's.
const ALL: [Timer; 5] = [Timer::Head, Timer::Idle, Timer::RequestBody, Timer::Send, Timer::Linger];
