//! Files that are followed where they are served: in the first read directory itself.
//!
//! Nothing is copied, so two things are not promised that a copy gives. Between the moment that a file is made, or cut, and the moment
//! that the kernel's word of it is read (well below a millisecond on a machine that is not overloaded), a request gets what is on the
//! disk. And who follows a file that its writer goes back in has got what was there before.

use std::{collections::HashMap, fs::File, sync::Arc};

use httpout_proto::{
    effect::RelPath,
    live::{Copied, FeedId},
};

use super::{Begun, Files, Sink};
use crate::server::Shared;

/// Tells of files that grow.
#[derive(Debug)]
pub(super) struct InPlace {
    files: Files,
    growing: HashMap<RelPath, Growing>,
}

/// A file that grows; given up when dropped before its end.
#[derive(Debug)]
struct Growing {
    shared: Arc<Shared>,
    file: Arc<File>,
    /// `None` once it is over.
    feed: Option<FeedId>,
    len: u64,
}

impl InPlace {
    pub(super) fn new(files: Files) -> Self {
        Self { files, growing: HashMap::new() }
    }
}

impl Sink for InPlace {
    async fn begin(&mut self, path: &RelPath, whole: bool, _found: bool) -> Begun {
        if whole {
            return Begun::Whole;
        }
        let Some(place) = self.files.place(path) else { return Begun::Not };
        let file = match self.files.dir.file(path).await {
            Ok(Some((file, _))) => file,
            Ok(None) => return Begun::Not,
            Err(why) => {
                tracing::error!(%path, "a file of an input cannot be read: {why}");
                return Begun::Not;
            }
        };
        let shared = self.files.shared.clone();
        let Ok(fd) = file.try_clone() else { return Begun::Not };
        let feed = shared.announce(shared.offer().roots.key(&place), Arc::new(fd.into()), None);
        let growing = Growing { shared, file, feed: Some(feed), len: 0 };
        self.growing.insert(path.clone(), growing);
        Begun::Growing
    }

    async fn copy(&mut self, path: &RelPath, _last: bool, _writes: u64) -> Option<Copied> {
        let Growing { shared, file, feed, len } = self.growing.get_mut(path)?;
        match file.metadata() {
            Ok(meta) if meta.len() < *len => Some(Copied::Changed),
            Ok(meta) => {
                *len = meta.len();
                if let Some(feed) = feed {
                    shared.grown(*feed, *len);
                }
                Some(Copied::All(*len))
            }
            Err(why) => {
                tracing::error!(%path, "a file of an input cannot be read: {why}");
                self.growing.remove(path);
                None
            }
        }
    }

    async fn end(&mut self, path: &RelPath) -> bool {
        let Some(mut growing) = self.growing.remove(path) else { return false };
        if let Some(feed) = growing.feed.take() {
            growing.shared.ended(feed, true);
        }
        true
    }

    async fn abandon(&mut self, path: &RelPath) {
        self.growing.remove(path);
    }

    async fn remove(&mut self, _: &RelPath) {}
}

impl Drop for Growing {
    fn drop(&mut self) {
        if let Some(feed) = self.feed.take() {
            self.shared.ended(feed, false);
        }
    }
}
