//! The client of a connection.

use std::{net::IpAddr, sync::Arc};

/// The client at the other end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its address; `None`: not known.
    pub address: Option<IpAddr>,
    /// The connection is encrypted.
    pub tls: bool,
    /// The user that its certificate proves. Rules know it by that name.
    pub user: Option<Arc<str>>,
}

impl Client {
    /// True if no third party can read what it sends, for example a password.
    pub fn is_confidential(&self) -> bool {
        self.tls || self.address.is_some_and(|address| address.to_canonical().is_loopback())
    }
}
