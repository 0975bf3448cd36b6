//! Where a path really leads, for the rules that say who may go there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use httpout_proto::{
    FsError,
    effect::{Place, RelPath},
};
use rustix::io::Errno;

use super::{
    Base, Roots,
    beneath::{Guard, fs_error},
    sys::{self, LOOK, Refuse},
};

impl Roots {
    /// The absolute path of a place, and its path below the root, without symbolic links, where that can be told without waiting for the disk: there is no
    /// link on the way.
    pub(crate) fn locate_cached(&self, place: &Place, last: bool) -> Option<(PathBuf, RelPath)> {
        let root = match self.base(place.root) {
            Base::Directory(root) => root,
            Base::Memory => return Some((self.key(place), place.path.clone())),
        };
        let followed = if last { Some(place.path.clone()) } else { place.path.parent() };
        let followed = followed.as_ref().map_or("", |path| path.as_str());
        if !followed.is_empty() {
            if root.guard() != Guard::KernelCached {
                return None;
            }
            let refuse = Refuse { links: true, disk: true };
            sys::open_beneath(root.handle(), followed, LOOK, refuse).ok()?;
        }
        Some((join(&root.path, place.path.as_str()), place.path.clone()))
    }

    /// The absolute path of a place, and its path below the root, without symbolic links, as far as it exists there; what does not, and what a link
    /// leads out of it for, is taken as it is written. So what is wrong with a path shows only to whom it is opened for.
    ///
    /// # Errors
    /// The root itself cannot be had; [`FsError::Outside`]: it lies where no URL leads.
    pub(crate) fn locate(&self, place: &Place, last: bool) -> Result<(PathBuf, RelPath), FsError> {
        let root = match self.base(place.root) {
            Base::Directory(root) => &root.path,
            Base::Memory => return Ok((self.key(place), place.path.clone())),
        };
        let path = join(root, place.path.as_str());
        let mut base = path.as_path();
        if !last && base != root {
            base = base.parent().unwrap_or(root);
        }
        loop {
            match fs::canonicalize(base) {
                Ok(real) if real.starts_with(root) => {
                    let rest = path.strip_prefix(base).unwrap_or_else(|_| Path::new(""));
                    let real = if rest.as_os_str().is_empty() { real } else { real.join(rest) };
                    // A link can lead to a name that no URL has.
                    let below = real.strip_prefix(root).ok().and_then(|below| below.to_str());
                    let below = below.and_then(RelPath::new).ok_or(FsError::Outside)?;
                    return Ok((real, below));
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
