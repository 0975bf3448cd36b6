//! A connection between a client and the server: two pipes of bounded room, and the ways in which
//! they end.

use std::collections::VecDeque;

/// How one direction of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order, after all bytes.
    Fin,
    /// By a reset: what was on its way may be lost.
    Reset,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Pipe {
    bytes: VecDeque<u8>,
    room: usize,
    end: Option<End>,
}

/// What reading gives.
#[derive(Debug)]
pub(crate) enum Read {
    Bytes(Vec<u8>),
    End(End),
}

impl Pipe {
    pub(crate) fn new(room: usize) -> Self {
        Self { bytes: VecDeque::new(), room, end: None }
    }

    /// Bytes that may be written now.
    pub(crate) fn space(&self) -> usize {
        if self.end.is_some() { 0 } else { self.room - self.bytes.len() }
    }

    pub(crate) fn ended(&self) -> Option<End> {
        self.end
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.space(), "nobody writes what there is no space for");
        self.bytes.extend(bytes);
    }

    /// Ends it. After a reset the bytes under way may be lost: `keep` of them are not.
    pub(crate) fn finish(&mut self, end: End, keep: usize) {
        if end == End::Reset {
            self.bytes.truncate(keep);
            self.end = Some(end);
        }
        self.end.get_or_insert(end);
    }

    /// There are bytes, or the end.
    pub(crate) fn is_readable(&self) -> bool {
        !self.bytes.is_empty() || self.end.is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Reads up to `most` bytes; to be called only if it is readable.
    pub(crate) fn read(&mut self, most: usize) -> Read {
        match self.end {
            Some(end) if self.bytes.is_empty() => Read::End(end),
            _ => Read::Bytes(self.bytes.drain(..most.min(self.bytes.len())).collect()),
        }
    }
}

/// Both directions.
#[derive(Debug)]
pub(crate) struct Link {
    /// From the client.
    pub(crate) up: Pipe,
    /// To the client.
    pub(crate) down: Pipe,
}

impl Link {
    pub(crate) fn new(room: usize) -> Self {
        Self { up: Pipe::new(room), down: Pipe::new(room) }
    }

    /// The client resets the connection; `keep` bytes of what it had sent still arrive.
    pub(crate) fn reset_by_client(&mut self, keep: usize) {
        self.up.finish(End::Reset, keep);
        self.down.finish(End::Reset, 0);
    }

    /// The client has closed its socket: what it sent arrives, what is sent to it is answered by a
    /// reset.
    pub(crate) fn closed_by_client(&mut self) {
        self.up.finish(End::Fin, 0);
        self.down.finish(End::Reset, 0);
    }

    /// The server has closed its socket.
    pub(crate) fn closed_by_server(&mut self, end: End, keep: usize) {
        self.down.finish(end, keep);
        self.up.finish(End::Reset, 0);
    }
}
