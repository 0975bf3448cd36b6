//! The few system calls that only some systems have. Where one is missing it answers
//! [`Errno::NOSYS`], so that its caller takes the same way as on an old kernel.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::OFlags,
    io::{Errno, Result},
};

/// Opens something to look at it or to start from it, without reading it.
#[cfg(target_os = "linux")]
pub(super) const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// Opens something to look at it or to start from it, without reading it.
#[cfg(not(target_os = "linux"))]
pub(super) const LOOK: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// What an open refuses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refuse {
    /// Symbolic links on the way: [`Errno::LOOP`].
    pub(super) links: bool,
    /// Symbolic links that lead out of the directory: [`Errno::XDEV`].
    pub(super) leading_out: bool,
    /// To wait for a disk: [`Errno::AGAIN`].
    pub(super) disk: bool,
}

/// Opens `path`, which has no `..` in it, where the kernel sees to it that nothing that is refused
/// is on the way.
#[cfg(target_os = "linux")]
pub(super) fn open_beneath(
    dir: impl AsFd,
    path: &str,
    flags: OFlags,
    refuse: Refuse,
) -> Result<OwnedFd> {
    use rustix::fs::{Mode, ResolveFlags};
    let mut resolve = ResolveFlags::NO_MAGICLINKS;
    resolve.set(ResolveFlags::BENEATH, refuse.leading_out);
    resolve.set(ResolveFlags::CACHED, refuse.disk);
    resolve.set(ResolveFlags::NO_SYMLINKS, refuse.links);
    rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve)
}

/// Takes room for `len` bytes of a file from `at` on, without making it longer.
#[cfg(target_os = "linux")]
pub(super) fn reserve(file: impl AsFd, at: u64, len: u64) -> Result<()> {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, at, len)
}

/// Renames within a directory, unless the new name is taken: [`Errno::EXIST`] then.
#[cfg(target_os = "linux")]
pub(super) fn rename_to_free(dir: impl AsFd, from: &str, to: &str) -> Result<()> {
    rustix::fs::renameat_with(&dir, from, &dir, to, rustix::fs::RenameFlags::NOREPLACE)
}

/// Makes `to` share all blocks of `from`.
#[cfg(target_os = "linux")]
pub(super) fn clone_file(from: impl AsFd, to: impl AsFd) -> Result<()> {
    rustix::fs::ioctl_ficlone(to, from)
}

/// Copies up to `len` bytes within the kernel and moves both offsets on.
#[cfg(target_os = "linux")]
pub(super) fn copy_some(
    from: impl AsFd,
    from_at: &mut u64,
    to: impl AsFd,
    to_at: &mut u64,
    len: usize,
) -> Result<usize> {
    rustix::fs::copy_file_range(from, Some(from_at), to, Some(to_at), len)
}

/// A file without a name and without a disk, for reading and writing.
#[cfg(target_os = "linux")]
pub(crate) fn memory_file() -> Result<OwnedFd> {
    rustix::fs::memfd_create("httpout", rustix::fs::MemfdFlags::CLOEXEC)
}

#[cfg(not(target_os = "linux"))]
mod absent {
    //! Elsewhere.

    use super::{AsFd, Errno, OFlags, OwnedFd, Result};

    pub(in super::super) fn open_beneath(
        _: impl AsFd,
        _: &str,
        _: OFlags,
        _: super::Refuse,
    ) -> Result<OwnedFd> {
        Err(Errno::NOSYS)
    }

    pub(in super::super) fn reserve(_: impl AsFd, _: u64, _: u64) -> Result<()> {
        Err(Errno::NOSYS)
    }

    pub(in super::super) fn rename_to_free(_: impl AsFd, _: &str, _: &str) -> Result<()> {
        Err(Errno::NOSYS)
    }

    pub(crate) fn memory_file() -> Result<OwnedFd> {
        Err(Errno::NOSYS)
    }

    pub(in super::super) fn clone_file(_: impl AsFd, _: impl AsFd) -> Result<()> {
        Err(Errno::NOSYS)
    }

    pub(in super::super) fn copy_some(
        _: impl AsFd,
        _: &mut u64,
        _: impl AsFd,
        _: &mut u64,
        _: usize,
    ) -> Result<usize> {
        Err(Errno::NOSYS)
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) use absent::*;

/// True if a failure only says that this system, file system or kernel lacks the call.
pub(super) fn is_missing(error: Errno) -> bool {
    matches!(error, Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP)
}
