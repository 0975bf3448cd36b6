//! Files that are followed where they are served: in the first read directory itself.
//!
//! Nothing is copied but manifests: of one that is rewritten, readers get the last whole version
//! (see [`ManifestSnapshots`](crate::manifest_snapshots::ManifestSnapshots)). Some things are not
//! promised that a copy into another directory gives:
//! - Between the moment that a file is made, or first rewritten, and the moment that the kernel's
//!   word of it is read (well below a millisecond on a machine that is not overloaded), a request
//!   gets what is on the disk.
//! - Of a manifest that is rewritten within that time after it was closed, half may be taken for
//!   the last whole version.
//! - A reader of a file that its writer goes back in has got what was there before.

use std::{
    collections::{HashMap, HashSet},
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::PathBuf,
    sync::Arc,
};

use httpout_proto::{
    fs::{Meta, RelPath},
    live::{Copied, FeedId},
    semantics::media::is_manifest,
};

use super::{Begun, Files, Sink, source::read_at};
use crate::{
    files::{OpenFile, memory_file},
    server::Shared,
};

/// Larger manifests are not held, in bytes.
const MOST_HELD: u64 = 4 << 20;

/// Tells of files that grow.
#[derive(Debug)]
pub(super) struct InPlace {
    files: Files,
    growing: HashMap<RelPath, Growing>,
    /// Manifests that another version may be held of.
    held: HashSet<PathBuf>,
}

/// A file that grows; given up when dropped before its end.
#[derive(Debug)]
struct Growing {
    shared: Arc<Shared>,
    file: Arc<File>,
    /// `None` once it is over.
    feed: Option<FeedId>,
    len: u64,
}

impl InPlace {
    pub(super) fn new(files: Files) -> Self {
        Self { files, growing: HashMap::new(), held: HashSet::new() }
    }

    fn key(&self, path: &RelPath) -> Option<PathBuf> {
        Some(self.files.shared.offer().roots.key(&self.files.place(path)?))
    }

    async fn open(&self, path: &RelPath) -> Option<(Arc<File>, Metadata)> {
        self.files.dir.file(path).await.unwrap_or_else(|why| {
            tracing::error!(%path, "a file of an input cannot be read: {why}");
            None
        })
    }

    /// Holds what a manifest that was written holds now.
    async fn hold(&mut self, path: &RelPath, file: Arc<File>) {
        let Some(key) = self.key(path).filter(|_| is_manifest(path.as_str())) else { return };
        let source = file.clone();
        match blocking::unblock(move || copy(&source)).await {
            Ok(Copy::Whole(open, meta)) => {
                self.files.shared.held.keep(&key, file, (open, meta));
                self.held.insert(key);
            }
            // There will be more news of it.
            Ok(Copy::Changed) => {}
            Ok(Copy::Large) => self.forget(path),
            Err(why) => {
                tracing::error!(%path, "a manifest of an input cannot be read: {why}");
                self.forget(path);
            }
        }
    }

    fn forget(&mut self, path: &RelPath) {
        if let Some(key) = self.key(path).filter(|key| self.held.remove(key)) {
            self.files.shared.held.forget(&key);
        }
    }
}

impl Sink for InPlace {
    async fn begin(&mut self, path: &RelPath, whole: bool, found: bool) -> Begun {
        // A renamed file is whole, but it may be rewritten.
        if whole && (found || !is_manifest(path.as_str())) {
            return Begun::Whole;
        }
        let Some((file, meta)) = self.open(path).await else { return Begun::Not };
        if whole {
            self.hold(path, file).await;
            return Begun::Whole;
        }
        let Some(key) = self.key(path) else { return Begun::Not };
        let Ok(fd) = file.try_clone() else { return Begun::Not };
        let shared = self.files.shared.clone();
        if is_manifest(path.as_str()) {
            shared.held.begin(&key, file.clone(), meta.ino());
            self.held.insert(key.clone());
        }
        let feed = shared.announce(key, Arc::new(fd.into()), None);
        let growing = Growing { shared, file, feed: Some(feed), len: 0 };
        self.growing.insert(path.clone(), growing);
        Begun::Growing
    }

    async fn copy(&mut self, path: &RelPath, _last: bool, _writes: u64) -> Option<Copied> {
        let Growing { shared, file, feed, len } = self.growing.get_mut(path)?;
        match file.metadata() {
            Ok(meta) if meta.len() < *len => Some(Copied::Changed),
            Ok(meta) => {
                *len = meta.len();
                if let Some(feed) = feed {
                    shared.grown(*feed, *len);
                }
                Some(Copied::All(*len))
            }
            Err(why) => {
                tracing::error!(%path, "a file of an input cannot be read: {why}");
                self.growing.remove(path);
                self.forget(path);
                None
            }
        }
    }

    async fn end(&mut self, path: &RelPath) -> bool {
        let Some(mut growing) = self.growing.remove(path) else { return false };
        self.hold(path, growing.file.clone()).await;
        if let Some(feed) = growing.feed.take() {
            growing.shared.ended(feed, true);
        }
        true
    }

    async fn abandon(&mut self, path: &RelPath) {
        self.growing.remove(path);
    }

    async fn remove(&mut self, path: &RelPath) {
        self.forget(path);
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        for key in self.held.drain() {
            self.files.shared.held.forget(&key);
        }
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        if let Some(feed) = self.feed.take() {
            self.shared.ended(feed, false);
        }
    }
}

/// A copy of a file.
enum Copy {
    Whole(OpenFile, Meta),
    /// The file was changed meanwhile.
    Changed,
    Large,
}

fn copy(file: &File) -> io::Result<Copy> {
    let meta = file.metadata()?;
    if meta.len() > MOST_HELD {
        return Ok(Copy::Large);
    }
    let most = usize::try_from(meta.len()).unwrap_or_default();
    let content = read_at(file, 0, most)?;
    let state = |meta: &Metadata| (meta.len(), meta.ctime(), meta.ctime_nsec());
    if content.len() != most || state(&file.metadata()?) != state(&meta) {
        return Ok(Copy::Changed);
    }
    let copy = File::from(memory_file()?);
    copy.write_all_at(&content, 0)?;
    let open = OpenFile { fd: Arc::new(copy.into()), content: None };
    let modified = meta.modified()?;
    Ok(Copy::Whole(open, Meta { len: meta.len(), modified, inode: meta.ino() }))
}
