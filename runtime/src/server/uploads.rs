//! Uploads in progress, and the connections that follow them.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use httpout_proto::{
    Hub,
    live::{FeedId, Growth},
};
use rustix::fd::OwnedFd;

use super::{Shared, lock};
use crate::mailbox::{Follower, Message};

pub(super) type Feeds = Hub<PathBuf, Arc<OwnedFd>, Follower>;

impl Shared {
    pub(crate) fn announce(&self, key: PathBuf, file: Arc<OwnedFd>, total: Option<u64>) -> FeedId {
        self.logs.recorded(&key, None);
        let mut hub = lock(&self.hub);
        let (feed, waiters) = hub.begin(key, file.clone(), total);
        self.feeds.fetch_add(1, Ordering::SeqCst);
        if let Some((_, growth)) = hub.get(feed) {
            for waiter in waiters {
                waiter.mailbox.post(Message::Begun(waiter.op, feed, file.clone(), growth));
            }
        }
        feed
    }

    pub(crate) fn grown(&self, feed: FeedId, len: u64) {
        let mut hub = lock(&self.hub);
        let Some((_, before)) = hub.get(feed) else { return };
        for follower in hub.grow(feed, len) {
            follower.mailbox.post(Message::Growth(follower.op, Growth { len, ..before }));
        }
    }

    pub(crate) fn ended(&self, feed: FeedId, complete: bool) {
        let (path, ended) = {
            let mut hub = lock(&self.hub);
            (hub.key(feed).cloned(), hub.end(feed, complete))
        };
        if let Some(path) = path {
            self.metrics.upload(complete);
            self.logs.recorded(&path, Some(complete));
        }
        if let Some((growth, followers)) = ended {
            self.feeds.fetch_sub(1, Ordering::SeqCst);
            for follower in followers {
                follower.mailbox.post(Message::Growth(follower.op, growth));
            }
        }
    }

    pub(crate) fn follow(
        &self,
        key: impl FnOnce() -> PathBuf,
        follower: Follower,
        wait: bool,
    ) -> Following {
        if !wait && self.feeds.load(Ordering::SeqCst) == 0 {
            return Following::Nothing;
        }
        let key = key();
        let mut hub = lock(&self.hub);
        if let Some((feed, file, growth)) = hub.follow(&key, follower.clone()) {
            return Following::Feed(feed, file, growth);
        }
        if wait {
            hub.wait(key.clone(), follower);
            return Following::Waiting(key);
        }
        Following::Nothing
    }

    /// The latest upload to `key`, and how far it is.
    #[cfg(test)]
    pub(crate) fn in_progress(&self, key: &PathBuf) -> Option<(Arc<OwnedFd>, Growth)> {
        let hub = lock(&self.hub);
        hub.get(hub.latest(key)?)
    }

    pub(crate) fn unfollow(&self, feed: FeedId, follower: &Follower) {
        lock(&self.hub).unfollow(feed, follower);
    }

    pub(crate) fn unwait(&self, key: &PathBuf, follower: &Follower) {
        lock(&self.hub).unwait(key, follower);
    }
}

/// What came of following.
pub(crate) enum Following {
    Feed(FeedId, Arc<OwnedFd>, Growth),
    Waiting(PathBuf),
    Nothing,
}
