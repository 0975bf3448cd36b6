//! A request about which a hook is asked, and what the hook answers by itself.

use std::time::{Duration, Instant};

use crate::exchange::{
    about::Waiting,
    context::{ExchangeContext, Handler, Next},
    error::{refuse, too_late},
    refusal::Refusal,
    reply::{Reply, head},
    request::Request,
};
use crate::{
    effect::{Done, FsEffect, HookEffect},
    fs::{FsError, Place},
    hook::{HookDecision, Piece, Question, Rights, What},
    http::{BodySize, Method, Part, ResponseHead, Status},
    id::OpId,
    time::Timer,
};

/// ```text
///  Asking --> [Looking] --> the request's own task, or the one that hands the hook its body
///     \--> Pulling <--> Sending
///             \  \--> Resting (nothing yet) --> Pulling
///              \-------> Over
/// ```
#[derive(Debug)]
pub(crate) struct Hooked {
    /// The effect that asks for the verdict, and names the request to the hook from then on.
    hook: OpId,
    /// `None` once the hook answers, or the request went on.
    request: Option<Request>,
    refusal: Option<Refusal>,
    /// The request's body is whole already.
    ended: bool,
    /// The head of an answer that is pulled, until it is known that there is one.
    head: Option<ResponseHead>,
    /// When the hook gave something last.
    gave: Instant,
    /// The request changes nothing, so that it need not be answered to a peer that is gone.
    reads: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// What is to become of the request?
    Asking {
        until: Instant,
    },
    /// Is there the file that the hook names?
    Looking {
        op: OpId,
        place: Place,
    },
    /// What the hook gave is being sent.
    Sending {
        left: Option<u64>,
    },
    /// The hook is asked for more.
    Pulling {
        op: OpId,
        left: Option<u64>,
        until: Instant,
        rest: Duration,
    },
    /// It had nothing yet.
    Resting {
        left: Option<u64>,
        until: Instant,
        rest: Duration,
    },
    Over,
}

/// How long a hook that has nothing is let alone: the first time, and in the end.
const SHORT_REST: Duration = Duration::from_millis(1);
const LONG_REST: Duration = Duration::from_millis(16);

impl Hooked {
    /// Asks the hook. `refusal`: what the rights say; `ended`: the request's body is whole already.
    pub(in crate::exchange) fn start(
        request: Request,
        refusal: Option<Refusal>,
        ended: bool,
        cx: &mut ExchangeContext<'_>,
    ) -> Box<dyn Handler> {
        let hook = cx.op();
        cx.about.hook = Some(hook);
        cx.effect(HookEffect::Ask {
            op: hook,
            question: Box::new(Question {
                method: request.head.method,
                target: request.target.clone(),
                fields: request.head.fields.clone(),
                body: request.head.body,
                rights: refusal.as_ref().map_or(Rights::Granted, Refusal::rights),
                user: cx.about.user.clone(),
                tls: cx.about.client.tls,
            }),
        });
        let reads = matches!(request.head.method, Method::Get | Method::Head);
        let state = State::Asking { until: cx.now.mono + cx.site.config.limits.hook_time };
        Box::new(Self {
            hook,
            request: Some(request),
            refusal,
            ended,
            head: None,
            gave: cx.now.mono,
            reads,
            state,
        })
    }

    /// An effect is answered; the task that takes its place, if the server goes on.
    fn advance(
        &mut self,
        done: OpId,
        result: Result<Done, FsError>,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Next> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asking { .. } if self.hook == done => match result {
                Ok(Done::Decision(verdict)) => self.obey(*verdict, cx),
                Err(FsError::Exhausted) => {
                    too_late(cx);
                    None
                }
                Ok(_) | Err(_) => {
                    failed(cx);
                    None
                }
            },
            State::Looking { op, place } if op == done => match result {
                Ok(Done::Stat(_)) => self.serve(place, cx),
                Ok(_) | Err(_) => self.proceed(),
            },
            State::Pulling { op, left, rest, .. } if op == done => {
                let piece = match result {
                    Ok(Done::Pulled(piece)) => Some(piece),
                    Ok(_) | Err(_) => None,
                };
                self.pulled(piece, left, rest, cx);
                None
            }
            other @ (State::Asking { .. }
            | State::Looking { .. }
            | State::Sending { .. }
            | State::Pulling { .. }
            | State::Resting { .. }
            | State::Over) => {
                self.state = other;
                None
            }
        }
    }

    /// The hook, which has taken the body of the request, answers.
    pub(in crate::exchange) fn conclude(
        hook: OpId,
        verdict: HookDecision,
        cx: &mut ExchangeContext<'_>,
    ) -> Box<dyn Handler> {
        cx.about.unfinished = false;
        let mut hooked = Self {
            hook,
            request: None,
            refusal: None,
            ended: true,
            head: None,
            gave: cx.now.mono,
            reads: false,
            state: State::Over,
        };
        match verdict.what {
            // It is too late for that: the body is gone.
            What::Pass | What::File(_) | What::Take => failed(cx),
            What::Answer { .. } | What::Read { .. } => {
                hooked.obey(verdict, cx);
            }
        }
        Box::new(hooked)
    }

    fn obey(&mut self, verdict: HookDecision, cx: &mut ExchangeContext<'_>) -> Option<Next> {
        let HookDecision { what, fields, close, throttled } = verdict;
        cx.about.fields = Some(fields).filter(|fields| !fields.is_empty());
        cx.about.close = close;
        cx.about.throttled = throttled;
        let (is_head, reads) = self.request.as_ref().map_or((false, false), |request| {
            let method = request.head.method;
            (method == Method::Head, matches!(method, Method::Get | Method::Head))
        });
        match what {
            What::File(place) if reads && self.refusal.is_none() => {
                let op = cx.op();
                cx.effect(FsEffect::Stat { op, place: place.clone() });
                self.state = State::Looking { op, place };
                return None;
            }
            What::Pass | What::File(_) => return self.proceed(),
            What::Answer { status, .. } if status.has_no_content() => {
                cx.reply(Reply::Whole(head(cx.site, status), Vec::new()));
            }
            What::Answer { status, len: Some(len), .. } if is_head => {
                cx.reply(Reply::Stream(head(cx.site, status), BodySize::Known(len)));
                cx.reply(Reply::Finish);
            }
            What::Answer { status, body, chunked: true, .. } => {
                cx.reply(Reply::Stream(head(cx.site, status), BodySize::Unknown));
                if !body.is_empty() && !is_head {
                    cx.reply(Reply::Part(Part::Bytes(body)));
                }
                cx.reply(Reply::Finish);
            }
            What::Answer { status, body, len: None | Some(0), .. } => {
                let body = vec![Part::Bytes(body)];
                cx.reply(Reply::Whole(head(cx.site, status), body));
            }
            // It has a length and no body, and is not for HEAD.
            What::Answer { .. } => failed(cx),
            // There is no body to be taken, nor was any asked for.
            What::Take if is_head => failed(cx),
            What::Take => {
                let Request { head, .. } = self.request.take()?;
                return Some(Next::Taken { hook: self.hook, head, ended: self.ended });
            }
            What::Read { status, .. } if status.has_no_content() => {
                cx.reply(Reply::Whole(head(cx.site, status), Vec::new()));
            }
            What::Read { status, len } => {
                let head = head(cx.site, status);
                if is_head {
                    cx.reply(begin(head, len));
                    cx.reply(Reply::Finish);
                } else {
                    self.head = Some(head);
                    self.pull(len, SHORT_REST, cx);
                }
            }
        }
        self.request = None;
        None
    }

    /// The server goes on as if there were no hook.
    fn proceed(&mut self) -> Option<Next> {
        let (request, refusal) = (self.request.take()?, self.refusal.take());
        Some(Next::Passed { request, refusal, ended: self.ended })
    }

    /// The server answers with another file.
    fn serve(&mut self, place: Place, cx: &mut ExchangeContext<'_>) -> Option<Next> {
        let Request { head, mut target, .. } = self.request.take()?;
        let mounts = &cx.site.mounts;
        cx.about.uploadable = mounts.takes_uploads(&place, mounts.rule(&mounts.named(&place)));
        // Its own name tells the media type.
        target.path = place.path.clone();
        target.directory = false;
        Some(Next::File { head, target, place })
    }

    // ---- an answer that is pulled ----

    /// Only when all that was pushed is sent: if the hook fails then, nothing of that is lost.
    fn pull(&mut self, left: Option<u64>, rest: Duration, cx: &mut ExchangeContext<'_>) {
        if left == Some(0) {
            self.open(left, cx);
            return self.finish(cx);
        }
        let op = cx.op();
        cx.effect(HookEffect::Pull { op, hook: self.hook });
        let until = cx.now.mono + cx.site.config.limits.hook_time;
        self.state = State::Pulling { op, left, until, rest };
    }

    /// The hook has this; `None`: it failed.
    fn pulled(
        &mut self,
        piece: Option<Piece>,
        left: Option<u64>,
        rest: Duration,
        cx: &mut ExchangeContext<'_>,
    ) {
        if piece.is_none() && self.head.take().is_some() {
            return failed(cx);
        }
        let is_first = self.open(left, cx);
        match piece {
            Some(Piece::Bytes(bytes)) if !bytes.is_empty() => {
                let left = left.map(|left| left.saturating_sub(bytes.len() as u64));
                self.gave = cx.now.mono;
                cx.reply(Reply::Part(Part::Bytes(bytes)));
                self.state = State::Sending { left };
            }
            // Nothing would tell that the peer is gone, as long as there is nothing to be sent.
            Some(Piece::Bytes(_) | Piece::NotYet)
                if cx.about.half_closed
                    && cx.now.mono >= self.gave + cx.site.config.limits.hook_time =>
            {
                cx.reply(Reply::Abort);
            }
            Some(Piece::Bytes(_) | Piece::NotYet) if is_first => {
                self.state = State::Sending { left };
            }
            Some(Piece::Bytes(_) | Piece::NotYet) => {
                let until = cx.now.mono + rest;
                self.state = State::Resting { left, until, rest: (rest * 2).min(LONG_REST) };
            }
            Some(Piece::End) => self.finish(cx),
            // That there is more must show.
            None => cx.reply(Reply::Abort),
        }
    }

    /// Sends the head, once; true if it was not sent before.
    fn open(&mut self, left: Option<u64>, cx: &mut ExchangeContext<'_>) -> bool {
        let head = self.head.take();
        let is_first = head.is_some();
        if let Some(head) = head {
            cx.reply(begin(head, left));
        }
        is_first
    }

    fn finish(&mut self, cx: &mut ExchangeContext<'_>) {
        self.state = State::Over;
        cx.reply(Reply::Finish);
    }
}

impl Handler for Hooked {
    fn on_end(&mut self, _cx: &mut ExchangeContext<'_>) {
        self.ended = true;
    }

    fn on_writable(&mut self, cx: &mut ExchangeContext<'_>) {
        if let State::Sending { left } = self.state {
            self.pull(left, SHORT_REST, cx);
        }
    }

    fn on_deadline(&mut self, cx: &mut ExchangeContext<'_>) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asking { .. } => too_late(cx),
            State::Pulling { .. } if self.head.take().is_some() => too_late(cx),
            State::Pulling { .. } => cx.reply(Reply::Abort),
            State::Resting { left, rest, .. } => self.pull(left, rest, cx),
            state @ (State::Looking { .. } | State::Sending { .. } | State::Over) => {
                self.state = state;
            }
        }
    }

    fn on_abort(&mut self, _cx: &mut ExchangeContext<'_>) {
        self.state = State::Over;
    }

    fn waiting(&self) -> Option<Waiting> {
        let waits = match self.state {
            State::Asking { .. } | State::Pulling { .. } | State::Resting { .. } => self.reads,
            State::Looking { .. } | State::Sending { .. } | State::Over => false,
        };
        waits.then_some(Waiting::Idle)
    }

    fn deadline(&self) -> Option<(Instant, Timer)> {
        match self.state {
            State::Asking { until } | State::Pulling { until, .. } => Some((until, Timer::Hook)),
            State::Resting { until, .. } => Some((until, Timer::Pace)),
            State::Looking { .. } | State::Sending { .. } | State::Over => None,
        }
    }

    fn on_done(&mut self, op: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        let next = self.advance(op, result, cx);
        cx.hand_over(next);
    }
}

fn begin(head: ResponseHead, len: Option<u64>) -> Reply {
    match len {
        Some(len) => Reply::Stream(head, BodySize::Known(len)),
        None => Reply::Stream(head, BodySize::Unknown),
    }
}

fn failed(cx: &mut ExchangeContext<'_>) {
    refuse(cx, Status::INTERNAL_SERVER_ERROR, "the hook failed");
}
