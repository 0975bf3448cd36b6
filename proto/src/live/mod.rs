//! What is growing: uploads in progress, and who follows them; live inputs, cut into packets.

pub mod framing;
mod hub;
pub mod pace;

pub use hub::{FeedId, Hub};
