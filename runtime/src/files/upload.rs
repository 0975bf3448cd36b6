//! Uploads under way, on disk or in memory.

use std::sync::Arc;

use bytes::Bytes;
use httpout_proto::{
    FsError,
    fs::{Expect, Meta, Patch, Place},
};
use rustix::fd::OwnedFd;

use super::{
    Base, Roots, keep_media_type,
    memory::MemoryPart,
    part::{DiskPart, Purpose},
};

/// An upload under way: a file that is not visible under its target's name. It vanishes when
/// dropped, with the directories that were made for it, unless it was put in place of its target.
#[derive(Debug)]
pub struct PartFile(Part);

#[derive(Debug)]
enum Part {
    Disk(DiskPart),
    Memory(MemoryPart),
}

impl Roots {
    /// Makes a part file for `place`, the directories that lead there, and room for `len` bytes.
    ///
    /// # Errors
    /// - [`FsError::IsDirectory`], [`FsError::NotRegular`], [`FsError::Outside`]: the target is
    ///   such a thing
    /// - [`FsError::NotRegular`], [`FsError::Outside`]: something on the way there is
    /// - [`FsError::Full`], [`FsError::MemoryFull`]: no room for `len` bytes
    /// - what else the system says
    pub fn create(self: &Arc<Self>, place: &Place, len: Option<u64>) -> Result<PartFile, FsError> {
        self.create_for(place, Purpose::Upload(len))
    }

    /// As [`create`](Self::create), for what cannot be sent again: what there is of it is kept if
    /// the server dies.
    pub(crate) fn create_recording(self: &Arc<Self>, place: &Place) -> Result<PartFile, FsError> {
        self.create_for(place, Purpose::Recording)
    }

    fn create_for(self: &Arc<Self>, place: &Place, purpose: Purpose) -> Result<PartFile, FsError> {
        match self.base(place.root) {
            Base::Directory(_) => self.create_on_disk(place, purpose).map(Part::Disk),
            Base::Memory => {
                let len = match purpose {
                    Purpose::Upload(len) => len,
                    Purpose::Recording => None,
                };
                let create = || self.lasting.memory.create(&place.path, len, self.bounds);
                let created = match create() {
                    // What is kept open for others is not needed as much.
                    Err(FsError::Exhausted) => {
                        self.cache.clear();
                        create()
                    }
                    done => done,
                };
                created.map(Part::Memory)
            }
        }
        .map(PartFile)
    }
}

impl PartFile {
    /// The file, to be read while it grows.
    pub fn file(&self) -> &Arc<OwnedFd> {
        match &self.0 {
            Part::Disk(part) => part.file(),
            Part::Memory(part) => part.file(),
        }
    }

    /// True if nothing is written to a device for it: what is done with it need not be done
    /// elsewhere.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.0, Part::Memory(_))
    }

    /// Keeps the upload's media type with it. Where the file system has no extended attributes, it
    /// is lost: the file is then served as of unknown type.
    pub(crate) fn keep_media_type(&self, media_type: &str) {
        match &self.0 {
            Part::Disk(part) => keep_media_type(part.file(), media_type),
            Part::Memory(part) => part.keep_media_type(media_type),
        }
    }

    /// Writes all of `data`, one after the other, from `at` on.
    ///
    /// # Errors
    /// What the system says; [`FsError::Full`] or [`FsError::MemoryFull`] where there is no room.
    pub fn write_all_at(&self, at: u64, data: &[Bytes]) -> Result<(), FsError> {
        match &self.0 {
            Part::Disk(part) => part.write_all_at(at, data),
            Part::Memory(part) => part.write_all_at(at, data),
        }
    }

    /// Keeps what there is of a recording that cannot go on, under its name or a similar one, and
    /// tells which. `None`: nothing is kept.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn salvage(self) -> Result<Option<String>, FsError> {
        match self.0 {
            Part::Disk(part) => part.salvage(),
            Part::Memory(_) => Ok(None),
        }
    }

    /// Puts the file in place of `place`, for which it was made, if `expect` holds. `durable`: on
    /// disk, the data is flushed before, the directory entry after. Answers whether the target is
    /// new, and what it is now. Segments that are too many now are removed.
    ///
    /// # Errors
    /// [`FsError::Changed`] where `expect` does not hold, else what [`Roots::create`] says of
    /// targets, or the system.
    pub fn commit(
        self,
        place: &Place,
        expect: Expect,
        durable: bool,
    ) -> Result<(bool, Meta), FsError> {
        match self.0 {
            Part::Disk(part) => {
                stored(&part.roots.clone(), place, || part.commit(place, expect, durable))
            }
            Part::Memory(part) => part.commit(expect),
        }
    }

    /// Takes the file as the bytes of `patches`, one after the other, and puts in place of `place`,
    /// for which it was made, a copy of it with those runs replaced. `create`: a missing target
    /// counts as empty. Else as [`PartFile::commit`].
    ///
    /// # Errors
    /// As [`PartFile::commit`]; [`FsError::NotFound`] without target; [`FsError::Hole`] where a
    /// patch begins past the end that those before it leave.
    pub fn commit_patches(
        self,
        place: &Place,
        expect: Expect,
        durable: bool,
        create: bool,
        patches: &[Patch],
    ) -> Result<(bool, Meta), FsError> {
        match self.0 {
            Part::Disk(part) => stored(&part.roots.clone(), place, || {
                part.commit_patches(place, expect, durable, create, patches)
            }),
            Part::Memory(part) => part.commit_patches(expect, create, patches),
        }
    }

    /// Nothing comes of it.
    pub(crate) fn abandon(self) {
        match self.0 {
            Part::Disk(part) => drop(part),
            Part::Memory(part) => part.abandon(),
        }
    }
}

/// Commits on disk.
fn stored(
    roots: &Roots,
    place: &Place,
    commit: impl FnOnce() -> Result<(bool, Meta), FsError>,
) -> Result<(bool, Meta), FsError> {
    let (is_new, meta) = commit()?;
    roots.drop_segments(place, meta);
    Ok((is_new, meta))
}
