//! A request in the pipeline.

use crate::{
    http::{Method, RequestHead},
    live::Text,
    semantics::target::Target,
    site::{Action, Resolved},
};

/// A request, and what its path means.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) head: Box<RequestHead>,
    pub(super) target: Target,
    pub(super) resolved: Resolved,
    /// What is played by the live resource that the target names, where the request tells that and
    /// no more.
    pub(super) title: Option<Text>,
}

impl Request {
    pub(super) fn action(&self) -> Action {
        if self.title.is_some() { Action::Write } else { action(self.head.method) }
    }
}

/// What a request of this method does to a resource.
pub(super) fn action(method: Method) -> Action {
    if method.is_safe() { Action::Read } else { Action::Write }
}
