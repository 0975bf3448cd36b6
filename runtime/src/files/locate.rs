//! Where a path really leads, for the rules of the place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use httpout_proto::{
    FsError,
    fs::{Place, RelPath, RootId},
};
use rustix::{
    fs::{AtFlags, Stat, statat},
    io::Errno,
};

use super::{
    Base, Roots,
    aliases::Spelling,
    beneath::{Guard, Root, fs_error},
    sys::{self, LOOK, Refuse},
};

impl Roots {
    /// The absolute path of a place, and its path below the root, without symbolic links and as
    /// rules spell it, where that can be told without waiting for the disk: there is no link on the
    /// way.
    pub(crate) fn locate_cached(&self, place: &Place, last: bool) -> Option<(PathBuf, RelPath)> {
        let root = match self.base(place.root) {
            Base::Directory(root) => root,
            Base::Memory => return Some((self.key(place), place.path.clone())),
        };
        let followed = if last { Some(place.path.clone()) } else { place.path.parent() };
        let followed = followed.as_ref().map_or("", |path| path.as_str());
        // Held until the end: some file systems give a new number to a file that is not open.
        let _open = if followed.is_empty() {
            None
        } else {
            if root.guard() != Guard::KernelCached {
                return None;
            }
            let refuse = Refuse { links: true, leading_out: true, disk: true };
            Some(sys::open_beneath(root.handle(), followed, LOOK, refuse).ok()?)
        };
        let real = join(&root.path, place.path.as_str());
        match self.ruled.spell_cached(&root.path, &real, |part| root.look(part)) {
            Spelling::Known(spelled) => Some(root.located(&real, spelled, &place.path)),
            Spelling::Unclear => None,
        }
    }

    /// The absolute path of a place, and its path below the root, without symbolic links and as
    /// rules spell it, as far as it exists there; what does not, and what a link leads out of it
    /// for, is taken as it is written. So what is wrong with a path shows only to whom it is opened
    /// for.
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
        let top = base.path.as_path();
        let path = join(top, place.path.as_str());
        let mut at = path.as_path();
        if !last && at != top {
            at = at.parent().unwrap_or(top);
        }
        loop {
            match fs::canonicalize(at) {
                Ok(found) if found.starts_with(top) || base.leads_anywhere() => {
                    let rest = path.strip_prefix(at).unwrap_or_else(|_| Path::new(""));
                    let is_whole = rest.as_os_str().is_empty();
                    let real = if is_whole { found.clone() } else { found.join(rest) };
                    let (other, root) = if real.starts_with(top) {
                        (None, base)
                    } else {
                        let (id, root) = self.root_above(&real).ok_or(FsError::Outside)?;
                        (Some(id), root)
                    };
                    // A link can lead to a name that no URL has.
                    let written = root.below(&real).and_then(RelPath::new);
                    let written = written.ok_or(FsError::Outside)?;
                    // Held until the end: some file systems give a new number to a file that is not
                    // open.
                    let _open = root.below(&found).and_then(|found| root.open(found, LOOK).ok());
                    let spelled = self.ruled.spell(&root.path, &real, |part| root.look(part));
                    let (real, path) = root.located(&real, spelled, &written);
                    return Ok((real, other, path));
                }
                Err(error) if at == top => {
                    return Err(fs_error(Errno::from_io_error(&error).unwrap_or(Errno::IO)));
                }
                Ok(_) | Err(_) => at = at.parent().unwrap_or(top),
            }
        }
    }

    /// The root that a path lies beneath; of several, the innermost.
    fn root_above(&self, real: &Path) -> Option<(RootId, &Root)> {
        let roots = self.ids.iter().filter_map(|&id| match self.base(id) {
            Base::Directory(root) => real.starts_with(&root.path).then_some((id, root)),
            Base::Memory => None,
        });
        roots.max_by_key(|(_, root)| root.path.components().count())
    }
}

impl Root {
    /// A full path, as it is below this root.
    fn below<'a>(&self, path: &'a Path) -> Option<&'a str> {
        path.strip_prefix(&self.path).ok()?.to_str()
    }

    /// Looks at what lies below it by its full path.
    fn look(&self, path: &Path) -> Option<Stat> {
        statat(self.handle(), self.below(path)?, AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    /// What is told of the path `real`, which is `written` below the root: if it is in a directory
    /// of a rule, by the name of that directory in the rule.
    fn located(&self, real: &Path, spelled: PathBuf, written: &RelPath) -> (PathBuf, RelPath) {
        if spelled == real {
            return (join(&self.spelled, written.as_str()), written.clone());
        }
        let below = self.below(&spelled).and_then(RelPath::new);
        (spelled, below.unwrap_or_else(|| written.clone()))
    }
}

/// Without a slash at the end where there is nothing to add.
fn join(root: &Path, path: &str) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(path) }
}
