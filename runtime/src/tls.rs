//! TLS: what a server proves itself with, whom a client trusts, and the TLS side of a connection.

mod client;
mod driver;
mod link;
mod names;
mod options;
mod pair;
mod plaintext;
mod self_signed;
mod setup;

pub(crate) use self::{
    client::explain,
    link::{Shaken, Tls},
};
pub use self::{
    client::{ClientSetup, TrustOptions},
    driver::{Driver, Fault, Received},
    options::{ClientAuth, TlsOptions},
    setup::Setup,
};
