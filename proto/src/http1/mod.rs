//! HTTP/1.x on the wire: bytes to requests and answers to bytes for a server, the other way round for a client. Knows framing, deadlines and limits; knows no path, no
//! file and no policy.

mod answer;
mod chunked;
mod client;
mod collector;
mod fields;
mod head;
mod message;
mod queue;
mod reader;
mod request;
mod server;
mod writer;

pub use answer::{Answer, AnswerBody};
pub(crate) use client::Alarms;
pub use client::{Client, ClientEvent};
pub use fields::{Fields, is_field_value};
pub(crate) use head::{is_authority, is_tchar, parse_digits};
pub use message::{Incoming, Method, Part, RequestHead, ResponseHead, Status, Target};
pub use queue::{Piece, Transmit};
pub(crate) use request::may_be_added;
pub use request::{Outgoing, Request};
pub use server::{Event, Exchange, ExchangeId, Live, Server};
