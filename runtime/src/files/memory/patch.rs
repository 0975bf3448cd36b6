//! Changing parts of a file in memory, atomically.

use std::sync::PoisonError;

use httpout_proto::{
    FsError,
    fs::{Expect, Meta, Patch},
};

use super::{MemoryPart, check};
use crate::files::{copy, patch::check_holes};

impl MemoryPart {
    /// Takes the file as the bytes of `patches`, one after the other, and puts in place of the
    /// target a copy of it with those runs replaced. `create`: a missing target counts as empty.
    pub(in super::super) fn commit_patches(
        self,
        expect: Expect,
        create: bool,
        patches: &[Patch],
    ) -> Result<(bool, Meta), FsError> {
        let memory = self.ticket.memory.clone();
        let _alone = memory.patching.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // `None`: it was replaced as a whole meanwhile.
            if let Some(done) = self.try_patch(expect, create, patches)? {
                return Ok(done);
            }
        }
    }

    /// `None` if the target was changed before the copy took its place.
    fn try_patch(
        &self,
        expect: Expect,
        create: bool,
        patches: &[Patch],
    ) -> Result<Option<(bool, Meta)>, FsError> {
        let (old, media_type) = {
            let state = self.ticket.memory.lock();
            let target = state.target(&self.ticket.path)?;
            check(expect, target)?;
            let described = target.map_or(self.ticket.inode, |stored| stored.inode);
            (target.cloned(), state.types.get(&described).cloned())
        };
        if old.is_none() && !create {
            return Err(FsError::NotFound);
        }
        let len = old.as_ref().map_or(0, |old| old.meta.len);
        let end = check_holes(len, patches)?;
        let copy = self.ticket.memory.create(&self.ticket.path, None, self.ticket.bounds)?;
        copy.ticket.take_room(end)?;
        if let Some(old) = &old {
            copy::copy_whole(&old.file, &copy.file, len)?;
        }
        let mut at = 0;
        for patch in patches {
            copy::copy_run(&self.file, at, &copy.file, patch.at, patch.len)?;
            at += patch.len;
        }
        if let Some(media_type) = media_type {
            copy.keep_media_type(&media_type);
        }
        let still = old.map_or(Expect::Absent, |old| Expect::Same(old.meta));
        match copy.commit(still) {
            Err(FsError::Changed) => Ok(None),
            done => done.map(Some),
        }
    }
}
