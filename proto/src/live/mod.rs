//! What is growing: uploads in progress, and who follows them.

mod hub;

pub use hub::{FeedId, Hub};
