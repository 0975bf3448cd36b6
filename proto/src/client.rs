//! The client of a connection.

use std::{net::IpAddr, sync::Arc};

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its address; `None`: not known.
    pub address: Option<IpAddr>,
    /// The connection is encrypted.
    pub tls: bool,
    /// Whom it has proven to be, by a certificate. Rules know it as a user of that name.
    pub user: Option<Arc<str>>,
}

impl Client {
    /// True if nobody else can read what it sends: a password, say.
    pub fn is_confidential(&self) -> bool {
        self.tls || self.address.is_some_and(|address| address.to_canonical().is_loopback())
    }
}
