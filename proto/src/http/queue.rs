//! What is to be sent, in order: bytes and spans of files. Peeked and confirmed, never taken.

use std::collections::{VecDeque, vec_deque};

use bytes::{Buf, Bytes};

use super::Part;
use crate::fs::FileId;

/// The output queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    parts: VecDeque<Part>,
}

impl Queue {
    pub(crate) fn push(&mut self, part: Part) {
        if !part.is_empty() {
            self.parts.push_back(part);
        }
    }

    /// Number of parts.
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Puts bytes behind the first `parts` parts; returns how many bytes then stand up to there.
    pub(crate) fn insert(&mut self, parts: usize, bytes: Vec<u8>) -> u64 {
        self.parts.insert(parts, Part::Bytes(bytes.into()));
        self.parts.iter().take(parts + 1).map(Part::len).sum()
    }

    pub(crate) fn bytes(&mut self, bytes: impl Into<Bytes>) {
        self.push(Part::Bytes(bytes.into()));
    }

    /// Confirms `sent` bytes; what is beyond the queue is ignored.
    pub(crate) fn advance(&mut self, mut sent: u64) {
        while let Some(front) = self.parts.front_mut() {
            if sent < front.len() {
                match front {
                    Part::Bytes(bytes) => bytes.advance(sent as usize),
                    Part::File { at, len, .. } => {
                        *at += sent;
                        *len -= sent;
                    }
                }
                return;
            }
            sent -= front.len();
            self.parts.pop_front();
        }
        self.clear();
    }

    /// Forgets everything, and gives the memory back.
    pub(crate) fn clear(&mut self) {
        self.parts = VecDeque::new();
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The first `most` bytes of it, if there is anything.
    pub(crate) fn peek(&self, most: u64) -> Option<Transmit<'_>> {
        (!self.is_empty() && most > 0).then(|| Transmit { parts: self.parts.iter(), left: most })
    }
}

/// All that is ready to be sent, from the front: send as many of these pieces as the socket takes,
/// with as few calls as the platform allows (`writev`, `sendfile`), and confirm the bytes with
/// `handle_sent`.
#[derive(Clone, Debug)]
pub struct Transmit<'a> {
    parts: vec_deque::Iter<'a, Part>,
    left: u64,
}

/// A piece of output; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// A span of a file.
    File {
        /// Which.
        file: FileId,
        /// Offset in bytes.
        at: u64,
        /// Number of bytes.
        len: u64,
    },
}

impl<'a> Iterator for Transmit<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let part = self.parts.next()?;
        let len = part.len().min(self.left);
        self.left -= len;
        Some(match part {
            Part::Bytes(bytes) => Piece::Bytes(&bytes[..len as usize]),
            Part::File { file, at, .. } => Piece::File { file: *file, at: *at, len },
        })
    }
}
