//! Methods, status codes and heads.

use std::fmt;

use bytes::Bytes;

use super::{
    fields::{Fields, is_field_value},
    head::is_tchar,
};
use crate::effect::FileId;

/// The methods that are understood (RFC 9110 §9, RFC 5789), and others that only a hook can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// PUT
    Put,
    /// POST
    Post,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// SOURCE: what older Icecast source clients say for PUT
    Source,
    /// Another one: a hook may answer it.
    Other(OtherMethod),
}

/// The token of a method that the server itself does not understand.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OtherMethod {
    len: u8,
    bytes: [u8; Self::LONGEST],
}

impl OtherMethod {
    /// Longer tokens are never methods: the longest registered one has 17 characters.
    const LONGEST: usize = 24;

    fn new(token: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..token.len())?.copy_from_slice(token);
        let is_token = !token.is_empty() && token.iter().all(|&b| is_tchar(b));
        // Its target is no path, and what follows its answer is no message.
        let is_tunnel = token == b"CONNECT";
        let len = u8::try_from(token.len()).ok()?;
        (is_token && !is_tunnel).then_some(Self { len, bytes })
    }

    fn as_str(&self) -> &str {
        let token = self.bytes.get(..self.len.into()).unwrap_or_default();
        std::str::from_utf8(token).unwrap_or_default()
    }

    /// True if its request changes nothing (RFC 4918, RFC 3253, RFC 5323, and HTTP QUERY).
    fn is_safe(&self) -> bool {
        matches!(self.as_str(), "PROPFIND" | "QUERY" | "REPORT" | "SEARCH" | "TRACE")
    }
}

impl fmt::Debug for OtherMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Method {
    /// Reads the token; methods are case-sensitive.
    pub fn from_token(token: &[u8]) -> Option<Self> {
        Some(match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"PUT" => Self::Put,
            b"POST" => Self::Post,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"SOURCE" => Self::Source,
            _ => return None,
        })
    }

    /// Reads the token of any method but CONNECT. `None` for what is too long to be one.
    pub fn from_any_token(token: &[u8]) -> Option<Self> {
        Self::from_token(token).or_else(|| OtherMethod::new(token).map(Self::Other))
    }

    /// True if a request changes nothing (RFC 9110 §9.2.1).
    pub fn is_safe(&self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Options => true,
            Self::Put | Self::Post | Self::Patch | Self::Delete | Self::Source => false,
            Self::Other(other) => other.is_safe(),
        }
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Source => "SOURCE",
            Self::Other(other) => other.as_str(),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A status code (RFC 9110 §15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(u16);

macro_rules! statuses {
    ($($name:ident = $code:literal $reason:literal;)*) => {
        impl Status {
            /// All that our server says, in order.
            pub const ALL: &[Self] = &[$(Self($code),)*];

            $(#[doc = concat!(stringify!($code), " ", $reason)] pub const $name: Self = Self($code);)*

            /// The reason phrase.
            pub fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    code => foreign_reason(code),
                }
            }
        }
    };
}

statuses! {
    CONTINUE = 100 "Continue";
    OK = 200 "OK";
    CREATED = 201 "Created";
    NO_CONTENT = 204 "No Content";
    PARTIAL_CONTENT = 206 "Partial Content";
    MOVED_PERMANENTLY = 301 "Moved Permanently";
    NOT_MODIFIED = 304 "Not Modified";
    BAD_REQUEST = 400 "Bad Request";
    UNAUTHORIZED = 401 "Unauthorized";
    FORBIDDEN = 403 "Forbidden";
    NOT_FOUND = 404 "Not Found";
    METHOD_NOT_ALLOWED = 405 "Method Not Allowed";
    REQUEST_TIMEOUT = 408 "Request Timeout";
    CONFLICT = 409 "Conflict";
    LENGTH_REQUIRED = 411 "Length Required";
    PRECONDITION_FAILED = 412 "Precondition Failed";
    CONTENT_TOO_LARGE = 413 "Content Too Large";
    URI_TOO_LONG = 414 "URI Too Long";
    UNSUPPORTED_MEDIA_TYPE = 415 "Unsupported Media Type";
    RANGE_NOT_SATISFIABLE = 416 "Range Not Satisfiable";
    EXPECTATION_FAILED = 417 "Expectation Failed";
    TOO_MANY_REQUESTS = 429 "Too Many Requests";
    HEAD_TOO_LARGE = 431 "Request Header Fields Too Large";
    INTERNAL_SERVER_ERROR = 500 "Internal Server Error";
    NOT_IMPLEMENTED = 501 "Not Implemented";
    SERVICE_UNAVAILABLE = 503 "Service Unavailable";
    VERSION_NOT_SUPPORTED = 505 "HTTP Version Not Supported";
    INSUFFICIENT_STORAGE = 507 "Insufficient Storage";
}

impl Status {
    /// The final status of this number; `None` if it is not from 200 to 599.
    pub fn from_code(code: u16) -> Option<Self> {
        (200..600).contains(&code).then_some(Self(code))
    }

    /// As [`from_code`](Self::from_code), interim ones (1xx) too.
    pub(crate) fn received(code: u16) -> Option<Self> {
        (100..600).contains(&code).then_some(Self(code))
    }

    /// The number.
    pub fn code(self) -> u16 {
        self.0
    }

    /// 2xx.
    pub fn is_success(self) -> bool {
        self.0 / 100 == 2
    }

    /// 4xx or 5xx.
    pub fn is_error(self) -> bool {
        self.0 >= 400
    }

    /// True where RFC 9110 §6.4.1 forbids content.
    pub(crate) fn has_no_content(self) -> bool {
        self.0 < 200 || matches!(self.0, 204 | 304)
    }
}

/// Of statuses that only hooks give, and other servers.
fn foreign_reason(code: u16) -> &'static str {
    match code {
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        205 => "Reset Content",
        300 => "Multiple Choices",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        402 => "Payment Required",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        410 => "Gone",
        418 => "I'm a Teapot",
        422 => "Unprocessable Content",
        451 => "Unavailable For Legal Reasons",
        502 => "Bad Gateway",
        504 => "Gateway Timeout",
        _ => match code / 100 {
            2 => "Success",
            3 => "Redirection",
            4 => "Client Error",
            5 => "Server Error",
            _ => "",
        },
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            "" => write!(f, "{}", self.0),
            reason => write!(f, "{} {reason}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a request asks for (RFC 9112 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Path and query, from origin-form or out of absolute-form. Begins with `/`; visible ASCII only.
    Path(String),
    /// `*`, of OPTIONS only.
    Asterisk,
}

/// How much body a request announces (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Neither length nor transfer coding: no body.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A request head that passed every check of RFC 9112.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target.
    pub target: Target,
    /// Minor version: 0, or 1 for anything above.
    pub minor: u8,
    /// The fields.
    pub fields: Fields,
    /// The body to come.
    pub body: Incoming,
    /// The peer waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// The connection may be kept (RFC 9112 §9.3).
    pub keep_alive: bool,
}

/// A response head without its framing: the connection itself adds `Date`, `Content-Length`,
/// `Transfer-Encoding` and `Connection`.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    pub(crate) status: Status,
    pub(crate) lines: Vec<u8>,
}

impl ResponseHead {
    /// A head with no fields.
    pub fn new(status: Status) -> Self {
        Self { status, lines: Vec::with_capacity(256) }
    }

    /// Adds a field. A value that a field cannot carry is left out, with its name: nothing that comes from
    /// outside can add a line to the head. So are the fields that belong to the connection.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.push(name, value.as_ref());
        self
    }

    /// Adds a field if there is a value.
    #[must_use]
    pub fn field_opt(self, name: &'static str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// As [`field`](Self::field), in place.
    pub(crate) fn add(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        self.push(name, value.as_ref());
    }

    /// Adds a member to a field that is a list.
    pub(crate) fn add_member(&mut self, name: &'static str, member: &'static str) {
        let mut end = 0;
        for line in self.lines.split_inclusive(|&b| b == b'\n') {
            end += line.len();
            let (own, rest) = line.split_at(name.len().min(line.len()));
            if own.eq_ignore_ascii_case(name.as_bytes()) && rest.starts_with(b":") {
                let at = end - 2;
                self.lines.splice(at..at, [", ", member].concat().into_bytes());
                return;
            }
        }
        self.push(name, member.as_bytes());
    }

    /// Adds lines that were checked before, each with its CRLF.
    pub(crate) fn add_lines(&mut self, lines: &[u8]) {
        self.lines.extend_from_slice(lines);
    }

    /// The value of the first field of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.lines.split(|&b| b == b'\n').find_map(|line| {
            let (own, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(b":")?;
            own.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
        })
    }

    /// Keeps the fields whose names `keep` likes.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let lines = std::mem::take(&mut self.lines);
        for line in lines.split_inclusive(|&b| b == b'\n') {
            let name = line.split(|&b| b == b':').next().unwrap_or_default();
            if std::str::from_utf8(name).is_ok_and(&keep) {
                self.lines.extend_from_slice(line);
            }
        }
    }

    fn push(&mut self, name: &'static str, value: &[u8]) {
        let framing = ["connection", "content-length", "date", "transfer-encoding"];
        let is = |own: &&str| own.len() == name.len() && name.eq_ignore_ascii_case(own);
        if framing.iter().any(is) || !is_field_value(value) {
            return;
        }
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.lines.extend_from_slice(piece);
        }
    }
}

/// A piece of a body, in any framing: bytes, or a span of an open file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes; shared, not copied.
    Bytes(Bytes),
    /// A span of a file.
    File {
        /// Which.
        file: FileId,
        /// Offset in bytes.
        at: u64,
        /// Number of bytes.
        len: u64,
    },
}

impl Part {
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
