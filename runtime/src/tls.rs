//! TLS (SPEC §10): what a server proves itself with, and the TLS side of a connection.

mod driver;
mod link;
mod names;
mod options;
mod pair;
mod plaintext;
mod self_signed;
mod setup;

pub(crate) use self::link::{Shaken, Tls};
pub use self::{
    driver::{Driver, Fault, Received},
    options::{ClientAuth, TlsOptions},
    setup::Setup,
};
