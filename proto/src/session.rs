//! A server's side of one connection: HTTP/1.x framing and the exchanges on it, joined. This is what a runtime drives.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    effect::{Done, Effect, OpId},
    error::PeerError,
    exchange::{self, About, Answer, Client, Cx, Ids, Role, Task, Waiting},
    fs::FsError,
    http::{Method, Part, RequestHead, RequestTarget, Status, Transmit},
    http1::{self, BodyWriter, Event, ExchangeId, Responder},
    limits::Limits,
    live::Growth,
    pacing::Pacing,
    report::{Asked, Report},
    site::Site,
    step::{Closed, Step, Wait},
    time::{Now, Timer},
};

/// How long a connection on the admin address may rest, and its request head take.
const ADMIN_TIME: Duration = Duration::from_secs(5);

/// A connection to a server of a [`Site`]. Facts go in by `handle_*`, which cannot fail and may be called in any number and
/// order; [`poll`](Self::poll) tells what to do.
#[derive(Debug)]
pub struct Session {
    site: Arc<Site>,
    /// Takes the site's place before the next request.
    renewed: Option<Arc<Site>>,
    client: Client,
    role: Role,
    wire: http1::Server,
    effects: VecDeque<Effect>,
    inputs: VecDeque<Input>,
    ids: Ids,
    /// The request that is being answered.
    active: Option<Active>,
    /// Requests whose peer is gone and whose last effect is still under way.
    leaving: Vec<Task>,
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

#[derive(Debug)]
struct Active {
    id: ExchangeId,
    turn: Turn,
    task: Option<Task>,
    about: About,
    /// Where the answer is throttled.
    pacing: Option<Box<Pacing>>,
    /// Since when there was nothing to be sent to a peer that sends no more.
    idle_since: Option<Instant>,
    /// What will be reported.
    so_far: SoFar,
}

impl Active {
    fn is_endless(&self) -> bool {
        self.task.as_ref().is_some_and(Task::is_endless)
    }
}

#[derive(Debug)]
struct SoFar {
    began: Instant,
    method: Option<Method>,
    status: Option<Status>,
    received: u64,
    why: Option<PeerError>,
    asked: Option<Arc<Asked>>,
}

/// What may still be said.
#[derive(Debug)]
enum Turn {
    /// Everything.
    Due(Responder),
    /// More of the body.
    Live(BodyWriter),
    /// Nothing.
    Said,
}

impl Session {
    /// A fresh connection.
    pub fn new(site: Arc<Site>) -> Self {
        Self {
            wire: http1::Server::new(site.limits.clone()),
            site,
            renewed: None,
            client: Client::default(),
            role: Role::Public,
            effects: VecDeque::new(),
            inputs: VecDeque::new(),
            ids: Ids::default(),
            active: None,
            leaving: Vec::new(),
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

    /// A client that speaks plain HTTP where TLS is spoken: it is told so (400) in the clear, and the connection closed.
    pub fn unencrypted(site: Arc<Site>) -> Self {
        let mut session = Self::new(site);
        session.wire.refuse(PeerError::Malformed(
            "HTTPS is spoken here: write https:// in place of http://",
        ));
        session
    }

    /// A connection on the admin address: `/metrics`, `/healthz`, `/readyz`, and nothing of the site.
    pub fn admin(site: Arc<Site>) -> Self {
        let mut limits = Limits::clone(&site.limits);
        // Probes come and go; who does not ask must not keep others out.
        limits.head_time = limits.head_time.min(ADMIN_TIME);
        limits.idle_time = Some(ADMIN_TIME);
        limits.other_methods = false;
        let mut session = Self::new(site);
        session.wire = http1::Server::new(Arc::new(limits));
        session.role = Role::Admin;
        session
    }

    /// Tells who is at the other end. Without it, the peer counts as one whose passwords others can read.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// The client has proven who it is, by a certificate: from the next request on, rules know it as a user of that name.
    pub fn identify(&mut self, user: Arc<str>) {
        self.client.user = Some(user);
    }

    /// What is served to the request under way, and until [renewed](Self::renew) to the next ones.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// From the next request on, another site is served. Effects that come after that speak of its roots:
    /// [`site`](Self::site) tells.
    pub fn renew(&mut self, site: Arc<Site>) {
        self.renewed = Some(site);
    }

    /// Bytes were received.
    pub fn handle_data(&mut self, data: Bytes) {
        self.wire.handle_data(data);
    }

    /// The peer will send no more.
    pub fn handle_eof(&mut self) {
        self.wire.handle_eof();
        self.half_closed = true;
        if let Some(active) = &mut self.active {
            active.about.half_closed = true;
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

    /// Nothing can be sent any more. What the peer sent before is still read and obeyed, above all its uploads.
    pub fn handle_unsendable(&mut self, why: io::ErrorKind) {
        self.wire.handle_unsendable(why);
    }

    /// The socket failed: nothing can be sent or received any more. What was received is still obeyed.
    pub fn handle_broken(&mut self, why: io::ErrorKind) {
        self.wire.handle_broken(why);
    }

    /// Ends the connection at once, in the middle of whatever is under way: a file that is being sent turned out shorter, say, or
    /// the server waits no longer.
    pub fn abort(&mut self, why: io::ErrorKind) {
        self.wire.abort_all(why);
    }

    /// An effect is answered. Answers that nobody waits for are ignored.
    pub fn handle_done(&mut self, op: OpId, result: Result<Done, FsError>) {
        self.inputs.push_back(Input::Done(op, result));
    }

    /// The upload followed by `op` went on, or is over.
    pub fn handle_growth(&mut self, op: OpId, growth: Growth) {
        self.inputs.push_back(Input::Growth(op, growth));
    }

    /// The server is going down: what the peer has sent is the last that is taken. A request that waits for something that
    /// may not come is answered 503. A live resource that the peer sends is over.
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
        self.active.is_some() || !self.leaving.is_empty()
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
            if self.pace(now) || self.gives_up(now) {
                continue;
            }
            if self.deadline().is_some_and(|(deadline, _)| deadline <= now.mono) {
                self.ask(now, |task, cx| task.on_deadline(cx));
                continue;
            }
            match self.wire.poll(now) {
                Step::Do(event) => self.on_event(event, now),
                Step::Wait(_) if self.pace(now) => {}
                Step::Wait(wait) => {
                    // What is empty holds no memory: connections that rest are many, and so may listeners be.
                    if self.active.as_ref().is_none_or(Active::is_endless) {
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

    fn deadline(&self) -> Option<(Instant, Timer)> {
        let active = self.active.as_ref()?;
        let task = active.task.as_ref().and_then(Task::deadline);
        let pacing = active.pacing.as_ref().and_then(|pacing| pacing.deadline());
        let gone = active.idle_since.map(|since| since + self.half_closed_time());
        let own = [pacing.map(|at| (at, Timer::Pace)), gone.map(|at| (at, Timer::HalfClosed))];
        task.into_iter().chain(own.into_iter().flatten()).min()
    }

    fn half_closed_time(&self) -> Duration {
        self.site.config.limits.half_closed_time
    }

    /// A peer that sends no more may be gone, which nothing tells as long as there is nothing to be sent to it: it is not waited
    /// with. What it sent before is still obeyed.
    fn gives_up(&mut self, now: Now) -> bool {
        if !self.half_closed || !self.wire.reaches_peer() {
            return false;
        }
        let time = self.half_closed_time();
        let Some(active) = &mut self.active else { return false };
        match active.task.as_ref().and_then(Task::waiting) {
            Some(Waiting::Blocked) => {}
            Some(Waiting::Idle) => {
                let since = *active.idle_since.get_or_insert(now.mono);
                if now.mono < since + time {
                    return false;
                }
            }
            None => {
                active.idle_since = None;
                return false;
            }
        }
        active.idle_since = None;
        self.wire.handle_unsendable(io::ErrorKind::UnexpectedEof);
        true
    }

    /// Lets more of a throttled answer go out, or asks when it may; true if something changed.
    fn pace(&mut self, now: Now) -> bool {
        let Self { active: Some(Active { id, pacing: Some(pacing), about, .. }), wire, .. } = self
        else {
            return false;
        };
        let done = wire.body_sent();
        if let Some(bytes) = pacing.allow(now.mono) {
            wire.pace(*id, done.saturating_add(bytes));
            return true;
        }
        let Some(hook) = about.hook.filter(|_| pacing.is_free() && wire.is_paced()) else {
            return false;
        };
        let op = self.ids.op();
        pacing.ask(op, now.mono + self.site.config.limits.hook_time);
        self.effects.push_back(Effect::Pace { op, hook, done, total: pacing.total });
        true
    }

    fn wait(&self, wait: Wait) -> Wait {
        Wait { deadline: wait.deadline.into_iter().chain(self.deadline()).min(), ..wait }
    }

    /// The connection is over; not so the effects whose answers must not be lost.
    fn closed(&mut self, closed: Closed, now: Now) -> Option<Step<Effect>> {
        if self.active.is_some() {
            self.ask(now, |task, cx| task.on_abort(cx));
            self.retire(false, now);
            return None;
        }
        if self.leaving.is_empty() {
            return Some(Step::Closed(closed));
        }
        Some(Step::Wait(Wait { read: false, write: false, deadline: None }))
    }

    fn on_input(&mut self, input: Input, now: Now) {
        match input {
            Input::Done(op, result) => {
                let Self { site, effects, ids, leaving, .. } = self;
                if !leaving.is_empty() {
                    let mut answers = VecDeque::new();
                    let mut about = About::default();
                    let mut cx =
                        Cx { site, now, ids, effects, answers: &mut answers, about: &mut about };
                    for task in leaving.iter_mut() {
                        task.on_done(op, result.clone(), &mut cx);
                    }
                    leaving.retain(Task::is_busy);
                }
                if let Some(pacing) = self.active.as_mut().and_then(|it| it.pacing.as_mut())
                    && pacing.waits_for(op)
                {
                    let pace = match result {
                        Ok(Done::Paced(pace)) => Some(pace),
                        Ok(_) | Err(_) => None,
                    };
                    return pacing.answered(pace, now.mono);
                }
                self.ask(now, |task, cx| task.on_done(op, result, cx));
            }
            Input::Growth(op, growth) => self.ask(now, |task, cx| task.on_growth(op, growth, cx)),
            Input::ShutDown => {
                self.stopping = true;
                if let Some(active) = &mut self.active {
                    active.about.stopping = true;
                }
                self.ask(now, |task, cx| task.on_shut_down(cx));
            }
        }
    }

    fn on_event(&mut self, event: Event, now: Now) {
        match event {
            Event::Request { head, responder } => {
                self.begin(Some(head.method), || asked(&head), responder, now);
                if let Some(active) = &mut self.active {
                    active.about.cross_origin = head.fields.get("origin").is_some();
                }
                let role = self.role;
                self.speak(now, |cx| exchange::start(head, role, cx));
            }
            Event::Refused { why, line, responder } => {
                self.begin(None, || refused(line.unwrap_or_default()), responder, now);
                self.speak(now, |cx| {
                    exchange::refuse_peer(why, cx);
                    None
                });
            }
            Event::Data { id, data } if self.is_current(id) => {
                if let Some(active) = &mut self.active {
                    active.so_far.received += data.len() as u64;
                }
                self.ask(now, |task, cx| task.on_data(data, cx));
            }
            Event::End { id } if self.is_current(id) => self.ask(now, |task, cx| task.on_end(cx)),
            Event::Writable { id } if self.is_current(id) => {
                self.ask(now, |task, cx| task.on_writable(cx));
            }
            Event::Sent { id } if self.is_current(id) => {
                self.ask(now, |task, cx| task.on_sent(cx));
                self.retire(self.wire.reaches_peer(), now);
            }
            Event::Aborted { id, why } if self.is_current(id) => self.give_up(why, now),
            Event::ShutdownWrite => self.effects.push_back(Effect::ShutdownWrite),
            Event::Recheck { read } => self.effects.push_back(Effect::Recheck { read }),
            Event::Data { .. }
            | Event::End { .. }
            | Event::Writable { .. }
            | Event::Sent { .. }
            | Event::Aborted { .. } => {}
        }
    }

    /// A request is to be answered. `method`: `None` if its head could not be read; `asked`: what logs show of it.
    fn begin(
        &mut self,
        method: Option<Method>,
        asked: impl FnOnce() -> Asked,
        responder: Responder,
        now: Now,
    ) {
        // What is still under way speaks of the old one's roots.
        if self.leaving.is_empty()
            && let Some(site) = self.renewed.take()
        {
            self.site = site;
        }
        let config = &self.site.config;
        let told = self.role == Role::Public && (config.log || config.log_begin);
        let asked = told.then(|| Arc::new(asked()));
        if let (true, Some(method), Some(asked)) = (config.log_begin, method, &asked) {
            self.effects.push_back(Effect::Begun { method, asked: asked.clone() });
        }
        let about = About {
            client: self.client.clone(),
            half_closed: self.half_closed,
            stopping: self.stopping,
            ..About::default()
        };
        let so_far = SoFar { began: now.mono, method, status: None, received: 0, why: None, asked };
        let (id, turn) = (responder.id(), Turn::Due(responder));
        let (task, pacing, idle_since) = (None, None, None);
        self.active = Some(Active { id, turn, task, about, pacing, idle_since, so_far });
    }

    fn is_current(&self, id: ExchangeId) -> bool {
        self.active.as_ref().is_some_and(|active| active.id == id)
    }

    /// The body cannot be had, or the answer not be delivered.
    fn give_up(&mut self, why: PeerError, now: Now) {
        self.ask(now, |task, cx| task.on_abort(cx));
        let Some(active) = &mut self.active else { return };
        active.so_far.why = Some(why);
        active.about.unfinished = true;
        self.leaving.extend(active.task.take().filter(Task::is_busy));
        if matches!(active.turn, Turn::Due(_)) && why.status().is_some() {
            self.speak(now, |cx| {
                exchange::refuse_peer(why, cx);
                None
            });
        } else {
            // An answer that was begun has no good end any more.
            if let Turn::Live(live) = std::mem::replace(&mut active.turn, Turn::Said) {
                self.wire.abort(live);
            }
            self.retire(false, now);
        }
    }

    /// The exchange is over; what it still waits for is waited for apart.
    fn retire(&mut self, complete: bool, now: Now) {
        let Some(Active { task, about, so_far, .. }) = self.active.take() else { return };
        self.leaving.extend(task.filter(Task::is_busy));
        if let Some(hook) = about.hook {
            let complete = complete && !about.unfinished;
            self.effects.push_back(Effect::Dismiss { hook, complete });
        }
        if self.role == Role::Admin {
            return;
        }
        let SoFar { began, method, status, received, why, asked } = so_far;
        self.effects.push_back(Effect::Over(Box::new(Report {
            method,
            status,
            received,
            sent: self.wire.body_sent(),
            took: now.mono.saturating_duration_since(began),
            complete,
            why,
            user: about.user.or(about.client.user),
            asked,
        })));
    }

    /// Lets the task go on, and says what it wants said.
    fn ask(&mut self, now: Now, go_on: impl FnOnce(&mut Task, &mut Cx<'_>)) {
        let Some(mut task) = self.active.as_mut().and_then(|active| active.task.take()) else {
            return;
        };
        self.speak(now, |cx| {
            go_on(&mut task, cx);
            Some(task)
        });
    }

    /// Says what comes out of `answer`, which also returns the task that remains.
    fn speak(&mut self, now: Now, answer: impl FnOnce(&mut Cx<'_>) -> Option<Task>) {
        let mut answers = VecDeque::new();
        let Self { site, effects, ids, active: Some(active), .. } = self else { return };
        let about = &mut active.about;
        let mut cx = Cx { site, now, ids, effects, answers: &mut answers, about };
        active.task = answer(&mut cx);
        for answer in answers {
            self.say(answer, now);
        }
    }

    fn say(&mut self, answer: Answer, now: Now) {
        let Some(active) = &mut self.active else { return };
        let wire = &mut self.wire;
        if active.about.throttled {
            let known = pacing(&answer).map(Box::new);
            active.pacing = known.or_else(|| active.pacing.take());
        }
        let paced = active.pacing.is_some() && matches!(active.turn, Turn::Due(_));
        let close = self.site.config.close || active.about.close;
        let turn = std::mem::replace(&mut active.turn, Turn::Said);
        active.turn = match (answer, turn) {
            (Answer::Grant(bytes), turn) => {
                wire.grant(active.id, bytes);
                turn
            }
            (Answer::TakeRest, turn) => {
                wire.take_rest(active.id);
                turn
            }
            (Answer::Endless(head), Turn::Due(responder)) => {
                active.so_far.status = Some(head.status());
                Turn::Live(wire.respond_live(responder, &head, None, false, now))
            }
            (Answer::Whole(head, body), Turn::Due(responder)) => {
                active.so_far.status = Some(head.status());
                self.errors_in_a_row =
                    if head.status().is_error() { self.errors_in_a_row + 1 } else { 0 };
                let most = self.site.config.limits.client_errors;
                if most > 0 && self.errors_in_a_row >= most {
                    wire.shut_down();
                }
                // Of what the peer sent behind its last error, only so much is taken.
                if close || most > 0 && self.errors_in_a_row >= most.saturating_mul(2) {
                    wire.close_after_answer();
                }
                wire.respond(responder, &head, body, now);
                Turn::Said
            }
            (Answer::Last(head, body), Turn::Due(responder)) => {
                active.so_far.status = Some(head.status());
                wire.close_after_answer();
                wire.respond(responder, &head, body, now);
                Turn::Said
            }
            (Answer::Live(head), Turn::Due(responder)) => {
                active.so_far.status = Some(head.status());
                self.errors_in_a_row = 0;
                if close {
                    wire.close_after_answer();
                }
                Turn::Live(wire.respond_live(responder, &head, None, self.site.config.cte, now))
            }
            (Answer::Sized(head, len), Turn::Due(responder)) => {
                active.so_far.status = Some(head.status());
                self.errors_in_a_row = 0;
                if close {
                    wire.close_after_answer();
                }
                Turn::Live(wire.respond_live(responder, &head, Some(len), true, now))
            }
            (Answer::Part(part), Turn::Live(live)) => {
                wire.push(&live, part);
                Turn::Live(live)
            }
            (Answer::Finish, Turn::Live(live)) => {
                wire.finish(live);
                Turn::Said
            }
            (Answer::Abort, Turn::Live(live)) => {
                wire.abort(live);
                Turn::Said
            }
            // What comes too late is not said.
            (
                Answer::Whole(..)
                | Answer::Last(..)
                | Answer::Live(..)
                | Answer::Sized(..)
                | Answer::Endless(..)
                | Answer::Part(_)
                | Answer::Finish
                | Answer::Abort,
                turn,
            ) => turn,
        };
        if paced {
            wire.pace(active.id, 0);
        }
    }
}

/// What is known of an answer that is to be throttled.
fn pacing(answer: &Answer) -> Option<Pacing> {
    let total = match answer {
        Answer::Whole(_, body) => Some(body.iter().map(Part::len).sum()),
        Answer::Sized(_, len) => Some(*len),
        Answer::Live(_) => None,
        Answer::Grant(_)
        | Answer::TakeRest
        | Answer::Endless(_)
        | Answer::Last(..)
        | Answer::Part(_)
        | Answer::Finish
        | Answer::Abort => return None,
    };
    Some(Pacing::new(total))
}

/// A request as logs show it.
fn asked(head: &RequestHead) -> Asked {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let field = |name| head.fields.get(name).map(text);
    Asked {
        target: match &head.target {
            RequestTarget::Path(path) => path.clone(),
            RequestTarget::Asterisk => "*".into(),
        },
        version: head.version,
        range: field("range"),
        referer: field("referer"),
        user_agent: field("user-agent"),
        line: String::new(),
    }
}

/// A request as logs show it whose head was refused.
fn refused(line: String) -> Asked {
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    Asked { target, line, ..Asked::default() }
}
