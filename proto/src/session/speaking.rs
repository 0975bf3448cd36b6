//! What handlers reply, on its way to the wire.

use std::collections::VecDeque;

use super::{
    Session,
    exchanges::{Exchange, Turn},
};
use crate::{
    exchange::{self, ExchangeContext, Handler, Reply},
    http::{BodySize, Part},
    id::ExchangeId,
    pacing::Pacing,
    time::Now,
};

impl Session {
    /// Lets the handler go on, and says what it wants said.
    pub(super) fn ask(
        &mut self,
        id: ExchangeId,
        now: Now,
        go_on: impl FnOnce(&mut dyn Handler, &mut ExchangeContext<'_>),
    ) {
        let Some(mut handler) = self.exchange(id).and_then(|exchange| exchange.handler.take())
        else {
            return;
        };
        self.speak(id, now, |cx| {
            go_on(&mut *handler, cx);
            Some(handler)
        });
    }

    /// As [`speak`](Self::speak), beside a handler that only waits for its last effect.
    pub(super) fn speak_over(
        &mut self,
        id: ExchangeId,
        now: Now,
        answer: impl FnOnce(&mut ExchangeContext<'_>),
    ) {
        let busy = self.exchange(id).and_then(|exchange| exchange.handler.take());
        self.speak(id, now, |cx| {
            answer(cx);
            busy.filter(|handler| handler.is_busy())
        });
    }

    /// Says what comes out of `answer`, which also returns the handler that remains.
    pub(super) fn speak(
        &mut self,
        id: ExchangeId,
        now: Now,
        answer: impl FnOnce(&mut ExchangeContext<'_>) -> Option<Box<dyn Handler>>,
    ) {
        let mut replies = VecDeque::new();
        let Self { effects, exchanges, .. } = self;
        let Some(exchange) = exchanges.iter_mut().find(|exchange| exchange.id() == id) else {
            return;
        };
        let Exchange { site, ids, about, .. } = exchange;
        let mut cx =
            ExchangeContext { site, now, ids, effects, replies: &mut replies, about, next: None };
        let same = answer(&mut cx);
        let next = cx.next.take().and_then(|next| exchange::go_on(next, &mut cx));
        exchange.handler = next.or(same);
        for reply in replies {
            self.say(id, reply, now);
        }
    }

    fn say(&mut self, id: ExchangeId, answer: Reply, now: Now) {
        let Self { exchanges, wire, errors_in_a_row, .. } = self;
        let Some(exchange) = exchanges.iter_mut().find(|exchange| exchange.id() == id) else {
            return;
        };
        if exchange.about.throttled {
            let known = pacing(&answer).map(Box::new);
            exchange.pacing = known.or_else(|| exchange.pacing.take());
        }
        let config = &exchange.site.config;
        let paced = exchange.pacing.is_some() && matches!(exchange.turn, Turn::Due(_));
        let close = config.close_connections || exchange.about.close;
        let turn = std::mem::replace(&mut exchange.turn, Turn::Said);
        exchange.turn = match (answer, turn) {
            (Reply::Grant(bytes), turn) => {
                wire.grant(id, bytes);
                turn
            }
            (Reply::TakeRest, turn) => {
                wire.take_rest(id);
                turn
            }
            (Reply::Endless(head), Turn::Due(responder)) => {
                exchange.status = Some(head.status());
                wire.delimit_by_close(id);
                Turn::Live(wire.respond_stream(responder, &head, BodySize::Unknown, now))
            }
            (Reply::Whole(head, body), Turn::Due(responder)) => {
                exchange.status = Some(head.status());
                *errors_in_a_row = if head.status().is_error() { *errors_in_a_row + 1 } else { 0 };
                let most = config.limits.client_errors;
                if most > 0 && *errors_in_a_row >= most {
                    wire.shut_down();
                }
                // Of what the peer sent behind its last error, only so much is taken.
                if close || most > 0 && *errors_in_a_row >= most.saturating_mul(2) {
                    wire.close_after_response(id);
                }
                wire.respond(responder, &head, body, now);
                Turn::Said
            }
            (Reply::Last(head, body), Turn::Due(responder)) => {
                exchange.status = Some(head.status());
                wire.close_after_response(id);
                wire.respond(responder, &head, body, now);
                Turn::Said
            }
            (Reply::Stream(head, size), Turn::Due(responder)) => {
                exchange.status = Some(head.status());
                *errors_in_a_row = 0;
                if close {
                    wire.close_after_response(id);
                }
                if !config.chunked {
                    wire.delimit_by_close(id);
                }
                Turn::Live(wire.respond_stream(responder, &head, size, now))
            }
            (Reply::Part(part), Turn::Live(writer)) => {
                wire.push(&writer, part);
                Turn::Live(writer)
            }
            (Reply::Finish, Turn::Live(writer)) => {
                wire.finish(writer);
                Turn::Said
            }
            (Reply::Abort, Turn::Live(writer)) => {
                wire.abort(writer);
                Turn::Said
            }
            // What comes too late is not said.
            (
                Reply::Whole(..)
                | Reply::Last(..)
                | Reply::Stream(..)
                | Reply::Endless(..)
                | Reply::Part(_)
                | Reply::Finish
                | Reply::Abort,
                turn,
            ) => turn,
        };
        if paced {
            wire.set_send_limit(id, 0);
        }
    }
}

/// What is known of an answer that is to be throttled.
fn pacing(answer: &Reply) -> Option<Pacing> {
    let total = match answer {
        Reply::Whole(_, body) => Some(body.iter().map(Part::len).sum()),
        Reply::Stream(_, size) => size.len(),
        Reply::Grant(_)
        | Reply::TakeRest
        | Reply::Endless(_)
        | Reply::Last(..)
        | Reply::Part(_)
        | Reply::Finish
        | Reply::Abort => return None,
    };
    Some(Pacing::new(total))
}
