//! `httpout-proto` in a simulated world: a server, its disk, its network and its clients, all of
//! them in memory and on a clock of their own, driven by nothing but [`Choices`]. One seed is one
//! world, the same each time.
//!
//! What happens: requests of every kind, cut into pieces at will, pipelined, malformed, given up at
//! any byte; slow clients and stalled ones; effects that fail, or are answered late and in any
//! order; resets, half closes, full disks, crashes with and without loss of power, a wall clock
//! that is set, a server that is told to stop.
//!
//! What must hold is checked after every step of a session (`invariants`), at every change of the
//! disk and every answer that a client gets (`verdict`), and when nothing is left to happen. The
//! first breach ends the world with an account of it.

mod asks;
mod choices;
mod client;
mod deliver;
mod disk;
mod expect;
mod guard;
mod hook;
mod host;
mod invariants;
mod link;
mod listing;
mod live;
mod model;
mod packer;
mod push;
mod refusal;
mod reply;
mod request;
mod rights;
mod run;
mod script;
mod serve;
mod stage;
mod verdict;
mod world;

pub use choices::{Calm, Choices, Recorded, Seeded};
pub use deliver::deliver;
pub use link::End;
pub use live::listen;
pub use push::{upload, upload_by};
pub use reply::Reply;
pub use request::{Ask, Request};
pub use run::{replay, run};
pub use world::World;
