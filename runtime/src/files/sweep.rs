//! Clearing away the part files of a server that died. Of recordings, which nobody can send again,
//! what there is is kept.

use std::{
    ffi::{CStr, CString},
    path::{Path, PathBuf},
};

use httpout_proto::fs::PART_PREFIX;
use rustix::{
    fd::OwnedFd,
    fs::{
        AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstat, openat, renameat,
        statat, unlinkat,
    },
    io::{Errno, Result},
};

use super::sys;

/// How the names of part files end.
const PART_SUFFIX: &str = ".part";

/// How the names of recordings end, while they are written.
const RECORDING_SUFFIX: &str = ".rec";

/// Digits that tell part files apart.
const DIGITS: usize = 16;

/// Most bytes of a name.
const LONGEST: usize = 255;

/// Names that are tried for a recording whose own name is taken.
const TRIES: usize = 1000;

/// A name for a part file that is not there yet.
pub(super) fn part_name() -> String {
    format!("{PART_PREFIX}{:0DIGITS$x}{PART_SUFFIX}", fastrand::u64(..))
}

/// A name for a recording that is to be called `name`, by which it is known when the server dies.
/// If that is too long, that of a part file.
pub(super) fn recording_name(name: &str) -> String {
    let own = format!("{PART_PREFIX}{:0DIGITS$x}-{name}{RECORDING_SUFFIX}", fastrand::u64(..));
    if own.len() > LONGEST { part_name() } else { own }
}

/// What a recording is to be called, by the name that it has while it is written.
fn recorded(own: &str) -> Option<&str> {
    let rest = own.strip_prefix(PART_PREFIX)?.strip_suffix(RECORDING_SUFFIX)?;
    let (digits, name) = rest.split_at_checked(DIGITS)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.strip_prefix('-').filter(|name| is_number && !name.is_empty())
}

/// Gives what there is of a recording its name, or if that is taken a similar one, and tells which.
/// `None`: it is empty, and removed, or is no recording.
pub(super) fn recover(dir: &OwnedFd, own: &str) -> Result<Option<String>> {
    let Some(name) = recorded(own) else { return Ok(None) };
    if statat(dir, own, AtFlags::SYMLINK_NOFOLLOW)?.st_size == 0 {
        return unlinkat(dir, own, AtFlags::empty()).map(|()| None);
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        Some(_) | None => (name, String::new()),
    };
    let similar = (1..TRIES).map(|number| format!("{stem}.recovered-{number}{extension}"));
    for name in [name.to_owned()].into_iter().chain(similar) {
        match rename_to_free(dir, own, &name) {
            Ok(()) => return Ok(Some(name)),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST)
}

/// Renames, but never over another file.
fn rename_to_free(dir: &OwnedFd, from: &str, to: &str) -> Result<()> {
    match sys::rename_to_free(dir, from, to) {
        Err(error) if sys::is_missing(error) => match statat(dir, to, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => renameat(dir, from, dir, to),
            Ok(_) => Err(Errno::EXIST),
            Err(error) => Err(error),
        },
        done => done,
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// Part files that were removed.
    pub(super) removed: usize,
    /// Recordings, and what they are called now.
    pub(super) recovered: Vec<PathBuf>,
}

/// Removes the part files below `dir` that no living server holds, and puts recordings in place.
/// What cannot be read is passed over: it could not have been written by this server.
pub(super) fn sweep(dir: &OwnedFd, path: &Path, swept: &mut Swept) {
    let Ok(dir) = open(dir, c".", OFlags::DIRECTORY) else { return };
    let Ok(entries) = Dir::read_from(&dir) else { return };
    let mut below: Vec<CString> = Vec::new();
    let mut stale: Vec<CString> = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match kind(&dir, name, entry.file_type()) {
            FileType::Directory => below.push(name.to_owned()),
            FileType::RegularFile if name.to_bytes().starts_with(PART_PREFIX.as_bytes()) => {
                stale.push(name.to_owned());
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
    for own in stale {
        let Ok(name) = own.to_str() else { continue };
        if name.ends_with(PART_SUFFIX) {
            let removed = hold(&dir, &own).and_then(|_held| unlinkat(&dir, name, AtFlags::empty()));
            swept.removed += usize::from(removed.is_ok());
        } else if recorded(name).is_some() {
            match hold(&dir, &own).and_then(|_held| recover(&dir, name)) {
                Ok(Some(name)) => swept.recovered.push(path.join(name)),
                Ok(None) => swept.removed += 1,
                // A server writes it.
                Err(Errno::WOULDBLOCK | Errno::NOENT) => {}
                Err(error) => {
                    let file = path.join(name);
                    tracing::error!(?file, %error, "a recording that was interrupted cannot be put in place");
                }
            }
        }
    }
    for name in below {
        // A directory that was exchanged for a symbolic link since is refused by `open`.
        if let Ok(dir) = open(&dir, &name, OFlags::DIRECTORY) {
            sweep(&dir, &path.join(&*name.to_string_lossy()), swept);
        }
    }
}

/// Some file systems do not tell the kind in the listing.
fn kind(dir: &OwnedFd, name: &CStr, listed: FileType) -> FileType {
    if listed != FileType::Unknown {
        return listed;
    }
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}

/// A part file is locked as long as its server lives; the kernel unlocks it with the last breath.
fn hold(dir: &OwnedFd, name: &CStr) -> Result<OwnedFd> {
    let file = open(dir, name, OFlags::NONBLOCK)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    // While its server lived on until a moment ago, it may have been renamed to its target.
    let is_it = fstat(&file)?.st_ino == statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_ino;
    if is_it { Ok(file) } else { Err(Errno::WOULDBLOCK) }
}

fn open(dir: &OwnedFd, name: &CStr, flags: OFlags) -> Result<OwnedFd> {
    openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_known_by_the_name_it_has_meanwhile() {
        for name in ["film.ts", "a", ".hidden", "-", "x.rec", "x.part"] {
            assert_eq!(recorded(&recording_name(name)), Some(name));
        }
        for other in [
            part_name(),
            recording_name(&"n".repeat(250)),
            ".httpout-0123456789abcdef-.rec".into(),
            ".httpout-0123456789abcdeg-film.ts.rec".into(),
            ".httpout-film.ts.rec".into(),
            "film.ts.rec".into(),
        ] {
            assert_eq!(recorded(&other), None, "{other}");
        }
        let longest = "n".repeat(LONGEST - recording_name("").len());
        assert_eq!(recorded(&recording_name(&longest)), Some(&*longest));
    }
}
