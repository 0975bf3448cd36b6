//! Where a path really leads, for the rules that say who may go there.

use std::{
    fs,
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

    /// The absolute path of a place without symbolic links, as far as it exists below its root; what does not, and what a link
    /// leads out of it for, is taken as it is written. So what is wrong with a path shows only to whom it is opened for.
    ///
    /// # Errors
    /// The root itself cannot be had.
    pub(crate) fn locate(&self, place: &Place, last: bool) -> Result<PathBuf, FsError> {
        let root = &self.root(place).path;
        let path = join(root, place.path.as_str());
        let mut base = path.as_path();
        if !last && base != root {
            base = base.parent().unwrap_or(root);
        }
        loop {
            match fs::canonicalize(base) {
                Ok(real) if real.starts_with(root) => {
                    let rest = path.strip_prefix(base).unwrap_or_else(|_| Path::new(""));
                    return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
                }
                Err(error) if base == root => {
                    return Err(fs_error(Errno::from_io_error(&error).unwrap_or(Errno::IO)));
                }
                Ok(_) | Err(_) => base = base.parent().unwrap_or(root),
            }
        }
    }
}

/// Without a slash at the end where there is nothing to add.
fn join(root: &Path, path: &str) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(path) }
}
