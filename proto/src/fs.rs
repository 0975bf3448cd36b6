//! Files as the server sees them: where they lie, what is known of them, and why an operation on
//! them fails.

mod entries;
mod natural;
mod order;

use std::{fmt, io, sync::Arc, time::SystemTime};

pub use self::{
    entries::{Entries, Entry, EntryKind},
    order::{Column, Order},
};
pub use crate::id::FileId;

/// Index of a directory in [`Site::roots`](crate::site::Site::roots).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootId(pub(crate) u16);

impl RootId {
    /// Position in [`Site::roots`](crate::site::Site::roots).
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A path below a root: decoded, without empty, `.` or `..` segments, without NUL or backslash,
/// with no slash at either end. The empty path is the root itself. Only [`RelPath::new`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelPath(Arc<str>);

impl RelPath {
    /// Takes a decoded path, e.g. `live/a.mpd`. `None` if any segment is empty, `.` or `..`, or the
    /// path holds a NUL or a backslash.
    pub fn new(path: &str) -> Option<Self> {
        let fine = path.is_empty()
            || path.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
                && !path.bytes().any(|b| b == 0 || b == b'\\');
        fine.then(|| Self(path.into()))
    }

    /// The root itself.
    pub fn root() -> Self {
        Self("".into())
    }

    /// The path, segments separated by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last segment; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or("", |(parent, _)| parent).into()))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file or directory that a request speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The directory it lies beneath.
    pub root: RootId,
    /// The path from there.
    pub path: RelPath,
}

/// What is known of a regular file. Two equal values mean: the same content (as far as a file
/// system can tell), so the strong entity tag is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Length in bytes.
    pub len: u64,
    /// Last modification, with the file system's full resolution.
    pub modified: SystemTime,
    /// Inode number.
    pub inode: u64,
}

/// What must still hold when an upload is put in place of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// The target must not exist.
    Absent,
    /// The target must be this very file.
    Same(Meta),
}

/// One run of uploaded bytes and where it belongs in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Offset in the target.
    pub at: u64,
    /// Number of bytes.
    pub len: u64,
}

/// How the names of part files begin. No URL reaches such a name:
/// [`is_reserved`](crate::semantics::target::Target::is_reserved).
pub const PART_PREFIX: &str = ".httpout-";

/// First segment of the server's own resources.
const OWN: &str = ".httpout";

impl RelPath {
    /// True if some segment is a name that the server keeps for itself: `.httpout`, or a part
    /// file's.
    pub(crate) fn is_reserved(&self) -> bool {
        self.as_str().split('/').any(is_reserved_name)
    }
}

/// True for `.httpout` and the names of part files, also for other names by which a file system may
/// know them: without regard to case, and to characters that Unicode ignores in comparisons (none
/// of which is ASCII).
pub(crate) fn is_reserved_name(name: &str) -> bool {
    if name.is_ascii() && !name.starts_with('.') {
        return false;
    }
    let folded: String =
        name.chars().filter(char::is_ascii).map(|c| c.to_ascii_lowercase()).collect();
    folded.trim_end_matches(['.', ' ']) == OWN || folded.starts_with(PART_PREFIX)
}

/// Why a file effect failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FsError {
    /// There is no such file, or a directory on the way is missing or no directory.
    NotFound,
    /// It is a directory.
    IsDirectory,
    /// It is neither a regular file nor a directory, or a directory on the way to a new file is a
    /// file.
    NotRegular,
    /// A symbolic link leads out of the root, or in circles.
    Outside,
    /// The operating system refuses access.
    Denied,
    /// The name is too long for the file system.
    NameTooLong,
    /// No room on the device, or over quota.
    Full,
    /// No room in memory ([`Config::memory_max`](crate::Config::memory_max)).
    MemoryFull,
    /// The target is no longer what [`Expect`] says.
    Changed,
    /// A patch begins past the end of the file, which has this many bytes.
    Hole(u64),
    /// The change was made, but the disk did not confirm it: a crash may undo it.
    Unflushed,
    /// Too many open files.
    Exhausted,
    /// Anything else.
    Other(io::ErrorKind),
}

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such file"),
            Self::IsDirectory => f.write_str("is a directory"),
            Self::NotRegular => f.write_str("not a regular file"),
            Self::Outside => f.write_str("a symbolic link leads out of the served directory"),
            Self::Denied => f.write_str("permission denied"),
            Self::NameTooLong => f.write_str("file name too long"),
            Self::Full => f.write_str("no space left on the device"),
            Self::MemoryFull => {
                f.write_str("no room in memory: raise --gmem-max, or store less at a time")
            }
            Self::Changed => f.write_str("the file was changed meanwhile"),
            Self::Hole(len) => write!(f, "the range begins past the end of the file ({len} bytes)"),
            Self::Unflushed => f.write_str(
                "the content is in place, but the disk did not confirm it: a crash may undo it; send it again",
            ),
            Self::Exhausted => f.write_str("too many open files"),
            Self::Other(kind) => write!(f, "{kind}"),
        }
    }
}

impl std::error::Error for FsError {}
