//! Request methods (RFC 9110 §9).

use std::fmt;

use super::syntax::is_tchar;

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
