//! Rights: who may do what is asked. Where there are rules, every request that reaches a file
//! passes here first, so that a refused one has no effect and shows nothing of what there is.

use std::{sync::Arc, time::Instant};

use super::{
    context::{ExchangeContext, Handler, Next},
    refusal::Refusal,
    reply::fs_status,
    request::Request,
};
use crate::{
    auth::Access,
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
pub(crate) struct Authorization {
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

impl Authorization {
    /// Begins to find out; the task that goes on, if any.
    pub(super) fn start(request: Request, cx: &mut ExchangeContext<'_>) -> Option<Next> {
        let op = cx.op();
        let mut authorization =
            Self { request: None, began: cx.now.mono, ended: false, state: State::Locating { op } };
        match &request.resolved {
            Resolved::Place(place) => {
                // Removing a link removes no more than the link.
                let last = request.head.method != Method::Delete;
                cx.effect(FsEffect::Locate { op, place: place.clone(), last });
                authorization.request = Some(request);
            }
            &Resolved::Virtual(rule) => {
                authorization.request = Some(request);
                if let Some(task) = authorization.judge(Some(rule), cx) {
                    return Some(task);
                }
            }
            Resolved::Mounts(_) | Resolved::Nothing => {
                return Some(Next::Authorized { request, refusal: None, ended: false });
            }
        }
        Some(Next::Handler(Box::new(authorization)))
    }

    /// An effect is answered; the task that takes its place, if the request is let in.
    fn advance(
        &mut self,
        done: OpId,
        result: Result<Done, FsError>,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Next> {
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
                    self.refuse(Refusal::Denied(fs_status(error), error.to_string().into()))
                }
            },
            State::Verifying { op, user, rule } if op == done => match result {
                Ok(Done::Verified(Verified::Right)) => self.decide(rule, user, cx),
                Ok(Done::Verified(Verified::TooMany(retry))) => {
                    self.refuse(Refusal::TooMany(retry))
                }
                Ok(_) | Err(_) => {
                    // All failures take as long, and so long that guessing is no use.
                    let until = self.began + cx.site.config.limits.wrong_password_time;
                    self.state = State::Held { until };
                    if until <= cx.now.mono { self.expire() } else { None }
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
    fn judge(&mut self, rule: Option<usize>, cx: &mut ExchangeContext<'_>) -> Option<Next> {
        self.state = State::Over;
        match self.verdict(rule, None, cx) {
            Access::Allowed => return self.let_in(),
            Access::Refused => {
                return self.refuse(Refusal::forbidden("nobody has a right to that"));
            }
            Access::Unidentified => {}
        }
        if !cx.about.client.is_confidential() && !cx.site.config.insecure_auth {
            let why =
                "a password is needed, and none is taken over a connection that others can read";
            return self.refuse(Refusal::forbidden(why));
        }
        let fields = self.request.as_ref().map(|request| &request.head.fields)?;
        match basic::credentials(fields) {
            // Credentials go before the certificate: the client wants to be another user.
            Ok(None) => match cx.about.client.user.clone() {
                Some(user) => return self.decide(rule, user, cx),
                None => return self.refuse(Refusal::Unidentified),
            },
            Err(why) => return self.refuse(Refusal::Malformed(why)),
            Ok(Some(Basic { user, password })) => {
                let (op, user) = (cx.op(), Arc::<str>::from(user));
                let credential = cx.site.config.users.credential(&user).cloned();
                cx.effect(AuthEffect::Verify { op, user: user.clone(), password, credential });
                self.state = State::Verifying { op, user, rule };
            }
        }
        None
    }

    /// Decides for a user whose identity is proven.
    fn decide(
        &mut self,
        rule: Option<usize>,
        user: Arc<str>,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Next> {
        let verdict = self.verdict(rule, Some(&user), cx);
        cx.about.user = Some(user);
        if verdict == Access::Allowed {
            return self.let_in();
        }
        self.refuse(Refusal::forbidden("this user has no right to that"))
    }

    fn verdict(&self, rule: Option<usize>, user: Option<&str>, cx: &ExchangeContext<'_>) -> Access {
        let Some(request) = &self.request else { return Access::Refused };
        cx.site.mounts.who(request.action(), rule).verdict(user, &cx.site.config.users)
    }

    fn let_in(&mut self) -> Option<Next> {
        Some(Next::Authorized { request: self.request.take()?, refusal: None, ended: self.ended })
    }

    fn refuse(&mut self, refusal: Refusal) -> Option<Next> {
        let (request, refusal) = (self.request.take()?, Some(refusal));
        Some(Next::Authorized { request, refusal, ended: self.ended })
    }

    fn until(&self) -> Option<Instant> {
        match self.state {
            State::Held { until } => Some(until),
            State::Locating { .. } | State::Verifying { .. } | State::Over => None,
        }
    }

    /// The task that takes its place, if there is a hook.
    fn expire(&mut self) -> Option<Next> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Held { .. } => self.refuse(Refusal::Wrong),
            state @ (State::Locating { .. } | State::Verifying { .. } | State::Over) => {
                self.state = state;
                None
            }
        }
    }
}

impl Handler for Authorization {
    fn on_end(&mut self, _cx: &mut ExchangeContext<'_>) {
        self.ended = true;
    }

    fn on_abort(&mut self, _cx: &mut ExchangeContext<'_>) {
        self.state = State::Over;
    }

    fn on_done(&mut self, op: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        let next = self.advance(op, result, cx);
        cx.hand_over(next);
    }

    fn on_deadline(&mut self, cx: &mut ExchangeContext<'_>) {
        let next = self.expire();
        cx.hand_over(next);
    }

    fn deadline(&self) -> Option<(Instant, Timer)> {
        self.until().map(|at| (at, Timer::Penalty))
    }
}
