//! Clearing away the part files of a server that died.

use std::ffi::{CStr, CString};

use httpout_proto::exchange::target::PART_PREFIX;
use rustix::{
    fd::OwnedFd,
    fs::{
        AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstat, openat, statat,
        unlinkat,
    },
    io::Result,
};

/// How the names of part files end.
pub(super) const PART_SUFFIX: &str = ".part";

/// Removes the part files below `dir` that no living server holds, and tells how many there were. What
/// cannot be read is passed over: it could not have been written by this server.
pub(super) fn sweep(dir: &OwnedFd) -> usize {
    let Ok(dir) = open(dir, c".", OFlags::DIRECTORY) else { return 0 };
    let Ok(entries) = Dir::read_from(&dir) else { return 0 };
    let mut removed = 0;
    let mut below: Vec<CString> = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match kind(&dir, name, entry.file_type()) {
            FileType::Directory => below.push(name.to_owned()),
            FileType::RegularFile if is_part(name) => {
                removed += usize::from(remove_stale(&dir, name).is_ok());
            }
            FileType::RegularFile
            | FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {}
        }
    }
    for name in below {
        // A directory that was exchanged for a symbolic link since is refused by `open`.
        if let Ok(dir) = open(&dir, &name, OFlags::DIRECTORY) {
            removed += sweep(&dir);
        }
    }
    removed
}

/// Some file systems do not tell the kind in the listing.
fn kind(dir: &OwnedFd, name: &CStr, listed: FileType) -> FileType {
    if listed != FileType::Unknown {
        return listed;
    }
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}

fn is_part(name: &CStr) -> bool {
    let name = name.to_bytes();
    name.starts_with(PART_PREFIX.as_bytes()) && name.ends_with(PART_SUFFIX.as_bytes())
}

/// A part file is locked as long as its server lives; the kernel unlocks it with the last breath.
fn remove_stale(dir: &OwnedFd, name: &CStr) -> Result<()> {
    let file = open(dir, name, OFlags::NONBLOCK)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    // While its server lived on until a moment ago, it may have been renamed to its target.
    if fstat(&file)?.st_ino == statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_ino {
        unlinkat(dir, name, AtFlags::empty())?;
    }
    Ok(())
}

fn open(dir: &OwnedFd, name: &CStr, flags: OFlags) -> Result<OwnedFd> {
    openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | flags, Mode::empty())
}
