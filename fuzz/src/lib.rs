//! What the fuzz targets of httpout do with an input. Each target is a module with a `run`, which panics where a promise
//! of `httpout-proto` is broken. They stand here, and not in the targets, so that ordinary tests replay the corpora.
#![forbid(unsafe_code)]

pub mod chunked_body;
pub mod conditional;
mod cuts;
pub mod patch_body;
pub mod range;
pub mod request_head;
pub mod request_target;
pub mod session_ops;
mod wire;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("request_head", request_head::run),
    ("chunked_body", chunked_body::run),
    ("conditional", conditional::run),
    ("range", range::run),
    ("patch_body", patch_body::run),
    ("request_target", request_target::run),
    ("session_ops", session_ops::run),
];
