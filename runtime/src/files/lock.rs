//! Locks for changes of files. A mutex keeps the threads of this server apart, and a lock on the
//! directory keeps apart all servers that write there.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use httpout_proto::FsError;
use rustix::{
    fd::OwnedFd,
    fs::{FlockOperation, Mode, OFlags, flock, fstat, openat},
    io::{Errno, Result, retry_on_intr},
};

use super::{Roots, beneath::fs_error};

/// So many that two targets seldom share one.
const LOCKS: usize = 256;

/// Locks for changes of targets by this server.
#[derive(Debug)]
pub(super) struct Locks {
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

/// A directory that no other server changes while this lives. `None`: it cannot be locked.
#[derive(Debug)]
pub(super) struct LockedDir {
    _fd: Option<OwnedFd>,
}

impl Locks {
    pub(super) fn new() -> Self {
        Self {
            locks: std::array::from_fn::<_, LOCKS, _>(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }
}

impl Roots {
    /// Held while the entry `name` of `dir` is changed.
    pub(super) fn lock(
        &self,
        dir: &OwnedFd,
        name: &str,
    ) -> std::result::Result<(MutexGuard<'_, ()>, LockedDir), FsError> {
        Ok((self.lock_here(dir, name)?, LockedDir::lock(dir)?))
    }

    /// Keeps out this server's other threads. The directory is told by its inode, so that the way
    /// there, over another mount or a symbolic link, makes no difference.
    pub(super) fn lock_here(
        &self,
        dir: &OwnedFd,
        name: &str,
    ) -> std::result::Result<MutexGuard<'_, ()>, FsError> {
        let stat = fstat(dir).map_err(fs_error)?;
        let Locks { locks, hasher } = &self.lasting.locks;
        let hash = hasher.hash_one((stat.st_dev, stat.st_ino, name));
        // Nothing is guarded that a panic could leave half done.
        Ok(locks[hash as usize % LOCKS].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LockedDir {
    /// Waits until no other server changes what is in `dir`. The lock covers the whole directory,
    /// so nothing slow is done under it.
    pub(super) fn lock(dir: &OwnedFd) -> std::result::Result<Self, FsError> {
        let fd = match open_again(dir) {
            // A directory that can be written to need not be readable.
            Err(Errno::ACCESS) => return Ok(Self { _fd: None }),
            done => done.map_err(fs_error)?,
        };
        // Where directories cannot be locked, the log said so at the start.
        let locked = retry_on_intr(|| flock(&fd, FlockOperation::LockExclusive));
        Ok(Self { _fd: locked.is_ok().then_some(fd) })
    }

    /// Tells why a directory cannot be locked, if so.
    pub(super) fn try_lock(dir: &OwnedFd) -> Result<()> {
        match flock(open_again(dir)?, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Ok(()),
            done => done,
        }
    }
}

/// Opens a directory for more than to look at it.
pub(super) fn open_again(dir: &OwnedFd) -> Result<OwnedFd> {
    openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
