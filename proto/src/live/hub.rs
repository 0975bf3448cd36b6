//! Which uploads are in progress, how far they are, and which readers follow them.

use std::{collections::HashMap, hash::Hash};

/// Names an upload in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedId(u64);

/// How far a growing file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Bytes that may be read.
    pub len: u64,
    /// Length announced by the uploader, in bytes.
    pub total: Option<u64>,
    /// Whether more will come.
    pub state: GrowthState,
}

/// Whether a growing file goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrowthState {
    /// It may grow.
    Growing,
    /// It is complete and stands under its name.
    Complete,
    /// It was given up; the name shows what it showed before.
    Aborted,
}

/// The uploads in progress of a server. Shared by all its connections: a runtime keeps one behind a
/// lock.
///
/// `K` tells targets apart, whatever mount they are reached by; `F` is the runtime's handle of an
/// open file; `W` is what it needs to tell a follower that something happened.
#[derive(Debug)]
pub struct Hub<K, F, W> {
    feeds: HashMap<FeedId, Feed<K, F, W>>,
    /// The uploads to one target, the latest last, and the readers that wait for one to begin.
    targets: HashMap<K, Target<W>>,
    next: u64,
}

#[derive(Debug)]
struct Feed<K, F, W> {
    key: K,
    file: F,
    growth: Growth,
    followers: Vec<W>,
}

#[derive(Debug)]
struct Target<W> {
    feeds: Vec<FeedId>,
    waiters: Vec<W>,
}

impl<W> Default for Target<W> {
    fn default() -> Self {
        Self { feeds: Vec::new(), waiters: Vec::new() }
    }
}

impl<K, F, W> Default for Hub<K, F, W> {
    fn default() -> Self {
        Self { feeds: HashMap::new(), targets: HashMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash, F: Clone, W: Clone + PartialEq> Hub<K, F, W> {
    /// An upload to `key` begins, into `file`. Returns its name and those who waited for it and
    /// follow it now: tell each.
    pub fn begin(&mut self, key: K, file: F, total: Option<u64>) -> (FeedId, Vec<W>) {
        self.next += 1;
        let id = FeedId(self.next);
        let target = self.targets.entry(key.clone()).or_default();
        target.feeds.push(id);
        let waiters = std::mem::take(&mut target.waiters);
        let growth = Growth { len: 0, total, state: GrowthState::Growing };
        self.feeds.insert(id, Feed { key, file, growth, followers: waiters.clone() });
        (id, waiters)
    }

    /// The upload has `len` bytes that may be read. Returns those to be told.
    pub fn grow(&mut self, id: FeedId, len: u64) -> &[W] {
        match self.feeds.get_mut(&id) {
            Some(feed) => {
                feed.growth.len = len;
                &feed.followers
            }
            None => &[],
        }
    }

    /// The upload is over. Returns how far it came, and those to be told of it: it is known no
    /// longer.
    pub fn end(&mut self, id: FeedId, complete: bool) -> Option<(Growth, Vec<W>)> {
        let feed = self.feeds.remove(&id)?;
        if let Some(target) = self.targets.get_mut(&feed.key) {
            target.feeds.retain(|&other| other != id);
        }
        self.forget_if_unused(&feed.key);
        let state = if complete { GrowthState::Complete } else { GrowthState::Aborted };
        Some((Growth { state, ..feed.growth }, feed.followers))
    }

    /// Follows the latest upload to `key`. `None` if there is none.
    pub fn follow(&mut self, key: &K, follower: W) -> Option<(FeedId, F, Growth)> {
        let id = self.latest(key)?;
        let feed = self.feeds.get_mut(&id)?;
        feed.followers.push(follower);
        Some((id, feed.file.clone(), feed.growth))
    }

    /// The latest upload to `key`.
    pub fn latest(&self, key: &K) -> Option<FeedId> {
        self.targets.get(key)?.feeds.last().copied()
    }

    /// Waits for an upload to `key` to begin.
    pub fn wait(&mut self, key: K, waiter: W) {
        self.targets.entry(key).or_default().waiters.push(waiter);
    }

    /// How far an upload is, and its file.
    pub fn get(&self, id: FeedId) -> Option<(F, Growth)> {
        self.feeds.get(&id).map(|feed| (feed.file.clone(), feed.growth))
    }

    /// No longer follows an upload.
    pub fn unfollow(&mut self, id: FeedId, follower: &W) {
        if let Some(feed) = self.feeds.get_mut(&id) {
            feed.followers.retain(|other| other != follower);
        }
    }

    /// No longer waits for an upload to `key`; nor follows the one that has begun meanwhile.
    pub fn unwait(&mut self, key: &K, waiter: &W) {
        if let Some(target) = self.targets.get_mut(key) {
            target.waiters.retain(|other| other != waiter);
            for id in &target.feeds {
                if let Some(feed) = self.feeds.get_mut(id) {
                    feed.followers.retain(|other| other != waiter);
                }
            }
        }
        self.forget_if_unused(key);
    }

    /// The target of an upload in progress.
    pub fn key(&self, id: FeedId) -> Option<&K> {
        self.feeds.get(&id).map(|feed| &feed.key)
    }

    /// Number of uploads in progress, and of their readers.
    pub fn counts(&self) -> (usize, usize) {
        let followers = self.feeds.values().map(|feed| feed.followers.len()).sum();
        (self.feeds.len(), followers)
    }

    /// True if nothing is in progress.
    pub fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }

    fn forget_if_unused(&mut self, key: &K) {
        let unused = |target: &Target<W>| target.feeds.is_empty() && target.waiters.is_empty();
        if self.targets.get(key).is_some_and(unused) {
            self.targets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_upload_is_followed_and_an_earlier_one_after_it() {
        let mut hub: Hub<&str, u8, u32> = Hub::default();
        assert!(hub.follow(&"a", 1).is_none());
        let (first, _) = hub.begin("a", 10, None);
        let (second, _) = hub.begin("a", 20, Some(5));
        let (id, file, growth) = hub.follow(&"a", 1).unwrap();
        assert_eq!((id, file, growth.total), (second, 20, Some(5)));
        assert_eq!(hub.grow(second, 3), [1]);
        let (growth, told) = hub.end(second, false).unwrap();
        assert_eq!((growth.len, growth.state, told), (3, GrowthState::Aborted, vec![1]));
        assert_eq!(hub.follow(&"a", 2).unwrap().0, first);
        hub.unfollow(first, &2);
        assert!(hub.grow(first, 1).is_empty());
        hub.end(first, true);
        assert!(hub.is_empty() && hub.targets.is_empty());
    }

    #[test]
    fn those_who_wait_become_followers() {
        let mut hub: Hub<&str, u8, u32> = Hub::default();
        hub.wait("a", 1);
        hub.wait("a", 2);
        hub.unwait(&"a", &2);
        let (id, told) = hub.begin("a", 10, None);
        assert_eq!(told, [1]);
        assert_eq!(hub.grow(id, 4), [1]);
        hub.end(id, true);
        hub.wait("a", 3);
        hub.unwait(&"a", &3);
        assert!(hub.targets.is_empty());
    }
}
