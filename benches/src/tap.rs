//! What one listener hears: the body of a live answer, of which each byte tells its place in the
//! stream.

use crate::{
    client::parse_head,
    error::{Error, Result},
};

/// Bytes of one word. Packets are whole words.
pub(crate) const WORD: usize = 8;
/// Odd, so that multiplying by it can be undone.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const INVERSE: u64 = 0xf1de_83e1_9937_733d;

/// The bytes of the stream from `offset` on; both are counted in bytes and are whole words.
pub(crate) fn content(offset: u64, len: usize) -> Vec<u8> {
    let first = offset / WORD as u64;
    let words = first..first + (len / WORD) as u64;
    words.flat_map(|word| word.wrapping_mul(FACTOR).to_be_bytes()).collect()
}

/// One listener's side of the wire.
#[derive(Debug)]
pub(crate) struct Tap {
    /// `None` once it is complete.
    head: Option<Vec<u8>>,
    /// `None` if the body ends with the connection.
    chunks: Option<Chunks>,
    /// How far in the stream the listener is; unknown until two whole words were heard in one
    /// piece.
    offset: Option<u64>,
    /// Bytes of content so far.
    received: u64,
    /// How often the stream did not go on where it was.
    gaps: u64,
}

impl Tap {
    pub(crate) fn new() -> Self {
        Self { head: Some(Vec::new()), chunks: None, offset: None, received: 0, gaps: 0 }
    }

    /// What was read from the socket.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(have) = &mut self.head else {
            return self.body(bytes);
        };
        have.extend_from_slice(bytes);
        let Some(head) = parse_head(have)? else { return Ok(()) };
        if head.status != 200 {
            return Err(Error::new(format!("a listener got status {}", head.status)));
        }
        self.chunks = head.chunked.then_some(Chunks::Size(0));
        let rest = have.split_off(head.len);
        self.head = None;
        self.body(&rest)
    }

    /// The answer has begun.
    pub(crate) fn is_on(&self) -> bool {
        self.head.is_none()
    }

    pub(crate) fn offset(&self) -> Option<u64> {
        self.offset
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn gaps(&self) -> u64 {
        self.gaps
    }

    fn body(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let len = match &mut self.chunks {
                None => bytes.len(),
                Some(chunks) => match chunks.step(bytes)? {
                    Step::Framing(len) => {
                        bytes = &bytes[len..];
                        continue;
                    }
                    Step::Content(len) => len,
                },
            };
            let (piece, rest) = bytes.split_at(len);
            self.hear(piece);
            bytes = rest;
        }
        Ok(())
    }

    /// Looks at the first whole word only: a gap shows in the next piece at the latest, and looking
    /// costs next to nothing.
    fn hear(&mut self, piece: &[u8]) {
        self.received += piece.len() as u64;
        if let Some(offset) = self.offset {
            let skip = (offset.wrapping_neg() % WORD as u64) as usize;
            match word(piece, skip) {
                Some(word) if word != (offset + skip as u64) / WORD as u64 => {
                    self.gaps += 1;
                    self.offset = None;
                }
                Some(_) | None => self.offset = Some(offset + piece.len() as u64),
            }
        }
        if self.offset.is_none() {
            self.offset = start(piece).map(|start| start + piece.len() as u64);
        }
    }
}

/// Which word of the stream is at `at`, if it is one.
fn word(piece: &[u8], at: usize) -> Option<u64> {
    let bytes = piece.get(at..at + WORD)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?).wrapping_mul(INVERSE))
}

/// Where in the stream a piece begins that need not begin with a word.
fn start(piece: &[u8]) -> Option<u64> {
    (0..WORD).find_map(|skip| {
        let (this, next) = (word(piece, skip)?, word(piece, skip + WORD)?);
        let at = this.checked_mul(WORD as u64)?.checked_sub(skip as u64)?;
        (this.checked_add(1) == Some(next)).then_some(at)
    })
}

/// Where a chunked body is.
#[derive(Debug)]
enum Chunks {
    /// In the line with the size, which is this so far.
    Size(u64),
    /// In that line, behind the size.
    Extension(u64),
    /// So much of the chunk is to come, and the two bytes behind it.
    Data(u64),
    /// Behind the last chunk.
    Over,
}

enum Step {
    /// So many bytes are none of the content.
    Framing(usize),
    Content(usize),
}

impl Chunks {
    /// `bytes` is not empty.
    fn step(&mut self, bytes: &[u8]) -> Result<Step> {
        const BEHIND: u64 = 2;
        match *self {
            Self::Size(size) => match char::from(bytes[0]).to_digit(16) {
                Some(digit) if size < 1 << 32 => *self = Self::Size(size << 4 | u64::from(digit)),
                Some(_) => return Err(Error::new("a chunk is too large to be true")),
                None => *self = Self::Extension(size),
            },
            Self::Extension(size) if bytes[0] == b'\n' => {
                *self = if size == 0 { Self::Over } else { Self::Data(size + BEHIND) };
            }
            Self::Extension(_) => {}
            Self::Data(left) if left > BEHIND => {
                let len = (left - BEHIND).min(bytes.len() as u64);
                *self = Self::Data(left - len);
                return Ok(Step::Content(len as usize));
            }
            Self::Data(left) => {
                *self = if left == 1 { Self::Size(0) } else { Self::Data(left - 1) };
            }
            Self::Over => return Ok(Step::Framing(bytes.len())),
        }
        Ok(Step::Framing(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    fn wire(content: &[u8], chunk: usize) -> Vec<u8> {
        let mut wire = HEAD.to_vec();
        for part in content.chunks(chunk) {
            wire.extend_from_slice(format!("{:x};a=b\r\n", part.len()).as_bytes());
            wire.extend_from_slice(part);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        wire
    }

    #[test]
    fn follows_a_stream_however_it_is_cut() {
        let wire = wire(&content(8000, 4000), 100);
        for cut in [1, 7, 50, 999, wire.len()] {
            let mut tap = Tap::new();
            for part in wire.chunks(cut) {
                tap.take(part).unwrap();
            }
            assert_eq!((tap.received(), tap.gaps()), (4000, 0), "{cut}");
            let known = if cut < 2 * WORD { None } else { Some(12_000) };
            assert_eq!(tap.offset(), known, "{cut}");
        }
    }

    #[test]
    fn finds_its_place_between_words() {
        let mut tap = Tap::new();
        tap.take(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
        assert!(tap.is_on());
        tap.take(&content(800, 800)[3..]).unwrap();
        assert_eq!((tap.offset(), tap.received(), tap.gaps()), (Some(1600), 797, 0));
    }

    #[test]
    fn a_gap_is_counted_and_got_over() {
        let mut tap = Tap::new();
        tap.take(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
        tap.take(&content(0, 800)).unwrap();
        tap.take(&content(1600, 800)).unwrap();
        tap.take(&content(2400, 800)).unwrap();
        assert_eq!((tap.offset(), tap.received(), tap.gaps()), (Some(3200), 2400, 1));
    }

    #[test]
    fn a_refusal_and_nonsense_are_errors() {
        assert!(Tap::new().take(b"HTTP/1.1 503 Busy\r\n\r\n").is_err());
        let mut tap = Tap::new();
        tap.take(HEAD).unwrap();
        assert!(tap.take(b"fffffffffff\r\n").is_err());
    }
}
