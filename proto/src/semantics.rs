//! Functions of a request's fields and of a file's state, without state of their own: targets,
//! conditions, ranges, codings, media types (RFC 9110).

pub mod basic;
pub mod byteranges;
pub mod coding;
pub mod conditional;
pub mod content_range;
pub mod media;
pub mod patch;
pub mod range;
pub mod target;
