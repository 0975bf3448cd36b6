//! Push mode: what is uploaded to another server, and the library's [`Uploader`]. Decisions are
//! made by [`httpout_proto::push`]; here are its sockets and files.

#[cfg(feature = "cli")]
mod bar;
#[cfg(not(feature = "cli"))]
#[path = "without/bar.rs"]
mod bar;
mod body;
mod directory;
mod pool;
mod promise;
mod report;
mod run;
#[cfg(feature = "tls")]
mod trust;
#[cfg(not(feature = "tls"))]
#[path = "without/trust.rs"]
mod trust;
mod uploader;
mod wire;
mod worker;

use std::time::Duration;

use httpout_proto::push::{Credentials, PushConfig, Target, UploadRange};

pub use self::{
    pool::{BoxFuture, Spawn},
    run::{Pushes, Stop},
    uploader::{Upload, UploadOptions, Uploader},
};
#[cfg(feature = "tls")]
use crate::TrustOptions;
use crate::{LogFormat, ReqLog, input::Source};

/// What is to be uploaded, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each input with where it goes.
    pub uploads: Vec<Sent>,
    /// How uploads are made.
    pub config: PushConfig,
    /// Which servers to trust, and which certificate to show, over TLS.
    #[cfg(feature = "tls")]
    pub trust: TrustOptions,
    /// Files up to so many bytes are sent together with their head.
    pub block_size: usize,
    /// What uploads say that they are, instead of what their names say.
    pub media_type: Option<String>,
    /// End when all that is there was uploaded.
    pub quit: bool,
    /// How long what still grows may go on after the first signal to end.
    pub grace: Duration,
    /// Which requests are told.
    pub reqlog: ReqLog,
    /// The form of what is told.
    pub log_format: LogFormat,
}

/// An input, and where it goes.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Where it comes from.
    pub source: Source,
    /// Where it goes; of a directory, what its files are put beneath.
    pub target: Target,
    /// The credentials of the upload.
    pub credentials: Option<Credentials>,
    /// The part of the resource that it is.
    pub range: Option<UploadRange>,
}
