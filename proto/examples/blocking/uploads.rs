//! Uploads in progress, and who follows them.

use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Sender},
};

use httpout_proto::{
    Hub, OpId,
    live::{FeedId, Growth},
};

use crate::Mail;

/// The hub behind its lock. It tells who has to know of something; telling them is up to its owner.
#[derive(Default)]
pub(crate) struct Uploads(Mutex<Hub<PathBuf, Arc<File>, Follower>>);

/// A request that follows an upload, or waits for one.
#[derive(Clone)]
pub(crate) struct Follower {
    pub(crate) connection: u64,
    pub(crate) op: OpId,
    pub(crate) mailbox: Sender<Mail>,
}

impl PartialEq for Follower {
    fn eq(&self, other: &Self) -> bool {
        (self.connection, self.op) == (other.connection, other.op)
    }
}

impl Follower {
    fn tell(&self, mail: Mail) {
        // Nobody is there to be told once the connection is over.
        let _ = self.mailbox.send(mail);
    }
}

impl Uploads {
    pub(crate) fn begin(&self, target: PathBuf, file: &Arc<File>, len: Option<u64>) -> FeedId {
        let mut hub = self.lock();
        let (feed, waiters) = hub.begin(target, file.clone(), len);
        if let Some((_, growth)) = hub.get(feed) {
            for waiter in waiters {
                waiter.tell(Mail::Begun(waiter.op, feed, file.clone(), growth));
            }
        }
        feed
    }

    pub(crate) fn grown(&self, feed: FeedId, len: u64) {
        let mut hub = self.lock();
        let followers = hub.grow(feed, len).to_vec();
        if let Some((_, growth)) = hub.get(feed) {
            tell_all(&followers, growth);
        }
    }

    pub(crate) fn ended(&self, feed: FeedId, complete: bool) {
        if let Some((growth, followers)) = self.lock().end(feed, complete) {
            tell_all(&followers, growth);
        }
    }

    /// Follows the upload to `target`; where there is none, and `wait`, waits for it to begin.
    pub(crate) fn follow(
        &self,
        target: &PathBuf,
        follower: Follower,
        wait: bool,
    ) -> Option<(FeedId, Arc<File>, Growth)> {
        let mut hub = self.lock();
        let followed = hub.follow(target, follower.clone());
        if followed.is_none() && wait {
            hub.wait(target.clone(), follower);
        }
        followed
    }

    pub(crate) fn unfollow(&self, feed: FeedId, follower: &Follower) {
        self.lock().unfollow(feed, follower);
    }

    pub(crate) fn unwait(&self, target: &PathBuf, follower: &Follower) {
        self.lock().unwait(target, follower);
    }

    fn lock(&self) -> MutexGuard<'_, Hub<PathBuf, Arc<File>, Follower>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell_all(followers: &[Follower], growth: Growth) {
    for follower in followers {
        follower.tell(Mail::Growth(follower.op, growth));
    }
}
