//! GET and HEAD of a live resource: from where a listener can begin until it is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::exchange::{
    about::Waiting,
    context::{ExchangeContext, Handler, Next},
    error::refuse,
    reply::{Reply, head},
    request::Request,
};
use crate::{
    effect::{Done, LiveEffect},
    fs::FsError,
    http::{BodySize, Method, Part, ResponseHead, Status},
    id::OpId,
    live::{
        Description, News,
        icy::{self, Icy},
    },
    semantics::media,
    time::Timer,
};

/// How long a head is held back for what the first packets tell.
const OPENING: Duration = Duration::from_secs(2);

/// ```text
///  Looking --(not live)--> the task of what is stored
///     |
///     +--(the input waits for this listener)--> Opening
///     |                                            |
///     +--> Sending <-------------------------------+
///             |   \<--> Waiting
///             \------------\-------> Over
/// ```
#[derive(Debug)]
pub(crate) struct Listen {
    /// The effect that listens.
    live: OpId,
    icy: Option<Icy>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Is there a live resource of that path?
    Looking {
        request: Request,
    },
    /// The first packets, which tell what kind of sound it is, are waited for before the head is
    /// sent.
    Opening {
        op: OpId,
        description: Arc<Description>,
        until: Instant,
    },
    /// What there was is being sent.
    Sending,
    /// More is waited for.
    Waiting {
        op: OpId,
    },
    Over,
}

impl Listen {
    pub(in crate::exchange) fn start(request: Request, cx: &mut ExchangeContext<'_>) -> Self {
        let live = cx.op();
        cx.effect(LiveEffect::Listen { op: live, path: request.target.path.clone() });
        Self { live, icy: None, state: State::Looking { request } }
    }

    /// True once there is something to listen to.
    pub(in crate::exchange) fn has_begun(&self) -> bool {
        !matches!(self.state, State::Looking { .. })
    }

    /// An effect is answered; the task that takes its place, if there is no such resource.
    fn advance(
        &mut self,
        done: OpId,
        result: Result<Done, FsError>,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Next> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Looking { request } if self.live == done => match result {
                Ok(Done::Live { description, held }) => {
                    self.begin(&request, description, held, cx);
                }
                Ok(_) => return Some(Next::NotLive(request)),
                Err(_) => refuse(cx, Status::INTERNAL_SERVER_ERROR, "the live resource failed"),
            },
            State::Opening { op, mut description, .. } if op == done => {
                if let Ok(Done::News(News::Packets { audio: Some(audio), .. })) = result {
                    Arc::make_mut(&mut description).audio = Some(audio);
                }
                let head = self.head(&description, cx);
                cx.reply(Reply::Stream(head, BodySize::Unknown));
                self.go_on(result, cx);
            }
            State::Waiting { op } if op == done => self.go_on(result, cx),
            other @ (State::Looking { .. }
            | State::Opening { .. }
            | State::Sending
            | State::Waiting { .. }
            | State::Over) => self.state = other,
        }
        None
    }

    fn begin(
        &mut self,
        request: &Request,
        description: Arc<Description>,
        held: bool,
        cx: &mut ExchangeContext<'_>,
    ) {
        // A source client may have sent it, whatever the path leads to otherwise.
        cx.about.uploadable = cx.site.mounts.has_rules();
        let tells = cx.site.config.icy && has_metadata(&description.media_type);
        self.icy = (tells && Icy::is_wanted(&request.head.fields)).then(Icy::default);
        let is_head = request.head.method == Method::Head;
        if tells && held && !is_head && description.audio.is_none() {
            let op = cx.op();
            cx.effect(LiveEffect::Take { op, live: self.live });
            self.state = State::Opening { op, description, until: cx.now.mono + OPENING };
            return;
        }
        let head = self.head(&description, cx);
        cx.reply(Reply::Stream(head, BodySize::Unknown));
        if is_head {
            cx.effect(LiveEffect::Leave { live: self.live });
            return cx.reply(Reply::Finish);
        }
        self.state = State::Sending;
    }

    fn head(&self, description: &Description, cx: &ExchangeContext<'_>) -> ResponseHead {
        let media_type = Some(&*description.media_type).filter(|it| !it.is_empty());
        let mut head = head(cx.site, Status::OK)
            .field("Content-Type", media_type.unwrap_or(media::UNKNOWN))
            .field_opt(
                "Cache-Control",
                cx.site.config.cache_control.is_none().then_some("no-store"),
            )
            .field("Accept-Ranges", "none");
        if cx.site.config.icy {
            head.fields.extend(&description.header_fields());
        }
        if self.icy.is_some() {
            head.add("icy-metaint", icy::INTERVAL.to_string());
        }
        head
    }

    fn until(&self) -> Option<Instant> {
        match self.state {
            State::Opening { until, .. } => Some(until),
            State::Looking { .. } | State::Sending | State::Waiting { .. } | State::Over => None,
        }
    }

    fn go_on(&mut self, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        match result {
            Ok(Done::News(News::Packets { data, title, .. })) => {
                let data = match &mut self.icy {
                    Some(icy) => icy.interleave(data, title.as_ref()),
                    None => data,
                };
                for bytes in data {
                    cx.reply(Reply::Part(Part::Bytes(bytes)));
                }
                self.state = State::Sending;
            }
            Ok(Done::News(News::Over { complete: true })) => cx.reply(Reply::Finish),
            Ok(_) | Err(_) => cx.reply(Reply::Abort),
        }
    }

    /// The peer is gone, or has got all.
    fn leave(&mut self, cx: &mut ExchangeContext<'_>) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Looking { .. }
            | State::Opening { .. }
            | State::Sending
            | State::Waiting { .. } => {
                cx.effect(LiveEffect::Leave { live: self.live });
            }
            State::Over => {}
        }
    }
}

impl Handler for Listen {
    fn on_deadline(&mut self, cx: &mut ExchangeContext<'_>) {
        if let State::Opening { op, description, .. } = &self.state {
            let (op, head) = (*op, self.head(description, cx));
            cx.reply(Reply::Stream(head, BodySize::Unknown));
            self.state = State::Waiting { op };
        }
    }

    fn on_writable(&mut self, cx: &mut ExchangeContext<'_>) {
        if let State::Sending = self.state {
            let op = cx.op();
            cx.effect(LiveEffect::Take { op, live: self.live });
            self.state = State::Waiting { op };
        }
    }

    fn waiting(&self) -> Option<Waiting> {
        matches!(self.state, State::Opening { .. } | State::Waiting { .. }).then_some(Waiting::Idle)
    }

    fn on_done(&mut self, op: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        let next = self.advance(op, result, cx);
        cx.hand_over(next);
    }

    fn deadline(&self) -> Option<(Instant, Timer)> {
        self.until().map(|at| (at, Timer::Missing))
    }

    fn on_abort(&mut self, cx: &mut ExchangeContext<'_>) {
        self.leave(cx);
    }

    fn on_sent(&mut self, cx: &mut ExchangeContext<'_>) {
        self.leave(cx);
    }

    fn is_endless(&self) -> bool {
        self.has_begun()
    }
}

/// Streams in which players look for metadata: those that are nothing but frames.
fn has_metadata(media_type: &str) -> bool {
    matches!(media_type, "audio/mpeg" | "audio/aac" | "audio/aacp")
}
