//! HTTP/1.x on the wire: bytes to requests, answers to bytes. Knows framing, deadlines and limits; knows no path, no
//! file and no policy.

mod chunked;
mod fields;
mod head;
mod message;
mod queue;
mod reader;
mod server;
mod writer;

pub use fields::{Fields, is_field_value};
pub(crate) use head::{is_tchar, parse_digits};
pub use message::{Incoming, Method, Part, RequestHead, ResponseHead, Status, Target};
pub use queue::{Piece, Transmit};
pub use server::{Event, Exchange, ExchangeId, Live, Server};
