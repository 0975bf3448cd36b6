//! The socket itself, whatever its runtime believes of its readiness.

use std::{
    io,
    task::{Context, Poll},
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::BorrowedFd,
    io::{Errno, retry_on_intr},
    net::{RecvFlags, recv},
};

use crate::Transport;

/// True if the peer sends no more, although what it sent may not all be received yet.
pub(crate) fn is_closing(socket: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
    let at_once = Timespec::default();
    // Without an answer, the next look tells.
    retry_on_intr(|| poll(&mut fds, Some(&at_once))).is_ok_and(|ready| ready > 0)
}

/// When a socket is used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// When the runtime says that it is ready; else the task is woken then.
    WhenReady,
    /// At once, by a system call. `Pending` is only what the call says, and wakes no task.
    AtOnce,
}

impl How {
    pub(crate) fn over<T: Transport>(self, transport: &mut T) -> Direct<'_, T> {
        Direct { transport, how: self }
    }
}

/// A socket that is used in one of these ways.
#[derive(Debug)]
pub(crate) struct Direct<'t, T> {
    transport: &'t mut T,
    how: How,
}

impl<T: Transport> Transport for Direct<'_, T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if let How::WhenReady = self.how {
            return self.transport.poll_read(cx, buffer);
        }
        let socket = self.transport.socket();
        match retry_on_intr(|| recv(socket, &mut *buffer, RecvFlags::DONTWAIT)) {
            Ok((received, _)) => Poll::Ready(Ok(received)),
            Err(Errno::AGAIN) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    fn poll_write<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        if let How::WhenReady = self.how {
            return self.transport.poll_write(cx, send);
        }
        match send(self.transport.socket()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            sent => Poll::Ready(sent),
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        self.transport.poll_deadline(cx, deadline)
    }

    fn socket(&self) -> BorrowedFd<'_> {
        self.transport.socket()
    }
}
