//! A server's side of one connection, as far as HTTP/1.x framing goes: two half-machines and the deadlines.

use std::{collections::VecDeque, io, sync::Arc, time::Instant};

use bytes::Bytes;

use super::{
    chunked::Decoded,
    head::HeadReader,
    message::{Method, Part, RequestHead, ResponseHead},
    queue::{Queue, Transmit},
    reader::{Body, Reading},
    writer::{self, Announce, Framing, Persistence, Writing},
};
use crate::{
    error::PeerError,
    limits::Limits,
    step::{Closed, Step, Wait},
    time::{Now, Timer, Timers},
};

/// Names one request and its answer on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExchangeId(u32);

/// The right to answer one request, once: spent by [`Server::respond`] or [`Server::respond_live`].
#[must_use = "a request must be answered"]
#[derive(Debug)]
pub struct Exchange {
    id: ExchangeId,
}

impl Exchange {
    /// Which request.
    pub fn id(&self) -> ExchangeId {
        self.id
    }
}

/// The right to go on with one open body: spent by [`Server::finish`] or [`Server::abort`].
#[must_use = "a body must be ended"]
#[derive(Debug)]
pub struct Live {
    id: ExchangeId,
}

/// What happened on the connection.
#[derive(Debug)]
pub enum Event {
    /// A request; its body, if there is one, comes once it is [granted](Server::grant).
    Request {
        /// The head.
        head: Box<RequestHead>,
        /// To be answered.
        exchange: Exchange,
    },
    /// A request that breaks the rules. To be answered with `why`'s status; the connection closes then.
    Refused {
        /// Which rule.
        why: PeerError,
        /// To be answered.
        exchange: Exchange,
    },
    /// A piece of the request's body: a slice of what was received.
    Data {
        /// Which request.
        id: ExchangeId,
        /// The bytes.
        data: Bytes,
    },
    /// The request's body is whole.
    End {
        /// Which request.
        id: ExchangeId,
    },
    /// The request's body cannot be had, or its answer cannot be delivered. If no answer was begun, one may still be given;
    /// the connection closes in any case.
    Aborted {
        /// Which request.
        id: ExchangeId,
        /// What happened.
        why: PeerError,
    },
    /// All that was pushed into a live body is sent.
    Writable {
        /// Which answer.
        id: ExchangeId,
    },
    /// The answer is sent to its last byte.
    Sent {
        /// Which answer.
        id: ExchangeId,
    },
    /// Shut down the writing half of the socket.
    ShutdownWrite,
}

/// A server's side of one connection; see the [crate documentation](crate) for how to drive it.
#[derive(Debug)]
pub struct Server {
    limits: Arc<Limits>,
    inbox: VecDeque<Bytes>,
    eof: bool,
    reading: Reading,
    writing: Writing,
    queue: Queue,
    events: VecDeque<Event>,
    timers: Timers,
    /// Bytes were confirmed since the send deadline was set.
    sent_some: bool,
    current: Current,
    next_id: u32,
    opened: Option<Instant>,
    last_request: bool,
    /// Nothing that is queued would reach the peer.
    silent: bool,
    /// Bytes confirmed in all.
    sent: u64,
    /// What `sent` is where the body of the answer begins.
    body_begins: u64,
    end: Closed,
}

/// What must be remembered of the request under way.
#[derive(Debug)]
struct Current {
    id: ExchangeId,
    /// The method is HEAD.
    head: bool,
    minor: u8,
    keep_alive: bool,
    /// `100 Continue` is awaited.
    expect: bool,
    /// The end of the answer's body is the end of the connection.
    until_close: bool,
    /// The request is obeyed although its answer cannot be sent.
    obeyed: bool,
    /// The request itself says that it is the last one.
    asked_to_close: bool,
}

impl Server {
    /// A fresh connection.
    pub fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            inbox: VecDeque::new(),
            eof: false,
            reading: Reading::Head(HeadReader::default()),
            writing: Writing::Idle,
            queue: Queue::default(),
            events: VecDeque::new(),
            timers: Timers::default(),
            sent_some: false,
            current: Current {
                id: ExchangeId(0),
                head: false,
                minor: 1,
                keep_alive: true,
                expect: false,
                until_close: false,
                obeyed: false,
                asked_to_close: false,
            },
            next_id: 0,
            opened: None,
            last_request: false,
            silent: false,
            sent: 0,
            body_begins: 0,
            end: Closed::default(),
        }
    }

    // ---- facts from the socket: they cannot fail ----

    /// Bytes were received.
    pub fn handle_data(&mut self, data: Bytes) {
        let deaf = self.eof || matches!(self.writing, Writing::Closed);
        if !deaf && !data.is_empty() {
            self.timers.stop(Timer::Idle);
            self.inbox.push_back(data);
        }
    }

    /// The peer will send no more.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// `sent` bytes of what [`transmit`](Self::transmit) showed are with the socket.
    pub fn handle_sent(&mut self, sent: u64) {
        self.queue.advance(sent);
        self.sent_some |= sent > 0;
        self.sent += sent;
    }

    /// Nothing can be sent any more. What the peer sent before is still read and obeyed: an encoder that ends without reading
    /// its answers resets the connection behind its last upload.
    pub fn handle_unsendable(&mut self, why: io::ErrorKind) {
        self.silence(PeerError::Broken(why));
    }

    /// The socket failed: nothing can be sent or received any more. What was received is still obeyed.
    pub fn handle_broken(&mut self, why: io::ErrorKind) {
        self.eof = true;
        self.silence(PeerError::Broken(why));
    }

    // ---- the one drain and the one peek ----

    /// Goes on until something happened or nothing is left to do.
    pub fn poll(&mut self, now: Now) -> Step<Event> {
        self.opened.get_or_insert(now.mono);
        while let Some(timer) = self.timers.take_due(now.mono) {
            self.expire(timer);
        }
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Do(event);
            }
            if let Writing::Closed = self.writing {
                return Step::Closed(self.end);
            }
            if !self.step_writing(now) && !self.step_reading(now) {
                break;
            }
        }
        self.set_timers(now);
        Step::Wait(Wait {
            read: self.wants_data(),
            write: !self.queue.is_empty(),
            deadline: self.timers.next(),
        })
    }

    /// What is ready to be sent, if anything is.
    pub fn transmit(&self) -> Option<Transmit<'_>> {
        self.queue.peek()
    }

    /// False once nothing that is said gets to the peer any more.
    pub fn reaches_peer(&self) -> bool {
        !self.silent
    }

    /// Bytes of the body of the latest answer that are with the socket.
    pub fn body_sent(&self) -> u64 {
        self.sent.saturating_sub(self.body_begins)
    }

    // ---- commands; those that name an exchange that is over are ignored ----

    /// Lets up to `bytes` more of the request's body come. The first grant sends `100 Continue` where it is awaited.
    pub fn grant(&mut self, id: ExchangeId, bytes: u64) {
        if self.current.id != id {
            return;
        }
        if let (Reading::Body(body), Writing::Due) = (&mut self.reading, &self.writing) {
            body.credit = bytes;
            if std::mem::take(&mut self.current.expect) && !self.silent {
                writer::hundred_continue(&mut self.queue);
            }
        }
    }

    /// Ends the connection at once, in the middle of whatever is under way.
    pub fn abort_all(&mut self, why: io::ErrorKind) {
        self.cut(PeerError::Broken(why));
    }

    /// No request is taken after the one under way, whose answer says so.
    pub fn shut_down(&mut self) {
        self.last_request = true;
        self.current.keep_alive = false;
    }

    /// Answers with a body of known length. The body of a HEAD request or of an answer without content is left out.
    pub fn respond(&mut self, exchange: Exchange, head: &ResponseHead, body: Vec<Part>, now: Now) {
        if !self.may_answer(exchange.id) {
            return;
        }
        let len = body.iter().map(Part::len).sum();
        self.settle_request_body(now);
        let announce =
            if head.status.has_no_content() { Announce::Nothing } else { Announce::Length(len) };
        let persistence = self.persistence();
        writer::head(&mut self.queue, head, announce, persistence, now.wall);
        self.body_begins = self.sent + self.queue.len();
        if !self.current.head && !head.status.has_no_content() {
            for part in body {
                self.queue.push(part);
            }
        }
        self.writing = Writing::Flushing;
        self.give_up_if_silent();
    }

    /// Answers with a body that goes on: of `len` bytes, or chunked, or (HTTP/1.0, or not `chunked`) until the connection closes.
    pub fn respond_live(
        &mut self,
        exchange: Exchange,
        head: &ResponseHead,
        len: Option<u64>,
        chunked: bool,
        now: Now,
    ) -> Live {
        let live = Live { id: exchange.id };
        if !self.may_answer(exchange.id) {
            return live;
        }
        self.settle_request_body(now);
        let (announce, framing) = match len {
            Some(len) => (Announce::Length(len), Framing::Length(len)),
            None if chunked && self.current.minor > 0 => (Announce::Chunked, Framing::Chunked),
            None => {
                self.current.keep_alive = false;
                self.current.until_close = true;
                (Announce::Nothing, Framing::Close)
            }
        };
        let persistence = self.persistence();
        writer::head(&mut self.queue, head, announce, persistence, now.wall);
        self.body_begins = self.sent + self.queue.len();
        let framing = if self.current.head { Framing::Muted } else { framing };
        self.writing = Writing::Live { framing, starved: false };
        self.give_up_if_silent();
        live
    }

    /// Adds to a live body.
    pub fn push(&mut self, live: &Live, part: Part) {
        if let (true, Writing::Live { framing, starved }) =
            (self.current.id == live.id, &mut self.writing)
        {
            framing.part(&mut self.queue, part);
            *starved = false;
        }
    }

    /// Ends a live body. If it is shorter than announced, the connection is cut.
    pub fn finish(&mut self, live: Live) {
        if let (true, &Writing::Live { framing, .. }) = (self.current.id == live.id, &self.writing)
        {
            if framing.end(&mut self.queue) {
                self.writing = Writing::Flushing;
            } else {
                self.abort(live);
            }
        }
    }

    /// Gives a live body up: the connection is closed without the end of the body; with a reset where that end would
    /// be the connection's.
    pub fn abort(&mut self, live: Live) {
        if let (true, &Writing::Live { framing, .. }) = (self.current.id == live.id, &self.writing)
        {
            self.end.reset = framing == Framing::Close;
            self.close();
        }
    }

    // ---- writing ----

    /// True if something changed.
    fn step_writing(&mut self, now: Now) -> bool {
        if !self.queue.is_empty() {
            return false;
        }
        match &mut self.writing {
            Writing::Live { starved, .. } if !*starved => {
                *starved = true;
                self.events.push_back(Event::Writable { id: self.current.id });
                true
            }
            Writing::Flushing => {
                self.events.push_back(Event::Sent { id: self.current.id });
                self.after_answer(now);
                true
            }
            Writing::Idle
            | Writing::Due
            | Writing::Live { .. }
            | Writing::Lingering { .. }
            | Writing::Closed => false,
        }
    }

    /// From now on, nothing is sent.
    fn silence(&mut self, why: PeerError) {
        if !self.silent && !matches!(self.writing, Writing::Closed) {
            self.silent = true;
            self.end = Closed { why: Some(why), reset: self.current.until_close };
            self.give_up_if_silent();
        }
    }

    /// An answer that cannot be sent need not be made; unless it comes with a change that is to be made.
    fn give_up_if_silent(&mut self) {
        if !self.silent {
            return;
        }
        self.queue.clear();
        match self.writing {
            Writing::Due if self.current.obeyed => {}
            Writing::Due | Writing::Live { .. } => {
                let why = self.end.why.unwrap_or(PeerError::Truncated);
                self.events.push_back(Event::Aborted { id: self.current.id, why });
                self.drop_request_body();
                self.writing = Writing::Flushing;
            }
            Writing::Lingering { .. } => self.close(),
            Writing::Idle | Writing::Flushing | Writing::Closed => {}
        }
    }

    fn after_answer(&mut self, now: Now) {
        if self.current.keep_alive {
            self.writing = Writing::Idle;
            if let Reading::Held = self.reading {
                self.reading = Reading::Head(HeadReader::default());
            }
            return;
        }
        // A peer that is still sending would lose the answer to a reset (RFC 9112 §9.6).
        let rests = matches!(self.reading, Reading::Held) && self.inbox.is_empty();
        let may_send = !(rests && self.current.asked_to_close);
        self.reading = Reading::Stopped;
        if may_send && !self.eof && !self.silent {
            self.writing = Writing::Lingering { left: self.limits.linger_bytes };
            self.timers.set(Timer::Linger, Some(now.mono + self.limits.linger_time));
            self.events.push_back(Event::ShutdownWrite);
        } else {
            self.close();
        }
    }

    fn may_answer(&self, id: ExchangeId) -> bool {
        self.current.id == id && matches!(self.writing, Writing::Due)
    }

    /// An answer begins: decides what becomes of a request body that is not read to its end, and whether the
    /// connection can be kept.
    fn settle_request_body(&mut self, now: Now) {
        self.drop_request_body();
        let old = self.opened.is_some_and(|opened| now.mono - opened >= self.limits.age);
        if self.last_request || old || self.next_id >= self.limits.requests || self.eof_is_near() {
            self.current.keep_alive = false;
        }
    }

    /// What is left of the request's body is not wanted: a little is read and dropped, more is the end of the connection.
    fn drop_request_body(&mut self) {
        if let Reading::Body(body) = &mut self.reading {
            let short = body.left().is_some_and(|left| left <= self.limits.linger_bytes);
            if short && !self.current.expect {
                body.wanted = false;
            } else {
                self.current.keep_alive = false;
                self.reading = Reading::Stopped;
            }
        }
    }

    /// The peer is gone after what it has sent.
    fn eof_is_near(&self) -> bool {
        self.eof && self.inbox.is_empty()
    }

    fn persistence(&self) -> Persistence {
        match (self.current.keep_alive, self.current.minor) {
            (false, _) => Persistence::Close,
            (true, 0) => Persistence::KeepAlive,
            (true, _) => Persistence::Default,
        }
    }

    // ---- reading ----

    fn wants_data(&self) -> bool {
        let held: usize = self.inbox.iter().map(Bytes::len).sum();
        !self.eof
            && match &self.reading {
                Reading::Head(_) => true,
                Reading::Body(body) => !body.wanted || body.credit > 0,
                Reading::Held => held < self.limits.pipelined,
                Reading::Stopped => matches!(self.writing, Writing::Lingering { .. }),
            }
    }

    /// True if something changed.
    fn step_reading(&mut self, now: Now) -> bool {
        let Some(mut data) = self.inbox.pop_front() else {
            self.inbox = VecDeque::new();
            return self.step_without_data(now);
        };
        let before = data.len();
        let changed = match &mut self.reading {
            Reading::Head(head) => match head.read(&mut data, &self.limits) {
                Ok(Some(request)) => {
                    self.begin(request);
                    true
                }
                Ok(None) => true,
                Err(why) => {
                    self.refuse(why);
                    return true;
                }
            },
            Reading::Body(body) => {
                if !body.wanted {
                    body.credit = u64::MAX;
                }
                if body.credit == 0 && body.left() != Some(0) {
                    false
                } else {
                    body.stop_waiting(now.mono);
                    match body.decode(&mut data, &self.limits) {
                        Ok(decoded) => self.decoded(decoded) || data.len() != before,
                        Err(why) => {
                            self.abort_body(why);
                            return true;
                        }
                    }
                }
            }
            Reading::Held => false,
            Reading::Stopped => {
                self.discard(data.len() as u64);
                return true;
            }
        };
        if !data.is_empty() {
            self.inbox.push_front(data);
        }
        changed
    }

    /// The inbox is empty.
    fn step_without_data(&mut self, now: Now) -> bool {
        if let Reading::Body(body) = &mut self.reading {
            // A body of length 0 is whole without data.
            if body.left() == Some(0) {
                return self.decoded(Decoded::End);
            }
            if !self.eof {
                return false;
            }
            body.stop_waiting(now.mono);
            self.abort_body(PeerError::Truncated);
            return true;
        }
        let done = match self.writing {
            Writing::Idle | Writing::Lingering { .. } => true,
            Writing::Due | Writing::Live { .. } | Writing::Flushing | Writing::Closed => false,
        };
        let close = done && (self.eof || self.last_request && self.rests());
        if close {
            self.close();
        }
        close
    }

    /// No request is under way and none has begun.
    fn rests(&self) -> bool {
        matches!(&self.reading, Reading::Head(head) if !head.has_begun())
            && matches!(self.writing, Writing::Idle)
    }

    fn begin(&mut self, head: RequestHead) {
        self.timers.stop(Timer::Head);
        let exchange = self.next_exchange();
        self.current = Current {
            id: exchange.id,
            head: head.method == Method::Head,
            minor: head.minor,
            keep_alive: head.keep_alive && !self.last_request,
            expect: head.expect_continue,
            until_close: false,
            obeyed: !matches!(head.method, Method::Get | Method::Head | Method::Options),
            asked_to_close: !head.keep_alive,
        };
        self.reading = Body::new(head.body).map_or(Reading::Held, Reading::Body);
        self.writing = Writing::Due;
        self.events.push_back(Event::Request { head: Box::new(head), exchange });
        self.give_up_if_silent();
    }

    fn next_exchange(&mut self) -> Exchange {
        self.next_id += 1;
        Exchange { id: ExchangeId(self.next_id) }
    }

    /// No request is read: one answer, and nothing that follows is read as a request.
    pub(crate) fn refuse(&mut self, why: PeerError) {
        let exchange = self.next_exchange();
        self.current = Current {
            id: exchange.id,
            head: false,
            minor: 1,
            keep_alive: false,
            expect: false,
            until_close: false,
            obeyed: false,
            asked_to_close: false,
        };
        self.stop_reading();
        self.writing = Writing::Due;
        self.events.push_back(Event::Refused { why, exchange });
    }

    fn decoded(&mut self, decoded: Decoded) -> bool {
        let Reading::Body(body) = &self.reading else { return false };
        let (id, wanted) = (self.current.id, body.wanted);
        match decoded {
            Decoded::More => false,
            Decoded::Data(data) => {
                if wanted {
                    self.events.push_back(Event::Data { id, data });
                }
                true
            }
            Decoded::End => {
                self.reading = match self.writing {
                    Writing::Idle => Reading::Head(HeadReader::default()),
                    Writing::Due
                    | Writing::Live { .. }
                    | Writing::Flushing
                    | Writing::Lingering { .. }
                    | Writing::Closed => Reading::Held,
                };
                if wanted {
                    self.events.push_back(Event::End { id });
                }
                true
            }
        }
    }

    fn abort_body(&mut self, why: PeerError) {
        let wanted = matches!(&self.reading, Reading::Body(body) if body.wanted);
        self.stop_reading();
        self.current.keep_alive = false;
        match self.writing {
            Writing::Due | Writing::Live { .. } if wanted => {
                self.events.push_back(Event::Aborted { id: self.current.id, why });
            }
            // The answer does not depend on the body.
            Writing::Due
            | Writing::Live { .. }
            | Writing::Flushing
            | Writing::Lingering { .. }
            | Writing::Closed => {}
            Writing::Idle => self.close(),
        }
    }

    fn stop_reading(&mut self) {
        self.reading = Reading::Stopped;
        self.inbox = VecDeque::new();
    }

    fn discard(&mut self, bytes: u64) {
        if let Writing::Lingering { left } = &mut self.writing {
            match left.checked_sub(bytes) {
                Some(rest) => *left = rest,
                None => self.close(),
            }
        }
    }

    // ---- the end, and time ----

    fn close(&mut self) {
        self.stop_reading();
        self.queue.clear();
        self.writing = Writing::Closed;
        self.timers = Timers::default();
    }

    /// Ends the connection at once.
    fn cut(&mut self, why: PeerError) {
        let answering = match self.writing {
            Writing::Due | Writing::Live { .. } | Writing::Flushing => true,
            Writing::Closed => return,
            Writing::Idle | Writing::Lingering { .. } => false,
        };
        if answering {
            self.events.push_back(Event::Aborted { id: self.current.id, why });
        }
        self.end = Closed { why: Some(why), reset: answering && self.current.until_close };
        self.close();
    }

    fn expire(&mut self, timer: Timer) {
        match timer {
            Timer::Head => self.refuse(PeerError::Timeout(timer)),
            // What came before the deadline was noticed counts.
            Timer::RequestBody if !self.inbox.is_empty() => {}
            Timer::Send if self.sent_some => {}
            Timer::RequestBody => self.abort_body(PeerError::Timeout(timer)),
            Timer::Send => self.cut(PeerError::Timeout(timer)),
            Timer::Idle | Timer::Linger | Timer::Missing | Timer::Penalty => self.close(),
        }
    }

    /// Brings the deadlines in line with the state, once nothing is left to do.
    fn set_timers(&mut self, now: Now) {
        let limits = &self.limits;
        let idle = matches!(self.writing, Writing::Idle);
        let (in_head, resting) = match &self.reading {
            Reading::Head(head) => (idle && head.has_begun(), idle && !head.has_begun()),
            Reading::Body(_) | Reading::Held | Reading::Stopped => (false, false),
        };
        for (timer, active, time) in [
            (Timer::Head, in_head, Some(limits.head_time)),
            // Of a peer that cannot be answered, only what is on its way is waited for.
            (
                Timer::Idle,
                resting,
                if self.silent { Some(limits.head_time) } else { limits.idle_time },
            ),
        ] {
            if !active {
                self.timers.stop(timer);
            } else if !self.timers.is_set(timer) {
                self.timers.set(timer, time.map(|time| now.mono + time));
            }
        }
        if let Reading::Body(body) = &mut self.reading {
            if !body.wanted || body.credit > 0 {
                let deadline = body.deadline(now.mono, limits);
                self.timers.set(Timer::RequestBody, Some(deadline.max(now.mono + TICK)));
            } else {
                body.stop_waiting(now.mono);
                self.timers.stop(Timer::RequestBody);
            }
        } else {
            self.timers.stop(Timer::RequestBody);
        }
        if self.queue.is_empty() {
            self.timers.stop(Timer::Send);
        } else if std::mem::take(&mut self.sent_some) || !self.timers.is_set(Timer::Send) {
            self.timers.set(Timer::Send, Some(now.mono + limits.send_time));
        }
    }
}

/// A deadline that has passed while its event was being dealt with fires at the next moment, not at this one: a `Wait` never
/// names the past.
const TICK: std::time::Duration = std::time::Duration::from_nanos(1);
