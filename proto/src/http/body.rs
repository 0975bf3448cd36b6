//! Bodies: how large they are, and what they consist of.

use bytes::Bytes;

use crate::fs::FileId;

/// What is known of a body's size before it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySize {
    /// There is no body, and no field announces one.
    Empty,
    /// The body has this many bytes; 0 where a field says so.
    Known(u64),
    /// A body follows, of unknown size.
    Unknown,
}

impl BodySize {
    /// The size in bytes; `None` if it is unknown.
    pub fn len(self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Known(len) => Some(len),
            Self::Unknown => None,
        }
    }

    /// True if no byte of a body follows.
    pub fn is_empty(self) -> bool {
        self.len() == Some(0)
    }
}

/// A piece of a body, in any framing: bytes, or a span of an open file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes; shared, not copied.
    Bytes(Bytes),
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

impl Part {
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
