//! A server's side of one connection: the version of HTTP and the exchanges on it, joined. This is
//! what a runtime drives.

mod deadlines;
mod exchanges;
mod speaking;
mod summary;
mod wire;

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use self::{
    exchanges::{Exchange, Turn},
    wire::Wire,
};
use crate::{
    client::Client,
    effect::{ConnectionEffect, Done, Effect, LogEffect},
    error::PeerError,
    exchange::{self, About, Role},
    fs::{FileId, FsError},
    http::{Method, Transmit},
    http1,
    id::{ExchangeId, OpId},
    limits::Limits,
    live::Growth,
    report::RequestSummary,
    site::Site,
    step::{Closed, Step, Wait},
    time::Now,
    wire::{Event, Responder},
};

/// How long a connection on the admin address may rest, and its request head take.
const ADMIN_TIME: Duration = Duration::from_secs(5);

/// A connection to a server of a [`Site`]. Facts go in by `handle_*`, which cannot fail and may be
/// called in any number and order; [`poll`](Self::poll) tells what to do.
#[derive(Debug)]
pub struct Session {
    /// What the next request is served from.
    site: Arc<Site>,
    client: Client,
    role: Role,
    wire: Wire,
    effects: VecDeque<Effect>,
    inputs: VecDeque<Input>,
    /// What is under way.
    exchanges: Vec<Exchange>,
    /// Since when all of them only wait, at a client that sends no more.
    idle_since: Option<Instant>,
    /// Since when all of them only wait while the client's bytes are not read; or when its closing
    /// was looked for last.
    unread_since: Option<Instant>,
    /// A deadline for what others do was noticed late: until then they have their turn.
    turn: Option<Instant>,
    errors_in_a_row: u32,
    /// The peer sends no more.
    half_closed: bool,
    /// The server is going down.
    stopping: bool,
}

#[derive(Debug)]
enum Input {
    Done(OpId, Result<Done, FsError>),
    Growth(OpId, Growth),
    ShutDown,
}

impl Session {
    /// A fresh connection.
    pub fn new(site: Arc<Site>) -> Self {
        Self {
            wire: Wire::Http1(http1::Server::new(site.limits.clone())),
            site,
            client: Client::default(),
            role: Role::Public,
            effects: VecDeque::new(),
            inputs: VecDeque::new(),
            exchanges: Vec::new(),
            idle_since: None,
            unread_since: None,
            turn: None,
            errors_in_a_row: 0,
            half_closed: false,
            stopping: false,
        }
    }

    /// A connection beyond the number that is allowed: it is told so (503) and closed.
    pub fn overloaded(site: Arc<Site>) -> Self {
        let mut session = Self::new(site);
        session.wire.refuse(PeerError::Overloaded);
        session
    }

    /// A client that speaks plain HTTP where TLS is spoken: it is told so (400) in the clear, and
    /// the connection closed.
    pub fn unencrypted(site: Arc<Site>) -> Self {
        let mut session = Self::new(site);
        session.wire.refuse(PeerError::Malformed(
            "HTTPS is spoken here: write https:// in place of http://",
        ));
        session
    }

    /// A connection on the admin address: `/metrics`, `/healthz`, `/readyz`, and nothing of the
    /// site.
    pub fn admin(site: Arc<Site>) -> Self {
        let mut limits = Limits::clone(&site.limits);
        // Probes come and go; a silent client must not keep others out.
        limits.head_time = limits.head_time.min(ADMIN_TIME);
        limits.idle_time = Some(ADMIN_TIME);
        limits.other_methods = false;
        let mut session = Self::new(site);
        session.wire = Wire::Http1(http1::Server::new(Arc::new(limits)));
        session.role = Role::Admin;
        session
    }

    /// Tells who is at the other end. Without it, the peer counts as one whose passwords others can
    /// read.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// The client has proven who it is, by a certificate: from the next request on, rules know it
    /// as a user of that name.
    pub fn identify(&mut self, user: Arc<str>) {
        self.client.user = Some(user);
    }

    /// What this exchange is served from; of one that is over, what the next one will be served
    /// from. The roots of its effects are those of this site.
    pub fn site(&self, exchange: ExchangeId) -> &Arc<Site> {
        self.exchanges.iter().find(|it| it.id() == exchange).map_or(&self.site, |it| &it.site)
    }

    /// From the next request on, another site is served.
    pub fn renew(&mut self, site: Arc<Site>) {
        self.site = site;
    }

    /// Bytes were received.
    pub fn handle_data(&mut self, data: Bytes) {
        self.wire.handle_data(data);
    }

    /// The peer will send no more.
    pub fn handle_eof(&mut self) {
        self.wire.handle_eof();
        self.handle_closing();
    }

    /// The peer will send no more. What it sent before is not all received yet, because
    /// [`Wait::read`] is false.
    pub fn handle_closing(&mut self) {
        self.half_closed = true;
        for exchange in &mut self.exchanges {
            exchange.about.half_closed = true;
        }
    }

    /// `sent` bytes of what [`transmit`](Self::transmit) showed are with the socket.
    pub fn handle_sent(&mut self, sent: u64) {
        self.wire.handle_sent(sent);
    }

    /// What is to be sent next is being fetched from a disk, or not any more. Meanwhile it is not
    /// the peer that is waited for: no send deadline runs.
    pub fn handle_fetching(&mut self, fetching: bool) {
        self.wire.handle_fetching(fetching);
    }

    /// Nothing can be sent any more. What the peer sent before is still read and obeyed, above all
    /// its uploads.
    pub fn handle_unsendable(&mut self, why: io::ErrorKind) {
        self.wire.handle_unsendable(why);
    }

    /// The socket failed: nothing can be sent or received any more. What was received is still
    /// obeyed.
    pub fn handle_broken(&mut self, why: io::ErrorKind) {
        self.wire.handle_broken(why);
    }

    /// A file that is being sent cannot be read, or is shorter than it was: the response that sends
    /// it is cut short.
    pub fn handle_lost_file(&mut self, file: FileId, why: io::ErrorKind) {
        self.reset(file.exchange(), why);
    }

    /// Ends an exchange at once, in the middle of whatever is under way. A connection that has no
    /// other exchanges at the same time ends with it.
    pub fn reset(&mut self, exchange: ExchangeId, why: io::ErrorKind) {
        self.wire.reset(exchange, why);
    }

    /// Ends the connection at once, in the middle of whatever is under way: the server waits no
    /// longer, say.
    pub fn abort(&mut self, why: io::ErrorKind) {
        self.wire.abort_all(why);
    }

    /// An effect is done. Results that are not waited for are ignored.
    pub fn handle_done(&mut self, op: OpId, result: Result<Done, FsError>) {
        self.inputs.push_back(Input::Done(op, result));
    }

    /// The upload followed by `op` went on, or is over.
    pub fn handle_growth(&mut self, op: OpId, growth: Growth) {
        self.inputs.push_back(Input::Growth(op, growth));
    }

    /// The server is going down: what the peer has sent is the last that is taken. A request that
    /// waits for something that may not come is answered 503. A live resource that the peer sends
    /// is over.
    pub fn shut_down(&mut self) {
        self.wire.shut_down();
        self.inputs.push_back(Input::ShutDown);
    }

    /// What is ready to be sent, if anything is.
    pub fn transmit(&self) -> Option<Transmit<'_>> {
        self.wire.transmit()
    }

    /// True while a request is being answered.
    pub fn is_active(&self) -> bool {
        !self.exchanges.is_empty()
    }

    /// Goes on until something is to be done or nothing is left to do.
    pub fn poll(&mut self, now: Now) -> Step<Effect> {
        loop {
            if let Some(effect) = self.effects.pop_front() {
                return Step::Do(effect);
            }
            if let Some(input) = self.inputs.pop_front() {
                self.on_input(input, now);
                continue;
            }
            if self.attend(now) {
                continue;
            }
            match self.wire.poll(now) {
                Step::Do(event) => self.on_event(event, now),
                Step::Wait(_) if self.pace(now) => {}
                Step::Wait(wait) if self.looks_for_closing(wait, now) => {}
                Step::Wait(wait) => {
                    // What is empty holds no memory: connections that rest are many, and so may
                    // listeners be.
                    if self.exchanges.iter().all(Exchange::is_endless) {
                        self.effects = VecDeque::new();
                        self.inputs = VecDeque::new();
                    }
                    return Step::Wait(self.wait(wait));
                }
                Step::Closed(closed) => match self.closed(closed, now) {
                    Some(step) => return step,
                    None => continue,
                },
            }
        }
    }

    /// The connection is over; not so the effects whose answers must not be lost.
    fn closed(&mut self, closed: Closed, now: Now) -> Option<Step<Effect>> {
        if let Some(id) = self.exchanges.iter().find(|it| it.is_active()).map(Exchange::id) {
            self.ask(id, now, |handler, cx| handler.on_abort(cx));
            self.retire(id, false, now);
            return None;
        }
        if self.exchanges.is_empty() {
            return Some(Step::Closed(closed));
        }
        Some(Step::Wait(Wait { read: false, write: false, deadline: None }))
    }

    fn on_input(&mut self, input: Input, now: Now) {
        match input {
            Input::Done(op, result) => {
                let id = op.exchange();
                let Some(exchange) = self.exchange(id) else { return };
                if let Some(pacing) = exchange.pacing.as_mut().filter(|it| it.waits_for(op)) {
                    let pace = match result {
                        Ok(Done::Paced(pace)) => Some(pace),
                        Ok(_) | Err(_) => None,
                    };
                    return pacing.answered(pace, now.mono);
                }
                self.ask(id, now, |handler, cx| handler.on_done(op, result, cx));
                self.sweep(id);
            }
            Input::Growth(op, growth) => {
                self.ask(op.exchange(), now, |handler, cx| handler.on_growth(op, growth, cx));
            }
            Input::ShutDown => {
                self.stopping = true;
                let active = self.exchanges.iter_mut().filter(|exchange| exchange.is_active());
                let ids: Vec<_> = active
                    .map(|exchange| {
                        exchange.about.stopping = true;
                        exchange.id()
                    })
                    .collect();
                for id in ids {
                    self.ask(id, now, |handler, cx| handler.on_shut_down(cx));
                }
            }
        }
    }

    fn on_event(&mut self, event: Event, now: Now) {
        match event {
            Event::Request { head, responder } => {
                let id = self.begin(Some(head.method), || summary::asked(&head), responder, now);
                if let Some(exchange) = self.exchange(id) {
                    exchange.about.cross_origin = head.fields.get("origin").is_some();
                }
                let role = self.role;
                self.speak(id, now, |cx| exchange::start(head, role, cx));
            }
            Event::Refused { why, line, responder } => {
                let id =
                    self.begin(None, || summary::refused(line.unwrap_or_default()), responder, now);
                self.speak(id, now, |cx| {
                    exchange::refuse_peer(why, cx);
                    None
                });
            }
            Event::Data { id, data } => {
                let Some(exchange) = self.active(id) else { return };
                exchange.received += data.len() as u64;
                self.ask(id, now, |handler, cx| handler.on_data(data, cx));
            }
            Event::End { id } if self.active(id).is_some() => {
                self.ask(id, now, |handler, cx| handler.on_end(cx));
            }
            Event::Writable { id } if self.active(id).is_some() => {
                self.ask(id, now, |handler, cx| handler.on_writable(cx));
            }
            Event::Sent { id } if self.active(id).is_some() => {
                self.ask(id, now, |handler, cx| handler.on_sent(cx));
                self.retire(id, self.wire.reaches_peer(), now);
            }
            Event::Aborted { id, why } => self.give_up(id, why, now),
            Event::ShutdownWrite => {
                self.effects.push_back(Effect::Connection(ConnectionEffect::ShutdownWrite));
            }
            Event::Recheck { read } => {
                self.effects.push_back(Effect::Connection(ConnectionEffect::Recheck { read }));
            }
            Event::End { .. } | Event::Writable { .. } | Event::Sent { .. } => {}
        }
    }

    /// A request is to be answered. `method`: `None` if its head could not be read; `asked`: what
    /// logs show of it.
    fn begin(
        &mut self,
        method: Option<Method>,
        asked: impl FnOnce() -> RequestSummary,
        responder: Responder,
        now: Now,
    ) -> ExchangeId {
        let about = About {
            client: self.client.clone(),
            half_closed: self.half_closed,
            stopping: self.stopping,
            ..About::default()
        };
        let mut exchange = Exchange::new(responder, self.site.clone(), about, now);
        let id = exchange.id();
        let config = &self.site.config;
        let told = self.role == Role::Public && (config.log || config.log_begin);
        exchange.method = method;
        exchange.asked = told.then(|| Arc::new(asked()));
        if let (true, Some(method), Some(asked)) = (config.log_begin, method, &exchange.asked) {
            let begun = LogEffect::Begun { method, asked: asked.clone() };
            self.effects.push_back(Effect::Log(id, begun));
        }
        self.exchanges.push(exchange);
        id
    }

    fn exchange(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        self.exchanges.iter_mut().find(|exchange| exchange.id() == id)
    }

    /// The exchange, if its response is not over.
    fn active(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        self.exchange(id).filter(|exchange| exchange.is_active())
    }

    /// The body cannot be had, or the answer not be delivered.
    fn give_up(&mut self, id: ExchangeId, why: PeerError, now: Now) {
        if self.active(id).is_none() {
            return;
        }
        self.ask(id, now, |handler, cx| handler.on_abort(cx));
        let Self { exchanges, wire, .. } = self;
        let Some(exchange) = exchanges.iter_mut().find(|exchange| exchange.id() == id) else {
            return;
        };
        exchange.why = Some(why);
        exchange.about.unfinished = true;
        if matches!(exchange.turn, Turn::Due(_)) && why.status().is_some() {
            self.speak_over(id, now, |cx| exchange::refuse_peer(why, cx));
        } else {
            // An answer that was begun has no good end any more.
            if let Turn::Live(writer) = std::mem::replace(&mut exchange.turn, Turn::Said) {
                wire.abort(writer);
            }
            self.retire(id, false, now);
        }
    }

    /// The response of the exchange is over; what it still waits for is waited for.
    fn retire(&mut self, id: ExchangeId, complete: bool, now: Now) {
        let sent = self.wire.body_sent(id);
        let Some(exchange) = self.active(id) else { return };
        let dismissal = exchange.retire(sent, complete, now);
        self.effects.extend(dismissal);
        self.sweep(id);
    }

    /// Ends the exchange if nothing of it is left to be waited for.
    fn sweep(&mut self, id: ExchangeId) {
        let done = |exchange: &Exchange| exchange.id() == id && exchange.is_done();
        let Some(at) = self.exchanges.iter().position(done) else { return };
        let Exchange { over, .. } = self.exchanges.swap_remove(at);
        let report = over.filter(|_| self.role == Role::Public);
        self.effects.push_back(Effect::Log(id, LogEffect::Over(report)));
    }
}
