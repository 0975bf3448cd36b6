//! What every version of HTTP tells a [`Session`](crate::Session): requests, their bodies, and how
//! far responses are.

use bytes::Bytes;

use crate::{error::PeerError, http::RequestHead, id::ExchangeId};

/// The right to respond to one request, once.
#[must_use = "a request must be answered"]
#[derive(Debug)]
pub struct Responder {
    pub(crate) id: ExchangeId,
}

impl Responder {
    /// Which request.
    pub fn id(&self) -> ExchangeId {
        self.id
    }
}

/// The right to go on with the body of one response.
#[must_use = "a body must be ended"]
#[derive(Debug)]
pub struct BodyWriter {
    pub(crate) id: ExchangeId,
}

impl BodyWriter {
    /// Which response.
    pub fn id(&self) -> ExchangeId {
        self.id
    }
}

/// What happened on the connection.
#[derive(Debug)]
pub enum Event {
    /// A request; its body, if there is one, comes once it is granted.
    Request {
        /// The head.
        head: Box<RequestHead>,
        /// To be answered.
        responder: Responder,
    },
    /// A request that breaks the rules. To be answered with `why`'s status; the connection closes
    /// then.
    Refused {
        /// Which rule.
        why: PeerError,
        /// The request line, as far as it came; not what was received before it, nor the fields.
        line: Option<String>,
        /// To be answered.
        responder: Responder,
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
    /// The request's body cannot be had, or its answer cannot be delivered. If no answer was begun,
    /// one may still be given; the connection closes in any case.
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
    /// Try the socket itself before the next poll, whatever is known of its readiness: a deadline
    /// has passed, or the connection is to end, and what the peer sent before counts. Send what
    /// [`transmit`](crate::Session::transmit) shows; receive if `read`.
    Recheck {
        /// Something may be received.
        read: bool,
    },
}
