//! Everything that a program needs to embed the server. The crates of the runtimes re-export it, so
//! that no program has to name this one.

pub use bytes::Bytes;
/// Live inputs cut into packets: one framer for each format.
#[doc(inline)]
pub use httpout_proto::live::framing;
#[cfg(feature = "push")]
pub use httpout_proto::push::{Credentials, Failure, PushConfig, PushError, RangeField, Stored};
pub use httpout_proto::{
    Client, Config, ConfigError, FsError, Limits, Site,
    auth::{Rule, Who},
    effect::{Delivery, Refusal},
    fs::{Place, RelPath, RootId},
    http::{Method, Status},
    live::{BroadcastOptions, Description, LiveOptions, PropertyError},
    site::{Cors, Multirange, Symlinks},
};

#[cfg(feature = "js")]
pub use crate::js::{JsHook, JsOptions};
#[cfg(feature = "push")]
pub use crate::push::{Upload, UploadOptions, Uploader};
#[cfg(all(feature = "push", feature = "tls"))]
pub use crate::tls::TrustOptions;
#[cfg(feature = "tls")]
pub use crate::tls::{ClientAuth, TlsOptions};
pub use crate::{
    hook,
    input::{Input, Source},
    metrics::Statistics,
    publisher::{Publication, PublishError, Publisher},
    record::LogFormat,
    request_log::{Format as AccessLogFormat, LogOptions, ReqLog},
    serve::{Handle, Server},
    server::{AnyHook, Options},
    source::{Broken, IncomingUpload, Sink, Uploads},
};

/// Users, and what their passwords are checked against.
#[cfg(feature = "auth")]
pub use httpout_proto::auth::Users;
