//! The seam between a session and the versions of HTTP: one method for each thing that a session
//! says, or is told.

use std::io;

use bytes::Bytes;

use crate::{
    error::PeerError,
    http::{BodySize, Part, ResponseHead, Transmit},
    http1,
    id::ExchangeId,
    step::Step,
    time::Now,
    wire::{BodyWriter, Event, Responder},
};

/// A connection in the version of HTTP that is spoken on it. Commands that name an exchange that is
/// over are ignored.
#[derive(Debug)]
pub(super) enum Wire {
    /// HTTP/1.0 and HTTP/1.1: one exchange at a time.
    Http1(http1::Server),
}

impl Wire {
    pub(super) fn handle_data(&mut self, data: Bytes) {
        match self {
            Self::Http1(http1) => http1.handle_data(data),
        }
    }

    pub(super) fn handle_eof(&mut self) {
        match self {
            Self::Http1(http1) => http1.handle_eof(),
        }
    }

    pub(super) fn handle_sent(&mut self, sent: u64) {
        match self {
            Self::Http1(http1) => http1.handle_sent(sent),
        }
    }

    pub(super) fn handle_fetching(&mut self, fetching: bool) {
        match self {
            Self::Http1(http1) => http1.handle_fetching(fetching),
        }
    }

    pub(super) fn handle_unsendable(&mut self, why: io::ErrorKind) {
        match self {
            Self::Http1(http1) => http1.handle_unsendable(why),
        }
    }

    pub(super) fn handle_broken(&mut self, why: io::ErrorKind) {
        match self {
            Self::Http1(http1) => http1.handle_broken(why),
        }
    }

    pub(super) fn poll(&mut self, now: Now) -> Step<Event> {
        match self {
            Self::Http1(http1) => http1.poll(now),
        }
    }

    pub(super) fn transmit(&self) -> Option<Transmit<'_>> {
        match self {
            Self::Http1(http1) => http1.transmit(),
        }
    }

    /// False once nothing that is said reaches the client any more.
    pub(super) fn reaches_peer(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.reaches_peer(),
        }
    }

    /// Lets up to `bytes` more of the request's body come (100 Continue).
    pub(super) fn grant(&mut self, id: ExchangeId, bytes: u64) {
        match self {
            Self::Http1(http1) => http1.grant(id, bytes),
        }
    }

    /// Responds with a body that is known.
    pub(super) fn respond(
        &mut self,
        responder: Responder,
        head: &ResponseHead,
        body: Vec<Part>,
        now: Now,
    ) {
        match self {
            Self::Http1(http1) => http1.respond(responder, head, body, now),
        }
    }

    /// Responds with a body that goes on.
    pub(super) fn respond_stream(
        &mut self,
        responder: Responder,
        head: &ResponseHead,
        size: BodySize,
        now: Now,
    ) -> BodyWriter {
        match self {
            Self::Http1(http1) => http1.respond_stream(responder, head, size, now),
        }
    }

    /// Adds to a body.
    pub(super) fn push(&mut self, writer: &BodyWriter, part: Part) {
        match self {
            Self::Http1(http1) => http1.push(writer, part),
        }
    }

    /// Ends a body.
    pub(super) fn finish(&mut self, writer: BodyWriter) {
        match self {
            Self::Http1(http1) => http1.finish(writer),
        }
    }

    /// Gives a body up: the client sees that it is not whole.
    pub(super) fn abort(&mut self, writer: BodyWriter) {
        match self {
            Self::Http1(http1) => http1.abort(writer),
        }
    }

    /// Ends an exchange in the middle of whatever is under way: [`Event::Aborted`] follows (close).
    pub(super) fn reset(&mut self, id: ExchangeId, why: io::ErrorKind) {
        match self {
            Self::Http1(http1) => http1.reset(id, why),
        }
    }

    /// Of the response's body, at most so many bytes may go out until the next call.
    pub(super) fn set_send_limit(&mut self, id: ExchangeId, bytes: u64) {
        match self {
            Self::Http1(http1) => http1.set_send_limit(id, bytes),
        }
    }

    /// True if something of the response waits for its send limit to be raised.
    pub(super) fn is_send_limited(&self, id: ExchangeId) -> bool {
        match self {
            Self::Http1(http1) => http1.is_send_limited(id),
        }
    }

    /// Bytes of the response's body that are with the socket, with their framing.
    pub(super) fn body_sent(&self, id: ExchangeId) -> u64 {
        match self {
            Self::Http1(http1) => http1.body_sent(id),
        }
    }

    /// The connection is to end soon; what the client has sent already is taken and answered first.
    pub(super) fn shut_down(&mut self) {
        match self {
            Self::Http1(http1) => http1.shut_down(),
        }
    }

    /// Ends the connection at once, in the middle of whatever is under way.
    pub(super) fn abort_all(&mut self, why: io::ErrorKind) {
        match self {
            Self::Http1(http1) => http1.abort_all(why),
        }
    }

    /// No request is read: one response, and nothing that follows is read as a request.
    pub(super) fn refuse(&mut self, why: PeerError) {
        match self {
            Self::Http1(http1) => http1.refuse(why),
        }
    }

    // ---- what only a connection with one exchange at a time can do ----

    /// All that the client sends from now on is the body of this request, which announces none
    /// (Icecast's source clients).
    pub(super) fn take_rest(&mut self, id: ExchangeId) {
        match self {
            Self::Http1(http1) => http1.take_rest(id),
        }
    }

    /// The body of unknown size that this exchange is about to send ends with the connection, not
    /// in chunks.
    pub(super) fn delimit_by_close(&mut self, id: ExchangeId) {
        match self {
            Self::Http1(http1) => http1.delimit_by_close(id),
        }
    }

    /// No request is taken after the one under way, whose response says so.
    pub(super) fn close_after_response(&mut self, id: ExchangeId) {
        match self {
            Self::Http1(http1) => http1.close_after_response(id),
        }
    }
}
