//! What is growing: uploads in progress and their readers, live resources and their listeners.

mod broadcast;
mod directory;
mod feed;
pub mod framing;
mod hub;
pub mod icy;
pub mod pace;
mod resource;
pub mod retention;

pub use broadcast::{Broadcast, BroadcastOptions, Group, ListenerId, News};
pub use directory::{Copied, Directory, DirectoryAction, DirectoryStep, FileEvent, is_published};
pub use feed::{Feed, FeedStep};
pub use hub::{FeedId, Growth, GrowthState, Hub};
pub use resource::{Description, LiveOptions, PropertyError, Text};
