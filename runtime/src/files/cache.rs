//! Open files that are asked for again and again. An entry is never trusted: at each use the path
//! is looked at, must hold no symbolic link, and must still lead to the very inode that is open
//! (which, being open, cannot be given to another file), unchanged in any way. So nothing stale is
//! served, and nothing from outside; and one `fstatat` (one more for each directory on the way)
//! stands for `openat2`, `fstat`, `pread` and `close`.

use std::{
    collections::HashMap,
    io::IoSliceMut,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use event_listener::Event;
use httpout_proto::fs::{Meta, Place};
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, FileType, Stat, statat},
    io::{ReadWriteFlags, preadv2},
};

use super::beneath::{Root, meta};
use crate::wait::wait_for;

/// Files kept open at the most.
const MOST: usize = 128;
/// Files up to this size are kept whole, in bytes.
const SMALL: usize = 16 << 10;
/// Seconds; more than the coarsest clock of a file system.
const SETTLED: i64 = 3;
/// Directories on the way to a file that is kept open, at the most: each is looked at at each use.
const DEEPEST: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: Mutex<HashMap<Place, Entry>>,
    filled: Event,
}

/// A file that is open for reading.
#[derive(Clone, Debug)]
pub struct OpenFile {
    /// The file.
    pub fd: Arc<OwnedFd>,
    /// All of it, where it is small and asked for often.
    pub content: Option<Arc<[u8]>>,
}

#[derive(Debug)]
struct Entry {
    file: OpenFile,
    state: State,
    /// Asked for since the last [`Cache::sweep`].
    used: bool,
}

/// What changes with any change of an inode: no process can set the time of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    device: u64,
    inode: u64,
    len: i64,
    changed: (i64, u64),
}

impl State {
    pub(super) fn of(stat: &Stat) -> Self {
        let changed = (stat.st_ctime, stat.st_ctime_nsec);
        Self { device: stat.st_dev, inode: stat.st_ino, len: stat.st_size, changed }
    }
}

impl Cache {
    /// The file, if it is open and is what the path leads to now.
    pub(super) fn get(&self, root: &Root, place: &Place) -> Option<(OpenFile, Meta)> {
        let (file, state) = {
            let mut entries = self.lock();
            let entry = entries.get_mut(place)?;
            entry.used = true;
            (entry.file.clone(), entry.state)
        };
        let path = place.path.as_str();
        let look = |path| statat(root.handle(), path, AtFlags::SYMLINK_NOFOLLOW).ok();
        let is_directory =
            |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let no_link =
            path.match_indices('/').all(|(at, _)| look(&path[..at]).is_some_and(is_directory));
        let now = look(path).filter(|stat| no_link && State::of(stat) == state);
        if now.is_none() {
            self.lock().remove(place);
        }
        now.and_then(|stat| meta(&stat).ok()).map(|meta| (file, meta))
    }

    /// Keeps a file that was just opened, and its content if it is small.
    pub(super) fn put(&self, place: &Place, fd: &Arc<OwnedFd>, stat: &Stat) {
        if place.path.as_str().matches('/').count() > DEEPEST || self.lock().len() >= MOST {
            return;
        }
        let file = OpenFile { fd: fd.clone(), content: read_settled(fd, stat) };
        let mut entries = self.lock();
        entries.insert(place.clone(), Entry { file, state: State::of(stat), used: true });
        if entries.len() == 1 {
            self.filled.notify(usize::MAX);
        }
    }

    /// Closes a file that is being removed or replaced, so that its room is free at once.
    pub(super) fn forget(&self, meta: &Meta) {
        self.lock().retain(|_, entry| entry.state.inode != meta.inode);
    }

    /// Closes what was not asked for since the last sweep.
    pub(super) fn sweep(&self) {
        self.lock().retain(|_, entry| std::mem::take(&mut entry.used));
    }

    /// Closes all.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Resolves when there is something to sweep.
    pub(super) async fn filled(&self) {
        wait_for(&self.filled, || !self.lock().is_empty()).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a small file that did not change for so long that its next change will have another time,
/// where that needs no disk.
fn read_settled(fd: &OwnedFd, stat: &Stat) -> Option<Arc<[u8]>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let age = i64::try_from(now.as_secs()).ok()?.checked_sub(stat.st_ctime)?;
    let len = usize::try_from(stat.st_size).ok().filter(|len| (1..=SMALL).contains(len))?;
    if age < SETTLED {
        return None;
    }
    let mut content = vec![0; len];
    let mut slices = [IoSliceMut::new(&mut content)];
    let read = preadv2(fd, &mut slices, 0, ReadWriteFlags::NOWAIT).ok()?;
    (read == len).then(|| content.into())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use rustix::fs::fstat;

    use super::*;

    #[test]
    fn only_small_files_that_have_settled_are_kept_whole() {
        let path = std::env::temp_dir().join(format!("httpout-test-{:016x}", fastrand::u64(..)));
        let settled = |content: &[u8], age: i64| {
            fs::write(&path, content).unwrap();
            let fd = OwnedFd::from(File::open(&path).unwrap());
            let mut stat = fstat(&fd).unwrap();
            stat.st_ctime -= age;
            read_settled(&fd, &stat)
        };
        assert_eq!(settled(b"content", 10).as_deref(), Some(&b"content"[..]));
        assert_eq!(settled(b"content", 0), None);
        assert_eq!(settled(b"", 10), None);
        assert_eq!(settled(&[7; SMALL + 1], 10), None);
        fs::remove_file(&path).unwrap();
    }
}
