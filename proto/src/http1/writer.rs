//! The writing half: response heads and the framing of their bodies.

use std::{
    io::Write,
    time::{Instant, SystemTime},
};

use bytes::Bytes;

use crate::http::{HeaderList, Part, Queue, ResponseHead, Status};

/// ```text
///       request read       head queued         all queued          all sent
///   Idle ---------> Due ---------------> Live -----------> Flushing ---+--> Idle
///                     \____ whole answer ____________________^          |
///                                                                       +--> Lingering --> Closed
/// ```
#[derive(Debug)]
pub(crate) enum Writing {
    /// No answer is due.
    Idle,
    /// An answer is due.
    Due,
    /// The body goes on.
    Live {
        framing: Framing,
        /// All that was pushed is sent, and the session was told.
        starved: bool,
    },
    /// The answer is queued to its end.
    Flushing,
    /// The last answer is sent; this many bytes more are read and dropped, until then at most.
    Lingering { left: u64, until: Instant },
    /// Over.
    Closed,
}

/// How the end of a body is known (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `Content-Length`, of which this much is to come.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection.
    Close,
    /// The body is not sent (HEAD, 304, …).
    Muted,
}

/// What the head says of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announce {
    Length(u64),
    Chunked,
    Nothing,
}

/// What the head says of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// HTTP/1.1 and kept.
    Default,
    /// HTTP/1.0 and kept.
    KeepAlive,
    /// Closed after this answer.
    Close,
}

/// A head as it is sent, together with its framing fields.
pub(crate) fn head(
    head: &ResponseHead,
    announce: Announce,
    persistence: Persistence,
    date: SystemTime,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(size(&head.fields) + 160);
    let status = head.status;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", status.code(), status.reason());
    let _ = write!(out, "Date: {}\r\n", httpdate::HttpDate::from(date));
    fields(&mut out, &head.fields);
    let _ = match announce {
        Announce::Length(len) => write!(out, "Content-Length: {len}\r\n"),
        Announce::Chunked => write!(out, "Transfer-Encoding: chunked\r\n"),
        Announce::Nothing => Ok(()),
    };
    out.extend_from_slice(match persistence {
        Persistence::Default => b"\r\n".as_slice(),
        Persistence::KeepAlive => b"Connection: keep-alive\r\n\r\n",
        Persistence::Close => b"Connection: close\r\n\r\n",
    });
    out
}

/// Bytes that these fields take.
pub(crate) fn size(fields: &HeaderList) -> usize {
    fields.size() + fields.len() * ": \r\n".len()
}

/// Writes each field as a line.
pub(crate) fn fields(out: &mut Vec<u8>, fields: &HeaderList) {
    for (name, value) in fields.iter() {
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(piece);
        }
    }
}

/// Puts the interim answer into the queue (RFC 9110 §10.1.1).
pub(crate) fn hundred_continue(queue: &mut Queue) {
    debug_assert_eq!(Status::CONTINUE.code(), 100);
    queue.bytes(Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n"));
}

impl Framing {
    /// Puts a piece of the body into the queue; what goes beyond the announced length is left out.
    pub(crate) fn part(&mut self, queue: &mut Queue, part: Part) {
        match self {
            Self::Muted => {}
            Self::Close => queue.push(part),
            Self::Length(left) => {
                let part = shorten(part, *left);
                *left -= part.len();
                queue.push(part);
            }
            Self::Chunked if part.is_empty() => {}
            Self::Chunked => {
                queue.bytes(format!("{:x}\r\n", part.len()));
                queue.push(part);
                queue.bytes(Bytes::from_static(b"\r\n"));
            }
        }
    }

    /// Ends the body; false if it is shorter than announced.
    pub(crate) fn end(self, queue: &mut Queue) -> bool {
        match self {
            Self::Muted | Self::Close => true,
            Self::Length(left) => left == 0,
            Self::Chunked => {
                queue.bytes(Bytes::from_static(b"0\r\n\r\n"));
                true
            }
        }
    }
}

fn shorten(part: Part, most: u64) -> Part {
    match part {
        Part::Bytes(mut bytes) => {
            bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            Part::Bytes(bytes)
        }
        Part::File { file, at, len } => Part::File { file, at, len: len.min(most) },
    }
}
