//! Reading a body piece by piece, as it comes.

use crate::client::End;

/// What stands between here and the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Nothing: the body is over.
    Done,
    /// This many bytes.
    Length(u64),
    /// All until the connection closes.
    Close,
    /// The next chunk's size line.
    ChunkSize,
    /// This many bytes of a chunk, then its line end.
    Chunk(u64),
    /// Trailer lines.
    Trailer,
}

/// What came next of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Content, never empty and never across a chunk's end.
    Data(Vec<u8>),
    /// The end of a chunk of this length.
    ChunkEnd,
    /// The proper end of the body.
    End,
    /// The connection ended before the body did.
    Cut(End),
}

impl Framing {
    /// Takes the next piece from the front of `buffer`; `None` asks for more bytes. Returns it with
    /// the bytes used.
    pub(crate) fn take(&mut self, buffer: &[u8]) -> Option<(Piece, usize)> {
        match *self {
            Self::Done => Some((Piece::End, 0)),
            Self::Length(0) => self.over(0),
            Self::Length(left) => {
                let data = up_to(buffer, left)?;
                *self = Self::Length(left - data.len() as u64);
                Some((Piece::Data(data.to_vec()), data.len()))
            }
            Self::Close => {
                let data = up_to(buffer, u64::MAX)?;
                Some((Piece::Data(data.to_vec()), data.len()))
            }
            Self::ChunkSize => {
                let line = line(buffer)?;
                let digits = std::str::from_utf8(line)
                    .ok()
                    .filter(|l| l.bytes().all(|b| b.is_ascii_hexdigit()));
                let size = digits.and_then(|d| u64::from_str_radix(d, 16).ok());
                let size = size.unwrap_or_else(|| {
                    panic!("no chunk size: {:?}", String::from_utf8_lossy(line))
                });
                *self = if size == 0 { Self::Trailer } else { Self::Chunk(size) };
                let used = line.len() + 2;
                self.take(&buffer[used..]).map(|(piece, n)| (piece, n + used)).or_else(|| {
                    *self = Self::ChunkSize;
                    None
                })
            }
            Self::Chunk(0) => {
                let end = buffer.get(..2)?;
                assert_eq!(end, b"\r\n", "RFC 9112 §7.1: no line end after the chunk's data");
                *self = Self::ChunkSize;
                Some((Piece::ChunkEnd, 2))
            }
            Self::Chunk(left) => {
                let data = up_to(buffer, left)?;
                *self = Self::Chunk(left - data.len() as u64);
                Some((Piece::Data(data.to_vec()), data.len()))
            }
            Self::Trailer => {
                let line = line(buffer)?;
                assert!(
                    line.is_empty(),
                    "a trailer nobody asked for: {:?}",
                    String::from_utf8_lossy(line)
                );
                self.over(2)
            }
        }
    }

    fn over(&mut self, used: usize) -> Option<(Piece, usize)> {
        *self = Self::Done;
        Some((Piece::End, used))
    }
}

/// What there is of at most `most` bytes, if there is anything.
fn up_to(buffer: &[u8], most: u64) -> Option<&[u8]> {
    let length = usize::try_from(most).map_or(buffer.len(), |most| most.min(buffer.len()));
    (length > 0).then(|| &buffer[..length])
}

/// A line without its end, if it is there whole.
fn line(buffer: &[u8]) -> Option<&[u8]> {
    buffer.windows(2).position(|w| w == b"\r\n").map(|at| &buffer[..at])
}
