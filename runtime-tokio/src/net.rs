//! tokio's sockets and timers.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use httpout_runtime::{Acceptor, Transport};
use tokio::{
    io::Interest,
    net::TcpStream,
    time::{Sleep, sleep_until},
};

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Registers the socket with the runtime of the calling task.
    pub(crate) fn new(stream: std::net::TcpStream) -> io::Result<Self> {
        TcpStream::from_std(stream).map(Self::from)
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self { stream, timer: None }
    }
}

impl Transport for Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        // Not by `AsyncRead`, which takes a short read for the last one.
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => return Poll::Ready(received),
            }
        }
    }

    fn poll_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_io(Interest::WRITABLE, || send(self.stream.as_fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let deadline = deadline.into();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }

    fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener(tokio::net::TcpListener);

impl Listener {
    /// Registers the socket with the runtime of the calling task.
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener).map(Self)
    }
}

impl Acceptor for Listener {
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(std::net::TcpStream, SocketAddr)>> {
        let (stream, peer) = ready!(self.0.poll_accept(cx))?;
        // It may be served by another runtime than the one that accepts.
        Poll::Ready(stream.into_std().map(|stream| (stream, peer)))
    }

    fn sleep(until: Instant) -> impl Future<Output = ()> + Send {
        sleep_until(until.into())
    }
}
