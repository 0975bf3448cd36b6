//! Collects the bytes of one head, line by line, within the limits.

use std::{fmt, marker::PhantomData};

use bytes::{Buf, Bytes};
use memchr::memchr;

use crate::{error::PeerError, limits::Limits};

/// What differs between the heads of requests and those of answers.
pub(crate) trait Kind {
    /// What a head is parsed to.
    type Head;
    /// Most empty lines before the start line (RFC 9112 §2.2).
    const EMPTY_LINES: usize;
    /// What a start line beyond the limit is.
    const START_TOO_LONG: PeerError;

    /// May a start line begin so? Binary garbage, a TLS handshake for one, is known by its first
    /// byte.
    fn check_begin(first: u8) -> Result<(), PeerError>;

    /// Checks a whole start line, without its CRLF.
    fn check_start(line: &[u8]) -> Result<(), PeerError>;

    /// Parses a whole head.
    fn parse(bytes: &[u8], scan: Scan, limits: &Limits) -> Result<Self::Head, PeerError>;
}

/// Collects one head. Holds no buffer while nothing of the head has come.
pub(crate) struct Collector<K> {
    partial: Option<Box<Partial>>,
    /// The start line of a head that was refused, for logs.
    refused: Option<String>,
    kind: PhantomData<K>,
}

impl<K> Default for Collector<K> {
    fn default() -> Self {
        Self { partial: None, refused: None, kind: PhantomData }
    }
}

impl<K> fmt::Debug for Collector<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collector").field(&self.partial).finish()
    }
}

#[derive(Debug)]
struct Partial {
    bytes: Vec<u8>,
    scan: Scan,
}

impl<K: Kind> Collector<K> {
    /// Takes from `data` what belongs to the head; the head when it is complete.
    pub(crate) fn read(
        &mut self,
        data: &mut Bytes,
        limits: &Limits,
    ) -> Result<Option<K::Head>, PeerError> {
        if let Some(partial) = &mut self.partial {
            let before = partial.bytes.len();
            partial.bytes.extend_from_slice(data);
            // What is held shows the start line if this fails.
            let Some(end) = partial.scan.run::<K>(&partial.bytes, limits)? else {
                data.clear();
                return Ok(None);
            };
            data.advance(end - before);
            let Some(Partial { bytes, scan }) = self.partial.take().map(|partial| *partial) else {
                return Ok(None);
            };
            return self.parse(&bytes[..end], scan, limits);
        }
        let mut scan = Scan::default();
        let end = scan.run::<K>(data, limits).inspect_err(|_| {
            self.refused = scan.begun::<K>(data, limits);
        })?;
        let Some(end) = end else {
            if !data.is_empty() {
                self.partial = Some(Box::new(Partial { bytes: data.to_vec(), scan }));
                data.clear();
            }
            return Ok(None);
        };
        let bytes = data.split_to(end);
        self.parse(&bytes, scan, limits)
    }

    fn parse(
        &mut self,
        bytes: &[u8],
        scan: Scan,
        limits: &Limits,
    ) -> Result<Option<K::Head>, PeerError> {
        K::parse(bytes, scan, limits).map(Some).inspect_err(|_| {
            self.refused = Some(String::from_utf8_lossy(scan.start_line(bytes)).into_owned());
        })
    }

    /// The start line of the head that was refused or is not complete, as far as it has come.
    pub(crate) fn start_line(&self, limits: &Limits) -> Option<String> {
        let held = self.partial.as_ref();
        self.refused.clone().or_else(|| held.and_then(|p| p.scan.begun::<K>(&p.bytes, limits)))
    }

    /// True if a part of a head is held.
    pub(crate) fn has_begun(&self) -> bool {
        self.partial.is_some()
    }
}

/// How far the search for the end of the head has come. Lines end in CRLF and nothing else (RFC
/// 9112 §2.2 leaves the choice; a lone CR or LF is where parsers disagree).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// Bytes looked at.
    seen: usize,
    /// Where the current line begins.
    line: usize,
    /// Where the start line begins: behind what empty lines may be before it.
    start: usize,
    /// Where the field lines begin; 0 before the start line is complete.
    pub(crate) fields: usize,
    /// Field lines so far.
    pub(crate) count: usize,
}

impl Scan {
    /// The start line of a whole head, without its CRLF.
    pub(crate) fn start_line<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start..self.fields - 2]
    }

    /// The start line as far as it has come; `None` if it is none, but binary garbage.
    fn begun<K: Kind>(&self, bytes: &[u8], limits: &Limits) -> Option<String> {
        let line = bytes.get(self.start..)?;
        K::check_begin(*line.first()?).ok()?;
        let end = line.iter().position(|&b| matches!(b, b'\r' | b'\n')).unwrap_or(line.len());
        let line = &line[..end.min(limits.request_line)];
        Some(String::from_utf8_lossy(line).into_owned())
    }

    /// Goes on; the length of the head when its end is found.
    fn run<K: Kind>(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, PeerError> {
        loop {
            let Some(lf) = memchr(b'\n', &bytes[self.seen..]).map(|at| self.seen + at) else {
                self.check_line::<K>(&bytes[self.line..], limits)?;
                self.seen = bytes.len();
                return Ok(None);
            };
            self.check_line::<K>(&bytes[self.line..lf], limits)?;
            let Some(line) = bytes[self.line..lf].strip_suffix(b"\r") else {
                return Err(PeerError::Malformed("a line ends in LF without CR"));
            };
            self.seen = lf + 1;
            self.line = lf + 1;
            match (self.fields, line.is_empty()) {
                (0, true) if self.start < 2 * K::EMPTY_LINES => self.start = self.line,
                (0, true) => {
                    return Err(PeerError::Malformed("empty lines before the start line"));
                }
                (0, false) => {
                    K::check_start(line)?;
                    self.fields = self.line;
                }
                (_, true) => return Ok(Some(self.line)),
                (_, false) => {
                    self.count += 1;
                    if matches!(line[0], b' ' | b'\t') {
                        return Err(PeerError::Malformed("white space at the start of a line"));
                    }
                    if self.count > limits.fields {
                        return Err(PeerError::HeadTooLarge);
                    }
                }
            }
        }
    }

    /// Checks the current line as far as it has come, so that what is wrong is said when it comes,
    /// and said alike however the line was cut.
    fn check_line<K: Kind>(&self, line: &[u8], limits: &Limits) -> Result<(), PeerError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let (0, Some(&first)) = (self.fields, line.first()) {
            K::check_begin(first)?;
        }
        let (most, too_long) = if self.fields == 0 {
            (limits.request_line, K::START_TOO_LONG)
        } else {
            let left = limits.head.saturating_sub(self.line - self.fields);
            (limits.field_line.min(left), PeerError::HeadTooLarge)
        };
        if memchr(b'\r', &line[..line.len().min(most)]).is_some() {
            return Err(PeerError::Malformed("CR without LF"));
        }
        if line.len() > most { Err(too_long) } else { Ok(()) }
    }
}
