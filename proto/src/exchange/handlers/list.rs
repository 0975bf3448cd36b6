//! GET and HEAD of a directory: its listing, in pieces, so that a large one delays no other client.

use std::path::Path;

use crate::exchange::{
    context::{ExchangeContext, Handler},
    error::{refuse, say},
    listing::{CONTENT_SECURITY_POLICY, Filter, Format, Listing},
    reply::{Reply, error_head, fs_status, head},
    squeezer::Squeezer,
};
use crate::{
    auth::Access,
    effect::{Done, FsEffect},
    fs::{Entries, Entry, FsError, Order, Place},
    http::{BodySize, Method, Part, RequestHead, Status},
    id::OpId,
    semantics::{
        coding::{self, Coding},
        target::Target,
    },
    site::Action,
};

/// ```text
///  Reading --> Sending --> Over
/// ```
#[derive(Debug)]
pub(crate) struct List {
    target: Target,
    format: Format,
    order: Order,
    filter: Filter,
    /// How it is compressed, if the client wants that.
    coding: Option<Coding>,
    /// HEAD.
    muted: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Reading { op: OpId },
    Sending(Box<Listing>, Option<Squeezer>),
    Over,
}

impl List {
    fn new(request: &RequestHead, target: Target, cx: &ExchangeContext<'_>) -> Self {
        let may_compress = cx.site.config.compress_max > 0;
        Self {
            filter: Filter::from_query(target.query.as_deref()),
            coding: coding::choose(&request.fields).filter(|_| may_compress),
            format: Format::negotiate(&request.fields),
            order: Order::from_query(target.query.as_deref()),
            muted: request.method == Method::Head,
            target,
            state: State::Over,
        }
    }

    /// A directory on disk.
    pub(in crate::exchange) fn of_directory(
        request: &RequestHead,
        target: Target,
        place: Place,
        cx: &mut ExchangeContext<'_>,
    ) -> Self {
        let mut list = Self::new(request, target, cx);
        let (op, order) = (cx.op(), list.order);
        let mounts = cx.site.mounts.below(&list.target.path);
        let most = cx.site.config.limits.listed;
        cx.effect(FsEffect::List { op, place, mounts, order, most });
        list.state = State::Reading { op };
        list
    }

    /// Nothing but the way to mounted directories.
    pub(in crate::exchange) fn of_mounts(
        request: &RequestHead,
        target: Target,
        names: Vec<String>,
        cx: &mut ExchangeContext<'_>,
    ) -> Self {
        let mut list = Self::new(request, target, cx);
        let mut entries: Entries = names.iter().map(|name| Entry::mount(name)).collect();
        entries.sort(list.order);
        list.begin(entries, false, cx);
        list
    }

    fn begin(&mut self, mut entries: Entries, truncated: bool, cx: &mut ExchangeContext<'_>) {
        self.filter.keep(&mut entries);
        let may_compress = cx.site.config.compress_max > 0;
        let head = head(cx.site, Status::OK)
            .field("Content-Type", self.format.media_type())
            .field("Cache-Control", "no-cache")
            .field("Vary", if may_compress { "Accept, Accept-Encoding" } else { "Accept" })
            .field("Content-Security-Policy", CONTENT_SECURITY_POLICY);
        let filter = std::mem::take(&mut self.filter);
        let path = &self.target.path;
        let mut listing = Listing::new(self.format, path, self.order, filter, entries, truncated);
        if listing.is_short() {
            let plain = listing.next().unwrap_or_default();
            let coded = self.coding.map(|coding| (coding, Squeezer::whole(coding, &plain)));
            let (head, body) = match coded {
                Some((coding, coded)) if coded.len() < plain.len() => {
                    (head.field("Content-Encoding", coding.token()), coded)
                }
                Some(_) | None => (head, plain),
            };
            return cx.reply(Reply::Whole(head, vec![Part::Bytes(body)]));
        }
        cx.reply(Reply::Stream(
            head.field_opt("Content-Encoding", self.coding.map(Coding::token)),
            BodySize::Unknown,
        ));
        if self.muted {
            return cx.reply(Reply::Finish);
        }
        self.state = State::Sending(Box::new(listing), self.coding.map(Squeezer::new));
    }
}

impl Handler for List {
    fn on_done(&mut self, done: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        match self.state {
            State::Reading { op } if op == done => self.state = State::Over,
            State::Reading { .. } | State::Sending(..) | State::Over => return,
        }
        match result {
            Ok(Done::Listed { mut entries, truncated }) => {
                // A link shows nothing of what the client may not read.
                let user =
                    cx.about.user.as_ref().or(cx.about.client.user.as_ref()).map(|user| &**user);
                let may_read = |real: &Path| {
                    let mounts = &cx.site.mounts;
                    let who = mounts.who(Action::Read, mounts.rule(real));
                    who.verdict(user, &cx.site.config.users) == Access::Allowed
                };
                entries.retain(|entry| entry.link.is_none_or(may_read));
                self.begin(entries, truncated, cx);
            }
            Ok(_) => refuse(cx, Status::INTERNAL_SERVER_ERROR, "the directory cannot be listed"),
            Err(FsError::NotRegular) => {
                refuse(cx, Status::NOT_FOUND, "a file's URL does not end in a slash");
            }
            Err(FsError::Exhausted) => {
                let head =
                    error_head(cx.site, Status::SERVICE_UNAVAILABLE).field("Retry-After", "1");
                say(cx, head, "too much is being listed");
            }
            Err(error) => refuse(cx, fs_status(error), &error.to_string()),
        }
    }

    fn on_writable(&mut self, cx: &mut ExchangeContext<'_>) {
        let State::Sending(listing, squeezer) = &mut self.state else { return };
        while let Some(piece) = listing.next() {
            let piece = match squeezer {
                Some(squeezer) => squeezer.push(&piece),
                None => piece,
            };
            // It may all be in the compressor still.
            if !piece.is_empty() {
                return cx.reply(Reply::Part(Part::Bytes(piece)));
            }
        }
        let last = squeezer.take().map(Squeezer::finish).filter(|last| !last.is_empty());
        self.state = State::Over;
        if let Some(last) = last {
            cx.reply(Reply::Part(Part::Bytes(last)));
        }
        cx.reply(Reply::Finish);
    }

    fn on_abort(&mut self, _cx: &mut ExchangeContext<'_>) {
        self.state = State::Over;
    }
}
