//! Open files that are asked for again and again. An entry is never trusted: at each use the path is looked at, must
//! hold no symbolic link, and must still lead to the very inode that is open (which, being open, cannot be given to
//! another file). So nothing stale is served, and nothing from outside; and a few `fstatat` stand for `openat2`,
//! `fstat` and `close`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use event_listener::Event;
use httpout_proto::effect::{Meta, Place};
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, FileType, Stat, statat},
};

use super::beneath::{Root, meta};
use crate::server::wait_for;

/// Files kept open at the most.
const MOST: usize = 128;
/// Directories on the way to a file that is kept open, at the most: each is looked at at each use.
const DEEPEST: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: Mutex<HashMap<Place, Entry>>,
    filled: Event,
}

#[derive(Debug)]
struct Entry {
    file: Arc<OwnedFd>,
    device: u64,
    inode: u64,
    /// Asked for since the last [`Cache::sweep`].
    used: bool,
}

impl Cache {
    /// The file, if it is open and is what the path leads to now.
    pub(super) fn get(&self, root: &Root, place: &Place) -> Option<(Arc<OwnedFd>, Meta)> {
        let (file, device, inode) = {
            let mut entries = self.lock();
            let entry = entries.get_mut(place)?;
            entry.used = true;
            (entry.file.clone(), entry.device, entry.inode)
        };
        let path = place.path.as_str();
        let look = |path| statat(root.handle(), path, AtFlags::SYMLINK_NOFOLLOW).ok();
        let is_directory =
            |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let no_link =
            path.match_indices('/').all(|(at, _)| look(&path[..at]).is_some_and(is_directory));
        let now = look(path).filter(|stat| stat.st_dev == device && stat.st_ino == inode);
        match now.filter(|_| no_link) {
            Some(stat) => meta(&stat).ok().map(|meta| (file, meta)),
            None => {
                self.lock().remove(place);
                None
            }
        }
    }

    pub(super) fn put(&self, place: &Place, file: &Arc<OwnedFd>, stat: &Stat) {
        let mut entries = self.lock();
        if entries.len() < MOST && place.path.as_str().matches('/').count() <= DEEPEST {
            let entry =
                Entry { file: file.clone(), device: stat.st_dev, inode: stat.st_ino, used: true };
            entries.insert(place.clone(), entry);
            if entries.len() == 1 {
                self.filled.notify(usize::MAX);
            }
        }
    }

    /// Closes a file that is being removed or replaced, so that its room is free at once.
    pub(super) fn forget(&self, meta: &Meta) {
        self.lock().retain(|_, entry| entry.inode != meta.inode);
    }

    /// Closes what was not asked for since the last sweep.
    pub(super) fn sweep(&self) {
        self.lock().retain(|_, entry| std::mem::take(&mut entry.used));
    }

    /// Resolves when there is something to sweep.
    pub(super) async fn filled(&self) {
        wait_for(&self.filled, || !self.lock().is_empty()).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
