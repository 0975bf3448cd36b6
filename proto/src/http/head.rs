//! Heads of requests and responses.

use std::fmt;

use super::{BodySize, HeaderList, Method, Status, syntax::is_field_value};

/// A version of HTTP (RFC 9110 §2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1, and any later minor version of HTTP/1.
    #[default]
    Http11,
}

impl Version {
    /// As logs show it: `HTTP/1.1`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a request asks for (RFC 9110 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestTarget {
    /// Path and query. Begins with `/`; visible ASCII only.
    Path(String),
    /// `*`, of OPTIONS only.
    Asterisk,
}

/// The head of a request that passed every check of its version of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target.
    pub target: RequestTarget,
    /// The version that the request was sent in.
    pub version: Version,
    /// The fields.
    pub fields: HeaderList,
    /// The body to come.
    pub body: BodySize,
    /// The client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub expect_continue: bool,
}

/// The head of a response, without what frames it: the connection itself adds `Date`,
/// `Content-Length`, `Transfer-Encoding` and `Connection`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub(crate) status: Status,
    pub(crate) fields: HeaderList,
}

impl ResponseHead {
    /// A head with no fields.
    pub fn new(status: Status) -> Self {
        Self { status, fields: HeaderList::with_capacity(16, 512) }
    }

    /// Adds a field. A value that a field cannot carry is left out, with its name: nothing that
    /// comes from outside can add a line to the head. So are the fields that belong to the
    /// connection.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.add(name, value);
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

    /// The fields.
    pub fn fields(&self) -> &HeaderList {
        &self.fields
    }

    /// As [`field`](Self::field), in place.
    pub(crate) fn add(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        let framing = ["connection", "content-length", "date", "transfer-encoding"];
        let is = |own: &&str| own.len() == name.len() && name.eq_ignore_ascii_case(own);
        if !framing.iter().any(is) && is_field_value(value) {
            self.fields.push(name, value);
        }
    }
}
