//! Bodies of PATCH that name the bytes they replace: `message/byterange` and
//! `multipart/byteranges`, after the byte-range PATCH draft (draft-wright-http-patch-byterange).

use bytes::{Buf, Bytes};

use super::content_range;
use crate::{fs::Patch, http::is_tchar};

/// Largest head of a part in bytes, with its empty line.
const MOST_HEAD: usize = 8 << 10;

/// Most parts of one body.
const MOST_PARTS: usize = 128;

const NO_PART: &str = "the body holds no part";
const TRUNCATED_HEAD: &str = "the body ends within the head of a part";
const TOO_FEW: &str = "the body has fewer bytes than its Content-Range says";
const TOO_MANY: &str = "the body has more bytes than its Content-Range says";
const NOT_AT_END: &str = "no delimiter stands where the Content-Range of a part ends";
const BAD_DELIMITER: &str = "a delimiter line is malformed";
const NOT_CLOSED: &str = "the closing delimiter is missing";

/// The two forms of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `message/byterange`: fields, an empty line, bytes.
    Message,
    /// `multipart/byteranges`: any number of such, between delimiters (RFC 2046 §5.1).
    Multipart {
        /// 1 to 70 characters.
        boundary: Vec<u8>,
    },
}

/// Reads the value of `Content-Type`. `None` for another media type: 415.
///
/// # Errors
/// What is wrong with the parameters of a multipart, for a 400: they break the grammar of RFC 9110
/// §5.6.6, or there is not just one boundary of RFC 2046 §5.1.1 among them.
pub fn kind(content_type: &[u8]) -> Option<Result<Kind, &'static str>> {
    let end = content_type.iter().position(|&b| b == b';').unwrap_or(content_type.len());
    let (essence, parameters) = content_type.split_at(end);
    let essence = essence.trim_ascii();
    if essence.eq_ignore_ascii_case(b"message/byterange") {
        return Some(Ok(Kind::Message));
    }
    essence
        .eq_ignore_ascii_case(b"multipart/byteranges")
        .then(|| boundary(parameters).map(|boundary| Kind::Multipart { boundary }))
}

/// Takes a body apart as it comes, however it is split. Holds no more of it than the head of one
/// part.
#[derive(Debug)]
pub struct Parser {
    /// CRLF, two dashes and the boundary; empty for a single message.
    delimiter: Vec<u8>,
    state: State,
    /// What there is of the current part's head.
    head: Vec<u8>,
    patches: Vec<Patch>,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Text before the first delimiter, of which this many bytes have been seen.
    Preamble { matched: usize },
    /// Fields of a part.
    Head,
    /// Bytes of a part.
    Body { left: u64 },
    /// The delimiter behind a part, of which this many bytes have been seen.
    Delimiter { matched: usize },
    /// What follows the boundary.
    Boundary,
    /// The second dash of a closing delimiter.
    Dash,
    /// White space behind a boundary.
    Padding,
    /// The LF of a delimiter line.
    Newline,
    /// White space behind the closing delimiter.
    Closed,
    /// The LF of the closing delimiter.
    ClosedNewline,
    /// Text behind the closing delimiter.
    Epilogue,
    /// Nothing: the message has all its bytes.
    Complete,
}

impl Parser {
    /// A parser of one body.
    pub fn new(kind: Kind) -> Self {
        let (delimiter, state) = match kind {
            Kind::Message => (Vec::new(), State::Head),
            // The first delimiter may do without its CRLF.
            Kind::Multipart { boundary } => {
                ([b"\r\n--", &boundary[..]].concat(), State::Preamble { matched: 2 })
            }
        };
        Self { delimiter, state, head: Vec::new(), patches: Vec::new() }
    }

    /// Takes the next piece of the body, and appends to `out` the bytes to be written that are in
    /// it, in order and without copying. After an error nothing more is to be pushed.
    ///
    /// # Errors
    /// What is wrong, for a 400: a line that does not end in CRLF, a field line that breaks the
    /// grammar of RFC 9112 §5, no `Content-Range` in a part, more than one or one that
    /// [`content_range::parse`] does not take, more bytes than it says, a malformed delimiter, a
    /// head over 8 KiB, more than 128 parts.
    pub fn push(&mut self, mut data: Bytes, out: &mut Vec<Bytes>) -> Result<(), &'static str> {
        while !data.is_empty() {
            self.state = match self.state {
                State::Preamble { matched } => match data.get_u8() {
                    b if b == self.delimiter[matched] => self.matched(matched, true),
                    b'\r' => State::Preamble { matched: 1 },
                    _ => State::Preamble { matched: 0 },
                },
                State::Head => self.head_byte(data.get_u8())?,
                State::Body { left } => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                    out.push(data.split_to(take));
                    match left - take as u64 {
                        0 if self.delimiter.is_empty() => State::Complete,
                        0 => State::Delimiter { matched: 0 },
                        left => State::Body { left },
                    }
                }
                State::Delimiter { matched } => {
                    if data.get_u8() != self.delimiter[matched] {
                        return Err(NOT_AT_END);
                    }
                    self.matched(matched, false)
                }
                State::Boundary => match data.get_u8() {
                    b'-' => State::Dash,
                    b' ' | b'\t' => State::Padding,
                    b'\r' => State::Newline,
                    _ => return Err(BAD_DELIMITER),
                },
                State::Dash => match data.get_u8() {
                    b'-' => State::Closed,
                    _ => return Err(BAD_DELIMITER),
                },
                State::Padding => match data.get_u8() {
                    b' ' | b'\t' => State::Padding,
                    b'\r' => State::Newline,
                    _ => return Err(BAD_DELIMITER),
                },
                State::Newline => match data.get_u8() {
                    b'\n' => State::Head,
                    _ => return Err(BAD_DELIMITER),
                },
                State::Closed => match data.get_u8() {
                    b' ' | b'\t' => State::Closed,
                    b'\r' => State::ClosedNewline,
                    _ => return Err(BAD_DELIMITER),
                },
                State::ClosedNewline => match data.get_u8() {
                    b'\n' => State::Epilogue,
                    _ => return Err(BAD_DELIMITER),
                },
                State::Epilogue => return Ok(()),
                State::Complete => return Err(TOO_MANY),
            };
        }
        Ok(())
    }

    /// Where the bytes go of the parts whose heads have come.
    pub(crate) fn patches(&self) -> &[Patch] {
        &self.patches
    }

    /// Ends the body: where the bytes go that were appended to `out`, in the same order. The first
    /// patch begins at 0 if the body may make a file.
    ///
    /// # Errors
    /// What is wrong, for a 400: the body ends too early, or it holds no part.
    pub fn finish(self) -> Result<Vec<Patch>, &'static str> {
        match self.state {
            State::Closed | State::Epilogue | State::Complete if !self.patches.is_empty() => {
                Ok(self.patches)
            }
            State::Preamble { .. } | State::Closed | State::Epilogue | State::Complete => {
                Err(NO_PART)
            }
            State::Head => Err(TRUNCATED_HEAD),
            State::Body { .. } => Err(TOO_FEW),
            State::Delimiter { .. }
            | State::Boundary
            | State::Dash
            | State::Padding
            | State::Newline
            | State::ClosedNewline => Err(NOT_CLOSED),
        }
    }

    /// One more byte of the delimiter has been seen.
    fn matched(&self, before: usize, preamble: bool) -> State {
        match before + 1 {
            matched if matched == self.delimiter.len() => State::Boundary,
            matched if preamble => State::Preamble { matched },
            matched => State::Delimiter { matched },
        }
    }

    fn head_byte(&mut self, byte: u8) -> Result<State, &'static str> {
        if self.head.len() == MOST_HEAD {
            return Err("the head of a part is larger than 8 KiB");
        }
        let previous = self.head.last().copied();
        self.head.push(byte);
        match (previous, byte) {
            (Some(b'\r'), b'\n') => {}
            (Some(b'\r'), _) | (_, b'\n') => {
                return Err("a line in the head of a part does not end in CRLF");
            }
            _ => return Ok(State::Head),
        }
        if self.head != b"\r\n" && !self.head.ends_with(b"\r\n\r\n") {
            return Ok(State::Head);
        }
        if self.patches.len() == MOST_PARTS {
            return Err("the body has more than 128 parts");
        }
        let patch = patch(&self.head)?;
        self.head.clear();
        self.patches.push(patch);
        Ok(State::Body { left: patch.len })
    }
}

/// Reads the fields of a part, each line of which ends in CRLF; but for `Content-Range` they are
/// skipped.
fn patch(head: &[u8]) -> Result<Patch, &'static str> {
    let mut range = None;
    for line in head.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        if line.is_empty() {
            continue;
        }
        let colon =
            line.iter().position(|&b| b == b':').ok_or("a field line of a part has no colon")?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(|&b| is_tchar(b)) {
            return Err("a field name of a part is malformed");
        }
        if value.iter().any(|&b| b != b'\t' && b.is_ascii_control()) {
            return Err("a field value of a part holds a control character");
        }
        if !name.eq_ignore_ascii_case(b"content-range") {
            continue;
        }
        if range.replace(content_range::parse(value)?).is_some() {
            return Err("a part has more than one Content-Range");
        }
    }
    let range = range.ok_or("a part has no Content-Range")?;
    Ok(Patch { at: range.first, len: range.length() })
}

/// Finds the boundary among parameters, each with the `;` before it.
fn boundary(mut parameters: &[u8]) -> Result<Vec<u8>, &'static str> {
    const MALFORMED: &str = "a parameter of Content-Type is malformed";
    let mut boundary = None;
    loop {
        parameters = parameters.trim_ascii();
        if parameters.is_empty() {
            break;
        }
        parameters = parameters.strip_prefix(b";").ok_or(MALFORMED)?.trim_ascii_start();
        if matches!(parameters.first(), None | Some(b';')) {
            continue;
        }
        let (name, rest) = token(parameters).ok_or(MALFORMED)?;
        let rest = rest.strip_prefix(b"=").ok_or(MALFORMED)?;
        let (value, rest) = match rest.strip_prefix(b"\"") {
            Some(rest) => quoted(rest).ok_or(MALFORMED)?,
            None => token(rest).map(|(value, rest)| (value.to_vec(), rest)).ok_or(MALFORMED)?,
        };
        if name.eq_ignore_ascii_case(b"boundary") && boundary.replace(value).is_some() {
            return Err("Content-Type has more than one boundary");
        }
        parameters = rest;
    }
    let boundary = boundary.ok_or("Content-Type has no boundary")?;
    let fine = |b: &u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(b);
    if !(1..=70).contains(&boundary.len()) || boundary.ends_with(b" ") || !boundary.iter().all(fine)
    {
        return Err("the boundary of Content-Type is malformed");
    }
    Ok(boundary)
}

/// Reads a token off the front (RFC 9110 §5.6.2).
fn token(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = value.iter().position(|&b| !is_tchar(b)).unwrap_or(value.len());
    (end > 0).then(|| value.split_at(end))
}

/// Reads a quoted string, behind its first quote, off the front (RFC 9110 §5.6.4).
fn quoted(value: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::new();
    let mut rest = value;
    loop {
        let (&byte, tail) = rest.split_first()?;
        let (byte, tail) = match byte {
            b'"' => return Some((text, tail)),
            b'\\' => tail.split_first().map(|(&byte, tail)| (byte, tail))?,
            _ => (byte, tail),
        };
        text.push(byte);
        rest = tail;
    }
}

#[cfg(test)]
mod tests;
