//! A client's side of one connection, as far as HTTP/1.x framing goes: the halves of the
//! [server](super::Server) with the roles exchanged.

mod deadlines;
mod reading;

use std::{collections::VecDeque, io, io::Write, sync::Arc};

use bytes::Bytes;

pub(crate) use self::deadlines::Alarms;
use super::{
    reader::Body,
    response::{Response, ResponseReader},
    writer::{self, Framing},
};
use crate::{
    error::PeerError,
    http::{BodySize, Method, Part, Queue, RequestBuilder, Transmit},
    limits::Limits,
    step::{Closed, Step, Wait},
    time::{Now, Timer},
};

/// More of the body is wanted once less than this many bytes are queued.
const LOW_WATER: u64 = 64 << 10;

/// What happened on the connection.
#[derive(Debug)]
pub enum ClientEvent {
    /// The body that was held back may be pushed.
    Continue {
        /// `100 Continue` came; false: it did not come in time ([`Limits::continue_time`]), and the
        /// server may not know it.
        asked: bool,
    },
    /// The head of the final answer. It may come before the request is sent: an error then ends the
    /// sending, a success does not.
    Response(Box<Response>),
    /// A piece of the answer's body: a slice of what was received.
    Data(Bytes),
    /// The answer is whole, or as much of it was read as will be, and the request will be sent no
    /// further. The connection is ready for the next request, or [`Step::Closed`] follows.
    Done {
        /// The request was sent to its last byte.
        sent: bool,
    },
    /// Try the socket itself before the next poll, whatever is known of its readiness: a deadline
    /// has passed, and what the server did before counts. Send what [`Client::transmit`] shows;
    /// receive.
    Recheck,
}

/// A client's side of one connection. Requests are made one at a time.
#[derive(Debug)]
pub struct Client {
    limits: Arc<Limits>,
    inbox: VecDeque<Bytes>,
    eof: bool,
    /// Nothing can be sent any more.
    unsendable: Option<io::ErrorKind>,
    reading: Reading,
    writing: Writing,
    queue: Queue,
    events: VecDeque<ClientEvent>,
    alarms: Alarms,
    /// Bytes were confirmed since the send deadline was set.
    sent_some: bool,
    /// What is to be sent next is being fetched.
    fetching: bool,
    overdue: Overdue,
    /// Bytes were received since a deadline passed.
    late: bool,
    /// The connection can be kept behind the answer.
    keep: bool,
    /// The request is HEAD.
    head: bool,
    interim: u32,
    heard: bool,
    /// Bytes of the answer's body so far.
    received: u64,
    end: Option<Closed>,
}

/// A deadline that has passed, and is obeyed if the socket has nothing that speaks against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overdue {
    Nothing,
    /// The driver is to try the socket.
    Untried(Timer),
    /// It was told so, and has tried when it polls again.
    Tried(Timer),
}

/// ```text
///  Resting ---> Head --------------> Body ----> Whole --(request sent)--> Resting, or the end
///                ^ \__ 1xx __/  \_____ no body ___^
/// ```
#[derive(Debug)]
enum Reading {
    /// No answer is due.
    Resting,
    /// An answer is due, or inside its head.
    Head(ResponseReader),
    /// Inside its body.
    Body(Body),
    /// It is whole; what comes behind it is dropped.
    Whole,
}

/// ```text
///  Resting --+--> Expecting --(100, or its deadline)--> Live ---> Flushing ---> Done ---> Resting
///            |        \                                 ^ |          |
///            |         +---------- an error answer ---- | +----------+--> Stopped
///            +------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// No request is under way.
    Resting,
    /// The head is queued, the body waits for `100 Continue`.
    Expecting(Framing),
    /// The body goes on.
    Live(Framing),
    /// The request is queued to its end.
    Flushing,
    /// The request is sent.
    Done,
    /// The request was given up before its end: the connection cannot be used again.
    Stopped,
}

impl Client {
    /// A fresh connection.
    pub fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            inbox: VecDeque::new(),
            eof: false,
            unsendable: None,
            reading: Reading::Resting,
            writing: Writing::Resting,
            queue: Queue::default(),
            events: VecDeque::new(),
            alarms: Alarms::default(),
            sent_some: false,
            fetching: false,
            overdue: Overdue::Nothing,
            late: false,
            keep: true,
            head: false,
            interim: 0,
            heard: false,
            received: 0,
            end: None,
        }
    }

    // ---- facts from the socket: they cannot fail ----

    /// Bytes were received.
    pub fn handle_data(&mut self, data: Bytes) {
        if !self.eof && self.end.is_none() && !data.is_empty() {
            self.late = true;
            self.inbox.push_back(data);
        }
    }

    /// The server will send no more.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// `sent` bytes of what [`transmit`](Self::transmit) showed are with the socket.
    pub fn handle_sent(&mut self, sent: u64) {
        self.queue.advance(sent);
        self.sent_some |= sent > 0;
    }

    /// What is to be sent next is being fetched from a disk, or not any more. Meanwhile it is not
    /// the server that is waited for: no send deadline runs.
    pub fn handle_fetching(&mut self, fetching: bool) {
        self.fetching = fetching;
    }

    /// Nothing can be sent any more. An answer may still come: servers that refuse an upload close
    /// before they have read it.
    pub fn handle_unsendable(&mut self, why: io::ErrorKind) {
        self.unsendable.get_or_insert(why);
        self.stop_sending();
    }

    /// The socket failed: nothing can be sent or received any more. What was received still counts.
    pub fn handle_broken(&mut self, why: io::ErrorKind) {
        self.eof = true;
        self.handle_unsendable(why);
    }

    // ---- the one drain and the one peek ----

    /// Goes on until something happened or nothing is left to do.
    pub fn poll(&mut self, now: Now) -> Step<ClientEvent> {
        loop {
            while self.overdue == Overdue::Nothing
                && let Some(timer) = self.alarms.take_due(now.mono)
            {
                self.expire(timer);
            }
            if let Some(event) = self.events.pop_front() {
                return Step::Do(event);
            }
            if let Some(end) = self.end {
                self.queue.clear();
                self.inbox = VecDeque::new();
                return Step::Closed(end);
            }
            if self.step_writing() || self.step_reading() || self.settle() {
                continue;
            }
            match self.overdue {
                Overdue::Nothing => break,
                Overdue::Untried(timer) => {
                    self.overdue = Overdue::Tried(timer);
                    return Step::Do(ClientEvent::Recheck);
                }
                Overdue::Tried(timer) => {
                    self.overdue = Overdue::Nothing;
                    self.obey(timer);
                }
            }
        }
        self.set_alarms(now);
        Step::Wait(Wait {
            read: !self.eof,
            write: !self.queue.is_empty(),
            deadline: self.alarms.next(),
        })
    }

    /// What is ready to be sent, if anything is.
    pub fn transmit(&self) -> Option<Transmit<'_>> {
        self.queue.peek(u64::MAX)
    }

    /// True if a request may be made: none is under way, and the connection is not known to be at
    /// its end.
    pub fn is_ready(&self) -> bool {
        matches!((&self.reading, self.writing), (Reading::Resting, Writing::Resting))
            && self.end.is_none()
            && !self.eof
            && self.inbox.is_empty()
    }

    /// True if the body goes on and little of it is queued: now is the time to
    /// [`push`](Self::push).
    pub fn wants_body(&self) -> bool {
        matches!(self.writing, Writing::Live(_)) && self.queue.len() < LOW_WATER
    }

    /// True once a byte of the answer to the latest request has come.
    pub fn heard(&self) -> bool {
        self.heard
    }

    /// True if the latest request is with the socket to its last byte.
    pub fn is_sent(&self) -> bool {
        matches!(self.writing, Writing::Done)
    }

    /// Bytes that wait to be sent, with their framing.
    pub fn backlog(&self) -> u64 {
        self.queue.len()
    }

    // ---- commands; those that do not fit the state are ignored ----

    /// Makes a request, if the connection [is ready](Self::is_ready): false if it is not.
    pub fn request(&mut self, request: &RequestBuilder, body: BodySize) -> bool {
        if !self.is_ready() {
            return false;
        }
        self.keep = !request.last;
        self.head = request.method == Method::Head;
        (self.interim, self.heard, self.received) = (0, false, 0);
        // A body of no bytes needs no permission.
        let expect = request.expect && !matches!(body, BodySize::Empty | BodySize::Known(0));
        self.queue.bytes(head(request, body, expect));
        self.writing = match body {
            BodySize::Empty | BodySize::Known(0) => Writing::Flushing,
            BodySize::Known(len) => Writing::Live(Framing::Length(len)),
            BodySize::Unknown => Writing::Live(Framing::Chunked),
        };
        if let (true, Writing::Live(framing)) = (expect, self.writing) {
            self.writing = Writing::Expecting(framing);
        }
        self.reading = Reading::Head(ResponseReader::default());
        self.alarms.stop(Timer::Idle);
        true
    }

    /// Adds to the body; what goes beyond its length is left out.
    pub fn push(&mut self, part: Part) {
        if let Writing::Live(framing) = &mut self.writing {
            framing.part(&mut self.queue, part);
            if *framing == Framing::Length(0) {
                self.writing = Writing::Flushing;
            }
        }
    }

    /// Ends a chunked body. One that is shorter than its length has no end: the connection is cut.
    pub fn finish(&mut self) {
        if let Writing::Live(framing) = self.writing {
            if framing.end(&mut self.queue) {
                self.writing = Writing::Flushing;
            } else {
                self.abort();
            }
        }
    }

    /// Ends the connection at once. A body that is under way gets no end.
    pub fn abort(&mut self) {
        self.cut(None);
    }

    fn cut(&mut self, why: Option<PeerError>) {
        self.end.get_or_insert(Closed { why, reset: false });
    }

    /// What is left of the request is not sent.
    fn stop_sending(&mut self) {
        match self.writing {
            Writing::Expecting(_) | Writing::Live(_) | Writing::Flushing => {
                self.queue.clear();
                self.writing = Writing::Stopped;
                self.keep = false;
            }
            Writing::Resting | Writing::Done | Writing::Stopped => self.keep = false,
        }
    }

    /// True if something changed.
    fn step_writing(&mut self) -> bool {
        let sent = self.writing == Writing::Flushing && self.queue.is_empty();
        if sent {
            self.writing = Writing::Done;
        }
        sent
    }

    /// Ends an exchange whose both halves are over. True if something changed.
    fn settle(&mut self) -> bool {
        let sent = match (&self.reading, self.writing) {
            (Reading::Whole, Writing::Done) => true,
            (Reading::Whole, Writing::Stopped) => false,
            (Reading::Resting | Reading::Head(_) | Reading::Body(_) | Reading::Whole, _) => {
                return false;
            }
        };
        self.events.push_back(ClientEvent::Done { sent });
        self.alarms.stop(Timer::Answer);
        if self.keep {
            self.reading = Reading::Resting;
            self.writing = Writing::Resting;
        } else {
            self.cut(None);
        }
        true
    }
}

/// The head of a request, together with its framing fields.
fn head(request: &RequestBuilder, body: BodySize, expect: bool) -> Vec<u8> {
    let RequestBuilder { method, target, authority, fields, .. } = request;
    let len = target.len() + authority.len() + writer::size(fields);
    let mut out = Vec::with_capacity(len + 160);
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{method} {target} HTTP/1.1\r\nHost: {authority}\r\n");
    writer::fields(&mut out, fields);
    let _ = match body {
        BodySize::Empty => Ok(()),
        BodySize::Known(len) => write!(out, "Content-Length: {len}\r\n"),
        BodySize::Unknown => write!(out, "Transfer-Encoding: chunked\r\n"),
    };
    if expect {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    if request.last {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
mod tests;
