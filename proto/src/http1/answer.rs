//! Bytes to the heads of answers (RFC 9112 §§4-6), as a client reads them: strict, incremental.

use bytes::Bytes;

use super::{
    collector::{Collector, Kind, Scan},
    fields::Fields,
    head::{parse_digits, parse_fields},
    message::Status,
};
use crate::{error::PeerError, limits::Limits};

/// How the end of an answer's body is known (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// There is none: the status or the request's method says so.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// It ends with the connection.
    Close,
}

/// The head of an answer that passed every check of RFC 9112.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status; 200 or above, once a [`Client`](super::Client) hands it out.
    pub status: Status,
    /// Minor version: 0, or 1 for anything above.
    pub minor: u8,
    /// The fields.
    pub fields: Fields,
    /// The body to come.
    pub body: AnswerBody,
    /// What `Content-Length` says, also where no body comes (HEAD).
    pub length: Option<u64>,
    /// The server keeps the connection (RFC 9112 §9.3).
    pub keep_alive: bool,
}

/// Collects one head of an answer.
pub(crate) type AnswerReader = Collector<Answers>;

/// The heads of answers.
#[derive(Debug)]
pub(crate) struct Answers;

impl Kind for Answers {
    type Head = Answer;
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

    fn parse(bytes: Bytes, scan: Scan, _: &Limits) -> Result<Answer, PeerError> {
        let (minor, status) = status_line(scan.start_line(&bytes))?;
        let fields = parse_fields(bytes, scan.fields, scan.count)?;
        let (body, length) = body_length(&fields, status, minor)?;
        let has = |option: &[u8]| fields.list("connection").any(|m| m.eq_ignore_ascii_case(option));
        let keep_alive =
            if minor == 0 { has(b"keep-alive") && !has(b"close") } else { !has(b"close") };
        Ok(Answer { status, minor, fields, body, length, keep_alive })
    }
}

/// RFC 9112 §4. The space behind the code is missed by many servers that give no reason, and not missed here.
fn status_line(line: &[u8]) -> Result<(u8, Status), PeerError> {
    let (version, rest) = line.split_at_checked(8).ok_or(NO_STATUS_LINE)?;
    // RFC 9112 §2.3: HTTP/DIGIT.DIGIT.
    let minor = match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => minor - b'0',
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
    Ok((minor.min(1), status))
}

const NO_STATUS_LINE: PeerError = PeerError::Malformed("the status line is malformed");

/// RFC 9112 §6.3, stricter: one length or one `chunked`, and nothing beside it.
fn body_length(
    fields: &Fields,
    status: Status,
    minor: u8,
) -> Result<(AnswerBody, Option<u64>), PeerError> {
    let mut codings = fields.all("transfer-encoding");
    let mut lengths = fields.all("content-length");
    let body = match (codings.next(), lengths.next()) {
        (None, None) => AnswerBody::Close,
        (Some(_), Some(_)) => {
            return Err(PeerError::Malformed(
                "Transfer-Encoding and Content-Length exclude each other",
            ));
        }
        (Some(_), None) if minor == 0 => {
            return Err(PeerError::Malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        (Some(coding), None) => {
            if !coding.eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
                return Err(PeerError::Malformed("the only transfer coding is one chunked"));
            }
            AnswerBody::Chunked
        }
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err(PeerError::Malformed("Content-Length is given twice"));
            }
            let length = parse_digits(length)
                .filter(|&length| length <= i64::MAX as u64)
                .ok_or(PeerError::Malformed("Content-Length is not a number"))?;
            AnswerBody::Length(length)
        }
    };
    let length = match body {
        AnswerBody::Length(length) => Some(length),
        AnswerBody::None | AnswerBody::Chunked | AnswerBody::Close => None,
    };
    Ok((if status.has_no_content() { AnswerBody::None } else { body }, length))
}

#[cfg(test)]
mod tests;
