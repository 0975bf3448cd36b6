//! Reading a directory for its listing.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use httpout_proto::{
    FsError,
    fs::{Entries, Entry, EntryKind, Order, Place, RelPath},
};
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, Dir, FileType, OFlags, Stat, fstat, statat},
};

use super::{
    Base, Roots,
    beneath::{fs_error, modified},
    sys::LOOK,
};

/// Entries that may be in memory at a time, over all listings: each takes its name and about 60
/// bytes.
const MOST: usize = 1_000_000;
/// How many are reserved at a time.
const STEP: usize = 1_000;

/// What listings take of the memory.
#[derive(Debug, Default)]
pub(crate) struct Budget(AtomicUsize);

/// A part of the budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    budget: Arc<Budget>,
    entries: usize,
}

impl Taken {
    fn more(&mut self) -> Result<(), FsError> {
        if self.budget.0.fetch_add(STEP, Ordering::Relaxed) >= MOST {
            self.budget.0.fetch_sub(STEP, Ordering::Relaxed);
            return Err(FsError::Exhausted);
        }
        self.entries += STEP;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.entries, Ordering::Relaxed);
    }
}

impl Roots {
    /// What is in a directory, sorted, at most so many entries, and whether there were more. What
    /// cannot be looked at is left out, and so is what no URL names or whose name begins with a
    /// dot. The last of the three is to be kept as long as the entries are.
    ///
    /// # Errors
    /// The directory cannot be read; [`FsError::Exhausted`]: too much is being listed.
    pub(crate) fn list(
        &self,
        place: &Place,
        mounts: Vec<String>,
        order: Order,
        most: usize,
        budget: &Arc<Budget>,
    ) -> Result<(Entries, bool, Taken), FsError> {
        let root = match self.base(place.root) {
            Base::Directory(root) => root,
            Base::Memory => return self.list_memory(place, mounts, order, most, budget),
        };
        let path = place.path.as_str();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = root.open(if path.is_empty() { "." } else { path }, flags).map_err(fs_error)?;
        let mut entries = Entries::default();
        let mut truncated = false;
        let mut taken = Taken { budget: budget.clone(), entries: 0 };
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
            if entries.len() == taken.entries {
                taken.more()?;
            }
            let Some(stat) = look(&fd, name, found.file_type()) else { continue };
            if is(&stat, FileType::Symlink) {
                if let Some((stat, target)) = self.linked(place, name) {
                    entries.extend(entry(name, &stat, Some(&target)));
                }
            } else {
                entries.extend(entry(name, &stat, None));
            }
        }
        entries.extend(mounts.iter().map(|name| Entry::mount(name)));
        entries.sort(order);
        Ok((entries, truncated, taken))
    }

    fn list_memory(
        &self,
        place: &Place,
        mounts: Vec<String>,
        order: Order,
        most: usize,
        budget: &Arc<Budget>,
    ) -> Result<(Entries, bool, Taken), FsError> {
        let mut taken = Taken { budget: budget.clone(), entries: 0 };
        let mut entries = self.lasting.memory.list(&place.path)?;
        let is_hidden = |name: &str| mounts.iter().any(|mount| mount == name);
        entries.retain(|entry| shown(entry.name.as_bytes()).is_some() && !is_hidden(entry.name));
        let truncated = entries.len() > most;
        entries.truncate(most);
        while taken.entries < entries.len() {
            taken.more()?;
        }
        entries.extend(mounts.iter().map(|name| Entry::mount(name)));
        entries.sort(order);
        Ok((entries, truncated, taken))
    }

    /// The target of a link, if it lies below the root.
    fn linked(&self, directory: &Place, name: &str) -> Option<(Stat, PathBuf)> {
        let dir = directory.path.as_str();
        let path = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
        let place = Place { root: directory.root, path: RelPath::new(&path)? };
        // As a request for it would find it.
        let own = self.directory(place.root).ok()?;
        if own.follows_links() {
            let stat = fstat(own.open(&path, LOOK).ok()?).ok()?;
            return Some((stat, self.key(&place)));
        }
        let (real, root, located) = self.locate(&place, true).ok()?;
        let root = self.directory(root.unwrap_or(place.root)).ok()?;
        let stat = fstat(root.open(located.as_str(), LOOK).ok()?).ok()?;
        Some((stat, real))
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

fn entry<'a>(name: &'a str, stat: &Stat, link: Option<&'a Path>) -> Option<Entry<'a>> {
    let (kind, len) = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => (EntryKind::File, stat.st_size as u64),
        FileType::Directory => (EntryKind::Directory, 0),
        FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => return None,
    };
    let modified: SystemTime = modified(stat);
    Some(Entry { name, kind, len, modified: Some(modified), link })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use httpout_proto::{Config, fs::RelPath};

    use super::*;
    use crate::files::tests::Scratch;

    #[test]
    fn listings_together_are_bounded() {
        let scratch = Scratch::new();
        for number in 0..STEP + 10 {
            fs::write(scratch.path().join(format!("f{number}")), "").unwrap();
        }
        let mut config = Config::default();
        config.read_dirs = vec![scratch.path().to_owned()];
        let site = config.check().unwrap();
        let roots = Roots::open(&site).unwrap();
        let place = Place { root: site.mounts().next().unwrap().1.unwrap(), path: RelPath::root() };
        let budget = Arc::<Budget>::default();
        let list = || roots.list(&place, Vec::new(), Order::default(), usize::MAX, &budget);
        let listed = list().unwrap();
        assert_eq!(listed.0.len(), STEP + 10);
        assert_eq!(budget.0.load(Ordering::Relaxed), 2 * STEP);
        budget.0.fetch_add(MOST - 3 * STEP, Ordering::Relaxed);
        assert_eq!(list().unwrap_err(), FsError::Exhausted);
        drop(listed);
        assert!(list().is_ok());
        assert_eq!(budget.0.load(Ordering::Relaxed), MOST - 3 * STEP);
    }
}
