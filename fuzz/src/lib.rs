//! What the fuzz targets of httpout do with an input. Each target is a module with a `run`, which
//! panics where a promise of `httpout-proto`, or of the TLS of `httpout-runtime`, is broken. They
//! stand here, and not in the targets, so that ordinary tests replay the corpora.
#![forbid(unsafe_code)]

pub mod accept_encoding;
pub mod authorization;
pub mod chunked_body;
pub mod conditional;
mod cuts;
pub mod framing;
mod lines;
pub mod manifest;
pub mod patch_body;
pub mod push_ops;
pub mod push_serve;
pub mod range;
pub mod request_head;
pub mod request_target;
pub mod response_head;
pub mod rule_file;
pub mod session_ops;
pub mod tls;
pub mod users_file;
mod wire;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 17] = [
    ("request_head", request_head::run),
    ("chunked_body", chunked_body::run),
    ("conditional", conditional::run),
    ("range", range::run),
    ("patch_body", patch_body::run),
    ("request_target", request_target::run),
    ("session_ops", session_ops::run),
    ("rule_file", rule_file::run),
    ("users_file", users_file::run),
    ("authorization", authorization::run),
    ("accept_encoding", accept_encoding::run),
    ("framing", framing::run),
    ("tls", tls::run),
    ("response_head", response_head::run),
    ("push_ops", push_ops::run),
    ("push_serve", push_serve::run),
    ("manifest", manifest::run),
];
