//! Bytes to request heads (RFC 9112 §§2-6): strict, incremental, every refusal with its status.

use percent_encoding::{CONTROLS, percent_decode, percent_encode};

use super::collector::{Collector, Kind, Scan};
use crate::{
    error::PeerError,
    http::{
        BodySize, HeaderList, Method, RequestHead, RequestTarget, Version, is_authority, is_tchar,
        parse_digits,
    },
    limits::Limits,
};

/// Collects one request head.
pub(crate) type HeadReader = Collector<Requests>;

/// The heads of requests.
#[derive(Debug)]
pub(crate) struct Requests;

/// A request, and what its head says of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceivedRequest {
    pub(crate) head: RequestHead,
    /// The connection may be kept (RFC 9112 §9.3).
    pub(crate) keep_alive: bool,
}

impl Kind for Requests {
    type Head = ReceivedRequest;
    const EMPTY_LINES: usize = 1;
    const START_TOO_LONG: PeerError = PeerError::TargetTooLong;

    fn check_begin(first: u8) -> Result<(), PeerError> {
        if is_tchar(first) {
            return Ok(());
        }
        Err(PeerError::Malformed("the request line does not begin with a method"))
    }

    fn check_start(line: &[u8]) -> Result<(), PeerError> {
        RequestLine::parse(line).map(|_| ())
    }

    fn parse(bytes: &[u8], scan: Scan, limits: &Limits) -> Result<ReceivedRequest, PeerError> {
        parse(bytes, scan, limits.other_methods)
    }
}

/// The three parts of a request line (RFC 9112 §3), split by one SP each.
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: Version,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, PeerError> {
        let mut words = line.split(|&b| b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(PeerError::Malformed("the request line is not method, target, version"));
        };
        if method.is_empty() || !method.iter().all(|&b| is_tchar(b)) {
            return Err(PeerError::Malformed("the method is not a token"));
        }
        // RFC 9112 §2.3: HTTP/DIGIT.DIGIT.
        let version = match version {
            b"HTTP/1.0" => Version::Http10,
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Version::Http11,
            // So do older source clients of Icecast call the protocol.
            b"ICE/1.0" if method == b"SOURCE" => Version::Http10,
            [b'I', b'C', b'E', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] if method == b"SOURCE" => {
                return Err(PeerError::Version);
            }
            [b'I', b'C', b'E', b'/', ..] if method != b"SOURCE" => {
                return Err(PeerError::Malformed("the protocol ICE is for SOURCE only"));
            }
            b"HTTP/0.9" => return Err(PeerError::Malformed("HTTP/0.9 is not spoken here")),
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                return Err(PeerError::Version);
            }
            _ => return Err(PeerError::Malformed("the version is not HTTP/1.x")),
        };
        // UTF-8 that a client should have percent-encoded, and some do not, is told from anything
        // else. Of one character, some bytes may be encoded.
        let fine = |&b: &u8| b.is_ascii_graphic() && b != b'#' || !b.is_ascii();
        let is_utf8 = |part: &[u8]| {
            std::str::from_utf8(part).is_ok() || percent_decode(part).decode_utf8().is_ok()
        };
        let mut parts = target.splitn(2, |&b| b == b'?');
        if target.is_empty() || !target.iter().all(fine) || !parts.all(is_utf8) {
            let why = "the target holds a character that it cannot hold";
            return Err(PeerError::Malformed(why));
        }
        Ok(Self { method, target, version })
    }
}

fn parse(bytes: &[u8], scan: Scan, other_methods: bool) -> Result<ReceivedRequest, PeerError> {
    let line = RequestLine::parse(scan.start_line(bytes))?;
    let version = line.version;
    let read = if other_methods { Method::from_any_token } else { Method::from_token };
    let method = read(line.method);
    let target = method.map(|method| parse_target(line.target, method));
    let fields = parse_fields(&bytes[scan.fields..], scan.count)?;
    check_host(&fields, version)?;
    let (Some(method), Some(target)) = (method, target) else { return Err(PeerError::Method) };
    let target = target?;
    let body = body_size(&fields, version)?;
    let expect_continue = expects_continue(&fields, version)?;
    let keep_alive = is_kept(&fields, version);
    let head = RequestHead { method, target, version, fields, body, expect_continue };
    Ok(ReceivedRequest { head, keep_alive })
}

/// True if the sender of these fields keeps the connection (RFC 9112 §9.3).
pub(crate) fn is_kept(fields: &HeaderList, version: Version) -> bool {
    let has = |option: &[u8]| fields.list("connection").any(|m| m.eq_ignore_ascii_case(option));
    (version > Version::Http10 || has(b"keep-alive")) && !has(b"close")
}

/// Reads `count` field lines, up to and with the empty line.
pub(crate) fn parse_fields(lines: &[u8], count: usize) -> Result<HeaderList, PeerError> {
    let mut parsed = [httparse::EMPTY_HEADER; Limits::MOST_FIELDS];
    let Ok(httparse::Status::Complete((_, parsed))) = httparse::parse_headers(lines, &mut parsed)
    else {
        return Err(PeerError::Malformed("a field line is not name, colon, value"));
    };
    let mut fields = HeaderList::with_capacity(count, lines.len());
    parsed.iter().for_each(|field| fields.push(field.name, field.value));
    Ok(fields)
}

/// Checks a trailer section, with its empty line, by the grammar of field lines.
pub(crate) fn check_trailers(section: &[u8]) -> Result<(), PeerError> {
    let mut lines = [httparse::EMPTY_HEADER; Limits::MOST_FIELDS];
    match httparse::parse_headers(section, &mut lines) {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        Ok(httparse::Status::Partial) | Err(_) => {
            Err(PeerError::Malformed("a trailer line is not name, colon, value"))
        }
    }
}

/// RFC 9112 §3.2: exactly one Host in HTTP/1.1, and a valid one.
fn check_host(fields: &HeaderList, version: Version) -> Result<(), PeerError> {
    let mut hosts = fields.all("host");
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::Http10 => Ok(()),
        (None, _) => Err(PeerError::Malformed("Host is missing")),
        (Some(_), Some(_)) => Err(PeerError::Malformed("Host is given twice")),
        (Some(host), None) if is_authority(host) => Ok(()),
        (Some(_), None) => Err(PeerError::Malformed("Host is not a host and port")),
    }
}

/// Path and query, in ASCII.
fn path(raw: &[u8]) -> RequestTarget {
    RequestTarget::Path(percent_encode(raw, CONTROLS).to_string())
}

/// RFC 9112 §3.2: origin-form, absolute-form, asterisk-form.
fn parse_target(target: &[u8], method: Method) -> Result<RequestTarget, PeerError> {
    if target.starts_with(b"/") {
        return Ok(path(target));
    }
    if target == b"*" {
        return match method == Method::Options {
            true => Ok(RequestTarget::Asterisk),
            false => Err(PeerError::Malformed("the target * is for OPTIONS only")),
        };
    }
    let rest = [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (head, rest) = target.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let Some(rest) = rest else {
        return Err(PeerError::Malformed("the target is neither a path nor an http URL"));
    };
    let end = rest.iter().position(|b| b"/?".contains(b)).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if !is_authority(authority) {
        return Err(PeerError::Malformed("the target's authority is not a host and port"));
    }
    Ok(match rest.first() {
        // RFC 9112 §3.2.4
        None if method == Method::Options => RequestTarget::Asterisk,
        None => path(b"/"),
        Some(b'/') => path(rest),
        Some(_) => path(&[b"/", rest].concat()),
    })
}

/// RFC 9112 §6.3, stricter: one length or one `chunked`, and nothing beside it.
fn body_size(fields: &HeaderList, version: Version) -> Result<BodySize, PeerError> {
    let mut codings = fields.all("transfer-encoding");
    let mut lengths = fields.all("content-length");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(BodySize::Empty),
        (Some(_), Some(_)) => {
            Err(PeerError::Malformed("Transfer-Encoding and Content-Length exclude each other"))
        }
        (Some(_), None) if version == Version::Http10 => {
            Err(PeerError::Malformed("HTTP/1.0 has no Transfer-Encoding"))
        }
        (Some(coding), None) => {
            if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
                Ok(BodySize::Unknown)
            } else {
                Err(PeerError::Malformed("the only transfer coding is one chunked"))
            }
        }
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err(PeerError::Malformed("Content-Length is given twice"));
            }
            match parse_digits(length) {
                // No file is larger.
                Some(length) if length > i64::MAX as u64 => Err(PeerError::TooLarge),
                Some(length) => Ok(BodySize::Known(length)),
                None => Err(PeerError::Malformed("Content-Length is not a number")),
            }
        }
    }
}

/// RFC 9110 §10.1.1; HTTP/1.0 has no expectations.
fn expects_continue(fields: &HeaderList, version: Version) -> Result<bool, PeerError> {
    let mut found = false;
    if version > Version::Http10 {
        for member in fields.list("expect") {
            if !member.eq_ignore_ascii_case(b"100-continue") {
                return Err(PeerError::Expectation);
            }
            found = true;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
