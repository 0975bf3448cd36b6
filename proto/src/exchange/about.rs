//! What is known of a request beside its head.

use std::sync::Arc;

use crate::{client::Client, http::HeaderList, id::OpId};

/// What a connection is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// What the site offers.
    #[default]
    Public,
    /// Counters and health.
    Admin,
}

/// What is known of the request under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) client: Client,
    /// It comes from a page, which its `Origin` field tells.
    pub(crate) cross_origin: bool,
    /// The user, proven by password or certificate.
    pub(crate) user: Option<Arc<str>>,
    /// By what name a hook knows it, if one was asked.
    pub(crate) hook: Option<OpId>,
    /// Its body is broken, or a hook takes it and does not have all of it.
    pub(crate) unfinished: bool,
    /// Fields that the hook adds to its answer.
    pub(crate) fields: Option<HeaderList>,
    /// The hook wants the connection to close.
    pub(crate) close: bool,
    /// The hook says when the answer's body goes out.
    pub(crate) throttled: bool,
    /// The peer sends no more; it may be gone.
    pub(crate) half_closed: bool,
    /// The file that is read may be an upload: rules let users write there.
    pub(crate) uploadable: bool,
    /// The server is going down: nothing is waited for that may not come.
    pub(crate) stopping: bool,
}

/// What an answer waits for that only others can bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Something that there is no sign of yet.
    Blocked,
    /// The next piece of what is under way.
    Idle,
}
