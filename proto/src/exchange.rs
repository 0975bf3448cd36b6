//! One request, one response. Knows no bytes on a wire: what an exchange says goes out as a
//! `Reply`, what it wants done as an [`Effect`](crate::Effect).
//!
//! The module `pipeline` lists the stages of a request in one place: route, authorize, hook, live,
//! stored. Each kind of request has a handler in `handlers/`, which hands over to the next stage by
//! its name.

pub mod clock;
mod listing;

mod about;
mod authorize;
mod context;
mod decoder;
mod error;
mod handlers;
mod origin;
mod pipeline;
mod refusal;
mod reply;
mod request;
mod squeezer;

pub(crate) use about::{About, Role, Waiting};
pub(crate) use context::{ExchangeContext, Handler};
pub(crate) use error::refuse_peer;
pub(crate) use pipeline::{go_on, start};
pub(crate) use reply::Reply;
