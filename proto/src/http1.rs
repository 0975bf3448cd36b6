//! HTTP/1.x on the wire: bytes to requests and answers to bytes for a server, the other way round
//! for a client. Knows framing, deadlines and limits; knows no path, no file and no policy.

mod chunked;
mod client;
mod collector;
mod head;
mod reader;
mod response;
mod server;
mod writer;

pub(crate) use client::Alarms;
pub use client::{Client, ClientEvent};
pub use response::Response;
pub use server::Server;
