//! What is growing: uploads in progress and who follows them, live resources and who listens.

mod broadcast;
mod feed;
pub mod framing;
mod hub;
pub mod pace;
mod resource;
pub mod retention;

pub use broadcast::{Broadcast, BroadcastOptions, Group, ListenerId, News};
pub use feed::{Feed, FeedStep};
pub use hub::{FeedId, Hub};
pub use resource::{Description, LiveOptions, PropertyError};
