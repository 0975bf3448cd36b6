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
    /// A request waits for an upload to begin (`wait-missing`).
    Missing,
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "request head",
            Self::Idle => "keep-alive",
            Self::RequestBody => "request body",
            Self::Send => "send",
            Self::Linger => "linger",
            Self::Missing => "wait-missing",
        })
    }
}

/// A deadline for each [`Timer`].
#[derive(Debug, Default)]
pub(crate) struct Timers([Option<Instant>; 6]);

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize] = at;
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<(Instant, Timer)> {
        ALL.iter().filter_map(|&timer| self.0[timer as usize].map(|at| (at, timer))).min()
    }

    /// Takes one deadline that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = self.next()?;
        (at <= now).then(|| {
            self.stop(timer);
            timer
        })
    }
}

const ALL: [Timer; 6] =
    [Timer::Head, Timer::Idle, Timer::RequestBody, Timer::Send, Timer::Linger, Timer::Missing];
