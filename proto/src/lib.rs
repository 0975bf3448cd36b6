#![doc = include_str!("lib.md")]

pub mod auth;
mod client;
pub mod effect;
mod error;
pub mod exchange;
pub mod fs;
pub mod hook;
pub mod http;
pub mod http1;
mod id;
mod limits;
pub mod live;
mod pacing;
pub mod push;
mod report;
pub mod semantics;
mod session;
pub mod site;
mod step;
mod time;
pub mod wire;

pub use client::Client;
pub use effect::{Done, Effect};
pub use error::{ConfigError, PeerError};
pub use fs::{FileId, FsError};
pub use id::{ExchangeId, OpId};
pub use limits::Limits;
pub use live::Hub;
pub use push::Push;
pub use report::{Report, RequestSummary};
pub use session::Session;
pub use site::{Config, Site};
pub use step::{Closed, Step, Wait};
pub use time::{Now, Timer};
