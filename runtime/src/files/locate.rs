//! Where a path really leads, for the rules that say who may go there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use httpout_proto::{
    FsError,
    effect::{Place, RelPath, RootId},
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
            let refuse = Refuse { links: true, leading_out: true, disk: true };
            sys::open_beneath(root.handle(), followed, LOOK, refuse).ok()?;
        }
        Some((join(&root.path, place.path.as_str()), place.path.clone()))
    }

    /// The absolute path of a place, and its path below the root, without symbolic links, as far as it exists there; what does not, and what a link
    /// leads out of it for, is taken as it is written. So what is wrong with a path shows only to whom it is opened for.
    ///
    /// # Errors
    /// The root itself cannot be had; [`FsError::Outside`]: it lies where no URL leads.
    /// A link that may leads to another root: then that one is told, and the path below it.
    pub(crate) fn locate(
        &self,
        place: &Place,
        last: bool,
    ) -> Result<(PathBuf, Option<RootId>, RelPath), FsError> {
        let base = match self.base(place.root) {
            Base::Directory(root) => root,
            Base::Memory => return Ok((self.key(place), None, place.path.clone())),
        };
        let root = &base.path;
        let path = join(root, place.path.as_str());
        let mut at = path.as_path();
        if !last && at != root {
            at = at.parent().unwrap_or(root);
        }
        loop {
            match fs::canonicalize(at) {
                Ok(real) if real.starts_with(root) || base.leads_anywhere() => {
                    let rest = path.strip_prefix(at).unwrap_or_else(|_| Path::new(""));
                    let real = if rest.as_os_str().is_empty() { real } else { real.join(rest) };
                    let (other, dir) = if real.starts_with(root) {
                        (None, root)
                    } else {
                        let (id, dir) = self.root_above(&real).ok_or(FsError::Outside)?;
                        (Some(id), dir)
                    };
                    // A link can lead to a name that no URL has.
                    let below = real.strip_prefix(dir).ok().and_then(|below| below.to_str());
                    let below = below.and_then(RelPath::new).ok_or(FsError::Outside)?;
                    return Ok((real, other, below));
                }
                Err(error) if at == root => {
                    return Err(fs_error(Errno::from_io_error(&error).unwrap_or(Errno::IO)));
                }
                Ok(_) | Err(_) => at = at.parent().unwrap_or(root),
            }
        }
    }

    /// The root that a path lies beneath; of several, the innermost.
    fn root_above(&self, real: &Path) -> Option<(RootId, &PathBuf)> {
        let roots = self.ids.iter().filter_map(|&id| match self.base(id) {
            Base::Directory(root) => real.starts_with(&root.path).then_some((id, &root.path)),
            Base::Memory => None,
        });
        roots.max_by_key(|(_, path)| path.components().count())
    }
}

/// Without a slash at the end where there is nothing to add.
fn join(root: &Path, path: &str) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(path) }
}
