//! What a session tells of its requests, for logs and counters.

use std::{sync::Arc, time::Duration};

use crate::{
    error::PeerError,
    http::{Method, Status, Version},
};

/// A request that is over.
#[derive(Clone, Debug)]
pub struct Report {
    /// `None`: the head could not be read that far.
    pub method: Option<Method>,
    /// `None`: the connection was lost before an answer was begun.
    pub status: Option<Status>,
    /// Bytes of the request's body that were taken, without their framing.
    pub received: u64,
    /// Bytes of the answer's body that were handed to the socket, with their framing if it is
    /// chunked.
    pub sent: u64,
    /// From the end of the request's head to the last byte of the answer.
    pub took: Duration,
    /// The answer went out to its last byte.
    pub complete: bool,
    /// Why the request's body could not be had, or its answer not be delivered.
    pub why: Option<PeerError>,
    /// The user, if one was needed and is proven.
    pub user: Option<Arc<str>>,
    /// The request, where logs want it.
    pub asked: Option<Arc<RequestSummary>>,
}

/// A request, as far as logs show it. As received, but for bytes that are not UTF-8: to be escaped
/// before it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestSummary {
    /// Path and query, or `*`; of a head that was refused, the second word of its line; empty if it
    /// could not be read that far.
    pub target: String,
    /// The version of HTTP.
    pub version: Version,
    /// The `Range` field.
    pub range: Option<String>,
    /// The `Referer` field.
    pub referer: Option<String>,
    /// The `User-Agent` field.
    pub user_agent: Option<String>,
    /// The request line of a head that was refused, as far as it came; else empty, for the other
    /// fields tell it.
    pub line: String,
}
