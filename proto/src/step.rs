//! What `poll` returns.

use std::time::Instant;

use crate::{error::PeerError, time::Timer};

/// The answer of the one drain. Call `poll` again after [`Step::Do`]; sleep after [`Step::Wait`].
#[must_use]
#[derive(Debug)]
pub enum Step<E> {
    /// Something to be done.
    Do(E),
    /// Nothing is left to do until one of these happens.
    Wait(Wait),
    /// The connection is over: close the socket. Every later call is a no-op.
    Closed(Closed),
}

/// Sleep until one of these happens, or an effect is answered.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Read when the socket is readable; where it is false, do not read: that is back-pressure.
    pub read: bool,
    /// Send what `transmit` shows when the socket is writable. True exactly if it shows something.
    pub write: bool,
    /// Call `poll` again at this time, which is later than the `now` given, and has this name.
    pub deadline: Option<(Instant, Timer)>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// What the peer did, if it was the peer's doing.
    pub why: Option<PeerError>,
    /// Reset the connection instead of closing it: the end of the body would look like a good end.
    pub reset: bool,
}
