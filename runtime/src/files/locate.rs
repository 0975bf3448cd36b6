//! Where a path really leads, for the rules that say who may go there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use httpout_proto::{FsError, effect::Place};
use rustix::io::Errno;

use super::{
    Roots,
    beneath::{Guard, fs_error},
    sys::{self, LOOK},
};

impl Roots {
    /// The absolute path of a place without symbolic links, where that can be told without waiting for the disk: there is no
    /// link on the way.
    pub(crate) fn locate_cached(&self, place: &Place, last: bool) -> Option<PathBuf> {
        let root = self.root(place);
        let followed = if last { Some(place.path.clone()) } else { place.path.parent() };
        let followed = followed.as_ref().map_or("", |path| path.as_str());
        if !followed.is_empty() {
            if root.guard() != Guard::KernelCached {
                return None;
            }
            sys::open_without_links(root.handle(), followed, LOOK).ok()?;
        }
        Some(join(&root.path, place.path.as_str()))
    }

    /// The absolute path of a place without symbolic links; what does not exist is taken as it is written.
    ///
    /// # Errors
    /// [`FsError::Outside`]: it lies elsewhere than below its root, or nowhere; what else the system says.
    pub(crate) fn locate(&self, place: &Place, last: bool) -> Result<PathBuf, FsError> {
        let root = self.root(place);
        let path = join(&root.path, place.path.as_str());
        let (mut base, mut rest) = (path.as_path(), Vec::new());
        if !last && let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            rest.push(name);
            base = parent;
        }
        let real = loop {
            match fs::canonicalize(base) {
                Ok(real) => break real,
                Err(error) if is_missing(&error) && base != root.path => {
                    // A link that leads nowhere yet would lead somewhere once it is written through.
                    if fs::symlink_metadata(base).is_ok_and(|found| found.is_symlink()) {
                        return Err(FsError::Outside);
                    }
                    let (Some(parent), Some(name)) = (base.parent(), base.file_name()) else {
                        return Err(FsError::NotFound);
                    };
                    rest.push(name);
                    base = parent;
                }
                Err(error) => {
                    return Err(fs_error(Errno::from_io_error(&error).unwrap_or(Errno::IO)));
                }
            }
        };
        if !real.starts_with(&root.path) {
            return Err(FsError::Outside);
        }
        Ok(rest.into_iter().rev().fold(real, |path, name| path.join(name)))
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Without a slash at the end where there is nothing to add.
fn join(root: &Path, path: &str) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(path) }
}
