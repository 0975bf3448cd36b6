//! Rights: who may do what is asked. Where there are rules, every request that reaches a file
//! passes here first, so that a refused one has no effect and shows nothing of what there is.

use std::{sync::Arc, time::Instant};

use super::{
    Cx, Handler,
    answer::{Request, begin, begin_asked, fs_status},
    hooked::Hooked,
    refusal::Refusal,
};
use crate::{
    auth::Verdict,
    effect::{AuthEffect, Done, FsEffect, Verified},
    fs::{FsError, Place},
    http::Method,
    id::OpId,
    semantics::basic::{self, Basic},
    site::Resolved,
    time::Timer,
};

/// ```text
///  Locating --> [Verifying] --> the request's own task
///                   \--> Held (a wrong password) --> 401
///
///  Where there is a hook, that is asked then, with what came out.
/// ```
#[derive(Debug)]
pub(crate) struct Admission {
    /// `None` once it is refused or let in.
    request: Option<Request>,
    began: Instant,
    /// The request's body is whole already.
    ended: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Where does the path really lead?
    Locating {
        op: OpId,
    },
    /// Is the password right?
    Verifying {
        op: OpId,
        user: Arc<str>,
        rule: Option<usize>,
    },
    /// It is wrong; the answer waits.
    Held {
        until: Instant,
    },
    Over,
}

impl Admission {
    /// Begins to find out; the task that goes on, if any.
    pub(super) fn start(request: Request, cx: &mut Cx<'_>) -> Option<Box<dyn Handler>> {
        let op = cx.op();
        let mut admission =
            Self { request: None, began: cx.now.mono, ended: false, state: State::Locating { op } };
        match &request.resolved {
            Resolved::Place(place) => {
                // Removing a link removes no more than the link.
                let last = request.head.method != Method::Delete;
                cx.effect(FsEffect::Locate { op, place: place.clone(), last });
                admission.request = Some(request);
            }
            &Resolved::Virtual(rule) => {
                admission.request = Some(request);
                if let Some(task) = admission.judge(Some(rule), cx) {
                    return Some(task);
                }
            }
            Resolved::Mounts(_) | Resolved::Nothing => return settle(request, None, false, cx),
        }
        Some(Box::new(admission))
    }

    /// An effect is answered; the task that takes its place, if the request is let in.
    fn advance(
        &mut self,
        done: OpId,
        result: Result<Done, FsError>,
        cx: &mut Cx<'_>,
    ) -> Option<Box<dyn Handler>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Locating { op } if op == done => match result {
                Ok(Done::Located { real, root, path }) => {
                    let rule = cx.site.mounts.rule(&real);
                    if let Some(Request { resolved: Resolved::Place(place), .. }) =
                        &mut self.request
                    {
                        *place = Place { root: root.unwrap_or(place.root), path };
                        cx.about.uploadable = cx.site.mounts.takes_uploads(place, rule);
                    }
                    self.judge(rule, cx)
                }
                result => {
                    let error = result.err().unwrap_or(FsError::Other(std::io::ErrorKind::Other));
                    self.refuse(Refusal::Denied(fs_status(error), error.to_string().into()), cx)
                }
            },
            State::Verifying { op, user, rule } if op == done => match result {
                Ok(Done::Verified(Verified::Right)) => self.decide(rule, user, cx),
                Ok(Done::Verified(Verified::TooMany(retry))) => {
                    self.refuse(Refusal::TooMany(retry), cx)
                }
                Ok(_) | Err(_) => {
                    // All failures take as long, and so long that guessing is no use.
                    let until = self.began + cx.site.config.limits.wrong_password_time;
                    self.state = State::Held { until };
                    if until <= cx.now.mono { self.expire(cx) } else { None }
                }
            },
            other @ (State::Locating { .. }
            | State::Verifying { .. }
            | State::Held { .. }
            | State::Over) => {
                self.state = other;
                None
            }
        }
    }

    /// May this request, for what is known now?
    fn judge(&mut self, rule: Option<usize>, cx: &mut Cx<'_>) -> Option<Box<dyn Handler>> {
        self.state = State::Over;
        match self.verdict(rule, None, cx) {
            Verdict::Allowed => return self.let_in(cx),
            Verdict::Refused => {
                return self.refuse(Refusal::forbidden("nobody has a right to that"), cx);
            }
            Verdict::Unidentified => {}
        }
        if !cx.about.client.is_confidential() && !cx.site.config.insecure_auth {
            let why =
                "a password is needed, and none is taken over a connection that others can read";
            return self.refuse(Refusal::forbidden(why), cx);
        }
        let fields = self.request.as_ref().map(|request| &request.head.fields)?;
        match basic::credentials(fields) {
            // Credentials go before the certificate: who sends some wants to be somebody else.
            Ok(None) => match cx.about.client.user.clone() {
                Some(user) => return self.decide(rule, user, cx),
                None => return self.refuse(Refusal::Unidentified, cx),
            },
            Err(why) => return self.refuse(Refusal::Malformed(why), cx),
            Ok(Some(Basic { user, password })) => {
                let (op, user) = (cx.op(), Arc::<str>::from(user));
                let credential = cx.site.config.users.credential(&user).cloned();
                cx.effect(AuthEffect::Verify { op, user: user.clone(), password, credential });
                self.state = State::Verifying { op, user, rule };
            }
        }
        None
    }

    /// May this user, who is who it claims to be?
    fn decide(
        &mut self,
        rule: Option<usize>,
        user: Arc<str>,
        cx: &mut Cx<'_>,
    ) -> Option<Box<dyn Handler>> {
        let verdict = self.verdict(rule, Some(&user), cx);
        cx.about.user = Some(user);
        if verdict == Verdict::Allowed {
            return self.let_in(cx);
        }
        self.refuse(Refusal::forbidden("this user has no right to that"), cx)
    }

    fn verdict(&self, rule: Option<usize>, user: Option<&str>, cx: &Cx<'_>) -> Verdict {
        let Some(request) = &self.request else { return Verdict::Refused };
        cx.site.mounts.who(request.action(), rule).verdict(user, &cx.site.config.users)
    }

    fn let_in(&mut self, cx: &mut Cx<'_>) -> Option<Box<dyn Handler>> {
        settle(self.request.take()?, None, self.ended, cx)
    }

    fn refuse(&mut self, why: Refusal, cx: &mut Cx<'_>) -> Option<Box<dyn Handler>> {
        settle(self.request.take()?, Some(why), self.ended, cx)
    }

    fn until(&self) -> Option<Instant> {
        match self.state {
            State::Held { until } => Some(until),
            State::Locating { .. } | State::Verifying { .. } | State::Over => None,
        }
    }

    /// The task that takes its place, if there is a hook.
    fn expire(&mut self, cx: &mut Cx<'_>) -> Option<Box<dyn Handler>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Held { .. } => self.refuse(Refusal::Wrong, cx),
            state @ (State::Locating { .. } | State::Verifying { .. } | State::Over) => {
                self.state = state;
                None
            }
        }
    }
}

impl Handler for Admission {
    fn on_end(&mut self, _cx: &mut Cx<'_>) {
        self.ended = true;
    }

    fn on_abort(&mut self, _cx: &mut Cx<'_>) {
        self.state = State::Over;
    }

    fn on_done(&mut self, op: OpId, result: Result<Done, FsError>, cx: &mut Cx<'_>) {
        let next = self.advance(op, result, cx);
        cx.hand_over(next);
    }

    fn on_deadline(&mut self, cx: &mut Cx<'_>) {
        let next = self.expire(cx);
        cx.hand_over(next);
    }

    fn deadline(&self) -> Option<(Instant, Timer)> {
        self.until().map(|at| (at, Timer::Penalty))
    }
}

/// The rights are known; `ended`: the request's body is whole already.
fn settle(
    request: Request,
    refusal: Option<Refusal>,
    ended: bool,
    cx: &mut Cx<'_>,
) -> Option<Box<dyn Handler>> {
    if cx.site.config.hook {
        return Some(Hooked::start(request, refusal, ended, cx));
    }
    go_on(request, refusal, ended, cx)
}

/// Begins what is asked for, if it may.
pub(super) fn go_on(
    request: Request,
    refusal: Option<Refusal>,
    ended: bool,
    cx: &mut Cx<'_>,
) -> Option<Box<dyn Handler>> {
    if let Some(why) = refusal {
        why.say(cx);
        return None;
    }
    let mut task = if cx.site.config.hook { begin_asked(request, cx) } else { begin(request, cx) }?;
    if ended {
        task.on_end(cx);
    }
    Some(task)
}
