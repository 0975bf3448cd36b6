//! A live resource that a client sends, as Icecast's source clients do: a body without end, for
//! everybody who asks for its path.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::exchange::{
    context::{ExchangeContext, Handler},
    decoder,
    error::refuse_last,
    reply::{Reply, head},
    request::Request,
};
use crate::{
    effect::{Done, LiveEffect},
    fs::FsError,
    http::{BodySize, HeaderList, Method, RequestHead, Status},
    id::OpId,
    live::{Description, Feed, FeedStep, framing::Format},
    semantics::media,
};

/// Bytes that may come before the ones before are with the listeners.
const WINDOW: u64 = 64 << 10;

/// ```text
///  Beginning --> Receiving <--> Passing
///      |             \-------------\--> Over
///      +--> refused
/// ```
#[derive(Debug)]
pub(crate) struct IcecastSource {
    /// The effect that puts it on air.
    live: OpId,
    format: Option<Format>,
    /// `None` before the first bytes, where the format is told by these.
    feed: Option<Feed>,
    /// The answer waits for the end.
    answers_late: bool,
    /// What came while other bytes were passed on.
    waiting: VecDeque<Bytes>,
    ended: bool,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Beginning,
    Receiving,
    Passing { op: OpId },
    Over,
}

/// True for the request of a source client: SOURCE, or PUT without any length; or such a request
/// with an empty body, by which libshout finds out whether it may send.
pub(in crate::exchange) fn is_source(head: &RequestHead) -> bool {
    let is_bare = matches!(head.body, BodySize::Empty | BodySize::Known(0));
    head.method == Method::Source || head.method == Method::Put && is_bare
}

impl IcecastSource {
    pub(in crate::exchange) fn start(
        request: &Request,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Box<dyn Handler>> {
        let Request { head: request, target, .. } = request;
        let is_probe = request.body == BodySize::Known(0);
        if request.body != BodySize::Empty && !is_probe {
            refuse_last(cx, Status::BAD_REQUEST, "a source's stream ends with its connection");
            return None;
        }
        if target.directory || target.path.is_root() {
            refuse_last(cx, Status::CONFLICT, "a live resource's URL does not end in a slash");
            return None;
        }
        if is_probe {
            let head = head(cx.site, Status::OK);
            cx.reply(Reply::Whole(head, Vec::new()));
            return None;
        }
        if !matches!(decoder::content_coding(&request.fields), Ok(None)) {
            decoder::refuse_coding(decoder::NONE_ACCEPTED, cx);
            return None;
        }
        let description = description(&request.fields, target.path.as_str());
        let extension = target.path.name().rsplit_once('.').map(|(_, extension)| extension);
        let format = Format::from_media_type(&description.media_type)
            .or_else(|| Format::from_extension(&extension?.to_ascii_lowercase()));
        let live = cx.op();
        cx.effect(LiveEffect::Publish { op: live, path: target.path.clone(), description });
        Some(Box::new(Self {
            live,
            format,
            feed: None,
            answers_late: request.expect_continue,
            waiting: VecDeque::new(),
            ended: false,
            state: State::Beginning,
        }))
    }

    /// Passes on what there is.
    fn go_on(&mut self, cx: &mut ExchangeContext<'_>) {
        if self.state != State::Receiving {
            return;
        }
        loop {
            if let Some(feed) = &mut self.feed {
                match feed.poll(cx.now.mono) {
                    Ok(FeedStep::Group(group)) => {
                        let op = cx.op();
                        let audio = feed.framer().info();
                        cx.effect(LiveEffect::PublishGroup { op, live: self.live, group, audio });
                        self.state = State::Passing { op };
                        return;
                    }
                    Ok(FeedStep::Data | FeedStep::Until(_)) => {}
                    Ok(FeedStep::Over { .. }) => return self.finish(cx),
                    Err(why) => {
                        self.leave(false, cx);
                        return if self.answers_late {
                            refuse_last(cx, Status::UNSUPPORTED_MEDIA_TYPE, &why.to_string());
                        } else {
                            cx.reply(Reply::Abort);
                        };
                    }
                }
            }
            match self.waiting.pop_front() {
                Some(data) => {
                    let format = || self.format.or_else(|| Format::sniff(&data));
                    let feed = self
                        .feed
                        .get_or_insert_with(|| Feed::new(format().unwrap_or(Format::Raw), false));
                    feed.handle_data(data);
                }
                None if self.ended => match &mut self.feed {
                    Some(feed) => feed.handle_end(),
                    None => return self.finish(cx),
                },
                None => return cx.reply(Reply::Grant(WINDOW)),
            }
        }
    }

    fn finish(&mut self, cx: &mut ExchangeContext<'_>) {
        self.leave(true, cx);
        if self.answers_late {
            cx.reply(Reply::Last(head(cx.site, Status::OK), Vec::new()));
        } else {
            cx.reply(Reply::Finish);
        }
    }

    fn give_up(&mut self, cx: &mut ExchangeContext<'_>) {
        if self.state != State::Over {
            self.leave(false, cx);
        }
    }

    fn leave(&mut self, complete: bool, cx: &mut ExchangeContext<'_>) {
        self.state = State::Over;
        cx.effect(LiveEffect::Unpublish { live: self.live, complete });
    }
}

impl Handler for IcecastSource {
    fn on_data(&mut self, data: Bytes, cx: &mut ExchangeContext<'_>) {
        self.waiting.push_back(data);
        self.go_on(cx);
    }

    fn on_end(&mut self, cx: &mut ExchangeContext<'_>) {
        self.ended = true;
        self.go_on(cx);
    }

    fn on_done(&mut self, done: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        match self.state {
            State::Beginning if self.live == done => {
                if result.is_err() {
                    self.state = State::Over;
                    return refuse_last(
                        cx,
                        Status::CONFLICT,
                        "there is a live resource of that path",
                    );
                }
                cx.reply(Reply::TakeRest);
                // A client that waits for 100 gets it with the grant; others wait for 200.
                if !self.answers_late {
                    cx.reply(Reply::Endless(head(cx.site, Status::OK)));
                }
                self.state = State::Receiving;
                cx.reply(Reply::Grant(WINDOW));
            }
            State::Passing { op } if op == done => {
                self.state = State::Receiving;
                self.go_on(cx);
            }
            State::Beginning | State::Receiving | State::Passing { .. } | State::Over => {}
        }
    }

    fn on_shut_down(&mut self, cx: &mut ExchangeContext<'_>) {
        match self.state {
            State::Receiving | State::Passing { .. } => self.finish(cx),
            State::Beginning | State::Over => {}
        }
    }

    fn on_abort(&mut self, cx: &mut ExchangeContext<'_>) {
        self.give_up(cx);
    }

    fn on_sent(&mut self, cx: &mut ExchangeContext<'_>) {
        self.give_up(cx);
    }
}

/// What a source client says of its stream.
fn description(fields: &HeaderList, path: &str) -> Description {
    let media_type = fields
        .get("content-type")
        .filter(|value| media::is_media_type(value) && !media::is_generic(value))
        .and_then(|value| std::str::from_utf8(value).ok());
    let media_type = media_type.or_else(|| media::media_type(path)).unwrap_or(media::UNKNOWN);
    let mut description = Description::new(media_type);
    for (name, value) in fields.iter() {
        let name = name.to_ascii_lowercase();
        let shown = match name.as_str() {
            "ice-name" | "icy-name" => "ServiceName",
            "ice-public" => "icy-pub",
            "ice-bitrate" => "icy-br",
            "ice-genre" => "icy-genre",
            "ice-description" => "icy-description",
            "ice-url" => "icy-url",
            "icy-metadata" => continue,
            other if other.starts_with("ice-") || other.starts_with("icy-") => other,
            _ => continue,
        };
        if let Ok(with) = description.clone().property(shown, value) {
            description = with;
        }
    }
    description
}
