//! One request, one answer: targets, conditions, ranges, media types, uploads. Knows no bytes on a
//! wire: what an exchange wants said goes out as an answer, what it wants done as an [`Effect`].

pub mod clock;
pub mod listing;

mod admission;
mod answer;
mod cast;
mod decoder;
mod delete;
mod deliver;
mod get;
mod hooked;
mod index;
mod list;
mod listen;
mod metadata;
mod origin;
mod own;
mod refusal;
mod squeezer;
mod upload;

use std::{collections::VecDeque, net::IpAddr, sync::Arc, time::Instant};

use bytes::Bytes;

pub(crate) use answer::{Answer, refuse_peer, start};

use crate::{
    effect::{Done, Effect, ForExchange},
    fs::{FileId, FsError},
    http::{HeaderList, ResponseHead, Status},
    id::{Ids, OpId},
    live::Growth,
    semantics::media,
    site::{Cors, Site, cors},
    time::{Now, Timer},
};

/// What an exchange may use while it is asked to go on.
pub(crate) struct Cx<'a> {
    pub(crate) site: &'a Site,
    pub(crate) now: Now,
    pub(crate) ids: &'a mut Ids,
    pub(crate) effects: &'a mut VecDeque<Effect>,
    pub(crate) answers: &'a mut VecDeque<Answer>,
    pub(crate) about: &'a mut About,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// What the site offers.
    #[default]
    Public,
    /// Counters and health.
    Admin,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its address; `None`: not known.
    pub address: Option<IpAddr>,
    /// The connection is encrypted.
    pub tls: bool,
    /// Whom it has proven to be, by a certificate. Rules know it as a user of that name.
    pub user: Option<Arc<str>>,
}

impl Client {
    /// True if nobody else can read what it sends: a password, say.
    pub fn is_confidential(&self) -> bool {
        self.tls || self.address.is_some_and(|address| address.to_canonical().is_loopback())
    }
}

/// What is known of the request under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) client: Client,
    /// It comes from a page, which its `Origin` field tells.
    pub(crate) cross_origin: bool,
    /// Who was let in by name: whose password was right, or certificate.
    pub(crate) user: Option<Arc<str>>,
    /// By what name a hook knows it, if one was asked.
    pub(crate) hook: Option<OpId>,
    /// Its body is broken, or a hook takes it and does not have all of it.
    pub(crate) unfinished: bool,
    /// Fields that the hook adds to its answer.
    pub(crate) fields: Option<HeaderList>,
    /// The hook wants the connection to close.
    pub(crate) close: bool,
    /// The hook says when the answer's body goes out.
    pub(crate) throttled: bool,
    /// The peer sends no more; it may be gone.
    pub(crate) half_closed: bool,
    /// Somebody whom the rules let write there may have uploaded what is read.
    pub(crate) uploadable: bool,
    /// The server is going down: nothing is waited for that may not come.
    pub(crate) stopping: bool,
}

/// What an answer waits for that only others can bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Something that there is no sign of yet.
    Blocked,
    /// The next piece of what is under way.
    Idle,
}

impl Cx<'_> {
    fn op(&mut self) -> OpId {
        self.ids.op()
    }

    fn file(&mut self) -> FileId {
        self.ids.file()
    }

    fn effect(&mut self, effect: impl ForExchange) {
        let effect = effect.of(self.ids.exchange);
        self.effects.push_back(effect);
    }

    fn answer(&mut self, mut answer: Answer) {
        if let Answer::Whole(head, _)
        | Answer::Last(head, _)
        | Answer::Stream(head, _)
        | Answer::Endless(head) = &mut answer
        {
            self.complete(head);
        }
        self.answers.push_back(answer);
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
            head.add("Cache-Control", answer::private(directives));
        } else {
            head.add("Cache-Control", directives);
        }
    }
}

/// A request that is being answered and needs the outside for it.
#[derive(Debug)]
pub(crate) enum Task {
    /// GET and HEAD.
    Get(Box<get::Get>),
    /// PUT, POST and PATCH.
    Upload(Box<upload::Upload>),
    /// DELETE.
    Delete(Box<delete::Delete>),
    /// May it?
    Admission(Box<admission::Admission>),
    /// What does the hook say?
    Hooked(Box<hooked::Hooked>),
    /// GET and HEAD of a directory.
    List(Box<list::List>),
    /// The same, where it may hold an index file.
    Index(Box<index::Index>),
    /// GET and HEAD of what may be a live resource.
    Listen(Box<listen::Listen>),
    /// A live resource that the client sends.
    Cast(Box<cast::Cast>),
    /// What is played by a live resource.
    Metadata(metadata::Metadata),
    /// PUT and POST of what is handed on.
    Deliver(Box<deliver::Deliver>),
    /// GET and HEAD on the admin address.
    Admin(own::Admin),
}

impl Task {
    /// A piece of the request's body.
    pub(crate) fn on_data(&mut self, data: Bytes, cx: &mut Cx<'_>) {
        match self {
            Self::Upload(upload) => upload.on_data(data, cx),
            Self::Delete(delete) => delete.on_data(&data, cx),
            Self::Cast(cast) => cast.on_data(data, cx),
            Self::Deliver(deliver) => deliver.on_data(data, cx),
            Self::Metadata(metadata) => metadata.on_data(&data, cx),
            Self::Get(_)
            | Self::Admission(_)
            | Self::Hooked(_)
            | Self::List(_)
            | Self::Listen(_)
            | Self::Index(_)
            | Self::Admin(_) => {}
        }
    }

    /// The request's body is whole.
    pub(crate) fn on_end(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Upload(upload) => upload.on_end(cx),
            Self::Delete(delete) => delete.on_end(cx),
            Self::Admission(admission) => admission.on_end(),
            Self::Hooked(hooked) => hooked.on_end(),
            Self::Cast(cast) => cast.on_end(cx),
            Self::Deliver(deliver) => deliver.on_end(cx),
            Self::Metadata(metadata) => {
                if let Some(task) = metadata.on_end(cx) {
                    *self = task;
                }
            }
            Self::Get(_) | Self::List(_) | Self::Index(_) | Self::Listen(_) | Self::Admin(_) => {}
        }
    }

    /// An effect is answered.
    pub(crate) fn on_done(&mut self, op: OpId, result: Result<Done, FsError>, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.on_done(op, result, cx),
            Self::Upload(upload) => upload.on_done(op, result, cx),
            Self::Delete(delete) => delete.on_done(op, result, cx),
            Self::Admission(admission) => {
                if let Some(task) = admission.on_done(op, result, cx) {
                    *self = task;
                }
            }
            Self::Hooked(hooked) => {
                if let Some(task) = hooked.on_done(op, result, cx) {
                    *self = task;
                }
            }
            Self::List(list) => list.on_done(op, result, cx),
            Self::Index(index) => {
                if let Some(task) = index.on_done(op, result, cx) {
                    *self = task;
                }
            }
            Self::Listen(listen) => {
                if let Some(task) = listen.on_done(op, result, cx) {
                    *self = task;
                }
            }
            Self::Cast(cast) => cast.on_done(op, result, cx),
            Self::Deliver(deliver) => {
                if let Some(task) = deliver.on_done(op, result, cx) {
                    *self = task;
                }
            }
            Self::Metadata(metadata) => metadata.on_done(op, result, cx),
            Self::Admin(admin) => admin.on_done(op, result, cx),
        }
    }

    /// A followed file went on.
    pub(crate) fn on_growth(&mut self, op: OpId, growth: Growth, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.on_growth(op, growth, cx),
            Self::Upload(_)
            | Self::Delete(_)
            | Self::Admission(_)
            | Self::Hooked(_)
            | Self::List(_)
            | Self::Listen(_)
            | Self::Cast(_)
            | Self::Deliver(_)
            | Self::Index(_)
            | Self::Metadata(_)
            | Self::Admin(_) => {}
        }
    }

    /// All that was pushed is sent.
    pub(crate) fn on_writable(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.on_writable(cx),
            Self::List(list) => list.on_writable(cx),
            Self::Listen(listen) => listen.on_writable(cx),
            Self::Hooked(hooked) => hooked.on_writable(cx),
            Self::Upload(_)
            | Self::Delete(_)
            | Self::Admission(_)
            | Self::Cast(_)
            | Self::Deliver(_)
            | Self::Index(_)
            | Self::Metadata(_)
            | Self::Admin(_) => {}
        }
    }

    /// The time that [`deadline`](Self::deadline) named has come.
    pub(crate) fn on_deadline(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.on_deadline(cx),
            Self::Deliver(deliver) => deliver.on_deadline(cx),
            Self::Admission(admission) => {
                if let Some(task) = admission.on_deadline(cx) {
                    *self = task;
                }
            }
            Self::Hooked(hooked) => hooked.on_deadline(cx),
            Self::Listen(listen) => listen.on_deadline(cx),
            Self::Upload(_)
            | Self::Delete(_)
            | Self::List(_)
            | Self::Cast(_)
            | Self::Index(_)
            | Self::Metadata(_)
            | Self::Admin(_) => {}
        }
    }

    /// The body cannot be had, or the answer cannot be delivered.
    pub(crate) fn on_abort(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.release(cx),
            Self::Upload(upload) => upload.give_up(cx),
            Self::Admission(admission) => admission.give_up(),
            Self::Hooked(hooked) => hooked.give_up(),
            Self::List(list) => list.give_up(),
            Self::Listen(listen) => listen.leave(cx),
            Self::Cast(cast) => cast.give_up(cx),
            Self::Deliver(deliver) => deliver.give_up(cx),
            Self::Delete(_) | Self::Index(_) | Self::Metadata(_) | Self::Admin(_) => {}
        }
    }

    /// What it waits for, if it waits for others and not for its peer. A request that changes
    /// something is obeyed in any case.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::Get(get) => get.waiting(),
            Self::Listen(listen) => listen.waiting(),
            Self::Hooked(hooked) => hooked.waiting(),
            Self::Upload(_)
            | Self::Delete(_)
            | Self::Admission(_)
            | Self::List(_)
            | Self::Cast(_)
            | Self::Deliver(_)
            | Self::Index(_)
            | Self::Metadata(_)
            | Self::Admin(_) => None,
        }
    }

    /// The server is going down: what would go on for ever is over, and what is not there yet is
    /// not waited for.
    pub(crate) fn on_shut_down(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Cast(cast) => cast.on_shut_down(cx),
            Self::Get(get) => get.on_shut_down(cx),
            Self::Deliver(deliver) => deliver.on_shut_down(cx),
            Self::Upload(_)
            | Self::Delete(_)
            | Self::Admission(_)
            | Self::Hooked(_)
            | Self::List(_)
            | Self::Listen(_)
            | Self::Index(_)
            | Self::Metadata(_)
            | Self::Admin(_) => {}
        }
    }

    /// The answer is sent: gives back what is held.
    pub(crate) fn on_sent(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.release(cx),
            Self::Listen(listen) => listen.leave(cx),
            Self::Cast(cast) => cast.give_up(cx),
            Self::Upload(_)
            | Self::Delete(_)
            | Self::Admission(_)
            | Self::Hooked(_)
            | Self::List(_)
            | Self::Deliver(_)
            | Self::Index(_)
            | Self::Metadata(_)
            | Self::Admin(_) => {}
        }
    }

    /// When it wants to be asked by [`on_deadline`](Self::on_deadline).
    pub(crate) fn deadline(&self) -> Option<(Instant, Timer)> {
        match self {
            Self::Get(get) => get.deadline().map(|at| (at, Timer::Missing)),
            Self::Admission(admission) => admission.deadline().map(|at| (at, Timer::Penalty)),
            Self::Deliver(deliver) => deliver.deadline(),
            Self::Hooked(hooked) => hooked.deadline(),
            Self::Listen(listen) => listen.deadline().map(|at| (at, Timer::Missing)),
            Self::Upload(_)
            | Self::Delete(_)
            | Self::List(_)
            | Self::Cast(_)
            | Self::Index(_)
            | Self::Metadata(_)
            | Self::Admin(_) => None,
        }
    }

    /// True while an effect is under way whose answer must not be lost: it opens a file, or changes
    /// one.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Get(get) => get.is_busy(),
            Self::Upload(upload) => upload.is_busy(),
            Self::Delete(_)
            | Self::Admission(_)
            | Self::Hooked(_)
            | Self::List(_)
            | Self::Listen(_)
            | Self::Cast(_)
            | Self::Deliver(_)
            | Self::Index(_)
            | Self::Metadata(_)
            | Self::Admin(_) => false,
        }
    }

    /// True if it goes on for as long as the peer is there.
    pub(crate) fn is_endless(&self) -> bool {
        match self {
            Self::Listen(listen) => listen.has_begun(),
            Self::Get(_)
            | Self::Upload(_)
            | Self::Delete(_)
            | Self::Admission(_)
            | Self::Hooked(_)
            | Self::List(_)
            | Self::Cast(_)
            | Self::Deliver(_)
            | Self::Index(_)
            | Self::Metadata(_)
            | Self::Admin(_) => false,
        }
    }
}
