//! What became of a job, in words that say what was wrong, where, and what to do.

use std::{fmt, time::Duration};

use crate::{
    error::PeerError,
    http::{Method, Status},
};

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has all of it.
    Stored(Stored),
    /// The server removed it, or did not have it.
    Deleted {
        /// What it said.
        status: Status,
    },
    /// It was not done.
    Failed(Failure),
}

/// An upload that the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What it said.
    pub status: Status,
    /// Bytes of the body.
    pub bytes: u64,
    /// The entity tag it gave.
    pub etag: Option<String>,
    /// Tries that it took, at least 1.
    pub tries: u32,
    /// It was looked at afterwards, and is what was sent.
    pub verified: bool,
}

/// Why a job was not done. Its text is a line for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The method.
    pub method: Method,
    /// The URL of the last try, without credentials and without the values of its query.
    pub url: String,
    /// What happened.
    pub why: PushError,
    /// Tries that were made.
    pub tries: u32,
}

/// What kept a job from being done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError {
    /// The server answered so.
    Refused(Status),
    /// The server asks to come back later than would be waited for.
    Later(Status, Duration),
    /// No connection could be made.
    Unreachable(String),
    /// No connection can be made, and why; with what to do.
    Barred(String),
    /// The connection was lost.
    Lost(PeerError),
    /// What the server answered is no HTTP/1.x.
    Garbage(PeerError),
    /// A redirect that is not followed, and why.
    Redirect(Status, &'static str),
    /// It would have to be sent again, which cannot be done; and why again.
    Unrepeatable(Box<Self>),
    /// The length is unknown, and chunked coding is off.
    LengthUnknown,
    /// The job contradicts itself.
    Misuse(&'static str),
    /// The body could not be had.
    Source(String),
    /// The body ended before its length.
    Short {
        /// Bytes that were announced.
        announced: u64,
        /// Bytes that there were.
        had: u64,
    },
    /// It was stored, and is not what was sent.
    Unlike(String),
    /// An earlier job failed (`ka` off).
    GivenUp,
    /// It was called off.
    Cancelled,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.url, self.why)?;
        if self.tries > 1 {
            write!(f, " (after {} tries)", self.tries)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => write!(f, "{status}: {}", advice(*status)),
            Self::Later(status, after) => write!(
                f,
                "{status}: the server asks to come back in {} s; try again then",
                after.as_secs()
            ),
            Self::Unreachable(what) => {
                write!(f, "no connection: {what}; check host and port, and that the server runs")
            }
            Self::Barred(what) => write!(f, "no connection: {what}"),
            Self::Lost(why) => write!(f, "{why}; look at the server's log, or try again"),
            Self::Garbage(why) => {
                write!(f, "the answer is not HTTP: {why}; check scheme (http or https) and port")
            }
            Self::Redirect(status, why) => {
                write!(f, "{status}: {why}; give the URL that is meant")
            }
            Self::Unrepeatable(why) => {
                write!(f, "{why}; the input cannot be sent again: upload it from a file")
            }
            Self::LengthUnknown => f.write_str(
                "the length of the input is not known and chunked coding is off; upload a file, or leave cte on",
            ),
            Self::Misuse(what) => f.write_str(what),
            Self::Source(what) => write!(f, "the input cannot be read: {what}"),
            Self::Short { announced, had } => write!(
                f,
                "the input ended after {had} of {announced} bytes; do not shorten a file that is being uploaded"
            ),
            Self::Unlike(what) => write!(f, "stored, but {what}; upload it again"),
            Self::GivenUp => f.write_str("not tried, since an upload before it failed and ka is off"),
            Self::Cancelled => f.write_str("called off"),
        }
    }
}

/// What to do about an answer.
fn advice(status: Status) -> &'static str {
    match status.code() {
        401 => {
            "the server wants a user and password that it knows; give them with --auth-file, or as user:password@ in the URL"
        }
        403 => "the server forbids it; check the user's rights and the path",
        404 => "the server has no such place; check the path",
        405 => "the server takes no uploads there; check the path, and --post or PUT",
        409 => "the directory is missing, or somebody else changes the resource; check the path",
        411 => "the server takes no chunked bodies; use --cte off and files of known length",
        412 => "the resource is not in the state that was asked for",
        413 => "too large for the server; raise its limit, or send less",
        415 => {
            "the server does not take this media type; check --mime, or hdrs with Content-Encoding"
        }
        416 => "the range does not fit the resource; check its length",
        429 | 503 => "the server is busy; try again later",
        507 => "the server's disk is full; free some room there",
        500..=599 => "the server failed; look at its log",
        300..=399 => "the server points elsewhere; give the URL that is meant",
        _ => "the server does not take it; look at its log",
    }
}
