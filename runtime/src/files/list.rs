//! Reading a directory for its listing.

use std::time::SystemTime;

use httpout_proto::{
    FsError,
    effect::{Place, RelPath},
    exchange::listing::{Entry, Kind, Order},
};
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, Dir, FileType, OFlags, Stat, fstat, statat},
};

use super::{
    Roots,
    beneath::{Root, fs_error, modified},
    sys::LOOK,
};

impl Roots {
    /// What is in a directory, sorted, at most so many entries, and whether there were more. What cannot be looked at is left
    /// out, and so is what no URL names or whose name begins with a dot.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn list(
        &self,
        place: &Place,
        mounts: Vec<String>,
        order: Order,
        most: usize,
    ) -> Result<(Vec<Entry>, bool), FsError> {
        let (root, path) = (self.root(place), place.path.as_str());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = root.open(if path.is_empty() { "." } else { path }, flags).map_err(fs_error)?;
        let mut entries = Vec::new();
        let mut truncated = false;
        for found in Dir::read_from(&fd).map_err(fs_error)? {
            let found = found.map_err(fs_error)?;
            let name = shown(found.file_name().to_bytes());
            let Some(name) = name.filter(|name| !mounts.iter().any(|mount| mount == name)) else {
                continue;
            };
            if entries.len() == most {
                truncated = true;
                break;
            }
            let stat = look(root, path, &fd, name, found.file_type());
            entries.extend(stat.and_then(|stat| entry(name, &stat)));
        }
        entries.extend(mounts.into_iter().map(Entry::mount));
        order.sort(&mut entries);
        Ok((entries, truncated))
    }
}

/// The name, if it is to be shown.
fn shown(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let nameable = !name.starts_with('.')
        && RelPath::new(name).is_some()
        && !name.chars().any(|c| c.is_ascii_control());
    nameable.then_some(name)
}

/// A link counts as what it leads to, if that lies below the root.
fn look(root: &Root, dir: &str, fd: &OwnedFd, name: &str, kind: FileType) -> Option<Stat> {
    let stat = match kind {
        FileType::RegularFile | FileType::Directory | FileType::Unknown => {
            statat(fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()?
        }
        FileType::Symlink => return linked(root, dir, name),
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
            return None;
        }
    };
    let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    if is_link { linked(root, dir, name) } else { Some(stat) }
}

fn linked(root: &Root, dir: &str, name: &str) -> Option<Stat> {
    let path = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
    fstat(root.open(&path, LOOK).ok()?).ok()
}

fn entry(name: &str, stat: &Stat) -> Option<Entry> {
    let (kind, len) = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => (Kind::File, stat.st_size as u64),
        FileType::Directory => (Kind::Directory, 0),
        FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => return None,
    };
    let modified: SystemTime = modified(stat);
    Some(Entry { name: name.to_owned(), kind, len, modified: Some(modified) })
}
