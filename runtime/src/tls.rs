//! TLS: the certificate of a server, the trust of a client, and the TLS side of a connection.

mod client;
mod driver;
mod link;
mod names;
mod options;
mod pair;
mod plaintext;
mod secured;
mod self_signed;
mod setup;

#[cfg(feature = "push")]
pub(crate) use self::client::explain;
pub use self::{
    client::{ClientSetup, TrustOptions},
    driver::{Driver, Fault, Received},
    options::{ClientAuth, TlsOptions},
    setup::Setup,
};
pub(crate) use self::{
    link::{HandshakeOutcome, Tls},
    secured::Secured,
};
