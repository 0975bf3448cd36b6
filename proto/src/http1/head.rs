//! Bytes to request heads (RFC 9112 §§2-6): strict, incremental, every refusal with its status.

use bytes::Bytes;
use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::{
    collector::{Collector, Kind, Scan},
    fields::{Fields, Line},
    message::{Incoming, Method, RequestHead, Target},
};
use crate::{error::PeerError, limits::Limits};

/// Collects one request head.
pub(crate) type HeadReader = Collector<Requests>;

/// The heads of requests.
#[derive(Debug)]
pub(crate) struct Requests;

impl Kind for Requests {
    type Head = RequestHead;
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

    fn parse(bytes: Bytes, scan: Scan, limits: &Limits) -> Result<RequestHead, PeerError> {
        parse(bytes, scan, limits.other_methods)
    }
}

/// The three parts of a request line (RFC 9112 §3), split by one SP each.
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a str,
    minor: u8,
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
        let minor = match version {
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => minor - b'0',
            // So do older source clients of Icecast call the protocol.
            b"ICE/1.0" if method == b"SOURCE" => 0,
            b"HTTP/0.9" => return Err(PeerError::Malformed("HTTP/0.9 is not spoken here")),
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                return Err(PeerError::Version);
            }
            _ => return Err(PeerError::Malformed("the version is not HTTP/1.x")),
        };
        // UTF-8 that a client should have percent-encoded, and some do not, is told from anything else.
        let fine = |b: u8| b.is_ascii_graphic() && b != b'#' || !b.is_ascii();
        let target = std::str::from_utf8(target)
            .ok()
            .filter(|t| !t.is_empty() && t.bytes().all(fine))
            .ok_or(PeerError::Malformed("the target holds a character that it cannot hold"))?;
        Ok(Self { method, target, minor })
    }
}

fn parse(bytes: Bytes, scan: Scan, other_methods: bool) -> Result<RequestHead, PeerError> {
    let line = RequestLine::parse(scan.start_line(&bytes))?;
    let minor = line.minor.min(1);
    let read = if other_methods { Method::from_any_token } else { Method::from_token };
    let method = read(line.method);
    let target = method.map(|method| parse_target(line.target, method));
    let fields = parse_fields(bytes, scan.fields, scan.count)?;
    check_host(&fields, minor)?;
    let (Some(method), Some(target)) = (method, target) else { return Err(PeerError::Method) };
    let target = target?;
    let body = body_length(&fields, minor)?;
    let expect_continue = expects_continue(&fields, minor)?;
    let has = |option: &[u8]| fields.list("connection").any(|m| m.eq_ignore_ascii_case(option));
    let keep_alive = if minor == 0 { has(b"keep-alive") && !has(b"close") } else { !has(b"close") };
    Ok(RequestHead { method, target, minor, fields, body, expect_continue, keep_alive })
}

/// Reads the field lines that begin at `start`, up to and with the empty line.
pub(crate) fn parse_fields(bytes: Bytes, start: usize, count: usize) -> Result<Fields, PeerError> {
    let base = bytes.as_ptr() as usize;
    let range = |part: &[u8]| {
        let start = part.as_ptr() as usize - base;
        (start, start + part.len())
    };
    let mut at = Vec::with_capacity(count);
    {
        let mut lines = [httparse::EMPTY_HEADER; Limits::MOST_FIELDS];
        let Ok(httparse::Status::Complete((_, lines))) =
            httparse::parse_headers(&bytes[start..], &mut lines)
        else {
            return Err(PeerError::Malformed("a field line is not name, colon, value"));
        };
        for line in lines {
            let value = if line.value.is_empty() { (0, 0) } else { range(line.value) };
            at.push(Line::new(range(line.name.as_bytes()), value));
        }
    }
    Ok(Fields::new(bytes, at))
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
fn check_host(fields: &Fields, minor: u8) -> Result<(), PeerError> {
    let mut hosts = fields.all("host");
    match (hosts.next(), hosts.next()) {
        (None, _) if minor == 0 => Ok(()),
        (None, _) => Err(PeerError::Malformed("Host is missing")),
        (Some(_), Some(_)) => Err(PeerError::Malformed("Host is given twice")),
        (Some(host), None) if is_authority(host) => Ok(()),
        (Some(_), None) => Err(PeerError::Malformed("Host is not a host and port")),
    }
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2), not empty, without user information.
pub(crate) fn is_authority(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    let (host, port) = match value.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((literal, port))) => {
            if literal.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            match port.strip_prefix(':') {
                Some(port) => ("", port),
                None => return port.is_empty(),
            }
        }
        Some(None) => return false,
        None => match value.split_once(':') {
            Some(("", _)) => return false,
            Some((host, port)) => (host, port),
            None if value.is_empty() => return false,
            None => (value, ""),
        },
    };
    let port_is_fine = match parse_digits(port.as_bytes()) {
        Some(number) => number <= 65535,
        None => port.is_empty(),
    };
    port_is_fine && is_reg_name(host)
}

/// `reg-name` of RFC 3986 §3.2.2.
fn is_reg_name(host: &str) -> bool {
    let bytes = host.as_bytes();
    bytes.iter().enumerate().all(|(at, &b)| match b {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        _ => b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b),
    }) && !host.contains(',')
}

/// Path and query, in ASCII.
fn path(raw: &str) -> Target {
    Target::Path(utf8_percent_encode(raw, CONTROLS).to_string())
}

/// RFC 9112 §3.2: origin-form, absolute-form, asterisk-form.
fn parse_target(target: &str, method: Method) -> Result<Target, PeerError> {
    if target.starts_with('/') {
        return Ok(path(target));
    }
    if target == "*" {
        return match method {
            Method::Options => Ok(Target::Asterisk),
            Method::Get
            | Method::Head
            | Method::Put
            | Method::Post
            | Method::Patch
            | Method::Delete
            | Method::Source
            | Method::Other(_) => Err(PeerError::Malformed("the target * is for OPTIONS only")),
        };
    }
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| {
        let head = target.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| &target[scheme.len()..])
    });
    let Some(rest) = rest else {
        return Err(PeerError::Malformed("the target is neither a path nor an http URL"));
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if !is_authority(authority.as_bytes()) {
        return Err(PeerError::Malformed("the target's authority is not a host and port"));
    }
    Ok(match rest.as_bytes().first() {
        // RFC 9112 §3.2.4
        None if method == Method::Options => Target::Asterisk,
        None => path("/"),
        Some(b'/') => path(rest),
        Some(_) => path(&format!("/{rest}")),
    })
}

/// RFC 9112 §6.3, stricter: one length or one `chunked`, and nothing beside it.
fn body_length(fields: &Fields, minor: u8) -> Result<Incoming, PeerError> {
    let mut codings = fields.all("transfer-encoding");
    let mut lengths = fields.all("content-length");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Incoming::None),
        (Some(_), Some(_)) => {
            Err(PeerError::Malformed("Transfer-Encoding and Content-Length exclude each other"))
        }
        (Some(_), None) if minor == 0 => {
            Err(PeerError::Malformed("HTTP/1.0 has no Transfer-Encoding"))
        }
        (Some(coding), None) => {
            if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
                Ok(Incoming::Chunked)
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
                Some(length) => Ok(Incoming::Length(length)),
                None => Err(PeerError::Malformed("Content-Length is not a number")),
            }
        }
    }
}

/// RFC 9110 §10.1.1; HTTP/1.0 has no expectations.
fn expects_continue(fields: &Fields, minor: u8) -> Result<bool, PeerError> {
    let mut found = false;
    if minor > 0 {
        for member in fields.list("expect") {
            if !member.eq_ignore_ascii_case(b"100-continue") {
                return Err(PeerError::Expectation);
            }
            found = true;
        }
    }
    Ok(found)
}

/// Digits and nothing else, at least one, within u64: `str::parse` would take a sign.
pub(crate) fn parse_digits(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// `tchar` of RFC 9110 §5.6.2.
pub(crate) fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests;
