//! A session on a virtual clock: each deadline and each bound, with its answer.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod closing;
mod deadlines;
mod limits;
mod rig;
