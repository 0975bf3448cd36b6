//! The seam between a connection and what handles its requests. The types name each other, so they
//! share a module.

use std::{collections::VecDeque, fmt, time::Instant};

use bytes::Bytes;

use super::{
    about::{About, Waiting},
    clock,
    refusal::Refusal,
    reply::{self, Reply},
    request::Request,
};
use crate::{
    effect::{Done, Effect, ForExchange},
    fs::{FileId, FsError, Place},
    hook::HookDecision,
    http::{RequestHead, ResponseHead, Status},
    id::{Ids, OpId},
    live::{Growth, Text},
    semantics::{media, target::Target},
    site::{Cors, Site, cors},
    time::{Now, Timer},
};

/// What a handler may use while it handles an event.
pub(crate) struct ExchangeContext<'a> {
    pub(crate) site: &'a Site,
    pub(crate) now: Now,
    pub(crate) ids: &'a mut Ids,
    pub(crate) effects: &'a mut VecDeque<Effect>,
    pub(crate) replies: &'a mut VecDeque<Reply>,
    pub(crate) about: &'a mut About,
    /// What goes on with the request.
    pub(crate) next: Option<Next>,
}

impl ExchangeContext<'_> {
    /// Lets the next stage go on with the request, if there is one.
    pub(super) fn hand_over(&mut self, next: Option<Next>) {
        self.next = next;
    }

    pub(super) fn op(&mut self) -> OpId {
        self.ids.op()
    }

    pub(super) fn file(&mut self) -> FileId {
        self.ids.file()
    }

    pub(super) fn effect(&mut self, effect: impl ForExchange) {
        let effect = effect.of(self.ids.exchange);
        self.effects.push_back(effect);
    }

    pub(super) fn reply(&mut self, mut reply: Reply) {
        if let Reply::Whole(head, _)
        | Reply::Last(head, _)
        | Reply::Stream(head, _)
        | Reply::Endless(head) = &mut reply
        {
            self.complete(head);
        }
        self.replies.push_back(reply);
    }

    /// Adds what every response carries, errors too: what protects browsers, and what the operator
    /// wants.
    fn complete(&self, head: &mut ResponseHead) {
        let config = &self.site.config;
        head.add("X-Content-Type-Options", "nosniff");
        self.control_caches(head);
        // A listing is the server's own page, and has a policy of its own.
        let is_uploaded =
            self.about.uploadable && head.fields.get("content-security-policy").is_none();
        if config.server_utc {
            head.add("Server-UTC", clock::milliseconds(self.now.wall).to_string());
        }
        if config.cors == Cors::Auto {
            // Without it, a cache would give the answer to one request to another that has an
            // Origin.
            head.fields.push_member("Vary", "Origin");
        }
        if config.cors.applies(self.about.cross_origin) {
            for (name, value) in cors::FIELDS {
                head.add(name, value);
            }
        }
        if !config.extra_headers.is_empty() {
            head.fields.retain(|name| !self.site.headers.replaces(name));
            head.fields.extend(&self.site.headers);
        }
        if let Some(fields) = &self.about.fields {
            head.fields.retain(|name| !fields.replaces(name));
            head.fields.extend(fields);
        }
        // An uploaded page must not act with the rights of its visitors.
        if is_uploaded && head.fields.get("content-type").is_some_and(media::is_document) {
            head.add("Content-Security-Policy", "sandbox");
        }
    }

    /// Adds the operator's `Cache-Control`. A response that must not be stored at all keeps its
    /// own.
    fn control_caches(&self, head: &mut ResponseHead) {
        let Some(directives) = &self.site.config.cache_control else { return };
        if head.fields.get("cache-control") == Some(b"no-store") {
            return;
        }
        head.fields.retain(|name| !name.eq_ignore_ascii_case("cache-control"));
        if !self.site.config.sends_validators() {
            return;
        }
        // What a password was needed for is not for caches that others share (RFC 9111 §3.5).
        if self.about.user.is_some() || head.status() == Status::UNAUTHORIZED {
            head.add("Cache-Control", reply::private(directives));
        } else {
            head.add("Cache-Control", directives);
        }
    }
}

/// The stages that a handler leads to; the pipeline knows their handlers.
#[derive(Debug)]
pub(crate) enum Next {
    /// A handler that is made already.
    Handler(Box<dyn Handler>),
    /// The rights of the request are known.
    Authorized {
        request: Request,
        /// Why the rights refuse the request, if they do.
        refusal: Option<Refusal>,
        /// The request's body is whole.
        ended: bool,
    },
    /// The hook leaves the request to the server.
    Passed { request: Request, refusal: Option<Refusal>, ended: bool },
    /// The hook takes the body of the request.
    Taken { hook: OpId, head: Box<RequestHead>, ended: bool },
    /// The hook, which has the body of the request, decides.
    Concluded { hook: OpId, verdict: HookDecision },
    /// The title of a live resource.
    Title { head: Box<RequestHead>, target: Target, title: Text },
    /// No live resource has that path.
    NotLive(Request),
    /// The file at a place.
    File { head: Box<RequestHead>, target: Target, place: Place },
    /// A directory without an index file.
    Directory { head: Box<RequestHead>, target: Target, place: Place },
}

/// A stage of a request: it gets the events of the request until the response is sent, or until it
/// [hands over](ExchangeContext::hand_over) to the next stage. An event for which a handler has no
/// method passes without effect.
pub(crate) trait Handler: fmt::Debug + Send {
    /// A piece of the request's body.
    fn on_data(&mut self, _data: Bytes, _cx: &mut ExchangeContext<'_>) {}

    /// The request's body is whole.
    fn on_end(&mut self, _cx: &mut ExchangeContext<'_>) {}

    /// An effect is done.
    fn on_done(&mut self, op: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>);

    /// A followed file grew, or ended.
    fn on_growth(&mut self, _op: OpId, _growth: Growth, _cx: &mut ExchangeContext<'_>) {}

    /// All parts of the body so far are sent.
    fn on_writable(&mut self, _cx: &mut ExchangeContext<'_>) {}

    /// The time that [`deadline`](Self::deadline) names has come.
    fn on_deadline(&mut self, _cx: &mut ExchangeContext<'_>) {}

    /// The rest of the request does not come, or the response cannot be sent.
    fn on_abort(&mut self, _cx: &mut ExchangeContext<'_>) {}

    /// The server shuts down: an endless response ends, and nothing that may never come is waited
    /// for.
    fn on_shut_down(&mut self, _cx: &mut ExchangeContext<'_>) {}

    /// The response is sent: gives back what is held.
    fn on_sent(&mut self, _cx: &mut ExchangeContext<'_>) {}

    /// What the response waits for, if others than the client delay it. A request that changes
    /// something waits for nothing in this sense: it is completed in any case.
    fn waiting(&self) -> Option<Waiting> {
        None
    }

    /// When [`on_deadline`](Self::on_deadline) is due.
    fn deadline(&self) -> Option<(Instant, Timer)> {
        None
    }

    /// True while the result of an effect must not be lost: the effect opens a file, or changes
    /// one.
    fn is_busy(&self) -> bool {
        false
    }

    /// True if the response goes on for as long as the client is there.
    fn is_endless(&self) -> bool {
        false
    }
}
