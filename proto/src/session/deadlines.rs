//! What is due on a connection: deadlines of its exchanges, paced responses, clients that are gone.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Session, exchanges::Exchange};
use crate::{
    effect::{ConnectionEffect, Effect, HookEffect},
    exchange::Waiting,
    step::Wait,
    time::{Now, Timer},
};

/// How late a deadline may be noticed by a process that neither stood still nor is busy.
const PUNCTUAL: Duration = Duration::from_millis(10);
/// So long others have their turn where a deadline was noticed late.
const TURN: Duration = Duration::from_millis(100);

impl Session {
    /// Does what is due for some exchange without an event; true if something changed.
    pub(super) fn attend(&mut self, now: Now) -> bool {
        if self.exchanges.is_empty() {
            return false;
        }
        if self.pace(now) || self.gives_up(now) {
            return true;
        }
        let mut is_late = false;
        for at in 0..self.exchanges.len() {
            let exchange = &self.exchanges[at];
            let id = exchange.id();
            let Some(deadline) = exchange.deadline().filter(|(at, _)| *at <= now.mono) else {
                continue;
            };
            if self.obeys(deadline, now) {
                self.ask(id, now, |handler, cx| handler.on_deadline(cx));
                return true;
            }
            is_late = true;
        }
        if !is_late && self.idle_since.is_none() {
            self.turn = None;
        }
        false
    }

    /// True if a deadline that has passed is obeyed. Where others are waited for, what they did
    /// before it counts. A process that stood still may not know of that yet: they have their turn
    /// first.
    fn obeys(&mut self, (at, timer): (Instant, Timer), now: Now) -> bool {
        if !is_of_others(timer) || self.turn.is_none() && now.mono <= at + PUNCTUAL {
            return true;
        }
        now.mono >= *self.turn.get_or_insert(now.mono + TURN)
    }

    /// A peer that sends no more may be gone, which nothing tells as long as there is nothing to be
    /// sent to it: it is not waited with. What it sent before is still obeyed.
    pub(super) fn gives_up(&mut self, now: Now) -> bool {
        let waiting = if self.half_closed { self.waiting() } else { None };
        let Some(waiting) = waiting else {
            self.idle_since = None;
            return false;
        };
        let since = *self.idle_since.get_or_insert(now.mono);
        let until = since + self.half_closed_time();
        if waiting == Waiting::Idle
            && (now.mono < until || !self.obeys((until, Timer::HalfClosed), now))
        {
            return false;
        }
        self.idle_since = None;
        self.wire.handle_unsendable(io::ErrorKind::UnexpectedEof);
        true
    }

    /// What all exchanges wait for; `None` if one of them makes progress, or no response reaches
    /// the client any more.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        if !self.wire.reaches_peer() {
            return None;
        }
        let mut active = self.exchanges.iter().filter(|exchange| exchange.is_active());
        let of =
            |exchange: &Exchange| exchange.handler.as_ref().and_then(|handler| handler.waiting());
        let first = of(active.next()?)?;
        active.try_fold(first, |all, next| match of(next)? {
            Waiting::Blocked => Some(all),
            Waiting::Idle => Some(Waiting::Idle),
        })
    }

    /// While a response waits and the bytes of the client are not read, its closing is not read
    /// either: it is looked for from time to time. True if that is due.
    pub(super) fn looks_for_closing(&mut self, wait: Wait, now: Now) -> bool {
        if wait.read || self.half_closed || self.waiting().is_none() {
            self.unread_since = None;
            return false;
        }
        let since = *self.unread_since.get_or_insert(now.mono);
        if now.mono < since + self.half_closed_time() {
            return false;
        }
        self.unread_since = Some(now.mono);
        self.effects.push_back(Effect::Connection(ConnectionEffect::Recheck { read: false }));
        true
    }

    pub(super) fn half_closed_time(&self) -> Duration {
        self.site.config.limits.half_closed_time
    }

    /// Lets more of a throttled answer go out, or asks when it may; true if something changed.
    pub(super) fn pace(&mut self, now: Now) -> bool {
        let Self { exchanges, wire, effects, .. } = self;
        for exchange in exchanges.iter_mut().filter(|exchange| exchange.is_active()) {
            let id = exchange.id();
            let Some(pacing) = &mut exchange.pacing else { continue };
            let done = wire.body_sent(id);
            if let Some(bytes) = pacing.allow(now.mono) {
                wire.set_send_limit(id, done.saturating_add(bytes));
                return true;
            }
            let is_held = pacing.is_free() && wire.is_send_limited(id);
            let Some(hook) = exchange.about.hook.filter(|_| is_held) else { continue };
            let op = exchange.ids.op();
            pacing.ask(op, now.mono + exchange.site.config.limits.hook_time);
            let total = pacing.total;
            effects.push_back(Effect::Hook(id, HookEffect::Pace { op, hook, done, total }));
            return true;
        }
        false
    }

    pub(super) fn wait(&self, wait: Wait) -> Wait {
        let since = [self.idle_since, self.unread_since].into_iter().flatten().min();
        let gone = since.map(|at| (at + self.half_closed_time(), Timer::HalfClosed));
        let own = self.exchanges.iter().filter_map(Exchange::deadline).chain(gone);
        let turn = |(at, timer)| match self.turn.filter(|_| is_of_others(timer)) {
            Some(turn) => (turn.max(at), timer),
            None => (at, timer),
        };
        let own = own.map(turn);
        Wait { deadline: wait.deadline.into_iter().chain(own).min(), ..wait }
    }
}

/// True for a deadline for something that others do: other clients, consumers, hooks.
fn is_of_others(timer: Timer) -> bool {
    matches!(timer, Timer::HalfClosed | Timer::Missing | Timer::Take | Timer::Hook)
}
