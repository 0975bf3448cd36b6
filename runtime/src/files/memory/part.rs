//! Uploads into memory.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use httpout_proto::{
    FsError,
    fs::{Expect, Meta, RelPath},
    live::retention::Sort,
};
use rustix::{
    fd::OwnedFd,
    fs::{Stat, fstat},
};

use super::{Bounds, Gone, Inode, Memory, check, inode};
use crate::files::{beneath::fs_error, copy, segments::sort, sys};

/// An upload under way: a file without a name. It vanishes when dropped, unless it was put in place
/// of its target.
#[derive(Debug)]
pub(in super::super) struct MemoryPart {
    // In front of the file: when that is given back, it is no longer counted.
    pub(super) ticket: Ticket,
    pub(super) file: Arc<OwnedFd>,
}

/// What the store knows of an upload, until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) memory: Arc<Memory>,
    pub(super) path: RelPath,
    pub(super) bounds: Bounds,
    pub(super) inode: Inode,
    /// Bytes that are counted for it.
    counted: AtomicU64,
    is_placed: bool,
}

impl Memory {
    /// Makes a file for an upload to `path`, of `len` bytes if that is known.
    pub(in super::super) fn create(
        self: &Arc<Self>,
        path: &RelPath,
        len: Option<u64>,
        bounds: Bounds,
    ) -> Result<MemoryPart, FsError> {
        let file = sys::memory_file().map_err(fs_error)?;
        let inode = inode(&fstat(&file).map_err(fs_error)?);
        let mut gone = Gone::default();
        {
            let mut state = self.lock();
            let old = state.target(path)?.map_or(0, |stored| stored.meta.len);
            let stays = state.uploading.saturating_add(old);
            if stays.saturating_add(len.unwrap_or(0)) > bounds.bytes {
                return Err(FsError::MemoryFull);
            }
            while state.files.len() + state.uploads >= self.most_files {
                if !state.evict(path.as_str(), &mut gone) {
                    return Err(FsError::Exhausted);
                }
            }
            state.uploads += 1;
        }
        gone.give_back();
        let (memory, path, counted) = (self.clone(), path.clone(), AtomicU64::new(0));
        let ticket = Ticket { memory, path, bounds, inode, counted, is_placed: false };
        Ok(MemoryPart { ticket, file: Arc::new(file) })
    }
}

impl MemoryPart {
    pub(in super::super) fn file(&self) -> &Arc<OwnedFd> {
        &self.file
    }

    /// Keeps the upload's media type with it.
    pub(in super::super) fn keep_media_type(&self, media_type: &str) {
        self.ticket.memory.lock().types.insert(self.ticket.inode, media_type.into());
    }

    /// Writes all of `data`, one after the other, from `at` on, which is not past the end.
    pub(in super::super) fn write_all_at(&self, at: u64, data: &[Bytes]) -> Result<(), FsError> {
        let end = data.iter().fold(at, |end, bytes| end.saturating_add(bytes.len() as u64));
        self.ticket.take_room(end)?;
        copy::write_all_at(&self.file, at, data)
    }

    /// Puts the file under its name if `expect` holds of what is there. Answers whether that is
    /// new, and what it is now.
    pub(in super::super) fn commit(mut self, expect: Expect) -> Result<(bool, Meta), FsError> {
        let stat = fstat(&self.file).map_err(fs_error)?;
        let sort = sort(&self.ticket.path, &self.file)?;
        let mut gone = Gone::default();
        let placed = self.ticket.place(&self.file, &stat, sort, expect, &mut gone);
        gone.give_back();
        if placed.is_err() {
            self.abandon();
        }
        placed
    }

    /// Nothing comes of it.
    pub(in super::super) fn abandon(self) {
        let Self { ticket, file } = self;
        let bytes = ticket.counted.load(Ordering::Relaxed);
        drop(ticket);
        Gone { files: vec![file], bytes }.give_back();
    }
}

impl Ticket {
    /// Makes room for the file to have `len` bytes.
    pub(super) fn take_room(&self, len: u64) -> Result<(), FsError> {
        let mut gone = Gone::default();
        let taken = {
            let mut state = self.memory.lock();
            let counted = self.counted.load(Ordering::Relaxed);
            let more = len.saturating_sub(counted);
            let taken = state.take_room(self.path.as_str(), more, self.bounds, &mut gone);
            if taken.is_ok() {
                self.counted.store(counted + more, Ordering::Relaxed);
            }
            taken
        };
        gone.give_back();
        taken
    }

    fn place(
        &mut self,
        file: &Arc<OwnedFd>,
        stat: &Stat,
        sort: Sort,
        expect: Expect,
        gone: &mut Gone,
    ) -> Result<(bool, Meta), FsError> {
        let mut state = self.memory.lock();
        let target = state.target(&self.path)?;
        check(expect, target)?;
        let is_new = target.is_none();
        let most = self.bounds.segments;
        let meta = state.put(self.path.as_str(), file.clone(), stat, sort, most, gone)?;
        state.end_upload(self.counted.load(Ordering::Relaxed));
        self.is_placed = true;
        Ok((is_new, meta))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_placed {
            let mut state = self.memory.lock();
            state.end_upload(self.counted.load(Ordering::Relaxed));
            state.types.remove(&self.inode);
        }
    }
}
