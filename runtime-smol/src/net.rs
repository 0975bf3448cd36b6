//! async-io's sockets and timers.

use std::{
    future::Future,
    io::{self, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use async_io::{Async, Timer};
use httpout_runtime::{Acceptor, Transport};

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Async<TcpStream>,
    timer: Option<(Instant, Timer)>,
    /// The last read would have blocked: ask the reactor before the next one.
    drained: bool,
    /// The last write would have blocked: likewise.
    full: bool,
}

impl Socket {
    /// Registers the socket with the reactor.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        Async::new_nonblocking(stream).map(Self::from)
    }
}

impl From<Async<TcpStream>> for Socket {
    fn from(stream: Async<TcpStream>) -> Self {
        Self { stream, timer: None, drained: true, full: false }
    }
}

impl Transport for Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.drained {
                ready!(self.stream.poll_readable(cx))?;
            }
            match self.stream.get_ref().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.drained = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => {
                    self.drained = false;
                    return Poll::Ready(received);
                }
            }
        }
    }

    fn poll_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            if self.full {
                ready!(self.stream.poll_writable(cx))?;
            }
            match send(self.stream.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.full = true,
                sent => {
                    self.full = false;
                    return Poll::Ready(sent);
                }
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let (at, timer) = self.timer.get_or_insert_with(|| (deadline, Timer::at(deadline)));
        if *at != deadline {
            *at = deadline;
            timer.set_at(deadline);
        }
        let rings = Pin::new(timer).poll(cx).map(|_| ());
        if rings.is_ready() {
            self.timer = None;
        }
        rings
    }

    fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener(Async<TcpListener>);

impl Listener {
    /// Registers the socket with the reactor.
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        Async::new(listener).map(Self)
    }
}

impl Acceptor for Listener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            match self.0.get_ref().accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.0.poll_readable(cx))?;
                }
                accepted => return Poll::Ready(accepted),
            }
        }
    }

    fn sleep(until: Instant) -> impl Future<Output = ()> + Send {
        let timer = Timer::at(until);
        async move {
            timer.await;
        }
    }
}
