//! A resource that the server itself writes: announced, served while it grows, and put under its
//! name at its end, as an upload is.

use std::sync::Arc;

use bytes::Bytes;
use httpout_proto::{
    FsError,
    fs::{Expect, Place},
    live::FeedId,
};
use rustix::fd::OwnedFd;

use crate::{
    files::PartFile,
    server::{Shared, SiteState},
};

/// A resource that is being written. Dropped before its [`end`](Self::end), it leaves nothing
/// behind.
#[derive(Debug)]
pub(crate) struct Recording {
    shared: Arc<Shared>,
    offer: Arc<SiteState>,
    place: Place,
    /// `None` once it is over.
    part: Option<Arc<PartFile>>,
    feed: FeedId,
    len: u64,
}

/// What stays of a recording if the server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It cannot be sent again.
    WhateverThereIs,
    /// Nothing, if it is not whole.
    Whole,
}

impl Recording {
    /// Begins to write what will be found at this place.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) async fn begin(
        shared: &Arc<Shared>,
        place: Place,
        media_type: Option<String>,
        kept: Kept,
    ) -> Result<Self, FsError> {
        let offer = shared.offer();
        let (roots, at) = (offer.roots.clone(), place.clone());
        let part = perform(roots.is_in_memory(&place), move || {
            let part = match kept {
                Kept::WhateverThereIs => roots.create_recording(&at)?,
                Kept::Whole => roots.create(&at, None)?,
            };
            if let Some(media_type) = media_type {
                part.keep_media_type(&media_type);
            }
            Ok(part)
        })
        .await?;
        let key = offer.roots.key(&place);
        let feed = shared.announce(key, part.file().clone(), None);
        let shared = shared.clone();
        Ok(Self { shared, offer, place, part: Some(Arc::new(part)), feed, len: 0 })
    }

    /// What is written of it, under no name yet.
    pub(crate) fn file(&self) -> Option<&Arc<OwnedFd>> {
        self.part.as_deref().map(PartFile::file)
    }

    /// Adds to it; its readers are told when that is written.
    ///
    /// # Errors
    /// Those of the file system, [`FsError::Full`] for one.
    pub(crate) async fn write(&mut self, data: Vec<Bytes>) -> Result<(), FsError> {
        let Some(part) = self.part.clone() else { return Err(FsError::NotFound) };
        let (at, len) = (self.len, data.iter().map(|bytes| bytes.len() as u64).sum::<u64>());
        perform(part.is_in_memory(), move || {
            let written = part.write_all_at(at, &data);
            drop(part);
            written
        })
        .await?;
        self.len += len;
        self.shared.grown(self.feed, self.len);
        Ok(())
    }

    /// It is whole: puts it under its name.
    ///
    /// # Errors
    /// Those of the file system; then nothing is left of it.
    pub(crate) async fn end(mut self) -> Result<(), FsError> {
        let part = self.part.take().and_then(Arc::into_inner);
        let Some(part) = part else {
            // A write that was given up is still under way.
            self.shared.ended(self.feed, false);
            return Err(FsError::NotFound);
        };
        let (place, durable) = (self.place.clone(), self.offer.site.config().durable);
        let is_in_memory = part.is_in_memory();
        let done = perform(is_in_memory, move || part.commit(&place, Expect::Any, durable)).await;
        let is_in_place = matches!(done, Ok(_) | Err(FsError::Unflushed));
        self.shared.ended(self.feed, is_in_place);
        done.map(|_| ())
    }

    /// It cannot go on: those who follow it are cut, and what there is of it is kept, if it is to
    /// be.
    pub(crate) async fn salvage(mut self) {
        let part = self.part.take().and_then(Arc::into_inner);
        self.shared.ended(self.feed, false);
        let Some(part) = part else { return };
        let (path, is_in_memory) = (&self.place.path, part.is_in_memory());
        match perform(is_in_memory, move || part.salvage()).await {
            Ok(Some(name)) => {
                tracing::warn!(%path, "what was recorded until now is kept as {name}")
            }
            Ok(None) => {}
            Err(why) => tracing::error!(%path, "what was recorded until now cannot be kept: {why}"),
        }
    }

    /// Gives it up; resolves when nothing is left of it.
    pub(crate) async fn abort(mut self) {
        if let Some(part) = self.part.take() {
            self.shared.ended(self.feed, false);
            perform(part.is_in_memory(), move || drop(part)).await;
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(part) = self.part.take() {
            self.shared.ended(self.feed, false);
            blocking::unblock(move || drop(part)).detach();
        }
    }
}

/// Does it now, where there is no device to be waited for, or else on a thread that may wait.
async fn perform<T: Send + 'static>(
    is_in_memory: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if is_in_memory { work() } else { blocking::unblock(work).await }
}
