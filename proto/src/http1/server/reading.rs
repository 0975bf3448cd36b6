//! The reading half: requests and their bodies, taken out of what was received.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Current, Server};
use crate::{
    error::PeerError,
    http::{BodySize, Method, RequestHead, Version},
    http1::{
        chunked::Decoded,
        head::{HeadReader, ReceivedRequest},
        reader::{Body, Reading},
        writer::Writing,
    },
    id::ExchangeId,
    time::{Now, Timer},
    wire::{Event, Responder},
};

/// The stream of a SOURCE without a length begins behind its head: where the request is refused, no
/// other request follows.
fn is_endless_source(head: &RequestHead) -> bool {
    head.method == Method::Source && !matches!(head.body, BodySize::Known(_))
}

impl Server {
    pub(super) fn wants_data(&self) -> bool {
        let held: usize = self.inbox.iter().map(Bytes::len).sum();
        !self.eof
            && match &self.reading {
                Reading::Head(_) => true,
                Reading::Body(body) => body.is_awaited(),
                Reading::Held => held < self.limits.pipelined,
                Reading::Stopped => matches!(self.writing, Writing::Lingering { .. }),
            }
    }

    /// True if something changed.
    pub(super) fn step_reading(&mut self, now: Now) -> bool {
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
                        Ok(decoded) => self.decoded(decoded, now) || data.len() != before,
                        Err(why) => {
                            self.abort_body(why);
                            return true;
                        }
                    }
                }
            }
            Reading::Held => false,
            Reading::Stopped => {
                self.discard(data.len() as u64, now);
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
                return self.decoded(Decoded::End, now);
            }
            if !self.eof {
                return false;
            }
            body.stop_waiting(now.mono);
            if body.is_until_close() {
                return self.decoded(Decoded::End, now);
            }
            self.abort_body(PeerError::Truncated);
            return true;
        }
        let done = match self.writing {
            Writing::Idle | Writing::Lingering { .. } => true,
            Writing::Due | Writing::Live { .. } | Writing::Flushing | Writing::Closed => false,
        };
        let close = done && self.eof;
        if close {
            self.close();
        } else if self.last_request && self.rests() {
            self.ask_to_recheck();
        }
        close
    }

    /// No request is under way and none has begun.
    pub(super) fn rests(&self) -> bool {
        matches!(&self.reading, Reading::Head(head) if !head.has_begun())
            && matches!(self.writing, Writing::Idle)
            && self.inbox.is_empty()
    }

    fn begin(&mut self, request: ReceivedRequest) {
        let ReceivedRequest { head, keep_alive } = request;
        self.timers.stop(Timer::Head);
        let responder = self.next_exchange();
        let changes = !matches!(head.method, Method::Get | Method::Head | Method::Options);
        self.uploads |= changes;
        self.current = Current {
            id: responder.id,
            head: head.method == Method::Head,
            version: head.version,
            keep_alive: keep_alive && !is_endless_source(&head),
            expect: head.expect_continue,
            until_close: false,
            obeyed: changes,
            asked_to_close: !keep_alive,
            takes_rest: false,
        };
        self.reading = Body::of_request(head.body).map_or(Reading::Held, Reading::Body);
        self.writing = Writing::Due;
        self.events.push_back(Event::Request { head: Box::new(head), responder });
        self.give_up_if_silent();
    }

    fn next_exchange(&mut self) -> Responder {
        self.next_id = self.next_id.wrapping_add(1);
        Responder { id: ExchangeId(self.next_id) }
    }

    /// No request is read: one answer, and nothing that follows is read as a request.
    pub(crate) fn refuse(&mut self, why: PeerError) {
        let responder = self.next_exchange();
        self.current = Current {
            id: responder.id,
            head: false,
            version: Version::Http11,
            keep_alive: false,
            expect: false,
            until_close: false,
            obeyed: false,
            asked_to_close: false,
            takes_rest: false,
        };
        let line = match &self.reading {
            Reading::Head(head) => head.start_line(&self.limits),
            Reading::Body(_) | Reading::Held | Reading::Stopped => None,
        };
        self.stop_reading();
        self.writing = Writing::Due;
        self.events.push_back(Event::Refused { why, line, responder });
    }

    fn decoded(&mut self, decoded: Decoded, now: Now) -> bool {
        let Reading::Body(body) = &self.reading else { return false };
        let (id, wanted) = (self.current.id, body.wanted);
        match decoded {
            Decoded::More => false,
            Decoded::Data(data) => {
                if wanted {
                    self.events.push_back(Event::Data { id, data });
                } else if body.dropped() > self.limits.unwanted_body {
                    self.leave_body(now);
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

    /// More of an unwanted body comes than is worth reading.
    fn leave_body(&mut self, now: Now) {
        self.current.keep_alive = false;
        self.reading = Reading::Stopped;
        if let Writing::Idle = self.writing {
            self.linger(now);
        }
    }

    pub(super) fn abort_body(&mut self, why: PeerError) {
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

    pub(super) fn stop_reading(&mut self) {
        self.reading = Reading::Stopped;
        self.inbox = VecDeque::new();
    }

    fn discard(&mut self, bytes: u64, now: Now) {
        if let Writing::Lingering { left, until } = &mut self.writing {
            match left.checked_sub(bytes) {
                Some(rest) => {
                    *left = rest;
                    let pause = now.mono + self.limits.linger_pause;
                    self.timers.set(Timer::Linger, Some(pause.min(*until)));
                }
                None => self.close(),
            }
        }
    }
}
