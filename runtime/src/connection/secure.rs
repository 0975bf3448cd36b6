//! TLS before and around the session of a connection.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use httpout_proto::{Now, Session};

use super::{Connection, Round, Transport};
use crate::{mailbox::Message, tls::HandshakeOutcome};

impl<T: Transport> Connection<T> {
    /// A round of the handshake; `None` where there is none, or no more.
    pub(super) fn shake_hands(&mut self, now: Now, cx: &mut Context<'_>) -> Option<Poll<Round>> {
        if !self.tls.as_ref()?.is_handshaking() {
            return None;
        }
        for message in self.mailbox.take(cx) {
            if matches!(message, Message::ShutDown | Message::Abort) {
                return Some(Poll::Ready(Round::Over));
            }
            self.handle(message);
        }
        let (shaken, deadline) =
            self.tls.as_mut()?.poll_handshake(cx, &mut self.transport, now.mono);
        let Poll::Ready(shaken) = shaken else {
            let rings = self.transport.poll_deadline(cx, deadline);
            self.timer = rings.is_pending().then_some(deadline);
            return Some(rings.map(|()| Round::Late));
        };
        self.permit.shared().metrics.handshake(matches!(shaken, HandshakeOutcome::Open(_)));
        Some(Poll::Ready(match shaken {
            HandshakeOutcome::Open(name) => {
                if let Some(name) = name {
                    self.session.identify(Arc::from(name));
                }
                Round::More
            }
            HandshakeOutcome::Plain(said) => {
                self.tls = None;
                self.session = Session::unencrypted(self.offer.site.clone());
                self.session.handle_data(said);
                Round::More
            }
            HandshakeOutcome::Over(why) => {
                let peer = self.permit.peer();
                tracing::debug!(%peer, why, "a TLS handshake failed");
                Round::Over
            }
        }))
    }
}
