//! In place of TLS to a server, in a build without it: URLs of https are refused.

use std::{io, net::SocketAddr};

use httpout_proto::{
    ConfigError,
    push::{DialError, Origin},
};

use super::{Plan, UploadOptions};
use crate::{Transport, tls::Tls};

/// No server is trusted.
#[derive(Clone, Debug)]
pub(super) struct Trust;

impl Trust {
    /// For uploads beneath this origin.
    ///
    /// # Errors
    /// It speaks TLS.
    pub(super) fn of(_: &UploadOptions, origin: &Origin) -> Result<Self, ConfigError> {
        if origin.is_tls() {
            let problem = format!("{origin} needs TLS, and this program was built without it");
            let help = "build it with the cargo feature tls, or write http://";
            return Err(ConfigError { option: "dst", problem, help });
        }
        Ok(Self)
    }

    /// For the uploads of a plan.
    ///
    /// # Errors
    /// One of them goes over TLS.
    pub(super) fn of_plan(plan: &Plan) -> Result<Self, ConfigError> {
        let options = UploadOptions::default();
        plan.uploads
            .iter()
            .try_for_each(|sent| Self::of(&options, &sent.target.origin).map(drop))?;
        Ok(Self)
    }
}

/// A server redirected to TLS.
pub(super) async fn shake_hands<T: Transport>(
    _: &mut T,
    _: &Origin,
    address: SocketAddr,
    _: &Trust,
) -> Result<Tls, DialError> {
    let what = format!("{address} needs TLS, and this program was built without it");
    Err(DialError { what, temporary: false })
}

/// TLS had nothing against this side.
pub(super) fn fault(_: &io::Error) -> Option<String> {
    None
}
