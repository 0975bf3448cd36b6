//! The options of a server that are not of its site.

use std::sync::Arc;

use httpout_proto::live::LiveOptions;

use crate::{hook::Hook, request_log::LogOptions};

/// The runtime's own options.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Most connections (`maxc`); 0: no limit.
    #[doc(alias = "maxc")]
    pub max_connections: usize,
    /// Most connections of one peer (`maxp`): an IPv4 address, or an IPv6 network of 64 bits; 0: no
    /// limit.
    #[doc(alias = "maxp")]
    pub max_connections_per_peer: usize,
    /// Files, and pieces of files, up to this size in bytes are read and sent together with their
    /// head in one call (`block_size`, at most 1 MiB); larger ones go by `sendfile`.
    pub block_size: usize,
    /// Stop when the last client is gone (`quit`).
    pub quit: bool,
    /// How live resources are treated that clients send (`icecast`).
    pub live: LiveOptions,
    /// Logs of requests.
    pub log: LogOptions,
    /// What decides about requests (`js`).
    pub hook: Option<AnyHook>,
}

/// A [`Hook`], shared by the connections.
pub type AnyHook = Arc<dyn Hook>;

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 100,
            max_connections_per_peer: 32,
            block_size: 10_000,
            quit: false,
            live: LiveOptions::default(),
            log: LogOptions::default(),
            hook: None,
        }
    }
}
