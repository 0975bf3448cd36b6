//! GET and HEAD: an upload in progress, or a file; whole, in ranges, or as it grows.

mod file;
mod plan;

use std::time::Instant;

use self::plan::Plan;
use crate::exchange::{
    about::Waiting,
    context::{ExchangeContext, Handler},
    error::{NOT_LISTED, redirect, refuse, refuse_stopping},
    reply::{Reply, fs_status, head},
};
use crate::{
    effect::{Done, FsEffect, LiveEffect},
    fs::{FileId, FsError, Meta, Place},
    http::{BodySize, Method, Part, RequestHead, Status},
    id::OpId,
    live::{Growth, GrowthState},
    semantics::{
        coding::Coding,
        conditional::{self, Precondition, Validators},
        media,
        range::{Ranges, VERY_LARGE},
        target::Target,
    },
    time::Timer,
};

/// ```text
///  Looking --> Opening --------------------------------> Answered
///     |           |  \--> Missing --(deadline)--> 404        ^
///     |           |          |                               |
///     +-----------+----------+--> Holding --> Streaming -----+
///                 ^                  |
///                 +--(upload over)---+
///
///  Before an answer, where the name does not tell the media type: Describing;
///  where it is to be compressed: Encoding.
/// ```
#[derive(Debug)]
pub(crate) struct Get {
    request: Box<RequestHead>,
    target: Target,
    place: Place,
    /// `None`: the name does not tell, and the file was not asked.
    media_type: Option<String>,
    /// The time to wait for an upload is over.
    waited: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Is an upload in progress?
    Looking { op: OpId, file: FileId },
    /// The file on disk is being opened.
    Opening { op: OpId, file: FileId, otherwise: Otherwise },
    /// The file is asked for its media type.
    Describing { op: OpId, then: Then },
    /// There is nothing; an upload may begin.
    Missing { awaited: Awaited },
    /// An upload is in progress, and what was asked for is not all there.
    Holding { followed: Followed, plan: Plan },
    /// An upload in progress is being sent; `pushed` is the offset up to which it was; `starved` if
    /// the peer has all of that.
    Streaming { followed: Followed, pushed: u64, starved: bool },
    /// The file is being compressed.
    Encoding { op: OpId, file: FileId, meta: Meta, coding: Coding },
    /// The answer is complete; this file is being sent.
    Answered { file: Option<FileId> },
    /// The peer is gone; a file that is being opened is to be closed.
    Gone { op: OpId, file: FileId },
}

/// What there is if there is no file on disk.
#[derive(Debug)]
enum Otherwise {
    Nothing,
    /// The first upload of a manifest.
    Growing(Followed),
    /// An upload may begin.
    Awaited(Awaited),
}

/// What is to be answered with.
#[derive(Clone, Copy, Debug)]
enum Then {
    File(FileId, Meta),
    Growing(Followed),
}

#[derive(Clone, Copy, Debug)]
struct Awaited {
    op: OpId,
    file: FileId,
    deadline: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Followed {
    op: OpId,
    file: FileId,
    growth: Growth,
}

impl Get {
    pub(in crate::exchange) fn start(
        request: Box<RequestHead>,
        target: Target,
        place: Place,
        cx: &mut ExchangeContext<'_>,
    ) -> Self {
        let media_type = media::media_type(target.path.as_str()).map(Into::into);
        let state = State::Answered { file: None };
        let mut get = Self { request, target, place, media_type, waited: false, state };
        get.look(cx);
        get
    }

    fn look(&mut self, cx: &mut ExchangeContext<'_>) {
        if self.target.directory {
            return self.open(Otherwise::Nothing, cx);
        }
        let (op, file) = (cx.op(), cx.file());
        cx.effect(LiveEffect::Follow { op, file, place: self.place.clone(), wait: false });
        self.state = State::Looking { op, file };
    }

    fn open(&mut self, otherwise: Otherwise, cx: &mut ExchangeContext<'_>) {
        let (op, file) = (cx.op(), cx.file());
        cx.effect(FsEffect::Open { op, file, place: self.place.clone() });
        self.state = State::Opening { op, file, otherwise };
    }

    /// Answers with this, once its media type is known.
    fn describe(&mut self, then: Then, cx: &mut ExchangeContext<'_>) {
        if self.media_type.is_some() {
            return match then {
                Then::File(file, meta) => {
                    self.state = State::Answered { file: Some(file) };
                    self.answer_file(file, &meta, cx);
                }
                Then::Growing(followed) => self.follow(followed, cx),
            };
        }
        let op = cx.op();
        let file = match then {
            Then::File(file, _) => file,
            Then::Growing(followed) => followed.file,
        };
        cx.effect(FsEffect::MediaType { op, file });
        self.state = State::Describing { op, then };
    }

    fn media_type(&self) -> &str {
        self.media_type.as_deref().unwrap_or(media::UNKNOWN)
    }

    /// The upload that was waited for has begun.
    fn begun(
        &mut self,
        awaited: Awaited,
        result: Result<Done, FsError>,
        cx: &mut ExchangeContext<'_>,
    ) {
        let Ok(Done::Following(growth)) = result else { return };
        let followed = Followed { op: awaited.op, file: awaited.file, growth };
        match &mut self.state {
            State::Opening { otherwise, .. } => *otherwise = Otherwise::Growing(followed),
            State::Looking { .. }
            | State::Describing { .. }
            | State::Encoding { .. }
            | State::Missing { .. }
            | State::Holding { .. }
            | State::Streaming { .. }
            | State::Answered { .. }
            | State::Gone { .. } => self.describe(Then::Growing(followed), cx),
        }
    }

    /// The file on disk is open, or cannot be.
    fn opened(
        &mut self,
        file: FileId,
        result: Result<Done, FsError>,
        cx: &mut ExchangeContext<'_>,
    ) {
        let state = std::mem::replace(&mut self.state, State::Answered { file: None });
        let State::Opening { otherwise, .. } = state else { return };
        match (result, otherwise) {
            (Ok(Done::Opened(meta)), otherwise) => {
                otherwise.give_up(cx);
                self.describe(Then::File(file, meta), cx);
            }
            (Err(FsError::NotFound), Otherwise::Growing(followed)) => {
                self.describe(Then::Growing(followed), cx);
            }
            (Err(FsError::NotFound), Otherwise::Awaited(awaited)) if cx.about.stopping => {
                awaited.give_up(cx);
                refuse_stopping(cx);
            }
            (Err(FsError::NotFound), Otherwise::Awaited(awaited)) => {
                self.state = State::Missing { awaited };
            }
            (Err(FsError::NotFound), Otherwise::Nothing) if self.may_wait(cx) => {
                if cx.about.stopping {
                    refuse_stopping(cx);
                } else {
                    self.wait(cx);
                }
            }
            (Err(error), otherwise) => {
                otherwise.give_up(cx);
                self.refuse(error, cx);
            }
            (Ok(_), otherwise) => {
                otherwise.give_up(cx);
                self.refuse(FsError::Other(std::io::ErrorKind::Other), cx);
            }
        }
    }

    fn may_wait(&self, cx: &ExchangeContext<'_>) -> bool {
        !self.waited
            && !cx.site.config.wait_missing.is_zero()
            && !self.target.directory
            && cx.site.mounts.may_be_uploaded(&self.place)
    }

    /// Waits for an upload to begin; looks at the disk once more, since one may have come and gone
    /// meanwhile.
    fn wait(&mut self, cx: &mut ExchangeContext<'_>) {
        let deadline = cx.now.mono + cx.site.config.wait_missing;
        let awaited = Awaited { op: cx.op(), file: cx.file(), deadline };
        let place = self.place.clone();
        cx.effect(LiveEffect::Follow { op: awaited.op, file: awaited.file, place, wait: true });
        self.open(Otherwise::Awaited(awaited), cx);
    }

    fn until(&self) -> Option<Instant> {
        match &self.state {
            State::Missing { awaited } => Some(awaited.deadline),
            State::Looking { .. }
            | State::Opening { .. }
            | State::Describing { .. }
            | State::Encoding { .. }
            | State::Holding { .. }
            | State::Streaming { .. }
            | State::Answered { .. }
            | State::Gone { .. } => None,
        }
    }

    fn refuse(&mut self, error: FsError, cx: &mut ExchangeContext<'_>) {
        match error {
            FsError::IsDirectory if !self.target.directory => redirect(&self.target, cx),
            FsError::IsDirectory => refuse(cx, Status::FORBIDDEN, NOT_LISTED),
            FsError::NotFound
            | FsError::NotRegular
            | FsError::Outside
            | FsError::Denied
            | FsError::NameTooLong
            | FsError::Full
            | FsError::MemoryFull
            | FsError::Changed
            | FsError::Hole(_)
            | FsError::Unflushed
            | FsError::Exhausted
            | FsError::Other(_) => refuse(cx, fs_status(error), &error.to_string()),
        }
    }

    /// The ranges asked for, if they are to be looked at.
    fn ranges(&self, cx: &ExchangeContext<'_>) -> Option<Ranges> {
        if cx.site.config.ignore_ranges || self.request.method != Method::Get {
            return None;
        }
        let mut lines = self.request.fields.all("range");
        let (line, None) = (lines.next()?, lines.next()) else { return None };
        Ranges::parse(line, cx.site.config.limits.ranges)
    }

    // ---- a growing file ----

    /// An upload in progress is what the path shows.
    fn follow(&mut self, followed: Followed, cx: &mut ExchangeContext<'_>) {
        // It has no validator yet, but it exists.
        let nothing = Validators::default();
        if conditional::evaluate(&self.request.fields, true, Some(&nothing)) == Precondition::Failed
        {
            followed.give_up(cx);
            self.state = State::Answered { file: None };
            return refuse(cx, Status::PRECONDITION_FAILED, "the precondition does not hold");
        }
        let ranges = self
            .ranges(cx)
            .filter(|_| conditional::range_applies(&self.request.fields, &nothing, cx.now.wall));
        let plan = ranges.map_or(Plan::Whole, |ranges| Plan::new(&ranges, followed.growth.total));
        self.state = State::Holding { followed, plan };
        self.go_on(cx);
    }

    fn go_on(&mut self, cx: &mut ExchangeContext<'_>) {
        match self.state {
            State::Holding { followed, plan } => self.hold(followed, plan, cx),
            // While something is being sent, what came meanwhile is sent after it, in one piece.
            State::Streaming { followed, starved, .. } => {
                if starved {
                    self.on_writable(cx);
                } else if followed.growth.state == GrowthState::Aborted {
                    cx.reply(Reply::Abort);
                }
            }
            State::Looking { .. }
            | State::Opening { .. }
            | State::Describing { .. }
            | State::Encoding { .. }
            | State::Missing { .. }
            | State::Answered { .. }
            | State::Gone { .. } => {}
        }
    }

    /// Nothing is answered yet: can it be now?
    fn hold(&mut self, followed: Followed, plan: Plan, cx: &mut ExchangeContext<'_>) {
        let Growth { len, total, state } = followed.growth;
        let media_type = self.media_type();
        match state {
            GrowthState::Growing => {}
            // It is a file now, with validators.
            GrowthState::Complete => {
                self.forget(followed, cx);
                return self.open(Otherwise::Nothing, cx);
            }
            // What the path showed before is what it shows again.
            GrowthState::Aborted => {
                self.forget(followed, cx);
                return self.look(cx);
            }
        }
        // No Content-Length, even where it is known: the end of the answer is to say that the
        // upload was stored.
        let (first, head) = match plan {
            Plan::Whole if len > 0 => {
                (0, head(cx.site, Status::OK).field("Content-Type", media_type))
            }
            Plan::From { first, last } if len > first => {
                let content_range = match (last, total) {
                    (None, Some(total)) => format!("bytes {first}-{}/{total}", total - 1),
                    (last, _) => format!("bytes {first}-{}/*", last.unwrap_or(VERY_LARGE)),
                };
                let head = head(cx.site, Status::PARTIAL_CONTENT)
                    .field("Content-Type", media_type)
                    .field("Content-Range", content_range);
                (first, head)
            }
            Plan::Closed(span) if len >= span.end => {
                let total = total.map_or_else(|| "*".into(), |total| total.to_string());
                let head =
                    head(cx.site, Status::PARTIAL_CONTENT).field("Content-Type", media_type).field(
                        "Content-Range",
                        format!("bytes {}-{}/{total}", span.start, span.end - 1),
                    );
                cx.effect(LiveEffect::Unfollow { op: followed.op });
                self.state = State::Answered { file: Some(followed.file) };
                let part = Part::File { file: followed.file, at: span.start, len: span.len() };
                return cx.reply(Reply::Whole(head, vec![part]));
            }
            Plan::Whole | Plan::From { .. } | Plan::Closed(_) | Plan::AtEnd => {
                if cx.about.stopping {
                    followed.give_up(cx);
                    self.state = State::Answered { file: None };
                    refuse_stopping(cx);
                }
                return;
            }
        };
        cx.reply(Reply::Stream(head, BodySize::Unknown));
        if self.request.method == Method::Head {
            followed.give_up(cx);
            self.state = State::Answered { file: None };
            return cx.reply(Reply::Finish);
        }
        self.state = State::Streaming { followed, pushed: first, starved: false };
        self.on_writable(cx);
    }

    /// What was learned of this upload does not hold for what comes instead.
    fn forget(&mut self, followed: Followed, cx: &mut ExchangeContext<'_>) {
        followed.give_up(cx);
        self.media_type = media::media_type(self.target.path.as_str()).map(Into::into);
    }

    /// Gives everything back.
    fn release(&mut self, cx: &mut ExchangeContext<'_>) {
        let state = std::mem::replace(&mut self.state, State::Answered { file: None });
        match state {
            State::Looking { op, file } | State::Gone { op, file } => {
                self.state = State::Gone { op, file };
            }
            State::Opening { op, file, otherwise } => {
                otherwise.give_up(cx);
                self.state = State::Gone { op, file };
            }
            State::Missing { awaited } => awaited.give_up(cx),
            State::Describing { then: Then::File(file, _), .. } => {
                cx.effect(FsEffect::Close { file })
            }
            State::Describing { then: Then::Growing(followed), .. } => followed.give_up(cx),
            State::Holding { followed, .. } | State::Streaming { followed, .. } => {
                followed.give_up(cx);
            }
            State::Answered { file: Some(file) } | State::Encoding { file, .. } => {
                cx.effect(FsEffect::Close { file })
            }
            State::Answered { file: None } => {}
        }
    }
}

impl Handler for Get {
    fn on_done(&mut self, done: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        match &self.state {
            &State::Looking { op, file } if op == done => match result {
                Ok(Done::Following(growth)) => {
                    let followed = Followed { op, file, growth };
                    // A manifest that exists is served whole while it is being replaced.
                    if media::is_manifest(self.target.path.as_str()) {
                        self.open(Otherwise::Growing(followed), cx);
                    } else {
                        self.describe(Then::Growing(followed), cx);
                    }
                }
                Ok(_) | Err(_) => self.open(Otherwise::Nothing, cx),
            },
            &State::Describing { op, then } if op == done => {
                let kept = match result {
                    // A process that can write the file can give it any.
                    Ok(Done::MediaType(kept)) => {
                        kept.filter(|kept| media::is_media_type(kept.as_bytes()))
                    }
                    Ok(_) | Err(_) => None,
                };
                self.media_type = Some(kept.unwrap_or_else(|| media::UNKNOWN.into()));
                self.describe(then, cx);
            }
            &State::Encoding { op, file, meta, coding } if op == done => {
                self.encoded((file, &meta, coding), result, cx);
            }
            &State::Missing { awaited } if awaited.op == done => self.begun(awaited, result, cx),
            State::Opening { op, file, otherwise } => {
                let file = *file;
                match otherwise {
                    _ if *op == done => self.opened(file, result, cx),
                    &Otherwise::Awaited(awaited) if awaited.op == done => {
                        self.begun(awaited, result, cx);
                    }
                    Otherwise::Nothing | Otherwise::Growing(_) | Otherwise::Awaited(_) => {}
                }
            }
            &State::Gone { op, file } if op == done => {
                cx.effect(LiveEffect::Unfollow { op });
                cx.effect(FsEffect::Close { file });
                self.state = State::Answered { file: None };
            }
            State::Looking { .. }
            | State::Describing { .. }
            | State::Encoding { .. }
            | State::Missing { .. }
            | State::Holding { .. }
            | State::Streaming { .. }
            | State::Answered { .. }
            | State::Gone { .. } => {}
        }
    }

    fn on_growth(&mut self, op: OpId, growth: Growth, cx: &mut ExchangeContext<'_>) {
        let followed = match &mut self.state {
            State::Holding { followed, .. }
            | State::Streaming { followed, .. }
            | State::Describing { then: Then::Growing(followed), .. }
            | State::Opening { otherwise: Otherwise::Growing(followed), .. } => followed,
            State::Looking { .. }
            | State::Opening { .. }
            | State::Describing { .. }
            | State::Encoding { .. }
            | State::Missing { .. }
            | State::Answered { .. }
            | State::Gone { .. } => return,
        };
        if followed.op == op {
            followed.growth = growth;
            self.go_on(cx);
        }
    }

    fn on_writable(&mut self, cx: &mut ExchangeContext<'_>) {
        if let State::Streaming { followed, pushed, starved } = &mut self.state {
            *starved = false;
            let Growth { len, state, .. } = followed.growth;
            if *pushed < len {
                let part = Part::File { file: followed.file, at: *pushed, len: len - *pushed };
                *pushed = len;
                cx.reply(Reply::Part(part));
            } else {
                match state {
                    GrowthState::Growing => *starved = true,
                    GrowthState::Complete => {
                        let file = followed.file;
                        cx.effect(LiveEffect::Unfollow { op: followed.op });
                        self.state = State::Answered { file: Some(file) };
                        cx.reply(Reply::Finish);
                    }
                    GrowthState::Aborted => cx.reply(Reply::Abort),
                }
            }
        }
    }

    fn on_deadline(&mut self, cx: &mut ExchangeContext<'_>) {
        if let State::Missing { awaited } = self.state {
            awaited.give_up(cx);
            // It may have come otherwise than by an upload.
            self.waited = true;
            self.open(Otherwise::Nothing, cx);
        }
    }

    fn on_shut_down(&mut self, cx: &mut ExchangeContext<'_>) {
        match self.state {
            State::Missing { awaited } => {
                awaited.give_up(cx);
                self.state = State::Answered { file: None };
                refuse_stopping(cx);
            }
            State::Holding { .. } => self.go_on(cx),
            State::Looking { .. }
            | State::Opening { .. }
            | State::Describing { .. }
            | State::Encoding { .. }
            | State::Streaming { .. }
            | State::Answered { .. }
            | State::Gone { .. } => {}
        }
    }

    fn waiting(&self) -> Option<Waiting> {
        match &self.state {
            State::Missing { .. } => Some(Waiting::Blocked),
            State::Holding { .. } | State::Streaming { starved: true, .. } => Some(Waiting::Idle),
            State::Looking { .. }
            | State::Opening { .. }
            | State::Describing { .. }
            | State::Encoding { .. }
            | State::Streaming { starved: false, .. }
            | State::Answered { .. }
            | State::Gone { .. } => None,
        }
    }

    fn is_busy(&self) -> bool {
        matches!(self.state, State::Gone { .. })
    }

    fn deadline(&self) -> Option<(Instant, Timer)> {
        self.until().map(|at| (at, Timer::Missing))
    }

    fn on_abort(&mut self, cx: &mut ExchangeContext<'_>) {
        self.release(cx);
    }

    fn on_sent(&mut self, cx: &mut ExchangeContext<'_>) {
        self.release(cx);
    }
}

impl Awaited {
    /// The upload may have begun just now, and its file be open.
    fn give_up(self, cx: &mut ExchangeContext<'_>) {
        cx.effect(LiveEffect::Unfollow { op: self.op });
        cx.effect(FsEffect::Close { file: self.file });
    }
}

impl Followed {
    fn give_up(self, cx: &mut ExchangeContext<'_>) {
        cx.effect(LiveEffect::Unfollow { op: self.op });
        cx.effect(FsEffect::Close { file: self.file });
    }
}

impl Otherwise {
    fn give_up(self, cx: &mut ExchangeContext<'_>) {
        match self {
            Self::Nothing => {}
            Self::Growing(followed) => followed.give_up(cx),
            Self::Awaited(awaited) => awaited.give_up(cx),
        }
    }
}
