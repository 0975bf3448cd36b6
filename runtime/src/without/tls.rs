//! In place of TLS, in a build without it: no connection has any.

use std::{
    io,
    task::{Context, Poll},
    time::SystemTime,
};

use httpout_proto::{ConfigError, FileId, http::Transmit};

use crate::{
    Transport,
    output::{Sent, Source, Warm},
};

/// The TLS of a server: it has none.
#[derive(Debug, Default)]
pub(crate) struct Secured;

/// Nothing to be read.
#[derive(Debug)]
pub(crate) struct Renewal;

impl Secured {
    pub(crate) fn begin(&self) -> Option<Tls> {
        None
    }

    pub(crate) fn not_after(&self) -> Option<SystemTime> {
        None
    }

    pub(crate) fn read_anew(&self) -> Result<Renewal, ConfigError> {
        Ok(Renewal)
    }

    pub(crate) fn renew(&self, Renewal: Renewal) {}
}

/// The TLS of a connection, of which there is none.
#[derive(Debug)]
pub(crate) enum Tls {}

impl Tls {
    pub(crate) fn poll_read<T: Transport>(
        &mut self,
        _: &mut Context<'_>,
        _: &mut T,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match *self {}
    }

    pub(crate) fn poll_send<'f, T: Transport>(
        &mut self,
        _: &mut Context<'_>,
        _: &mut T,
        _: Transmit<'_>,
        _: Warm,
        _: impl Fn(FileId) -> Option<Source<'f>>,
    ) -> Poll<io::Result<Sent>> {
        match *self {}
    }

    pub(crate) fn poll_rest<T: Transport>(&mut self, _: &mut Context<'_>, _: &mut T) {
        match *self {}
    }

    pub(crate) fn finish<T: Transport>(&mut self, _: &mut Context<'_>, _: &mut T) {
        match *self {}
    }
}
