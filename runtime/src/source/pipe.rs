//! Writing to a pipe that somebody reads as fast as he likes.

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
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

/// Tells all who wait that they wait no longer.
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
    /// What the system says; `BrokenPipe` if nobody reads any more, `ConnectionAborted` if that was not waited for.
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

/// A larger pipe means fewer turns. Where it may not be so large, it works all the same.
#[cfg(target_os = "linux")]
fn make_room(pipe: &OwnedFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, ROOM);
}

#[cfg(not(target_os = "linux"))]
fn make_room(_: &OwnedFd) {}
