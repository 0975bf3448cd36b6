//! Bytes to the heads of answers (RFC 9112 §§4-6), as a client reads them: strict, incremental.

use super::{
    collector::{Collector, Kind, Scan},
    head::{is_kept, parse_fields},
};
use crate::{
    error::PeerError,
    http::{BodySize, HeaderList, Status, Version, parse_digits},
    limits::Limits,
};

/// How the end of a response's body is known (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The status says that there is no body.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection.
    Close,
}

/// The head of a response that passed every check of RFC 9112.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status; 200 or above, once a [`Client`](super::Client) hands it out.
    pub status: Status,
    /// The version.
    pub version: Version,
    /// The fields.
    pub fields: HeaderList,
    /// The body to come.
    pub body: BodySize,
    /// What `Content-Length` says, also where no body comes (HEAD).
    pub content_length: Option<u64>,
}

/// A response, and what its head says of the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReceivedResponse {
    pub(crate) head: Response,
    pub(crate) framing: Framing,
    /// The server keeps the connection (RFC 9112 §9.3).
    pub(crate) keep_alive: bool,
}

/// Collects the head of one response.
pub(crate) type ResponseReader = Collector<Responses>;

/// The heads of responses.
#[derive(Debug)]
pub(crate) struct Responses;

impl Kind for Responses {
    type Head = ReceivedResponse;
    const EMPTY_LINES: usize = 0;
    const START_TOO_LONG: PeerError = PeerError::HeadTooLarge;

    fn check_begin(first: u8) -> Result<(), PeerError> {
        if first == b'H' {
            return Ok(());
        }
        Err(PeerError::Malformed("what came is no HTTP answer"))
    }

    fn check_start(line: &[u8]) -> Result<(), PeerError> {
        status_line(line).map(|_| ())
    }

    fn parse(bytes: &[u8], scan: Scan, _: &Limits) -> Result<ReceivedResponse, PeerError> {
        let (version, status) = status_line(scan.start_line(bytes))?;
        let fields = parse_fields(&bytes[scan.fields..], scan.count)?;
        let (framing, content_length) = framing(&fields, status, version)?;
        let body = match framing {
            Framing::None => BodySize::Empty,
            Framing::Length(len) => BodySize::Known(len),
            Framing::Chunked | Framing::Close => BodySize::Unknown,
        };
        let keep_alive = is_kept(&fields, version);
        let head = Response { status, version, fields, body, content_length };
        Ok(ReceivedResponse { head, framing, keep_alive })
    }
}

/// RFC 9112 §4. The space behind the code is missed by many servers that give no reason, and not
/// missed here.
fn status_line(line: &[u8]) -> Result<(Version, Status), PeerError> {
    let (version, rest) = line.split_at_checked(8).ok_or(NO_STATUS_LINE)?;
    // RFC 9112 §2.3: HTTP/DIGIT.DIGIT.
    let version = match version {
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Version::Http11,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            return Err(PeerError::Version);
        }
        _ => return Err(NO_STATUS_LINE),
    };
    let [b' ', code @ ..] = rest else { return Err(NO_STATUS_LINE) };
    let (code, reason) = code.split_at_checked(3).ok_or(NO_STATUS_LINE)?;
    let status = parse_digits(code)
        .and_then(|code| u16::try_from(code).ok())
        .and_then(Status::received)
        .ok_or(PeerError::Malformed("the status is not a number from 100 to 599"))?;
    // `reason-phrase = 1*( HTAB / SP / VCHAR / obs-text )`
    let printable = |&b: &u8| matches!(b, b'\t' | b' '..=b'~' | 0x80..);
    if !(reason.is_empty() || reason[0] == b' ' && reason.iter().all(printable)) {
        return Err(PeerError::Malformed("the reason holds a character that it cannot hold"));
    }
    Ok((version, status))
}

const NO_STATUS_LINE: PeerError = PeerError::Malformed("the status line is malformed");

/// RFC 9112 §6.3, stricter: one length or one `chunked`, and nothing beside it.
fn framing(
    fields: &HeaderList,
    status: Status,
    version: Version,
) -> Result<(Framing, Option<u64>), PeerError> {
    let mut codings = fields.all("transfer-encoding");
    let mut lengths = fields.all("content-length");
    let body = match (codings.next(), lengths.next()) {
        (None, None) => Framing::Close,
        (Some(_), Some(_)) => {
            return Err(PeerError::Malformed(
                "Transfer-Encoding and Content-Length exclude each other",
            ));
        }
        (Some(_), None) if version == Version::Http10 => {
            return Err(PeerError::Malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        (Some(coding), None) => {
            if !coding.eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
                return Err(PeerError::Malformed("the only transfer coding is one chunked"));
            }
            Framing::Chunked
        }
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err(PeerError::Malformed("Content-Length is given twice"));
            }
            let length = parse_digits(length)
                .filter(|&length| length <= i64::MAX as u64)
                .ok_or(PeerError::Malformed("Content-Length is not a number"))?;
            Framing::Length(length)
        }
    };
    let length = match body {
        Framing::Length(length) => Some(length),
        Framing::None | Framing::Chunked | Framing::Close => None,
    };
    Ok((if status.has_no_content() { Framing::None } else { body }, length))
}

#[cfg(test)]
mod tests;
