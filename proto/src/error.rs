//! Errors by culprit: the peer, the file system, the configuration.

use std::{fmt, io};

use crate::http1::Status;

/// What the peer did wrong, or what happened to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// The request line, a field or the framing breaks the grammar or a MUST of RFC 9110/9112. The text says which.
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
    /// The status that tells the peer (RFC 9110 §15); `None` where nobody is left to be told.
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
            Self::Version => f.write_str("only HTTP/1.x is spoken here"),
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

/// Why a file effect failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FsError {
    /// There is no such file, or a directory on the way is missing or no directory.
    NotFound,
    /// It is a directory.
    IsDirectory,
    /// It is neither a regular file nor a directory, or a directory on the way to a new file is a file.
    NotRegular,
    /// A symbolic link leads out of the root, or in circles.
    Outside,
    /// The operating system refuses access.
    Denied,
    /// The name is too long for the file system.
    NameTooLong,
    /// No room on the device, or over quota.
    Full,
    /// The target is no longer what [`Expect`](crate::effect::Expect) says.
    Changed,
    /// A patch begins past the end of the file, which has this many bytes.
    Hole(u64),
    /// Too many open files.
    Exhausted,
    /// Anything else.
    Other(io::ErrorKind),
}

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such file"),
            Self::IsDirectory => f.write_str("is a directory"),
            Self::NotRegular => f.write_str("not a regular file"),
            Self::Outside => f.write_str("a symbolic link leads out of the served directory"),
            Self::Denied => f.write_str("permission denied"),
            Self::NameTooLong => f.write_str("file name too long"),
            Self::Full => f.write_str("no space left on the device"),
            Self::Changed => f.write_str("the file was changed meanwhile"),
            Self::Hole(len) => write!(f, "the range begins past the end of the file ({len} bytes)"),
            Self::Exhausted => f.write_str("too many open files"),
            Self::Other(kind) => write!(f, "{kind}"),
        }
    }
}

impl std::error::Error for FsError {}

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
