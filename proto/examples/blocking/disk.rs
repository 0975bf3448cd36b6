//! The effects on files. All of them block.
#![allow(clippy::wildcard_enum_match_arm, reason = "the kinds of errors are not ours")]

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    process,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use httpout_proto::{
    Done, FsError,
    fs::{Expect, Meta, PART_PREFIX, Patch, Place},
};

/// The directories of a site.
pub(crate) struct Disk {
    roots: Vec<PathBuf>,
    /// Held by whoever changes what stands under a name, so that what was checked still holds when
    /// it is changed.
    changes: Mutex<()>,
}

/// How a part file is to take its place.
pub(crate) struct Commit<'a> {
    pub(crate) target: PathBuf,
    pub(crate) expect: Expect,
    pub(crate) durable: bool,
    /// It holds these runs only; and whether the target may be missing.
    pub(crate) patches: Option<(&'a [Patch], bool)>,
}

impl Disk {
    pub(crate) fn new(roots: &[PathBuf]) -> Self {
        Self { roots: roots.to_vec(), changes: Mutex::default() }
    }

    /// A path holds no `..`, but a symbolic link below the root may lead out of it.
    pub(crate) fn path(&self, place: &Place) -> PathBuf {
        self.roots[place.root.index()].join(place.path.as_str())
    }

    /// A new file beside the target, under a name that no URL reaches.
    pub(crate) fn new_part(&self, target: &Path) -> io::Result<(File, PathBuf)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if target.is_dir() {
            return Err(io::Error::other(FsError::IsDirectory));
        }
        let name =
            format!("{PART_PREFIX}{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let part = target.with_file_name(name);
        // So that nobody removes the directory as an empty one before the file is in it.
        let _alone = self.alone();
        fs::create_dir_all(part.parent().unwrap_or(target)).map_err(|error| {
            match error.kind() {
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    io::Error::other(FsError::NotRegular)
                }
                _ => error,
            }
        })?;
        let file = File::options().read(true).write(true).create_new(true).open(&part)?;
        Ok((file, part))
    }

    pub(crate) fn discard(&self, part: &Path) {
        let _alone = self.alone();
        // Another error than that it is gone is nothing that anybody here could mend.
        let _ = fs::remove_file(part);
        self.remove_empty(part);
    }

    /// Removes the directories that held `path` and hold nothing else. (An upload that failed
    /// should leave those alone that were there before it; this forgets which.)
    fn remove_empty(&self, path: &Path) {
        let roots = &self.roots;
        for dir in path.ancestors().skip(1).take_while(|dir| !roots.iter().any(|root| root == dir))
        {
            if fs::remove_dir(dir).is_err() {
                return;
            }
        }
    }

    pub(crate) fn replace(
        &self,
        mut content: &File,
        part: &Path,
        commit: &Commit<'_>,
    ) -> io::Result<Done> {
        let Commit { target, expect, durable, patches } = commit;
        let _alone = self.alone();
        let before = checked(target, *expect)?;
        if let Some((patches, create)) = patches {
            // The runs are read into memory, so that a copy of the target can take their place in
            // the part file. `copy_file_range` and a second file would serve large ones better.
            if before.is_none() && !create {
                return Err(io::Error::other(FsError::NotFound));
            }
            let mut runs = Vec::new();
            content.read_to_end(&mut runs)?;
            let mut rest = &runs[..];
            let mut len = if before.is_some() { fs::copy(target, part)? } else { 0 };
            content.set_len(len)?;
            for patch in *patches {
                if patch.at > len {
                    return Err(io::Error::other(FsError::Hole(len)));
                }
                let run;
                (run, rest) = rest
                    .split_at_checked(patch.len as usize)
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                content.write_all_at(run, patch.at)?;
                len = len.max(patch.at + patch.len);
            }
        }
        if *durable {
            content.sync_all()?;
        }
        fs::rename(part, target)?;
        if let (true, Some(dir)) = (*durable, target.parent()) {
            File::open(dir)?.sync_all()?;
        }
        Ok(Done::Committed { created: before.is_none(), meta: look(target)? })
    }

    pub(crate) fn remove(&self, target: &Path, expect: Expect) -> io::Result<Done> {
        let _alone = self.alone();
        checked(target, expect)?;
        fs::remove_file(target)?;
        self.remove_empty(target);
        Ok(Done::Ok)
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands at `path`, if that is what is expected.
fn checked(path: &Path, expect: Expect) -> io::Result<Option<Meta>> {
    let found = match look(path) {
        Ok(meta) => Some(meta),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let fine = match expect {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::Same(meta) => found == Some(meta),
    };
    if fine { Ok(found) } else { Err(io::Error::other(FsError::Changed)) }
}

/// Opens a regular file. Looks at it before, since to open a FIFO would wait for its writer.
pub(crate) fn open(path: &Path) -> io::Result<(File, Meta)> {
    look(path)?;
    let file = File::open(path)?;
    let meta = regular(&file.metadata()?)?;
    Ok((file, meta))
}

pub(crate) fn look(path: &Path) -> io::Result<Meta> {
    regular(&fs::metadata(path)?)
}

fn regular(meta: &Metadata) -> io::Result<Meta> {
    if meta.is_dir() {
        Err(io::Error::other(FsError::IsDirectory))
    } else if meta.is_file() {
        Ok(Meta { len: meta.len(), modified: meta.modified()?, inode: meta.ino() })
    } else {
        Err(io::Error::other(FsError::NotRegular))
    }
}

/// What the session is told: our own errors travel inside those of the standard library.
pub(crate) fn fs_error(error: &io::Error) -> FsError {
    if let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return *own;
    }
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FsError::NotFound,
        io::ErrorKind::PermissionDenied => FsError::Denied,
        io::ErrorKind::IsADirectory => FsError::IsDirectory,
        io::ErrorKind::InvalidFilename => FsError::NameTooLong,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FsError::Full,
        other => FsError::Other(other),
    }
}
