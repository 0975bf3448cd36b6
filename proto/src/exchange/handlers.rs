//! What a request can be about: a module for each.

pub(super) mod builtin;
pub(super) mod delete;
pub(super) mod deliver;
pub(super) mod get;
pub(super) mod hooked;
pub(super) mod icecast_source;
pub(super) mod index;
pub(super) mod list;
pub(super) mod listen;
pub(super) mod metadata;
pub(super) mod upload;
