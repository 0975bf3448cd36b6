//! Writing to a pipe whose reader may be slow.

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
#[cfg(target_os = "linux")]
use rustix::fs::{Mode, OFlags, open};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fd::OwnedFd,
    io::{Errno, writev},
    pipe::{PipeFlags, pipe_with},
};

/// Pieces of one write.
const PIECES: usize = 64;
/// What a pipe is to hold, where the system lets it, in bytes.
const ROOM: usize = 1 << 20;

/// The end of a pipe that is written to, or what stands for it; nonblocking, if it is a pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    fd: OwnedFd,
    abort: Abort,
}

/// Wakes all that wait.
#[derive(Clone, Debug)]
pub(super) struct Abort {
    /// Readable once the other end is closed.
    told: Arc<OwnedFd>,
    teller: Arc<Mutex<Option<OwnedFd>>>,
}

impl Abort {
    pub(super) fn new() -> io::Result<Self> {
        let (told, teller) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self { told: Arc::new(told), teller: Arc::new(Mutex::new(Some(teller))) })
    }

    pub(super) fn tell(&self) {
        self.teller.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Pipe {
    pub(super) fn new(fd: OwnedFd, abort: Abort) -> Self {
        make_room(&fd);
        Self { fd, abort }
    }

    /// Writes all of it, one after the other.
    ///
    /// # Errors
    /// What the system says; `BrokenPipe` if there is no reader any more, `ConnectionAborted` if
    /// that was not waited for.
    pub(super) fn write_all(&self, data: &[Bytes]) -> io::Result<()> {
        let mut slices: Vec<_> = data.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            match writev(&self.fd, &rest[..rest.len().min(PIECES)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(Errno::AGAIN) => self.wait()?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Closes the end that is written to, so that the reader sees the end of its input. What is
    /// returned tells how much the reader leaves behind.
    ///
    /// # Errors
    /// The pipe cannot be opened a second time.
    pub(super) fn close(self) -> io::Result<Leftover> {
        Leftover::of(&self.fd)
    }

    fn wait(&self) -> io::Result<()> {
        let mut fds =
            [PollFd::new(&self.fd, PollFlags::OUT), PollFd::new(&self.abort.told, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if fds[1].revents().is_empty() {
            Ok(())
        } else {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}

/// A pipe whose writer is gone, kept to see which bytes were not read.
#[derive(Debug)]
pub(super) struct Leftover(#[cfg(target_os = "linux")] OwnedFd);

#[cfg(target_os = "linux")]
impl Leftover {
    fn of(pipe: &OwnedFd) -> io::Result<Self> {
        use rustix::fd::{AsFd as _, AsRawFd as _};

        let path = format!("/proc/self/fd/{}", pipe.as_fd().as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    /// How many bytes were written and not read.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn unread(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(&self.0)?)
    }
}

/// Elsewhere the kernel does not open a pipe a second time, and nothing counts as unread.
#[cfg(not(target_os = "linux"))]
impl Leftover {
    fn of(_: &OwnedFd) -> io::Result<Self> {
        Ok(Self())
    }

    pub(super) fn unread(&self) -> io::Result<u64> {
        Ok(0)
    }
}

/// A larger pipe means fewer turns. Where it may not be so large, it works all the same.
#[cfg(target_os = "linux")]
fn make_room(pipe: &OwnedFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, ROOM);
}

#[cfg(not(target_os = "linux"))]
fn make_room(_: &OwnedFd) {}
