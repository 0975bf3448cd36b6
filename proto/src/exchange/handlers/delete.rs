//! DELETE.

use bytes::Bytes;

use crate::exchange::{
    context::{ExchangeContext, Handler},
    error::{refuse, refuse_last},
    reply::{Reply, fs_status, head},
};
use crate::{
    effect::{Done, FsEffect},
    fs::{Expect, FsError, Place},
    http::{BodySize, RequestHead, Status},
    id::OpId,
    semantics::conditional::{self, Precondition, Validators},
};

/// Waits for the request's body to end (some encoders send an empty chunked one), looks if there
/// are conditions, and removes.
#[derive(Debug)]
pub(crate) struct Delete {
    request: Box<RequestHead>,
    place: Place,
    directory: bool,
    dropped: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Receiving,
    Looking { op: OpId },
    Removing { op: OpId },
    Over,
}

/// Most bytes of a body, for which a DELETE has no use.
fn most(cx: &ExchangeContext<'_>) -> u64 {
    cx.site.config.limits.unwanted_body.min(64 << 10)
}

impl Delete {
    pub(in crate::exchange) fn start(
        request: Box<RequestHead>,
        place: Place,
        directory: bool,
        cx: &mut ExchangeContext<'_>,
    ) -> Self {
        let mut delete = Self { request, place, directory, dropped: 0, state: State::Receiving };
        match delete.request.body {
            BodySize::Empty => delete.on_end(cx),
            BodySize::Known(_) | BodySize::Unknown => {
                cx.reply(Reply::Grant(most(cx) + 1));
            }
        }
        delete
    }

    fn remove(&mut self, expect: Expect, cx: &mut ExchangeContext<'_>) {
        let op = cx.op();
        cx.effect(FsEffect::Remove { op, place: self.place.clone(), expect });
        self.state = State::Removing { op };
    }

    fn removed(&mut self, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        self.state = State::Over;
        match result {
            Ok(_) => cx.reply(Reply::Whole(head(cx.site, Status::OK), Vec::new())),
            Err(FsError::NotFound) => {
                cx.reply(Reply::Whole(head(cx.site, Status::NO_CONTENT), Vec::new()));
            }
            Err(FsError::IsDirectory) => {
                refuse(cx, Status::FORBIDDEN, "directories are not deleted");
            }
            Err(error) => refuse(cx, fs_status(error), &error.to_string()),
        }
    }
}

impl Handler for Delete {
    fn on_data(&mut self, data: Bytes, cx: &mut ExchangeContext<'_>) {
        self.dropped += data.len() as u64;
        if self.dropped > most(cx) {
            self.state = State::Over;
            refuse_last(cx, Status::CONTENT_TOO_LARGE, "a DELETE has no use for a body");
        }
    }

    fn on_end(&mut self, cx: &mut ExchangeContext<'_>) {
        if !matches!(self.state, State::Receiving) {
            return;
        }
        if self.directory {
            self.state = State::Over;
            return refuse(cx, Status::FORBIDDEN, "directories are not deleted");
        }
        if conditional::is_conditional(&self.request.fields) {
            let op = cx.op();
            cx.effect(FsEffect::Stat { op, place: self.place.clone() });
            self.state = State::Looking { op };
        } else {
            self.remove(Expect::Any, cx);
        }
    }

    fn on_done(&mut self, done: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        match self.state {
            State::Looking { op } if op == done => {
                let current = match result {
                    Ok(Done::Stat(meta)) => Some(meta),
                    Err(FsError::NotFound) | Ok(_) => None,
                    Err(error) => return self.removed(Err(error), cx),
                };
                let validators = current.map(|meta| Validators::of(&meta, cx.now.wall));
                let fields = &self.request.fields;
                if conditional::evaluate(fields, false, validators.as_ref()) == Precondition::Go {
                    self.remove(current.map_or(Expect::Absent, Expect::Same), cx);
                } else {
                    self.state = State::Over;
                    refuse(cx, Status::PRECONDITION_FAILED, "the precondition does not hold");
                }
            }
            State::Removing { op } if op == done => self.removed(result, cx),
            State::Looking { .. } | State::Removing { .. } | State::Receiving | State::Over => {}
        }
    }
}
