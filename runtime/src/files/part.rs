//! Uploads under way: part files.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use httpout_proto::{
    FsError,
    fs::{Expect, Meta, Place},
};
use rustix::{
    fd::OwnedFd,
    fs::{
        AtFlags, FileType, FlockOperation, Mode, OFlags, StatVfs, fchmod, fdatasync, flock, fstat,
        fstatvfs, fsync, ftruncate, openat, renameat, statat, unlinkat,
    },
    io::{Errno, retry_on_intr},
    process::geteuid,
};

use super::{
    Roots,
    beneath::{fs_error, meta},
    cache::Cache,
    copy,
    lock::open_again,
    made::{Made, make_parent},
    sweep::{part_name, recording_name, recover},
    sys::{self, LOOK},
};

/// From this length on, room is reserved ahead of the bytes, so that the file lies in one piece.
const RESERVE_FROM: u64 = 1 << 20;

/// How far ahead at most, and never farther than what has come: an upload that announces much and
/// sends little holds little.
const AHEAD: u64 = 8 << 20;

/// How often a part file is tried to be made while other requests remove its directory.
const TRIES: usize = 16;

/// An upload under way: a hidden file beside its target. It vanishes when dropped, with
/// the directories that were made for it, unless it was put in place of its target.
#[derive(Debug)]
pub(super) struct DiskPart {
    pub(super) temp: Temp,
    // Behind `temp`, since fields are dropped in order and a directory must be empty to go.
    pub(super) made: Made,
    pub(super) roots: Arc<Roots>,
    /// The announced length, if room is reserved for it.
    announced: u64,
    /// Up to here.
    reserved: AtomicU64,
}

/// What a part file is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// An upload of so many bytes, if that is known.
    Upload(Option<u64>),
    /// Something that cannot be sent again: what there is of it is kept if the server dies.
    Recording,
}

impl Roots {
    /// Makes a part file for `place`, the directories that lead there, and room for the bytes of an
    /// upload.
    ///
    /// # Errors
    /// - [`FsError::IsDirectory`], [`FsError::NotRegular`], [`FsError::Outside`]: the target is
    ///   such a thing
    /// - [`FsError::NotRegular`], [`FsError::Outside`]: something on the way there is
    /// - [`FsError::Full`]: no room for so many bytes
    /// - what else the system says
    pub(super) fn create_on_disk(
        self: &Arc<Self>,
        place: &Place,
        purpose: Purpose,
    ) -> Result<DiskPart, FsError> {
        let mut tries = 0;
        let (temp, made) = loop {
            tries += 1;
            match self.try_create(place, purpose) {
                // Another request left a directory empty and removed it before our file was in.
                Err(FsError::NotFound) if tries < TRIES => {}
                done => break done?,
            }
        };
        let announced = match purpose {
            Purpose::Upload(Some(len)) if len >= RESERVE_FROM => len,
            Purpose::Upload(_) | Purpose::Recording => 0,
        };
        let (roots, reserved) = (Arc::clone(self), AtomicU64::new(0));
        let part = DiskPart { temp, made, roots, announced, reserved };
        if announced > 0 && has_no_room(part.file(), announced) {
            return Err(FsError::Full);
        }
        Ok(part)
    }

    fn try_create(
        self: &Arc<Self>,
        place: &Place,
        purpose: Purpose,
    ) -> Result<(Temp, Made), FsError> {
        let (dir, made) = make_parent(self, place).map_err(|error| match error {
            Errno::NOTDIR => FsError::NotRegular,
            other => fs_error(other),
        })?;
        Target::look(self, &dir, place)?;
        let temp = Temp::create(Arc::new(dir), || match purpose {
            Purpose::Upload(_) => part_name(),
            Purpose::Recording => recording_name(place.path.name()),
        });
        Ok((temp.map_err(fs_error)?, made))
    }
}

impl DiskPart {
    /// The file, to be read while it grows.
    pub(super) fn file(&self) -> &Arc<OwnedFd> {
        &self.temp.file
    }

    /// Writes all of `data`, one after the other, from `at` on.
    ///
    /// # Errors
    /// What the system says; [`FsError::Full`] where there is no room.
    pub(super) fn write_all_at(&self, at: u64, data: &[Bytes]) -> Result<(), FsError> {
        let len: usize = data.iter().map(Bytes::len).sum();
        self.reserve(at.saturating_add(len as u64));
        copy::write_all_at(&self.temp.file, at, data)
    }

    /// Renames the file over `place`, for which it was made, if `expect` holds. `durable`: the data
    /// is flushed before, the directory entry after. Answers whether the target is new, and what it
    /// is now.
    ///
    /// # Errors
    /// [`FsError::Changed`] where `expect` does not hold, else what [`Roots::create_on_disk`] says
    /// of targets, or the system.
    pub(super) fn commit(
        mut self,
        place: &Place,
        expect: Expect,
        durable: bool,
    ) -> Result<(bool, Meta), FsError> {
        self.give_back()?;
        let meta = self.temp.meta()?;
        // Outside the lock: it may take seconds.
        let directories = self.made.flushed_first(&self.temp, durable)?;
        let target = {
            let _alone = self.roots.lock(&self.temp.dir, place.path.name())?;
            let target = Target::look(&self.roots, &self.temp.dir, place)?;
            target.check(expect)?;
            self.temp.put(place.path.name(), &target)?;
            target.forget(&self.roots.cache);
            target
        };
        self.made.keep();
        directories.flush(place)?;
        Ok((target.is_new(), meta))
    }

    /// Keeps what there is of a recording that cannot go on, under its name or a similar one.
    /// `None`: there is nothing of it.
    ///
    /// # Errors
    /// What the system says; then nothing is left of it.
    pub(super) fn salvage(mut self) -> Result<Option<String>, FsError> {
        let Some(own) = &self.temp.name else { return Ok(None) };
        let kept = recover(&self.temp.dir, own).map_err(fs_error)?;
        if kept.is_some() {
            self.temp.name = None;
            self.made.keep();
        }
        Ok(kept)
    }

    /// Reserves room for what is written up to `end`, and some ahead.
    fn reserve(&self, end: u64) {
        let reserved = self.reserved.load(Ordering::Relaxed);
        if end <= reserved || reserved >= self.announced {
            return;
        }
        let ahead = end.saturating_add(end.min(AHEAD)).min(self.announced);
        let room = ahead.saturating_sub(reserved);
        let done = retry_on_intr(|| sys::reserve(&self.temp.file, reserved, room));
        // A full disk shows when writing; a file system that cannot reserve is not asked again.
        let reserved = if done.is_ok() { ahead } else { u64::MAX };
        self.reserved.store(reserved, Ordering::Relaxed);
    }

    /// Gives back what was reserved and not written.
    fn give_back(&self) -> Result<(), FsError> {
        let len = self.temp.meta()?.len;
        if self.reserved.load(Ordering::Relaxed) > len {
            retry_on_intr(|| ftruncate(&self.temp.file, len)).map_err(fs_error)?;
        }
        Ok(())
    }
}

impl Made {
    /// With `durable`, flushes the file, and opens the directories whose new entries are flushed
    /// after it is put in place: all that can fail before that does.
    pub(super) fn flushed_first(&self, temp: &Temp, durable: bool) -> Result<Directories, FsError> {
        if !durable {
            return Ok(Directories(Vec::new()));
        }
        temp.flush()?;
        let parents = self.parents().map(|dir| open_to_flush(&dir.map_err(fs_error)?));
        let all = parents.chain([open_to_flush(&temp.dir)]);
        all.collect::<Result<_, _>>().map(Directories)
    }
}

/// Directories whose entries are to be flushed.
#[derive(Debug)]
pub(super) struct Directories(Vec<OwnedFd>);

impl Directories {
    /// Flushes them, after a change of `place`.
    ///
    /// # Errors
    /// [`FsError::Unflushed`]: the change stands, for now.
    pub(super) fn flush(self, place: &Place) -> Result<(), FsError> {
        let flushed = self.0.iter().try_for_each(|dir| retry_on_intr(|| fsync(dir)));
        flushed.map_err(|why| {
            let path = &place.path;
            tracing::error!(
                %path,
                "the upload is in place, but its directory cannot be flushed to the disk: {why}; a crash may undo it"
            );
            FsError::Unflushed
        })
    }
}

/// A file under a name of its own; removed when dropped, unless it was put in place.
#[derive(Debug)]
pub(super) struct Temp {
    pub(super) dir: Arc<OwnedFd>,
    /// `None`: it bears the name of its target.
    name: Option<String>,
    pub(super) file: Arc<OwnedFd>,
}

impl Temp {
    pub(super) fn create(dir: Arc<OwnedFd>, name: impl Fn() -> String) -> rustix::io::Result<Self> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        for _ in 0..TRIES {
            let name = name();
            let file = match openat(&dir, &name, flags, Mode::from_raw_mode(0o666)) {
                Err(Errno::EXIST | Errno::INTR) => continue,
                done => Arc::new(done?),
            };
            let temp = Self { dir: Arc::clone(&dir), name: Some(name), file };
            // Where files cannot be locked, no sweep removes any either.
            let lock = flock(&temp.file, FlockOperation::NonBlockingLockExclusive);
            // A server that starts just now may have taken the new file for a stale one.
            if lock != Err(Errno::WOULDBLOCK) && fstat(&temp.file)?.st_nlink > 0 {
                return Ok(temp);
            }
        }
        Err(Errno::EXIST)
    }

    pub(super) fn meta(&self) -> Result<Meta, FsError> {
        fstat(&self.file).map_err(fs_error).and_then(|stat| meta(&stat))
    }

    pub(super) fn flush(&self) -> Result<(), FsError> {
        retry_on_intr(|| fdatasync(&self.file)).map_err(fs_error)
    }

    /// Puts the file in place of `target`, with its permissions.
    pub(super) fn put(&mut self, name: &str, target: &Target) -> Result<(), FsError> {
        let Some(from) = self.name.as_deref() else { return Ok(()) };
        if let Some((_, mode)) = target.file
            && mode != permissions(fstat(&self.file).map_err(fs_error)?.st_mode)
        {
            fchmod(&self.file, mode).map_err(fs_error)?;
        }
        let renamed = if target.occupied {
            renameat(&self.dir, from, &self.dir, name)
        } else {
            match sys::rename_to_free(&self.dir, from, name) {
                // Who else writes here, outside this server, may now slip in between; no server
                // change can: we are under the target's lock.
                Err(error) if sys::is_missing(error) => renameat(&self.dir, from, &self.dir, name),
                done => done,
            }
        };
        renamed.map_err(|error| match error {
            Errno::EXIST => FsError::Changed,
            other => fs_error(other),
        })?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = unlinkat(&self.dir, name, AtFlags::empty());
        }
    }
}

/// What stands at a place that is to be changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// There is an entry of this name, be it a symbolic link that leads nowhere.
    occupied: bool,
    /// The file that a reader would get, and its permissions.
    file: Option<(Meta, Mode)>,
}

impl Target {
    /// Looks at the entry for `place` in `dir`. A symbolic link that leads out of the root is
    /// refused, although only the link would be replaced: its maker did not mean that.
    pub(super) fn look(roots: &Roots, dir: &OwnedFd, place: &Place) -> Result<Self, FsError> {
        let mut stat = match statat(dir, place.path.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Self { occupied: false, file: None }),
            done => done.map_err(fs_error)?,
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            let root = roots.directory(place.root).map_err(fs_error)?;
            let followed = root.open(place.path.as_str(), LOOK);
            match followed.and_then(fstat).map_err(fs_error) {
                Err(FsError::NotFound) => return Ok(Self { occupied: true, file: None }),
                done => stat = done?,
            }
        }
        Ok(Self { occupied: true, file: Some((meta(&stat)?, permissions(stat.st_mode))) })
    }

    pub(super) fn is_new(&self) -> bool {
        self.file.is_none()
    }

    /// Its room is to be free as soon as it is gone.
    pub(super) fn forget(&self, cache: &Cache) {
        if let Some((meta, _)) = &self.file {
            cache.forget(meta);
        }
    }

    pub(super) fn check(&self, expect: Expect) -> Result<(), FsError> {
        let holds = match (expect, &self.file) {
            (Expect::Any, _) | (Expect::Absent, None) => true,
            (Expect::Absent, Some(_)) | (Expect::Same(_), None) => false,
            (Expect::Same(was), Some((is, _))) => was == *is,
        };
        if holds { Ok(()) } else { Err(FsError::Changed) }
    }
}

/// The permission bits; not set-user-ID and the like, which an upload must not inherit.
fn permissions(mode: rustix::fs::RawMode) -> Mode {
    Mode::from_raw_mode(mode) & Mode::from_raw_mode(0o777)
}

fn open_to_flush(dir: &OwnedFd) -> Result<OwnedFd, FsError> {
    open_again(dir).map_err(fs_error)
}

/// True if the file system of the file certainly has no room for so many bytes.
fn has_no_room(file: &OwnedFd, len: u64) -> bool {
    // Beyond that the system has no number for it.
    i64::try_from(len).is_err()
        || fstatvfs(file).is_ok_and(|fs| {
            // A file system that does not tell its size tells no free blocks either.
            fs.f_blocks > 0 && room(&fs, geteuid().is_root()) < len
        })
}

/// Free bytes of a file system. Root may use the blocks that are reserved for it.
fn room(fs: &StatVfs, is_root: bool) -> u64 {
    let blocks = if is_root { fs.f_bfree } else { fs.f_bavail };
    blocks.saturating_mul(fs.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_may_use_the_blocks_that_are_reserved_for_it() {
        let mut fs = fstatvfs(std::fs::File::open("/").unwrap()).unwrap();
        (fs.f_frsize, fs.f_bfree, fs.f_bavail) = (4096, 10, 7);
        assert_eq!((room(&fs, true), room(&fs, false)), (40_960, 28_672));
        fs.f_bfree = u64::MAX;
        assert_eq!(room(&fs, true), u64::MAX);
    }
}
