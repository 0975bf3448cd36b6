//! Removing old segments on disk (`max_cache_segs`). What was there when the server started is not known, and stays.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use httpout_proto::{
    FsError,
    effect::{Expect, Meta, Place, RelPath},
    live::retention::Retention,
};

use super::Roots;

/// The segments on disk, by their directories.
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
        let key = self.key(&Place { root: place.root, path: parent.clone() });
        let dropped = segments.lock().stored(key, place.path.name(), meta, most);
        for (name, was) in dropped {
            let slash = if parent.is_root() { "" } else { "/" };
            let Some(path) = RelPath::new(&format!("{parent}{slash}{name}")) else { continue };
            match self.remove(&Place { root: place.root, path }, Expect::Same(was)) {
                Ok(()) => _ = segments.removed.fetch_add(1, Ordering::Relaxed),
                // Somebody else removed or replaced it.
                Err(FsError::NotFound | FsError::Changed) => {}
                Err(error) => {
                    tracing::warn!(directory = ?self.key(place).parent(), name, %error, "an old segment cannot be removed");
                }
            }
        }
    }

    /// A file was removed.
    pub(super) fn forget_segment(&self, place: &Place) {
        if let Some(parent) = place.path.parent() {
            let key = self.key(&Place { root: place.root, path: parent });
            self.lasting.segments.lock().removed(key, place.path.name());
        }
    }
}
