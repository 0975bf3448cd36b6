//! Directories that are made for an upload, and go again if nothing comes of it.

use std::mem;

use httpout_proto::effect::RelPath;
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, Mode, mkdirat, unlinkat},
    io::{Errno, Result},
};

use super::beneath::Root;

/// The directories made for one upload, each as its parent and its name, outermost first. When dropped, those
/// that are empty are removed.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<(OwnedFd, String)>);

impl Made {
    /// The directories stay.
    pub(super) fn keep(&mut self) {
        self.0.clear();
    }

    /// The directories in which a new entry was made.
    pub(super) fn parents(&self) -> impl Iterator<Item = &OwnedFd> {
        self.0.iter().map(|(parent, _)| parent)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for (parent, name) in self.0.iter().rev() {
            if unlinkat(parent, name, AtFlags::REMOVEDIR).is_err() {
                break;
            }
        }
    }
}

/// Opens the directory that holds `path`, and makes it, and those above it, where they are missing.
pub(super) fn make_parent(root: &Root, path: &RelPath) -> Result<(OwnedFd, Made)> {
    let parent = path.parent().ok_or(Errno::ISDIR)?;
    let parent = parent.as_str();
    let mut made = Made::default();
    match root.directory(parent) {
        Err(Errno::NOENT) => {}
        done => return done.map(|dir| (dir, made)),
    }
    let mut dir = root.directory("")?;
    let ends = parent.match_indices('/').map(|(at, _)| at).chain([parent.len()]);
    let mut start = 0;
    for end in ends {
        let name = &parent[start..end];
        start = end + 1;
        // Always from the root, so that a symbolic link to elsewhere below the root is followed.
        let (next, new) = match root.directory(&parent[..end]) {
            Err(Errno::NOENT) => make(root, &dir, name, &parent[..end])?,
            done => (done?, false),
        };
        let above = mem::replace(&mut dir, next);
        if new {
            made.0.push((above, name.to_owned()));
        }
    }
    Ok((dir, made))
}

/// Makes one directory, or finds that another request just made it; opens it, and tells whether it is ours.
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
