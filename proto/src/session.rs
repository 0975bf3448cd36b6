//! A server's side of one connection: HTTP/1.x framing and the exchanges on it, joined. This is what a runtime drives.

use std::{collections::VecDeque, io, sync::Arc};

use bytes::Bytes;

use crate::{
    effect::{Done, Effect, Growth, OpId},
    error::{FsError, PeerError},
    exchange::{self, Answer, Cx, Ids, Task},
    http1::{self, Event, Exchange, ExchangeId, Live, Transmit},
    site::Site,
    step::{Closed, Step, Wait},
    time::{Now, Timer},
};

/// A connection to a server of a [`Site`]. Facts go in by `handle_*`, which cannot fail and may be called in any number and
/// order; [`poll`](Self::poll) tells what to do.
#[derive(Debug)]
pub struct Session {
    site: Arc<Site>,
    wire: http1::Server,
    effects: VecDeque<Effect>,
    inputs: VecDeque<Input>,
    ids: Ids,
    /// The request that is being answered.
    active: Option<Active>,
    /// Requests whose peer is gone and whose last effect is still under way.
    leaving: Vec<Task>,
    errors_in_a_row: u32,
}

#[derive(Debug)]
enum Input {
    Done(OpId, Result<Done, FsError>),
    Growth(OpId, Growth),
}

#[derive(Debug)]
struct Active {
    id: ExchangeId,
    turn: Turn,
    task: Option<Task>,
}

/// What may still be said.
#[derive(Debug)]
enum Turn {
    /// Everything.
    Due(Exchange),
    /// More of the body.
    Live(Live),
    /// Nothing.
    Said,
}

impl Session {
    /// A fresh connection.
    pub fn new(site: Arc<Site>) -> Self {
        Self {
            wire: http1::Server::new(site.limits.clone()),
            site,
            effects: VecDeque::new(),
            inputs: VecDeque::new(),
            ids: Ids::default(),
            active: None,
            leaving: Vec::new(),
            errors_in_a_row: 0,
        }
    }

    /// A connection beyond the number that is allowed: it is told so (503) and closed.
    pub fn overloaded(site: Arc<Site>) -> Self {
        let mut session = Self::new(site);
        session.wire.refuse(PeerError::Overloaded);
        session
    }

    /// Bytes were received.
    pub fn handle_data(&mut self, data: Bytes) {
        self.wire.handle_data(data);
    }

    /// The peer will send no more.
    pub fn handle_eof(&mut self) {
        self.wire.handle_eof();
    }

    /// `sent` bytes of what [`transmit`](Self::transmit) showed are with the socket.
    pub fn handle_sent(&mut self, sent: u64) {
        self.wire.handle_sent(sent);
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

    /// The server is going down: the request under way is the last one.
    pub fn shut_down(&mut self) {
        self.wire.shut_down();
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
            if self.deadline().is_some_and(|deadline| deadline <= now.mono) {
                self.ask(now, |task, cx| task.on_deadline(cx));
                continue;
            }
            match self.wire.poll(now) {
                Step::Do(event) => self.on_event(event, now),
                Step::Wait(wait) => {
                    // What is empty holds no memory: connections that rest are many.
                    if self.active.is_none() {
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

    fn deadline(&self) -> Option<std::time::Instant> {
        self.active.as_ref()?.task.as_ref()?.deadline()
    }

    fn wait(&self, wait: Wait) -> Wait {
        let missing = self.deadline().map(|at| (at, Timer::Missing));
        Wait { deadline: wait.deadline.into_iter().chain(missing).min(), ..wait }
    }

    /// The connection is over; not so the effects whose answers must not be lost.
    fn closed(&mut self, closed: Closed, now: Now) -> Option<Step<Effect>> {
        if self.active.is_some() {
            self.ask(now, |task, cx| task.on_abort(cx));
            self.retire();
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
                    let mut cx = Cx { site, now, ids, effects, answers: &mut answers };
                    for task in leaving.iter_mut() {
                        task.on_done(op, result.clone(), &mut cx);
                    }
                    leaving.retain(Task::is_busy);
                }
                self.ask(now, |task, cx| task.on_done(op, result, cx));
            }
            Input::Growth(op, growth) => self.ask(now, |task, cx| task.on_growth(op, growth, cx)),
        }
    }

    fn on_event(&mut self, event: Event, now: Now) {
        match event {
            Event::Request { head, exchange } => {
                self.active =
                    Some(Active { id: exchange.id(), turn: Turn::Due(exchange), task: None });
                self.speak(now, |cx| exchange::start(head, cx));
            }
            Event::Refused { why, exchange } => {
                self.active =
                    Some(Active { id: exchange.id(), turn: Turn::Due(exchange), task: None });
                self.speak(now, |cx| {
                    exchange::refuse_peer(why, cx);
                    None
                });
            }
            Event::Data { id, data } if self.is_current(id) => {
                self.ask(now, |task, cx| task.on_data(data, cx));
            }
            Event::End { id } if self.is_current(id) => self.ask(now, |task, cx| task.on_end(cx)),
            Event::Writable { id } if self.is_current(id) => {
                self.ask(now, |task, cx| task.on_writable(cx));
            }
            Event::Sent { id } if self.is_current(id) => {
                self.ask(now, |task, cx| task.on_sent(cx));
                self.retire();
            }
            Event::Aborted { id, why } if self.is_current(id) => self.give_up(why, now),
            Event::ShutdownWrite => self.effects.push_back(Effect::ShutdownWrite),
            Event::Data { .. }
            | Event::End { .. }
            | Event::Writable { .. }
            | Event::Sent { .. }
            | Event::Aborted { .. } => {}
        }
    }

    fn is_current(&self, id: ExchangeId) -> bool {
        self.active.as_ref().is_some_and(|active| active.id == id)
    }

    /// The body cannot be had, or the answer not be delivered.
    fn give_up(&mut self, why: PeerError, now: Now) {
        self.ask(now, |task, cx| task.on_abort(cx));
        let due = self.active.as_ref().is_some_and(|active| matches!(active.turn, Turn::Due(_)));
        let active = self.active.take();
        if let Some(Active { id, turn, task }) = active {
            self.leaving.extend(task.filter(Task::is_busy));
            if due && why.status().is_some() {
                self.active = Some(Active { id, turn, task: None });
                self.speak(now, |cx| {
                    exchange::refuse_peer(why, cx);
                    None
                });
            }
        }
    }

    /// The exchange is over; what it still waits for is waited for apart.
    fn retire(&mut self) {
        if let Some(task) = self.active.take().and_then(|active| active.task)
            && task.is_busy()
        {
            self.leaving.push(task);
        }
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
        let Self { site, effects, ids, .. } = self;
        let mut cx = Cx { site, now, ids, effects, answers: &mut answers };
        let task = answer(&mut cx);
        if let Some(active) = &mut self.active {
            active.task = task;
        }
        for answer in answers {
            self.say(answer, now);
        }
    }

    fn say(&mut self, answer: Answer, now: Now) {
        let Some(active) = &mut self.active else { return };
        let wire = &mut self.wire;
        let turn = std::mem::replace(&mut active.turn, Turn::Said);
        active.turn = match (answer, turn) {
            (Answer::Grant(bytes), turn) => {
                wire.grant(active.id, bytes);
                turn
            }
            (Answer::Whole(head, body), Turn::Due(exchange)) => {
                self.errors_in_a_row =
                    if head.status().is_error() { self.errors_in_a_row + 1 } else { 0 };
                let most = self.site.config.limits.client_errors;
                if self.site.config.close || most > 0 && self.errors_in_a_row >= most {
                    wire.shut_down();
                }
                wire.respond(exchange, &head, body, now);
                Turn::Said
            }
            (Answer::Last(head, body), Turn::Due(exchange)) => {
                wire.shut_down();
                wire.respond(exchange, &head, body, now);
                Turn::Said
            }
            (Answer::Live(head), Turn::Due(exchange)) => {
                self.errors_in_a_row = 0;
                if self.site.config.close {
                    wire.shut_down();
                }
                Turn::Live(wire.respond_live(exchange, &head, None, self.site.config.cte, now))
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
                | Answer::Part(_)
                | Answer::Finish
                | Answer::Abort,
                turn,
            ) => turn,
        };
    }
}
