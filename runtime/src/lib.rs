//! What every runtime of httpout needs and no runtime owns: the driver of a connection over a small [`Transport`], files
//! beneath their directories, the acceptor, the command line.

mod buffers;
pub mod cli;
mod connection;
mod creds;
mod dial;
pub mod entry;
pub mod files;
mod held;
pub mod hook;
pub mod input;
#[cfg(feature = "js")]
pub mod js;
pub mod listen;
mod live;
pub mod log;
mod mailbox;
mod metrics;
pub mod notify;
mod output;
mod passwords;
mod publisher;
pub mod push;
mod request_log;
mod rights;
mod serve;
mod server;
mod source;
pub mod tls;
mod verify;

pub use connection::{Connection, Transport};
pub use dial::Dialler;
pub use httpout_proto::push::{Credentials, Failure, Outcome, PushConfig, RangeField, Stored, Why};
pub use httpout_proto::{
    Config, ConfigError, Limits,
    effect::{Delivery, Refusal},
    http1::Status,
    live::{BroadcastOptions, Description, LiveOptions},
    site::{Cors, Multirange},
};
pub use log::LogFormat;
pub use publisher::{Publication, PublishError, Publisher};
pub use push::{Upload, UploadOptions, Uploader};
pub use request_log::{Format as AccessLogFormat, LogOptions, ReqLog};
pub use serve::{Acceptor, Handle, Parts, Server, accept, feed};
pub use server::{Admission, AnyHook, Door, Options, Shared};
pub use source::{Broken, IncomingUpload, Sink, Uploads};
pub use tls::{ClientAuth, TlsOptions, TrustOptions};
