//! Reading a directory for its listing.

use std::{path::Path, time::SystemTime};

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
    beneath::{fs_error, modified},
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
            let looked = look(&fd, name, found.file_type());
            entries.extend(match looked {
                Some(stat) if is(&stat, FileType::Symlink) => self.linked(place, name),
                Some(stat) => entry(name, &stat, None),
                None => None,
            });
        }
        entries.extend(mounts.into_iter().map(Entry::mount));
        order.sort(&mut entries);
        Ok((entries, truncated))
    }

    /// A link, as what it leads to, if that lies below the root.
    fn linked(&self, directory: &Place, name: &str) -> Option<Entry> {
        let dir = directory.path.as_str();
        let path = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
        let place = Place { root: directory.root, path: RelPath::new(&path)? };
        let stat = fstat(self.root(&place).open(&path, LOOK).ok()?).ok()?;
        let real = self.locate(&place, true).ok()?;
        entry(name, &stat, Some(real.into()))
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

fn look(fd: &OwnedFd, name: &str, kind: FileType) -> Option<Stat> {
    match kind {
        FileType::RegularFile | FileType::Directory | FileType::Symlink | FileType::Unknown => {
            statat(fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()
        }
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
            None
        }
    }
}

fn is(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

fn entry(name: &str, stat: &Stat, link: Option<Box<Path>>) -> Option<Entry> {
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
    Some(Entry { name: name.to_owned(), kind, len, modified: Some(modified), link })
}
