//! In place of the handshake, in a build without TLS: there is none.

use std::task::{Context, Poll};

use httpout_proto::Now;

use super::{Connection, Round, Transport};

impl<T: Transport> Connection<T> {
    pub(super) fn shake_hands(&mut self, _: Now, _: &mut Context<'_>) -> Option<Poll<Round>> {
        None
    }
}
