//! Opening what lies below a directory in a way that cannot lead out of it.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use httpout_proto::{FsError, fs::Meta, site::Symlinks};
use rustix::{
    fd::OwnedFd,
    fs::{FileType, Mode, OFlags, Stat},
    io::{Errno, Result},
};

use super::sys::{self, LOOK, Refuse};

/// How often an open is tried that the kernel gives up because something on the way was renamed.
const TRIES: usize = 32;

/// One directory that is served.
#[derive(Debug)]
pub(super) struct Root {
    fd: OwnedFd,
    /// Its canonical path.
    pub(super) path: PathBuf,
    /// The same as rules spell it.
    pub(super) spelled: PathBuf,
    guard: Guard,
    links: Links,
}

/// Which symbolic links are followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    /// Rights are judged by real paths: those are all that is asked for, and no link is followed
    /// any more.
    pub(super) judged: bool,
    pub(super) which: Symlinks,
}

/// What keeps a path below its root; found out once, by trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// The kernel, which also can open without waiting for a disk (`openat2`, Linux 5.12).
    KernelCached,
    /// The kernel (`openat2`, Linux 5.6).
    Kernel,
    /// We, by comparing canonical paths. Weaker: who may write below the root could exchange a
    /// directory for a symbolic link between the check and the open.
    Comparison,
}

impl Root {
    pub(super) fn new(fd: OwnedFd, path: PathBuf, spelled: PathBuf, links: Links) -> Self {
        let try_open = |disk| {
            let refuse = Refuse { links: false, leading_out: true, disk };
            sys::open_beneath(&fd, ".", LOOK | OFlags::DIRECTORY, refuse).err()
        };
        let guard = match (try_open(false), try_open(true)) {
            // A sandbox that does not know the call answers EPERM.
            (Some(Errno::NOSYS | Errno::PERM), _) => Guard::Comparison,
            (_, None | Some(Errno::AGAIN)) => Guard::KernelCached,
            (_, Some(_)) => Guard::Kernel,
        };
        Self { fd, path, spelled, guard, links }
    }

    #[cfg(test)]
    pub(super) fn set_guard(&mut self, guard: Guard) {
        self.guard = guard;
    }

    pub(super) fn guard(&self) -> Guard {
        self.guard
    }

    /// Links are followed where something is opened.
    pub(super) fn follows_links(&self) -> bool {
        !self.links.judged
    }

    /// Links may lead out of the root.
    pub(super) fn leads_anywhere(&self) -> bool {
        self.links.which == Symlinks::All
    }

    /// The directory itself.
    pub(super) fn handle(&self) -> &OwnedFd {
        &self.fd
    }

    /// Opens `path`, waiting for the disk if need be.
    pub(super) fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        for _ in 0..TRIES {
            match self.try_open(path, flags) {
                // EAGAIN: a rename on the way, after which the kernel cannot tell whether the path
                // stayed beneath.
                Err(Errno::AGAIN | Errno::INTR) => {}
                done => return done,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Opens `path` if that needs no disk; `None` where it might.
    pub(super) fn open_cached(&self, path: &str, flags: OFlags) -> Result<Option<OwnedFd>> {
        match self.guard {
            Guard::KernelCached => {
                match sys::open_beneath(&self.fd, path, flags, self.refuse(true)) {
                    Err(Errno::AGAIN | Errno::INTR) => Ok(None),
                    done => done.map(Some),
                }
            }
            Guard::Kernel | Guard::Comparison => self.open(path, flags).map(Some),
        }
    }

    /// Opens the directory `path`; the root, if that is empty.
    pub(super) fn directory(&self, path: &str) -> Result<OwnedFd> {
        self.open(if path.is_empty() { "." } else { path }, LOOK | OFlags::DIRECTORY)
    }

    fn refuse(&self, disk: bool) -> Refuse {
        let links = self.links.judged;
        Refuse { links, leading_out: links || !self.leads_anywhere(), disk }
    }

    fn try_open(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        match self.guard {
            Guard::KernelCached | Guard::Kernel => {
                sys::open_beneath(&self.fd, path, flags, self.refuse(false))
            }
            Guard::Comparison if self.follows_links() && self.leads_anywhere() => {
                rustix::fs::openat(&self.fd, path, flags, Mode::empty())
            }
            Guard::Comparison => {
                let real = fs::canonicalize(self.path.join(path)).map_err(|error| errno(&error))?;
                if !real.starts_with(&self.path) {
                    return Err(Errno::XDEV);
                }
                if self.links.judged
                    && real != self.path.join(path).components().collect::<PathBuf>()
                {
                    return Err(Errno::LOOP);
                }
                rustix::fs::open(real, flags | OFlags::NOFOLLOW, Mode::empty())
            }
        }
    }
}

/// What is told of a regular file.
pub(super) fn meta(stat: &Stat) -> std::result::Result<Meta, FsError> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(FsError::IsDirectory),
        FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => return Err(FsError::NotRegular),
    }
    Ok(Meta { len: stat.st_size as u64, modified: modified(stat), inode: stat.st_ino })
}

/// The time of the last modification.
pub(super) fn modified(stat: &Stat) -> SystemTime {
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let whole = if stat.st_mtime < 0 {
        SystemTime::UNIX_EPOCH - seconds
    } else {
        SystemTime::UNIX_EPOCH + seconds
    };
    whole + Duration::new(0, stat.st_mtime_nsec as u32)
}

/// The failure of a system call, in the session's words.
pub(super) fn fs_error(error: Errno) -> FsError {
    match error {
        Errno::NOENT | Errno::NOTDIR => FsError::NotFound,
        Errno::ISDIR => FsError::IsDirectory,
        // A socket, or a device without a driver.
        Errno::NXIO | Errno::NODEV => FsError::NotRegular,
        Errno::XDEV | Errno::LOOP => FsError::Outside,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => FsError::Denied,
        Errno::NAMETOOLONG => FsError::NameTooLong,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => FsError::Full,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => FsError::Exhausted,
        other => FsError::Other(other.kind()),
    }
}

/// The number behind a failure of the standard library.
fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
