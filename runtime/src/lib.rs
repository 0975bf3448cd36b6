//! What every runtime of httpout needs and no runtime owns: the driver of a connection over a small
//! [`Transport`], files beneath their directories, the acceptor, the command line.

mod alarm;
mod buffers;
#[cfg(feature = "cli")]
pub mod cli;
mod connection;
#[cfg(feature = "cli")]
mod creds;
#[cfg(feature = "push")]
mod dial;
mod direct;
pub mod embed;
#[cfg(feature = "cli")]
pub mod entry;
pub mod files;
pub mod hook;
pub mod input;
#[cfg(feature = "js")]
pub mod js;
#[cfg(feature = "cli")]
pub mod listen;
mod live;
#[cfg(feature = "cli")]
pub mod log;
mod mailbox;
mod manifest_snapshots;
mod metrics;
#[cfg(feature = "cli")]
pub mod notify;
mod output;
#[cfg(feature = "auth")]
mod passwords;
mod publisher;
#[cfg(feature = "push")]
pub mod push;
mod record;
mod request_log;
#[cfg(feature = "cli")]
mod rights;
mod serve;
mod server;
#[cfg(feature = "cli")]
mod signals;
mod source;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "without/tls.rs"]
mod tls;
#[cfg(feature = "auth")]
mod verify;
#[cfg(not(feature = "auth"))]
#[path = "without/verify.rs"]
mod verify;
mod wait;

pub use connection::{Connection, Transport};
#[cfg(feature = "push")]
pub use dial::Dialler;
pub use embed::*;
pub use serve::{Acceptor, Parts, accept, feed};
pub use server::{ConnectionPermit, ListenerKind, Shared};
