//! Content codings of uploads, taken off while they come (RFC 9110 §8.4): what is stored is the
//! content as it is.

use std::{collections::VecDeque, fmt, io::Write as _};

use bytes::{Buf as _, Bytes};
use flate2::{Decompress, FlushDecompress, Status as Progress, write::MultiGzDecoder};

use super::{context::ExchangeContext, error::say, reply::error_head};
use crate::http::{HeaderList, Status};
use crate::semantics::coding::Coding;

/// Decoded bytes that are made at one go: the rest waits, coded, until these are written.
const STEP: u64 = 256 << 10;
/// Room for one step of the inflater.
const BUFFER: usize = 32 << 10;
/// What may be decoded of however little, in bytes; beyond that, so many times what came.
const FREE: u64 = 16 << 20;
const MOST_TIMES: u64 = 100;

/// The codings that are taken off, as `Accept-Encoding` tells them.
pub(super) const ACCEPTED: &str = "gzip, deflate";
/// The same where a body must come as it is.
pub(super) const NONE_ACCEPTED: &str = "identity";

/// The coding of a body. `None`: there is none.
///
/// # Errors
/// It is another than [`ACCEPTED`], or there are several.
pub(super) fn content_coding(fields: &HeaderList) -> Result<Option<Coding>, ()> {
    let mut codings =
        fields.list("content-encoding").filter(|name| !name.eq_ignore_ascii_case(b"identity"));
    match (codings.next(), codings.next()) {
        (None, _) => Ok(None),
        (Some(name), None) => Coding::named(name).map(Some).ok_or(()),
        (Some(_), Some(_)) => Err(()),
    }
}

/// Says 415, and which codings are accepted (RFC 9110 §15.5.16).
pub(super) fn refuse_coding(accepted: &'static str, cx: &mut ExchangeContext<'_>) {
    let head =
        error_head(cx.site, Status::UNSUPPORTED_MEDIA_TYPE).field("Accept-Encoding", accepted);
    say(cx, head, &format!("the Content-Encoding is not accepted here: send it as {accepted}"));
}

/// The most that may come coded where so many bytes may come of it: what does not compress gets a
/// little longer.
pub(super) fn most_coded(most: u64) -> u64 {
    most.saturating_add(most / 16).saturating_add(4096)
}

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not what its coding says.
    Malformed,
    /// It expands to far more than it is.
    Bomb,
}

impl Fault {
    /// What the client is told.
    pub(super) fn tell(self) -> (Status, &'static str) {
        match self {
            Self::Malformed => {
                (Status::BAD_REQUEST, "the body is not coded as its Content-Encoding says")
            }
            Self::Bomb => {
                (Status::CONTENT_TOO_LARGE, "the body expands to more than 100 times its size")
            }
        }
    }
}

/// Takes a coding off a body.
#[derive(Debug)]
pub(super) struct Decoder {
    inflater: Inflater,
    /// Came and not yet decoded.
    coded: VecDeque<Bytes>,
    came: u64,
    decoded: u64,
    /// No more comes.
    ended: bool,
    done: bool,
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> Self {
        let inflater = match coding {
            Coding::Gzip => Inflater::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Coding::Deflate => {
                Inflater::Zlib { inflate: Box::new(Decompress::new(true)), ended: false }
            }
        };
        Self { inflater, coded: VecDeque::new(), came: 0, decoded: 0, ended: false, done: false }
    }

    /// More of the body came.
    pub(super) fn push(&mut self, data: Bytes) {
        self.came += data.len() as u64;
        self.coded.push_back(data);
    }

    /// No more comes.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Bytes of the body that came.
    pub(super) fn came(&self) -> u64 {
        self.came
    }

    /// Bytes that came and are not yet decoded.
    pub(super) fn waiting(&self) -> u64 {
        self.coded.iter().map(|data| data.len() as u64).sum()
    }

    /// The body was decoded to its end.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Decodes some of what came; `pending`: bytes that were decoded before and wait.
    pub(super) fn step(&mut self, pending: u64) -> Result<Vec<Bytes>, Fault> {
        let mut out = Vec::new();
        let mut made = pending;
        while made < STEP && !self.done {
            let piece = match self.coded.front_mut() {
                Some(data) => {
                    let (taken, piece) = self.inflater.take(data)?;
                    data.advance(taken);
                    if data.is_empty() {
                        self.coded.pop_front();
                    }
                    piece
                }
                None if self.ended => {
                    self.done = true;
                    // An empty body has not even the frame of its coding.
                    if self.came == 0 { Vec::new() } else { self.inflater.finish()? }
                }
                None => break,
            };
            made += piece.len() as u64;
            self.decoded += piece.len() as u64;
            if self.decoded > FREE.saturating_add(self.came.saturating_mul(MOST_TIMES)) {
                return Err(Fault::Bomb);
            }
            if !piece.is_empty() {
                out.push(Bytes::from(piece));
            }
        }
        Ok(out)
    }
}

enum Inflater {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib { inflate: Box<Decompress>, ended: bool },
}

impl Inflater {
    /// Takes some of the data, which is not empty: how much, and what came of it, which is not
    /// much.
    fn take(&mut self, data: &[u8]) -> Result<(usize, Vec<u8>), Fault> {
        match self {
            Self::Gzip(decoder) => {
                let taken = decoder.write(data).map_err(|_| Fault::Malformed)?;
                if taken == data.len() {
                    // Those who read while it grows get all that can be told.
                    decoder.flush().map_err(|_| Fault::Malformed)?;
                }
                let piece = std::mem::take(decoder.get_mut());
                if taken == 0 && piece.is_empty() {
                    return Err(Fault::Malformed);
                }
                Ok((taken, piece))
            }
            // Something stands behind its end.
            Self::Zlib { ended: true, .. } => Err(Fault::Malformed),
            Self::Zlib { inflate, ended } => {
                let mut piece = Vec::with_capacity(BUFFER);
                let before = inflate.total_in();
                let progress = inflate
                    .decompress_vec(data, &mut piece, FlushDecompress::None)
                    .map_err(|_| Fault::Malformed)?;
                *ended = progress == Progress::StreamEnd;
                let taken = (inflate.total_in() - before) as usize;
                while taken == data.len() && !*ended && piece.len() == piece.capacity() {
                    piece.reserve(BUFFER);
                    let progress = inflate
                        .decompress_vec(&[], &mut piece, FlushDecompress::None)
                        .map_err(|_| Fault::Malformed)?;
                    *ended = progress == Progress::StreamEnd;
                }
                if taken == 0 && piece.is_empty() && !*ended {
                    return Err(Fault::Malformed);
                }
                Ok((taken, piece))
            }
        }
    }

    /// What is left, at the end.
    fn finish(&mut self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Gzip(decoder) => {
                decoder.try_finish().map_err(|_| Fault::Malformed)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Zlib { ended: true, .. } => Ok(Vec::new()),
            Self::Zlib { inflate, ended } => {
                let mut rest = Vec::new();
                loop {
                    let before = rest.len();
                    rest.reserve(BUFFER);
                    let progress = inflate
                        .decompress_vec(&[], &mut rest, FlushDecompress::Finish)
                        .map_err(|_| Fault::Malformed)?;
                    if progress == Progress::StreamEnd {
                        *ended = true;
                        return Ok(rest);
                    }
                    if rest.len() == before {
                        return Err(Fault::Malformed);
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Gzip",
            Self::Zlib { .. } => "Zlib",
        })
    }
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    fn coded(coding: Coding, content: &[u8]) -> Vec<u8> {
        let level = Compression::default();
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    /// The content of a body that comes in pieces of this length.
    fn decoded(coding: Coding, body: &[u8], piece: usize) -> Result<Vec<u8>, Fault> {
        let mut decoder = Decoder::new(coding);
        let mut out = Vec::new();
        for data in body.chunks(piece.max(1)) {
            decoder.push(Bytes::copy_from_slice(data));
            out.extend(decoder.step(0)?);
        }
        decoder.end();
        while !decoder.is_done() {
            let pieces = decoder.step(0)?;
            assert!(pieces.iter().map(Bytes::len).sum::<usize>() <= STEP as usize + 2 * BUFFER);
            out.extend(pieces);
        }
        Ok(out.concat())
    }

    #[test]
    fn what_is_cut_or_changed_or_followed_by_something_is_malformed() {
        for coding in Coding::ALL {
            let content =
                b"some content that is long enough to be compressed, compressed".repeat(9);
            let body = coded(coding, &content);
            for end in 1..body.len() {
                assert_eq!(
                    decoded(coding, &body[..end], 7),
                    Err(Fault::Malformed),
                    "{coding:?} {end}"
                );
            }
            let mut longer = body.clone();
            longer.push(b'x');
            assert_eq!(decoded(coding, &longer, 1000), Err(Fault::Malformed), "{coding:?}");
            let mut changed = body.clone();
            let last = changed.len() - 2;
            changed[last] ^= 1;
            assert_eq!(decoded(coding, &changed, 1000), Err(Fault::Malformed), "{coding:?}");
            assert_eq!(decoded(coding, b"no frame at all", 3), Err(Fault::Malformed));
            assert_eq!(decoded(coding, b"", 1), Ok(Vec::new()));
        }
    }

    #[test]
    fn members_of_gzip_follow_one_another() {
        let body = [coded(Coding::Gzip, b"one, "), coded(Coding::Gzip, b"two")].concat();
        for piece in [1, 2, 30, 1000] {
            assert_eq!(decoded(Coding::Gzip, &body, piece).unwrap(), b"one, two");
        }
    }

    #[test]
    fn what_expands_too_much_is_refused_and_never_held() {
        let zeros = |len: usize| vec![0; len];
        for coding in Coding::ALL {
            let fine = coded(coding, &zeros(10 << 20));
            assert_eq!(decoded(coding, &fine, 1 << 20).map(|content| content.len()), Ok(10 << 20));
            let bomb = coded(coding, &zeros(64 << 20));
            assert_eq!(decoded(coding, &bomb, 1 << 20), Err(Fault::Bomb));
        }
    }

    #[test]
    fn one_known_coding_is_accepted() {
        let coding = |value: &str| {
            content_coding(&[("Content-Encoding", value.as_bytes())].into_iter().collect())
        };
        for (value, expected) in [
            ("gzip", Ok(Some(Coding::Gzip))),
            ("X-GZip", Ok(Some(Coding::Gzip))),
            ("deflate", Ok(Some(Coding::Deflate))),
            ("identity, gzip", Ok(Some(Coding::Gzip))),
            ("identity", Ok(None)),
            ("", Ok(None)),
            ("br", Err(())),
            ("gzip, gzip", Err(())),
            ("gzip, br", Err(())),
            ("aws-chunked", Err(())),
        ] {
            assert_eq!(coding(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_content_comes_back_however_it_is_split(
            content in prop::collection::vec(any::<u8>(), 0..3000),
            times in 1..40usize,
            piece in 1..400usize,
        ) {
            let content = content.repeat(times);
            for coding in Coding::ALL {
                let body = coded(coding, &content);
                prop_assert_eq!(decoded(coding, &body, piece), Ok(content.clone()));
            }
        }

        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300), piece in 1..50usize) {
            for coding in Coding::ALL {
                let _ = decoded(coding, &body, piece);
            }
        }
    }
}
