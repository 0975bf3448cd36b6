//! An upload that is handed on instead of being stored.

use std::sync::Arc;

use crate::{
    client::Client,
    fs::RelPath,
    http::{Method, Status},
    semantics::target,
};

/// What is known of an upload before its first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// PUT or POST.
    pub method: Method,
    /// The path in the URL, decoded; may be the root.
    pub path: RelPath,
    /// The URL ends in a slash, as a directory's does; always so for the root.
    pub directory: bool,
    /// The query in the URL, as it was sent.
    pub query: Option<String>,
    /// The media type that the request gives, as it was sent; `None`: none, or one that is not
    /// spelt as a media type is.
    pub media_type: Option<String>,
    /// Announced length of the body in bytes.
    pub len: Option<u64>,
    /// The client that sends it.
    pub client: Client,
    /// The user, if rules ask for one.
    pub user: Option<Arc<str>>,
}

impl Delivery {
    /// The path as a URL has it: encoded, with the slashes at its ends.
    pub fn url_path(&self) -> String {
        let slash = if self.directory && !self.path.is_root() { "/" } else { "" };
        target::encode(&self.path) + slash
    }
}

/// Why an upload is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the peer is told; 500 if it is no error.
    pub status: Status,
    /// The same in words, for the answer's body: a line of text.
    pub why: String,
}

impl Refusal {
    /// With this status, for this reason.
    pub fn new(status: Status, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}
