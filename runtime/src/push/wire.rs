//! A connection to a server: its socket, and TLS where there is some.

use std::{
    io,
    task::{Context, Poll},
    time::Instant,
};

use blocking::Task;
use bytes::Bytes;
use futures_lite::FutureExt as _;
use httpout_proto::{
    FileId,
    http::Transmit,
    push::{DialError, Origin},
};

use super::trust::{Trust, shake_hands};
use crate::{
    Transport, buffers,
    dial::{Dialler, NoConnection, dial},
    direct::How,
    output::{self, Sent, Source, Warm},
    tls::Tls,
};

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Wire<T> {
    transport: T,
    tls: Option<Tls>,
    warm: Warm,
    /// A cold span is on its way into the page cache.
    fetching: Option<Task<()>>,
}

/// What came of sending.
#[derive(Debug)]
pub(super) enum Out {
    /// So many bytes are with the socket.
    Sent(u64),
    /// A file is not what it was.
    Lost(io::ErrorKind),
    /// Nothing can be sent any more.
    Broken(io::Error),
}

/// Makes a connection, and its TLS handshake.
pub(super) async fn connect<D: Dialler>(
    origin: &Origin,
    trust: &Trust,
) -> Result<Wire<D::Transport>, DialError> {
    let failed = |what: String, temporary| Err(DialError { what, temporary });
    let (mut transport, address) = match dial::<D>(origin.host(), origin.port()).await {
        Ok(dialled) => dialled,
        Err(NoConnection::Unresolved(why)) => {
            return failed(format!("{} has no address ({why})", origin.host()), true);
        }
        Err(NoConnection::Unreachable(address, why)) => {
            return failed(format!("{address}: {why}"), true);
        }
    };
    let mut tls = None;
    if origin.is_tls() {
        tls = Some(shake_hands(&mut transport, origin, address, trust).await?);
    }
    Ok(Wire { transport, tls, warm: Warm::default(), fetching: None })
}

impl<T: Transport> Wire<T> {
    /// Sends what it can.
    pub(super) fn poll_send<'f>(
        &mut self,
        how: How,
        cx: &mut Context<'_>,
        what: Transmit<'_>,
        block: usize,
        file: impl Fn(FileId) -> Option<Source<'f>>,
    ) -> Poll<Out> {
        if let Some(fetching) = &mut self.fetching {
            if fetching.poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.fetching = None;
            self.warm = Warm::ALL;
        }
        let warm = &mut self.warm;
        let mut transport = how.over(&mut self.transport);
        let sent = match &mut self.tls {
            Some(tls) => tls.poll_send(cx, &mut transport, what, *warm, file),
            None => transport
                .poll_write(cx, |socket| output::send(socket, what.clone(), block, warm, &file)),
        };
        match sent {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Sent::Bytes(count))) => {
                if self.warm.is_all() {
                    self.warm = Warm::default();
                }
                Poll::Ready(Out::Sent(count as u64))
            }
            Poll::Ready(Ok(Sent::Cold { file, at, len })) => {
                self.fetching = Some(blocking::unblock(move || output::fetch(&file, at, len)));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(Ok(Sent::Lost { why, .. })) => Poll::Ready(Out::Lost(why)),
            Poll::Ready(Err(error)) => Poll::Ready(Out::Broken(error)),
        }
    }

    /// True while what is next is on its way into the page cache.
    pub(super) fn is_fetching(&self) -> bool {
        self.fetching.is_some()
    }

    /// Sends what TLS itself has to say.
    pub(super) fn poll_rest(&mut self, how: How, cx: &mut Context<'_>) {
        if let Some(tls) = &mut self.tls {
            tls.poll_rest(cx, &mut how.over(&mut self.transport));
        }
    }

    /// Receives; `None` is the end.
    pub(super) fn poll_receive(
        &mut self,
        how: How,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        let transport = &mut how.over(&mut self.transport);
        let received = buffers::receive(|buffer| {
            let received = match &mut self.tls {
                Some(tls) => tls.poll_read(cx, transport, buffer),
                None => transport.poll_read(cx, buffer),
            };
            match received {
                Poll::Pending => Err(None),
                Poll::Ready(Err(error)) => Err(Some(error)),
                Poll::Ready(Ok(len)) => Ok(len),
            }
        });
        match received {
            Err(None) => Poll::Pending,
            Err(Some(error)) => Poll::Ready(Err(error)),
            Ok(data) => Poll::Ready(Ok(data)),
        }
    }

    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        self.transport.poll_deadline(cx, deadline)
    }

    /// Ends it in order: nothing is under way.
    pub(super) fn finish(mut self, cx: &mut Context<'_>) {
        if let Some(tls) = &mut self.tls {
            tls.finish(cx, &mut self.transport);
        }
    }
}
