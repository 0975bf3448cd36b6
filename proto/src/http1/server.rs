//! A server's side of one connection, as far as HTTP/1.x framing goes: two half-machines and the
//! deadlines.

mod deadlines;
mod reading;
mod writing;

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Instant, SystemTime},
};

use bytes::Bytes;

use super::{
    head::HeadReader,
    reader::{Body, Reading},
    writer::{self, Announce, Framing, Writing},
};
use crate::{
    error::PeerError,
    http::{BodySize, Part, Queue, ResponseHead, Transmit, Version},
    id::ExchangeId,
    limits::Limits,
    step::{Closed, Step, Wait},
    time::{Now, Timer, Timers},
    wire::{BodyWriter, Event, Responder},
};

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
    /// What is to be sent next is being fetched.
    fetching: bool,
    current: Current,
    next_id: u32,
    opened: Option<Instant>,
    last_request: bool,
    /// Nothing that is queued would reach the peer.
    silent: bool,
    /// The connection carries uploads.
    uploads: bool,
    recheck: Recheck,
    /// The deadline that has passed, and is obeyed if the socket has nothing that speaks against
    /// it.
    overdue: Option<Timer>,
    /// Bytes were received since the socket was to be tried.
    heard: bool,
    /// The head of an answer that waits until it is known whether the connection ends with it.
    undecided: Option<Box<Undecided>>,
    /// Bytes confirmed in all.
    sent: u64,
    /// What `sent` is where the body of the answer begins.
    body_begins: u64,
    /// Bytes of the body that may go out before more is allowed, where the answer is paced.
    most: Option<u64>,
    end: Closed,
}

/// Whether the driver is to try the socket itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recheck {
    No,
    /// It is to be told so.
    Due,
    /// It was told so, and has tried when it polls again.
    Done,
}

/// A head that is not queued yet.
#[derive(Debug)]
struct Undecided {
    head: ResponseHead,
    announce: Announce,
    /// Parts of the queue that go before it.
    behind: usize,
    date: SystemTime,
}

/// What must be remembered of the request under way.
#[derive(Debug)]
struct Current {
    id: ExchangeId,
    /// The method is HEAD.
    head: bool,
    version: Version,
    keep_alive: bool,
    /// `100 Continue` is awaited.
    expect: bool,
    /// The end of the answer's body is the end of the connection.
    until_close: bool,
    /// The request is obeyed although its answer cannot be sent.
    obeyed: bool,
    /// The request itself says that it is the last one.
    asked_to_close: bool,
    /// All that the peer sends is the body of this request.
    takes_rest: bool,
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
            fetching: false,
            current: Current {
                id: ExchangeId(0),
                head: false,
                version: Version::Http11,
                keep_alive: true,
                expect: false,
                until_close: false,
                obeyed: false,
                asked_to_close: false,
                takes_rest: false,
            },
            next_id: 0,
            opened: None,
            last_request: false,
            silent: false,
            uploads: false,
            recheck: Recheck::No,
            overdue: None,
            heard: false,
            undecided: None,
            sent: 0,
            body_begins: 0,
            most: None,
            end: Closed::default(),
        }
    }

    // ---- facts from the socket: they cannot fail ----

    /// Bytes were received.
    pub fn handle_data(&mut self, data: Bytes) {
        let deaf = self.eof || matches!(self.writing, Writing::Closed);
        if !deaf && !data.is_empty() {
            self.timers.stop(Timer::Idle);
            self.heard = true;
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
        self.sent = self.sent.saturating_add(sent);
    }

    /// What is to be sent next is being fetched from a disk, or not any more. Meanwhile it is not
    /// the peer that is waited for: no send deadline runs.
    pub fn handle_fetching(&mut self, fetching: bool) {
        self.fetching = fetching;
    }

    /// Nothing can be sent any more. What the peer sent before is still read and obeyed: an encoder
    /// that ends without reading its answers resets the connection behind its last upload.
    pub fn handle_unsendable(&mut self, why: io::ErrorKind) {
        self.silence(PeerError::Broken(why));
    }

    /// The socket failed: nothing can be sent or received any more. What was received is still
    /// obeyed.
    pub fn handle_broken(&mut self, why: io::ErrorKind) {
        self.eof = true;
        self.silence(PeerError::Broken(why));
    }

    // ---- the one drain and the one peek ----

    /// Goes on until something happened or nothing is left to do.
    pub fn poll(&mut self, now: Now) -> Step<Event> {
        self.opened.get_or_insert(now.mono);
        loop {
            while self.overdue.is_none()
                && let Some(timer) = self.timers.take_due(now.mono)
            {
                self.expire(timer);
            }
            if let Some(event) = self.events.pop_front() {
                return Step::Do(event);
            }
            if let Writing::Closed = self.writing {
                return Step::Closed(self.end);
            }
            if self.step_writing(now) || self.step_reading(now) {
                continue;
            }
            match self.recheck {
                Recheck::No => break,
                Recheck::Due => {
                    self.recheck = Recheck::Done;
                    return Step::Do(Event::Recheck { read: self.wants_data() });
                }
                Recheck::Done => self.rechecked(),
            }
        }
        self.set_timers(now);
        Step::Wait(Wait {
            read: self.wants_data(),
            write: !self.queue.is_empty() && self.room() > 0,
            deadline: self.timers.next(),
        })
    }

    /// What is ready to be sent, if anything is.
    pub fn transmit(&self) -> Option<Transmit<'_>> {
        self.queue.peek(self.room())
    }

    /// Bytes that may go out now.
    fn room(&self) -> u64 {
        if self.undecided.is_some() {
            return 0;
        }
        let paced = |most| self.body_begins.saturating_add(most).saturating_sub(self.sent);
        self.most.map_or(u64::MAX, paced)
    }

    /// True if something of the response waits for its [send limit](Self::set_send_limit) to be
    /// raised.
    pub fn is_send_limited(&self, id: ExchangeId) -> bool {
        self.current.id == id
            && self.undecided.is_none()
            && !self.queue.is_empty()
            && self.room() == 0
    }

    /// False once nothing that is said gets to the peer any more.
    pub fn reaches_peer(&self) -> bool {
        !self.silent
    }

    /// Bytes of the body of this response that are with the socket, with their framing; 0 unless it
    /// is the latest one.
    pub fn body_sent(&self, id: ExchangeId) -> u64 {
        if self.current.id == id { self.sent.saturating_sub(self.body_begins) } else { 0 }
    }

    // ---- commands; those that name an exchange that is over are ignored ----

    /// Lets up to `bytes` more of the request's body come. The first grant sends `100 Continue`
    /// where it is awaited.
    pub fn grant(&mut self, id: ExchangeId, bytes: u64) {
        if self.current.id != id {
            return;
        }
        let answers = matches!(self.writing, Writing::Due | Writing::Live { .. });
        if let (Reading::Body(body), true) = (&mut self.reading, answers) {
            body.credit = bytes;
            if std::mem::take(&mut self.current.expect) && !self.silent {
                writer::hundred_continue(&mut self.queue);
            }
        }
    }

    /// Of the body of this answer, at most so many bytes may go out until the next call.
    pub fn set_send_limit(&mut self, id: ExchangeId, bytes: u64) {
        if self.current.id == id && matches!(self.writing, Writing::Live { .. } | Writing::Flushing)
        {
            self.most = Some(bytes);
        }
    }

    /// All that the peer sends from now on is the body of this request, which announces none
    /// (Icecast's source clients).
    pub fn take_rest(&mut self, id: ExchangeId) {
        if let (true, Reading::Held, Writing::Due) =
            (self.current.id == id, &self.reading, &self.writing)
        {
            self.reading = Reading::Body(Body::until_close());
            self.current.keep_alive = false;
            self.current.takes_rest = true;
        }
    }

    /// Ends the connection at once, in the middle of whatever is under way.
    pub fn abort_all(&mut self, why: io::ErrorKind) {
        self.cut(PeerError::Broken(why));
    }

    /// The connection is to end soon: with the answer behind which the peer has sent no more, which
    /// says so. What the peer has sent already is taken and answered first.
    pub fn shut_down(&mut self) {
        self.last_request = true;
    }

    /// No request is taken after this one, whose response says so.
    pub fn close_after_response(&mut self, id: ExchangeId) {
        if self.current.id == id {
            self.current.keep_alive = false;
        }
    }

    /// A body of unknown size is not chunked: it ends with the connection.
    pub fn delimit_by_close(&mut self, id: ExchangeId) {
        if self.current.id == id {
            self.current.until_close = true;
        }
    }

    /// Ends the connection in the middle of this exchange, if that is under way.
    pub fn reset(&mut self, id: ExchangeId, why: io::ErrorKind) {
        if self.current.id == id {
            self.cut(PeerError::Broken(why));
        }
    }

    /// Answers with a body of known length. The body of a HEAD request or of an answer without
    /// content is left out.
    pub fn respond(
        &mut self,
        responder: Responder,
        head: &ResponseHead,
        body: Vec<Part>,
        now: Now,
    ) {
        if !self.may_answer(responder.id) {
            return;
        }
        let len = body.iter().map(Part::len).sum();
        self.settle_request_body();
        let announce =
            if head.status.has_no_content() { Announce::Nothing } else { Announce::Length(len) };
        self.answer_head(head, announce, now);
        if !self.current.head && !head.status.has_no_content() {
            for part in body {
                self.queue.push(part);
            }
        }
        self.writing = Writing::Flushing;
        self.give_up_if_silent();
    }

    /// Answers with a body that goes on: of known size, or chunked, or (HTTP/1.0, or
    /// [asked for](Self::delimit_by_close)) until the connection closes.
    pub fn respond_stream(
        &mut self,
        responder: Responder,
        head: &ResponseHead,
        size: BodySize,
        now: Now,
    ) -> BodyWriter {
        let writer = BodyWriter { id: responder.id };
        if !self.may_answer(responder.id) {
            return writer;
        }
        self.settle_request_body();
        let in_chunks = self.current.version > Version::Http10 && !self.current.until_close;
        self.current.until_close = false;
        let (announce, framing) = match size.len() {
            Some(len) => (Announce::Length(len), Framing::Length(len)),
            None if in_chunks => (Announce::Chunked, Framing::Chunked),
            None => {
                self.current.keep_alive = false;
                self.current.until_close = true;
                (Announce::Nothing, Framing::Close)
            }
        };
        self.answer_head(head, announce, now);
        let framing = if self.current.head { Framing::Muted } else { framing };
        self.writing = Writing::Live { framing, starved: false };
        self.give_up_if_silent();
        writer
    }

    /// Adds to a live body.
    pub fn push(&mut self, writer: &BodyWriter, part: Part) {
        if let (true, Writing::Live { framing, starved }) =
            (self.current.id == writer.id, &mut self.writing)
        {
            framing.part(&mut self.queue, part);
            *starved = false;
        }
    }

    /// Ends a live body. If it is shorter than announced, the connection is cut.
    pub fn finish(&mut self, writer: BodyWriter) {
        if let (true, &Writing::Live { framing, .. }) =
            (self.current.id == writer.id, &self.writing)
        {
            if framing.end(&mut self.queue) {
                self.writing = Writing::Flushing;
            } else {
                self.abort(writer);
            }
        }
    }

    /// Gives a live body up: the connection is closed without the end of the body; with a reset
    /// where that end would be the connection's. Not where the answer has no body: it was given to
    /// one that sends without an end.
    pub fn abort(&mut self, writer: BodyWriter) {
        if let (true, &Writing::Live { framing, .. }) =
            (self.current.id == writer.id, &self.writing)
        {
            self.end.reset = framing == Framing::Close && !self.current.takes_rest;
            self.close();
        }
    }
}
