//! HTTP without a wire format (RFC 9110): methods, statuses, fields, heads and bodies, as every
//! version of HTTP has them.

mod body;
#[cfg(feature = "http")]
mod convert;
mod fields;
mod head;
mod method;
mod queue;
mod request;
mod status;
mod syntax;

pub use body::{BodySize, Part};
#[cfg(feature = "http")]
pub use convert::{NoFinalStatus, UnknownMethod};
pub use fields::{HeaderList, InvalidField};
pub use head::{RequestHead, RequestTarget, ResponseHead, Version};
pub(crate) use method::Use;
pub use method::{Method, OtherMethod};
pub(crate) use queue::Queue;
pub use queue::{Piece, Transmit};
pub use request::RequestBuilder;
pub(crate) use request::may_be_added;
pub use status::Status;
pub use syntax::is_field_value;
pub(crate) use syntax::{is_authority, is_field_name, is_tchar, parse_digits};
