//! A harness that starts the two httpout binaries and talks to them byte by byte.
//!
//! The tests stand in `tests/*.rs`, one file a subject, one function a promise. Each runs against
//! both binaries: a test file lists its functions in [`both!`], and `cargo test` shows
//! `tokio::NAME` and `smol::NAME`.
//!
//! Nothing here sleeps to give somebody time. A test waits for an event (bytes, a close, the end of
//! a process), and each wait ends after [`PATIENCE`] with a message that says what did not come.

pub mod authority;
mod binary;
mod body;
mod browser;
mod client;
pub mod coded;
pub mod listing;
pub mod live;
mod message;
pub mod page;
mod pusher;
mod request;
mod ruled;
mod scripted;
pub mod secure;
mod server;
mod stop;
mod tap;
mod tool;
mod tree;
mod wait;

pub use binary::{Kind, binary};
pub use body::Piece;
pub use browser::{Browser, PAGE, RESULT};
pub use client::{Client, End};
pub use message::{Head, Response};
pub use pusher::Pusher;
pub use request::{Request, delete, get, head, patch, post, put};
pub use ruled::{Ruled, USERS, basic};
pub use scripted::{Asked, Scripted};
pub use server::{Exit, Server, Site};
pub use stop::while_stopped;
pub use tap::{Pushed, Tap};
pub use tool::{Background, Ran, Traced, run};
pub use tree::{Mounted, Tree};
pub use wait::{PATIENCE, until, until_within};

/// Makes one `#[test]` for each binary out of functions that take a [`Kind`]: `both! { first,
/// second }`.
///
/// The functions stay ordinary ones, so a function that is forgotten here is reported by the
/// compiler as never used.
#[macro_export]
macro_rules! both {
    ($($name:ident),+ $(,)?) => {
        mod tokio {
            $(#[test]
            fn $name() {
                super::$name($crate::Kind::Tokio);
            })+
        }
        mod smol {
            $(#[test]
            fn $name() {
                super::$name($crate::Kind::Smol);
            })+
        }
    };
}

/// The Rust code of the documentation compiles.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
pub struct Embedding;
