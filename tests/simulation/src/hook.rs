//! A hook: verdicts that come late, twice, or for a connection that is gone; answers of its own,
//! uploads that it takes, answers that it slows down. In some worlds, each request waits for it.

use std::time::Duration;

use bytes::Bytes;
use httpout_proto::effect::{DeliveryEffect, HookEffect};
use httpout_proto::{
    Done, Effect, FsError, OpId,
    hook::{Headers, HookDecision, Pace, Piece, Rights},
    http::Status,
};

use crate::{choices::bytes, client::Time, model::Who, reply::Reply, request::What, world::World};

/// The status of all that a hook says by itself.
const OWN: u16 = 299;

/// A request that the hook was asked about.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) hook: OpId,
    who: Who,
    /// What is left of an answer that is read.
    left: Vec<u8>,
    /// It says its length.
    sized: bool,
    /// What was given of an upload.
    given: Vec<u8>,
    throttled: bool,
}

/// What it said.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// The server goes on.
    Pass,
    /// An answer of its own; `cut`: it failed on the way.
    Own { body: Vec<u8>, cut: bool },
    /// It takes the upload; what it answers comes when that is whole.
    Take,
    /// It failed, with this status.
    Failed(u16),
    /// Nothing, in time.
    Late,
}

impl World<'_> {
    /// Does what the session wants of the hook; gives back what it wants of others.
    pub(crate) fn ask_hook(&mut self, who: Who, effect: Effect) -> Result<Option<Effect>, String> {
        let c = who.0;
        let wrong = |what: &str| Err(format!("[{c}] {what}"));
        if let Effect::Hook(_, HookEffect::Ask { op, question }) = effect {
            let conn = &mut self.conns[c];
            if !self.site.config().hook {
                return wrong("asks where there is no hook");
            }
            if conn.hook.is_some() || !conn.watch.next_op(op) {
                return wrong("asks twice");
            }
            let given = Vec::new();
            if question.rights != Rights::Granted {
                return wrong("speaks of rights where there are no rules");
            }
            conn.hook = Some(Asked {
                hook: op,
                who,
                left: Vec::new(),
                sized: false,
                given,
                throttled: false,
            });
            self.decide(who, op);
            return Ok(None);
        }
        let (op, hook) = if let Effect::Hook(_, HookEffect::Pull { op, hook })
        | Effect::Hook(_, HookEffect::Pace { op, hook, .. })
        | Effect::Delivery(_, DeliveryEffect::Data { op, to: hook, .. })
        | Effect::Delivery(_, DeliveryEffect::End { op, to: hook }) = &effect
        {
            (Some(*op), *hook)
        } else if let Effect::Delivery(_, DeliveryEffect::Abort { to: hook })
        | Effect::Hook(_, HookEffect::Dismiss { hook, .. }) = &effect
        {
            (None, *hook)
        } else {
            return Ok(Some(effect));
        };
        let conn = &mut self.conns[c];
        if op.is_some_and(|op| !conn.watch.next_op(op)) {
            return wrong("an id twice");
        }
        let Some(asked) = conn.hook.as_mut().filter(|asked| asked.hook == hook) else {
            return wrong("speaks of what the hook was not asked about");
        };
        let who = asked.who;
        if let Effect::Hook(_, HookEffect::Pull { op, .. }) = effect {
            self.pulled(c, op);
        } else if let Effect::Hook(_, HookEffect::Pace { op, .. }) = effect {
            if !asked.throttled {
                return wrong("asks when to send what is not throttled");
            }
            let delay = Duration::from_millis(self.dice.below(40));
            let bytes = *self.dice.pick(&[1, 100, 1000, 10_000]);
            self.tell_hook(c, op, Ok(Done::Paced(Pace { delay, bytes })));
        } else if let Effect::Delivery(_, DeliveryEffect::Data { op, data, .. }) = effect {
            data.iter().for_each(|data| asked.given.extend_from_slice(data));
            let fails = self.dice.chance(3);
            if fails {
                self.records.entry(who).or_default().hook = Some(Says::Failed(500));
            }
            self.tell_hook(c, op, if fails { Err(BROKEN) } else { Ok(Done::Ok) });
        } else if let Effect::Delivery(_, DeliveryEffect::End { op, .. }) = effect {
            let given = std::mem::take(&mut asked.given);
            let sent = &conn.client.asked[who.1].request.what;
            if !matches!(sent, What::Put { body, .. } if **body == given) {
                return wrong("gives another body than was sent");
            }
            let body = bytes(given.len() as u64, 50);
            let answer = HookDecision::answer(own(), Headers::default(), body.clone().into());
            let answer = answer.expect("its length is not said");
            self.records.entry(who).or_default().hook = Some(Says::Own { body, cut: false });
            self.tell_hook(c, op, Ok(Done::Decision(Box::new(answer))));
        } else if let Effect::Hook(_, HookEffect::Dismiss { .. }) = effect {
            conn.hook = None;
        }
        Ok(None)
    }

    /// What becomes of the request.
    fn decide(&mut self, who: Who, op: OpId) {
        let c = who.0;
        let asked = self.conns[c].client.asked.get(who.1);
        let uploads = asked.is_some_and(|asked| matches!(asked.request.what, What::Put { .. }));
        let body = bytes(self.steps(), self.dice.index(3000));
        let mut headers = Headers::default();
        headers.add("X-Hook", "was asked").expect("it is fine");
        let says = match self.dice.below(100) {
            0..70 => Says::Pass,
            70..74 => Says::Late,
            74..77 => Says::Failed(*self.dice.pick(&[500, 503])),
            77..82 if uploads => Says::Take,
            _ => Says::Own { body, cut: false },
        };
        let reads = self.dice.chance(60);
        let asked = self.conns[c].hook.as_mut().expect("it is asked now");
        let verdict = match &says {
            Says::Pass | Says::Late => Ok(HookDecision::pass(headers)),
            Says::Failed(503) => Err(FsError::Exhausted),
            Says::Failed(_) => Err(BROKEN),
            Says::Take => Ok(Ok(HookDecision::take())),
            Says::Own { body, .. } if reads => {
                asked.left = body.clone();
                asked.sized = self.dice.chance(50);
                if asked.sized {
                    headers.add("Content-Length", &body.len().to_string()).expect("it is fine");
                }
                Ok(HookDecision::read(own(), headers))
            }
            Says::Own { body, .. } => {
                Ok(HookDecision::answer(own(), headers, Bytes::from(body.clone())))
            }
        };
        asked.throttled = !matches!(says, Says::Take) && self.dice.chance(20);
        let throttled = asked.throttled;
        let verdict = verdict.map(|verdict| verdict.expect("it is fine"));
        let verdict = verdict.map(|verdict| if throttled { verdict.throttled() } else { verdict });
        let late = matches!(says, Says::Late).then(|| self.site.config().limits.hook_time * 2);
        self.records.entry(who).or_default().hook = Some(says);
        let result = verdict.map(|verdict| Done::Decision(Box::new(verdict)));
        self.tell_hook_after(late.unwrap_or_default(), c, op, result);
    }

    /// More of an answer of its own.
    fn pulled(&mut self, c: usize, op: OpId) {
        let Some(asked) = self.conns[c].hook.as_mut() else { return };
        let who = asked.who;
        let piece = match self.dice.below(100) {
            0..25 => Ok(Piece::NotYet),
            25..28 => Err(BROKEN),
            _ if asked.left.is_empty() => Ok(Piece::End),
            _ => {
                let len = 1 + self.dice.index(asked.left.len());
                let mut piece: Vec<u8> = asked.left.drain(..len).collect();
                if asked.sized && asked.left.is_empty() && self.dice.chance(10) {
                    piece.extend_from_slice(b"more than was said");
                }
                Ok(Piece::Bytes(piece.into()))
            }
        };
        if let (Err(_), Some(Says::Own { cut, .. })) =
            (&piece, &mut self.records.entry(who).or_default().hook)
        {
            *cut = true;
        }
        self.tell_hook(c, op, piece.map(Done::Pulled));
    }

    fn tell_hook(&mut self, c: usize, op: OpId, result: Result<Done, FsError>) {
        self.tell_hook_after(Duration::ZERO, c, op, result);
    }

    fn tell_hook_after(
        &mut self,
        time: Duration,
        c: usize,
        op: OpId,
        result: Result<Done, FsError>,
    ) {
        let slow = *self.dice.pick(&[0, 1, 20, 300]);
        let slow = self.dice.delay(Duration::from_millis(slow).max(Duration::from_micros(1)));
        self.answer_after(time + slow, c, op, result.clone());
        if self.dice.chance(10) {
            // It says so twice.
            let again: Time = self.dice.delay(Duration::from_millis(400));
            self.answer_after(time + slow + again, c, op, result);
        }
    }

    /// What is wrong with an answer, where the hook had its part in it; `None`: that is for others
    /// to say.
    pub(crate) fn judge_hook(
        &self,
        who: Who,
        reply: &Reply,
        cut_off: bool,
    ) -> Option<Option<String>> {
        let says = self.records.get(&who)?.hook.as_ref()?;
        let fine = match says {
            Says::Pass => {
                let asked = reply.field("x-hook").is_some();
                let wrong = !asked && reply.status < 400;
                return wrong.then(|| Some("without the hook's field".into()));
            }
            Says::Own { body, cut } => {
                let to_head = self.conns[who.0].client.asked[who.1].request.is_head();
                let content = if to_head { &[][..] } else { body.as_slice() };
                let whole = reply.whole && reply.body == content;
                let part = !reply.whole && content.starts_with(&reply.body) && (*cut || cut_off);
                reply.status == OWN && (whole || part) || reply.status == 500 && *cut
            }
            // Its size, or its time, may have been too much.
            Says::Take => matches!(reply.status, 400 | 408 | 411 | 413),
            Says::Failed(status) => {
                reply.status == *status || matches!(reply.status, 400 | 408 | 413)
            }
            Says::Late => reply.status == 503,
        };
        let shown: String = format!("{says:?}").chars().take(80).collect();
        Some((!fine).then(|| format!("the hook said {shown}")))
    }
}

const BROKEN: FsError = FsError::Other(std::io::ErrorKind::Other);

fn own() -> Status {
    Status::from_code(OWN).expect("it is one")
}
