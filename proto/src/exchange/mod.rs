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
mod handler;
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

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

pub(crate) use answer::{Answer, refuse_peer, start};
pub(crate) use handler::Handler;

use crate::{
    effect::{Effect, ForExchange},
    fs::FileId,
    http::{HeaderList, ResponseHead, Status},
    id::{Ids, OpId},
    semantics::media,
    site::{Cors, Site, cors},
    time::Now,
};

/// What an exchange may use while it is asked to go on.
pub(crate) struct Cx<'a> {
    pub(crate) site: &'a Site,
    pub(crate) now: Now,
    pub(crate) ids: &'a mut Ids,
    pub(crate) effects: &'a mut VecDeque<Effect>,
    pub(crate) answers: &'a mut VecDeque<Answer>,
    pub(crate) about: &'a mut About,
    /// The handler that goes on with the request.
    pub(crate) next: Option<Box<dyn Handler>>,
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
    /// Lets another handler go on with the request, if there is one.
    fn hand_over(&mut self, next: Option<Box<dyn Handler>>) {
        self.next = next;
    }

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
