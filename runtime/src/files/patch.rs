//! Changing parts of a file, atomically.

use std::sync::Arc;

use httpout_proto::{
    FsError,
    fs::{Expect, Meta, Patch, Place},
};

use super::{
    beneath::fs_error,
    copy, keep_media_type,
    lock::LockedDir,
    media_type,
    part::{DiskPart, Target, Temp},
    sweep::part_name,
};

/// How often a file is patched that others change meanwhile, before its directory is locked for the
/// whole time.
const TRIES: usize = 8;

impl DiskPart {
    /// Takes the file as the bytes of `patches`, one after the other, and puts in place of `place`,
    /// for which it was made, a copy of it with those runs replaced. `create`: a missing target
    /// counts as empty. Else as [`DiskPart::commit`].
    ///
    /// # Errors
    /// As [`DiskPart::commit`]; [`FsError::NotFound`] without target; [`FsError::Hole`] where a
    /// patch begins past the end that those before it leave.
    pub(super) fn commit_patches(
        mut self,
        place: &Place,
        expect: Expect,
        durable: bool,
        create: bool,
        patches: &[Patch],
    ) -> Result<(bool, Meta), FsError> {
        let spool = &self.temp;
        // Until the rename: what is copied must still be what is replaced.
        let alone = self.roots.lock_here(&spool.dir, place.path.name())?;
        let mut tries = 0;
        let (target, meta, directories) = loop {
            tries += 1;
            let held = (tries > TRIES).then(|| LockedDir::lock(&spool.dir)).transpose()?;
            let target = Target::look(&self.roots, &spool.dir, place)?;
            target.check(expect)?;
            if target.is_new() && !create {
                return Err(FsError::NotFound);
            }
            let old = match (!target.is_new()).then(|| self.roots.open_waiting(place)) {
                // Another server has removed it just now.
                Some(Err(FsError::NotFound)) if held.is_none() => continue,
                opened => opened.transpose()?,
            };
            let len = old.as_ref().map_or(0, |(_, meta)| meta.len);
            check_holes(len, patches)?;
            let mut copy = Temp::create(Arc::clone(&spool.dir), part_name).map_err(fs_error)?;
            if let Some((old, _)) = &old {
                copy::copy_whole(old, &copy.file, len)?;
            }
            let described = old.as_ref().map_or(&*spool.file, |(old, _)| old);
            if let Some(media_type) = media_type(described) {
                keep_media_type(&copy.file, &media_type);
            }
            let mut at = 0;
            for patch in patches {
                copy::copy_run(&spool.file, at, &copy.file, patch.at, patch.len)?;
                at += patch.len;
            }
            let (meta, directories) = (copy.meta()?, self.made.flushed_first(&copy, durable)?);
            // Not before: other uploads to the directory need not wait for the copy.
            let _held = match held {
                Some(held) => held,
                None => {
                    let held = LockedDir::lock(&spool.dir)?;
                    if Target::look(&self.roots, &spool.dir, place)? != target {
                        continue;
                    }
                    held
                }
            };
            copy.put(place.path.name(), &target)?;
            target.forget(&self.roots.cache);
            break (target, meta, directories);
        };
        drop(alone);
        self.made.keep();
        directories.flush(place)?;
        Ok((target.is_new(), meta))
    }
}

/// Each patch must begin within what is there by then, or at its end. Returns where that is at
/// last.
pub(super) fn check_holes(mut end: u64, patches: &[Patch]) -> Result<u64, FsError> {
    let mut total = 0u64;
    for patch in patches {
        if patch.at > end {
            return Err(FsError::Hole(end));
        }
        // No file is that long, nor could the sums of offsets below be made.
        let sum = |a: u64| a.checked_add(patch.len).filter(|&sum| sum <= i64::MAX as u64);
        end = end.max(sum(patch.at).ok_or(FsError::Full)?);
        total = sum(total).ok_or(FsError::Full)?;
    }
    Ok(end)
}
