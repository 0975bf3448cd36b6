//! An answer that a hook holds back: what may go out of it, and when the hook is asked again.

use std::time::Instant;

use crate::{hook::Pace, id::OpId};

/// Between two blocks of a throttled answer.
#[derive(Debug)]
pub(crate) struct Pacing {
    /// Bytes that the answer's body has in all.
    pub(crate) total: Option<u64>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// What was allowed may go out; when that is done, the hook is asked.
    #[default]
    Free,
    /// The hook is asked; not for ever.
    Asked { op: OpId, until: Instant },
    /// The hook said when, and how much.
    Waiting { until: Instant, bytes: u64 },
}

impl Pacing {
    pub(crate) fn new(total: Option<u64>) -> Self {
        Self { total, state: State::Free }
    }

    /// True if the hook is to be asked.
    pub(crate) fn is_free(&self) -> bool {
        matches!(self.state, State::Free)
    }

    /// The hook is asked by this effect.
    pub(crate) fn ask(&mut self, op: OpId, until: Instant) {
        self.state = State::Asked { op, until };
    }

    /// True if this is the answer that is waited for.
    pub(crate) fn waits_for(&self, done: OpId) -> bool {
        matches!(self.state, State::Asked { op, .. } if op == done)
    }

    /// The hook answered; `None`: it failed, and the rest goes out as it can.
    pub(crate) fn answered(&mut self, pace: Option<Pace>, now: Instant) {
        let (until, bytes) = match pace {
            Some(Pace { delay, bytes }) => (now.checked_add(delay).unwrap_or(now), bytes.max(1)),
            None => (now, u64::MAX),
        };
        self.state = State::Waiting { until, bytes };
    }

    /// When it wants to be asked what is [allowed](Self::allow).
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Free => None,
            State::Asked { until, .. } | State::Waiting { until, .. } => Some(until),
        }
    }

    /// Bytes that may go out from now on, if that has changed.
    pub(crate) fn allow(&mut self, now: Instant) -> Option<u64> {
        if self.deadline().is_none_or(|until| until > now) {
            return None;
        }
        match std::mem::take(&mut self.state) {
            State::Free => None,
            // It says nothing.
            State::Asked { .. } => Some(u64::MAX),
            State::Waiting { bytes, .. } => Some(bytes),
        }
    }
}
