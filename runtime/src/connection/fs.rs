//! Effects that concern files and directories.

use std::{io, sync::Arc};

use httpout_proto::{
    Done, FileId, FsError, OpId,
    effect::FsEffect,
    fs::{Meta, Place},
};

use super::{
    PANICKED,
    exchanges::{Driver, Exchange, File},
};
use crate::{
    alarm::{self, Panicked},
    files::{
        OpenFile, Opened, Roots,
        encoded::{self, Inode, Key, Wanted},
    },
    mailbox::Message,
    server::Shared,
};

impl Exchange {
    pub(super) fn run_fs(&mut self, effect: FsEffect, driver: &mut Driver<'_>) {
        match effect {
            FsEffect::Open { op, file, place } => self.open(op, file, place, driver),
            FsEffect::Stat { op, place } => {
                let roots = self.offer.roots.clone();
                self.perform(op, roots.is_in_memory(&place), driver, move || {
                    roots.stat(&place).map(|meta| Message::Done(op, Ok(Done::Stat(meta))))
                });
            }
            FsEffect::Create { op, file, place, len, media_type } => {
                let roots = self.offer.roots.clone();
                self.perform(op, roots.is_in_memory(&place), driver, move || {
                    let part = roots.create(&place, len)?;
                    if let Some(media_type) = media_type {
                        part.keep_media_type(&media_type);
                    }
                    Ok(Message::Created(op, file, part))
                });
            }
            FsEffect::MediaType { op, file } => {
                let open = self.file(file);
                let kept = open.and_then(|file| self.offer.roots.media_type(file.fd()));
                driver.done(op, Ok(Done::MediaType(kept)));
            }
            FsEffect::Write { op, file, at, data } => match self.part(file) {
                Some(part) => self.perform(op, part.is_in_memory(), driver, move || {
                    let written = part.write_all_at(at, &data);
                    // Its buffers and the file are free before the session goes on.
                    drop((data, part));
                    written.map(|()| Message::Done(op, Ok(Done::Ok)))
                }),
                None => driver.done(op, Err(FsError::NotFound)),
            },
            FsEffect::Commit { op, file, place, expect, durable } => match self.take_part(file) {
                Some(part) => self.perform(op, part.is_in_memory(), driver, move || {
                    part.commit(&place, expect, durable).map(|done| committed(op, done))
                }),
                None => driver.done(op, Err(FsError::NotFound)),
            },
            FsEffect::CommitPatches { op, file, place, expect, durable, create, patches } => {
                match self.take_part(file) {
                    Some(part) => driver.unblock(op, move || {
                        let done = part.commit_patches(&place, expect, durable, create, &patches);
                        done.map(|done| committed(op, done))
                    }),
                    None => driver.done(op, Err(FsError::NotFound)),
                }
            }
            FsEffect::Remove { op, place, expect } => {
                let roots = self.offer.roots.clone();
                self.perform(op, roots.is_in_memory(&place), driver, move || {
                    roots.remove(&place, expect).map(|()| Message::Done(op, Ok(Done::Ok)))
                });
            }
            FsEffect::Close { file } => {
                if let Some(file) = self.take_file(file) {
                    file.close(driver.permit);
                }
            }
            FsEffect::Locate { op, place, last } => {
                match self.offer.roots.locate_cached(&place, last) {
                    Some((real, path)) => {
                        driver.done(op, Ok(Done::Located { real, root: None, path }));
                    }
                    None => {
                        let roots = self.offer.roots.clone();
                        driver.unblock(op, move || {
                            let (real, root, path) = roots.locate(&place, last)?;
                            Ok(Message::Done(op, Ok(Done::Located { real, root, path })))
                        });
                    }
                }
            }
            FsEffect::List { op, place, mounts, order, most } => {
                let roots = self.offer.roots.clone();
                let budget = driver.shared().listings.clone();
                driver.unblock(op, move || {
                    let (entries, truncated, taken) =
                        roots.list(&place, mounts, order, most, &budget)?;
                    Ok(Message::Listed(op, entries, truncated, taken))
                });
            }
            FsEffect::Encode { op, file, place, meta, coding } => {
                self.encode(op, file, ((place, coding), meta), driver);
            }
        }
    }

    /// A file effect is done.
    pub(super) fn handle_file(&mut self, message: Message, driver: &mut Driver<'_>) {
        match message {
            Message::Listed(op, entries, truncated, taken) => {
                self.listed = Some(taken);
                driver.done(op, Ok(Done::Listed { entries, truncated }));
            }
            Message::Opened(op, file, open, meta) => {
                self.files.push((file, File::Open(open)));
                driver.done(op, Ok(Done::Opened(meta)));
            }
            Message::Created(op, file, part) => {
                self.files.push((file, File::Part(Arc::new(part))));
                driver.done(op, Ok(Done::Ok));
            }
            Message::Done(op, result) => driver.done(op, result),
            Message::Begun(..)
            | Message::Growth(..)
            | Message::News(_)
            | Message::Relay(..)
            | Message::Fetched
            | Message::Renewed
            | Message::ShutDown
            | Message::Abort => {}
        }
    }

    fn open(&mut self, op: OpId, file: FileId, place: Place, driver: &mut Driver<'_>) {
        let follows = !self.followings.is_empty();
        match open(&self.offer.roots, driver.shared(), &place, (true, follows)) {
            Some(Ok((open, meta))) => {
                self.handle_file(Message::Opened(op, file, open, meta), driver);
            }
            Some(Err(error)) => driver.done(op, Err(error)),
            None => {
                let (roots, shared) = (self.offer.roots.clone(), driver.shared().clone());
                driver.unblock(op, move || match open(&roots, &shared, &place, (false, follows)) {
                    Some(opened) => {
                        opened.map(|(open, meta)| Message::Opened(op, file, open, meta))
                    }
                    None => Err(FsError::Other(io::ErrorKind::WouldBlock)),
                });
            }
        }
    }

    fn encode(&self, op: OpId, file: FileId, (key, meta): (Key, Meta), driver: &mut Driver<'_>) {
        let Some(fd) = self.file(file).map(|file| file.fd().clone()) else {
            return driver.done(op, Err(FsError::NotFound));
        };
        let inode = match Inode::of(&fd) {
            Ok(inode) => inode,
            Err(error) => return driver.done(op, Err(error)),
        };
        let alone = match self.offer.encoded.want(&key, inode, driver.follower(op)) {
            Wanted::Made(bytes) => return driver.done(op, Ok(Done::Encoded(bytes))),
            Wanted::Waits => return,
            Wanted::Make(alone) => alone,
        };
        let (offer, permit) = (self.offer.clone(), driver.permit.clone());
        blocking::unblock(move || {
            let _admission = permit;
            let result = alarm::contain(|| encoded::encode(&fd, meta.len, key.1));
            let result = result.unwrap_or_else(|Panicked| Err(PANICKED));
            let waiters = match alone {
                Some(waiter) => vec![waiter],
                None => offer.encoded.made(&key, &result),
            };
            for waiter in waiters {
                let result = result.clone().map(Done::Encoded);
                waiter.mailbox.post(Message::Done(waiter.op, result));
            }
        })
        .detach();
    }

    /// Does it now, where there is no device to be waited for, or else where waiting holds up
    /// nobody.
    fn perform(
        &mut self,
        op: OpId,
        is_in_memory: bool,
        driver: &mut Driver<'_>,
        work: impl FnOnce() -> Result<Message, FsError> + Send + 'static,
    ) {
        if is_in_memory {
            let done = work().unwrap_or_else(|error| Message::Done(op, Err(error)));
            self.handle_file(done, driver);
        } else {
            driver.unblock(op, work);
        }
    }
}

/// Opens a file, or what stands for it; `None` if that cannot be done without waiting for the disk.
fn open(
    roots: &Roots,
    shared: &Shared,
    place: &Place,
    (cached, follows): (bool, bool),
) -> Option<Result<(OpenFile, Meta), FsError>> {
    match roots.open_file(place, cached) {
        Opened::Ready(opened) => Some(
            opened.and_then(|opened| shared.held.standing(|| roots.key(place), opened, follows)),
        ),
        Opened::WouldBlock => None,
    }
}

fn committed(op: OpId, (created, meta): (bool, Meta)) -> Message {
    Message::Done(op, Ok(Done::Committed { created, meta }))
}
