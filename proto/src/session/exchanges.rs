//! One exchange of a session: what serves it, what may still be said, and what is reported of it.

use std::{sync::Arc, time::Instant};

use crate::{
    effect::{Effect, HookEffect},
    error::PeerError,
    exchange::{About, Handler},
    http::{Method, Status},
    id::{ExchangeId, Ids},
    pacing::Pacing,
    report::{Report, RequestSummary},
    site::Site,
    time::{Now, Timer},
    wire::{BodyWriter, Responder},
};

/// A request, and its response.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) ids: Ids,
    /// What is served to it, whatever the site of the connection is meanwhile.
    pub(super) site: Arc<Site>,
    pub(super) turn: Turn,
    pub(super) handler: Option<Box<dyn Handler>>,
    pub(super) about: About,
    /// Where the response is throttled.
    pub(super) pacing: Option<Box<Pacing>>,
    pub(super) began: Instant,
    pub(super) method: Option<Method>,
    pub(super) status: Option<Status>,
    /// Bytes of the request's body.
    pub(super) received: u64,
    pub(super) why: Option<PeerError>,
    pub(super) asked: Option<Arc<RequestSummary>>,
    /// The client got its response, or will get none. What is left is an effect whose answer must
    /// not be lost, and this report.
    pub(super) over: Option<Box<Report>>,
}

/// What may still be said.
#[derive(Debug)]
pub(super) enum Turn {
    /// Everything.
    Due(Responder),
    /// More of the body.
    Live(BodyWriter),
    /// Nothing.
    Said,
}

impl Exchange {
    pub(super) fn new(responder: Responder, site: Arc<Site>, about: About, now: Now) -> Self {
        Self {
            ids: Ids::new(responder.id()),
            site,
            turn: Turn::Due(responder),
            handler: None,
            about,
            pacing: None,
            began: now.mono,
            method: None,
            status: None,
            received: 0,
            why: None,
            asked: None,
            over: None,
        }
    }

    pub(super) fn id(&self) -> ExchangeId {
        self.ids.exchange
    }

    /// True until its response is sent, or cannot be.
    pub(super) fn is_active(&self) -> bool {
        self.over.is_none()
    }

    /// True if it goes on for as long as the client is there.
    pub(super) fn is_endless(&self) -> bool {
        self.handler.as_ref().is_some_and(|handler| handler.is_endless())
    }

    /// When it is to go on, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        if !self.is_active() {
            return None;
        }
        let handler = self.handler.as_ref().and_then(|handler| handler.deadline());
        let pacing = self.pacing.as_ref().and_then(|pacing| pacing.deadline());
        handler.into_iter().chain(pacing.map(|at| (at, Timer::Pace))).min()
    }

    /// The response is sent, or cannot be; the hook is told.
    pub(super) fn retire(&mut self, sent: u64, complete: bool, now: Now) -> Option<Effect> {
        self.over = Some(Box::new(Report {
            method: self.method,
            status: self.status,
            received: self.received,
            sent,
            took: now.mono.saturating_duration_since(self.began),
            complete,
            why: self.why,
            user: self.about.user.take().or_else(|| self.about.client.user.take()),
            asked: self.asked.take(),
        }));
        let complete = complete && !self.about.unfinished;
        let hook = self.about.hook.take()?;
        Some(Effect::Hook(self.id(), HookEffect::Dismiss { hook, complete }))
    }

    /// True if nothing of it is left to be waited for.
    pub(super) fn is_done(&self) -> bool {
        self.over.is_some() && !self.handler.as_ref().is_some_and(|handler| handler.is_busy())
    }
}
