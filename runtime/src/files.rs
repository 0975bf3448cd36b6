//! All work on the file system. Every function blocks, as long as the disk takes; so it is called
//! on a thread that may block. Only [`Roots::open_file`] with `cached` promises not to; nor does
//! anything that is done with a place [in memory](Roots::is_in_memory), but for patches, which
//! copy.
//!
//! A path never leads out of its root: the kernel resolves it from the root's own handle (`openat2`
//! with `RESOLVE_BENEATH`), and what was opened once is used, never looked up again.

mod aliases;
mod beneath;
mod cache;
mod copy;
pub(crate) mod encoded;
pub(crate) mod list;
mod locate;
mod lock;
mod made;
mod memory;
mod part;
mod patch;
mod segments;
mod start;
mod sweep;
mod sys;
#[cfg(test)]
pub(crate) mod tests;
mod upload;

use std::{
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use httpout_proto::{
    FsError, Site,
    fs::{Expect, Meta, Place, RelPath, RootId},
    site::MEMORY,
};
use rustix::{
    fd::OwnedFd,
    fs::{
        Access, AtFlags, FileType, OFlags, XattrFlags, accessat, fgetxattr, fsetxattr, fstat,
        statat, unlinkat,
    },
    io::Errno,
};

pub(crate) use self::memory::Use;
pub(crate) use self::sys::memory_file;
use self::{
    aliases::RuledDirs,
    beneath::{Root, fs_error, meta},
    cache::Cache,
    lock::Locks,
    memory::{Bounds, Memory},
    part::Target,
    segments::Segments,
    sys::LOOK,
};
pub use self::{cache::OpenFile, upload::PartFile};

/// The extended attribute that desktops and web servers agree on for a media type.
const MEDIA_TYPE: &str = "user.mime_type";

/// Reading, without waiting for the writer of a FIFO.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The directories of a [`Site`], open. See [`Roots::open`].
pub struct Roots {
    roots: Vec<Base>,
    /// How the site calls them.
    ids: Vec<RootId>,
    /// Directories that stay although they are empty: an option or a rule names them.
    kept: HashSet<PathBuf>,
    ruled: RuledDirs,
    lasting: Arc<Lasting>,
    /// Of what is in memory.
    bounds: Bounds,
    /// Segments of a quality on disk, if that is bounded.
    segments_on_disk: Option<usize>,
    cache: Cache,
    /// Directories that go when they are empty and an upload into them is given up: made for
    /// uploads none of which is complete, or left over by a removal.
    provisional: Mutex<HashSet<(RootId, RelPath)>>,
}

/// What a place is below.
#[derive(Debug)]
enum Base {
    Directory(Root),
    Memory,
}

/// What outlives a reload: shared with the roots that stood in their place before.
#[derive(Debug)]
struct Lasting {
    locks: Locks,
    memory: Arc<Memory>,
    segments: Segments,
}

/// What became of an open.
#[derive(Debug)]
pub enum Opened {
    /// It is open, or it failed.
    Ready(Result<(OpenFile, Meta), FsError>),
    /// It cannot be told without waiting for the disk: to be opened once more, not `cached`, where
    /// that does no harm.
    WouldBlock,
}

impl Roots {
    /// The place's identity: one path, however many mounts lead there.
    pub fn key(&self, place: &Place) -> PathBuf {
        match self.base(place.root) {
            Base::Directory(root) => root.path.join(place.path.as_str()),
            Base::Memory => Path::new(MEMORY).join(place.path.as_str()),
        }
    }

    /// True if nothing that is done with it waits for a device, but that many bytes may be copied.
    pub fn is_in_memory(&self, place: &Place) -> bool {
        matches!(self.base(place.root), Base::Memory)
    }

    /// What is kept in memory.
    pub(crate) fn usage(&self) -> Use {
        let usage = self.lasting.memory.usage();
        Use { evicted: usage.evicted + self.lasting.segments.removed(), ..usage }
    }

    /// Opens a regular file for reading. With `cached`, only where that needs no disk; a kernel
    /// that cannot tell opens as usual.
    pub fn open_file(&self, place: &Place, cached: bool) -> Opened {
        if place.path.is_root() {
            return Opened::Ready(Err(FsError::IsDirectory));
        }
        let path = place.path.as_str();
        let root = match self.base(place.root) {
            Base::Directory(root) => root,
            Base::Memory => {
                let opened = self.lasting.memory.open(&place.path);
                return Opened::Ready(
                    opened.map(|(fd, meta)| (OpenFile { fd, content: None }, meta)),
                );
            }
        };
        if let Some(open) = self.cache.get(root, place) {
            return Opened::Ready(Ok(open));
        }
        let open = || {
            if cached { root.open_cached(path, READ) } else { root.open(path, READ).map(Some) }
        };
        let opened = match open() {
            // What is kept open for others is not needed as much.
            Err(Errno::MFILE | Errno::NFILE) => {
                self.cache.clear();
                open()
            }
            done => done,
        };
        Opened::Ready(match opened {
            Ok(None) => return Opened::WouldBlock,
            Ok(Some(file)) => fstat(&file).map_err(fs_error).and_then(|stat| {
                let (fd, meta) = (Arc::new(file), meta(&stat)?);
                self.cache.put(place, &fd, &stat);
                Ok((OpenFile { fd, content: None }, meta))
            }),
            Err(error) => Err(fs_error(error)),
        })
    }

    /// Closes the files that are kept open for the next request.
    pub fn clear_cache(&self) {
        self.cache.clear();
    }

    /// Closes files that are kept open for the next request and were not asked for since the last
    /// sweep: while they are open, the room of a file that was removed is not free.
    pub fn sweep_cache(&self) {
        self.cache.sweep();
    }

    /// Resolves when a file is kept open.
    pub async fn cache_filled(&self) {
        self.cache.filled().await;
    }

    /// Why requests cannot be served, if they cannot.
    pub(crate) fn problem(&self, site: &Site) -> Option<String> {
        let writable: Vec<_> = site.writable_roots().map(RootId::index).collect();
        self.roots.iter().enumerate().find_map(|(index, base)| {
            let root = match base {
                Base::Directory(root) => root,
                Base::Memory => return None,
            };
            let shown = root.path.display();
            match fstat(root.handle()) {
                Err(error) => return Some(format!("{shown} cannot be reached: {error}")),
                Ok(stat) if stat.st_nlink == 0 => return Some(format!("{shown} was removed")),
                Ok(_) => {}
            }
            let access = Access::EXEC_OK
                | if writable.contains(&index) { Access::WRITE_OK } else { Access::empty() };
            let denied = accessat(root.handle(), ".", access, AtFlags::empty()).err()?;
            Some(format!("{shown} cannot be used: {denied}"))
        })
    }

    /// Looks at a regular file, which need not be readable.
    ///
    /// # Errors
    /// Whatever [`Roots::open_file`] says, permission to read left aside.
    pub fn stat(&self, place: &Place) -> Result<Meta, FsError> {
        if place.path.is_root() {
            return Err(FsError::IsDirectory);
        }
        let root = match self.base(place.root) {
            Base::Directory(root) => root,
            Base::Memory => return self.lasting.memory.stat(&place.path),
        };
        let file = root.open(place.path.as_str(), LOOK).map_err(fs_error)?;
        meta(&fstat(file).map_err(fs_error)?)
    }

    /// Removes a file if `expect` holds, and the directories above that this leaves empty, but
    /// never the root. Of a symbolic link, the link is removed.
    ///
    /// # Errors
    /// [`FsError::Changed`] where `expect` does not hold; [`FsError::IsDirectory`],
    /// [`FsError::NotRegular`]: it is such a thing; [`FsError::Outside`]: a link on the way there
    /// leads out; what else the system says.
    pub fn remove(&self, place: &Place, expect: Expect) -> Result<(), FsError> {
        let parent = place.path.parent().ok_or(FsError::IsDirectory)?;
        let root = match self.base(place.root) {
            Base::Directory(root) => root,
            Base::Memory => return self.lasting.memory.remove(&place.path, expect),
        };
        let dir = root.directory(parent.as_str()).map_err(fs_error)?;
        let name = place.path.name();
        {
            let _alone = self.lock(&dir, name)?;
            let stat = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(fs_error)?;
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            // Where a link leads matters only to an expectation: it is not followed to be removed.
            if !is_link || expect != Expect::Any {
                let target = Target::look(self, &dir, place)?;
                target.check(expect)?;
                target.forget(&self.cache);
            }
            unlinkat(&dir, name, AtFlags::empty()).map_err(fs_error)?;
        }
        self.forget_segment(place);
        self.remove_empty(place.root, &parent, |_| true);
        Ok(())
    }

    /// The media type that was kept with an open file.
    pub(crate) fn media_type(&self, file: &OwnedFd) -> Option<String> {
        media_type(file).or_else(|| self.lasting.memory.media_type(file))
    }

    fn provisional(&self) -> MutexGuard<'_, HashSet<(RootId, RelPath)>> {
        self.provisional.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn base(&self, root: RootId) -> &Base {
        &self.roots[root.index()]
    }

    /// The directory; what is in memory has none.
    fn directory(&self, root: RootId) -> Result<&Root, Errno> {
        match self.base(root) {
            Base::Directory(root) => Ok(root),
            Base::Memory => Err(Errno::NODEV),
        }
    }

    fn directories(&self) -> impl Iterator<Item = &Root> {
        self.roots.iter().filter_map(|base| match base {
            Base::Directory(root) => Some(root),
            Base::Memory => None,
        })
    }

    fn open_waiting(&self, place: &Place) -> Result<(OwnedFd, Meta), FsError> {
        let root = self.directory(place.root).map_err(fs_error)?;
        let file = root.open(place.path.as_str(), READ).map_err(fs_error)?;
        let meta = meta(&fstat(&file).map_err(fs_error)?)?;
        Ok((file, meta))
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots").field("roots", &self.roots).finish_non_exhaustive()
    }
}

/// Keeps an upload's media type with the file. Where the file system has no extended attributes, it
/// is lost: the file is then served as of unknown type.
fn keep_media_type(file: &OwnedFd, media_type: &str) {
    if let Err(error) = fsetxattr(file, MEDIA_TYPE, media_type.as_bytes(), XattrFlags::empty()) {
        tracing::debug!(%error, "a media type cannot be kept with its file");
    }
}

/// The media type kept with a file.
fn media_type(file: &OwnedFd) -> Option<String> {
    let mut value = [0; 256];
    let len = fgetxattr(file, MEDIA_TYPE, &mut value).ok()?;
    String::from_utf8(value[..len].to_vec()).ok()
}
