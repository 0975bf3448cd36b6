//! Directories that are made for an upload, and go again if nothing comes of it.

use std::sync::Arc;

use httpout_proto::fs::{Place, RelPath, RootId};
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, Mode, mkdirat, unlinkat},
    io::{Errno, Result},
};

use super::{Roots, beneath::Root};

/// What an upload owes to the directories that lead to it. When dropped, those that stand for
/// uploads alone and are empty are removed, whichever of several uploads made them.
#[derive(Debug)]
pub(super) struct Made {
    roots: Arc<Roots>,
    root: RootId,
    /// The directory of the target.
    dir: RelPath,
    /// Those in which a new entry was made.
    parents: Vec<RelPath>,
    kept: bool,
}

impl Made {
    /// The directories stay: there is a file in them now.
    pub(super) fn keep(&mut self) {
        let mut provisional = self.roots.provisional();
        for dir in above(&self.dir) {
            provisional.remove(&(self.root, dir));
        }
        self.kept = true;
    }

    /// The directories in which a new entry was made.
    pub(super) fn parents(&self) -> impl Iterator<Item = Result<OwnedFd>> {
        self.parents.iter().map(|dir| self.roots.directory(self.root)?.directory(dir.as_str()))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if !self.kept {
            let is_provisional =
                |dir: &RelPath| self.roots.provisional().contains(&(self.root, dir.clone()));
            self.roots.remove_empty(self.root, &self.dir, is_provisional);
        }
    }
}

impl Roots {
    /// Removes `dir` and the directories above it, never the root, as long as they are empty and
    /// `may_go`. One that is not empty because of an upload under way goes with that, if nothing
    /// comes of it.
    pub(super) fn remove_empty(
        &self,
        root: RootId,
        dir: &RelPath,
        may_go: impl Fn(&RelPath) -> bool,
    ) {
        let Ok(base) = self.directory(root) else { return };
        let stays = |dir: &RelPath| self.kept.contains(&base.path.join(dir.as_str()));
        let mut dirs =
            above(dir).take_while(|dir| !stays(dir) && may_go(dir)).map(|dir| (root, dir));
        while let Some((root, dir)) = dirs.next() {
            let removed = dir.parent().ok_or(Errno::BUSY).and_then(|parent| {
                let parent = base.directory(parent.as_str())?;
                unlinkat(parent, dir.name(), AtFlags::REMOVEDIR)
            });
            let key = (root, dir);
            match removed {
                Ok(()) | Err(Errno::NOENT) => _ = self.provisional().remove(&key),
                Err(_) => {
                    let rest: Vec<_> = dirs.collect();
                    return self.provisional().extend(rest.into_iter().chain([key]));
                }
            }
        }
    }
}

/// `dir` and the directories above it, without the root.
fn above(dir: &RelPath) -> impl Iterator<Item = RelPath> {
    std::iter::successors(Some(dir.clone()), RelPath::parent).filter(|dir| !dir.is_root())
}

/// Opens the directory that holds the place, and makes it, and those above it, where they are
/// missing.
pub(super) fn make_parent(roots: &Arc<Roots>, place: &Place) -> Result<(OwnedFd, Made)> {
    let dir = place.path.parent().ok_or(Errno::ISDIR)?;
    let parent = dir.as_str();
    let root = roots.directory(place.root)?;
    let new_made = |parents| Made {
        roots: Arc::clone(roots),
        root: place.root,
        dir: dir.clone(),
        parents,
        kept: false,
    };
    match root.directory(parent) {
        Err(Errno::NOENT) => {}
        done => return done.map(|found| (found, new_made(Vec::new()))),
    }
    let mut made = new_made(Vec::new());
    let mut current = root.directory("")?;
    let ends = parent.match_indices('/').map(|(at, _)| at).chain([parent.len()]);
    let mut start = 0;
    for end in ends {
        let name = &parent[start..end];
        start = end + 1;
        let path = &parent[..end];
        // Always from the root, so that a symbolic link to elsewhere below the root is followed.
        let (next, new) = match root.directory(path) {
            Err(Errno::NOENT) => make(root, &current, name, path)?,
            done => (done?, false),
        };
        current = next;
        if new {
            let new = RelPath::new(path).ok_or(Errno::INVAL)?;
            made.parents.extend(new.parent());
            roots.provisional().insert((place.root, new));
        }
    }
    Ok((current, made))
}

/// Makes one directory, or finds that another request just made it; opens it, and tells whether it
/// is ours.
fn make(root: &Root, above: &OwnedFd, name: &str, path: &str) -> Result<(OwnedFd, bool)> {
    let new = match mkdirat(above, name, Mode::from_raw_mode(0o777)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error),
    };
    let opened = root.directory(path);
    if new && opened.is_err() {
        let _ = unlinkat(above, name, AtFlags::REMOVEDIR);
    }
    Ok((opened?, new))
}
