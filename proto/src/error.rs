//! Errors by culprit: the peer, the file system, the configuration.

use std::{fmt, io};

use crate::http::Status;

/// What the peer did wrong, or what happened to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// The request line, a field or the framing breaks the grammar or a MUST of RFC 9110/9112. The
    /// text says which.
    Malformed(&'static str),
    /// The request target is longer than [`Limits::request_line`](crate::Limits::request_line).
    TargetTooLong,
    /// The head is larger than [`Limits`](crate::Limits) allows.
    HeadTooLarge,
    /// The major version is not 1.
    Version,
    /// The method is not one that this server knows.
    Method,
    /// An expectation other than `100-continue`.
    Expectation,
    /// A body of unknown length in a request that needs one.
    LengthRequired,
    /// The body is larger than allowed.
    TooLarge,
    /// The deadline of the phase passed.
    Timeout(crate::Timer),
    /// The peer closed in the middle of a message.
    Truncated,
    /// There are too many connections (`maxc`, `maxp`).
    Overloaded,
    /// The socket failed.
    Broken(io::ErrorKind),
}

impl PeerError {
    /// The status that tells the peer (RFC 9110 §15); `None` if no peer is left to be told.
    pub fn status(self) -> Option<Status> {
        Some(match self {
            Self::Malformed(_) | Self::Truncated => Status::BAD_REQUEST,
            Self::TargetTooLong => Status::URI_TOO_LONG,
            Self::HeadTooLarge => Status::HEAD_TOO_LARGE,
            Self::Version => Status::VERSION_NOT_SUPPORTED,
            Self::Method => Status::NOT_IMPLEMENTED,
            Self::Expectation => Status::EXPECTATION_FAILED,
            Self::LengthRequired => Status::LENGTH_REQUIRED,
            Self::TooLarge => Status::CONTENT_TOO_LARGE,
            Self::Timeout(_) => Status::REQUEST_TIMEOUT,
            Self::Overloaded => Status::SERVICE_UNAVAILABLE,
            Self::Broken(_) => return None,
        })
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => f.write_str(what),
            Self::TargetTooLong => f.write_str("the request target is too long"),
            Self::HeadTooLarge => f.write_str("the head is too large"),
            Self::Version => {
                f.write_str("only HTTP/1.x is spoken here, and ICE/1.0 in a SOURCE request")
            }
            Self::Method => f.write_str("unknown method"),
            Self::Expectation => f.write_str("unknown expectation"),
            Self::LengthRequired => {
                f.write_str("an upload needs Content-Length or Transfer-Encoding: chunked")
            }
            Self::TooLarge => f.write_str("the content is too large"),
            Self::Timeout(timer) => write!(f, "the {timer} deadline passed"),
            Self::Truncated => f.write_str("the connection was closed in the middle of a message"),
            Self::Overloaded => f.write_str("there are too many connections"),
            Self::Broken(kind) => write!(f, "the connection broke: {kind}"),
        }
    }
}

impl std::error::Error for PeerError {}

/// An option that cannot be obeyed: which, what is wrong with it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The option's name, such as `rdirs`.
    pub option: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub help: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.option, self.problem, self.help)
    }
}

impl std::error::Error for ConfigError {}
