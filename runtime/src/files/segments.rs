//! Removing old segments on disk (`max_cache_segs`). What was there when the server started is not
//! known, and stays.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use httpout_proto::{
    FsError,
    fs::{Expect, Meta, Place, RelPath},
    live::retention::{Retention, Sort},
};
use rustix::{
    fd::OwnedFd,
    fs::fstat,
    io::{pread, retry_on_intr},
};

use super::{Roots, beneath::fs_error};

/// What a stored file is, by its path and its content.
pub(super) fn sort(path: &RelPath, file: &OwnedFd) -> Result<Sort, FsError> {
    let len = usize::try_from(fstat(file).map_err(fs_error)?.st_size).unwrap_or(usize::MAX);
    let mut content = vec![0; Sort::look(path.name()).min(len)];
    let mut len = 0;
    while len < content.len() {
        let rest = &mut content[len..];
        match retry_on_intr(|| pread(file, &mut *rest, len as u64)).map_err(fs_error)? {
            0 => break,
            read => len += read,
        }
    }
    content.truncate(len);
    Ok(Sort::new(path.as_str(), &content))
}

/// The segments on disk, below their roots.
#[derive(Debug, Default)]
pub(super) struct Segments {
    known: Mutex<Retention<PathBuf, Meta>>,
    removed: AtomicU64,
}

impl Segments {
    /// How many were removed.
    pub(super) fn removed(&self) -> u64 {
        self.removed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Retention<PathBuf, Meta>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Roots {
    /// A file is stored: those that are too many now are removed, unless they were changed since.
    pub(super) fn drop_segments(&self, place: &Place, meta: Meta) {
        let Some((most, parent)) = self.segments_on_disk.zip(place.path.parent()) else { return };
        let segments = &self.lasting.segments;
        let sort = match self.open_waiting(place).and_then(|(file, _)| sort(&place.path, &file)) {
            Ok(sort) => sort,
            Err(error) => {
                tracing::debug!(file = ?self.key(place), %error, "a file that was stored cannot be read");
                return;
            }
        };
        let path = place.path.as_str();
        let change = segments.lock().stored(self.root_key(place), path, sort, meta, most);
        for (name, was) in change.dropped {
            let slash = if parent.is_root() { "" } else { "/" };
            let Some(path) = RelPath::new(&format!("{parent}{slash}{name}")) else { continue };
            match self.remove(&Place { root: place.root, path }, Expect::Same(was)) {
                Ok(()) => _ = segments.removed.fetch_add(1, Ordering::Relaxed),
                // Another process removed or replaced it.
                Err(FsError::NotFound | FsError::Changed) => {}
                Err(error) => {
                    tracing::warn!(directory = ?self.key(place).parent(), name, %error, "an old segment cannot be removed");
                }
            }
        }
    }

    /// A file was removed.
    pub(super) fn forget_segment(&self, place: &Place) {
        let path = place.path.as_str();
        self.lasting.segments.lock().removed(self.root_key(place), path);
    }

    fn root_key(&self, place: &Place) -> PathBuf {
        self.key(&Place { root: place.root, path: RelPath::root() })
    }
}
