//! Manifests that another process rewrites where they are served: their last whole versions, which
//! readers get instead of what is on the disk.

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use httpout_proto::{FsError, fs::Meta};

use crate::files::OpenFile;

/// The last whole versions of files, by their keys.
#[derive(Debug, Default)]
pub(crate) struct ManifestSnapshots {
    files: Mutex<HashMap<PathBuf, Version>>,
    /// How many, so that a request need not take the lock where there is none.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Version {
    /// Of the file that is rewritten: another one in its place is served as it is.
    inode: u64,
    /// The file, kept open so that no other one gets its inode.
    _file: Arc<File>,
    /// `None`: it was never whole.
    whole: Option<(OpenFile, Meta)>,
}

impl ManifestSnapshots {
    /// The file of this inode is being written: what is held of it stands for it; if nothing is, it
    /// is not there.
    pub(crate) fn begin(&self, key: &Path, file: Arc<File>, inode: u64) {
        let mut files = self.lock();
        if files.get(key).is_none_or(|version| version.inode != inode) {
            files.insert(key.to_owned(), Version { inode, _file: file, whole: None });
        }
        self.count.store(files.len(), Ordering::SeqCst);
    }

    /// The file is whole, and this is what it holds.
    pub(crate) fn keep(&self, key: &Path, file: Arc<File>, whole: (OpenFile, Meta)) {
        let mut files = self.lock();
        let inode = whole.1.inode;
        files.insert(key.to_owned(), Version { inode, _file: file, whole: Some(whole) });
        self.count.store(files.len(), Ordering::SeqCst);
    }

    /// What is on the disk stands for itself.
    pub(crate) fn forget(&self, key: &Path) {
        let mut files = self.lock();
        files.remove(key);
        self.count.store(files.len(), Ordering::SeqCst);
    }

    /// What stands for a file that was opened. `follows`: the reader has seen that it grows.
    ///
    /// # Errors
    /// [`FsError::NotFound`]: it was never whole, and can be followed instead.
    pub(crate) fn standing(
        &self,
        key: impl FnOnce() -> PathBuf,
        opened: (OpenFile, Meta),
        follows: bool,
    ) -> Result<(OpenFile, Meta), FsError> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return Ok(opened);
        }
        match self.lock().get(&key()) {
            Some(version) if version.inode == opened.1.inode => match &version.whole {
                Some(whole) => Ok(whole.clone()),
                None if follows => Err(FsError::NotFound),
                None => Ok(opened),
            },
            Some(_) | None => Ok(opened),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Version>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::files::memory_file;

    fn version(inode: u64, len: u64) -> (OpenFile, Meta) {
        let fd = Arc::new(memory_file().unwrap());
        let meta = Meta { len, modified: SystemTime::UNIX_EPOCH, inode };
        (OpenFile { fd, content: None }, meta)
    }

    #[test]
    fn the_last_whole_version_stands_for_the_same_file() {
        let (held, key) = (ManifestSnapshots::default(), Path::new("/www/p.m3u8"));
        let file = || Arc::new(File::from(memory_file().unwrap()));
        let standing = |inode| {
            let opened = held.standing(|| key.to_owned(), version(inode, 1), true);
            opened.map(|(_, meta)| meta.len)
        };
        assert_eq!(standing(7), Ok(1));
        held.begin(key, file(), 7);
        assert_eq!((standing(7), standing(8)), (Err(FsError::NotFound), Ok(1)));
        assert!(held.standing(|| key.to_owned(), version(7, 1), false).is_ok());
        held.keep(key, file(), version(7, 20));
        held.begin(key, file(), 7);
        assert_eq!((standing(7), standing(8)), (Ok(20), Ok(1)));
        assert!(
            held.standing(|| "/www/other".into(), version(7, 1), true)
                .is_ok_and(|(_, meta)| meta.len == 1)
        );
        held.begin(key, file(), 8);
        assert_eq!((standing(7), standing(8)), (Ok(1), Err(FsError::NotFound)));
        held.forget(key);
        assert_eq!(standing(8), Ok(1));
    }
}
