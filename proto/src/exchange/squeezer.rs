//! Compresses a body that is made piece by piece.

use std::{fmt, io::Write as _};

use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};

use crate::semantics::coding::Coding;

/// A compressor, in whichever coding. The fast level: it runs where other connections wait.
pub(super) enum Squeezer {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

impl Squeezer {
    pub(super) fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Deflate => Self::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast())),
        }
    }

    /// All of a body that is there.
    pub(super) fn whole(coding: Coding, content: &[u8]) -> Bytes {
        let mut squeezer = Self::new(coding);
        let first = squeezer.push(content);
        [first, squeezer.finish()].concat().into()
    }

    /// What is ready of the compressed body after this piece of the content.
    pub(super) fn push(&mut self, piece: &[u8]) -> Bytes {
        // Writing to a vector cannot fail.
        let out = match self {
            Self::Gzip(encoder) => {
                let _ = encoder.write_all(piece);
                encoder.get_mut()
            }
            Self::Deflate(encoder) => {
                let _ = encoder.write_all(piece);
                encoder.get_mut()
            }
        };
        std::mem::take(out).into()
    }

    /// The rest.
    pub(super) fn finish(self) -> Bytes {
        let rest = match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Deflate(encoder) => encoder.finish(),
        };
        rest.unwrap_or_default().into()
    }
}

impl fmt::Debug for Squeezer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Squeezer")
    }
}
