//! The files that are kept in memory (`gmem`): each is an anonymous file of the kernel's, so that
//! it is sent, followed and patched as one on disk is. Directories are there as far as a path leads
//! through them.
//!
//! Nothing here waits for a device. What a reader has open is not lost when it is removed or
//! replaced: it goes with its last reader, and is no longer counted.

mod part;
mod patch;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use httpout_proto::{
    FsError,
    fs::{Entries, Entry, EntryKind, Expect, Meta, RelPath},
    live::retention::{Change, Retention, Sort},
};
use rustix::{
    fd::OwnedFd,
    fs::{Stat, fstat},
    process::{Resource, getrlimit},
};

pub(super) use self::part::MemoryPart;
use super::beneath::meta;

/// Most files and uploads in progress: the kernel takes a page or two for each, however short it
/// is.
const MOST_FILES: usize = 1 << 16;

/// To give back more bytes than these takes noticeable time.
const LARGE: u64 = 4 << 20;

/// The bounds that options set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of all files and uploads in progress.
    pub(super) bytes: u64,
    /// Segments of a quality.
    pub(super) segments: usize,
}

/// What is kept in memory; for gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) bytes: u64,
    pub(crate) resources: usize,
    /// How many were removed to make room, or as old segments.
    pub(crate) evicted: u64,
}

/// The store.
#[derive(Debug)]
pub(super) struct Memory {
    state: Mutex<State>,
    /// Held while a file is patched, so that two patches do not undo each other's work over and
    /// over.
    patching: Mutex<()>,
    most_files: usize,
}

#[derive(Debug, Default)]
struct State {
    /// By path.
    files: BTreeMap<String, Stored>,
    /// Paths, in the order in which they may go.
    order: BTreeMap<Turn, String>,
    retention: Retention<(), ()>,
    /// Media types that were kept with files.
    types: HashMap<Inode, Arc<str>>,
    /// Bytes of files.
    stored: u64,
    /// Bytes of uploads in progress, and how many there are.
    uploading: u64,
    uploads: usize,
    /// Number of the last file.
    last: u64,
    evicted: u64,
}

#[derive(Clone, Debug)]
struct Stored {
    file: Arc<OwnedFd>,
    meta: Meta,
    inode: Inode,
    turn: Turn,
}

/// When a file may go: by its class, then by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    class: Class,
    number: u64,
}

/// What goes first stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// A segment that a manifest named once, and none names now.
    Left,
    Segment,
    Other,
}

/// Device and number.
type Inode = (u64, u64);

/// Files that were taken out, to be given back outside the lock.
#[derive(Debug, Default)]
#[must_use]
struct Gone {
    files: Vec<Arc<OwnedFd>>,
    bytes: u64,
}

impl Memory {
    pub(super) fn new() -> Self {
        // Sockets need the other half.
        let descriptors = getrlimit(Resource::Nofile)
            .current
            .map_or(usize::MAX, |most| usize::try_from(most / 2).unwrap_or(usize::MAX));
        Self {
            state: Mutex::default(),
            patching: Mutex::default(),
            most_files: descriptors.clamp(1, MOST_FILES),
        }
    }

    /// Opens a file for reading.
    pub(super) fn open(&self, path: &RelPath) -> Result<(Arc<OwnedFd>, Meta), FsError> {
        self.lock().find(path).map(|stored| (stored.file.clone(), stored.meta))
    }

    pub(super) fn stat(&self, path: &RelPath) -> Result<Meta, FsError> {
        self.lock().find(path).map(|stored| stored.meta)
    }

    /// Removes a file if `expect` holds.
    pub(super) fn remove(&self, path: &RelPath, expect: Expect) -> Result<(), FsError> {
        let mut gone = Gone::default();
        {
            let mut state = self.lock();
            check(expect, Some(state.find(path)?))?;
            state.take_out(path.as_str(), &mut gone);
        }
        gone.give_back();
        Ok(())
    }

    /// What is in a directory: files, and directories that lead to some. The root is always there.
    pub(super) fn list(&self, path: &RelPath) -> Result<Entries, FsError> {
        let state = self.lock();
        let prefix = if path.is_root() { String::new() } else { format!("{path}/") };
        let mut entries = Entries::default();
        let mut from = Bound::Included(prefix.clone());
        while let Some((found, stored)) = state.files.range((from, Bound::Unbounded)).next() {
            let Some(rest) = found.strip_prefix(&prefix) else { break };
            from = match rest.split_once('/') {
                None => {
                    let modified = Some(stored.meta.modified);
                    let (kind, len) = (EntryKind::File, stored.meta.len);
                    entries.push(Entry { name: rest, kind, len, modified, link: None });
                    Bound::Excluded(found.clone())
                }
                // Behind all that lies below it: `0` follows `/`.
                Some((name, _)) => {
                    entries.push(Entry::mount(name));
                    Bound::Included(format!("{prefix}{name}0"))
                }
            };
        }
        if entries.is_empty() && !path.is_root() { Err(FsError::NotFound) } else { Ok(entries) }
    }

    /// The media type kept with a file.
    pub(super) fn media_type(&self, file: &OwnedFd) -> Option<String> {
        let inode = inode(&fstat(file).ok()?);
        self.lock().types.get(&inode).map(|kept| kept.to_string())
    }

    pub(super) fn usage(&self) -> Use {
        let state = self.lock();
        let (bytes, resources) = (state.bytes(), state.files.len());
        Use { bytes, resources, evicted: state.evicted }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is called while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.stored + self.uploading
    }

    fn find(&self, path: &RelPath) -> Result<&Stored, FsError> {
        self.files.get(path.as_str()).ok_or_else(|| {
            if self.is_directory(path) { FsError::IsDirectory } else { FsError::NotFound }
        })
    }

    fn is_directory(&self, path: &RelPath) -> bool {
        let prefix = format!("{path}/");
        let below = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        path.is_root()
            || self.files.range::<str, _>(below).next().is_some_and(|(p, _)| p.starts_with(&prefix))
    }

    /// What an upload to this path would replace.
    fn target(&self, path: &RelPath) -> Result<Option<&Stored>, FsError> {
        let above = path.as_str().match_indices('/').map(|(at, _)| &path.as_str()[..at]);
        if above.into_iter().any(|dir| self.files.contains_key(dir)) {
            return Err(FsError::NotRegular);
        }
        match self.find(path) {
            Ok(stored) => Ok(Some(stored)),
            Err(FsError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Counts `more` bytes of an upload to `path`, and removes what must go for them; the file that
    /// it is to replace stays.
    fn take_room(
        &mut self,
        path: &str,
        more: u64,
        bounds: Bounds,
        gone: &mut Gone,
    ) -> Result<(), FsError> {
        let old = self.files.get(path).map_or(0, |stored| stored.meta.len);
        // Nothing is removed for what would not fit all the same.
        let stays = self.uploading.saturating_add(old).saturating_add(more);
        if stays > bounds.bytes {
            return Err(FsError::MemoryFull);
        }
        while self.bytes() + more > bounds.bytes && self.evict(path, gone) {}
        self.uploading += more;
        Ok(())
    }

    /// Removes the file whose turn it is, but not this one. False if there is none.
    fn evict(&mut self, but: &str, gone: &mut Gone) -> bool {
        let first = self.order.values().find(|path| *path != but).cloned();
        if let Some(path) = &first {
            self.take_out(path, gone);
            self.evicted += 1;
        }
        first.is_some()
    }

    /// An upload is over, of which so many bytes were counted.
    fn end_upload(&mut self, bytes: u64) {
        self.uploads -= 1;
        self.uploading -= bytes;
    }

    /// Removes a file for good.
    fn take_out(&mut self, path: &str, gone: &mut Gone) {
        self.unlink(path, gone);
        let renamed = self.retention.removed((), path);
        self.classify(&renamed);
    }

    /// Some manifest names these files now, or none does.
    fn classify(&mut self, paths: &[String]) {
        for path in paths {
            let Some(stored) = self.files.get_mut(path) else { continue };
            let class = match stored.turn.class {
                Class::Other => continue,
                Class::Left | Class::Segment if self.retention.is_named((), path) => Class::Segment,
                Class::Left | Class::Segment => Class::Left,
            };
            self.order.remove(&stored.turn);
            stored.turn.class = class;
            self.order.insert(stored.turn, path.clone());
        }
    }

    fn unlink(&mut self, path: &str, gone: &mut Gone) {
        if let Some(stored) = self.files.remove(path) {
            self.order.remove(&stored.turn);
            self.types.remove(&stored.inode);
            self.stored -= stored.meta.len;
            gone.bytes += stored.meta.len;
            gone.files.push(stored.file);
        }
    }

    /// Puts a file under this name, and removes the oldest segments if it is one too many.
    fn put(
        &mut self,
        path: &str,
        file: Arc<OwnedFd>,
        stat: &Stat,
        sort: Sort,
        most: usize,
        gone: &mut Gone,
    ) -> Result<Meta, FsError> {
        let meta = meta(stat)?;
        self.unlink(path, gone);
        self.last += 1;
        let class = if sort == Sort::Segment { Class::Segment } else { Class::Other };
        let turn = Turn { class, number: self.last };
        let stored = Stored { file, meta, inode: inode(stat), turn };
        self.order.insert(turn, path.to_owned());
        self.files.insert(path.to_owned(), stored);
        self.stored += meta.len;
        let Change { dropped, renamed } = self.retention.stored((), path, sort, (), most);
        self.classify(&renamed);
        let dir = path.rfind('/').map_or("", |at| &path[..=at]);
        for (old, ()) in dropped {
            self.take_out(&format!("{dir}{old}"), gone);
            self.evicted += 1;
        }
        Ok(meta)
    }
}

impl Gone {
    /// Lets the files go. Many bytes go to another thread, so that no connection waits for it.
    fn give_back(self) {
        if self.bytes > LARGE {
            blocking::unblock(move || drop(self)).detach();
        }
    }
}

fn check(expect: Expect, target: Option<&Stored>) -> Result<(), FsError> {
    let holds = match (expect, target) {
        (Expect::Any, _) | (Expect::Absent, None) => true,
        (Expect::Absent, Some(_)) | (Expect::Same(_), None) => false,
        (Expect::Same(was), Some(stored)) => was == stored.meta,
    };
    if holds { Ok(()) } else { Err(FsError::Changed) }
}

fn inode(stat: &Stat) -> Inode {
    (stat.st_dev, stat.st_ino)
}
