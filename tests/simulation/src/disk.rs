//! The file system in memory: what `effect.rs` of proto says of each effect, word for word.

use std::{
    cell::{Ref, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use httpout_proto::{
    FsError,
    fs::{Entries, Entry, EntryKind, Expect, Meta, Patch, RelPath},
};

use crate::rights::{LINKS, ROOT};

/// A file's content, which lives as long as somebody has it open.
pub(crate) struct Inode {
    number: u64,
    data: RefCell<Vec<u8>>,
    modified: RefCell<SystemTime>,
    media_type: Option<String>,
}

impl std::fmt::Debug for Inode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "inode {}", self.number)
    }
}

impl Inode {
    pub(crate) fn meta(&self) -> Meta {
        Meta {
            len: self.data.borrow().len() as u64,
            modified: *self.modified.borrow(),
            inode: self.number,
        }
    }

    pub(crate) fn media_type(&self) -> Option<String> {
        self.media_type.clone()
    }

    pub(crate) fn data(&self) -> Ref<'_, Vec<u8>> {
        self.data.borrow()
    }
}

/// Names a part file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartId(u64);

#[derive(Debug)]
struct Part {
    inode: Rc<Inode>,
    dir: String,
}

/// The tree below the one root.
#[derive(Debug)]
pub(crate) struct Disk {
    files: BTreeMap<String, Rc<Inode>>,
    /// What a loss of power leaves for certain.
    flushed: BTreeMap<String, Rc<Inode>>,
    dirs: BTreeSet<String>,
    parts: BTreeMap<PartId, Part>,
    next: u64,
    /// Bytes that all files together may have.
    capacity: u64,
}

impl Disk {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            files: BTreeMap::new(),
            flushed: BTreeMap::new(),
            dirs: BTreeSet::new(),
            parts: BTreeMap::new(),
            next: 0,
            capacity,
        }
    }

    // ---- looking ----

    pub(crate) fn file(&self, path: &str) -> Option<&Rc<Inode>> {
        self.files.get(path)
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(crate) fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// A directory that holds nothing.
    pub(crate) fn empty_dir(&self) -> Option<&str> {
        self.dirs.iter().find(|dir| self.is_empty(dir)).map(String::as_str)
    }

    pub(crate) fn part(&self, part: PartId) -> &Rc<Inode> {
        &self.parts[&part].inode
    }

    pub(crate) fn open(&self, path: &RelPath) -> Result<Rc<Inode>, FsError> {
        match self.files.get(path.as_str()) {
            Some(inode) => Ok(inode.clone()),
            None if path.is_root() || self.dirs.contains(path.as_str()) => {
                Err(FsError::IsDirectory)
            }
            None => Err(FsError::NotFound),
        }
    }

    /// What a directory holds, in any order; `linked`: the links of a site with rules are there
    /// too.
    pub(crate) fn list(&self, path: &RelPath, linked: bool) -> Result<Entries, FsError> {
        let dir = path.as_str();
        if self.files.contains_key(dir) {
            return Err(FsError::NotRegular);
        }
        if !path.is_root() && !self.dirs.contains(dir) {
            return Err(FsError::NotFound);
        }
        let mut entries = Entries::default();
        for (path, inode) in &self.files {
            let (len, modified) = (inode.meta().len, Some(inode.meta().modified));
            let name = name_in(dir, path);
            entries.extend(name.map(|name| Entry {
                name,
                kind: EntryKind::File,
                len,
                modified,
                link: None,
            }));
        }
        entries.extend(self.dirs.iter().filter_map(|path| name_in(dir, path)).map(Entry::mount));
        for (name, target) in LINKS.into_iter().filter(|_| linked && path.is_root()) {
            let found = entries.clone();
            let found = found.iter().find(|entry| entry.name == target);
            let real = std::path::Path::new(ROOT).join(target);
            entries.extend(found.map(|entry| Entry { name, link: Some(&real), ..entry }));
        }
        Ok(entries)
    }

    /// Puts a file there as if it had always been there.
    pub(crate) fn stock(&mut self, path: &str, content: Vec<u8>, now: SystemTime) -> Meta {
        let path = RelPath::new(path).expect("the path of a file");
        let mut above = path.parent();
        while let Some(dir) = above.filter(|dir| !dir.is_root()) {
            self.dirs.insert(dir.as_str().into());
            above = dir.parent();
        }
        let inode = self.inode(content, None, now);
        self.put(&path, inode, true).1
    }

    // ---- uploads ----

    pub(crate) fn create(
        &mut self,
        path: &RelPath,
        len: Option<u64>,
        media_type: Option<String>,
        now: SystemTime,
    ) -> Result<PartId, FsError> {
        let parent = path.parent().ok_or(FsError::IsDirectory)?;
        let mut above = Vec::new();
        let mut dir = Some(parent.clone());
        while let Some(path) = dir.filter(|dir| !dir.is_root()) {
            if self.files.contains_key(path.as_str()) {
                return Err(FsError::NotRegular);
            }
            dir = path.parent();
            above.push(path.as_str().to_owned());
        }
        if self.dirs.contains(path.as_str()) {
            return Err(FsError::IsDirectory);
        }
        if len.is_some_and(|len| len > self.capacity.saturating_sub(self.used())) {
            return Err(FsError::Full);
        }
        self.dirs.extend(above);
        self.next += 1;
        let inode = self.inode(Vec::new(), media_type, now);
        let part = PartId(self.next);
        self.parts.insert(part, Part { inode, dir: parent.as_str().into() });
        Ok(part)
    }

    pub(crate) fn write(
        &mut self,
        part: PartId,
        at: u64,
        data: &[Bytes],
        now: SystemTime,
    ) -> Result<(), FsError> {
        let room = self.capacity.saturating_sub(self.used()) as usize;
        let inode = &self.parts[&part].inode;
        let mut content = inode.data.borrow_mut();
        // A full disk may have taken the beginning.
        let end = content.len().max(at as usize) + room;
        content.resize(at as usize, 0);
        for piece in data {
            let take = piece.len().min(end.saturating_sub(content.len()));
            content.extend_from_slice(&piece[..take]);
            if take < piece.len() {
                return Err(FsError::Full);
            }
        }
        *inode.modified.borrow_mut() = now;
        Ok(())
    }

    /// Puts the part file in place of its target; it is gone, whatever the answer.
    pub(crate) fn commit(
        &mut self,
        part: PartId,
        path: &RelPath,
        expect: Expect,
        durable: bool,
    ) -> Result<(bool, Meta), FsError> {
        let inode = self.parts[&part].inode.clone();
        let done = self.check(path, expect).map(|()| self.put(path, inode, durable));
        self.end_part(part, done.is_err());
        done
    }

    /// As [`commit`](Self::commit), with a copy of the target in which these runs are replaced.
    pub(crate) fn commit_patches(
        &mut self,
        part: PartId,
        path: &RelPath,
        (expect, durable, create): (Expect, bool, bool),
        patches: &[Patch],
        now: SystemTime,
    ) -> Result<(bool, Meta), FsError> {
        let spool = self.parts[&part].inode.clone();
        let done = self
            .check(path, expect)
            .and_then(|()| self.patched(path, create, patches, &spool.data()))
            .map(|content| {
                let old = self.files.get(path.as_str()).unwrap_or(&spool);
                let media_type = old.media_type();
                let inode = self.inode(content, media_type, now);
                self.put(path, inode, durable)
            });
        self.end_part(part, done.is_err());
        done
    }

    fn patched(
        &self,
        path: &RelPath,
        create: bool,
        patches: &[Patch],
        mut spool: &[u8],
    ) -> Result<Vec<u8>, FsError> {
        let mut content = match self.files.get(path.as_str()) {
            Some(old) => old.data().clone(),
            None if create => Vec::new(),
            None => return Err(FsError::NotFound),
        };
        for &Patch { at, len } in patches {
            if at > content.len() as u64 {
                return Err(FsError::Hole(content.len() as u64));
            }
            let (now, rest) = spool
                .split_at_checked(len as usize)
                .ok_or(FsError::Other(std::io::ErrorKind::UnexpectedEof))?;
            spool = rest;
            let (start, end) = (at as usize, at as usize + now.len());
            content.resize(content.len().max(end), 0);
            content[start..end].copy_from_slice(now);
        }
        if (content.len() as u64) > self.capacity.saturating_sub(self.used()) {
            return Err(FsError::Full);
        }
        Ok(content)
    }

    fn check(&self, path: &RelPath, expect: Expect) -> Result<(), FsError> {
        if self.dirs.contains(path.as_str()) {
            return Err(FsError::IsDirectory);
        }
        let is = self.files.get(path.as_str()).map(|inode| inode.meta());
        let holds = match expect {
            Expect::Any => true,
            Expect::Absent => is.is_none(),
            Expect::Same(was) => is == Some(was),
        };
        if holds { Ok(()) } else { Err(FsError::Changed) }
    }

    fn put(&mut self, path: &RelPath, inode: Rc<Inode>, durable: bool) -> (bool, Meta) {
        let meta = inode.meta();
        if durable {
            // With a name goes what once stood above or below it.
            let inside = |one: &str, other: &str| {
                one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
            };
            let path = path.as_str();
            self.flushed.retain(|name, _| !inside(name, path) && !inside(path, name));
            self.flushed.insert(path.into(), inode.clone());
        }
        (self.files.insert(path.as_str().into(), inode).is_none(), meta)
    }

    /// The part file goes, and if nothing came of it the directories made for it.
    pub(crate) fn discard(&mut self, part: PartId) {
        self.end_part(part, true);
    }

    fn end_part(&mut self, part: PartId, failed: bool) {
        let Some(Part { dir, .. }) = self.parts.remove(&part) else { return };
        // All directories here were made for uploads.
        if failed {
            self.remove_empty(RelPath::new(&dir));
        }
    }

    // ---- the rest ----

    pub(crate) fn remove(&mut self, path: &RelPath, expect: Expect) -> Result<(), FsError> {
        if path.is_root() || self.dirs.contains(path.as_str()) {
            return Err(FsError::IsDirectory);
        }
        if !self.files.contains_key(path.as_str()) {
            return Err(FsError::NotFound);
        }
        self.check(path, expect)?;
        self.files.remove(path.as_str());
        self.remove_empty(path.parent());
        Ok(())
    }

    fn remove_empty(&mut self, mut above: Option<RelPath>) {
        while let Some(dir) = above.filter(|dir| !dir.is_root() && self.is_empty(dir.as_str())) {
            self.dirs.remove(dir.as_str());
            above = dir.parent();
        }
    }

    /// The process ended without warning, and the next one has swept; after a loss of `power`,
    /// `keep` tells of each name that was not flushed whether the newer state is there.
    pub(crate) fn crash(&mut self, power: bool, mut keep: impl FnMut() -> bool) {
        self.parts.clear();
        if power {
            let names: BTreeSet<_> =
                self.files.keys().chain(self.flushed.keys()).cloned().collect();
            for name in names {
                if keep() {
                    continue;
                }
                match self.flushed.get(&name) {
                    Some(inode) => self.files.insert(name, inode.clone()),
                    None => self.files.remove(&name),
                };
            }
        }
        let names: Vec<_> = self.files.keys().filter_map(|name| RelPath::new(name)).collect();
        self.dirs.clear();
        for name in names {
            let mut above = name.parent();
            while let Some(dir) = above.filter(|dir| !dir.is_root()) {
                self.dirs.insert(dir.as_str().into());
                above = dir.parent();
            }
        }
        // A name cannot be both: the directory's file came back from before it was made.
        self.files.retain(|name, _| !self.dirs.contains(name));
        self.flushed = self.files.clone();
    }

    fn is_empty(&self, dir: &str) -> bool {
        let inside = |name: &str| name.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
        let of_part = |part: &Part| part.dir == dir || inside(&part.dir);
        !self.files.keys().any(|name| inside(name))
            && !self.dirs.iter().any(|name| inside(name))
            && !self.parts.values().any(of_part)
    }

    fn used(&self) -> u64 {
        let parts = self.parts.values().map(|part| &part.inode);
        self.files.values().chain(parts).map(|inode| inode.data.borrow().len() as u64).sum()
    }

    fn inode(&mut self, data: Vec<u8>, media_type: Option<String>, now: SystemTime) -> Rc<Inode> {
        self.next += 1;
        // Two changes within one tick of the file system's clock must still be told apart.
        let modified = now + Duration::from_nanos(self.next);
        Rc::new(Inode {
            number: self.next,
            data: data.into(),
            modified: modified.into(),
            media_type,
        })
    }
}

/// The name of an entry of a directory, if the path leads to one.
fn name_in<'a>(dir: &str, path: &'a str) -> Option<&'a str> {
    let rest = if dir.is_empty() { path } else { path.strip_prefix(dir)?.strip_prefix('/')? };
    (!rest.contains('/')).then_some(rest)
}
