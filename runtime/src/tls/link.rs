//! A [`Driver`] over a socket.

use std::{
    cell::RefCell,
    io::{self, IoSlice, Write},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use httpout_proto::{FileId, http::Transmit};
use rustix::{
    fd::BorrowedFd,
    io::retry_on_intr,
    net::{SendAncillaryBuffer, SendFlags, Shutdown, sendmsg, shutdown},
};

use super::{Driver, Fault, client, plaintext};
use crate::{
    Transport,
    output::{Sent, Source, Warm},
};

/// Longest handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// A refused client has so long to read why.
const LINGER: Duration = Duration::from_secs(2);
/// And may send so many bytes meanwhile.
const LINGER_BYTES: usize = 64 << 10;
/// Received at once during the handshake, and later.
const ROOM: (usize, usize) = (16 << 10, 64 << 10);
/// Reads in a row that bring no content; then others have their turn.
const READS: usize = 8;
/// Sealed at once.
const BATCH: usize = 64 << 10;

thread_local! {
    /// Of ciphertext that was received, or of content to be sealed.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// TLS on one connection.
#[derive(Debug)]
pub(crate) struct Tls {
    driver: Driver,
    stage: Stage,
    /// Nothing is sent after what is sealed already.
    last: bool,
}

#[derive(Debug)]
enum Stage {
    Handshake {
        deadline: Option<Instant>,
    },
    /// The handshake failed: the peer is told, and what it still sends is dropped.
    Refused {
        why: rustls::Error,
        deadline: Instant,
        dropped: usize,
    },
    Open,
}

/// How a handshake ended.
#[derive(Debug)]
pub(crate) enum HandshakeOutcome {
    /// Both sides know each other; the peer's name, if its certificate has one.
    Open(Option<String>),
    /// The peer does not speak TLS; what it said.
    Plain(Bytes),
    /// The peer is gone, was too slow or was refused: which.
    Over(String),
}

impl Tls {
    pub(crate) fn new(driver: Driver) -> Self {
        Self { driver, stage: Stage::Handshake { deadline: None }, last: false }
    }

    /// True until both sides know each other; nothing else can be done before that.
    pub(crate) fn is_handshaking(&self) -> bool {
        !matches!(self.stage, Stage::Open)
    }

    /// True if the handshake failed.
    #[cfg(feature = "push")]
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.stage, Stage::Refused { .. })
    }

    /// Goes on with the handshake. `Pending`: to be called again at the deadline, too.
    pub(crate) fn poll_handshake<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
        now: Instant,
    ) -> (Poll<HandshakeOutcome>, Instant) {
        let deadline = match &mut self.stage {
            Stage::Handshake { deadline } => *deadline.get_or_insert(now + PATIENCE),
            Stage::Refused { deadline, .. } => *deadline,
            Stage::Open => now,
        };
        let shaken = self.shake(cx, transport, now);
        // What came before the deadline was noticed counts.
        if deadline <= now && shaken.is_pending() {
            return (Poll::Ready(self.over("it took too long")), deadline);
        }
        let deadline = match self.stage {
            Stage::Refused { deadline, .. } => deadline,
            Stage::Handshake { .. } | Stage::Open => deadline,
        };
        (shaken, deadline)
    }

    fn shake<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
        now: Instant,
    ) -> Poll<HandshakeOutcome> {
        for _ in 0..READS {
            // A peer that takes nothing shows nothing either.
            if let Poll::Ready(Err(_)) = self.poll_flush(cx, transport) {
                return Poll::Ready(self.over("the peer is gone"));
            }
            let shaken = ready!(with_scratch(ROOM.0, |room| {
                let Ok(len @ 1..) = ready!(transport.poll_read(cx, room)) else {
                    return Poll::Ready(Some(self.over("the peer is gone")));
                };
                Poll::Ready(self.take(&room[..len], now))
            }));
            if let Some(shaken) = shaken {
                return Poll::Ready(shaken);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// It is over, for this reason, unless there was another one before.
    fn over(&self, why: &str) -> HandshakeOutcome {
        HandshakeOutcome::Over(match &self.stage {
            Stage::Refused { why, .. } if self.driver.is_client() => client::explain(why),
            Stage::Refused { why, .. } => why.to_string(),
            Stage::Handshake { .. } | Stage::Open => why.to_owned(),
        })
    }

    /// Bytes were received during the handshake.
    fn take(&mut self, received: &[u8], now: Instant) -> Option<HandshakeOutcome> {
        if let Stage::Refused { dropped, .. } = &mut self.stage {
            *dropped += received.len();
            return (*dropped > LINGER_BYTES).then(|| self.over(""));
        }
        match self.driver.receive(received, &mut []) {
            Ok(_) if self.driver.is_handshaking() => None,
            Ok(_) => {
                self.stage = Stage::Open;
                Some(HandshakeOutcome::Open(self.driver.client_name()))
            }
            Err(Fault::Plain) => Some(HandshakeOutcome::Plain(Bytes::copy_from_slice(received))),
            Err(Fault::Tls(why)) => {
                // A client has nothing to wait for.
                let deadline = if self.driver.is_client() { now } else { now + LINGER };
                self.stage = Stage::Refused { why, deadline, dropped: 0 };
                self.last = true;
                None
            }
        }
    }

    /// Receives content; 0 bytes are the end that the peer announced.
    ///
    /// # Errors
    /// Those of the socket; `UnexpectedEof` for an end that was not announced, which may be an
    /// attacker's; `InvalidData` if the peer breaks TLS.
    pub(crate) fn poll_read<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
        content: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        with_scratch(ROOM.1, |room| {
            // Content may have come with the end of the handshake.
            let mut received = 0;
            for read in 0..=READS {
                if let Some(done) = self.unseal(cx, transport, &room[..received], content) {
                    return Poll::Ready(done);
                }
                if read < READS {
                    received = match transport.poll_read(cx, room) {
                        Poll::Ready(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
                        Poll::Ready(received) => received,
                        Poll::Pending => {
                            self.driver.idle();
                            return Poll::Pending;
                        }
                    }?;
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// The content that came of received bytes; `None`: there is none yet.
    fn unseal<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
        received: &[u8],
        content: &mut [u8],
    ) -> Option<io::Result<usize>> {
        let got = self.driver.receive(received, content);
        if !matches!(got, Ok(got) if got.len > 0) {
            // An alert, too, is sent if there is room for it.
            self.poll_reply(cx, transport);
        }
        match got {
            Ok(got) => (got.len > 0 || got.closed).then_some(Ok(got.len)),
            Err(fault) => Some(Err(io::Error::new(io::ErrorKind::InvalidData, fault))),
        }
    }

    /// Sends what TLS itself has to say to what was received; behind content that is still to be
    /// sent, which [`Self::poll_send`] must tell of.
    fn poll_reply<T: Transport>(&mut self, cx: &mut Context<'_>, transport: &mut T) {
        if !self.driver.has_sealed() {
            // If it fails, so does reading.
            let _ = self.poll_flush(cx, transport);
        }
    }

    /// Sends the front of `what`, or what is left of it. As with a bare socket, only what is with
    /// the socket counts as sent.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn poll_send<'f, T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
        what: Transmit<'_>,
        warm: Warm,
        file: impl Fn(FileId) -> Option<Source<'f>>,
    ) -> Poll<io::Result<Sent>> {
        // What TLS itself has to say goes first.
        let mut count = ready!(self.poll_flush(cx, transport))?;
        if count == 0 {
            let filled = with_scratch(BATCH, |room| {
                let len = plaintext::fill(room, what, warm, file)?;
                self.driver.seal(&room[..len]);
                Ok(())
            });
            if let Err(sent) = filled {
                return Poll::Ready(Ok(sent));
            }
            count = ready!(self.poll_flush(cx, transport))?;
        }
        Poll::Ready(Ok(Sent::Bytes(count as usize)))
    }

    /// Sends what is left when the session has no more for now.
    pub(crate) fn poll_rest<T: Transport>(&mut self, cx: &mut Context<'_>, transport: &mut T) {
        // Where this fails, reading does too.
        if let Poll::Ready(Ok(_)) = self.poll_flush(cx, transport) {
            self.driver.rest();
        }
    }

    /// Says that no more is sent, and half-closes the socket behind that.
    pub(crate) fn finish<T: Transport>(&mut self, cx: &mut Context<'_>, transport: &mut T) {
        self.driver.close();
        self.last = true;
        self.poll_rest(cx, transport);
    }

    /// Sends what is sealed, as much as there is room for; returns how much of that counts.
    fn poll_flush<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
    ) -> Poll<io::Result<u64>> {
        let (driver, mut sent) = (&mut self.driver, 0);
        while driver.wants_write() {
            let flushed = transport.poll_write(cx, |socket| driver.send(&mut Writer { socket }));
            match flushed {
                Poll::Ready(Ok(more)) => sent += more,
                // What went out is to be told first.
                Poll::Pending if sent > 0 => return Poll::Ready(Ok(sent)),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        if std::mem::take(&mut self.last) {
            // Failure means that the peer is gone, which reading tells too.
            let _ = shutdown(transport.socket(), Shutdown::Write);
        }
        Poll::Ready(Ok(sent))
    }
}

/// Sends all pieces in one call.
struct Writer<'s> {
    socket: BorrowedFd<'s>,
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut control = SendAncillaryBuffer::default();
        let sent =
            retry_on_intr(|| sendmsg(self.socket, pieces, &mut control, SendFlags::NOSIGNAL))?;
        Ok(sent)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len {
            scratch.resize(len, 0);
        }
        work(&mut scratch[..len])
    })
}
